"""The volumes this process read last, within a bound of memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maesil_monai.data.store.folder_or_url import is_url
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting

_Key = tuple[str, int, int]


class VolumeCache:
    """Keeps sources by file, least recently used first out; what was derived from a source is kept and counted with it.

    A file or folder is told from its earlier self by its time of change and its size; what a URL leads to is taken not to change.
    Pickling leaves the content behind: every data loader worker has its own.

    Args:
        max_bytes: bound of what is kept; 0 keeps nothing. A source that alone is larger is read anew each time.

    Raises:
        ValueError: if ``max_bytes`` is negative.

    Example:
        >>> VolumeCache(max_bytes=2**30).num_volumes
        0
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise BadSetting(f"cache_bytes={max_bytes}: expected 0 (no cache) or more bytes.")
        self.max_bytes = max_bytes
        self._sources: OrderedDict[_Key, VolumeSource] = OrderedDict()
        self._sizes: dict[_Key, int] = {}
        self._last: _Key | None = None
        self._lock = threading.Lock()

    @property
    def num_volumes(self) -> int:
        """How many volumes are kept now."""
        return len(self._sources)

    def get(self, path: str | os.PathLike[str], read: Callable[[str | os.PathLike[str]], VolumeSource]) -> VolumeSource:
        """Gives the source of a file, from memory or by ``read``, whose errors pass through.

        Args:
            path: the file.
            read: reads it.
        """
        key = _key_of(path)
        with self._lock:
            source = self._sources.get(key) if key is not None else None
        # Reading takes seconds and happens outside the lock; two threads may read one file twice, which is harmless.
        source = read(path) if source is None else source
        if key is not None:
            with self._lock:
                self._keep(key, source)
        return source

    def _keep(self, key: _Key, source: VolumeSource) -> None:
        self._sources[key] = source
        self._sources.move_to_end(key)
        # Sources grow while they are in use, so the one used before is measured again; all of them would cost time where
        # thousands of entries of a store are kept.
        for used in (key, self._last or key):
            if used in self._sources:
                self._sizes[used] = self._sources[used].nbytes
        self._last = key
        while self._sources and sum(self._sizes.values()) > self.max_bytes:
            oldest, _ = self._sources.popitem(last=False)
            del self._sizes[oldest]

    def __getstate__(self) -> dict[str, Any]:
        return {"max_bytes": self.max_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["max_bytes"])  # type: ignore[misc]


def _key_of(path: str | os.PathLike[str]) -> _Key | None:
    """Identifies a file and its state; None if it cannot be looked at, which its reader will explain."""
    if is_url(path):
        return os.fspath(path), 0, 0
    try:
        real = Path(path).resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return None
    return str(real), status.st_mtime_ns, status.st_size
