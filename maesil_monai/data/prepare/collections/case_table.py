"""The table that says who is who in a folder: a CSV file with a row for each volume or DICOM folder."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from maesil_monai.data.prepare.collections.listing import SPLIT_NAMES, Split
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume

_COLUMNS = ("path", "patient", "study", "dataset", "split", "label")
_CURE = "Correct the table; its first line names the columns."


@dataclass(frozen=True)
class CaseRow:
    """One row: whose volume this is.

    Args:
        path: the volume, or the folder of a DICOM series, below the collection's folder.
        patient: names the patient.
        study: names the examination; empty if unknown.
        dataset: the collection; empty for the default.
        split: the side it must go to; None to have it drawn.
        label: a label volume below the collection's folder; empty if none.
    """

    path: str
    patient: str
    study: str = ""
    dataset: str = ""
    split: Split | None = None
    label: str = ""


def read_case_table(table: str | os.PathLike[str]) -> list[CaseRow]:
    """Reads a CSV (comma, semicolon or tab) with the columns path and patient, and if wanted study, dataset, split and label.

    Args:
        table: UTF-8.

    Returns:
        Its rows, in their order; each path once.

    Raises:
        MissingVolume: MISSING.
        BadVolume: BAD_CASES, OUTSIDE_FOLDER, DUPLICATE_CASE.
    """
    path = Path(table)
    if not path.is_file():
        raise MissingVolume("MISSING", path, "no such file", "a CSV table of cases", "Check the path.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise BadVolume("BAD_CASES", path, "not UTF-8", "a CSV table in UTF-8", "Save the table as UTF-8.") from error
    first = lines[0] if lines else ""
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(lines, delimiter=delimiter)
    columns = [str(name).strip().lower() for name in reader.fieldnames or []]
    if not {"path", "patient"} <= set(columns) or not set(columns) <= set(_COLUMNS):
        found, expected = ", ".join(columns) or "none", "path, patient and, if wanted, study, dataset, split, label"
        raise BadVolume("BAD_CASES", path, f"the columns {found}", expected, _CURE)
    reader.fieldnames = columns
    rows: list[CaseRow] = []
    seen: set[str] = set()
    for row in reader:
        case = _row(path, reader.line_num, {name: (row[name] or "").strip() for name in columns})
        if case.path in seen:
            raise BadVolume("DUPLICATE_CASE", path, f"{case.path!r} in two rows", "each path once", _CURE)
        seen.add(case.path)
        rows.append(case)
    if not rows:
        raise BadVolume("BAD_CASES", path, "no row", "one for each volume", _CURE)
    return rows


def _row(table: Path, line: int, cells: dict[str, str]) -> CaseRow:
    split = cells.get("split", "").lower()
    if split and split not in SPLIT_NAMES:
        raise BadVolume("BAD_CASES", table, f"the split {split!r} in line {line}", "train, val, test or nothing", _CURE)
    if not cells["path"] or not cells["patient"]:
        raise BadVolume("BAD_CASES", table, f"no path or no patient in line {line}", "both", _CURE)
    return CaseRow(
        path=_below(table, cells["path"]),
        patient=cells["patient"],
        study=cells.get("study", ""),
        dataset=cells.get("dataset", ""),
        split=SPLIT_NAMES[split] if split else None,
        label=_below(table, cells["label"]) if cells.get("label") else "",
    )


def _below(table: Path, name: str) -> str:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise BadVolume("OUTSIDE_FOLDER", table, f"the path {name!r}", "a path below the folder", _CURE)
    return parts.as_posix()
