"""The weights a run starts from, and those an evaluator judges."""

from __future__ import annotations

from pathlib import Path

import torch
from ignite.engine import Engine, Events

from maesil_monai.networks.described_network import DescribedNetwork
from maesil_monai.training.distributed import unwrap
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file.load import init_weights, load_strictly
from maesil_monai.weights_file.read import read_weights


def started_from(network: torch.nn.Module, path: str | Path | None, settings: RunSettings | None = None) -> torch.nn.Module:
    """Gives the network with the weights of a file, or as it is when ``path`` is empty.

    Args:
        network: as it was built.
        path: see :func:`~maesil_monai.weights_file.load.init_weights`, which may refuse it.
        settings: of the run, which the network's weights will tell.
    """
    if settings is not None and isinstance(network, DescribedNetwork):
        network.is_trained_with(settings.shared())
    if path:
        init_weights(network, path)
    return network


class LoadWeights:
    """Loads a network's weights when an evaluator starts; every name, shape and meaning must agree.

    Args:
        network: the network, wrapped or not.
        path: as in :func:`~maesil_monai.weights_file.read.read_weights`.

    Raises:
        BadCheckpoint: from the evaluator's run, if the file is missing, damaged or of another network; names what differs.
    """

    def __init__(self, network: torch.nn.Module, path: str | Path) -> None:
        self.network = network
        self.path = path

    def attach(self, engine: Engine) -> None:
        """Waits for an engine to start."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Loads the weights."""
        load_strictly(unwrap(self.network), read_weights(self.path))
