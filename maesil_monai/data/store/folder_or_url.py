"""Where the files of an entry lie: a folder, or a URL that fsspec knows. Nothing is held open, so forks and pickles are safe."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import fsspec

Range = tuple[int, int]


class Place(ABC):
    """A folder of files, near or far.

    Args:
        root: path or URL of the folder.

    Attributes:
        gap_bytes: it is quicker to read over a gap of this size than to ask twice.
    """

    gap_bytes: int

    def __init__(self, root: str) -> None:
        self.root = root

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Reads a whole file.

        Raises:
            OSError: if it cannot be read; FileNotFoundError if it is not there.
        """

    @abstractmethod
    def read_ranges(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        """Reads runs of bytes of a file.

        Args:
            name: the file, below the root, with slashes.
            ranges: ``(start, stop)`` of each run, not empty.

        Returns:
            One string of bytes a run, shorter than asked where the file ends before.

        Raises:
            OSError: as :meth:`read`.
        """


class Folder(Place):
    """A folder of this machine."""

    gap_bytes = 2**14

    def read(self, name: str) -> bytes:
        return Path(self.root, name).read_bytes()

    def read_ranges(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        descriptor = os.open(os.path.join(self.root, name), os.O_RDONLY | getattr(os, "O_BINARY", 0))  # noqa: PTH118
        try:
            return [os.pread(descriptor, stop - start, start) for start, stop in ranges]
        finally:
            os.close(descriptor)


class Url(Place):
    """A folder behind a URL, such as ``http://``, ``s3://`` or ``memory://``."""

    gap_bytes = 2**17

    def read(self, name: str) -> bytes:
        system, path = self._where(name)
        return bytes(system.cat_file(path))

    def read_ranges(self, name: str, ranges: Sequence[Range]) -> list[bytes]:
        system, path = self._where(name)
        starts, stops = zip(*ranges, strict=True)
        return system.cat_ranges([path] * len(ranges), list(starts), list(stops), on_error="raise")

    def _where(self, name: str) -> tuple[fsspec.AbstractFileSystem, str]:
        # Asked for each time: fsspec remembers the file system, and makes a new one in a process that was forked.
        system, path = fsspec.core.url_to_fs(self.root)
        return system, f"{path.rstrip('/')}/{name}"


def is_url(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is a URL.

    Example:
        >>> is_url("http://server/case.zarr"), is_url("store/case.zarr")
        (True, False)
    """
    return isinstance(path, str) and "://" in path


def place_of(path: str | os.PathLike[str]) -> Place:
    """Gives the place of a path or URL; nothing is looked at."""
    return Url(path) if isinstance(path, str) and is_url(path) else Folder(os.fspath(path))
