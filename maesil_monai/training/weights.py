"""Starting a network from the weights of another run, with an account of what was taken over."""

from __future__ import annotations

import logging
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from maesil_monai.errors import BadCheckpoint
from maesil_monai.training.checkpoints import verify_checkpoint
from maesil_monai.training.distributed import unwrap

SHOWN_NAMES = 3  # of each kind in a message

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Coverage:
    """Which tensors of a network came from a file.

    Attributes:
        loaded: names taken over.
        missing: names of the network that the file does not have; they keep their values.
        unexpected: names of the file that the network does not have.
        wrong_shape: names of both with different shapes; they keep their values.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for label, names in (("missing", self.missing), ("unexpected", self.unexpected), ("of wrong shape", self.wrong_shape)):
            shown = ", ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")
            parts.append(f"{len(names)} {label}" + (f" ({shown})" if names else ""))
        return "; ".join(parts)


def init_weights(network: torch.nn.Module, path: str | Path) -> Coverage:
    """Takes over the weights of a file where names and shapes agree, and logs what was and what was not.

    Args:
        network: the network, wrapped or not.
        path: a weights file (``model.pt``) or a training checkpoint, of which the averaged weights are taken where there are any.

    Returns:
        The account.

    Raises:
        BadCheckpoint: if the file is missing, damaged, no weights, or if nothing in it fits.

    Example:
        >>> import tempfile
        >>> from maesil_monai.training.checkpoints import save_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(Path(folder) / "model.pt", torch.nn.Linear(2, 3, bias=False).state_dict())
        ...     print(init_weights(torch.nn.Linear(2, 3), Path(folder) / "model.pt"))
        1 tensors loaded; 1 missing (bias); 0 unexpected; 0 of wrong shape
    """
    weights = read_weights(path)
    target = unwrap(network)
    own = target.state_dict()
    common = [name for name in own if name in weights]
    fitting = {name: weights[name] for name in common if own[name].shape == weights[name].shape}
    coverage = Coverage(
        loaded=tuple(fitting),
        missing=tuple(name for name in own if name not in weights),
        unexpected=tuple(name for name in weights if name not in own),
        wrong_shape=tuple(name for name in common if name not in fitting),
    )
    if not fitting:
        cure = "Use weights of the same architecture, or the settings they were trained with (settings.json beside them)."
        raise BadCheckpoint(path, str(coverage), f"weights of a {type(target).__name__}", cure)
    target.load_state_dict(fitting, strict=False)
    (logger.info if len(fitting) == len(own) == len(weights) else logger.warning)("weights of %s: %s", path, coverage)
    return coverage


def started_from(network: torch.nn.Module, path: str | Path | None) -> torch.nn.Module:
    """Gives the network with the weights of a file (:func:`init_weights`), or as it is when ``path`` is empty."""
    if path:
        init_weights(network, path)
    return network


class LoadWeights:
    """Loads a network's weights when an evaluator starts; every name and shape must agree.

    Args:
        network: the network, wrapped or not.
        path: as in :func:`init_weights`.

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
        coverage = init_weights(self.network, self.path)
        if coverage.missing or coverage.unexpected or coverage.wrong_shape:
            cure = "Use the settings it was trained with (settings.json beside it, as a last configuration file)."
            raise BadCheckpoint(self.path, str(coverage), "the weights of this network", cure)


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads the ``state_dict`` of a weights file or a training checkpoint onto the CPU, without running code from it.

    Raises:
        BadCheckpoint: see :func:`init_weights`.
    """
    if not Path(path).is_file():
        raise BadCheckpoint(path, "no such file", "weights or a training checkpoint", "Correct the path.")
    cure = "Copy the file again; do not use files that need code to load."
    if not zipfile.is_zipfile(path):
        raise BadCheckpoint(path, f"{Path(path).stat().st_size} bytes that are no torch archive", "weights", cure)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadCheckpoint(path, f"not readable: {error}", "weights or a training checkpoint", cure) from error
    if isinstance(content, Mapping) and "format_version" in content and "network" in content:
        verify_checkpoint(path)
        content = content.get("average", {}).get("module") or content["network"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise BadCheckpoint(path, "no state_dict", "a mapping of names to tensors", "Use model.pt or a training checkpoint.")
    return dict(content)
