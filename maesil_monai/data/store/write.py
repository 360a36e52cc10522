"""Writing an entry: whole or not at all, and the same bytes for the same scan."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from maesil_monai.data.store.body_counts import count_blocks
from maesil_monai.data.store.chunks import checksum, encode_chunk
from maesil_monai.data.store.zarr_metadata import (
    AIR_HU,
    BODY,
    BODY_COUNTS,
    BODY_KEY,
    CHUNK,
    ENTRY_SUFFIX,
    IMAGE,
    LABEL,
    METADATA,
    ArrayLayout,
    entry_json,
    label_image_json,
    labels_json,
    to_bytes,
)
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.geometry import Box, Triple
from maesil_monai.interpolation import slices_of
from maesil_monai.whole_files import sync_folder, whole_file, write_whole

_LABEL_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


def write_entry(
    path: str | os.PathLike[str],
    source: VolumeSource,
    body: np.ndarray | None,
    label: np.ndarray | None,
    attributes: Mapping[str, Any],
    body_key: str = BODY_KEY,
) -> None:
    """Writes a scan as an entry of a store; an entry that is there already is replaced.

    The files are made in a hidden folder beside (``.NAME.partial``), brought safely to the disk and then renamed, so that
    an entry under its own name is whole, whenever the process is killed. What a kill leaves behind is removed by the next call.

    Args:
        path: the entry, a folder whose name ends in ``.zarr``; folders above it are made.
        source: the scan, in RAS orientation; int16, or float32, which is rounded to whole HU.
        body: mask of the body, bool, shape of the scan.
        label: structures, uint8 or uint16, shape of the scan.
        attributes: kept with the entry as they are; plain JSON values. Nothing else tells where the scan came from.
        body_key: what transforms look the mask up by, see :attr:`VolumeSource.derived`.

    Raises:
        ValueError: for another suffix, shape or dtype, for two voxels at one place of a box, or attributes that JSON cannot hold.
        OSError: if the disk is full, for instance; nothing is left of the entry then.
    """
    final = Path(path)
    if final.suffix != ENTRY_SUFFIX:
        raise ValueError(f"{final}: the name of an entry ends in {ENTRY_SUFFIX}.")
    _check_array("body", body, (np.dtype(np.bool_),), source.shape)
    _check_array("label", label, _LABEL_DTYPES, source.shape)
    names = [name for name, array in (("label", label), ("body", body)) if array is not None]
    key = None if body is None else body_key
    # Metadata come first, for they may raise.
    metadata = to_bytes(entry_json(source.affine, source.original_affine, names, key, attributes))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (final.with_name(f".{final.name}.{state}") for state in ("partial", "old"))
    _remove(partial)
    try:
        image = ArrayLayout(source.shape, CHUNK, np.dtype(np.int16), AIR_HU)
        write_array(partial / IMAGE, image, lambda box: _whole_hu(source.read(box)[0].numpy()))
        for name, array, place in (("label", label, LABEL), ("body", body, BODY)):
            if array is not None:
                _write_label(partial / place, name, array, source.affine)
        if body is not None:
            counts = count_blocks(body)
            shape = (counts.shape[0], counts.shape[1], counts.shape[2])
            write_array(partial / BODY_COUNTS, ArrayLayout(shape, shape, counts.dtype), _reader(counts))
        if names:
            write_whole(partial / "labels" / METADATA, to_bytes(labels_json(names)))
        # An entry is known by this file, so it comes last.
        write_whole(partial / METADATA, metadata)
        for folder in sorted((p for p in partial.rglob("*") if p.is_dir()), reverse=True):
            sync_folder(folder)
        sync_folder(partial)
        _remove(old)
        if final.exists():
            final.rename(old)
        partial.rename(final)
        sync_folder(final.parent)
    finally:
        _remove(partial)
    _remove(old)


def _check_array(name: str, array: np.ndarray | None, dtypes: tuple[np.dtype, ...], shape: Triple) -> None:
    if array is not None and (array.shape != shape or array.dtype not in dtypes):
        raise ValueError(
            f"{name} of shape {array.shape} and dtype {array.dtype}: expected the scan's shape {shape} and "
            f"{' or '.join(dtype.name for dtype in dtypes)}."
        )


def _whole_hu(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.int16:
        return values
    limits = np.iinfo(np.int16)
    return np.rint(values).clip(limits.min, limits.max).astype(np.int16)


def _reader(array: np.ndarray) -> Callable[[Box], np.ndarray]:
    return lambda box: array[slices_of(box)]


def _write_label(folder: Path, name: str, array: np.ndarray, affine: np.ndarray) -> None:
    values = array.view(np.uint8) if array.dtype == np.bool_ else array
    layout = ArrayLayout((array.shape[0], array.shape[1], array.shape[2]), CHUNK, values.dtype)
    write_array(folder, layout, _reader(values))
    write_whole(folder.parent / METADATA, to_bytes(label_image_json(name, affine)))


def write_array(folder: Path, layout: ArrayLayout, read: Callable[[Box], np.ndarray]) -> None:
    """Writes metadata and the one shard, chunk by chunk, so that no second copy of the volume is made."""
    write_whole(folder / METADATA, to_bytes(layout.to_json()))
    index = np.full((int(np.prod(layout.grid)), 2), 2**64 - 1, dtype="<u8")
    with whole_file(folder / "c" / "0" / "0" / "0") as file:
        file.write(bytes(layout.index_bytes))
        for number, chunk in enumerate(_chunks(layout, read)):
            # Chunks of nothing but the fill value are not stored; whoever reads knows that.
            if (chunk != layout.fill).any():
                data = encode_chunk(chunk, layout)
                index[number] = file.tell(), len(data)
                file.write(data)
        file.seek(0)
        file.write(index.tobytes() + checksum(index.tobytes()))


def _chunks(layout: ArrayLayout, read: Callable[[Box], np.ndarray]) -> Iterator[np.ndarray]:
    """Gives the chunks in the order of the index, z slowest; all in one array, which is filled again for each."""
    out = np.empty(layout.chunk, layout.dtype)
    (c_x, c_y, c_z), (n_x, n_y, n_z) = layout.chunk, layout.grid
    for k, j, i in product(range(n_z), range(n_y), range(n_x)):
        start = (i * c_x, j * c_y, k * c_z)
        x, y, z = (min(a + c, n) for a, c, n in zip(start, layout.chunk, layout.shape, strict=True))
        values = read((start, (x, y, z)))
        if values.shape != out.shape:
            out.fill(layout.fill)
        out[: values.shape[0], : values.shape[1], : values.shape[2]] = values
        yield out


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
