"""Entries of a store as sources: the scan, its label and its body, each read where it is wanted."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from maesil_monai.data.store.body_counts import BLOCK, BodyCounts
from maesil_monai.data.store.chunked_array import ChunkedArray, read_json
from maesil_monai.data.store.folder_or_url import Folder, Place, place_of
from maesil_monai.data.store.zarr_metadata import BODY, BODY_COUNTS, ENTRY_FORMAT, ENTRY_SUFFIX, IMAGE, LABEL, METADATA
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volumes.volume_source import ArraySource, VolumeSource
from maesil_monai.geometry import Box

_IN_ENTRY = re.compile(rf"(.*?{re.escape(ENTRY_SUFFIX)})(?:/+(.*?))?/*", re.DOTALL)


def is_entry(path: str | os.PathLike[str]) -> bool:
    """Tells by the name alone whether a path or URL is an entry of a store, or a label in one.

    Example:
        >>> is_entry("store/lidc/0314.zarr"), is_entry("http://host/0314.zarr/labels/label"), is_entry("0314.nii.gz")
        (True, True, False)
    """
    return _IN_ENTRY.fullmatch(os.fspath(path)) is not None


def open_entry(path: str | os.PathLike[str]) -> VolumeSource:
    """Opens an entry of a store; no voxel is read yet.

    Args:
        path: the entry (``case.zarr``), or a label in it (``case.zarr/labels/label``, ``case.zarr/labels/body``); a path, or a
            URL that fsspec knows.

    Returns:
        A :class:`StoreSource`, or the source of the label.

    Raises:
        MissingVolume: MISSING; NO_LABEL.
        BadVolume: NOT_AN_ENTRY, also for one whose writing was cut off; STORE_FORMAT, DAMAGED, UNREADABLE. Errors of the network
            pass through, for they say nothing about the scan.
    """
    match = _IN_ENTRY.fullmatch(os.fspath(path))
    if match is None:
        raise BadVolume("NOT_AN_ENTRY", path, "another name", f"a name with {ENTRY_SUFFIX}", "Name an entry of a store.")
    entry = StoreSource(match[1])
    inside = match[2] or ""
    if not inside:
        return entry
    labels = {"labels/label": entry.label, "labels/body": entry.body}
    source = labels.get(inside)
    if source is None:
        there = [name for name, known in labels.items() if known is not None]
        raise MissingVolume(
            "NO_LABEL", path, f"no {inside} in the entry", f"one of: {', '.join(there) or 'none'}", "Leave the label out."
        )
    return source


class StoreSource(VolumeSource):
    """A scan in a store, int16 HU; a box costs the chunks below it.

    It may be pickled and forked at any time. It keeps indexes and the block counts of the body, half a MB for a scan of
    512 x 512 x 200 voxels, but no voxels.

    Args:
        path: the entry, a path or a URL.

    Attributes:
        attributes: what the writer was given to keep.
        label: source of the structures, uint8 (int32 where stored as uint16), or None.
        body: source of the mask of the body, or None; ``derived`` has it under the key of its making.

    Raises:
        BadVolume: see :func:`open_entry`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        place = place_of(path)
        root = _root_metadata(place)
        voxels = ChunkedArray(place, IMAGE, ("int16",))
        shape = voxels.layout.shape
        try:
            super().__init__(shape, np.array(root["affine"]), place.root, np.array(root["original_affine"]))
            self.attributes: dict[str, Any] = dict(root["attributes"])
            labels, body_key = list(root["labels"]), root["body_key"]
        except (KeyError, TypeError, ValueError) as error:
            raise BadVolume(
                "DAMAGED", place.root, f"metadata: {error}", "an entry as it was written", "Prepare it again."
            ) from error
        self._voxels = voxels
        self.label: StoredLabel | None = None
        self.body: StoredBody | None = None
        if "label" in labels:
            self.label = StoredLabel(ChunkedArray(place, LABEL, ("uint8", "uint16"), shape), self)
        if body_key is not None:
            self.body = StoredBody(place, self)
            self.derived[str(body_key)] = self.body

    @property
    def nbytes(self) -> int:
        return self._voxels.nbytes + (0 if self.label is None else self.label.nbytes) + super().nbytes

    def _read(self, box: Box) -> torch.Tensor:
        return torch.from_numpy(self._voxels.read(box))[None]


class StoredLabel(VolumeSource):
    """The structures of a scan in a store.

    Args:
        voxels: where they are.
        scan: gives grid and name.
    """

    def __init__(self, voxels: ChunkedArray, scan: VolumeSource) -> None:
        super().__init__(scan.shape, scan.affine, scan.name, scan.original_affine)
        self._voxels = voxels

    @property
    def nbytes(self) -> int:
        return self._voxels.nbytes + super().nbytes

    def _read(self, box: Box) -> torch.Tensor:
        values = self._voxels.read(box)
        # Few operations of torch know uint16.
        return torch.from_numpy(values if values.dtype == np.uint8 else values.astype(np.int32))[None]


class StoredBody(ArraySource):
    """The mask of the body of a scan in a store; its array is read on the first look at it.

    Args:
        place: the entry.
        scan: gives grid and name.
    """

    def __init__(self, place: Place, scan: VolumeSource) -> None:
        # Not ArraySource's own: there is no array yet.
        VolumeSource.__init__(self, scan.shape, scan.affine, scan.name, scan.original_affine)
        blocks = tuple(-(-n // BLOCK) for n in scan.shape)
        self._voxels = ChunkedArray(place, BODY, ("uint8",), scan.shape)
        self._stored_counts = ChunkedArray(place, BODY_COUNTS, ("uint16",), (blocks[0], blocks[1], blocks[2]))

    @cached_property
    def array(self) -> np.ndarray:  # type: ignore[override]
        return self._voxels.read(((0, 0, 0), self.shape)).view(np.bool_)

    @cached_property
    def counts(self) -> BodyCounts:
        """Body in blocks of 8 x 8 x 8 voxels."""
        layout = self._stored_counts.layout
        return BodyCounts(self._stored_counts.read(((0, 0, 0), layout.shape)), self.shape)

    @property
    def nbytes(self) -> int:
        held = [self.__dict__[name].nbytes for name in ("array", "counts") if name in self.__dict__]
        return sum(held) + self._voxels.nbytes + VolumeSource.nbytes.__get__(self)

    def _read(self, box: Box) -> torch.Tensor:
        return torch.from_numpy(self._voxels.read(box).view(np.bool_))[None]

    def _share(self, box: Box) -> float:
        # In constant time; BodyCounts says how exactly.
        return self.counts.count(box) / math.prod(b - a for a, b in zip(*box, strict=True))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("array", "counts")}


def _root_metadata(place: Place) -> Mapping[str, Any]:
    """Reads what the package wrote about an entry."""
    try:
        root = read_json(place, METADATA)
    except FileNotFoundError as error:
        if isinstance(place, Folder) and os.path.isdir(place.root):  # noqa: PTH112
            raise _no_entry(place, f"no {METADATA} in it") from error
        raise MissingVolume("MISSING", place.root, "no such entry", "an entry of a store", "Check the path.") from error
    except NotADirectoryError as error:
        raise _no_entry(place, "a file") from error
    attributes = root.get("attributes")
    maesil = attributes.get("maesil") if isinstance(attributes, dict) else None
    if not isinstance(maesil, dict):
        raise _no_entry(place, "a Zarr group of another program")
    if maesil.get("format") != ENTRY_FORMAT:
        raise BadVolume(
            "STORE_FORMAT", place.root, f"format {maesil.get('format')}", f"format {ENTRY_FORMAT}", "Prepare the scan again."
        )
    return maesil


def _no_entry(place: Place, found: str) -> BadVolume:
    return BadVolume("NOT_AN_ENTRY", place.root, found, "a whole entry of a store", "Prepare the scan again.")
