"""The settings that a trained network is used with: those of its training, as its weights tell them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks.described_network import is_same, plain
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file.read import read_weights

# What may differ from the training: by which masks, and on what, a network is judged.
_FREE = ("mask_rule", "mask_ratio", "mask_axis_ratio", "mask_wrap", "min_body", "val_scans", "val_masks", "seed")


def trained_settings(ckpt: str | Path, **given: Any) -> SimpleNamespace:
    """Gives the shared settings (:meth:`RunSettings.shared`) that a network was trained with, some of them changed.

    Args:
        ckpt: the weights.
        given: settings by name; None stands for what the weights say. Network, preprocessing and targets must be the
            weights' own; masks and the choice of what is judged may differ.

    Returns:
        Every shared setting as an attribute.

    Raises:
        BadSetting: for a value that the setting must not have.
        BadCheckpoint: if there are no weights, if they do not tell their settings, or if a given one contradicts them.
    """
    shared = {name: value for name, value in given.items() if value is not None and name in RunSettings.names("shared")}
    for name, value in {"ckpt": ckpt, **given}.items():
        if value is not None or name not in RunSettings.names("shared"):
            RunSettings.check(name, str(value) if isinstance(value, Path) else value)
    description = read_weights(ckpt).description
    if "settings" not in description:
        cure = "Use weights of the bundle's training, or give every setting in a configuration of your own."
        raise BadCheckpoint(ckpt, "no settings of a training", "weights that tell how they were trained", cure)
    trained = description["settings"]
    found = [
        f"{name} {trained[name]!r} in the weights, {value!r} in the network"
        for name, value in shared.items()
        if name in trained and name not in _FREE and not is_same(plain(value), trained[name])
    ]
    if found:
        cure = "Leave these settings out, and those of the weights count; `maesil describe FILE` lists them."
        raise BadCheckpoint(ckpt, "; ".join(found), "settings that fit the weights", cure)
    return SimpleNamespace(**{**trained, **shared})
