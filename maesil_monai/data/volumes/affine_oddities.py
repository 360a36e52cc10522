"""Oddities of a scan's place in the world: slanted and skewed axes, and two forms that should agree and may not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

import numpy as np

from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.data.volumes.volume_note import Note

MAX_CORNER_DISTANCE_MM = 1.0
MAX_SPACING_RATIO = 0.01
# A rotation of nearly 180 degrees loses up to 0.05 mm at a corner to the float32 quaternion of a qform.
_FORMS_AGREE_MM = 0.1
_STRAIGHT_DEGREES = 0.1


def geometry_notes(affine: np.ndarray) -> tuple[Note, ...]:
    """Notes axes that are not at right angles (SHEARED) or do not run along the body's (OBLIQUE).

    Args:
        affine: voxel to world (RAS+, mm), shape (4, 4), invertible.

    Example:
        >>> tilted = np.diag([1.0, 1.0, 2.0, 1.0])
        >>> tilted[1, 2] = 2.0 * np.tan(np.radians(20.0))
        >>> print(*geometry_notes(tilted))
        axes up to 20.0 degrees off a right angle: kept in the affine, and so by resampling [SHEARED]
    """
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(axes.T @ axes - np.eye(3)).max()
    shear = float(np.degrees(np.arcsin(min(cosines, 1.0))))
    if shear > _STRAIGHT_DEGREES:
        return (Note("SHEARED", f"axes up to {shear:.1f} degrees off a right angle", "kept in the affine, and so by resampling"),)
    slant = float(np.degrees(np.arccos(np.minimum(np.abs(axes).max(axis=0), 1.0))).max())
    if slant > _STRAIGHT_DEGREES:
        return (Note("OBLIQUE", f"axes up to {slant:.1f} degrees off those of the body", "kept in the affine"),)
    return ()


def check_same_spacing(path: str | os.PathLike[str], affine: np.ndarray, spacing_mm: Sequence[float]) -> None:
    """Checks that the affine and the header's voxel size are about the same voxels.

    A reader that trusts one of them and a reader that trusts the other would see two different scans.

    Raises:
        BadVolume: SPACING_CONFLICT, if they differ by more than 1 % on an axis.
    """
    norms, sizes = np.linalg.norm(affine[:3, :3], axis=0), np.abs(np.asarray(spacing_mm, dtype=np.float64))
    if (np.abs(norms - sizes) > MAX_SPACING_RATIO * norms).any():
        found = f"voxel size {_in_mm(sizes)} mm beside an sform with {_in_mm(norms)} mm"
        cure = "Find out which is right and write it to both."
        raise BadVolume("SPACING_CONFLICT", path, found, "the same within 1 %", cure)


def compare_forms(path: str | os.PathLike[str], shape: Sequence[int], sform: np.ndarray, qform: np.ndarray) -> tuple[Note, ...]:
    """Compares the two places that a NIfTI header gives a volume.

    A qform cannot hold a shear, so it is compared with the nearest rotation and scale of the sform (polar decomposition).

    Args:
        path: the file, for the message.
        shape: voxels per axis.
        sform: voxel to world (RAS+, mm), shape (4, 4), checked.
        qform: likewise.

    Returns:
        A note if a corner of the volume lies more than 0.1 mm elsewhere.

    Raises:
        BadVolume: FORMS_DISAGREE, if it is more than 1 mm or left and right change places.
    """
    norms = np.linalg.norm(sform[:3, :3], axis=0)
    left, _, right = np.linalg.svd(sform[:3, :3] / norms)
    unsheared = sform.copy()
    unsheared[:3, :3] = (left @ right) * norms
    distance = corner_distance_mm(shape, unsheared, qform)
    mirrored = bool(np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0)
    if mirrored or distance > MAX_CORNER_DISTANCE_MM:
        found = f"sform and qform {'mirrored' if mirrored else f'{distance:.1f} mm apart'}"
        expected = f"the same place within {MAX_CORNER_DISTANCE_MM:g} mm"
        raise BadVolume("FORMS_DISAGREE", path, found, expected, "Find out which is right and set the code of the other to 0.")
    if distance > _FORMS_AGREE_MM:
        return (Note("FORMS_DIFFER", f"sform and qform {distance:.2f} mm apart", "the sform is used"),)
    return ()


def corner_distance_mm(shape: Sequence[int], first: np.ndarray, second: np.ndarray) -> float:
    """Gives how far apart two affines, each of shape (4, 4), put the corner of a volume where they differ most."""
    corners = np.array([[*corner, 1.0] for corner in itertools.product(*((0.0, n - 1.0) for n in shape))])
    return float(np.linalg.norm(corners @ (first - second).T, axis=1).max())


def _in_mm(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)
