"""Painting solids into a CT volume: soft-edged implicit shapes and tubes, each inside its own bounding box.

A solid is a signed distance in mm (negative inside). Painting blends its HU over what is there by the share of the voxel
it covers, so that edges carry partial volume; later solids lie on top of earlier ones. All lengths are mm in the frame of
the body: x to the patient's right, y to the front, z to the head.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator

FLOOR_MM, CEILING_MM, STEPS_PER_MM = -480.0, 420.0, 2
BOX_STEP, VOXELS_AT_ONCE = 6, 60_000


class Profile:
    """A smooth function of height, tabulated, so that looking it up in a volume is one gather.

    Args:
        heights_mm: knots along z, rising.
        values: values at the knots; held constant beyond the ends.
    """

    def __init__(self, heights_mm: Sequence[float], values: ArrayLike) -> None:
        grid = np.arange(int((CEILING_MM - FLOOR_MM) * STEPS_PER_MM) + 1) / STEPS_PER_MM + FLOOR_MM
        curve = PchipInterpolator(np.asarray(heights_mm, float), np.asarray(values, float))
        self.table = curve(np.clip(grid, heights_mm[0], heights_mm[-1])).astype(np.float32)

    def at(self, z: np.ndarray | float) -> np.ndarray:
        """Gives the value at heights in mm, float32, same shape."""
        return self.table[levels_of(np.asarray(z))]


def levels_of(z: np.ndarray) -> np.ndarray:
    """Gives the place of heights in the table of a :class:`Profile`."""
    last = int((CEILING_MM - FLOOR_MM) * STEPS_PER_MM)
    return np.clip((z - FLOOR_MM) * STEPS_PER_MM + 0.5, 0, last).astype(np.int32)


@dataclass
class Points:
    """Places in the frame of the body, three arrays of one shape, mm."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray


Distance = Callable[[Points], np.ndarray]
Tissue = float | Callable[[Points], np.ndarray]


@dataclass
class Solid:
    """One painted shape.

    Args:
        low: lower corner of a box that holds it, mm.
        high: upper corner of that box, mm.
        distance: signed distance to its surface, mm.
        hu: HU, a number or a function of place.
        label: label id.
        core: what lies deeper than so many mm under the surface, from the outside in: ``(depth_mm, hu)``.
    """

    low: Sequence[float] | np.ndarray
    high: Sequence[float] | np.ndarray
    distance: Distance
    hu: Tissue
    label: int
    core: Sequence[tuple[float, Tissue]] = ()


@dataclass
class Tubes:
    """Many straight tapered tubes with round ends, painted as one tissue.

    Args:
        ends: shape (S, 2, 3), both end points of each tube, mm.
        radii: shape (S, 2), the radius at each end, mm.
        hu: HU, a number or a function of place.
        label: label id, or None where the label below shall stay.
        height: how many times taller than deep the section is (ribs are flat).
    """

    ends: np.ndarray
    radii: np.ndarray
    hu: Tissue
    label: int | None
    height: float = 1.0


def ellipsoid(center: ArrayLike, radii: ArrayLike, hu: Tissue, label: int, turn: np.ndarray | None = None) -> Solid:
    """Makes an ellipsoid; ``turn`` (3, 3) takes its own axes to those of the body."""
    turned = np.eye(3) if turn is None else turn
    middle, halves = np.asarray(center, float), np.asarray(radii, float)
    reach = np.sqrt((turned**2) @ halves**2)

    def distance(points: Points) -> np.ndarray:
        dx, dy, dz = points.x - np.float32(middle[0]), points.y - np.float32(middle[1]), points.z - np.float32(middle[2])
        near = np.zeros_like(dx)
        steep = np.zeros_like(dx)
        for axis in range(3):
            c = turned[:, axis].astype(np.float32)
            along = (dx * c[0] + dy * c[1] + dz * c[2]) / np.float32(halves[axis])
            near += along * along
            steep += (along / np.float32(halves[axis])) ** 2
        near = np.sqrt(near)
        return near * (near - 1) / np.sqrt(steep + np.float32(1e-9))

    return Solid(middle - reach, middle + reach, distance, hu, label)


def chain(points: np.ndarray, radii: np.ndarray | float, hu: Tissue, label: int | None, height: float = 1.0) -> Tubes:
    """Makes one bent tube through points of shape (P, 3); P - 1 pieces."""
    wide = np.broadcast_to(np.asarray(radii, float), (len(points),))
    return Tubes(np.stack([points[:-1], points[1:]], 1), np.stack([wide[:-1], wide[1:]], 1), hu, label, height)


def smooth_path(knots: Sequence[Any] | np.ndarray, step_mm: float = 6.0) -> np.ndarray:
    """Gives points about ``step_mm`` apart on a smooth curve through knots, shape (P, 3)."""
    places = np.asarray(knots, float)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1) + 1e-3)])
    num_points = max(int(along[-1] / step_mm), 2) + 1
    return PchipInterpolator(along, places, axis=0)(np.linspace(0.0, along[-1], num_points))


def joined(*distances: np.ndarray, blend_mm: float = 0.0) -> np.ndarray:
    """Gives the distance to what several solids share, its edges rounded over ``blend_mm``."""
    result = distances[0]
    for other in distances[1:]:
        if blend_mm > 0:
            over = np.maximum(np.float32(blend_mm) - np.abs(result - other), 0)
            result = np.maximum(result, other) + over * over * np.float32(0.25 / blend_mm)
        else:
            result = np.maximum(result, other)
    return result


class Canvas:
    """A slab of voxels being painted.

    Args:
        points: body coordinates of the voxels, each of shape (I, J, K), float32.
        to_voxel: shape (3, 4), body mm to voxel indices of the slab.
        bend_mm: how far the coordinates may stray from ``to_voxel`` (soft bending of the body).
        edge_mm: width over which an edge is spread: the size of a voxel in plane.
    """

    def __init__(self, points: Points, to_voxel: np.ndarray, bend_mm: float, edge_mm: float) -> None:
        self.points = points
        self.to_voxel = to_voxel
        self.bend_mm = bend_mm
        self.edge_mm = edge_mm
        self.hu: np.ndarray = np.full(points.x.shape, -1000, np.float32)
        self.label = np.zeros(points.x.shape, np.uint8)
        self._cover = np.zeros(points.x.shape, np.float32)

    def paint(self, item: Solid | Tubes) -> None:
        """Paints a solid or tubes over what is there."""
        if isinstance(item, Tubes):
            self._paint_tubes(item)
            return
        first, last = self._boxes(np.asarray([item.low], float), np.asarray([item.high], float))
        if (first[0] < last[0]).all():
            window, points = self._window(first[0], last[0])
            distance = item.distance(points)
            for depth_mm, hu in ((0.0, item.hu), *item.core):
                self._blend(window, points, self._share(distance + np.float32(depth_mm)), hu, item.label)

    def _boxes(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gives the voxel boxes ``(first, last)``, half open, clipped to the slab, that hold boxes in mm, each (S, 3)."""
        spread = self.bend_mm + self.edge_mm
        center = (low + high) / 2 @ self.to_voxel[:, :3].T + self.to_voxel[:, 3]
        reach = ((high - low) / 2 + spread) @ np.abs(self.to_voxel[:, :3]).T
        shape: np.ndarray = np.array(self.hu.shape)
        first = np.clip(np.floor(center - reach), 0, shape).astype(int)
        last = np.clip(np.ceil(center + reach) + 1, 0, shape).astype(int)
        return first, last

    def _window(self, first: np.ndarray, last: np.ndarray) -> tuple[tuple[slice, ...], Points]:
        window = tuple(slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))
        return window, Points(self.points.x[window], self.points.y[window], self.points.z[window])

    def _blend(self, window: tuple[slice, ...], points: Points, cover: np.ndarray, hu: Tissue, label: int | None) -> None:
        below = self.hu[window]
        # Textures are the costly part: only where something is painted.
        part = cover > 0
        share, there = cover[part], below[part]
        tissue = hu(Points(points.x[part], points.y[part], points.z[part])) if callable(hu) else np.float32(hu)
        below[part] = there + share * (tissue - there)
        if label is not None:
            self.label[window][cover > 0.5] = label

    def _share(self, distance: np.ndarray) -> np.ndarray:
        """Gives the share of each voxel that lies inside, 0 to 1."""
        share = np.maximum(np.float32(0.5) - distance * np.float32(1 / self.edge_mm), 0)
        return np.minimum(share, np.float32(1), out=share)

    def _paint_tubes(self, tubes: Tubes) -> None:
        if len(tubes.ends) == 0:
            return
        wide = tubes.radii.max(1)[:, None] * np.array([1, 1, max(tubes.height, 1.0)])
        first, last = self._boxes(tubes.ends.min(1) - wide, tubes.ends.max(1) + wide)
        hit = np.flatnonzero((first < last).all(1))
        if len(hit) == 0:
            return
        low, high = first[hit].min(0), last[hit].max(0)
        window, points = self._window(low, high)
        # Tubes with boxes of about one size are painted together: one by one, calls would cost more than voxels.
        sizes = -(-(last - first)[hit] // BOX_STEP)
        for size in np.unique(sizes, axis=0):
            group = hit[(sizes == size).all(1)]
            box = np.minimum(size * BOX_STEP, high - low)
            at_once = max(1, VOXELS_AT_ONCE // int(box.prod()))
            for start in range(0, len(group), at_once):
                some = group[start : start + at_once]
                self._cover_tubes(tubes, some, np.minimum(first[some], high - box), box)
        cover = self._cover[window]
        self._blend(window, points, cover, tubes.hu, tubes.label)
        cover[...] = 0

    def _cover_tubes(self, tubes: Tubes, group: np.ndarray, corner: np.ndarray, box: np.ndarray) -> None:
        """Notes the share that tubes cover of the voxels of their boxes: all of size ``box`` (3,), at ``corner`` (S, 3)."""
        steps = np.array([self.hu.shape[1] * self.hu.shape[2], self.hu.shape[2], 1])
        within = np.indices(tuple(box.tolist())).reshape(3, -1)
        voxels = (corner @ steps)[:, None] + steps @ within
        # Lengths along z count less, so that the section is taller than deep.
        flat = np.array([1, 1, 1 / tubes.height])
        starts = tubes.ends[group, 0] * flat
        spans = tubes.ends[group, 1] * flat - starts
        towards = spans / np.maximum((spans**2).sum(1, keepdims=True), 1e-6)
        a, b, c = (array.astype(np.float32).T[..., None] for array in (starts, spans, towards))
        dx = self.points.x.ravel()[voxels] - a[0]
        dy = self.points.y.ravel()[voxels] - a[1]
        dz = self.points.z.ravel()[voxels] * np.float32(flat[2]) - a[2]
        along = np.minimum(np.maximum(dx * c[0] + dy * c[1] + dz * c[2], 0), 1)
        dx, dy, dz = dx - along * b[0], dy - along * b[1], dz - along * b[2]
        radii = tubes.radii[group].astype(np.float32).T[..., None]
        share = self._share(np.sqrt(dx * dx + dy * dy + dz * dz) - (radii[0] + along * (radii[1] - radii[0])))
        # A tube thinner than a voxel never fills one: its share falls with its width.
        np.minimum(share, (radii[0] + radii[1]) / np.float32(self.edge_mm), out=share)
        touched = share > 0
        np.maximum.at(self._cover.reshape(-1), voxels[touched], share[touched])
