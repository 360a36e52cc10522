"""Networks that say in their weights how they were built and what they were trained for.

Positions, numbers of heads and the token grid have no tensor of their own, so names and shapes let another network pass. The
description is one more tensor of the ``state_dict``, and loading compares it before anything is changed. Its length is fixed:
``monai.networks.copy_model_state``, which ``monai.bundle.load`` uses, skips a tensor of another shape without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

DESCRIPTION_KEY = "_extra_state"  # torch's name for what get_extra_state gives
RECORD_KEY = "_training_record"  # what a weights file holds beside the description: long, and of no concern to a network
NUM_BYTES = 4096
FORMAT = 1
CONVERT = (
    "weights that do not say of which network they are: `python -m maesil_monai convert FILE` adds it, from the settings.json "
    "of their run"
)
# Arguments that change how a network computes, and not what.
_FREE = ("activation_checkpointing",)
_COMPARED = ("preprocessing", "targets")


class OtherNetwork(ValueError):
    """Weights of a network that was built or is fed in another way, though names and shapes may agree."""


class DescribedNetwork(nn.Module):
    """The base of the networks: keeps the constructor's arguments, and refuses weights of a network built with others.

    ``strict=False`` refuses them too: partial loading is :func:`maesil_monai.weights_file.init_weights`.

    Args:
        arguments: of the constructor, such as its ``locals()``; of a module its class counts.

    Attributes:
        description: ``format``, ``network`` (``built_by`` and ``arguments``) and, once a run has said so, ``preprocessing``,
            ``targets`` and ``mask``. It may be added to, for what is saved later.

    Example:
        >>> network = DescribedNetwork({"img_size": (16, 16, 16)})
        >>> network.description["network"]
        {'built_by': 'DescribedNetwork', 'arguments': {'img_size': [16, 16, 16]}}
        >>> network.load_state_dict(DescribedNetwork({"img_size": [32, 16, 16]}).state_dict())
        Traceback (most recent call last):
        maesil_monai.networks.described.OtherNetwork: img_size [32, 16, 16] in the weights, [16, 16, 16] in the network
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.description: dict[str, Any] = {"format": FORMAT}
        self.is_built_by(type(self).__name__, {key: value for key, value in arguments.items() if key not in ("self", "__class__")})
        self.register_load_state_dict_pre_hook(_check)

    def is_built_by(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Says which class or function builds such a network, and from what."""
        self.description["network"] = {"built_by": name, "arguments": {key: _plain(arguments[key]) for key in arguments}}

    def get_extra_state(self) -> torch.Tensor:
        """Gives the description as a tensor, see :func:`pack`."""
        return pack(self.description)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Takes over what the weights say of their training; that the networks are alike was checked before."""
        own = self.description["network"]
        self.description = {**self.description, **unpack(state), "network": own}


def pack(description: Mapping[str, Any]) -> torch.Tensor:
    """Writes a description as JSON, filled up with blanks: uint8, shape (4096,).

    Raises:
        ValueError: if it is longer.

    Example:
        >>> unpack(pack({"format": 1}))
        {'format': 1}
    """
    text = json.dumps(description, separators=(",", ":")).encode("ascii")
    if len(text) > NUM_BYTES:
        raise ValueError(f"a description of {len(text)} bytes: expected at most {NUM_BYTES}. Keep long things in the record.")
    return torch.frombuffer(bytearray(text.ljust(NUM_BYTES)), dtype=torch.uint8)


def unpack(state: torch.Tensor) -> dict[str, Any]:
    """Reads what :func:`pack` wrote.

    Raises:
        OtherNetwork: for anything else, or a format that this version does not know.
    """
    try:
        description = json.loads(bytes(state.cpu().tolist()))
        version = description["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise OtherNetwork(f"weights whose description cannot be read ({error}): expected those that maesil_monai wrote") from error
    if version != FORMAT:
        raise OtherNetwork(f"weights of format {version}: expected {FORMAT}. Use the version of maesil_monai that wrote them")
    return description


def differences(theirs: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Lists by name what two descriptions do not agree in; what only one of them knows is no difference.

    Args:
        theirs: of the weights.
        own: of the network.
    """
    first, second = theirs["network"], own["network"]
    if first["built_by"] != second["built_by"]:
        return [f"{first['built_by']} in the weights, {second['built_by']} in the network"]
    pairs = [(first["arguments"], second["arguments"])]
    pairs += [(theirs[part], own[part]) for part in _COMPARED if part in theirs and part in own]
    return [
        f"{key} {found[key]!r} in the weights, {expected[key]!r} in the network"
        for found, expected in pairs
        for key in found
        if key in expected and key not in _FREE and found[key] != expected[key]
    ]


def _check(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: Any, unexpected: Any, errors: Any
) -> None:
    """Compares before a tensor is copied, and takes the training's record out, which is no tensor of the network."""
    assert isinstance(module, DescribedNetwork)
    state.pop(prefix + RECORD_KEY, None)
    packed = state.get(prefix + DESCRIPTION_KEY)
    if packed is None:
        if strict:
            raise OtherNetwork(CONVERT)
        return
    differing = differences(unpack(packed), module.description)
    if differing:
        raise OtherNetwork("; ".join(differing))


def _plain(value: Any) -> Any:
    """Gives a value as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return type(value).__name__ if isinstance(value, nn.Module) else value
