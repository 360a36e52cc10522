"""From a file of weights to a network: the one it describes, or another one that takes over what has the same meaning."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from maesil_monai.errors import BadCheckpoint, BadSetting
from maesil_monai.networks import PRESETS, MaskedAutoEncoder3D, SliceMaskedAutoEncoder, build_autoencoder, build_network
from maesil_monai.networks.described_network import DESCRIPTION_KEY, DescribedNetwork, OtherNetwork, differences, is_same, plain
from maesil_monai.weights_file.read import Weights, read_weights

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "MaskedAutoEncoder3D": MaskedAutoEncoder3D,
    "SliceMaskedAutoEncoder": SliceMaskedAutoEncoder,
    "build_autoencoder": build_autoencoder,
}
SETTING_OF = {"img_size": "superpatch_size"}  # what a run calls an argument of a network
LEAVE_OUT = "Leave out the settings that the file knows, or start from it with init_weights."
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

    @property
    def is_complete(self) -> bool:
        """Tells whether every tensor of the network came from the file, and every one of the file was taken."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded"]
        for label, names in (("missing", self.missing), ("unexpected", self.unexpected), ("of wrong shape", self.wrong_shape)):
            shown = ", ".join(names[:SHOWN_NAMES]) + (f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else "")
            parts.append(f"{len(names)} {label}" + (f" ({shown})" if names else ""))
        return "; ".join(parts)


def load_network(path: str | os.PathLike[str], **changes: Any) -> nn.Module:
    """Builds the network that a file of weights describes, with these weights, ready for use.

    Args:
        path: ``model.pt``, its safetensors form, or a training checkpoint.
        changes: arguments of its constructor to be changed: ``img_size`` (another grid, of fixed positions), ``decoder`` or
            ``head``. What then has no weights starts at random; the log says what was taken over.

    Returns:
        The network on the CPU in evaluation mode; its ``description`` tells preprocessing and masks.

    Raises:
        BadCheckpoint: if the file is missing, damaged, does not describe its network, or the changes alter what its tensors
            mean.
        BadSetting: for a change of what its network has not.

    Example:
        >>> import tempfile
        >>> from maesil_monai.weights_file import save_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(Path(folder) / "model.pt", build_network("tiny", img_size=32).state_dict())
        ...     load_network(Path(folder) / "model.pt", img_size=(32, 32, 64)).grid
        (4, 4, 8)
    """
    weights = read_weights(path)
    network = _build(weights, changes)
    coverage = take_over(network, weights) if changes else load_strictly(network, weights)
    trained = weights.description.get("settings")
    if changes and trained and isinstance(network, DescribedNetwork):
        named = {SETTING_OF.get(name, name): value for name, value in changes.items()}
        network.is_trained_with({**trained, **{name: value for name, value in named.items() if name in trained}})
    logger.info("network of %s: %s", path, coverage)
    return network.eval()


def network_of(path: str | os.PathLike[str], **given: Any) -> nn.Module:
    """Builds the network that a file of weights describes, without its weights: for configurations that load them later.

    Args:
        path: as in :func:`load_network`. Where there is no such file, the network is built from ``given`` alone.
        given: arguments of :func:`~maesil_monai.networks.build_network`; None, and what the run was set to, stand for what the
            file says. Others build the network asked for, which then refuses the weights by name.

    Example:
        >>> network_of("none.pt", preset="tiny", img_size=32, decoder=None).grid
        (4, 4, 4)
    """
    changes = {key: value for key, value in given.items() if value is not None}
    if not Path(path).is_file():
        return build_network(**changes)
    weights = read_weights(path)
    trained = weights.description.get("settings", {})
    same = {name for name, value in changes.items() if is_same(plain(value), trained.get(SETTING_OF.get(name, name), ...))}
    return _build(weights, {name: value for name, value in changes.items() if name not in same})


def init_weights(network: nn.Module, path: str | os.PathLike[str]) -> Coverage:
    """Takes over the weights of a file where names and shapes agree, and logs what was and what was not.

    Args:
        network: the network, not wrapped.
        path: as in :func:`load_network`.

    Returns:
        The account.

    Raises:
        BadCheckpoint: if the file is missing, damaged or no weights, if its tensors would mean something else in the network
            (other positions, heads, patches or window), or if nothing in it fits.
    """
    coverage = take_over(network, read_weights(path))
    (logger.info if coverage.is_complete else logger.warning)("weights of %s: %s", path, coverage)
    return coverage


def load_strictly(network: nn.Module, weights: Weights, cure: str = LEAVE_OUT) -> Coverage:
    """Loads weights into the network they are of.

    Args:
        network: not wrapped.
        weights: from :func:`~maesil_monai.weights_file.read.read_weights`.
        cure: what to do about others, for the error.

    Raises:
        BadCheckpoint: for those of a network that was built or is fed in another way; names what differs.
    """
    coverage = _cover(network, weights)
    try:
        if isinstance(network, DescribedNetwork):
            found = differences(weights.description, network.description)
            if found:
                raise OtherNetwork("; ".join(found))
        if not coverage.is_complete:
            raise OtherNetwork(str(coverage))
        network.load_state_dict(weights.tensors)
    except OtherNetwork as error:
        raise BadCheckpoint(weights.path, str(error), f"the weights of this {type(network).__name__}", cure) from error
    return coverage


def take_over(network: nn.Module, weights: Weights) -> Coverage:
    """Loads what has the same name, shape and meaning; see :func:`init_weights`."""
    coverage = _cover(network, weights)
    if isinstance(network, DescribedNetwork):
        found = differences(weights.description, network.description, of_meaning=True)
        if found:
            cure = "Build the network with what the weights have, or start from others."
            raise BadCheckpoint(weights.path, "; ".join(found), "weights whose tensors mean the same in the network", cure)
    if not coverage.loaded:
        cure = "Use weights of the same architecture; `maesil describe FILE` tells which they are of."
        raise BadCheckpoint(weights.path, str(coverage), f"weights of a {type(network).__name__}", cure)
    network.load_state_dict({name: weights.tensors[name] for name in coverage.loaded}, strict=False)
    return coverage


def _build(weights: Weights, changes: Mapping[str, Any]) -> nn.Module:
    """Builds the network of a file, some of its arguments changed."""
    described = weights.description["network"]
    name, arguments = described["built_by"], described["arguments"]
    if name not in BUILDERS:
        cure = "Build it as it was, and call its load_state_dict."
        raise BadCheckpoint(weights.path, f"a network of {name}", f"one of {', '.join(BUILDERS)}", cure)
    if "preset" not in arguments and changes.get("preset") in PRESETS:
        changes = {**PRESETS[changes["preset"]], **{key: value for key, value in changes.items() if key != "preset"}}
    unknown = [f"{key}={value!r}" for key, value in changes.items() if key not in arguments]
    if unknown:
        raise BadSetting(f"{weights.path}: {', '.join(unknown)} for its {name}; expected changes of {', '.join(arguments)}.")
    return BUILDERS[name](**{**arguments, **changes})


def _cover(network: nn.Module, weights: Weights) -> Coverage:
    own = {name: value for name, value in network.state_dict().items() if name != DESCRIPTION_KEY}
    given = {name: value for name, value in weights.tensors.items() if name != DESCRIPTION_KEY}
    common = [name for name in own if name in given]
    fitting = [name for name in common if own[name].shape == given[name].shape]
    return Coverage(
        loaded=tuple(fitting),
        missing=tuple(name for name in own if name not in given),
        unexpected=tuple(name for name in given if name not in own),
        wrong_shape=tuple(name for name in common if name not in fitting),
    )
