"""Weights that do not say what they are, from before they did: the settings of their run are added to them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from maesil_monai.errors import BadCheckpoint, BadSetting
from maesil_monai.networks import build_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY
from maesil_monai.training.run_record import OVERLAY_NAME
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file.load import load_strictly
from maesil_monai.weights_file.read import Weights, read_weights
from maesil_monai.weights_file.save import save_weights

LATER = ("voxels_per_latent", "masked_input")  # settings of autoencoders, which older runs did not write down


def convert(path: str | os.PathLike[str], output: str | os.PathLike[str], settings: str | os.PathLike[str] | None = None) -> None:
    """Writes weights anew, with a description of their network and how it is fed, and as safetensors beside them.

    Args:
        path: weights or a training checkpoint of a masked autoencoder, without a description.
        output: the file to write.
        settings: the ``settings.json`` of their run; None: the one beside them.

    Raises:
        FileNotFoundError: if there are no settings.
        BadCheckpoint: for weights that have a description already, or that do not fit the settings.
        BadSetting: for settings that a run cannot have, or some that are missing.
    """
    weights = read_weights(path)
    if DESCRIPTION_KEY in weights.tensors:
        raise BadCheckpoint(path, "weights that say what they are", "weights of before", "Use them as they are.")
    file = Path(path).with_name(OVERLAY_NAME) if settings is None else Path(settings)
    try:
        content = dict(json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise BadSetting(f"{file}: {error}; expected the settings.json of a run, an object of settings.") from error
    shared: dict[str, Any] = {name: content.get(name) for name in RunSettings.names("shared")}
    for name, value in shared.items():
        if name not in content and name not in LATER:
            raise BadSetting(f"{file}: no {name}; expected {', '.join(shared)}. docs/configuration.md tells the defaults.")
        RunSettings.check(name, value)
    keys = ("preset", "patch_size", "decoder", "patch_embedding", "head")
    network = build_network(img_size=shared["superpatch_size"], **{key: shared[key] for key in keys})
    network.is_trained_with(shared)
    described = {**weights.tensors, DESCRIPTION_KEY: network.state_dict()[DESCRIPTION_KEY]}
    load_strictly(network, Weights(weights.path, described, {}), "Give the settings.json of the run that made them.")
    save_weights(output, network.state_dict(), weights.record)
