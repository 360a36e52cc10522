"""Made-up scans in the layouts of the three collections, so that the readers of real data are what reads them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import nibabel as nib
import numpy as np
from pydicom import dcmread

from maesil_monai.errors import BadSetting
from maesil_monai.phantom.dicom_files import (
    PLANTED_TAGS,
    StudyTags,
    draw_uid,
    write_chest_film,
    write_ct,
    write_localizer,
)
from maesil_monai.phantom.made_up_scan import LABELS, Phantom, phantom_scan
from maesil_monai.whole_files import write_whole

__all__ = ["PLANTED_TAGS", "write_layouts"]

LayoutSize = Literal["tiny", "small"]
_CaseWriter = Callable[[Path, int, list[int], LayoutSize], None]

MARKER = "layouts.json"
TESTING_NUMBER = 61
# Goes up whenever the same seed no longer gives the same files.
VERSION = 1
# Ids of BTCV for the phantom's structures; it has no oesophagus and no adrenal glands.
BTCV_IDS = {
    "spleen": 1,
    "kidney_right": 2,
    "kidney_left": 3,
    "gallbladder": 4,
    "liver": 6,
    "stomach": 7,
    "arteries": 8,
    "veins": 9,
    "pancreas": 11,
}
# Names of TotalSegmentator 2 for the phantom's structures: most are its own.
STRUCTURES = {
    **{name: name for name in ("colon", "gallbladder", "heart", "kidney_left", "kidney_right", "liver", "pancreas")},
    **{name: name for name in ("small_bowel", "spleen", "stomach")},
    **{"aorta": "arteries", "inferior_vena_cava": "veins", "spinal_cord": "spinal_canal", "trachea": "airways"},
    "urinary_bladder": "bladder",
}
_TABLE_HEAD = "image_id;age;gender;institute;study_type;split;manufacturer;scanner_model;kvp;pathology;pathology_location"


def write_layouts(
    folder: str | os.PathLike[str], num_scans: int = 3, seed: int = 0, size: LayoutSize = "tiny"
) -> dict[str, Path]:
    """Writes ``num_scans`` CT scans in the layout of each collection.

    - ``btcv``: ``RawData/Training/img/img0001.nii.gz`` with ``label/label0001.nii.gz``, and one more in ``RawData/Testing/img``.
    - ``lidc``: patient, study and series folders of DICOM, as TCIA delivers them: a study with a localizer and the CT with its
      XML annotations beside it (for the first patient also a reconstruction of twice the slice thickness), and a study with a
      chest film. Headers hold ``PLANTED_TAGS``.
    - ``totalsegmentator``: version 2, ``s0001/ct.nii.gz`` with ``segmentations/*.nii.gz``, and ``meta.csv`` with a split: of
      three scans one is for training, one for validation and one for test.

    Scan i is drawn from ``SeedSequence([seed, collection, i])``, whatever ``num_scans`` is. Each appears under its name when it
    is whole; those that are there are kept, so that more can be asked for later.

    Args:
        folder: made when missing.
        num_scans: scans of each collection, 1 to 60 (BTCV counts its Testing scans from 61).
        seed: from 0 up.
        size: ``tiny``, 48 voxels across a slice, or ``small``, 128.

    Returns:
        The folder of each collection by its name.

    Raises:
        ValueError: for numbers out of range or an unknown size; if the folder holds something else or has another seed.
    """
    if not 1 <= num_scans < TESTING_NUMBER or seed < 0 or size not in get_args(LayoutSize):
        raise BadSetting(
            f"num_scans={num_scans}, seed={seed}, size={size!r}: expected 1 to {TESTING_NUMBER - 1} scans, a seed from 0 up, and "
            f"{' or '.join(get_args(LayoutSize))}."
        )
    root = Path(folder)
    _claim(root, {"generator": "maesil_monai.phantom.layouts", "version": VERSION, "seed": seed, "size": size})
    places = {name: root / name for name in ("btcv", "lidc", "totalsegmentator")}
    _write_btcv(places["btcv"] / "RawData" / "Testing", TESTING_NUMBER, [seed, 0, 0], size)
    for index in range(1, num_scans + 1):
        _write_btcv(places["btcv"] / "RawData" / "Training", index, [seed, 0, index], size)
        _write_whole(places["lidc"] / f"LIDC-IDRI-{index:04d}", _write_lidc, index, [seed, 1, index], size)
        _write_whole(places["totalsegmentator"] / f"s{index:04d}", _write_totalsegmentator, index, [seed, 2, index], size)
    _write_table(places["totalsegmentator"])
    return places


def _write_btcv(side: Path, number: int, seed: list[int], size: LayoutSize) -> None:
    image, label = side / "img" / f"img{number:04d}.nii.gz", side / "label" / f"label{number:04d}.nii.gz"
    # The label first: where the image is, both are.
    if image.is_file():
        return
    scan = phantom_scan(seed, size=size, coverage="abdomen")
    if number != TESTING_NUMBER:
        ids = np.zeros(len(LABELS), np.uint8)
        for name, number_there in BTCV_IDS.items():
            ids[LABELS[name]] = number_there
        _save_nifti(label, ids[scan.label], scan.affine)
    _save_nifti(image, scan.hu, scan.affine)


def _write_lidc(patient: Path, number: int, seed: list[int], size: LayoutSize) -> None:
    scan = phantom_scan(seed, size=size, coverage="chest", orientation="LPS")
    rng = np.random.default_rng([*seed, 1])
    for_ct, for_film = (StudyTags(number, draw_uid(rng), draw_uid(rng)) for _ in range(2))
    # TCIA names folders by the date, which it moved, and by the ends of the UIDs.
    study = patient / f"01-01-2000-{for_ct.study_uid[-5:]}"
    write_localizer(study / "1.000000-scout-10001", scan, for_ct, 1, rng)
    series = study / "3000566.000000-chest-10002"
    uid = write_ct(series, scan, for_ct, 2, rng)
    (series / f"{number:03d}.xml").write_text(_annotations(for_ct.study_uid, uid, series), encoding="utf-8")
    if number == 1:
        write_ct(study / "3000567.000000-thick-10003", _of_double_thickness(scan), for_ct, 3, rng)
    write_chest_film(patient / f"01-01-2000-{for_film.study_uid[-5:]}" / "1.000000-film-10004", scan, for_film, 1, rng)


def _of_double_thickness(scan: Phantom) -> Phantom:
    """Averages slices by twos, as a second reconstruction of the same scan does."""
    num_pairs = scan.hu.shape[2] // 2
    hu = scan.hu[:, :, : 2 * num_pairs].reshape(*scan.hu.shape[:2], num_pairs, 2).mean(axis=3).astype(np.int16)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, 2] / 2
    affine[:3, 2] *= 2
    return Phantom(hu, scan.label[:, :, : 2 * num_pairs : 2], affine)


def _annotations(study_uid: str, series_uid: str, series: Path) -> str:
    """Gives a reading session in the form of LIDC with one nodule, outlined in the middle slice."""
    slices = sorted(series.glob("*.dcm"))
    middle = dcmread(slices[len(slices) // 2], stop_before_pixels=True)
    edge = "".join(
        f"<edgeMap><xCoord>{x}</xCoord><yCoord>{y}</yCoord></edgeMap>" for x, y in ((20, 20), (22, 20), (22, 22), (20, 22))
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<LidcReadMessage uid="{study_uid}.1" xmlns="http://www.nih.gov">
<ResponseHeader><Version>1.8.1</Version><SeriesInstanceUid>{series_uid}</SeriesInstanceUid>\
<StudyInstanceUID>{study_uid}</StudyInstanceUID></ResponseHeader>
<readingSession><servicingRadiologistID>anonymous</servicingRadiologistID>
<unblindedReadNodule><noduleID>Nodule 001</noduleID>
<roi><imageZposition>{middle.ImagePositionPatient[2]}</imageZposition><imageSOP_UID>{middle.SOPInstanceUID}</imageSOP_UID>\
<inclusion>TRUE</inclusion>{edge}</roi>
</unblindedReadNodule></readingSession>
</LidcReadMessage>
"""


def _write_totalsegmentator(case: Path, number: int, seed: list[int], size: LayoutSize) -> None:
    scan = phantom_scan(seed, size=size)
    _save_nifti(case / "ct.nii.gz", scan.hu, scan.affine)
    # A structure that is not in the scan has its file all the same, as in the collection.
    for name, ours in STRUCTURES.items():
        _save_nifti(case / "segmentations" / f"{name}.nii.gz", (scan.label == LABELS[ours]).astype(np.uint8), scan.affine)


def _write_table(folder: Path) -> None:
    """Writes the table of all scans that are there; the split of a scan depends on its number alone."""
    lines = [_TABLE_HEAD]
    for case in sorted(folder.glob("s[0-9]*")):
        split = ("test", "train", "val")[int(case.name[1:]) % 3]
        lines.append(f"{case.name};;;phantom;made up;{split};MAESIL phantom;;;;")
    write_whole(folder / "meta.csv", "\n".join(lines) + "\n")


def _write_whole(folder: Path, write: _CaseWriter, number: int, seed: list[int], size: LayoutSize) -> None:
    """Has a case written beside its place and moves it there when it is whole."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write(unfinished, number, seed, size)
    unfinished.replace(folder)


def _save_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Saves a volume that is whole as soon as it has its name."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    write_whole(path, gzip.compress(image.to_bytes(), compresslevel=3, mtime=0))


def _claim(root: Path, drawn_from: dict[str, object]) -> None:
    """Marks a folder as ours, and refuses one that holds anything else."""
    marker = root / MARKER
    if marker.is_file():
        found = marker.read_text(encoding="utf-8")
        if found != _json(drawn_from):
            raise BadSetting(
                f"{root}: was drawn from {found.strip()}; expected {_json(drawn_from).strip()}. Choose another folder."
            )
        return
    if root.is_dir() and any(root.iterdir()):
        raise BadSetting(f"{root}: is not empty and has no {MARKER}; expected a new folder. Choose another one.")
    write_whole(marker, _json(drawn_from))


def _json(content: dict[str, object]) -> str:
    return json.dumps(content) + "\n"
