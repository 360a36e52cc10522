"""Reads weights with what they say of themselves, from every form they are kept in, without running code from the file."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks.described_network import CONVERT, DESCRIPTION_KEY, RECORD_KEY, OtherNetwork, pack, unpack
from maesil_monai.weights_file.checkpoint_files import verify_checkpoint

SAFETENSORS_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Weights:
    """The content of a file of weights.

    Attributes:
        path: the file.
        tensors: the network's ``state_dict`` on the CPU; with the description (``_extra_state``) where the file has one.
        record: what the file says of the training: ``settings``, ``patients`` (hashes), ``steps``, ``device_hours``,
            ``validations`` and more; empty where it says nothing.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    record: dict[str, Any]

    @property
    def description(self) -> dict[str, Any]:
        """How the network was built and what it was trained for.

        Raises:
            BadCheckpoint: for weights that do not say it.
        """
        if DESCRIPTION_KEY not in self.tensors:
            found, _, cure = CONVERT.partition(": ")
            raise BadCheckpoint(self.path, found, "weights with a description", f"{cure}.")
        try:
            return unpack(self.tensors[DESCRIPTION_KEY])
        except OtherNetwork as error:
            raise BadCheckpoint(self.path, str(error), "weights of this version", "Use the version that wrote it.") from error


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """Reads ``model.pt``, a training checkpoint (of which the averaged weights count, where there are any) or safetensors.

    Raises:
        BadCheckpoint: if the file is missing, damaged or holds no weights.

    Example:
        >>> import tempfile
        >>> from maesil_monai.weights_file.save import save_weights
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_weights(Path(folder) / "model.pt", torch.nn.Linear(2, 3).state_dict(), {"steps": 7})
        ...     found = read_weights(Path(folder) / "model.safetensors")
        >>> sorted(found.tensors), found.record
        (['bias', 'weight'], {'steps': 7})
    """
    path = Path(path)
    if not path.is_file():
        raise BadCheckpoint(path, "no such file", "weights or a training checkpoint", "Correct the path.")
    if path.suffix == SAFETENSORS_SUFFIX:
        return _read_safetensors(path)
    cure = "Copy the file again; do not use files that need code to load."
    if not zipfile.is_zipfile(path):
        raise BadCheckpoint(path, f"{path.stat().st_size} bytes that are no torch archive", "weights", cure)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise BadCheckpoint(path, f"not readable: {error}", "weights or a training checkpoint", cure) from error
    record: dict[str, Any] = {}
    is_checkpoint = isinstance(content, Mapping) and "format_version" in content and "network" in content
    if not is_checkpoint:
        with zipfile.ZipFile(path) as archive:  # torch does not look at its checksums
            damaged = archive.testzip()
        if damaged is not None:
            raise BadCheckpoint(path, f"damaged bytes (checksum of {damaged})", "the bytes that were written", cure)
    if is_checkpoint:
        verify_checkpoint(path)
        record = content.get("provenance", {})
        content = content.get("average", {}).get("module") or content["network"]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise BadCheckpoint(path, "no state_dict", "a mapping of names to tensors", "Use model.pt or a training checkpoint.")
    tensors = dict(content)
    if RECORD_KEY in tensors:
        record = json.loads(bytes(tensors.pop(RECORD_KEY).tolist()))
    return Weights(path, tensors, record)


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise BadCheckpoint(path, f"not readable: {error}", "safetensors", "Copy the file again.") from error
    try:
        if "description" in about:
            tensors[DESCRIPTION_KEY] = pack(json.loads(about["description"]))
        return Weights(path, tensors, dict(json.loads(about.get("record", "{}"))))
    except (ValueError, TypeError) as error:
        cure = "Use model.safetensors of a run, or model.pt."
        raise BadCheckpoint(path, f"metadata that are not ours: {error}", "those of maesil_monai", cure) from error
