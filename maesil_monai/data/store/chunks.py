"""One chunk of an array: Blosc around the voxels, and a CRC-32C behind, for Blosc itself does not see a flipped bit."""

from __future__ import annotations

import google_crc32c
import numpy as np
from numcodecs import blosc

from maesil_monai.data.store.zarr_metadata import BLOSC, ArrayLayout

_SHUFFLES = {"noshuffle": blosc.NOSHUFFLE, "shuffle": blosc.SHUFFLE, "bitshuffle": blosc.BITSHUFFLE}


def encode_chunk(voxels: np.ndarray, layout: ArrayLayout) -> bytes:
    """Compresses a whole chunk.

    Args:
        voxels: shape ``layout.chunk``, its dtype, C order.
        layout: of the array.

    Returns:
        The same bytes for the same voxels, whatever the number of threads.
    """
    how = layout.blosc or BLOSC
    data = blosc.compress(
        voxels, how["cname"].encode(), how["clevel"], _SHUFFLES[how["shuffle"]], layout.chunk_bytes, layout.dtype.itemsize
    )
    return data + checksum(data)


def decode_chunk(data: np.ndarray, out: np.ndarray) -> None:
    """Decompresses a chunk.

    Args:
        data: what :func:`encode_chunk` gave, uint8, shape (bytes,).
        out: array of the chunk's shape and dtype, C order, which is filled.

    Raises:
        ValueError: if the checksum is another one, or the chunk does not fill ``out``.
    """
    if data[-4:].tobytes() != checksum(data[:-4]):
        raise ValueError("a chunk's checksum is wrong")
    # The checksum holds, so this is what was written; bytes 4 to 8 of Blosc's header say how many it will write into out.
    if len(data) < 20 or int.from_bytes(data[4:8].tobytes(), "little") != out.nbytes:
        raise ValueError("a chunk is of another size")
    blosc.decompress(data[:-4], out)


def checksum(data: bytes | np.ndarray) -> bytes:
    """Gives the CRC-32C of bytes as Zarr stores it: four bytes, the lowest first."""
    return int(google_crc32c.value(data)).to_bytes(4, "little")
