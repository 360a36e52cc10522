"""The list of scans of a run: which files, under which names, for training or for validation."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from maesil_monai.data.bad_volume import BadVolume, MissingVolume
from maesil_monai.data.volume_files import find_volumes, volume_suffix

Section = Literal["training", "validation", "all"]

DATALIST_NAME = "datalist.json"


def build_datalist(
    dataset_dir: str | os.PathLike[str], section: Section = "training", val_scans: int | float = 0.1, pattern: str | None = None
) -> list[dict[str, str]]:
    """Lists the scans of a folder.

    A ``datalist.json`` in the folder (MONAI's Decathlon form: lists ``training`` and, if wanted, ``validation``, of rows with an
    ``image`` path relative to the folder) is taken as it is. Without one, and for a list without ``validation``, all scans are
    sorted as strings by their path below the folder and the last ones validate. Where a patient has several scans, write the
    list, so that no patient is on both sides.

    Args:
        dataset_dir: folder of the scans.
        section: ``training``, ``validation``, or ``all`` (training first).
        val_scans: how many scans validate: a whole number, or a share below 1 (rounded up, at least one scan).
        pattern: glob below the folder, such as ``"*/ct.nii.gz"``; default every volume that is no label by its name.

    Returns:
        ``{"image": path, "case_id": path below the folder without its suffix}`` for each scan.

    Raises:
        ValueError: for an unknown section or a pattern that leaves the folder; if fewer than 2 scans are there to split, or
            ``val_scans`` leaves nothing on one side.
        BadVolume: MISSING, NO_VOLUME, BAD_DATALIST, OUTSIDE_FOLDER, DUPLICATE_CASE.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in "abc":
        ...     (folder / f"{name}.nii.gz").touch()
        >>> [row["case_id"] for row in build_datalist(folder, "training")]
        ['a', 'b']
    """
    if section not in ("training", "validation", "all"):
        raise ValueError(f"section={section!r}: expected training, validation or all.")
    if pattern is not None and (not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts):
        raise ValueError(f"pattern={pattern!r}: expected a glob below the folder, such as '*/ct.nii.gz'.")
    root = Path(dataset_dir)
    listed = root / DATALIST_NAME
    if listed.is_file():
        training, validation = _read_datalist(root, listed)
    else:
        training, validation = _found(root, pattern), []
    if not validation and section != "all":
        training, validation = _split(root, training, val_scans)
    return {"training": training, "validation": validation, "all": training + validation}[section]


def data_hash(datalist: Sequence[dict[str, str]]) -> str:
    """Gives a fingerprint of a data list for run records: names and sizes of the files, not their content or place.

    Args:
        datalist: as from :func:`build_datalist`; its order does not matter.

    Returns:
        SHA-256 in hexadecimal.

    Raises:
        MissingVolume: MISSING, if a file has gone.
    """
    digest = hashlib.sha256()
    for row in sorted(datalist, key=_case_of):
        path = Path(row["image"])
        if not path.is_file():
            raise MissingVolume("MISSING", path, "no such file", "a volume of the data list", "Build the data list again.")
        digest.update(f"{_case_of(row)}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()


def _case_of(row: dict[str, str]) -> str:
    return row.get("case_id", Path(row["image"]).name)


def _found(root: Path, pattern: str | None) -> list[dict[str, str]]:
    paths = find_volumes(root)
    if pattern is not None:
        paths = sorted((p for p in root.glob(pattern) if volume_suffix(p)), key=lambda p: p.relative_to(root).as_posix())
    if not paths:
        what = "no volume" if pattern is None else f"no volume that matches {pattern!r}"
        raise BadVolume(
            "NO_VOLUME", root, what, "NIfTI, NRRD or MetaImage files", "Check the folder; labels are left out by name."
        )
    return _rows(root, [path.relative_to(root).as_posix() for path in paths])


def _read_datalist(root: Path, listed: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    cure = "See the Decathlon form in MONAI's documentation."
    try:
        content = json.loads(listed.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadVolume("BAD_DATALIST", listed, f"no JSON ({error})", "JSON", cure) from error
    if not isinstance(content, dict) or not isinstance(content.get("training"), list):
        raise BadVolume("BAD_DATALIST", listed, "no list named training", 'an object {"training": [...]}', cure)
    if not isinstance(content.get("validation", []), list):
        raise BadVolume("BAD_DATALIST", listed, "validation is no list", "a list of scans", cure)
    names = [[_image_of(listed, row) for row in content.get(key, [])] for key in ("training", "validation")]
    rows = _rows(root, names[0] + names[1])
    if not rows:
        raise BadVolume("NO_VOLUME", listed, "no scan in training or validation", "at least one", "Add the scans to the list.")
    return rows[: len(names[0])], rows[len(names[0]) :]


def _image_of(listed: Path, row: Any) -> str:
    image = row.get("image") if isinstance(row, dict) else row
    if not isinstance(image, str) or not image:
        raise BadVolume("BAD_DATALIST", listed, f"the row {row!r}", '{"image": "path below the folder"}', "Correct the row.")
    if Path(image).is_absolute() or ".." in Path(image).parts:
        raise BadVolume("OUTSIDE_FOLDER", listed, f"the path {image!r}", "a path below the folder", "Move the scan or the list.")
    return Path(image).as_posix()


def _rows(root: Path, names: list[str]) -> list[dict[str, str]]:
    rows = [{"image": str(root / name), "case_id": name[: len(name) - len(volume_suffix(name))]} for name in names]
    seen: set[str] = set()
    for row in rows:
        if row["case_id"] in seen:
            raise BadVolume(
                "DUPLICATE_CASE",
                row["image"],
                f"a second scan named {row['case_id']!r}",
                "one",
                "Remove or rename one of the two.",
            )
        seen.add(row["case_id"])
    return rows


def _split(root: Path, rows: list[dict[str, str]], val_scans: int | float) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    rows = sorted(rows, key=lambda row: row["case_id"] + volume_suffix(row["image"]))
    if len(rows) < 2:
        raise ValueError(f"{root} holds {len(rows)} scan: expected at least 2, one to train on and one to validate on.")
    if isinstance(val_scans, float) and 0.0 < val_scans < 1.0:
        # A share like 0.1 is not exact in binary: 0.1 * 30 must be 3 scans, not 4.
        count = max(math.ceil(val_scans * len(rows) - 1e-9), 1)
    else:
        count = val_scans if isinstance(val_scans, int) and not isinstance(val_scans, bool) else 0
    if not 1 <= count < len(rows):
        raise ValueError(
            f"val_scans={val_scans} of the {len(rows)} scans in {root}: expected a share between 0 and 1 or a count of "
            f"1 to {len(rows) - 1}, so that both sides hold a scan."
        )
    return rows[:-count], rows[-count:]
