"""One at a time in a folder: a lock that the system takes back when its process ends, however it ends."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from maesil_monai.errors import UserError
from maesil_monai.whole_files import write_whole

logger = logging.getLogger(__name__)


class FolderInUse(UserError, RuntimeError):
    """Another process works in the folder."""


class FolderLock:
    """Keeps other processes out of a folder, and says which one is in it.

    Whether the file is locked is known to the system alone: one that a kill left behind locks nothing. Beside it lies a note of
    who holds it. Processes that are forked from the holder, such as a loader's workers, do not hold it (filelock 3.30 sees to
    that).

    Args:
        file: the lock file; its folder is made if need be.
        folder: what is locked, for the error.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, FolderLock(Path(folder) / "run.lock", folder) as lock:
        ...     lock.holder() == f"process {os.getpid()} on {socket.gethostname()}"
        True
    """

    def __init__(self, file: str | os.PathLike[str], folder: str | os.PathLike[str]) -> None:
        self.file = Path(file)
        self.folder = Path(folder)
        self._note = self.file.with_name(f"{self.file.name}.holder")
        self._lock = FileLock(self.file, thread_local=False)

    def acquire(self, wait: bool = False) -> None:
        """Takes the lock.

        Args:
            wait: until whoever holds it lets go of it.

        Raises:
            FolderInUse: if another one holds it, unless ``wait``; names its process and host.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise FolderInUse(
                    f"{self.folder}: in use by {self.holder()}; expected a folder in which no other run works. Wait for it, or "
                    "choose another folder."
                ) from None
            logger.info("%s works on the %s: waiting for it", self.holder(), self.file.stem)
            self._lock.acquire()
        write_whole(self._note, f"process {os.getpid()} on {socket.gethostname()}")

    def release(self) -> None:
        """Gives the lock back, if this object holds it."""
        if self._lock.is_locked:
            self._note.unlink(missing_ok=True)
            with suppress(OSError):  # Windows removes no open file; filelock does it there
                self.file.unlink()  # those who wait look whether the file that they locked is still there
            self._lock.release()

    def holder(self) -> str:
        """Tells who holds the lock, or held it when it was killed."""
        with suppress(OSError):
            return self._note.read_text(encoding="utf-8") or "an unknown process"
        return "an unknown process"

    def __enter__(self) -> FolderLock:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Waits until no other call does the same, then keeps the others waiting. A call that was killed holds nothing.

    Args:
        folder: in which several calls work.
        what: names the work, such as ``scores of maesil@total-seed0``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, alone(Path(folder), "plan"):
        ...     sorted(file.name for file in (Path(folder) / ".locks").iterdir())
        ['plan.lock', 'plan.lock.holder']
    """
    lock = FolderLock(folder / ".locks" / f"{what.replace('/', '_')}.lock", folder)
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()
