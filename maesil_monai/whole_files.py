"""Files that appear whole or not at all: the one place that knows the order of write, flush and rename."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def whole_file(path: str | os.PathLike[str], mode: int = 0o666, partial: str | None = None) -> Iterator[IO[bytes]]:
    """Opens a file that takes its name when the block ends well; until then, and after an error, the old one is untouched.

    Args:
        path: the file; its folder is made if need be.
        mode: who may read and write it, before the user's mask.
        partial: its name while it is written; default ``.NAME.partial``. Of two processes that write a file at the same time
            each needs its own.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.bin") as file:
        ...         _ = file.write(b"1")
        ...         names = os.listdir(folder)
        ...     names, os.listdir(folder)
        (['.a.bin.partial'], ['a.bin'])
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(partial or f".{path.name}.partial")
    unfinished.unlink(missing_ok=True)  # left by a kill, perhaps with another mode
    try:
        with open(unfinished, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: str | bytes, mode: int = 0o666) -> Path:
    """Writes a file; a reader of ``path`` finds the old content or all of the new, also after a kill.

    Args:
        path: the file; its folder is made if need be.
        content: bytes, or text, which is written as UTF-8.
        mode: as in :func:`whole_file`.

    Returns:
        ``path``.

    Raises:
        OSError: if it cannot be written; ``path`` is then untouched and nothing is left over.
    """
    with whole_file(path, mode) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


def write_json(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Writes JSON that every reader accepts: numbers that are not defined (NaN, infinite) become ``null``.

    Args:
        path: the file; its folder is made if need be.
        content: plain nested values.

    Returns:
        ``path``.
    """
    return write_whole(path, json.dumps(_defined(content), indent=4, allow_nan=False) + "\n")


def _defined(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _defined(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_defined(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Makes the renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
