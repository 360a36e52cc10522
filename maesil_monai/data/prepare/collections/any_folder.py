"""Any folder of volumes and DICOM series, with a table or a pattern that says who is who."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from maesil_monai.data.dicom import SeriesPolicy
from maesil_monai.data.prepare.collections.case_table import CaseRow, read_case_table
from maesil_monai.data.prepare.collections.listing import Candidate, Listing
from maesil_monai.data.volumes.admission_checks import check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_files import find_volumes, volume_suffix
from maesil_monai.errors import BadSetting

DATASET = "folder"


def any_folder(
    folder: str | os.PathLike[str],
    cases_csv: str | os.PathLike[str] | None = None,
    patient_regex: str | None = None,
    series_policy: SeriesPolicy = "thinnest",
) -> Listing:
    """Lists all volumes and CT series below a folder; with a table, those that it names and no others.

    A volume's patient is, in this order: what the table says; what the pattern finds in its path; for DICOM the PatientID; the
    folder that it lies in. ``label`` beside the only volume of a folder (``pt_1/ct.nii.gz``, ``pt_1/label.nii.gz``) is its label.

    Args:
        folder: where to look, at any depth.
        cases_csv: see :func:`~maesil_monai.data.prepare.collections.case_table.read_case_table`.
        patient_regex: searched in the path below ``folder``, with ``/`` between the parts; the patient is the group named
            ``patient``, else the first group, else all that it matches.
        series_policy: which DICOM series of a study are taken.

    Raises:
        ValueError: if the pattern is none, or does not match a path; or both a table and a pattern are given.
        BadVolume: MISSING, NOT_A_FOLDER, SYMLINK_LOOP, NO_VOLUME, and the codes of the table.
    """
    root = check_folder(folder, "the folder of a collection")
    if cases_csv is not None and patient_regex is not None:
        raise BadSetting("cases and patient_regex both say who is who: expected one of them.")
    listing = Listing()
    if cases_csv is not None:
        for row in read_case_table(cases_csv):
            _add_row(root, row, series_policy, listing)
        return listing
    pattern = _compiled(patient_regex)
    volumes = find_volumes(root)
    in_folder = Counter(path.parent for path in volumes)
    guessed: list[str] = []
    for path in volumes:
        patient = _patient(pattern, path.relative_to(root).as_posix())
        if patient is None:
            patient = _folder_patient(root, path)
            guessed.append(patient)
        label = path.with_name(f"label{volume_suffix(path)}")
        labels = ((0, label),) if in_folder[path.parent] == 1 and label.is_file() else ()
        listing.candidates.append(Candidate((path,), False, DATASET, _case_id(root, path), patient, "", None, labels))
    for series in listing.take_ct_series(root, series_policy):
        patient = _patient(pattern, series.files[0].relative_to(root).as_posix()) or series.patient_id
        if not patient:
            patient = _folder_patient(root, series.files[0])
            guessed.append(patient)
        listing.candidates.append(
            Candidate(series.files, True, DATASET, series.series_uid, patient, series.study_uid, split=None)
        )
    if not listing.candidates and not listing.not_ct:
        raise BadVolume("NO_VOLUME", root, "no volume", "NIfTI, NRRD, MetaImage or DICOM files", "Check the folder.")
    if guessed:
        listing.warnings.append(
            f"{root}: neither --cases nor --patient-regex says whose {len(guessed)} scans are: each of their {len(set(guessed))} "
            "folders is taken as a patient"
        )
    return listing


def _add_row(root: Path, row: CaseRow, policy: SeriesPolicy, listing: Listing) -> None:
    path = root / row.path
    labels = ((0, root / row.label),) if row.label else ()
    dataset = row.dataset or DATASET
    if not path.is_dir():
        # A path that is not there becomes a candidate too: reading it refuses it by name.
        case_id = _case_id(root, path)
        listing.candidates.append(Candidate((path,), False, dataset, case_id, row.patient, row.study, row.split, labels))
        return
    chosen = listing.take_ct_series(path, policy)
    if labels and len(chosen) > 1:
        raise BadVolume("BAD_CASES", path, f"{len(chosen)} series and one label", "one series", "Name the folder of the series.")
    for series in chosen:
        study = row.study or series.study_uid
        listing.candidates.append(
            Candidate(series.files, True, dataset, series.series_uid, row.patient, study, row.split, labels)
        )


def _case_id(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix().removesuffix(volume_suffix(path))


def _folder_patient(root: Path, path: Path) -> str:
    """Names a patient by folder, in a form that no real patient ID takes by chance."""
    return f"{DATASET}/{path.relative_to(root).parent.as_posix()}"


def _compiled(patient_regex: str | None) -> re.Pattern[str] | None:
    try:
        return None if patient_regex is None else re.compile(patient_regex)
    except re.error as error:
        raise BadSetting(f"patient_regex={patient_regex!r}: {error}; expected a regular expression.") from error


def _patient(pattern: re.Pattern[str] | None, name: str) -> str | None:
    if pattern is None:
        return None
    match = pattern.search(name)
    if match is None:
        raise BadSetting(f"patient_regex={pattern.pattern!r} finds no patient in {name!r}: expected a match in every path.")
    named = match.groupdict().get("patient")
    return named or next((group for group in match.groups() if group), match[0])
