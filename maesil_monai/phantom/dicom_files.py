"""A made-up scan as the DICOM files of a study: the CT, a localizer, a chest film, and identifying tags to look for later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian

from maesil_monai.phantom.made_up_scan import Phantom

# Tags that identify a person, a place or a day, with values that occur nowhere else: none may be found in what is made of the
# files. The patient's ID is followed by a number, so that patients differ.
PLANTED_TAGS: tuple[tuple[str, str], ...] = (
    ("PatientName", "Plantedname^Quirina"),
    ("PatientID", "PLANTEDID"),
    ("PatientBirthDate", "19470203"),
    ("PatientBirthTime", "041759.271828"),
    ("PatientAddress", "7 Plantedaddress Lane"),
    ("PatientTelephoneNumbers", "+00 555 7319046"),
    ("PatientMotherBirthName", "Plantedmother"),
    ("OtherPatientNames", "Plantedalias^Zenobia"),
    ("PatientComments", "plantedcomment fell from a ladder"),
    ("Occupation", "PLANTEDJOB"),
    ("AccessionNumber", "PLANTEDACC81723"),
    ("StudyID", "PLANTEDSTUDY64"),
    ("StudyDate", "19960417"),
    ("StudyTime", "152637.484950"),
    ("StudyDescription", "Plantedstudydescription"),
    ("InstitutionName", "Plantedhospital of Nowhere"),
    ("InstitutionAddress", "9 Plantedclinic Square"),
    ("ReferringPhysicianName", "Planteddoctor^Yolanda"),
    ("OperatorsName", "Plantedoperator^Xaver"),
    ("StationName", "PLANTEDSTATION"),
)
INTERCEPT_HU = -1024
_ROOT = "2.25."


@dataclass(frozen=True)
class StudyTags:
    """What the files of one study share.

    Args:
        patient: number of the patient, from 1.
        study_uid: StudyInstanceUID.
        frame_uid: FrameOfReferenceUID.
    """

    patient: int
    study_uid: str
    frame_uid: str


def draw_uid(rng: np.random.Generator) -> str:
    """Draws a UID of the form that is made of a UUID."""
    return _ROOT + str(int.from_bytes(rng.bytes(16), "big"))


def write_ct(folder: Path, scan: Phantom, study: StudyTags, number: int, rng: np.random.Generator) -> str:
    """Writes a CT series, a file for each slice, unsigned 16 bit with an intercept of -1024.

    Files are numbered from the feet up, so their order is no help: SliceThickness says twice the slice distance, as overlapping
    reconstructions do, and InstanceNumber runs the other way.

    Args:
        folder: made when missing.
        scan: at any orientation; its third stored axis must be the slices.
        study: of the series.
        number: SeriesNumber.
        rng: draws the UIDs.

    Returns:
        The SeriesInstanceUID.
    """
    series_uid, (_, _, num_slices) = draw_uid(rng), scan.hu.shape
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0)
    for index in range(num_slices):
        dataset = _dataset(study, series_uid, number, draw_uid(rng), CTImageStorage, "CT", ["ORIGINAL", "PRIMARY", "AXIAL"])
        _add_place(dataset, lps, spacing_mm, index)
        dataset.SliceThickness = _decimal(2 * spacing_mm[2])
        dataset.InstanceNumber = num_slices - index
        _add_pixels(dataset, scan.hu[:, :, index].T)
        _save(dataset, folder / f"1-{index + 1:03d}.dcm")
    return series_uid


def write_localizer(folder: Path, scan: Phantom, study: StudyTags, number: int, rng: np.random.Generator) -> None:
    """Writes a localizer, one CT image seen from the front; arguments as in :func:`write_ct`."""
    dataset = _dataset(study, draw_uid(rng), number, draw_uid(rng), CTImageStorage, "CT", ["ORIGINAL", "PRIMARY", "LOCALIZER"])
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
    spacing_mm = np.linalg.norm(lps[:3, :3], axis=0)
    # Axes (column, row, normal): the second and the third stored axis change places.
    turned, sizes = lps[:, [0, 2, 1, 3]], spacing_mm[[0, 2, 1]]
    _add_place(dataset, turned, sizes, 0)
    dataset.InstanceNumber = 1
    _add_pixels(dataset, scan.hu.mean(axis=1).astype(np.int16).T)
    _save(dataset, folder / "1-001.dcm")


def write_chest_film(folder: Path, scan: Phantom, study: StudyTags, number: int, rng: np.random.Generator) -> None:
    """Writes a chest film (modality CR), which has no place in space; arguments as in :func:`write_ct`."""
    kind = ComputedRadiographyImageStorage
    dataset = _dataset(study, draw_uid(rng), number, draw_uid(rng), kind, "CR", ["ORIGINAL", "PRIMARY"])
    dataset.InstanceNumber = 1
    _add_pixels(dataset, np.flipud((scan.hu.mean(axis=1) + 1000).clip(-1000, 3000).astype(np.int16).T))
    del dataset.RescaleSlope, dataset.RescaleIntercept
    _save(dataset, folder / "1-001.dcm")


def _dataset(
    study: StudyTags, series_uid: str, number: int, instance_uid: str, kind: UID, modality: str, image_type: list[str]
) -> Dataset:
    dataset = Dataset()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID = kind
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID(instance_uid)
    dataset.file_meta = meta
    for keyword, value in PLANTED_TAGS:
        setattr(dataset, keyword, value)
    dataset.PatientID = planted_patient_id(study.patient)
    dataset.ImageType = image_type
    dataset.Modality = modality
    dataset.Manufacturer = "MAESIL phantom"
    dataset.StudyInstanceUID = study.study_uid
    dataset.FrameOfReferenceUID = study.frame_uid
    dataset.SeriesInstanceUID = series_uid
    dataset.SeriesNumber = number
    return dataset


def planted_patient_id(patient: int) -> str:
    """Gives the PatientID of a made-up patient.

    Example:
        >>> planted_patient_id(3)
        'PLANTEDID0003'
    """
    return f"{dict(PLANTED_TAGS)['PatientID']}{patient:04d}"


def _add_place(dataset: Dataset, lps: np.ndarray, spacing_mm: np.ndarray, index: int) -> None:
    """Adds where an image lies; ``lps`` takes (column, row, image) to the world."""
    axes = lps[:3, :2] / spacing_mm[:2]
    dataset.ImageOrientationPatient = [_decimal(value) for value in axes.T.ravel()]
    dataset.ImagePositionPatient = [_decimal(value) for value in lps[:3, 3] + index * lps[:3, 2]]
    # The distance of rows comes first.
    dataset.PixelSpacing = [_decimal(spacing_mm[1]), _decimal(spacing_mm[0])]


def _add_pixels(dataset: Dataset, hu: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = hu.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 0
    dataset.RescaleSlope = "1"
    dataset.RescaleIntercept = str(INTERCEPT_HU)
    dataset.PixelData = (hu.astype(np.int32) - INTERCEPT_HU).astype("<u2").tobytes()


def _decimal(value: float) -> str:
    """Writes a number of at most 16 characters, as DICOM asks."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) >= 5e-7 else "0"


def _save(dataset: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
