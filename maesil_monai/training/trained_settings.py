"""The settings that a trained network is used with: those of its training, as its weights tell them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks.described_network import differences, plain
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file.read import read_weights

_OF_NETWORK = {"superpatch_size": "img_size"}  # what a constructor calls it


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
    changes = {name: value for name, value in given.items() if value is not None}
    for name, value in changes.items():
        RunSettings.check(name, value)
    weights = read_weights(ckpt)
    description = weights.description
    if "settings" not in description:
        cure = "Use weights of the bundle's training, or give every setting in a configuration of your own."
        raise BadCheckpoint(ckpt, "no settings of a training", "weights that tell how they were trained", cure)
    trained = description["settings"]
    shared = {name: value for name, value in changes.items() if name in trained}
    asked = {
        "network": {**description["network"], "arguments": plain({_OF_NETWORK.get(name, name): shared[name] for name in shared})},
        "settings": plain(shared),
    }
    found = differences(description, asked)
    if "preset" in shared and shared["preset"] != trained["preset"]:
        found.insert(0, f"preset {trained['preset']!r} in the weights, {shared['preset']!r} in the network")
    if found:
        cure = "Leave these settings out, and those of the weights count; `maesil describe FILE` lists them."
        raise BadCheckpoint(ckpt, "; ".join(found), "settings that fit the weights", cure)
    return SimpleNamespace(**{**trained, **shared})
