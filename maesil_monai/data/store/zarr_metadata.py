"""What the files of a store entry say: Zarr v3 metadata of its arrays, OME-NGFF 0.5 metadata of its groups.

    case.zarr/                  group: OME-NGFF image, and under "maesil" the affine and what the caller wants kept
      0/                        HU, int16
      labels/label/0/           optional: structures, uint8 or uint16
      labels/body/0/            optional: 1 in the body, uint8
      body_counts/              with the body: its voxels in each block of 8 x 8 x 8, uint16

The axes of the arrays are z, y, x, as OME-NGFF recommends and viewers expect; the voxels of a chunk lie in the package's own
order (right-left, back-front, S-I), by Zarr's transpose codec, so that a chunk becomes a part of a volume without turning it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maesil_monai.geometry import Triple

ENTRY_SUFFIX = ".zarr"
METADATA = "zarr.json"
IMAGE, LABEL, BODY, BODY_COUNTS = "0", "labels/label/0", "labels/body/0", "body_counts"
ENTRY_FORMAT = 1
# What volumes.body calls the mask it makes by default.
BODY_KEY = "body above -500 HU, opening 5 mm"

# Chosen by benchmarks/data.py. One Blosc block a chunk: the bytes then do not depend on the number of threads.
CHUNK: Triple = (32, 32, 32)
BLOSC: Mapping[str, Any] = {"cname": "zstd", "clevel": 5, "shuffle": "bitshuffle"}

AIR_HU = -1024


@dataclass(frozen=True)
class ArrayLayout:
    """How an array lies in its one shard. Sizes are in the order of volumes: right-left, back-front, S-I.

    Args:
        shape: voxels per axis.
        chunk: voxels per chunk and axis.
        dtype: of the voxels.
        fill: value of chunks that are not stored, and of what a chunk holds beyond the volume.
        blosc: name of the compressor, level and kind of shuffle.
    """

    shape: Triple
    chunk: Triple
    dtype: np.dtype
    fill: int = 0
    blosc: Mapping[str, Any] | None = None

    @property
    def grid(self) -> Triple:
        """Chunks per axis."""
        i, j, k = (-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))
        return i, j, k

    @property
    def index_bytes(self) -> int:
        """Size of the shard's index: offset and size of each chunk as uint64, then a CRC-32C."""
        return 16 * int(np.prod(self.grid)) + 4

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk before compression."""
        return int(np.prod(self.chunk)) * self.dtype.itemsize

    def to_json(self) -> dict[str, Any]:
        """Gives the array's ``zarr.json``."""
        chunk_zyx = list(reversed(self.chunk))
        shard_zyx = [g * c for g, c in zip(reversed(self.grid), chunk_zyx, strict=True)]
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        blosc = {"typesize": self.dtype.itemsize, **(self.blosc or BLOSC), "blocksize": self.chunk_bytes}
        sharding = {
            "chunk_shape": chunk_zyx,
            "codecs": [
                {"name": "transpose", "configuration": {"order": [2, 1, 0]}},
                little if self.dtype.itemsize > 1 else {"name": "bytes"},
                {"name": "blosc", "configuration": blosc},
                {"name": "crc32c"},
            ],
            "index_codecs": [little, {"name": "crc32c"}],
            # At the start its place is known from the metadata alone, also behind a URL.
            "index_location": "start",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(reversed(self.shape)),
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shard_zyx}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self.fill,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "dimension_names": ["z", "y", "x"],
            "attributes": {},
        }

    @classmethod
    def from_json(cls, metadata: Mapping[str, Any]) -> ArrayLayout:
        """Reads what :meth:`to_json` wrote; chunk, compressor and sizes are free.

        Raises:
            ValueError: if the array is stored in another way. The message names no file.
        """
        try:
            sharding = metadata["codecs"][0]["configuration"]
            i, j, k = (int(n) for n in reversed(metadata["shape"]))
            p, q, r = (int(n) for n in reversed(sharding["chunk_shape"]))
            blosc = dict(sharding["codecs"][2]["configuration"])
            layout = cls((i, j, k), (p, q, r), np.dtype(str(metadata["data_type"])), int(metadata["fill_value"]), blosc)
            if min(*layout.shape, *layout.chunk) < 1:
                raise ValueError("a size")
            known = {**metadata, "attributes": {}}
            known.pop("storage_transformers", None)
            same = layout.to_json() == known
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"array metadata without {error}") from error
        if not same:
            raise ValueError("an array that is stored in another way")
        return layout


def entry_json(
    affine: np.ndarray, original_affine: np.ndarray, labels: Sequence[str], body_key: str | None, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Gives the ``zarr.json`` of an entry.

    Args:
        affine: voxel to world (RAS+, mm) in the order of volumes, shape (4, 4).
        original_affine: of the file the scan came from, shape (4, 4).
        labels: names of the groups below ``labels``.
        body_key: how the body mask was made; None: there is none.
        attributes: kept as they are; plain JSON values.
    """
    maesil = {
        "format": ENTRY_FORMAT,
        "affine": np.asarray(affine, dtype=np.float64).tolist(),
        "original_affine": np.asarray(original_affine, dtype=np.float64).tolist(),
        "labels": list(labels),
        "body_key": body_key,
        "attributes": dict(attributes),
    }
    return _group({"ome": {"version": "0.5", "multiscales": [_multiscale("ct", affine)]}, "maesil": maesil})


def labels_json(labels: Sequence[str]) -> dict[str, Any]:
    """Gives the ``zarr.json`` of the group of label images."""
    return _group({"ome": {"version": "0.5", "labels": list(labels)}})


def label_image_json(name: str, affine: np.ndarray) -> dict[str, Any]:
    """Gives the ``zarr.json`` of one label image."""
    image_label = {"source": {"image": "../../"}}
    return _group({"ome": {"version": "0.5", "multiscales": [_multiscale(name, affine)], "image-label": image_label}})


def to_bytes(content: Mapping[str, Any]) -> bytes:
    """Writes JSON in one form only, so that the same content is the same bytes.

    Raises:
        ValueError: for NaN and infinite numbers, which JSON does not know.
    """
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode("utf-8")


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _multiscale(name: str, affine: np.ndarray) -> dict[str, Any]:
    # NGFF 0.5 knows scale and translation only; an oblique scan's turn is in the affine beside it.
    matrix = np.asarray(affine, dtype=np.float64)
    scale = np.linalg.norm(matrix[:3, :3], axis=0)[::-1].tolist()
    transformations = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": matrix[2::-1, 3].tolist()}]
    return {
        "name": name,
        "axes": [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
    }
