"""Reads scans as a run would and says of each whether it is admitted; nothing is written but the report."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, AdmissionRules
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_files import find_volumes, read_volume, volume_suffix
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.whole_files import write_whole

REPORT_VERSION = 1

_Path = str | os.PathLike[str]


@dataclass(frozen=True)
class Judgement:
    """What became of one scan.

    Args:
        path: the file or series, as a user finds it.
        verdict: ``noted`` is accepted, with something odd; ``not CT`` is no failure.
        shape: voxels per axis in RAS orientation; empty where nothing was read, as are the other fields that do not apply.
        spacing_mm: size of a voxel on the same axes.
        notes: what was odd.
        code: why it was refused, in one word.
        reason: why it was refused or is not CT, and what to do.
    """

    path: str
    verdict: Literal["accepted", "noted", "refused", "not CT"]
    shape: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    notes: tuple[Note, ...] = ()
    code: str = ""
    reason: str = ""

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        spacing = " x ".join(f"{mm:.3g}" for mm in self.spacing_mm)
        facts = [f"{size} voxels of {spacing} mm"] if self.shape else []
        facts += [*map(str, self.notes), *([self.reason] if self.reason else [])]
        return _in_one_line(f"{self.verdict:<8}  {self.path}: {'; '.join(facts)}")


def check(paths: _Path | Sequence[_Path], report: _Path | None = None, rules: AdmissionRules = DEFAULT_RULES) -> int:
    """Reads scans to their last byte and prints a line for each, then a total.

    Args:
        paths: files; folders of NIfTI, NRRD, MetaImage and DICOM series at any depth; entries of a store. Labels that lie in
            folders are left out. Links must not lead out of a folder, unless ``rules`` allow it.
        report: JSON file to write as well; its folder must exist.
        rules: what is admitted where the choice is the user's.

    Returns:
        The exit code: 1 if a scan was refused or a path holds none, else 0.

    Raises:
        FileNotFoundError: if the folder of ``report`` is missing, before any scan is read.

    Example:
        >>> check("nowhere.nii.gz")
        refused   nowhere.nii.gz: no such file; expected a volume. Check the path and the data list. [MISSING]
        1 scan: 0 accepted, of which 0 noted; 1 refused
        1
    """
    if report is not None and not Path(report).absolute().parent.is_dir():
        raise FileNotFoundError(2, "No such folder for the report", str(Path(report).parent))
    judgements = []
    for path in [paths] if isinstance(paths, (str, os.PathLike)) else paths:
        for judgement in _judge_path(path, rules):
            print(judgement, flush=True)
            judgements.append(judgement)
    counts = dict.fromkeys(("accepted", "noted", "refused", "not CT"), 0)
    for judgement in judgements:
        counts[judgement.verdict] += 1
    num_scans = len(judgements) - counts["not CT"]
    admitted = counts["accepted"] + counts["noted"]
    print(
        f"{num_scans} scan{'s' * (num_scans != 1)}: {admitted} accepted, of which {counts['noted']} noted; "
        f"{counts['refused']} refused" + f"; besides, {counts['not CT']} series not CT" * (counts["not CT"] > 0)
    )
    if report is not None:
        content = {"format_version": REPORT_VERSION, "counts": counts, "scans": [asdict(entry) for entry in judgements]}
        write_whole(report, json.dumps(content, indent=1) + "\n")
    return int(counts["refused"] > 0)


def _judge_path(path: _Path, rules: AdmissionRules) -> Iterator[Judgement]:
    place = Path(path)
    try:
        is_tree = place.is_dir() and not volume_suffix(place) and place.suffix.lower() != ".zarr"
    except (OSError, ValueError):  # which the reader will explain
        is_tree = False
    if not is_tree:
        yield _judge(os.fspath(path), partial(read_volume, path, rules=rules))
        return
    # Imported where it is needed: NIfTI alone must not cost the start of a DICOM library.
    from maesil_monai.data.dicom import find_series, read_series

    inside = rules if rules.root is not None else replace(rules, root=place)
    try:
        volumes, series = find_volumes(place), find_series(place)
    except BadVolume as error:
        yield _refused(error.path, error)
        return
    # A volume file that cannot be opened is no series.
    series = [one for one in series if not any(volume_suffix(file) for file in one.files)]
    for volume in volumes:
        yield _judge(str(volume), partial(read_volume, volume, rules=inside))
    for one in series:
        name = f"{one.files[0].parent} (series {one.series_uid}, {one.num_files} file{'s' * (one.num_files != 1)})"
        if one.is_ct:
            yield _judge(name, partial(read_series, one, inside))
        else:
            yield Judgement(name, "not CT", reason=one.why_not)
    if not (volumes or series):
        yield _refused(str(place), BadVolume("NO_VOLUMES", place, "no scan", "one at least", "Name the folder that holds them."))


def _judge(name: str, read: Callable[[], VolumeSource]) -> Judgement:
    try:
        source = read()
    except BadVolume as error:
        return _refused(name, error)
    except OSError as error:  # a disk or a network that fails must not end the list
        reason = f"{error.strerror or error}. Try again; the scan itself may be good. [READ_ERROR]"
        return Judgement(name, "refused", code="READ_ERROR", reason=reason)
    verdict: Literal["accepted", "noted"] = "noted" if source.notes else "accepted"
    return Judgement(name, verdict, source.shape, source.spacing_mm, source.notes)


def _refused(name: str, error: BadVolume) -> Judgement:
    # A name of many files may be refused for one of them.
    place = "" if error.path == name or name.startswith(error.path) else f"{error.path}: "
    reason = f"{place}{error.found}; expected {error.expected}. {error.cure} [{error.code}]"
    return Judgement(name, "refused", code=error.code, reason=reason)


def _in_one_line(text: str) -> str:
    """Writes line breaks, control characters and bytes that are no text as escapes: names of files may hold any of them."""
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")
