"""The list of scans of a run: which files, under which names, for training, for validation or for the test."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from maesil_monai.data.samples.packed_rows import Rows
from maesil_monai.data.store.folder_or_url import is_url, place_of
from maesil_monai.data.volumes.admission_checks import DICOM_SUFFIXES
from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume, UnreadableVolume
from maesil_monai.data.volumes.volume_files import find_volumes, volume_suffix
from maesil_monai.errors import BadSetting
from maesil_monai.option_values import expect

logger = logging.getLogger(__name__)

Section = Literal["training", "validation", "test", "all"]

DATALIST_NAME = "datalist.json"
SECTIONS = ("training", "validation", "test")
# What a row may say of a scan, beside its image.
TEXT_KEYS = ("dataset", "patient_id", "sha256")
# Absolute (on any system), a URL, or a step up. Looked at as text: a Path takes ten times as long, and lists have many rows.
_LEAVES_FOLDER = re.compile(r"^[/\\]|^[A-Za-z]:[/\\]|://|(^|[/\\])\.\.($|[/\\])")
_CURE = "See the Decathlon form in MONAI's documentation."


def build_datalist(
    dataset_dir: str | os.PathLike[str],
    section: Section = "training",
    val_scans: int | float = 0.1,
    pattern: str | None = None,
    dataset: str = "",
    leave_out: str = "",
) -> Rows:
    """Lists the scans of a store or of a folder.

    A ``datalist.json`` in the folder, which every store has (MONAI's Decathlon form: lists ``training`` and, if wanted,
    ``validation`` and ``test``, of rows with an ``image`` path relative to the folder), is taken as it is. Without one, and for
    a list without ``validation``, the scans of ``training`` are sorted as strings by their path below the folder and the last
    ones validate; scans of one ``patient_id`` stay together. Where a patient has several scans and no list names patients, write
    one, so that no patient is on both sides.

    Args:
        dataset_dir: folder of the scans, or a store as folder or as URL that fsspec knows (``http://``, ``s3://`` ...); with
            section ``all`` also one volume file.
        section: ``training``, ``validation``, ``test``, or ``all`` (in this order).
        val_scans: how many scans validate: a whole number, or a share below 1 (rounded up, at least one scan).
        pattern: glob below the folder, such as ``"*/ct.nii.gz"``; default every volume that is no label by its name. It counts
            only where there is no list.
        dataset: only the scans of this collection; empty for all.
        leave_out: no scan of this collection; empty for none. The split is that of all scans, so it moves nobody.

    Returns:
        A dictionary for each scan: ``image`` (path or URL), ``case_id`` (default the path below the folder without its suffix)
        and, where the list has them, ``label`` (a string as path or URL), ``dataset``, ``patient_id`` and ``sha256``.

    Raises:
        ValueError: for an unknown section or a pattern that leaves the folder; if fewer than 2 scans are there to split, or
            ``val_scans`` leaves nothing on one side; for a collection that no scan is of.
        BadVolume: MISSING, UNREADABLE, NO_VOLUME, BAD_DATALIST, OUTSIDE_FOLDER, DUPLICATE_CASE, LEAKAGE (a patient in two
            sections).

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in "abc":
        ...     (folder / f"{name}.nii.gz").touch()
        >>> [row["case_id"] for row in build_datalist(folder, "training")]
        ['a', 'b']
    """
    expect(section in get_args(Section), "section", section, f"{', '.join(get_args(Section)[:-1])} or all")
    if pattern is not None and (not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts):
        raise BadSetting(f"pattern={pattern!r}: expected a glob below the folder, such as '*/ct.nii.gz'.")
    root = str(dataset_dir) if is_url(dataset_dir) else str(Path(dataset_dir))
    if section == "all" and not is_url(root) and volume_suffix(root) and Path(root).is_file():
        file = Path(os.path.abspath(root))  # noqa: PTH100 - links stay links
        top = file.parent.parent  # the folder's name stays in the scan's: many an archive calls every file ct.nii.gz
        return Rows([_row_of(str(top), {"image": file.relative_to(top).as_posix()})], str(top))
    listed, text = _listed(root), _datalist_text(root)
    if text is None:
        lists = {"training": _found(Path(root), pattern, section), "validation": [], "test": []}
    else:
        lists = _read_datalist(listed, text)
    if section in ("training", "validation") and not lists["validation"]:
        lists["training"], lists["validation"] = _split(root, lists["training"], val_scans)
        if text is not None:
            logger.info("%s names no validation: its last %d scans are held out", listed, len(lists["validation"]))
    lists = _of_collections(listed, lists, dataset, leave_out)
    if section == "training" and not lists["training"]:
        cure = "Add scans; of a store, prepare it again with --val-share 0 or another --split-seed."
        _refuse("NO_VOLUME", listed, "no scan to train on", 'scans in the list named "training"', cure)
    if section == "test" and not lists["test"]:
        cure = "List scans there (`prepare` with a larger --test-share), or judge --section validation."
        _refuse("NO_VOLUME", listed, "no scan for the test", 'a list named "test"', cure)
    return Rows(itertools.chain.from_iterable(lists.values()) if section == "all" else lists[section], root)


def _of_collections(
    listed: str, lists: dict[str, list[dict[str, Any]]], dataset: str, leave_out: str
) -> dict[str, list[dict[str, Any]]]:
    """Keeps the scans of one collection, or of all but one."""
    if not dataset and not leave_out:
        return lists
    names = {row.get("dataset", "") for rows in lists.values() for row in rows}
    for key, name in (("dataset", dataset), ("leave_out", leave_out)):
        if name and name not in names:
            known = ", ".join(sorted(names - {""})) or "none: its rows have no key dataset"
            raise BadSetting(f"{key}={name!r}: {listed} names no such collection; it has {known}.")
    return {
        section: [
            row
            for row in rows
            if (not dataset or row.get("dataset") == dataset) and (not leave_out or row.get("dataset") != leave_out)
        ]
        for section, rows in lists.items()
    }


def data_hash(datalist: Sequence[Mapping[str, Any]]) -> str:
    """Gives a fingerprint of a data list for run records.

    A scan counts by its name and the hash of its voxels, where the list has one (stores do); else by its name and the size of
    its file or files, not their content or place; a URL without a hash by its name alone.

    Args:
        datalist: as from :func:`build_datalist`; its order does not matter.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        MissingVolume: MISSING, if a file without a hash has gone.
    """
    lines = sorted(f"{row.get('case_id', Path(row['image']).name)}\0{_content_of(row)}\n" for row in datalist)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _content_of(row: Mapping[str, Any]) -> str:
    if row.get("sha256"):
        return str(row["sha256"])
    if is_url(row["image"]):
        return ""
    path = Path(row["image"])
    if path.is_dir():
        return str(
            [(file.relative_to(path).as_posix(), file.stat().st_size) for file in sorted(path.rglob("*")) if file.is_file()]
        )
    if not path.is_file():
        raise MissingVolume("MISSING", path, "no such file", "a volume of the data list", "Build the data list again.")
    return str(path.stat().st_size)


def _listed(root: str) -> str:
    return f"{root.rstrip('/')}/{DATALIST_NAME}"


def _refuse(code: str, path: str, found: str, expected: str, cure: str) -> NoReturn:
    raise BadVolume(code, path, found, expected, cure)


def _datalist_text(root: str) -> bytes | None:
    """Reads the list; None where a folder has none. A URL has to have one: there is no looking for scans behind it."""
    if not is_url(root) and not Path(_listed(root)).is_file():
        return None
    try:
        return place_of(root).read(DATALIST_NAME)
    except FileNotFoundError as error:
        cure = "Check the URL; scans that are not in a store have to be on this machine."
        raise MissingVolume("MISSING", _listed(root), "no such file", "the data list of a store", cure) from error
    except OSError as error:
        cure = "Check that you may read it, and the connection."
        raise UnreadableVolume("UNREADABLE", _listed(root), f"{error}", "a file that can be read", cure) from error


def _found(root: Path, pattern: str | None, section: str) -> list[dict[str, Any]]:
    files = find_volumes(root, DICOM_SUFFIXES)
    paths = [path for path in files if path.suffix.lower() not in DICOM_SUFFIXES]
    if pattern is not None:
        paths = sorted((p for p in root.glob(pattern) if volume_suffix(p)), key=lambda p: p.relative_to(root).as_posix())
    if not paths:
        what = "no volume" if pattern is None else f"no volume that matches {pattern!r}"
        cure = "Check the folder; labels are left out by name, and DICOM is read by `python -m maesil_monai prepare`."
        _refuse("NO_VOLUME", str(root), what, "NIfTI, NRRD or MetaImage files", cure)
    if section != "validation" and pattern is None and (num_dicom := len(files) - len(paths)):
        logger.warning("%s: %d DICOM files are left out; `python -m maesil_monai prepare` reads DICOM", root, num_dicom)
    rows = [_row_of(str(root), {"image": path.relative_to(root).as_posix()}) for path in paths]
    _refuse_twins(str(root), {"training": rows})
    return rows


def _read_datalist(listed: str, text: bytes) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadVolume("BAD_DATALIST", listed, f"no JSON ({error})", "JSON", _CURE) from error
    if not isinstance(content, dict) or not isinstance(content.get("training"), list):
        _refuse("BAD_DATALIST", listed, "no list named training", 'an object {"training": [...]}', _CURE)
    for name in SECTIONS:
        if not isinstance(content.get(name, []), list):
            _refuse("BAD_DATALIST", listed, f"{name} is no list", "a list of scans", _CURE)
    # Each section goes when it is read, so that a long list is not held twice.
    lists = {name: [_row_of(listed, row) for row in content.pop(name, [])] for name in SECTIONS}
    if not any(lists.values()):
        _refuse("NO_VOLUME", listed, "no scan in training, validation or test", "at least one", "Add the scans to the list.")
    _refuse_twins(listed, lists)
    return lists


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _row_of(listed: str, row: Any) -> dict[str, Any]:
    """Takes over of a row what a run needs; a string is an image's path."""
    image = row.get("image") if isinstance(row, dict) else row
    if not isinstance(image, str) or not image:
        _refuse("BAD_DATALIST", listed, f"the row {row!r}", '{"image": "path below the folder"}', "Correct the row.")
    found: dict[str, Any] = {"image": _below(listed, image)}
    if not isinstance(row, dict):
        row = {}
    case = row.get("case_id") if "case_id" in row else found["image"].removesuffix(volume_suffix(found["image"]))
    for key, value in (("case_id", case), *((key, row[key]) for key in TEXT_KEYS if key in row)):
        if not isinstance(value, (str, int)) or value == "":
            _refuse("BAD_DATALIST", listed, f"{key} {value!r} of {image}", "a name", "Correct the row.")
        found[key] = str(value)
    # Names of cases become names of files.
    found["case_id"] = _below(listed, found["case_id"])
    if "label" in row:
        found["label"] = _below(listed, row["label"]) if isinstance(row["label"], str) else row["label"]
    return found


def _below(listed: str, path: str) -> str:
    """Gives a path in its simplest form, if it stays below the folder."""
    if (".." in path or ":" in path or path[:1] in ("/", "\\")) and _LEAVES_FOLDER.search(path):
        _refuse("OUTSIDE_FOLDER", listed, f"the path {path!r}", "a path below the folder", "Move the scan or the list.")
    return posixpath.normpath(path)


def _refuse_twins(listed: str, lists: Mapping[str, list[dict[str, Any]]]) -> None:
    """Refuses a scan or a name that comes twice, and a patient that is in two sections."""
    seen: set[tuple[str, ...]] = set()
    section_of: dict[str, str] = {}
    for section, rows in lists.items():
        for row in rows:
            twins = {(row["image"],), (row.get("dataset", ""), row["case_id"])}
            for *_, name in twins & seen:
                _refuse("DUPLICATE_CASE", listed, f"a second scan named {name!r}", "one", "Remove or rename one of the two.")
            seen |= twins
            patient = row.get("patient_id")
            if patient is not None and section_of.setdefault(patient, section) != section:
                found = f"patient {patient!r} in {section_of[patient]} and in {section}"
                cure = "Move the patient's scans to one of them."
                _refuse("LEAKAGE", listed, found, "all scans of a patient in one section", cure)


def _split(root: str, rows: list[dict[str, Any]], val_scans: int | float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows = sorted(rows, key=lambda row: row["image"])
    if len(rows) < 2:
        raise BadSetting(f"{root} holds {len(rows)} scan: expected at least 2, one to train on and one to validate on.")
    if isinstance(val_scans, float) and 0.0 < val_scans < 1.0:
        # A share like 0.1 is not exact in binary: 0.1 * 30 must be 3 scans, not 4.
        count = max(math.ceil(val_scans * len(rows) - 1e-9), 1)
    else:
        count = val_scans if isinstance(val_scans, int) and not isinstance(val_scans, bool) else 0
    if not 1 <= count < len(rows):
        raise BadSetting(
            f"val_scans={val_scans} of the {len(rows)} scans in {root}: expected a share between 0 and 1 or a count of "
            f"1 to {len(rows) - 1}, so that both sides hold a scan."
        )
    held_out = {row["patient_id"] for row in rows[-count:] if "patient_id" in row}
    first = len(rows) - count
    training = [row for row in rows[:first] if row.get("patient_id") not in held_out]
    if not training:
        raise BadSetting(
            f"val_scans={val_scans}: the patients of these scans have all {len(rows)} scans in {root}; hold out fewer."
        )
    validation = [row for place, row in enumerate(rows) if place >= first or row.get("patient_id") in held_out]
    return training, validation
