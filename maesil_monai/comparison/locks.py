"""One at a time: what several calls that work in one folder must not do at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Waits until no other call does the same, then keeps the others waiting. A call that was killed holds nothing.

    Args:
        folder: of the comparison.
        what: names the work, such as ``scores of maesil@total-seed0``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, alone(Path(folder), "plan"):
        ...     sorted(file.name for file in (Path(folder) / ".locks").iterdir())
        ['plan.lock']
    """
    file = folder / ".locks" / f"{what.replace('/', '_')}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another call works on the %s: waiting for it", what)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
