"""The mean training volume: what anatomy at a place looks like on average, as a baseline for reconstruction."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maesil_monai.data.volumes.bad_volume import BadVolume, bad_volume_behind
from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Box, Triple, as_triple
from maesil_monai.training.signals import give_up_if_asked

logger = logging.getLogger(__name__)

MAX_SIZE = 160  # voxels per axis that are kept


@dataclass(frozen=True, eq=False)
class MeanVolume:
    """The mean of windowed volumes of one shape, from which superpatches are cropped.

    Axes of more than 160 voxels make it keep every axis at a whole fraction of its size (512 at a quarter, 128), as means of
    blocks; crops are interpolated linearly between the blocks' centres and continued beyond the outermost ones. A mean over
    many patients has no detail that this would lose.

    Args:
        mean: float32, shape (ri, rj, rk), the mean on the grid that is kept, in [0, 1].
        shape: voxels of the full grid, ``r = ceil(shape / factor)`` per axis.
        factor: voxels of the full grid per kept voxel and axis.

    Example:
        >>> volume = MeanVolume(torch.arange(4.0).reshape(1, 1, 4), (1, 1, 4), 1)
        >>> volume.crop(torch.tensor([[0, 0, 2]]), (1, 1, 2)).flatten().tolist()
        [2.0, 3.0]
    """

    mean: torch.Tensor
    shape: Triple
    factor: int

    @classmethod
    def from_datalist(
        cls,
        datalist: Sequence[Mapping[str, Any]],
        load: Callable[[Mapping[str, Any]], VolumeSource],
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        max_scans: int = 64,
        seed: int = 0,
    ) -> MeanVolume | None:
        """Averages the scans of a datalist, reading slab by slab.

        Args:
            datalist: the training scans.
            load: gives the source of a scan in HU, resampled as for the network.
            window_hu: the HU mapped to 0 and to 1; values outside are clipped.
            max_scans: at most so many scans are read, drawn without replacement.
            seed: decides which.

        Returns:
            The mean, or None if it is not defined: the volumes differ in shape, so that no place of one answers to a place of
            another, or none of them can be read. A bad volume is logged and left out.

        Raises:
            ValueError: if the datalist is empty or ``max_scans`` is not positive.
        """
        if not datalist or max_scans < 1:
            raise BadSetting(f"{len(datalist)} scans, max_scans={max_scans}: the mean of no scans is not defined.")
        chosen = np.random.default_rng(seed).permutation(len(datalist))[:max_scans]
        shape: Triple | None = None
        total = torch.zeros(0)
        factor = 1
        num_read = 0
        for number in sorted(chosen.tolist()):
            give_up_if_asked()
            try:
                source = load(datalist[number])
                if shape is None:
                    shape = source.shape
                    factor = math.ceil(max(shape) / MAX_SIZE)
                elif source.shape != shape:
                    logger.warning("The mean training volume is not defined: scans of shape %s and %s.", shape, source.shape)
                    return None
                kept = torch.cat([_reduced(source.read(box), window_hu, factor) for box in _slabs(shape, factor)])
            except (BadVolume, RuntimeError) as error:
                fault = bad_volume_behind(error)
                if fault is None:
                    raise
                logger.warning("Left out of the mean training volume: %s", fault)
                continue
            total = kept if num_read == 0 else total.add_(kept)
            num_read += 1
        if shape is None or num_read == 0:
            logger.warning("The mean training volume is not defined: none of %d scans could be read.", len(chosen))
            return None
        return cls(total / num_read, shape, factor)

    def covers(self, start: torch.Tensor, size: int | Sequence[int]) -> bool:
        """Tells whether all superpatches lie inside the volume; arguments as in :meth:`crop`."""
        stop = start + torch.tensor(as_triple(size, "size"), device=start.device)
        return bool((start >= 0).all()) and bool((stop <= torch.tensor(self.shape, device=start.device)).all())

    def crop(self, start: torch.Tensor, size: int | Sequence[int]) -> torch.Tensor:
        """Cuts out superpatches.

        Args:
            start: int64, shape (B, 3), first voxel of each superpatch on the full grid.
            size: voxels per axis of a superpatch.

        Returns:
            float32, shape (B, 1, *size), in [0, 1], on the device of ``start``.

        Raises:
            ValueError: if a superpatch reaches outside the volume.
        """
        extent = as_triple(size, "size")
        if not self.covers(start, extent):
            raise ValueError(f"superpatches of {extent} voxels at {start.tolist()}: the mean volume has {self.shape} voxels.")
        weights = [self._weights(start[:, axis], extent[axis], axis) for axis in range(3)]
        part = torch.einsum("bxi,ijk->bxjk", weights[0], self.mean.to(start.device))
        part = torch.einsum("byj,bxjk->bxyk", weights[1], part)
        return torch.einsum("bzk,bxyk->bxyz", weights[2], part)[:, None]

    def _weights(self, start: torch.Tensor, size: int, axis: int) -> torch.Tensor:
        """Linear interpolation along one axis: shape (B, size, kept voxels), rows sum to 1."""
        kept = torch.arange(self.mean.shape[axis], device=start.device)
        voxel = start[:, None] + torch.arange(size, device=start.device)
        place = ((voxel + 0.5) / self.factor - 0.5).clamp(0, len(kept) - 1)
        return (1.0 - (place[..., None] - kept).abs()).clamp(min=0.0)


def _slabs(shape: Triple, factor: int) -> Iterator[Box]:
    """Cuts a volume across its first axis into boxes, each but the last a whole number of blocks thick."""
    thickness = max(64 // factor, 1) * factor
    for first in range(0, shape[0], thickness):
        yield (first, 0, 0), (min(first + thickness, shape[0]), shape[1], shape[2])


def _reduced(volume_hu: torch.Tensor, window_hu: Sequence[float], factor: int) -> torch.Tensor:
    """Windows a volume (1, d, h, w) to [0, 1] and averages blocks of ``factor`` voxels per axis; border blocks may be smaller."""
    lower, upper = window_hu
    clipped = volume_hu.clamp(lower, upper).float()
    mean_hu = torch.nn.functional.avg_pool3d(clipped, factor, ceil_mode=True, count_include_pad=False)[0]
    return (mean_hu - lower) / (upper - lower)  # scaled last, when little is left
