"""Weights that do not say what they are, from before they did: the settings of their run are added to them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks import build_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY
from maesil_monai.training.run_record import OVERLAY_NAME
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file.load import load_strictly
from maesil_monai.weights_file.read import Weights, read_weights
from maesil_monai.weights_file.save import save_weights


def convert(path: str | os.PathLike[str], output: str | os.PathLike[str], settings: str | os.PathLike[str] | None = None) -> None:
    """Writes weights anew, with a description of their network and how it is fed, and as safetensors beside them.

    Args:
        path: weights or a training checkpoint of a masked autoencoder, without a description.
        output: the file to write.
        settings: the ``settings.json`` of their run; None: the one beside them.

    Raises:
        FileNotFoundError: if there are no settings.
        BadCheckpoint: for weights that have a description already, or that do not fit the settings.
        ValueError: for settings that a run cannot have.
    """
    weights = read_weights(path)
    if DESCRIPTION_KEY in weights.tensors:
        raise BadCheckpoint(path, "weights that say what they are", "weights of before", "Use them as they are.")
    file = Path(path).with_name(OVERLAY_NAME) if settings is None else Path(settings)
    shared = {name: value for name, value in json.loads(file.read_text()).items() if name in RunSettings.names("shared")}
    for name, value in shared.items():
        RunSettings.check(name, value)
    keys = ("preset", "patch_size", "decoder", "patch_embedding", "head")
    network = build_network(img_size=shared["superpatch_size"], **{key: shared[key] for key in keys if key in shared})
    network.is_trained_with(shared)
    described = {**weights.tensors, DESCRIPTION_KEY: network.state_dict()[DESCRIPTION_KEY]}
    load_strictly(network, Weights(weights.path, described, {}), "Give the settings.json of the run that made them.")
    save_weights(output, network.state_dict(), weights.record)
