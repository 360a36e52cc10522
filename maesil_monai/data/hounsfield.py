"""From a file's raw voxels to Hounsfield units in RAS orientation: the checks on values, and no larger copy than needed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import nibabel as nib
import numpy as np

from maesil_monai.data.bad_volume import BadVolume
from maesil_monai.data.source import ArraySource

# CT stores HU in 12 or 16 bits; beyond this it is a rescale that went wrong.
VALUE_LIMIT_HU = 32768.0
# Every CT shows some air; a volume without a voxel below this is MR or PET, or was windowed, or lost its rescale intercept.
MUST_REACH_HU = -200.0
_SLAB_VOXELS = 2**22


def ras_source(
    path: str | os.PathLike[str],
    raw: np.ndarray,
    affine: np.ndarray,
    slope: float = 1.0,
    inter: float = 0.0,
    hounsfield: bool = True,
) -> ArraySource:
    """Makes a source in RAS orientation from raw voxels.

    Args:
        path: the file as the user named it.
        raw: shape (D, H, W), any real dtype and byte order; not changed.
        affine: voxel to world (RAS+, mm) of ``raw``, shape (4, 4), invertible.
        slope: value = slope * raw + inter.
        inter: see ``slope``.
        hounsfield: whether values must look like HU; False for labels.

    Returns:
        int16 if all values are whole numbers within int16, else float32. Where ``raw`` is native int16 it is not copied;
        axes are turned by strides.

    Raises:
        BadVolume: NON_FINITE, VALUE_RANGE, CONSTANT, NOT_HOUNSFIELD.
    """
    low, high, whole = _value_range(path, raw, slope, inter)
    if max(abs(low), abs(high)) > VALUE_LIMIT_HU:
        raise BadVolume(
            "VALUE_RANGE", path, f"values {low:g} to {high:g}", f"at most +-{VALUE_LIMIT_HU:g}", "Repair the rescale slope."
        )
    if hounsfield and low == high:
        raise BadVolume("CONSTANT", path, f"every voxel is {low:g}", "a scan of something", "Leave this scan out.")
    if hounsfield and low >= MUST_REACH_HU:
        raise BadVolume(
            "NOT_HOUNSFIELD",
            path,
            f"values {low:g} to {high:g}",
            f"Hounsfield units, some below {MUST_REACH_HU:g}",
            "Export the CT without windowing and with its rescale intercept.",
        )
    fits = whole and high <= np.iinfo(np.int16).max
    values = _convert(raw, slope, inter, np.dtype(np.int16 if fits else np.float32))
    turn = nib.orientations.io_orientation(affine)
    ras_affine = affine @ nib.orientations.inv_ornt_aff(turn, raw.shape)
    return ArraySource(nib.orientations.apply_orientation(values, turn), ras_affine, os.fspath(path), affine)


def _value_range(path: str | os.PathLike[str], raw: np.ndarray, slope: float, inter: float) -> tuple[float, float, bool]:
    """Gives the least and the greatest value and whether all are whole numbers."""
    if raw.dtype.kind in "iu" and slope == round(slope) and inter == round(inter):
        ends = sorted((int(raw.min()) * slope + inter, int(raw.max()) * slope + inter))
        return ends[0], ends[1], True
    low, high, whole, num_bad = np.inf, -np.inf, True, 0
    for index in _slabs(raw):
        values = raw[index].astype(np.float64) * slope + inter
        num_bad += values.size - int(np.count_nonzero(np.isfinite(values)))
        if num_bad == 0:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            whole = whole and bool((values == np.rint(values)).all())
    if num_bad:
        raise BadVolume(
            "NON_FINITE", path, f"{num_bad} voxels are NaN or infinite", "finite values", "Repair or leave out this scan."
        )
    return low, high, whole


def _convert(raw: np.ndarray, slope: float, inter: float, dtype: np.dtype) -> np.ndarray:
    if slope == 1.0 and inter == 0.0:
        return raw.astype(dtype, order="K", copy=False)
    values = np.empty_like(raw, dtype=dtype)
    for index in _slabs(raw):
        values[index] = raw[index].astype(np.float64) * slope + inter
    return values


def _slabs(raw: np.ndarray) -> Iterator[tuple[slice, ...]]:
    """Cuts along the axis that runs slowest in memory, so that float64 exists for a few slices at a time."""
    axis = int(np.argmax(np.abs(raw.strides)))
    step = max(_SLAB_VOXELS * raw.shape[axis] // raw.size, 1)
    for start in range(0, raw.shape[axis], step):
        yield tuple(slice(start, start + step) if a == axis else slice(None) for a in range(3))
