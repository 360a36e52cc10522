"""Files that appear whole or not at all: the one place that knows the order of write, flush and rename."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Writes a file; a reader of ``path`` finds the old content or all of the new, also after a kill.

    Args:
        path: the file; its folder is made if need be.
        content: bytes, or text, which is written as UTF-8.

    Returns:
        ``path``.

    Raises:
        OSError: if it cannot be written; ``path`` is then untouched and nothing is left over.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Makes the renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
