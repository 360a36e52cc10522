"""The scanner of the phantom: where the body lies, partial volume, the table, noise, and how the array is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from maesil_monai.geometry import Triple
from maesil_monai.phantom.painted_shapes import Canvas, Points
from maesil_monai.phantom.person import Anatomy

CoverageName = Literal["chest", "abdomen", "trunk"]

# Lower and upper end of a scan, mm in the frame of the body.
COVERAGE_MM: dict[CoverageName, tuple[float, float]] = {"chest": (-75, 238), "abdomen": (-335, 40), "trunk": (-335, 238)}
# A slab fits the cache where slices are small; thin slabs of large slices would visit each tube too often.
VOXELS_PER_SLAB, SLICES_PER_SLAB = 400_000, 12
AIR_HU = -1000.0


@dataclass(frozen=True)
class Position:
    """How the body lies in the scanner.

    Args:
        turn: shape (3, 3), rotates the body's frame into the scanner's.
        shift_mm: shape (3,), the place of the body's origin in the scanner.
        scale: shape (3,), the size of this body relative to the reference.
        bends: shape (3, 4): amplitude (mm), two wave lengths (mm) and phase of the soft bending of each axis.
    """

    turn: np.ndarray
    shift_mm: np.ndarray
    scale: np.ndarray
    bends: np.ndarray


def draw_position(rng: np.random.Generator, anatomy: Anatomy, low_mm: float, high_mm: float) -> Position:
    """Draws a position in which the middle of the wanted heights lies near the isocenter."""
    turn = Rotation.from_euler("xyz", rng.normal(0, (1.6, 1.6, 3.0)), degrees=True).as_matrix()
    middle = np.array([0.0, 0.0, (low_mm + high_mm) / 2]) * anatomy.body.scale
    shift = rng.normal(0, (9.0, 12.0, 7.0)) - turn @ middle
    bends = np.stack([rng.uniform(1, 3.5, 3), *rng.uniform(150, 420, (2, 3)), rng.uniform(0, 2 * np.pi, 3)], 1)
    return Position(turn, shift, anatomy.body.scale, bends)


def outline(anatomy: Anatomy, position: Position, low_mm: float, high_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Gives the corners (low, high) of the box in the scanner that holds the skin between two heights, mm."""
    heights, angles = np.meshgrid(np.linspace(low_mm, high_mm, 40), np.linspace(0, 2 * np.pi, 72))
    skin = anatomy.body.skin.place(heights, angles, 2.0).reshape(-1, 3) * position.scale
    placed = skin @ position.turn.T + position.shift_mm
    return placed.min(0), placed.max(0)


def render(
    anatomy: Anatomy, position: Position, shape: Triple, spacing_mm: np.ndarray, slices_within: int
) -> tuple[np.ndarray, np.ndarray]:
    """Samples the body on a grid centred on the isocenter, axes to the right, front and head.

    Memory stays near that of the result: the volume is painted in slabs of slices.

    Args:
        anatomy: what to sample.
        position: how it lies.
        shape: voxels per axis.
        spacing_mm: shape (3,), voxel size.
        slices_within: thin slices averaged to one slice.

    Returns:
        ``(hu, label)``, float32 and uint8, both of ``shape``; air is -1000 HU.
    """
    hu = np.empty(shape, np.float32)
    label = np.empty(shape, np.uint8)
    fine_mm = spacing_mm / (1, 1, slices_within)
    num_slices = -(-max(SLICES_PER_SLAB, VOXELS_PER_SLAB // (shape[0] * shape[1])) // slices_within)
    for start in range(0, shape[2], num_slices):
        stop = min(start + num_slices, shape[2])
        slab = (shape[0], shape[1], (stop - start) * slices_within)
        first_mm = -(np.array(shape) * spacing_mm - fine_mm) / 2 + (0, 0, start * spacing_mm[2])
        canvas = _canvas(position, slab, fine_mm, first_mm)
        for part in anatomy.parts:
            canvas.paint(part)
        hu[..., start:stop] = canvas.hu.reshape(*slab[:2], -1, slices_within).mean(-1)
        label[..., start:stop] = canvas.label[..., slices_within // 2 :: slices_within]
    return hu, label


def _canvas(position: Position, shape: Triple, spacing_mm: np.ndarray, first_mm: np.ndarray) -> Canvas:
    """Gives an empty slab with the body coordinates of its voxels; ``first_mm`` is the place of voxel (0, 0, 0)."""
    to_body = (position.turn / position.scale).T
    linear = to_body * spacing_mm
    offset = to_body @ (first_mm - position.shift_mm)
    steps = np.ogrid[tuple(slice(0, size) for size in shape)]
    amounts, first_wave, second_wave, phases = position.bends.T
    axes = []
    for axis in range(3):
        # Each coordinate bends with the other two alone, so that the bend is one plane of values.
        one, two = (index for index in range(3) if index != axis)
        turns = (steps[one] * spacing_mm[one] + first_mm[one]) / first_wave[axis]
        turns = turns + (steps[two] * spacing_mm[two] + first_mm[two]) / second_wave[axis]
        bend = amounts[axis] * np.sin(2 * np.pi * turns + phases[axis])
        straight = [(steps[index] * linear[axis, index]).astype(np.float32) for index in range(3)]
        axes.append((bend + offset[axis]).astype(np.float32) + straight[0] + straight[1] + straight[2])
    inverse = np.linalg.inv(linear)
    to_voxel = np.concatenate([inverse, -(inverse @ offset)[:, None]], 1)
    return Canvas(Points(*axes), to_voxel, float(amounts.max()), float(spacing_mm[:2].mean() * 1.1))


def add_table(rng: np.random.Generator, hu: np.ndarray, spacing_mm: np.ndarray, back_mm: float) -> None:
    """Paints the table, a curved carbon shell round foam, into the air under the body, in place.

    Args:
        hu: shape (I, J, K) on axes to the right, front and head.
        spacing_mm: shape (3,), voxel size.
        back_mm: y of the body's lowest point in the scanner.
    """
    x, y = ((np.arange(size) - (size - 1) / 2) * step for size, step in zip(hu.shape[:2], spacing_mm[:2], strict=True))
    width, thick, shell = rng.uniform(195, 225), rng.uniform(14, 40), rng.uniform(1.5, 3.0)
    top = back_mm - rng.uniform(1, 7) + rng.uniform(0.0006, 0.0014) * x**2
    bottom = back_mm - 12 - thick + rng.uniform(0.0009, 0.0018) * x**2
    depth = np.maximum(np.maximum(y - top[:, None], bottom[:, None] - y), np.abs(x)[:, None] - width)
    edge = float(spacing_mm[:2].mean())
    outer, inner = np.clip(0.5 - depth / edge, 0, 1), np.clip(0.5 - (depth + shell) / edge, 0, 1)
    section = AIR_HU + outer * rng.uniform(650, 900) - inner * rng.uniform(560, 640)
    section = np.maximum(section, AIR_HU)[..., None].astype(np.float32)
    np.maximum(hu, section, out=hu, where=hu < -900)


def add_noise(rng: np.random.Generator, hu: np.ndarray, spacing_mm: np.ndarray, noise_hu: float) -> None:
    """Adds noise in place: grainy as a reconstruction kernel leaves it, stronger where X-rays cross much tissue.

    Args:
        hu: shape (I, J, K) on axes to the right, front and head.
        spacing_mm: shape (3,), voxel size.
        noise_hu: standard deviation in the middle of an average trunk.
    """
    matter = np.clip((hu + 1000) / 1000, 0, 2.2)
    # Water-equivalent path along x and along y through each place, cm.
    across = matter.sum(0, dtype=np.float32) * (spacing_mm[0] / 10)
    upright = matter.sum(1, dtype=np.float32) * (spacing_mm[1] / 10)
    in_body = gaussian_filter(np.minimum(matter, 1), (12 / spacing_mm[0], 12 / spacing_mm[1], 0))
    path = gaussian_filter(0.5 * (across[None] + upright[:, None]), (2, 2, 1))
    # exp(mu L / 2) is photon statistics; tube current modulation evens out most of it.
    strength = np.exp(0.035 * (np.minimum(path, 45) - 24)) * (0.35 + 0.65 * in_body)
    grain_mm = rng.uniform(0.35, 0.9) * max(1.0, float(spacing_mm[0]))
    hu += _grain(rng, hu.shape, (grain_mm / spacing_mm[0], grain_mm / spacing_mm[1], 0.35)) * (noise_hu * strength)
    # Streaks along the widest path: shoulders and hips.
    starved = noise_hu * np.clip((across - 34) / 12, 0, 1.2)
    hu += _grain(rng, hu.shape, (28 / spacing_mm[0], 0.6, 0.3)) * (starved[None] * (0.2 + 0.8 * in_body))


def _grain(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, float, float]) -> np.ndarray:
    """Gives smoothed white noise of standard deviation 1, float32."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap", truncate=3.0)
    return field / max(float(field.std()), 1e-6)
