"""Networks that say in their weights how they were built and what they were trained for.

Positions, numbers of heads and the token grid have no tensor of their own, so names and shapes let another network pass. The
description is one more tensor of the ``state_dict``, and loading compares it before anything is changed. Its length is fixed:
``monai.networks.copy_model_state``, which ``monai.bundle.load`` uses, skips a tensor of another shape without a word.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from maesil_monai.errors import UserError

DESCRIPTION_KEY = "_extra_state"  # torch's name for what get_extra_state gives
RECORD_KEY = "_training_record"  # what a weights file holds beside the description: long, and of no concern to a network
NUM_BYTES = 4096
FORMAT = 1
CONVERT = "weights that do not say of which network they are: `maesil convert FILE NEW_FILE` adds it, from their settings.json"
# Arguments that change how a network computes, and not what.
_FREE = ("activation_checkpointing",)
# What tensors mean apart from their shapes: then they are of no use elsewhere, whatever else may differ.
_MEANING = ("position", "num_heads", "patch_size", "kind", "masked", "window_hu", "resample_policy")
# Settings of the run that decide what voxels mean, before and behind the network.
_COMPARED = ("resample_policy", "cube_size", "spacing_mm", "window_hu", "normalise_patches")


class OtherNetwork(UserError, ValueError):
    """Weights of a network that was built or is fed in another way, though names and shapes may agree."""


class DescribedNetwork(nn.Module):
    """The base of the networks: keeps the constructor's arguments, and refuses weights of a network built with others.

    Args:
        arguments: of the constructor, such as its ``locals()``; of a module its class counts.

    Attributes:
        description: ``format``, ``network`` (``built_by`` and ``arguments``) and, once a run has said so, its ``settings`` of
            preprocessing, targets and masks.

    Example:
        >>> network = DescribedNetwork({"img_size": (16, 16, 16)})
        >>> network.description["network"]
        {'built_by': 'DescribedNetwork', 'arguments': {'img_size': [16, 16, 16]}}
        >>> network.load_state_dict(DescribedNetwork({"img_size": [32, 16, 16]}).state_dict())
        Traceback (most recent call last):
        maesil_monai.networks.described_network.OtherNetwork: img_size [32, 16, 16] in the weights, [16, 16, 16] in the network
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.description: dict[str, Any] = {"format": FORMAT}
        self.is_built_by(
            type(self).__name__, {key: value for key, value in arguments.items() if key not in ("self", "__class__")}
        )
        self.register_load_state_dict_pre_hook(_check)

    def is_built_by(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Says which class or function builds such a network, and from what."""
        self.description["network"] = {"built_by": name, "arguments": plain(arguments)}

    def is_trained_with(self, settings: Mapping[str, Any]) -> None:
        """Says with which settings of a run the network is trained, so that its weights tell how it is to be used."""
        self.description["settings"] = plain(settings)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads as every module does, once nothing differs; with ``strict=False`` what tensors mean must still be the same."""
        if strict:
            if DESCRIPTION_KEY not in state_dict:
                raise OtherNetwork(CONVERT)
            _refuse(differences(unpack(state_dict[DESCRIPTION_KEY]), self.description))
        return super().load_state_dict(state_dict, strict, assign)

    def get_extra_state(self) -> torch.Tensor:
        """Gives the description as a tensor, see :func:`pack`."""
        return pack(self.description)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Takes over what the weights say of their training, if they are of this very network."""
        theirs = unpack(state)
        if not differences(theirs, self.description):
            self.description = {**self.description, **theirs, "network": self.description["network"]}


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
        raise OtherNetwork(
            f"weights whose description cannot be read ({error}): expected those that maesil_monai wrote"
        ) from error
    if version != FORMAT:
        raise OtherNetwork(f"weights of format {version}: expected {FORMAT}. Use the version of maesil_monai that wrote them")
    return description


def differences(theirs: Mapping[str, Any], own: Mapping[str, Any], of_meaning: bool = False) -> list[str]:
    """Lists by name what two descriptions do not agree in; what only one of them knows is no difference.

    Args:
        theirs: of the weights.
        own: of the network.
        of_meaning: only what makes tensors mean something else: another decoder, head, size or grid does not. The decoder's
            heads count between decoders of the same kind.
    """
    first, second = theirs["network"], own["network"]
    if first["built_by"] != second["built_by"]:
        return [f"{first['built_by']} in the weights, {second['built_by']} in the network"]
    found = {**_compared(theirs), **first["arguments"]}
    expected = {**_compared(own), **second["arguments"]}
    counting = set(found)
    if of_meaning:
        counting &= {*_MEANING, *(["decoder_num_heads"] if found.get("decoder") == expected.get("decoder") else [])}
    return [
        f"{key} {found[key]!r} in the weights, {expected[key]!r} in the network"
        for key in found
        if key in expected and key in counting and key not in _FREE and not is_same(found[key], expected[key])
    ]


def is_same(found: Any, expected: Any) -> bool:
    """Compares values as JSON has them; a size may be one number or three.

    Example:
        >>> is_same([16, 16, 16], 16), is_same([16, 16, 32], 16), is_same(None, 16)
        (True, False, False)
    """
    if isinstance(found, list) != isinstance(expected, list):
        many, one = (found, expected) if isinstance(found, list) else (expected, found)
        return all(value == one for value in many)
    return bool(found == expected)


def _compared(description: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in description.get("settings", {}).items() if key in _COMPARED}


def _check(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: Any, unexpected: Any, errors: Any
) -> None:
    """Compares before a tensor is copied, and takes the training's record out, which is no tensor of the network."""
    assert isinstance(module, DescribedNetwork)
    state.pop(prefix + RECORD_KEY, None)
    packed = state.get(prefix + DESCRIPTION_KEY)
    if packed is not None:
        _refuse(differences(unpack(packed), module.description, of_meaning=True))


def _refuse(differing: list[str]) -> None:
    if differing:
        raise OtherNetwork("; ".join(differing))


def plain(value: Any) -> Any:
    """Gives a value as JSON has it; of a module the name of its class."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Real):  # numpy's too
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return type(value).__name__ if isinstance(value, nn.Module) else value
