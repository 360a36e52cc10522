"""Made-up CT scans with labels: the data a newcomer without a CT collection starts with, and that tests run on.

A scan is drawn from a seed: a person (size, habitus, organs, vessels, contrast phase), a position, a protocol (coverage,
slice thickness, noise, orientation). Vessels, ribs, airways and organ borders run on through the slices, so that
hidden parts can be told from visible ones in 3D only. It is no model of disease or dose, and no stand-in for a result on
real CT.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import nibabel as nib
import numpy as np

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple, as_triple
from maesil_monai.phantom.body import LABELS
from maesil_monai.phantom.person import draw_anatomy
from maesil_monai.phantom.scanner import COVERAGE_MM, CoverageName, add_noise, add_table, draw_position, outline, render

__all__ = ["LABELS", "ORIENTATIONS", "SIZES", "Phantom", "SizeName", "phantom_scan"]

SizeName = Literal["tiny", "small", "medium", "full"]

# Voxels across a slice, and the range slice thickness is drawn from (mm).
SIZES: dict[SizeName, tuple[int, tuple[float, float]]] = {
    "tiny": (48, (7.0, 9.0)),
    "small": (128, (2.9, 5.0)),
    "medium": (256, (2.0, 5.0)),
    "full": (512, (1.0, 3.0)),
}
ORIENTATIONS = ("RAS", "LAS", "LPS", "RPS", "LPI", "PLI")


@dataclass(frozen=True)
class Phantom:
    """A made-up scan as a file would hold it.

    Args:
        hu: int16, the stored array; its axes run as ``affine`` says.
        label: uint8, same shape, ids as in ``LABELS``.
        affine: shape (4, 4), float64, voxel to world (RAS+, mm).
    """

    hu: np.ndarray
    label: np.ndarray
    affine: np.ndarray


def phantom_scan(
    seed: int | Sequence[int],
    shape: Triple | None = None,
    spacing_mm: Sequence[float] | None = None,
    *,
    size: SizeName = "small",
    coverage: CoverageName | None = None,
    phase: str | None = None,
    orientation: str | None = None,
    noise_hu: float | None = None,
) -> Phantom:
    """Draws a scan; the same arguments give the same voxels. What is None is drawn.

    Args:
        seed: one or more whole numbers from 0 up.
        shape: voxels to the right, to the front and to the head (whatever axes are stored).
        spacing_mm: voxel size on the same axes; drawn so that the field of view holds the body and the coverage.
        size: sets ``shape`` and ``spacing_mm`` where they are None: ``tiny`` 48, ``small`` 128, ``medium`` 256 and ``full``
            512 voxels across a slice.
        coverage: ``chest``, ``abdomen`` or ``trunk`` (both).
        phase: contrast phase, ``none``, ``arterial``, ``pulmonary`` or ``portal``.
        orientation: stored axes as in nibabel, such as ``"LPS"``; one of ``ORIENTATIONS`` when None.
        noise_hu: standard deviation of the noise in the middle of an average trunk, 0 for none.

    Returns:
        A :class:`Phantom`. HU are within -1024..3071.

    Raises:
        ValueError: if a name is unknown or a size is not positive.

    Example:
        >>> scan = phantom_scan(3, size="tiny", coverage="chest", orientation="LPS")
        >>> scan.hu.dtype, nib.aff2axcodes(scan.affine)
        (dtype('int16'), ('L', 'P', 'S'))
    """
    if size not in SIZES:
        raise BadSetting(f"size {size!r} is unknown: expected one of {', '.join(SIZES)}.")
    if coverage is not None and coverage not in COVERAGE_MM:
        raise BadSetting(f"coverage {coverage!r} is unknown: expected one of {', '.join(COVERAGE_MM)}.")
    person, scanner = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(2))
    anatomy = draw_anatomy(person, phase)

    drawn: CoverageName = get_args(CoverageName)[scanner.choice(3, p=(0.3, 0.3, 0.4))]
    low_mm, high_mm = np.array(COVERAGE_MM[coverage or drawn]) + scanner.uniform((0, -28), (28, 0))
    position = draw_position(scanner, anatomy, low_mm, high_mm)
    box_low, box_high = outline(anatomy, position, low_mm, high_mm)
    field_mm = min(float(2 * np.abs([box_low[:2], box_high[:2]]).max()) * scanner.uniform(0.98, 1.12), 500.0)
    length_mm = (high_mm - low_mm) * anatomy.body.scale[2]
    grid, steps_mm = _grid(scanner, size, shape, spacing_mm, field_mm, length_mm)

    slices_within = int(np.clip(np.ceil(steps_mm[2] / max(1.3 * steps_mm[0], 1.25)), 1, 4))
    volume, label = render(anatomy, position, grid, steps_mm, slices_within)
    add_table(scanner, volume, steps_mm, float(box_low[1]))
    level_hu = scanner.uniform(7, 24) * min(1.0, 2.2 / steps_mm[0]) ** 0.5
    wanted_hu = level_hu if noise_hu is None else noise_hu
    if wanted_hu > 0:
        add_noise(scanner, volume, steps_mm, wanted_hu)
    hu = np.clip(np.rint(volume), -1024, 3071).astype(np.int16)
    axes = ORIENTATIONS[scanner.choice(len(ORIENTATIONS), p=(0.25, 0.15, 0.3, 0.1, 0.1, 0.1))]
    affine = np.diag([*steps_mm, 1.0])
    affine[:3, 3] = np.round(scanner.uniform(-1, 1, 3) * (20, 20, 800) - (np.array(grid) - 1) * steps_mm / 2, 2)
    return _stored(hu, label, affine, orientation or axes)


def _grid(
    rng: np.random.Generator,
    size: SizeName,
    shape: Triple | None,
    spacing_mm: Sequence[float] | None,
    field_mm: float,
    length_mm: float,
) -> tuple[Triple, np.ndarray]:
    """Settles shape and spacing, those that were asked for first."""
    across, (thinnest, thickest) = SIZES[size]
    slice_mm = float(np.round(rng.uniform(thinnest, thickest) * 4) / 4)
    sizes = None if shape is None else as_triple(shape, "shape")
    if spacing_mm is not None:
        steps = np.asarray(spacing_mm, float)
        if steps.shape != (3,) or not (np.isfinite(steps).all() and (steps > 0).all()):
            raise BadSetting(f"spacing_mm={spacing_mm!r}: expected three lengths above 0.")
    else:
        fewest, step_mm = (across, slice_mm) if sizes is None else (min(sizes[:2]), length_mm / sizes[2])
        steps = np.round([field_mm / fewest, field_mm / fewest, step_mm], 4)
    if sizes is not None:
        return sizes, steps
    if spacing_mm is None:
        return (across, across, max(round(length_mm / steps[2]), 1)), steps
    fields = np.array([field_mm, field_mm, length_mm])
    return as_triple([max(round(f / s), 1) for f, s in zip(fields, steps, strict=True)], "shape"), steps


def _stored(hu: np.ndarray, label: np.ndarray, affine: np.ndarray, orientation: str) -> Phantom:
    """Brings RAS arrays to the stored orientation; every voxel keeps its place in the world."""
    try:
        wanted = nib.orientations.axcodes2ornt(orientation)
    except ValueError as error:
        raise BadSetting(f"orientation {orientation!r}: expected three letters of RL, AP and SI, such as 'LPS'.") from error
    change = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), wanted)
    turned = [np.ascontiguousarray(nib.orientations.apply_orientation(array, change)) for array in (hu, label)]
    return Phantom(turned[0], turned[1], affine @ nib.orientations.inv_ornt_aff(change, hu.shape))
