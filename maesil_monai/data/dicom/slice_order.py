"""From the places of slices to a grid: their order, the distance between them, and what keeps them from being a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# How far a slice may lie from where even spacing puts it. Scanners write positions to a hundredth of a millimetre or better, so
# two roundings give 0.01 mm; beyond that, 1 % of a step is far below what interpolation can tell. A missing slice is 50 %.
MAX_OFF_STEP, MAX_OFF_MM = 0.01, 0.02
SAME_PLACE_MM = 0.01
# No CT gantry leans further; beyond it the positions do not belong to one stack.
MAX_TILT_DEGREES = 35.0
MIN_TILT_DEGREES = 0.05


@dataclass(frozen=True)
class SliceFault:
    """Why slices are no volume.

    Args:
        code: as in :class:`~maesil_monai.data.volumes.bad_volume.BadVolume`.
        found: what is there.
        expected: what should be there.
        between: indices of the two slices it is about, if any.
    """

    code: str
    found: str
    expected: str
    between: tuple[int, int] | None = None


@dataclass(frozen=True)
class SliceStack:
    """Slices in order.

    Args:
        groups: for each place, from the lowest along the normal, the indices of the slices that lie there.
        first_mm: shape (3,), the place of the first slice's first pixel (LPS).
        step_mm: shape (3,), from a slice to the next; its length is the slice distance.
        tilt_degrees: angle between ``step_mm`` and the normal of the slices.
    """

    groups: tuple[tuple[int, ...], ...]
    first_mm: np.ndarray
    step_mm: np.ndarray
    tilt_degrees: float

    def affine(self, orientation: Sequence[float], pixel_spacing_mm: Sequence[float]) -> np.ndarray:
        """Gives the affine of a volume with axes (column, row, slice), a tilt kept as a shear.

        Args:
            orientation: ImageOrientationPatient: directions of growing column and of growing row.
            pixel_spacing_mm: PixelSpacing: distance of rows, then of columns.

        Returns:
            Shape (4, 4), voxel to world (RAS+, mm).
        """
        lps = np.eye(4)
        axes = unit_axes(orientation)
        lps[:3, 0] = axes[0] * pixel_spacing_mm[1]
        lps[:3, 1] = axes[1] * pixel_spacing_mm[0]
        lps[:3, 2] = self.step_mm
        lps[:3, 3] = self.first_mm
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def unit_axes(orientation: Sequence[float]) -> np.ndarray:
    """Gives the unit vectors along a row, along a column, and their normal, shape (3, 3)."""
    row, column = np.asarray(orientation, dtype=np.float64).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column / np.linalg.norm(column)
    return np.stack([row, column, np.cross(row, column)])


def group_places(positions: np.ndarray, normal: np.ndarray) -> list[list[int]]:
    """Sorts slices along the normal and puts those at the same place together.

    Args:
        positions: shape (N, 3), ImagePositionPatient.
        normal: shape (3,), of length 1.

    Returns:
        Indices of each place in rising order; within a place in the order given.

    Example:
        >>> group_places(np.array([[0, 0, 5.0], [0, 0, 0], [0, 0, 5]]), np.array([0.0, 0.0, 1.0]))
        [[1], [0, 2]]
    """
    heights = positions @ normal
    groups: list[list[int]] = []
    for index in np.argsort(heights, kind="stable").tolist():
        if groups and heights[index] - heights[groups[-1][0]] < SAME_PLACE_MM:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def slice_distance_mm(positions: np.ndarray, orientation: Sequence[float]) -> float | None:
    """Gives the median distance of neighbouring slices along the normal, None for fewer than two places."""
    normal = unit_axes(orientation)[2]
    heights = [float(positions[group[0]] @ normal) for group in group_places(positions, normal)]
    return float(np.median(np.diff(heights))) if len(heights) > 1 else None


def stack_slices(positions: np.ndarray, orientation: Sequence[float], min_slices: int) -> SliceStack | SliceFault:
    """Orders slices and judges whether they are evenly spaced.

    Args:
        positions: shape (N, 3), ImagePositionPatient of each slice, in mm.
        orientation: ImageOrientationPatient of all of them.
        min_slices: fewest places.
    """
    normal = unit_axes(orientation)[2]
    groups = group_places(positions, normal)
    if len(groups) < min_slices:
        if len(positions) >= min_slices and len(groups) == 1:
            return SliceFault("NOT_A_VOLUME", f"{len(positions)} slices at one place", "slices one behind the other")
        return SliceFault("TOO_FEW_SLICES", f"slices at {len(groups)} places", f"at least {min_slices}")
    for group in groups:
        away = np.linalg.norm(positions[group] - positions[group[0]], axis=1)
        if away.max() >= SAME_PLACE_MM:
            other = group[int(np.argmax(away))]
            found = f"two slices at one height, {away.max():.4g} mm apart in plane"
            return SliceFault("SLICE_SHIFT", found, "one slice at each place", (group[0], other))
    places = positions[[group[0] for group in groups]]
    step = (places[-1] - places[0]) / (len(groups) - 1)
    off = places - places[0] - np.arange(len(groups))[:, None] * step
    tolerance_mm = max(MAX_OFF_STEP * float(np.linalg.norm(step)), MAX_OFF_MM)
    if np.linalg.norm(off, axis=1).max() > tolerance_mm:
        return _uneven(groups, places, off, normal, tolerance_mm)
    lean = float(np.degrees(np.arccos(np.clip(step @ normal / np.linalg.norm(step), -1.0, 1.0))))
    if lean > MAX_TILT_DEGREES:
        return SliceFault("GANTRY_TILT", f"a stack that leans by {lean:.1f} degrees", f"at most {MAX_TILT_DEGREES:g}")
    return SliceStack(tuple(tuple(group) for group in groups), places[0], step, lean)


def _uneven(groups: list[list[int]], places: np.ndarray, off: np.ndarray, normal: np.ndarray, tolerance_mm: float) -> SliceFault:
    """Says where the spacing breaks: along the normal or sideways, whichever is more."""
    steps = np.diff(places, axis=0)
    heights = steps @ normal
    along = np.abs(off @ normal).max()
    in_plane = np.linalg.norm(off - (off @ normal)[:, None] * normal, axis=1).max()
    if along < in_plane:
        sideways = np.linalg.norm(steps - np.median(steps, axis=0), axis=1)
        worst = int(np.argmax(sideways))
        found, code = f"a slice shifted in plane by {sideways[worst]:.4g} mm", "SLICE_SHIFT"
    else:
        usual = float(np.median(heights))
        uneven = np.abs(heights - usual)
        worst = int(np.argmax(uneven))
        num_missing = round(heights[worst] / usual) - 1
        found, code = f"a step of {heights[worst]:.4g} mm where the usual one is {usual:.4g} mm", "SLICE_INCREMENT"
        if num_missing > 0 and abs(heights[worst] - (num_missing + 1) * usual) <= 0.1 * usual:
            found += f" ({num_missing} missing)"
        num_others = int(np.count_nonzero(uneven > tolerance_mm)) - 1
        found += f", and {num_others} more uneven steps" if num_others > 0 else ""
    expected = f"slices within {tolerance_mm:.2g} mm of even spacing"
    return SliceFault(code, found, expected, (groups[worst][0], groups[worst + 1][0]))
