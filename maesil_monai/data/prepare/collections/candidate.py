"""One scan that a collection offers, before anything of it was read: which files, whose, and on which side of the split."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
        label_files: ``(name, file)`` of each label: one file with an empty name holds a label volume whose ids stay as they are;
            files with names hold one structure each, there where not 0.
        label_ids: the id that each of ``label_files`` gets in the label volume; 0 for a file that holds ids itself.
        label_names: ``(id, name)`` of structures that the collection's publisher named, in order of their ids; what a user
            called a file is not published.
        version: the release of the collection, where it can be told; else empty.

    Example:
        >>> Candidate((Path("img0001.nii.gz"),), False, "btcv", "img0001", "btcv/0001", "", "training").label_files
        ()
    """

    files: tuple[Path, ...]
    dicom: bool
    dataset: str
    case_id: str
    patient_id: str
    study_id: str
    split: Split | None
    label_files: tuple[tuple[str, Path], ...] = ()
    label_ids: tuple[int, ...] = ()
    label_names: tuple[tuple[int, str], ...] = ()
    version: str = ""


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
