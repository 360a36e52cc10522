"""What a checkpoint's run says of itself: are these the weights of the model they are given for?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.entry import Entry
from maesil_monai.errors import BadCheckpoint
from maesil_monai.training.settings import RunSettings
from maesil_monai.training.settings_overlay import OVERLAY_NAME
from maesil_monai.training.trained_on import TRAINED_ON_NAME, seen_scans

# What names and shapes of weights do not tell, or not in words that help. A preset is taken over, the others only judge.
COMPARED_KEYS = tuple(
    name for name in RunSettings.names("shared") if name not in ("preset", "min_body", "val_scans", "val_masks", "seed")
)


def preset_of(checkpoint: Path, entry: Entry, bundle: BundleFiles) -> str | None:
    """Reads the ``settings.json`` beside a checkpoint and holds it against the entry.

    Args:
        checkpoint: a file of weights.
        entry: the model they are given for.
        bundle: the configurations it is judged with.

    Returns:
        The preset the network was trained as, None where there are no settings.

    Raises:
        BadCheckpoint: if another network, other sizes or another training rule stand there, or normalised targets, of which
            no picture can be judged.
    """
    file = checkpoint.with_name(OVERLAY_NAME)
    own: Mapping[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    expected = bundle.settings_of(entry)
    differing = [key for key in COMPARED_KEYS if key in own and not _is_same(own[key], expected[key])]
    if differing:
        found = ", ".join(f"{key} {json.dumps(own[key])}" for key in differing)
        wanted = ", ".join(f"{key} {json.dumps(expected[key])}" for key in differing)
        cure = (
            "Networks trained on normalised targets have no PSNR and cannot be compared."
            if "normalise_patches" in differing
            else "Name the model as it was trained (MODEL@RULE+KEY=VALUE), and give the overlay with its sizes."
        )
        raise BadCheckpoint(checkpoint, f"weights of a run with {found} ({file.name})", f"{entry} with {wanted}", cure)
    return None if "preset" not in own else str(own["preset"])


def refuse_seen(checkpoint: Path, entry: Entry, scans: Sequence[Mapping[str, Any]]) -> None:
    """Refuses weights that have learnt from patients of the scans that are judged, as far as their run's folder tells.

    Raises:
        BadCheckpoint: with how many, and one of them.
    """
    seen = seen_scans(checkpoint, scans)
    if seen:
        found = f"weights that were trained on {len(seen)} of the {len(scans)} scans to be judged ({seen[0]} ...)"
        cure = f"Train anew (--train), or judge other scans. Are only the names alike? Then remove {TRAINED_ON_NAME} beside it."
        raise BadCheckpoint(checkpoint, found, f"{entry} of which all judged patients were kept away", cure)


def _is_same(found: Any, expected: Any) -> bool:
    """Compares values of JSON; a size may be one number or three."""
    if isinstance(found, list) != isinstance(expected, list):
        many, one = (found, expected) if isinstance(found, list) else (expected, found)
        return all(value == one for value in many)
    return bool(found == expected)
