"""Reading NIfTI: the header is judged before memory is asked for, the file is read once and to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from maesil_monai.data.volumes.admission_checks import DEFAULT_RULES, AdmissionRules, check_file
from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.hounsfield import VoxelIntake, turned_to_ras
from maesil_monai.data.volumes.nifti_header import HEADER_BYTES, NiftiHeader, parse_header
from maesil_monai.data.volumes.plain_or_gzip import COPY_AGAIN, GZIP_MAX_RATIO, is_gzip, read_chunks
from maesil_monai.data.volumes.volume_note import Note
from maesil_monai.data.volumes.volume_source import ArraySource

NIFTI_SUFFIXES = (".nii", ".nii.gz")

# CT has noise: gzip shrinks it 2 to 4 times, and 30 times where most of it is padding. Labels shrink without limit.
_BOMB_RATIO = 200
_BOMB_BYTES = 2**28


def read_nifti(path: str | os.PathLike[str], hounsfield: bool = True, rules: AdmissionRules = DEFAULT_RULES) -> ArraySource:
    """Reads a single-file NIfTI-1 or NIfTI-2 volume in RAS orientation.

    One pass: bytes are decompressed, converted and judged piece by piece, so that the peak of memory is the volume itself (2
    bytes a voxel for whole numbers, 4 for others) and some MiB. The end of the file is the end of the voxels.

    Args:
        path: a file named ``.nii`` or ``.nii.gz``. Whether it is compressed is told from its content.
        hounsfield: whether values must look like HU; False for labels.
        rules: what is admitted.

    Returns:
        int16 if all values are whole numbers within int16, else float32; axes turned to RAS, nothing resampled. ``notes``
        says what was odd.

    Raises:
        BadVolume: the codes of :func:`check_file`, :func:`parse_header`, :func:`read_chunks` and :meth:`VoxelIntake.finish`, and
            NOT_NIFTI, TRUNCATED, TRAILING_DATA, GZIP_BOMB.
    """
    name = os.fspath(path).lower()
    if not name.endswith(NIFTI_SUFFIXES):
        raise BadVolume("NOT_NIFTI", path, "another file type by its name", ".nii or .nii.gz", "Use read_volume.")
    num_bytes = check_file(path, rules)
    gzip = is_gzip(path)
    chunks = read_chunks(path, gzip)
    head = b""
    while len(head) < HEADER_BYTES and (chunk := next(chunks, b"")):
        head += chunk
    header = parse_header(path, head, rules)
    if gzip and hounsfield and header.num_bytes > max(_BOMB_BYTES, num_bytes * _BOMB_RATIO):
        found = f"{num_bytes} bytes that claim to hold {header.num_bytes}"
        expected = f"a CT, which gzip shrinks less than {_BOMB_RATIO} times"
        raise BadVolume("GZIP_BOMB", path, found, expected, "Leave this file out.")
    most = num_bytes * GZIP_MAX_RATIO if gzip else num_bytes
    if header.offset + header.num_bytes > most:
        raise _truncated(path, f"at most {most}", header)
    intake = VoxelIntake(path, header.num_bytes // header.dtype.itemsize, header.slope, header.inter, hounsfield, rules)
    _read_voxels(path, head, chunks, header, intake)
    values, notes = intake.finish()
    if gzip != name.endswith(".gz"):
        found = f"{'compressed' if gzip else 'plain'} content against its name"
        notes = (Note("NAME_AND_CONTENT", found, "read as what it is"), *notes)
    return turned_to_ras(path, values.reshape(header.shape, order="F"), header.affine, (*header.notes, *notes))


def _read_voxels(
    path: str | os.PathLike[str], head: bytes, chunks: Iterator[bytes], header: NiftiHeader, intake: VoxelIntake
) -> None:
    """Hands on the bytes behind ``header.offset``, then reads on to the end, for that is where the checksum stands."""
    expected = header.offset + header.num_bytes
    size = header.dtype.itemsize
    place, rest, chunk = 0, b"", head
    while chunk:
        # Voxels may be cut in two by the border of a chunk.
        wanted = rest + chunk[max(header.offset - place, 0) :]
        place += len(chunk)
        if place > expected:
            raise BadVolume(
                "TRAILING_DATA", path, "bytes behind the voxels", f"{expected}, as the header says", "Export the volume again."
            )
        whole = len(wanted) // size * size
        intake.take(np.frombuffer(wanted, dtype=header.dtype, count=whole // size))
        rest = wanted[whole:]
        chunk = next(chunks, b"")
    if place < expected:
        raise _truncated(path, str(place), header)


def _truncated(path: str | os.PathLike[str], there: str, header: NiftiHeader) -> BadVolume:
    found = f"{there} of {header.offset + header.num_bytes} bytes"
    return BadVolume("TRUNCATED", path, found, "all that the header claims", COPY_AGAIN)
