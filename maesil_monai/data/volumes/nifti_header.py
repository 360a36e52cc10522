"""What a NIfTI header says, judged before memory is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from maesil_monai.data.volumes.admission_checks import AdmissionRules, check_affine, check_dims, check_spacing
from maesil_monai.data.volumes.affine_oddities import check_same_spacing, compare_forms, geometry_notes
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.geometry import Triple

HEADER_BYTES = 540  # of NIfTI-2, the larger one

_COLOUR_CODES = (128, 2304)
_UNITS = {0: "no unit", 2: "mm"}
_OTHER_UNITS = {1: "metres", 3: "micrometres"}


@dataclass(frozen=True)
class NiftiHeader:
    """Where the voxels of a file are and what they mean.

    Args:
        shape: voxels per axis.
        dtype: of the stored voxels, with its byte order.
        offset: byte at which they begin.
        slope, inter: value = slope * raw + inter.
        affine: voxel to world (RAS+, mm), shape (4, 4).
        notes: oddities, corrected or kept.
    """

    shape: Triple
    dtype: np.dtype
    offset: int
    slope: float
    inter: float
    affine: np.ndarray
    notes: tuple[Note, ...]

    @property
    def num_bytes(self) -> int:
        """Size of the voxels in bytes."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.dtype.itemsize


def parse_header(path: str | os.PathLike[str], head: bytes, rules: AdmissionRules) -> NiftiHeader:
    """Reads and judges the first bytes of a single-file NIfTI-1 or NIfTI-2 volume.

    Args:
        path: the file, for messages.
        head: its first ``HEADER_BYTES`` bytes, decompressed; fewer if it has no more.
        rules: what is admitted.

    Raises:
        BadVolume: NOT_NIFTI, COLOUR, COMPLEX, BAD_DATATYPE, BAD_OFFSET, BAD_SCALING, BAD_UNIT, and the codes of
            :func:`check_dims`, :func:`check_affine`, :func:`check_same_spacing` and :func:`compare_forms`.
    """
    if head[344:348] == b"n+1\0":
        header, first_offset = nib.Nifti1Header(head[:348], check=False), 352
    elif head[4:12] == b"n+2\0\r\n\x1a\n" and len(head) >= HEADER_BYTES:
        header, first_offset = nib.Nifti2Header(head[:540], check=False), 544
    else:
        raise BadVolume(
            "NOT_NIFTI", path, "no NIfTI signature", "a single-file NIfTI-1 or NIfTI-2 volume", "Convert it, or correct its name."
        )
    notes: tuple[Note, ...] = ()
    if int(header["sizeof_hdr"]) != header.sizeof_hdr:
        notes += (Note("HEADER_SIZE", f"a header size of {int(header['sizeof_hdr'])}", f"read as {header.sizeof_hdr}"),)
    num_dims = int(header["dim"][0])
    if not 1 <= num_dims <= 7:
        raise BadVolume("BAD_DIMENSIONS", path, f"{num_dims} dimensions", "3", "Export the volume again.")
    dtype = _voxel_dtype(path, header)
    shape = check_dims(path, header["dim"][1 : 1 + num_dims].tolist(), rules)
    if num_dims > 3:
        notes += (Note("SQUEEZED", f"{num_dims} dimensions, of size 1 beyond the third", "read as one 3-D volume"),)
    offset = float(header["vox_offset"])
    if not (np.isfinite(offset) and offset == round(offset) and offset >= first_offset):
        raise BadVolume("BAD_OFFSET", path, f"voxels at byte {offset:g}", f"{first_offset} or later", "Export the volume again.")
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or not np.isfinite(slope):
        notes += (Note("NO_SCALING", f"a slope of {slope:g}", "values taken as they are stored"),)
        slope, inter = 1.0, 0.0  # the format's way to say "not scaled"
    if not np.isfinite(inter):
        raise BadVolume("BAD_SCALING", path, f"intercept {inter}", "a finite number", "Repair scl_inter in the header.")
    affine, place_notes = _read_affine(path, header, shape)
    return NiftiHeader(shape, dtype, int(offset), slope, inter, affine, (*notes, *place_notes, *geometry_notes(affine)))


def _voxel_dtype(path: str | os.PathLike[str], header: nib.Nifti1Header) -> np.dtype:
    code = int(header["datatype"])
    if code in _COLOUR_CODES:
        raise BadVolume("COLOUR", path, "a colour image", "one number per voxel", "Export the CT itself, not a rendering of it.")
    known: Any = nib.nifti1.data_type_codes.dtype
    dtype = np.dtype(known.get(code, np.void))
    if dtype.kind == "c":
        raise BadVolume("COMPLEX", path, "complex numbers", "one real number per voxel", "Export the reconstructed CT.")
    if dtype.kind not in "iuf" or int(header["bitpix"]) != dtype.itemsize * 8:
        found = f"datatype code {code} with {int(header['bitpix'])} bits per voxel"
        expected = "an integer or float type and its own number of bits"
        raise BadVolume("BAD_DATATYPE", path, found, expected, "Export the volume again.")
    return dtype.newbyteorder(header.endianness)


def _read_affine(path: str | os.PathLike[str], header: nib.Nifti1Header, shape: Triple) -> tuple[np.ndarray, tuple[Note, ...]]:
    unit = int(header["xyzt_units"]) & 7
    if unit not in _UNITS:
        found = f"lengths in {_OTHER_UNITS.get(unit, f'the unknown unit {unit}')}"
        raise BadVolume("BAD_UNIT", path, found, "mm", "Convert the header's spacing to mm.")
    spacing_mm = header["pixdim"][1:4].tolist()
    check_spacing(path, spacing_mm)
    notes: tuple[Note, ...] = ()
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if min(spacing_mm) < 0:
        notes += (Note("NEGATIVE_SPACING", f"voxel size {spacing_mm} mm", "the sign is dropped"),)
        header["pixdim"][1:4] = np.abs(spacing_mm)
    if has_qform and float(header["pixdim"][0]) == 0.0:
        notes += (Note("NO_HANDEDNESS", "pixdim[0] of 0 beside a qform", "read as 1, as the format says"),)
        header["pixdim"][0] = 1.0
    if not (has_sform or has_qform):
        notes += (Note("ORIENTATION_UNKNOWN", "neither sform nor qform", "taken to run left, front, up, as in Analyze files"),)
        return check_affine(path, header.get_base_affine()), notes
    if not has_sform:
        return _qform(path, header), notes
    sform = check_affine(path, header.get_sform())
    check_same_spacing(path, sform, spacing_mm)
    if has_qform:
        notes += compare_forms(path, shape, sform, _qform(path, header))
    return sform, notes


def _qform(path: str | os.PathLike[str], header: nib.Nifti1Header) -> np.ndarray:
    try:
        with np.errstate(all="ignore"):
            qform = header.get_qform()
    except (ValueError, nib.spatialimages.HeaderDataError) as error:
        raise BadVolume("BAD_AFFINE", path, f"qform: {error}", "a rotation", "Repair the header's qform.") from error
    return check_affine(path, qform)
