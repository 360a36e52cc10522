"""Checks that every reader makes before voxels are read: the path, the dimensions, the geometry."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume, UnreadableVolume
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
MIN_SLICES = 4
MAX_VOXELS = 1024**3
SPACING_RANGE_MM = (0.05, 20.0)
# No scanner's world is larger; float32 headers with larger numbers could not tell neighbouring voxels apart.
MAX_ORIGIN_MM = 100_000.0


@dataclass(frozen=True)
class AdmissionRules:
    """What is admitted where the choice is the user's.

    Args:
        max_voxels: a larger volume is refused from its header.
        min_slices: fewest voxels on each axis.
        nan_fill: value in HU for voxels that are NaN or infinite, which is noted with their number; None refuses them.
        root: folder out of which links must not lead; None follows every link.
        links_out: allows links out of ``root``.

    Raises:
        ValueError: for sizes below 1 or a ``nan_fill`` that is not finite.

    Example:
        >>> AdmissionRules(nan_fill=-1024.0).max_voxels == 1024**3
        True
    """

    max_voxels: int = MAX_VOXELS
    min_slices: int = MIN_SLICES
    nan_fill: float | None = None
    root: str | os.PathLike[str] | None = None
    links_out: bool = False

    def __post_init__(self) -> None:
        if self.max_voxels < 1 or self.min_slices < 1:
            raise BadSetting(f"max_voxels={self.max_voxels}, min_slices={self.min_slices}: expected 1 or more.")
        if self.nan_fill is not None and not np.isfinite(self.nan_fill):
            raise BadSetting(f"nan_fill={self.nan_fill}: expected a finite number of HU, or None to refuse such voxels.")


DEFAULT_RULES = AdmissionRules()


def check_folder(path: str | os.PathLike[str], expected: str) -> Path:
    """Checks that a folder is there, and gives its path; ``expected`` says in messages what it should hold.

    Raises:
        MissingVolume: MISSING, if nothing is there.
        BadVolume: NOT_A_FOLDER.
    """
    folder = Path(path)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BadVolume("NOT_A_FOLDER", folder, "a file", expected, "Name the folder that holds it.")
    raise MissingVolume("MISSING", folder, "no such folder", expected, "Check the path.")


def check_file(path: str | os.PathLike[str], rules: AdmissionRules = DEFAULT_RULES) -> int:
    """Checks that a path leads to a regular file with something in it that this user may read.

    Returns:
        Size of the file in bytes.

    Raises:
        MissingVolume: MISSING.
        UnreadableVolume: UNREADABLE.
        BadVolume: SYMLINK_LOOP, LINK_OUT, NOT_A_FILE, EMPTY_FILE.
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
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        number = error.errno if isinstance(error, OSError) else errno.ENOENT
        if number == errno.ELOOP:
            raise BadVolume("SYMLINK_LOOP", path, "a link that leads to itself", "a file", "Repair the link.") from error
        if number not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        raise MissingVolume("MISSING", path, "no such file", "a volume", "Check the path and the data list.") from error
    _check_link(path, rules)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise BadVolume("NOT_A_FILE", path, kind, "a regular file", "Name the file that holds the volume.")
    if status.st_size == 0:
        raise BadVolume("EMPTY_FILE", path, "0 bytes", "a volume", "Copy the file again from where it came.")
    return status.st_size


def _check_link(path: str | os.PathLike[str], rules: AdmissionRules) -> None:
    if rules.root is None or rules.links_out:
        return
    real, root = Path(path).resolve(strict=True), Path(rules.root).resolve(strict=True)
    if not real.is_relative_to(root):
        raise BadVolume("LINK_OUT", path, f"a way to {real}", f"a file below {root}", "Copy the file there, or allow links out.")


def check_dims(path: str | os.PathLike[str], dims: Sequence[int], rules: AdmissionRules = DEFAULT_RULES) -> Triple:
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
    if min(sizes) < rules.min_slices:
        raise BadVolume(
            "TOO_FEW_SLICES", path, f"shape {sizes}", f"at least {rules.min_slices} voxels on each axis", "Leave this scan out."
        )
    if sizes[0] * sizes[1] * sizes[2] > rules.max_voxels:
        expected, cure = f"at most {rules.max_voxels} voxels", "The header is damaged, or crop the volume."
        raise BadVolume("TOO_LARGE", path, f"shape {sizes}", expected, cure)
    return sizes[0], sizes[1], sizes[2]


def check_spacing(path: str | os.PathLike[str], spacing_mm: Sequence[float]) -> None:
    """Checks that voxels have a size that a CT scanner makes.

    Raises:
        BadVolume: BAD_SPACING.
    """
    low, high = SPACING_RANGE_MM
    if not all(low <= abs(float(s)) <= high for s in spacing_mm):
        found = ", ".join(f"{float(s):g}" for s in spacing_mm)
        expected, cure = f"{low} to {high} mm on each axis", "Repair the header; the unit must be mm."
        raise BadVolume("BAD_SPACING", path, f"voxel size {found} mm", expected, cure)


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
    fault = "" if np.isfinite(matrix).all() else "not finite"
    # Damaged headers hold any number that a float can be.
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(matrix[:3, :3], axis=0)
        # The volume of the unit-length axes: 1 where they are orthogonal, 0 where two of them fall together.
        if not fault and (norms.min() == 0 or abs(np.linalg.det(matrix[:3, :3] / norms)) < 1e-3):
            fault = "singular"
    if not fault and np.abs(matrix[:3, 3]).max() > MAX_ORIGIN_MM:
        fault = f"more than {MAX_ORIGIN_MM:g} mm away"
    if fault:
        found, expected = f"affine {matrix.tolist()}, which is {fault}", "an invertible voxel-to-world matrix"
        raise BadVolume("BAD_AFFINE", path, found, expected, "Repair the header's sform or qform.")
    check_spacing(path, norms.tolist())
    return matrix
