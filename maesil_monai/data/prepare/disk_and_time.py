"""How much disk and time a run will take, from the sizes of the files alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from maesil_monai.data.prepare.plan import Job

# Bytes of the store for a byte of source, and bytes of source a worker takes in a second: measured on real CT on one core of a
# server, rounded to the safe side. Compressed sources hold more voxels for a byte.
_COMPRESSED = (".gz", ".nrrd", ".mha")
_GROWTH = {True: 1.3, False: 0.7}
_BYTES_PER_SECOND = {True: 6e6, False: 12e6}
_LABEL_GROWTH = 0.5
_ENTRY_BYTES = 64 * 1024
# Each worker imports what it needs first; a small scan too has to be opened, judged and written.
_START_SECONDS, _SCAN_SECONDS = 8.0, 0.7


@dataclass(frozen=True)
class Estimate:
    """What a run needs.

    Args:
        num_bytes: of the store.
        worker_seconds: time for one worker.
    """

    num_bytes: int
    worker_seconds: float

    def hours(self, workers: int) -> float:
        """Time with so many workers."""
        return self.worker_seconds / 3600 / max(workers, 1)


def estimate(jobs: Iterable[Job]) -> Estimate:
    """Adds up the scans; files that are not there count nothing."""
    num_bytes, seconds = 0.0, _START_SECONDS
    for job in jobs:
        is_compressed = job.candidate.files[0].name.lower().endswith(_COMPRESSED)
        size = _size(job.candidate.files)
        num_bytes += size * _GROWTH[is_compressed] + _ENTRY_BYTES
        seconds += _SCAN_SECONDS + size / _BYTES_PER_SECOND[is_compressed]
        labels = _size(file for _, file in job.candidate.labels)
        num_bytes += labels * _LABEL_GROWTH
        seconds += labels / _BYTES_PER_SECOND[is_compressed]
    return Estimate(int(num_bytes), seconds)


def _size(files: Iterable[Path]) -> int:
    return sum(file.stat().st_size for file in files if file.is_file())
