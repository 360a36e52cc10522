"""Which DICOM series a folder holds: every SeriesInstanceUID is one candidate, told from headers alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydicom.uid import UID

from maesil_monai.data.dicom.header import Header, read_header
from maesil_monai.data.dicom.slice_order import slice_distance_mm
from maesil_monai.data.volumes.admission_checks import MIN_SLICES, check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.errors import BadSetting

SeriesPolicy = Literal["thinnest", "all", "one-per-study"]

# CT Image, Enhanced CT Image, Legacy Converted Enhanced CT Image.
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
CT_CLASSES = (CT_CLASS, f"{CT_CLASS}.1", f"{CT_CLASS}.2")
# Kernels and rounding leave slice distances of equal series this far apart.
_SAME_THICKNESS = 1.01


@dataclass(frozen=True)
class Series:
    """One DICOM series, as its headers describe it.

    Args:
        files: its files, sorted by path.
        series_uid: SeriesInstanceUID; made up (``unnamed-`` and a digest) where the files carry none.
        study_uid: StudyInstanceUID; may be empty.
        patient_id: PatientID; never shown.
        modality: as in the headers, such as ``CT`` or ``DX``; empty if unknown.
        slice_mm: median distance of neighbouring slices along their normal; None where positions are missing.
        why_not: why the series is no CT scan, empty if it is one. A CT series that is broken counts as CT: reading it says why.
    """

    files: tuple[Path, ...]
    series_uid: str
    study_uid: str
    patient_id: str = field(repr=False)
    modality: str
    slice_mm: float | None
    why_not: str

    @property
    def num_files(self) -> int:
        """How many files the series has."""
        return len(self.files)

    @property
    def is_ct(self) -> bool:
        """Whether this is a scan to be read."""
        return not self.why_not


def find_series(folder: str | os.PathLike[str]) -> list[Series]:
    """Finds the DICOM series below a folder; other files and hidden ones are passed over.

    A file that claims to be DICOM and cannot be read is a series of its own that counts as CT, so that it is refused by name
    and not lost.

    Args:
        folder: where to look, links to folders followed, each folder looked into once.

    Returns:
        CT and other series, sorted by the path of their first file.

    Raises:
        MissingVolume: MISSING, if there is no such folder.
        BadVolume: NOT_A_FOLDER.
    """
    root = check_folder(folder, "a folder of DICOM series")
    members: dict[str, list[_Member]] = {}
    broken: list[Series] = []
    for path in _files_below(root):
        try:
            header = read_header(path)
        except BadVolume as error:
            uid = _made_up_uid(path.relative_to(root).as_posix())
            # What has no name of a DICOM file may be anything; that this user may not read it is said all the same.
            broken += [Series((path,), uid, "", "", "", None, "")] if error.code != "SYMLINK_LOOP" else []
            continue
        if header is not None:
            uid = header.uid("SeriesInstanceUID") or _made_up_uid(
                f"{header.uid('StudyInstanceUID')}\n{path.parent.relative_to(root).as_posix()}"
            )
            members.setdefault(uid, []).append(_member(header))
    found = [_series(uid, group) for uid, group in members.items()]
    return sorted(found + broken, key=lambda series: series.files[0].as_posix())


def choose_series(series: Sequence[Series], policy: SeriesPolicy = "thinnest") -> list[Series]:
    """Chooses among the CT series of each study.

    Args:
        series: as from :func:`find_series`; those that are no CT are left out.
        policy: ``all``; ``thinnest``, of each study those with the smallest slice distance, of which there may be several
            (phases, kernels); ``one-per-study``, of those the one with most slices. Series that cover less than half of what the
            longest of the study covers (bolus tracking, a detail) are passed over as long as there is another.

    Returns:
        The chosen ones, in the order given.

    Raises:
        ValueError: for an unknown policy.

    Example:
        >>> thick = Series((Path("a"),) * 40, "1", "1.2", "", "CT", 5.0, "")
        >>> thin = Series((Path("b"),) * 200, "2", "1.2", "", "CT", 1.0, "")
        >>> [chosen.series_uid for chosen in choose_series([thick, thin])]
        ['2']
    """
    if policy not in get_args(SeriesPolicy):
        raise BadSetting(f"series policy {policy!r}: expected one of {', '.join(get_args(SeriesPolicy))}.")
    studies: dict[str, list[Series]] = {}
    for candidate in series:
        if candidate.is_ct:
            studies.setdefault(candidate.study_uid or candidate.series_uid, []).append(candidate)
    chosen: list[Series] = []
    for study in studies.values():
        if policy == "all":
            chosen += study
            continue
        longest = max(map(_length_mm, study))
        whole = [s for s in study if s.num_files >= MIN_SLICES and _length_mm(s) >= longest / 2] or study
        thinnest = min(s.slice_mm or np.inf for s in whole)
        best = [s for s in whole if (s.slice_mm or np.inf) <= thinnest * _SAME_THICKNESS]
        chosen += best if policy == "thinnest" else [min(best, key=lambda s: (-s.num_files, s.series_uid))]
    taken = {candidate.series_uid for candidate in chosen}
    return [candidate for candidate in series if candidate.is_ct and candidate.series_uid in taken]


@dataclass(frozen=True)
class _Member:
    """What one file tells about its series; less than its header, for an archive has millions."""

    path: Path
    study_uid: str
    patient_id: str
    modality: str
    why_not: str
    place: tuple[float, ...] | None
    orientation: tuple[float, ...] | None


def _member(header: Header) -> _Member:
    place: tuple[float, ...] | None = None
    orientation: tuple[float, ...] | None = None
    with suppress(BadVolume):  # reading the series says what is wrong
        place, orientation = header.decimals("ImagePositionPatient", 3), header.decimals("ImageOrientationPatient", 6)
    study_uid, patient_id = header.uid("StudyInstanceUID"), header.text("PatientID")
    return _Member(header.path, study_uid, patient_id, modality_of(header), why_not_ct(header), place, orientation)


def _series(uid: str, group: list[_Member]) -> Series:
    group = sorted(group, key=lambda member: member.path.as_posix())
    # One CT slice among other things makes a candidate: reading it says what is wrong with the rest.
    first = next((member for member in group if not member.why_not), group[0])
    places = [member.place for member in group if member.place is not None and not member.why_not]
    slice_mm = None
    if first.orientation is not None and places and np.linalg.norm(np.cross(*np.reshape(first.orientation, (2, 3)))) > 0:
        slice_mm = slice_distance_mm(np.array(places), first.orientation)
    files = tuple(member.path for member in group)
    return Series(files, uid, first.study_uid, first.patient_id, first.modality, slice_mm, first.why_not)


def modality_of(header: Header) -> str:
    """Gives the modality, empty if it is no code of letters and digits, so that no other text gets into a message."""
    text = header.text("Modality").upper()
    return text if text.isalnum() and text.isascii() and len(text) <= 16 else ""


def why_not_ct(header: Header) -> str:
    """Says why a file is no slice of a CT scan, with an empty text if it is one."""
    modality, kind = modality_of(header), header.uid("SOPClassUID")
    if modality and modality != "CT":
        return f"modality {modality}"
    if kind and kind not in CT_CLASSES:
        return f"{UID(kind).name}, no CT image"
    if not modality and not kind:
        return "unknown modality"
    return "a localizer" if "LOCALIZER" in header.text("ImageType").upper().split("\\") else ""


def _length_mm(series: Series) -> float:
    return (series.slice_mm or 0.0) * (series.num_files - 1)


def _made_up_uid(text: str) -> str:
    return f"unnamed-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"


def _files_below(root: Path) -> Iterator[Path]:
    """Gives the files below a folder in a stable order; a link to a folder that was seen already is not followed again."""
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))
