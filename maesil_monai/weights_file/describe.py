"""What a file of weights says of itself, for people."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from maesil_monai.weights_file.read import Weights

PREPROCESSING = ("resample_policy", "cube_size", "spacing_mm", "superpatch_size", "patch_size", "window_hu", "normalise_patches")
MASKS = ("mask_rule", "mask_ratio", "mask_axis_ratio", "mask_wrap")
_LABEL_WIDTH = 28


def describe(weights: Weights) -> str:
    """Tells network, preprocessing, masks, recipe, patients, cost and the last validation of a file, a line for each value.

    Raises:
        BadCheckpoint: for weights that do not say of which network they are.

    Example:
        >>> import tempfile
        >>> from maesil_monai.networks import build_network
        >>> from maesil_monai.weights_file import read_weights, save_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(f"{folder}/model.pt", build_network("tiny", img_size=32).state_dict(), {"steps": 7})
        ...     print(describe(read_weights(f"{folder}/model.pt")).splitlines()[-1])
        steps                       7
    """
    return "\n".join(f"{label:<{_LABEL_WIDTH}}{value}" for label, value in _lines(weights))


def _lines(weights: Weights) -> Iterator[tuple[str, str]]:
    description, record = weights.description, weights.record
    trained = description.get("settings", {})
    parameters = sum(value.numel() for value in weights.tensors.values() if value.is_floating_point())
    yield "network", f"{description['network']['built_by']}, {parameters:,} weights"
    yield from _values(description["network"]["arguments"])
    if trained:
        yield "preprocessing", "voxels brought to RAS, one channel of HU from the window to [0, 1]"
        yield from _values({key: trained[key] for key in PREPROCESSING if key in trained})
        yield "masks", "of the training"
        yield from _values({key: trained[key] for key in MASKS if key in trained})
    shown = {*PREPROCESSING, *MASKS, *description["network"]["arguments"]}
    recipe = {key: value for key, value in record.get("settings", {}).items() if key not in shown}
    if recipe:
        yield "recipe", "of the training"
        yield from _values(recipe)
    if record.get("patients"):
        marks = record["patients"]
        yield "trained on", f"{len(marks)} hashes of patients and scans, SHA-256 of all: {_digest(marks)}"
    yield from ((key, str(record[key])) for key in ("steps", "processes") if key in record)
    if "device_hours" in record:
        yield "cost", f"{record['device_hours']:g} hours of one device, all processes added up"
        yield "hardware", _words(record["hardware"])
        yield "versions", _words(record["versions"])
    if record.get("validations"):
        yield "last validation", _words(record["validations"][-1])


def _values(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return ((f"  {key}", _word(value)) for key, value in values.items() if value != "")


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_word(value)}" for key, value in values.items() if value not in ([], None))


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _digest(marks: list[str]) -> str:
    return hashlib.sha256(" ".join(marks).encode()).hexdigest()[:16]
