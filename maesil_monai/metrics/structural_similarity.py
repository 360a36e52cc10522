"""Structural similarity of volumes: a 3D Gaussian window, one axis after the other, a bundle of rows at a time.

With the error d = x - y and the sum s = x + y of two volumes, and m and v for mean and variance under the window,

    SSIM = (1 - m_d^2 / ((m_s^2 + m_d^2) / 2 + C1)) * (1 - v_d / ((v_s + v_d) / 2 + C2))

is the usual formula written with the errors: four filterings in place of five, and exactly 1 where nothing differs. Variances
are small differences of large numbers (air at 0, soft tissue at 0.5 of the window, C2 = 0.0009), so it is filtered in
float64. Filtering by shifted sums keeps a NaN inside the windows that hold it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from maesil_monai.metrics.map_over_regions import PooledMap

WINDOW_SIDE = 11
SIGMA = 1.5
C1, C2 = 0.01**2, 0.03**2  # (K1 * data range)^2 and (K2 * data range)^2 with a data range of 1
RADIUS = WINDOW_SIDE // 2
TILE_VOXELS, TILE_SIDE = 2**17, 16  # about so many voxels at a time stay in the cache; at least so many rows by so many


@torch.no_grad()
def ssim_map(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Gives the structural similarity around every voxel of volumes whose values range over [0, 1].

    A Gaussian window of 11^3 voxels with sigma 1.5, K1 = 0.01, K2 = 0.03, biased variances. Beyond the border the volume is
    mirrored with its outermost voxel repeated, so that the map is scikit-image's. There are no gradients.

    Args:
        prediction: float, shape (..., D, H, W), every side 11 or more.
        truth: the same shape.

    Returns:
        Shape of the arguments, values in [-1, 1]; float64 if an argument is, float32 else. Identical volumes give 1 exactly, two
        constant ones a and b (2ab + C1) / (a^2 + b^2 + C1). A NaN spoils the windows it lies in.

    Raises:
        ValueError: if the shapes differ or a side is below 11.

    Source: Wang et al., Image quality assessment: from error visibility to structural similarity, 2004, with the window in 3D.

    Example:
        >>> volume = torch.rand(16, 16, 16)
        >>> bool((ssim_map(volume, volume) == 1).all())
        True
    """
    _check(prediction, truth)
    both = torch.promote_types(torch.promote_types(prediction.dtype, truth.dtype), torch.float32)
    result = torch.empty(truth.shape, dtype=both, device=truth.device)
    size = truth.shape[-3:]
    pairs = zip(prediction.reshape(-1, *size), truth.reshape(-1, *size), result.view(-1, *size), strict=True)
    for predicted, true, into in pairs:
        for i, j, tile in _tiles(predicted, true, mirrored=True):
            into[i : i + tile.shape[0], j : j + tile.shape[1]] = tile
    return result


@torch.no_grad()
def ssim(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Averages :func:`ssim_map` over the voxels whose window lies inside the volume, as scikit-image and MONAI do.

    Args:
        prediction: float, shape (..., D, H, W), every side 11 or more.
        truth: the same shape.

    Returns:
        float64, shape (...): one value per volume.

    Raises:
        ValueError: if the shapes differ or a side is below 11.

    Example:
        >>> round(float(ssim(torch.zeros(16, 16, 16), torch.full((16, 16, 16), 0.1))), 4)  # C1 / (0.1^2 + C1)
        0.0099
    """
    _check(prediction, truth)
    size = truth.shape[-3:]
    pairs = zip(prediction.reshape(-1, *size), truth.reshape(-1, *size), strict=True)
    sums = [sum(tile.sum() for _, _, tile in _tiles(predicted, true, mirrored=False)) for predicted, true in pairs]
    num_voxels = (size[0] - 2 * RADIUS) * (size[1] - 2 * RADIUS) * (size[2] - 2 * RADIUS)
    return torch.stack([torch.as_tensor(total) for total in sums]).reshape(truth.shape[:-3]) / num_voxels


class PooledSSIM(PooledMap):
    """The :func:`ssim_map` of reconstructions, averaged over the voxels of regions, pooled over each scan's superpatches.

    The map is that of the pasted volume, for the region ``full`` that of the raw output.

    Args:
        regions: names of regions, see :mod:`maesil_monai.metrics.regions`.
        optional: False raises ValueError for superpatches with a side below 11; see
            :class:`~maesil_monai.metrics.PooledMetric`.

    Raises:
        ValueError: for an unknown region.

    Example:
        >>> metric = PooledSSIM(regions=("hidden",))
        >>> hidden = torch.ones(1, 2, 2, 2, dtype=torch.bool)
        >>> image = torch.rand(1, 1, 16, 16, 16)
        >>> _ = metric(image, {"image": image, "hidden": hidden, "target": hidden, "scan": torch.tensor([0])})
        >>> metric.aggregate()
        {'ssim_hidden': 1.0}
    """

    quantity = "ssim"
    smallest_side = WINDOW_SIDE

    def _maps(self, volumes: Sequence[torch.Tensor], truth: torch.Tensor, wanted: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [ssim_map(volume, truth) for volume in volumes]


def _check(prediction: torch.Tensor, truth: torch.Tensor) -> None:
    if prediction.shape != truth.shape or truth.ndim < 3 or min(truth.shape[-3:]) < WINDOW_SIDE:
        raise ValueError(
            f"prediction {tuple(prediction.shape)}, truth {tuple(truth.shape)}: expected two equal shapes (..., D, H, W) with "
            f"{WINDOW_SIDE} voxels or more on each axis, the side of the window."
        )


def _tiles(prediction: torch.Tensor, truth: torch.Tensor, mirrored: bool) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Computes the map of volumes (D, H, W) a bundle of rows (along the last axis) at a time.

    Yields:
        The place of a bundle's first row along the first two axes, and the bundle, float64. Together the bundles are the map of
        mirrored volumes, or only what has its window inside, with the first such row at (0, 0).
    """
    depth, height, width = truth.shape
    inset = 0 if mirrored else RADIUS
    side = max(TILE_SIDE, math.isqrt(TILE_VOXELS // width))
    for i in range(inset, depth - inset, side):
        for j in range(inset, height - inset, side):
            ends = min(i + side, depth - inset), min(j + side, height - inset)
            below = [_rows(_rows(v, 0, i, ends[0]), 1, j, ends[1]).double() for v in (prediction, truth)]
            yield i - inset, j - inset, _similarity(below[0] + below[1], below[0] - below[1], mirrored)


def _rows(volume: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
    """Takes what lies below the windows around ``start`` to ``stop``, mirrored beyond the border."""
    first, last, length = start - RADIUS, stop + RADIUS, volume.shape[axis]
    if first >= 0 and last <= length:
        return volume.narrow(axis, first, last - first)
    place = torch.arange(first, last, device=volume.device)
    place = torch.where(place < 0, -1 - place, place)
    return volume.index_select(axis, torch.where(place >= length, 2 * length - 1 - place, place))


def _similarity(total: torch.Tensor, difference: torch.Tensor, mirrored: bool) -> torch.Tensor:
    """Applies the formula to x + y and x - y below the windows; writes into its arguments."""
    mean_s, mean_d = _filtered(total, mirrored).square_(), _filtered(difference, mirrored).square_()
    variance_s = _filtered(total.square_(), mirrored).sub_(mean_s)
    variance_d = _filtered(difference.square_(), mirrored).sub_(mean_d)
    luminance = mean_d / mean_s.add_(mean_d).mul_(0.5).add_(C1)
    rest = variance_d / variance_s.add_(variance_d).mul_(0.5).add_(C2)
    return luminance.sub_(1).mul_(rest.sub_(1))


def _filtered(rows: torch.Tensor, mirrored: bool) -> torch.Tensor:
    """Filters along all axes; each gets shorter by 10, but the last one does not if it is mirrored."""
    for axis in range(3):
        if mirrored and axis == 2:
            first, last = rows[..., :RADIUS], rows[..., -RADIUS:]
            rows = torch.cat([first.flip(2), rows, last.flip(2)], dim=2)
        length = rows.shape[axis] - 2 * RADIUS
        filtered = rows.narrow(axis, RADIUS, length) * WEIGHTS[RADIUS]
        for shift in range(RADIUS):
            filtered.add_(rows.narrow(axis, shift, length), alpha=WEIGHTS[shift])
            filtered.add_(rows.narrow(axis, 2 * RADIUS - shift, length), alpha=WEIGHTS[shift])
        rows = filtered
    return rows


def _gaussian() -> list[float]:
    """Gives the window's weights along one axis; they add up to 1."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / SIGMA).square())
    return (weights / weights.sum()).tolist()


WEIGHTS = _gaussian()
