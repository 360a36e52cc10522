"""The TotalSegmentator collection, versions 1 and 2, as its archives unpack."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from maesil_monai.data.prepare.collections.listing import SPLIT_NAMES, Candidate, Listing, Split, sorted_entries
from maesil_monai.data.prepare.collections.totalsegmentator_classes import CLASSES_V1, CLASSES_V2
from maesil_monai.data.volumes.admission_checks import check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume

DATASET = "totalsegmentator"
_IMAGE = "ct.nii.gz"
_SUFFIX = ".nii.gz"
_TABLE = "meta.csv"


def totalsegmentator(folder: str | os.PathLike[str]) -> Listing:
    """Lists ``s0001/ct.nii.gz`` with ``s0001/segmentations/*.nii.gz`` and the split of ``meta.csv``.

    The version is told from the names of the structures. Ids of structures are those of the TotalSegmentator tool; structures
    that it does not know follow in the order of the alphabet, without their names.

    Args:
        folder: the unpacked archive, or the folder around it.

    Raises:
        BadVolume: MISSING, NOT_A_FOLDER, NOT_TOTALSEGMENTATOR, BAD_CASES.
    """
    root = _root_of(check_folder(folder, "the folder of a collection"))
    split_of = _read_splits(root / _TABLE)
    listing = Listing()
    cases = [case for case in sorted_entries(root) if case.is_dir()]
    structures = {case: _structures(case) for case in cases}
    names = {name for files in structures.values() for name, _ in files}
    ids = {name: number for number, name in class_ids(names)}
    num_known = len(release_classes(names))
    for case in cases:
        if not (case / _IMAGE).is_file():
            listing.not_ct.append((case, f"a folder without {_IMAGE}"))
            continue
        files = structures[case]
        listing.candidates.append(
            Candidate(
                files=(case / _IMAGE,),
                dicom=False,
                dataset=DATASET,
                case_id=case.name,
                patient_id=f"{DATASET}/{case.name}",
                study_id="",
                split=split_of.get(case.name),
                labels=tuple((ids[name], file) for name, file in files),
                label_names=tuple(sorted((ids[name], name) for name, _ in files if ids[name] <= num_known)),
                version=version_of(names),
            )
        )
    if gone := sorted(set(split_of) - {case.name for case in cases}):
        listing.warnings.append(f"{root / _TABLE} names {len(gone)} scans that are not there, {gone[0]} for one")
    if unlisted := sum(candidate.split is None for candidate in listing.candidates):
        listing.warnings.append(f"{root}: {unlisted} scans without a split in {_TABLE} are split by patient")
    return listing


def class_ids(names: Iterable[str]) -> list[tuple[int, str]]:
    """Numbers structures from 1: those of the release in its own order, then the others in the order of the alphabet.

    Example:
        >>> class_ids(["liver", "heart", "my_lesion"])[4], class_ids(["heart", "my_lesion"])[-1]
        ((5, 'liver'), (118, 'my_lesion'))
    """
    found = set(names)
    known = release_classes(found)
    return list(enumerate((*known, *sorted(found - set(known))), start=1))


def release_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Gives the structures of the release that these names come from; of version 2 where that cannot be told."""
    return CLASSES_V1 if version_of(names) == "1" else CLASSES_V2


def version_of(names: Iterable[str]) -> str:
    """Tells the release from the names of its structures: ``1``, ``2``, or empty where they could be of either.

    Example:
        >>> version_of(["liver", "face"]), version_of(["liver", "skull"]), version_of(["liver"])
        ('1', '2', '')
    """
    found = set(names)
    first = len(found & (set(CLASSES_V1) - set(CLASSES_V2)))
    second = len(found & (set(CLASSES_V2) - set(CLASSES_V1)))
    if first == second:
        return ""
    return "1" if first > second else "2"


def _root_of(folder: Path) -> Path:
    for root in (folder, *(child for child in sorted_entries(folder) if child.is_dir())):
        if any((case / _IMAGE).is_file() for case in sorted_entries(root) if case.is_dir()):
            return root
    expected = "s0001/ct.nii.gz and so on, as the archive unpacks"
    cure = "Name the unpacked archive, or use --folder for other layouts."
    raise BadVolume("NOT_TOTALSEGMENTATOR", folder, "no folder that holds ct.nii.gz", expected, cure)


def _structures(case: Path) -> tuple[tuple[str, Path], ...]:
    folder = case / "segmentations"
    files = sorted_entries(folder) if folder.is_dir() else []
    return tuple((file.name[: -len(_SUFFIX)], file) for file in files if file.name.endswith(_SUFFIX))


def _read_splits(table: Path) -> dict[str, Split]:
    """Reads the columns image_id and split; the publisher separates them by semicolons."""
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        rows = list(csv.DictReader(file, delimiter=";" if ";" in first else ","))
    if rows and not {"image_id", "split"} <= set(rows[0]):
        raise BadVolume(
            "BAD_CASES", table, f"columns {', '.join(map(str, rows[0]))}", "image_id and split among them", "Download it again."
        )
    splits: dict[str, Split] = {}
    for row in rows:
        name = (row["split"] or "").strip().lower()
        if name and name not in SPLIT_NAMES:
            raise BadVolume("BAD_CASES", table, f"the split {name!r}", "train, val or test", "Correct the row.")
        if name and row["image_id"]:
            splits[row["image_id"].strip()] = SPLIT_NAMES[name]
    return splits
