"""Checks that every reader makes before voxels are read: the path, the dimensions, the geometry."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from maesil_monai.data.bad_volume import BadVolume, MissingVolume, UnreadableVolume
from maesil_monai.geometry import Triple

MIN_SLICES = 4
MAX_VOXELS = 2**31
SPACING_RANGE_MM = (0.05, 20.0)


def check_file(path: str | os.PathLike[str]) -> int:
    """Checks that a path leads to a regular file with something in it that this user may read.

    Returns:
        Size of the file in bytes.

    Raises:
        MissingVolume: MISSING.
        UnreadableVolume: UNREADABLE.
        BadVolume: SYMLINK_LOOP, NOT_A_FILE, EMPTY_FILE.
    """
    try:
        # stat before open: opening a FIFO would wait for ever.
        status = Path(path).stat()
        if stat.S_ISREG(status.st_mode):
            Path(path).open("rb").close()
    except PermissionError as error:
        raise UnreadableVolume(
            "UNREADABLE", path, "no permission to read", "a readable file", "Change the file's permissions."
        ) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadVolume("SYMLINK_LOOP", path, "a link that leads to itself", "a file", "Repair the link.") from error
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        raise MissingVolume("MISSING", path, "no such file", "a volume", "Check the path and the data list.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise BadVolume("NOT_A_FILE", path, kind, "a regular file", "Name the file that holds the volume.")
    if status.st_size == 0:
        raise BadVolume("EMPTY_FILE", path, "0 bytes", "a volume", "Copy the file again from where it came.")
    return status.st_size


def check_dims(path: str | os.PathLike[str], dims: Sequence[int]) -> Triple:
    """Checks that a header describes one 3-D volume of a sensible size; trailing axes of length 1 are dropped.

    Returns:
        Voxels per axis.

    Raises:
        BadVolume: BAD_DIMENSIONS, NOT_3D, TOO_FEW_SLICES, TOO_LARGE.
    """
    sizes = [int(size) for size in dims]
    if not sizes or min(sizes) < 1:
        raise BadVolume("BAD_DIMENSIONS", path, f"dimensions {sizes}", "three positive sizes", "Export the volume again.")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3:
        raise BadVolume(
            "NOT_3D", path, f"{len(sizes)} dimensions {sizes}", "one 3-D volume", "Export each time point or channel on its own."
        )
    if min(sizes) < MIN_SLICES:
        raise BadVolume(
            "TOO_FEW_SLICES", path, f"shape {sizes}", f"at least {MIN_SLICES} voxels on each axis", "Leave this scan out."
        )
    if sizes[0] * sizes[1] * sizes[2] > MAX_VOXELS:
        raise BadVolume(
            "TOO_LARGE", path, f"shape {sizes}", f"at most {MAX_VOXELS} voxels", "The header is damaged, or crop the volume."
        )
    return sizes[0], sizes[1], sizes[2]


def check_spacing(path: str | os.PathLike[str], spacing_mm: Sequence[float]) -> None:
    """Checks that voxels have a size that a CT scanner makes.

    Raises:
        BadVolume: BAD_SPACING.
    """
    low, high = SPACING_RANGE_MM
    if not all(low <= abs(float(s)) <= high for s in spacing_mm):
        found = ", ".join(f"{float(s):g}" for s in spacing_mm)
        raise BadVolume(
            "BAD_SPACING",
            path,
            f"voxel size {found} mm",
            f"{low} to {high} mm on each axis",
            "Repair the header; the unit must be mm.",
        )


def check_affine(path: str | os.PathLike[str], affine: np.ndarray) -> np.ndarray:
    """Checks that voxels have a place in the world.

    Args:
        path: the file, for the message.
        affine: voxel to world (RAS+, mm), shape (4, 4).

    Returns:
        The affine in float64.

    Raises:
        BadVolume: BAD_AFFINE, BAD_SPACING.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    finite = bool(np.isfinite(matrix).all())
    norms = np.linalg.norm(matrix[:3, :3], axis=0) if finite else np.zeros(3)
    # The volume of the unit-length axes: 1 where they are orthogonal, 0 where two of them fall together.
    volume = abs(np.linalg.det(matrix[:3, :3] / norms)) if finite and norms.min() > 0 else 0.0
    if volume < 1e-3:
        raise BadVolume(
            "BAD_AFFINE",
            path,
            f"affine {matrix.tolist()}, which is {'singular' if finite else 'not finite'}",
            "an invertible voxel-to-world matrix",
            "Repair the header's sform or qform.",
        )
    check_spacing(path, norms.tolist())
    return matrix
