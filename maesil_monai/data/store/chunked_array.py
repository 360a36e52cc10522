"""An array of an entry, read box by box: only the chunks below a box are fetched and decompressed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from maesil_monai.data.store.chunks import checksum, decode_chunk
from maesil_monai.data.store.folder_or_url import Place, Range
from maesil_monai.data.store.zarr_metadata import METADATA, ArrayLayout
from maesil_monai.data.volumes.bad_volume import BadVolume, UnreadableVolume
from maesil_monai.geometry import Box, Triple

_NOT_STORED = 2**64 - 1
_AGAIN = "Copy the entry again, or prepare it again."


class ChunkedArray:
    """An array in one shard. Nothing is read before it is needed; metadata and index are then kept, voxels are not.

    Zarr's own reader gives the same voxels in several times the time: it goes through a task and a thread for each chunk.

    Args:
        place: where the entry lies.
        path: of the array in the entry.
        dtypes: names of those it may have.
        shape: what it has to be; None: any.
    """

    def __init__(self, place: Place, path: str, dtypes: Sequence[str], shape: Triple | None = None) -> None:
        self.place = place
        self.path = path
        self.dtypes = tuple(dtypes)
        self.shape = shape
        self._layout: ArrayLayout | None = None
        self._index: np.ndarray | None = None

    @property
    def shard(self) -> str:
        """The file of the chunks, below the entry."""
        return f"{self.path}/c/0/0/0"

    @property
    def layout(self) -> ArrayLayout:
        """How the array is stored.

        Raises:
            BadVolume: DAMAGED, STORE_FORMAT, UNREADABLE.
        """
        if self._layout is None:
            try:
                layout = ArrayLayout.from_json(read_json(self.place, f"{self.path}/{METADATA}"))
                if layout.dtype.name not in self.dtypes:
                    raise ValueError(f"voxels of type {layout.dtype.name}")
            except FileNotFoundError as error:
                raise self._damaged(f"no {self.path}/{METADATA}") from error
            except ValueError as error:
                if isinstance(error, BadVolume):
                    raise
                found, cure = f"{self.path}: {error}", "Prepare the scan again."
                raise BadVolume("STORE_FORMAT", self.place.root, found, "an entry of this package", cure) from error
            if self.shape not in (None, layout.shape):
                raise self._damaged(f"{self.path} of shape {layout.shape} beside a scan of {self.shape}")
            self._layout = layout
        return self._layout

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return 0 if self._index is None else self._index.nbytes

    def read(self, box: Box) -> np.ndarray:
        """Reads the voxels of a box that lies inside the array.

        Returns:
            Shape stop - start on each axis, the stored dtype, C order.

        Raises:
            BadVolume: DAMAGED, if what is there is not what was written; NO_RANGES; UNREADABLE; STORE_FORMAT.
        """
        layout = self.layout
        out = np.empty([b - a for a, b in zip(*box, strict=True)], layout.dtype)
        scratch = np.empty(layout.chunk, layout.dtype)
        wanted = []
        for place, (offset, size) in self._below(box):
            # Where the chunk and the box meet, in voxels of the volume.
            first = [max(p * c, a) for p, c, a in zip(place, layout.chunk, box[0], strict=True)]
            last = [min((p + 1) * c, b) for p, c, b in zip(place, layout.chunk, box[1], strict=True)]
            target = tuple(slice(f - a, e - a) for f, e, a in zip(first, last, box[0], strict=True))
            inside = tuple(slice(f - p * c, e - p * c) for f, e, p, c in zip(first, last, place, layout.chunk, strict=True))
            if offset == _NOT_STORED:
                out[target] = layout.fill
            else:
                wanted.append((offset, size, target, inside))
        wanted.sort(key=lambda chunk: chunk[0])
        data = self._fetch([(offset, offset + size) for offset, size, _, _ in wanted])
        for chunk, (_, _, target, inside) in zip(data, wanted, strict=True):
            try:
                decode_chunk(chunk, scratch)
            except ValueError as error:
                raise self._damaged(str(error)) from error
            out[target] = scratch[inside]
        return out

    def _below(self, box: Box) -> Iterator[tuple[tuple[int, ...], list[int]]]:
        """Gives place in the grid, offset and size of each chunk below a box."""
        chunk, grid = self.layout.chunk, self.layout.grid
        i, j, k = (range(a // c, -(-b // c)) for a, b, c in zip(*box, chunk, strict=True))
        # In the file z runs slowest; the index is turned to the order of volumes.
        index = self._read_index().reshape(*reversed(grid), 2).transpose(2, 1, 0, 3)
        found = index[i.start : i.stop, j.start : j.stop, k.start : k.stop].reshape(-1, 2).tolist()
        return zip(product(i, j, k), found, strict=True)

    def _read_index(self) -> np.ndarray:
        if self._index is None:
            (data,) = self._fetch([(0, self.layout.index_bytes)])
            if data[-4:].tobytes() != checksum(data[:-4]):
                raise self._damaged("the index's checksum is wrong")
            self._index = data[:-4].view("<u8").copy()
        return self._index

    def _fetch(self, ranges: list[Range]) -> Iterator[np.ndarray]:
        """Reads runs of bytes, sorted by their place, those that lie close together at once."""
        groups: list[list[Range]] = []
        for start, stop in ranges:
            if groups and start - groups[-1][-1][1] <= self.place.gap_bytes:
                groups[-1].append((start, stop))
            else:
                groups.append([(start, stop)])
        if not groups:
            return
        spans = [(group[0][0], group[-1][1]) for group in groups]
        try:
            parts = self.place.read_ranges(self.shard, spans)
        except FileNotFoundError as error:
            raise self._damaged(f"no {self.shard}") from error
        except PermissionError as error:
            raise unreadable(self.place) from error
        for group, (begin, end), part in zip(groups, spans, parts, strict=True):
            if len(part) < end - begin:
                raise self._damaged(f"{self.shard} ends too early")
            if len(part) > end - begin:
                found = "a server that sends more than the range asked for"
                cure = "Serve the store with a server that knows them, such as nginx."
                raise BadVolume("NO_RANGES", self.place.root, found, "HTTP range requests", cure)
            view = np.frombuffer(part, dtype=np.uint8)
            yield from (view[start - begin : stop - begin] for start, stop in group)

    def _damaged(self, found: str) -> BadVolume:
        return BadVolume("DAMAGED", self.place.root, found, "an entry as it was written", _AGAIN)

    def __getstate__(self) -> dict[str, Any]:
        # The index is read again where the array is used: it may be large, and there are many entries.
        return {**self.__dict__, "_index": None}


def read_json(place: Place, name: str) -> Mapping[str, Any]:
    """Reads a metadata file.

    Raises:
        FileNotFoundError: if it is not there.
        BadVolume: DAMAGED, UNREADABLE.
    """
    try:
        content = json.loads(place.read(name))
    except PermissionError as error:
        raise unreadable(place) from error
    except ValueError as error:  # no JSON, or no text at all
        raise BadVolume("DAMAGED", place.root, f"{name} is no JSON", "Zarr metadata", _AGAIN) from error
    if not isinstance(content, dict):
        raise BadVolume("DAMAGED", place.root, f"{name} is no JSON object", "Zarr metadata", _AGAIN)
    return content


def unreadable(place: Place) -> UnreadableVolume:
    """Makes the error for an entry that this user may not read."""
    return UnreadableVolume(
        "UNREADABLE", place.root, "no permission to read", "a readable entry", "Change the files' permissions."
    )
