"""A small DICOM series, and a small function for each way in which one can be bad."""

import struct

import numpy as np
import pydicom
from pydicom.encaps import encapsulate

from maesil_monai.phantom.dicom_files import StudyTags, draw_uid, write_ct, write_localizer
from maesil_monai.phantom.made_up_scan import Phantom

SHAPE = (8, 7, 6)
AXIAL = np.array([[-0.8, 0, 0, 100.0], [0, -0.8, 0, 120.0], [0, 0, 2.5, -300.0], [0, 0, 0, 1]])


def scan_of(affine=AXIAL, shape=SHAPE):
    hu = np.random.default_rng(0).integers(-1024, 1500, shape).astype(np.int16)
    return Phantom(hu, np.zeros(shape, np.uint8), np.asarray(affine, dtype=float))


def write_series(folder, scan=None, seed=0):
    """Writes a series and gives its files in rising order of position."""
    rng = np.random.default_rng(seed)
    write_ct(folder, scan or scan_of(), StudyTags(1, draw_uid(rng), draw_uid(rng)), 1, rng)
    return sorted(folder.glob("*.dcm"))


def edit(path, to=None, **tags):
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(to or path)


def raw_text(path, keyword, text):
    """Puts a text into a DS tag that pydicom itself would not write: same length, in place."""
    element = pydicom.dcmread(path)[keyword]
    old = str(element.value).encode()
    content = path.read_bytes()
    # Group, element, VR and length stand before the value.
    at = content.index(struct.pack("<HH2s", element.tag.group, element.tag.element, b"DS")) + 8
    assert content[at : at + len(old)] == old
    path.write_bytes(content[:at] + text.encode().ljust(len(old))[: len(old)] + content[at + len(old) :])


def move(path, axis, by_mm):
    position = list(pydicom.dcmread(path).ImagePositionPatient)
    position[axis] += by_mm
    edit(path, ImagePositionPatient=position)


def _all(**tags):
    def damage(folder, files):
        for path in files:
            edit(path, **tags)

    return damage


def _different_twin(folder, files):
    stored = pydicom.dcmread(files[1]).pixel_array.copy()
    stored[0, 0] += 1
    edit(files[1], to=folder / "again.dcm", PixelData=stored.tobytes())


def _second_series(folder, files):
    write_series(folder / "other", seed=1)


def _localizer_among_slices(folder, files):
    rng = np.random.default_rng(1)
    write_localizer(folder / "scout", scan_of(), StudyTags(1, "1.2", "1.3"), 1, rng)
    edit(folder / "scout" / "1-001.dcm", SeriesInstanceUID=pydicom.dcmread(files[0]).SeriesInstanceUID)


def _only_a_localizer(folder, files):
    _localizer_among_slices(folder, files)
    for path in files:
        path.unlink()


def _htj2k(folder, files):
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"
        dataset.PixelData = encapsulate([dataset.PixelData])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)


def _broken_jpeg(folder, files):
    dataset = pydicom.dcmread(files[2])
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    dataset.PixelData = encapsulate([dataset.PixelData])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(files[2])


def _encapsulated_cut(folder, files):
    _broken_jpeg(folder, files)
    files[2].write_bytes(files[2].read_bytes()[:-20])


DAMAGES = [
    ("SLICE_INCREMENT", lambda folder, files: files[2].unlink()),
    ("SLICE_INCREMENT", lambda folder, files: move(files[3], 2, 0.5)),
    ("SLICE_SHIFT", lambda folder, files: move(files[3], 0, 3.0)),
    ("GANTRY_TILT", lambda folder, files: [move(path, 1, 3.0 * index) for index, path in enumerate(files)]),
    ("TOO_FEW_SLICES", lambda folder, files: [path.unlink() for path in files[3:]]),
    ("NOT_A_VOLUME", _all(ImagePositionPatient=[1, 2, 3])),
    ("DUPLICATE_SLICES", _different_twin),
    ("SEVERAL_SERIES", _second_series),
    ("LOCALIZER", _localizer_among_slices),
    ("LOCALIZER", _only_a_localizer),
    ("NOT_CT", _all(Modality="MR")),
    ("MIXED_SERIES", lambda folder, files: edit(files[2], Modality="SR")),
    ("NO_DICOM", lambda folder, files: [path.rename(path.with_suffix(".xml")).write_text("<xml/>") for path in files]),
    ("IMAGE_ORIENTATION_INCONSISTENT", lambda folder, files: edit(files[2], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
    ("SLICE_SIZE_INCONSISTENT", lambda folder, files: edit(files[2], PixelSpacing=[0.9, 0.9])),
    ("SLICE_SIZE_INCONSISTENT", lambda folder, files: edit(files[2], Rows=6)),
    ("COMPRESSED_NO_DECODER", _htj2k),
    ("UNREADABLE_VOXELS", _broken_jpeg),
    ("TRUNCATED", _encapsulated_cut),
    ("TRUNCATED", lambda folder, files: files[2].write_bytes(files[2].read_bytes()[:-2])),
    ("TRUNCATED", lambda folder, files: edit(files[2], PixelData=None)),
    ("COLOUR", _all(SamplesPerPixel=3, PhotometricInterpretation="RGB")),
    ("INVERTED_GREY", _all(PhotometricInterpretation="MONOCHROME1")),
    ("BAD_PACKING", _all(BitsStored=12)),
    ("ENHANCED_MULTIFRAME", _all(NumberOfFrames="6")),
    ("ENHANCED_MULTIFRAME", _all(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")),
    ("NO_PIXELS", _all(Rows=0)),
    ("BAD_TAG", lambda folder, files: raw_text(files[2], "RescaleIntercept", "NaN")),
    ("BAD_TAG", lambda folder, files: raw_text(files[2], "RescaleIntercept", "x")),
    ("BAD_TAG", _all(RescaleSlope="0")),
    ("BAD_TAG", _all(RescaleSlope=None)),
    ("BAD_TAG", lambda folder, files: edit(files[2], RescaleSlope=None, RescaleIntercept=None)),
    ("BAD_TAG", lambda folder, files: edit(files[2], ImagePositionPatient=None)),
    ("BAD_TAG", lambda folder, files: edit(files[2], PixelSpacing=["0.8", "0.8", "0.8"])),
    ("BAD_TAG", lambda folder, files: raw_text(files[2], "RescaleSlope", "?")),
    ("BAD_TAG", _all(ImageOrientationPatient=[1, 0, 0, 1, 0, 0])),
    ("BAD_TAG", _all(PixelSpacing=[0, 0.8])),
    ("BAD_SPACING", _all(PixelSpacing=[0.001, 0.001])),
    ("VALUE_RANGE", _all(RescaleSlope="100")),
    ("NOT_HOUNSFIELD", _all(RescaleIntercept="0")),
    ("EMPTY_FILE", lambda folder, files: files[0].write_bytes(b"")),
    ("NOT_DICOM", lambda folder, files: files[0].write_text("<!DOCTYPE html>")),
    ("DAMAGED_HEADER", lambda folder, files: files[0].write_bytes(files[0].read_bytes()[:150])),
]
