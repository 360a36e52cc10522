"""What a worker does with one scan: read, judge, find the body, write the entry; nothing if the entry is there already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maesil_monai.data.prepare.collections.listing import Candidate
from maesil_monai.data.prepare.label_volume import read_label
from maesil_monai.data.prepare.plan import Job, Refusal, source_key
from maesil_monai.data.prepare.scan_facts import hu_histogram, voxel_sha256, whole_hu
from maesil_monai.data.store import StoreSource, write_entry
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.body import body_of_source
from maesil_monai.data.volumes.volume_files import read_volume
from maesil_monai.data.volumes.volume_source import ArraySource

_NOT_PUBLISHED = "See details.json in the private folder of the store."


@dataclass(frozen=True)
class Outcome:
    """What came of a scan: either its facts, which its entry holds too, or why it was refused.

    Args:
        job: the scan.
        facts: as in the attributes of the entry.
        refusal: why there is no entry.
        kept: whether the entry was there already.
        notes: oddities in full, with what they say about the file; never published.
    """

    job: Job
    facts: dict[str, Any] | None = None
    refusal: Refusal | None = None
    kept: bool = False
    notes: tuple[str, ...] = ()


def prepare_scan(job: Job, store: Path, salt: bytes) -> Outcome:
    """Writes the entry of one scan, unless one from the same source and settings is there.

    Args:
        job: the scan.
        store: folder of the store.
        salt: for :func:`~maesil_monai.data.prepare.plan.source_key`.

    Returns:
        The outcome; a bad scan is an outcome, every other fault is an error.
    """
    path = store / job.entry
    try:
        key = source_key(job, salt)
    except OSError:
        key = ""  # a file has gone or is out of reach: reading says which and how
    facts = _facts_of(path)
    if key and facts is not None and facts.get("source_key") == key:
        return Outcome(job, facts, kept=True)
    try:
        return _prepare(job, path, key)
    except BadVolume as error:
        return Outcome(job, refusal=refusal_of(job, error))


def refusal_of(job: Job, error: BadVolume) -> Refusal:
    """Gives what may be said of a refusal: its code, and its cure unless that names something of the source."""
    cure = error.cure
    if any(name in cure for name in _names_of(job.candidate)):
        cure = _NOT_PUBLISHED
    return Refusal(job.dataset, job.case_id, error.code, cure, str(error))


def _prepare(job: Job, path: Path, key: str) -> Outcome:
    # The largest of what some scans need later: loky takes memory that grows between two scans for a leak, and ends the worker.
    import itk  # noqa: F401

    read = _read(job)
    hu = whole_hu(read.array)
    codes = sorted({note.code for note in read.notes} | ({"ROUNDED"} if hu is not read.array else set()))
    notes = tuple(str(note) for note in read.notes)
    scan = ArraySource(hu, read.affine, job.case_id, read.original_affine)
    del read
    body = body_of_source(scan)
    if not body.array.any():
        raise BadVolume("NO_BODY", job.candidate.files[0], "nothing above -500 HU", "a body", "Leave this scan out.")
    label = read_label(job.candidate, scan, job.rules)
    facts: dict[str, Any] = {
        "source_key": key,
        "dataset": job.dataset,
        "dataset_version": job.candidate.version,
        "case_id": job.case_id,
        "patient_id": job.patient_id,
        "sha256": voxel_sha256(hu),
        "shape": list(scan.shape),
        "spacing_mm": [round(size, 6) for size in scan.spacing_mm],
        "notes": codes,
        "hu_histogram": hu_histogram(hu),
        "body_share": round(float(np.count_nonzero(body.array)) / body.array.size, 6),
        "label_names": {str(number): name for number, name in job.candidate.label_names} if label is not None else {},
        "has_label": label is not None,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_entry(path, scan, body.array, label, facts)
    # Through JSON, as the facts of an entry that was kept have come.
    return Outcome(job, json.loads(json.dumps(facts)), notes=notes)


def _read(job: Job) -> ArraySource:
    if job.candidate.dicom:
        from maesil_monai.data.dicom import read_series

        return read_series(job.candidate.files, job.rules)
    return read_volume(job.candidate.files[0], rules=job.rules)


def _facts_of(path: Path) -> dict[str, Any] | None:
    """Gives the facts of an entry, or None if there is none that can be used."""
    if not path.exists():
        return None
    try:
        return StoreSource(path).attributes
    except BadVolume:
        return None


def _names_of(candidate: Candidate) -> Iterator[str]:
    for file in candidate.all_files:
        yield from (str(file), file.name, file.parent.name)
    yield from (name for name in (candidate.case_id, candidate.patient_id, candidate.study_id) if name)
