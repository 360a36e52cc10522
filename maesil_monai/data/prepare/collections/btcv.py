"""BTCV, "Beyond the Cranial Vault", abdomen: as the RawData archive of Synapse syn3193805 unpacks."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maesil_monai.data.prepare.collections.listing import Candidate, Listing, Split, sorted_entries
from maesil_monai.data.volumes.admission_checks import check_folder
from maesil_monai.data.volumes.bad_volume import BadVolume

DATASET = "btcv"
ORGANS = (
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach", "aorta", "inferior vena cava"),
    *("portal and splenic vein", "pancreas", "right adrenal gland", "left adrenal gland"),
)
_SIDES: tuple[tuple[str, Split], ...] = (("Training", "training"), ("Testing", "test"))
_IMAGE = re.compile(r"img(\d+)\.nii(\.gz)?", re.IGNORECASE)


def btcv(folder: str | os.PathLike[str]) -> Listing:
    """Lists ``Training/img/img0001.nii.gz`` with ``Training/label/label0001.nii.gz``, and ``Testing/img``, without labels.

    Args:
        folder: ``RawData``, or a folder up to two levels around it.

    Raises:
        BadVolume: MISSING, NOT_A_FOLDER, NOT_BTCV.
    """
    root = _root_of(check_folder(folder, "the folder of a collection"))
    listing = Listing()
    for side, split in _SIDES:
        images = root / side / "img"
        for file in sorted_entries(images) if images.is_dir() else []:
            match = _IMAGE.fullmatch(file.name)
            if match is None:
                listing.not_ct.append((file, "not named as BTCV names its scans"))
                continue
            number = match[1]
            label = _label_of(root / side / "label", number)
            if label is None and split == "training":
                listing.warnings.append(f"{file}: has no label")
            listing.candidates.append(
                Candidate(
                    files=(file,),
                    dicom=False,
                    dataset=DATASET,
                    case_id=f"img{number}",
                    patient_id=f"{DATASET}/{number}",
                    study_id="",
                    split=split,
                    labels=() if label is None else ((0, label),),
                    label_names=() if label is None else tuple(enumerate(ORGANS, start=1)),
                )
            )
    return listing


def _root_of(folder: Path) -> Path:
    for root in (folder, folder / "RawData", folder / "Abdomen" / "RawData"):
        if any((root / side / "img").is_dir() for side, _ in _SIDES):
            return root
    found, cure = "neither Training/img nor Testing/img", "Name RawData, or use --folder for other layouts."
    raise BadVolume("NOT_BTCV", folder, found, "the folder RawData of BTCV", cure)


def _label_of(folder: Path, number: str) -> Path | None:
    for suffix in (".nii.gz", ".nii"):
        if (folder / f"label{number}{suffix}").is_file():
            return folder / f"label{number}{suffix}"
    return None
