"""Reading NIfTI: the header is judged before memory is asked for, the file is read once and to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from maesil_monai.data.admission import check_affine, check_dims, check_file, check_spacing
from maesil_monai.data.bad_volume import BadVolume
from maesil_monai.data.byte_stream import GZIP_MAX_RATIO, read_chunks
from maesil_monai.data.hounsfield import ras_source
from maesil_monai.data.source import ArraySource
from maesil_monai.geometry import Triple

NIFTI_SUFFIXES = (".nii", ".nii.gz")

_HEADER_BYTES = 540  # of NIfTI-2, the larger one
_MAX_TRAILING_BYTES = 2**24  # behind the voxels; more is a bomb or another file
_COLOUR_CODES = (128, 2304)
_NOT_MM = {1: "metre", 3: "micrometre"}


@dataclass(frozen=True)
class _Layout:
    """What a header says about where the voxels are and what they mean."""

    shape: Triple
    dtype: np.dtype
    offset: int
    slope: float
    inter: float
    affine: np.ndarray


def read_nifti(path: str | os.PathLike[str], hounsfield: bool = True) -> ArraySource:
    """Reads a single-file NIfTI-1 or NIfTI-2 volume in RAS orientation.

    Args:
        path: a file named ``.nii`` or ``.nii.gz``.
        hounsfield: whether values must look like HU; False for labels.

    Returns:
        int16 if all values are whole numbers within int16, else float32; axes turned to RAS, nothing resampled.

    Raises:
        BadVolume: the codes of :func:`check_file`, :func:`check_dims`, :func:`check_affine`, :func:`ras_source` and
            :func:`read_chunks`, and NOT_NIFTI, TRUNCATED, TRAILING_DATA, COLOUR, COMPLEX, BAD_DATATYPE, BAD_OFFSET, BAD_SCALING.
    """
    name = os.fspath(path).lower()
    if not name.endswith(NIFTI_SUFFIXES):
        raise BadVolume("NOT_NIFTI", path, "another file type by its name", ".nii or .nii.gz", "Use read_volume.")
    num_bytes = check_file(path)
    gzip = name.endswith(".gz")
    chunks = read_chunks(path, gzip)
    head = b""
    while len(head) < _HEADER_BYTES and (chunk := next(chunks, b"")):
        head += chunk
    layout = _read_header(path, head)
    size = int(np.prod(layout.shape, dtype=np.int64)) * layout.dtype.itemsize
    most = num_bytes * GZIP_MAX_RATIO if gzip else num_bytes
    if layout.offset + size > most:
        _raise_truncated(path, most, layout.offset + size)
    voxels = _read_voxels(path, head, chunks, layout.offset, size)
    raw = voxels.view(layout.dtype).reshape(layout.shape, order="F")
    return ras_source(path, raw, layout.affine, layout.slope, layout.inter, hounsfield)


def _read_voxels(path: str | os.PathLike[str], head: bytes, chunks: Iterator[bytes], offset: int, size: int) -> np.ndarray:
    """Collects ``size`` bytes behind ``offset``, then reads on to the end, for that is where the checksum stands."""
    voxels = np.empty(size, dtype=np.uint8)
    place = -offset
    chunk = head
    while chunk:
        wanted = chunk[max(-place, 0) : max(size - place, 0)]
        if wanted:
            start = max(place, 0)
            voxels[start : start + len(wanted)] = np.frombuffer(wanted, dtype=np.uint8)
        place += len(chunk)
        if place > size + _MAX_TRAILING_BYTES:
            raise BadVolume(
                "TRAILING_DATA",
                path,
                "more than 16 MiB behind the voxels",
                f"{offset + size} bytes, as the header says",
                "Export the volume again.",
            )
        chunk = next(chunks, b"")
    if place < size:
        _raise_truncated(path, place + offset, offset + size)
    return voxels


def _raise_truncated(path: str | os.PathLike[str], found: int, expected: int) -> None:
    raise BadVolume(
        "TRUNCATED",
        path,
        f"at most {found} bytes of content",
        f"{expected}, as the header says",
        "Copy the file again from its origin.",
    )


def _read_header(path: str | os.PathLike[str], head: bytes) -> _Layout:
    if head[344:348] == b"n+1\0":
        header, first_offset = nib.Nifti1Header(head[:348], check=False), 352
    elif head[4:12] == b"n+2\0\r\n\x1a\n" and len(head) >= _HEADER_BYTES:
        header, first_offset = nib.Nifti2Header(head[:540], check=False), 544
    else:
        raise BadVolume(
            "NOT_NIFTI", path, "no NIfTI signature", "a single-file NIfTI-1 or NIfTI-2 volume", "Convert it, or correct its name."
        )
    dims = header["dim"]
    if not 1 <= int(dims[0]) <= 7:
        raise BadVolume("BAD_DIMENSIONS", path, f"{int(dims[0])} dimensions", "3", "Export the volume again.")
    dtype = _voxel_dtype(path, header)
    shape = check_dims(path, dims[1 : 1 + int(dims[0])].tolist())
    offset = float(header["vox_offset"])
    if not (np.isfinite(offset) and offset == round(offset) and offset >= first_offset):
        raise BadVolume("BAD_OFFSET", path, f"voxels at byte {offset:g}", f"{first_offset} or later", "Export the volume again.")
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or not np.isfinite(slope):
        slope, inter = 1.0, 0.0  # the format's way to say "not scaled"
    if not np.isfinite(inter):
        raise BadVolume("BAD_SCALING", path, f"intercept {inter}", "a finite number", "Repair scl_inter in the header.")
    return _Layout(shape, dtype, int(offset), slope, inter, _read_affine(path, header))


def _voxel_dtype(path: str | os.PathLike[str], header: nib.Nifti1Header) -> np.dtype:
    code = int(header["datatype"])
    if code in _COLOUR_CODES:
        raise BadVolume("COLOUR", path, "a colour image", "one number per voxel", "Export the CT itself, not a rendering of it.")
    known: Any = nib.nifti1.data_type_codes.dtype
    dtype = np.dtype(known.get(code, np.void))
    if dtype.kind == "c":
        raise BadVolume("COMPLEX", path, "complex numbers", "one real number per voxel", "Export the reconstructed CT.")
    if dtype.kind not in "iuf" or int(header["bitpix"]) != dtype.itemsize * 8:
        raise BadVolume(
            "BAD_DATATYPE",
            path,
            f"datatype code {code} with {int(header['bitpix'])} bits per voxel",
            "an integer or float type and its own number of bits",
            "Export the volume again.",
        )
    return dtype.newbyteorder(header.endianness)


def _read_affine(path: str | os.PathLike[str], header: nib.Nifti1Header) -> np.ndarray:
    unit = int(header["xyzt_units"]) & 7
    if unit in _NOT_MM:
        raise BadVolume("BAD_UNIT", path, f"lengths in {_NOT_MM[unit]}", "mm", "Convert the header's spacing to mm.")
    spacing_mm = header["pixdim"][1:4].tolist()
    check_spacing(path, spacing_mm)
    if int(header["sform_code"]) > 0:
        return check_affine(path, header.get_sform())
    header["pixdim"][1:4] = np.abs(spacing_mm)
    if int(header["qform_code"]) > 0:
        try:
            return check_affine(path, header.get_qform())
        except (ValueError, nib.spatialimages.HeaderDataError) as error:
            if isinstance(error, BadVolume):
                raise
            raise BadVolume("BAD_AFFINE", path, f"qform: {error}", "a rotation", "Repair the header's qform.") from error
    return check_affine(path, header.get_base_affine())
