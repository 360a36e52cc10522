"""What a collection offers before anything of it is read: its scans, whose they are, on which side, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maesil_monai.data.dicom import Series, SeriesPolicy, choose_series, find_series

Split = Literal["training", "validation", "test"]

SPLIT_NAMES: dict[str, Split] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Candidate:
    """A scan that may be admitted.

    Args:
        files: the volume file, or the files of one DICOM series.
        dicom: whether ``files`` are a DICOM series.
        dataset: the collection; the scan's entry lies in a folder of that name.
        case_id: names the scan within its collection.
        patient_id: names the patient across all collections.
        study_id: names the examination; empty if unknown.
        split: the side that the collection's publisher chose; None if none.
        labels: ``(id, file)`` of each label: with an id of 0 one file, a label volume whose ids stay as they are; else files that
            hold one structure each, there where not 0, which gets the id.
        label_names: ``(id, name)`` of structures that the collection's publisher named, in order of their ids; what a user
            called a file is not published.
        version: the release of the collection, where it can be told; else empty.

    Example:
        >>> Candidate((Path("img0001.nii.gz"),), False, "btcv", "img0001", "btcv/0001", "", "training").all_files
        (PosixPath('img0001.nii.gz'),)
    """

    files: tuple[Path, ...]
    dicom: bool
    dataset: str
    case_id: str
    patient_id: str
    study_id: str
    split: Split | None
    labels: tuple[tuple[int, Path], ...] = ()
    label_names: tuple[tuple[int, str], ...] = ()
    version: str = ""

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The files of the scan, then those of its labels."""
        return (*self.files, *(file for _, file in self.labels))


@dataclass(frozen=True)
class Listing:
    """What one collection holds.

    Args:
        candidates: its scans, in a stable order.
        not_ct: files or folders that are no CT scan (localizers, reports, other modalities) or were not chosen, and why.
        warnings: what the user should know, a line each.
    """

    candidates: list[Candidate] = field(default_factory=list)
    not_ct: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def take_ct_series(self, folder: Path, policy: SeriesPolicy) -> list[Series]:
        """Finds the CT series below a folder that the policy takes; the others are added to ``not_ct``.

        Args:
            folder: a tree of DICOM files; others in it are passed over.
            policy: as in :func:`~maesil_monai.data.dicom.choose_series`.

        Returns:
            In the order of ``find_series``.
        """
        found = find_series(folder)
        chosen = choose_series(found, policy)
        taken = {series.series_uid for series in chosen}
        self.not_ct.extend((series.files[0].parent, series.why_not) for series in found if not series.is_ct)
        left = [series for series in found if series.is_ct and series.series_uid not in taken]
        self.not_ct.extend((series.files[0].parent, f"not chosen by the series policy {policy}") for series in left)
        return chosen


def sorted_entries(folder: Path) -> list[Path]:
    """Gives what lies in a folder, sorted by name, without hidden files (``._img0001.nii.gz`` of a Mac among them)."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
