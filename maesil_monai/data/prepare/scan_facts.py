"""What the data list and the report say about a scan, taken from its voxels once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

HISTOGRAM_START_HU = -1024
HISTOGRAM_STEP_HU = 32
HISTOGRAM_BINS = 96
_SLAB_VOXELS = 2**20


def whole_hu(volume: np.ndarray) -> np.ndarray:
    """Gives a volume in whole HU.

    Args:
        volume: shape (D, H, W), int16 or float32.

    Returns:
        int16: the volume itself, or a rounded copy whose values beyond int16 are clipped.
    """
    if volume.dtype == np.int16:
        return volume
    limits = np.iinfo(np.int16)
    whole = np.empty(volume.shape, dtype=np.int16)
    for slab in _slabs(volume.shape):
        whole[slab] = np.clip(np.rint(volume[slab]), limits.min, limits.max)
    return whole


def voxel_sha256(volume_hu: np.ndarray) -> str:
    """Gives a fingerprint of a scan's shape and voxels: the same for the same scan in another file or another format.

    Args:
        volume_hu: shape (D, H, W), int16.

    Returns:
        SHA-256, in hexadecimal, of the text ``D,H,W;`` and the voxels as little-endian int16 in C order.
    """
    digest = hashlib.sha256(f"{','.join(map(str, volume_hu.shape))};".encode())
    for slab in _slabs(volume_hu.shape):
        digest.update(np.ascontiguousarray(volume_hu[slab], dtype="<i2").data)
    return digest.hexdigest()


def hu_histogram(volume_hu: np.ndarray) -> list[int]:
    """Counts voxels by HU, every second one on each axis.

    Args:
        volume_hu: shape (D, H, W), int16.

    Returns:
        96 counts from -1024 to 2048 HU in steps of 32; what lies beyond is counted at the ends.
    """
    sample = volume_hu[::2, ::2, ::2]
    counts = np.zeros(HISTOGRAM_BINS, dtype=np.int64)
    for slab in _slabs(sample.shape):
        places = (sample[slab].astype(np.int32) - HISTOGRAM_START_HU) // HISTOGRAM_STEP_HU
        counts += np.bincount(np.clip(places, 0, HISTOGRAM_BINS - 1).ravel(), minlength=HISTOGRAM_BINS)
    return [int(count) for count in counts]


def _slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cuts the first axis, so that what is made from a slab stays small."""
    step = max(_SLAB_VOXELS * shape[0] // max(int(np.prod(shape)), 1), 1)
    for start in range(0, shape[0], step):
        yield slice(start, start + step)
