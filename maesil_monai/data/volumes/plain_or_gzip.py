"""The bytes of a file, plain or gzip, to the very end: a gzip checksum that nobody reads protects nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from isal import isal_zlib

from maesil_monai.data.volumes.bad_volume import BadVolume

COPY_AGAIN = "Copy the file again from its origin."
GZIP_MAGIC = b"\x1f\x8b"
# Deflate cannot expand more than this: a header that claims more than the file can hold is refused before memory is asked for.
GZIP_MAX_RATIO = 1032
# Small pieces stay in the processor's cache while they are inflated, converted and judged; larger ones are slower.
_IN_BYTES = 2**17
_OUT_BYTES = 2**20
# isal types its exception as an instance of one.
_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]


def is_gzip(path: str | os.PathLike[str]) -> bool:
    """Tells from its first two bytes whether a file is a gzip stream, whatever its name says."""
    with Path(path).open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def read_chunks(path: str | os.PathLike[str], gzip: bool) -> Iterator[bytes]:
    """Gives the content of a file piece by piece, at most 1 MiB each, none of them empty.

    Args:
        path: a regular file.
        gzip: whether the file is a gzip stream; length and CRC of every member are checked when its end is reached.

    Raises:
        BadVolume: GZIP_DAMAGED, TRUNCATED.
    """
    with Path(path).open("rb") as file:
        pieces = iter(lambda: file.read(_IN_BYTES if gzip else _OUT_BYTES), b"")
        yield from _inflate(path, pieces) if gzip else pieces


def _inflate(path: str | os.PathLike[str], pieces: Iterator[bytes]) -> Iterator[bytes]:
    pending = next(pieces, b"")
    while pending:
        # wbits = 31 is zlib's word for "a gzip wrapper, whose checksum is verified".
        member = isal_zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                chunk = member.decompress(pending, _OUT_BYTES)
            except _ISAL_ERROR as error:
                found = f"a damaged gzip stream ({error})"
                raise BadVolume("GZIP_DAMAGED", path, found, "an intact one", COPY_AGAIN) from error
            if chunk:
                yield chunk
            pending = member.unconsumed_tail
            if not (pending or member.eof):
                pending = next(pieces, b"")
                # Without a chunk nothing is left inside the decompressor either.
                if not (pending or chunk):
                    raise BadVolume("TRUNCATED", path, "a gzip stream that breaks off", "its end", COPY_AGAIN)
        # Another member may follow, or zeros up to a block boundary.
        pending = member.unused_data.lstrip(b"\0")
        while not pending and (piece := next(pieces, b"")):
            pending = piece.lstrip(b"\0")
        if not pending.startswith(GZIP_MAGIC[: len(pending)]):
            raise BadVolume("GZIP_DAMAGED", path, "bytes behind the gzip stream", "its end", COPY_AGAIN)
