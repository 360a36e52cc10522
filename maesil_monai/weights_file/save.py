"""Writes weights with what is known of them: ``model.pt``, which all tools of PyTorch and MONAI read, and safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from maesil_monai.networks.described_network import DESCRIPTION_KEY, RECORD_KEY, unpack
from maesil_monai.weights_file.checkpoint_files import needed_and_free, save_archive
from maesil_monai.weights_file.read import SAFETENSORS_SUFFIX
from maesil_monai.whole_files import write_whole


def save_weights(
    path: str | os.PathLike[str], weights: Mapping[str, torch.Tensor], record: Mapping[str, Any] | None = None
) -> None:
    """Writes a ``state_dict`` twice, whole or not at all: as a torch archive of flat tensors, and as safetensors beside it.

    Args:
        path: of the torch archive; the other file has the suffix ``.safetensors``.
        weights: tensors by name, with the description that
            :class:`~maesil_monai.networks.described_network.DescribedNetwork` adds.
        record: what else is to be told of the training, as plain values. In the archive it is one more tensor (JSON as uint8),
            which our networks pass over when they load it; in safetensors it stands in the metadata, as the description does.

    Raises:
        TypeError: for a value that is no tensor.
        OSError: if a file cannot be written; names the path, the bytes needed and the bytes free.
    """
    text = json.dumps(record or {}, separators=(",", ":"), allow_nan=False).encode("ascii")
    noted = {RECORD_KEY: torch.frombuffer(bytearray(text), dtype=torch.uint8)} if record else {}
    path = Path(path)
    beside = path.with_suffix(SAFETENSORS_SUFFIX) if path.suffix == ".pt" else path.with_name(path.name + SAFETENSORS_SUFFIX)
    about = {"format": "pt", "record": text.decode("ascii")}
    if DESCRIPTION_KEY in weights:
        about["description"] = json.dumps(unpack(weights[DESCRIPTION_KEY]))
    tensors = {name: value.detach().contiguous() for name, value in weights.items() if name != DESCRIPTION_KEY}
    content = save(tensors, about)
    beside.unlink(missing_ok=True)  # a kill in between may leave one file, never two of different weights
    save_archive(path, {**weights, **noted})
    with needed_and_free(beside, lambda: len(content)):
        write_whole(beside, content)
