"""What is to be done, decided before a voxel is read: every scan's public name, side and place in the store."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from maesil_monai.data.prepare.collections.listing import Candidate, Listing, Split
from maesil_monai.data.prepare.pseudonyms import Pseudonyms, file_name
from maesil_monai.data.prepare.splits import assign_splits
from maesil_monai.data.store.zarr_metadata import ENTRY_SUFFIX
from maesil_monai.data.volumes.admission_checks import AdmissionRules
from maesil_monai.data.volumes.bad_volume import BadVolume

# Goes up whenever the same source would give another entry: older ones are then written again.
ENTRY_VERSION = 1


@dataclass(frozen=True)
class Job:
    """One scan to prepare; it travels to a worker, so it holds what a worker needs and no secret but its source.

    Args:
        candidate: what to read.
        dataset: published name of the collection.
        case_id: published name of the scan.
        patient_id: published name of the patient.
        split: the side the patient is on.
        rules: what is admitted.
    """

    candidate: Candidate
    dataset: str
    case_id: str
    patient_id: str
    split: Split
    rules: AdmissionRules

    @property
    def entry(self) -> str:
        """Place of the entry in the store, with slashes."""
        return f"{self.dataset}/{self.case_id}{ENTRY_SUFFIX}"


@dataclass(frozen=True)
class Refusal:
    """A scan that was refused.

    Args:
        dataset: published name of the collection.
        case_id: published name of the scan.
        code: of the error.
        cure: what to do about scans of this code.
        message: the whole error, with the path; never published.
    """

    dataset: str
    case_id: str
    code: str
    cure: str
    message: str


@dataclass(frozen=True)
class Plan:
    """All scans of a run.

    Args:
        jobs: what to prepare, sorted by entry.
        refusals: scans refused before they were read.
        not_ct: for each collection, how many files or series were no CT, or were not chosen, and why.
        num_scans: scans found in each collection, refused ones included.
    """

    jobs: list[Job]
    refusals: list[Refusal] = field(default_factory=list)
    not_ct: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    num_scans: Mapping[str, int] = field(default_factory=dict)


def make_plan(
    listings: Mapping[str, tuple[Path, Listing]],
    names: Pseudonyms,
    rules: AdmissionRules,
    seed: int = 0,
    val_share: float = 0.1,
    test_share: float = 0.1,
) -> Plan:
    """Names the scans, puts patients on sides and refuses second scans of one name.

    Args:
        listings: folder and content of each collection, by its name.
        names: gives published names.
        rules: what is admitted; the root is set to each collection's folder.
        seed, val_share, test_share: see :func:`assign_splits`.

    Raises:
        ValueError: as :func:`assign_splits`.
        BadVolume: LEAKAGE; NO_VOLUME, if there is no scan at all.
    """
    candidates = [candidate for _, listing in listings.values() for candidate in listing.candidates]
    if not candidates:
        folders = ", ".join(str(folder) for folder, _ in listings.values())
        raise BadVolume("NO_VOLUME", folders, "no CT scan", "at least one", "Check the folders and the series policy.")
    splits = assign_splits(candidates, seed, val_share, test_share)
    jobs: dict[str, Job] = {}
    refusals: list[Refusal] = []
    num_scans: Counter[str] = Counter()
    for folder, listing in listings.values():
        own_rules = AdmissionRules(rules.max_voxels, rules.min_slices, rules.nan_fill, folder, rules.links_out)
        for candidate in sorted(
            listing.candidates, key=lambda candidate: (candidate.dataset, candidate.case_id, candidate.files)
        ):
            dataset = file_name(candidate.dataset)
            case_id = names.case(candidate.dataset, candidate.case_id)
            num_scans[dataset] += 1
            patient = names.patient(candidate.patient_id)
            job = Job(candidate, dataset, case_id, patient, splits[candidate.patient_id], own_rules)
            first = jobs.setdefault(job.entry, job)
            if first is not job:
                refusals.append(_second(job, first))
    not_ct: dict[str, Counter[str]] = {}
    for collection, (_, listing) in listings.items():
        for _, why in listing.not_ct:
            # A class of objects that no standard knows is given by its number, which is nobody's business.
            public = re.sub(r"\d[\d.]{5,}", "a private class", why)
            not_ct.setdefault(file_name(collection), Counter())[public] += 1
    return Plan([jobs[entry] for entry in sorted(jobs)], refusals, not_ct, num_scans)


def _second(job: Job, first: Job) -> Refusal:
    found = f"a second scan named {job.candidate.case_id!r}, as {first.candidate.files[0]}"
    cure = "Remove or rename one of the two."
    error = BadVolume("DUPLICATE_CASE", job.candidate.files[0], found, "one of that name", cure)
    return Refusal(job.dataset, job.case_id, error.code, error.cure, str(error))


def source_key(job: Job, salt: bytes) -> str:
    """Gives a fingerprint of what a scan's entry is made from: names, sizes and times of change of its files, and the settings.

    The folder of the collection does not count, so that an archive may move to another disk.

    Args:
        job: the scan.
        salt: keeps sizes and times from being guessed.

    Returns:
        Hexadecimal digits.

    Raises:
        OSError: if a file has gone.
    """
    candidate = job.candidate
    mac = hmac.new(salt, digestmod=hashlib.sha256)
    rules = job.rules
    settings = (ENTRY_VERSION, rules.max_voxels, rules.min_slices, rules.nan_fill, rules.links_out)
    mac.update(repr((settings, job.dataset, job.case_id, job.patient_id, candidate.version)).encode())
    mac.update(repr((tuple(number for number, _ in candidate.labels), candidate.label_names)).encode())
    for file in candidate.all_files:
        status = file.stat()
        mac.update(repr((file.name, status.st_size, status.st_mtime_ns)).encode())
    return mac.hexdigest()[:32]
