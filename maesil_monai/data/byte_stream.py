"""The bytes of a file, plain or gzip, to the very end: a gzip checksum that nobody reads protects nobody."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from maesil_monai.data.bad_volume import BadVolume

GZIP_MAGIC = b"\x1f\x8b"
# Deflate cannot expand more than this: a header that claims more than the file can hold is refused before memory is asked for.
GZIP_MAX_RATIO = 1032
_CHUNK_BYTES = 2**22


def read_chunks(path: str | os.PathLike[str], gzip: bool) -> Iterator[bytes]:
    """Gives the content of a file piece by piece, at most 4 MiB each.

    Args:
        path: a regular file.
        gzip: whether the file is a gzip stream; length and CRC of every member are checked when its end is reached.

    Raises:
        BadVolume: NOT_GZIP, GZIP_DAMAGED, TRUNCATED.
    """
    with Path(path).open("rb") as file:
        pieces = iter(lambda: file.read(_CHUNK_BYTES), b"")
        yield from _inflate(path, pieces) if gzip else pieces


def _inflate(path: str | os.PathLike[str], pieces: Iterator[bytes]) -> Iterator[bytes]:
    # wbits = 31 is zlib's word for "a gzip wrapper, whose checksum is verified".
    inflater = zlib.decompressobj(wbits=31)
    first = True
    pending = next(pieces, b"")
    while pending:
        if first and not pending.startswith(GZIP_MAGIC):
            raise BadVolume("NOT_GZIP", path, "a file that is not compressed", "gzip, by its name", "Rename it without .gz.")
        first = False
        try:
            yield inflater.decompress(pending, _CHUNK_BYTES)
        except zlib.error as error:
            raise BadVolume(
                "GZIP_DAMAGED", path, f"a damaged gzip stream ({error})", "an intact one", "Copy the file again from its origin."
            ) from error
        pending = inflater.unconsumed_tail
        if inflater.eof:
            # Another member may follow, or zeros up to a block boundary.
            pending = inflater.unused_data.lstrip(b"\0")
            inflater = zlib.decompressobj(wbits=31)
            while not pending and (piece := next(pieces, b"")):
                pending = piece.lstrip(b"\0")
            if not pending:
                return
        pending = pending or next(pieces, b"")
    raise BadVolume("TRUNCATED", path, "a gzip stream that breaks off", "its end", "Copy the file again from its origin.")
