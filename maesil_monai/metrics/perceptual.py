"""LPIPS of volumes: every slice of three axes through AlexNet, and the maps averaged over regions."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.metrics.lpips_weights import LPIPSUnavailable, lpips_network
from maesil_monai.metrics.map_over_regions import PooledMap

SMALLEST_SIDE = 31  # AlexNet's last pooling needs it
Features = list[torch.Tensor]


class SliceLPIPS:
    """LPIPS (AlexNet) at every voxel of a volume: the mean of the spatial maps of the three slices through it.

    Values in [0, 1] are mapped to [-1, 1], the channel is repeated three times. Slices without a wanted voxel are left out.

    Args:
        network: from :func:`lpips_network`.
        slices_per_batch: how many slices go through the network at once.
        truth_cache_bytes: keeps the features of true slices up to so many bytes, for methods that are measured one after the
            other on the same superpatch (about 230 MB for one of 128^3). They are found by the slices' content.

    Raises:
        ValueError: if one of the numbers is out of range.

    Source: Zhang et al., The unreasonable effectiveness of deep features as a perceptual metric, 2018; code ``lpips`` 0.1.4.
    """

    def __init__(self, network: Any, slices_per_batch: int = 32, truth_cache_bytes: int = 0) -> None:
        if slices_per_batch < 1:
            raise BadSetting(f"slices_per_batch={slices_per_batch}: expected 1 or more.")
        if truth_cache_bytes < 0:
            raise BadSetting(f"truth_cache_bytes={truth_cache_bytes}: expected 0 (keep nothing) or more.")
        self.network = network
        self.slices_per_batch = slices_per_batch
        self.truth_cache_bytes = truth_cache_bytes
        self._kept: OrderedDict[tuple, Features] = OrderedDict()
        self._kept_bytes = 0

    @torch.no_grad()
    def maps(
        self, volumes: Sequence[torch.Tensor], truth: torch.Tensor, wanted: Sequence[torch.Tensor] | None = None
    ) -> list[torch.Tensor]:
        """Compares volumes with one truth.

        Args:
            volumes: each of shape (B, 1, D, H, W), float32, [0, 1].
            truth: the same shape.
            wanted: for each volume the voxels that count, bool of the same shape; None: all.

        Returns:
            A map for each volume, float32, of the same shape: 0 or more, 0 in identical slices. Only its wanted voxels are right:
            through the others may go slices that were left out. A NaN spoils the slices it lies in.

        Raises:
            ValueError: if a side is below 31.
        """
        if min(truth.shape[2:]) < SMALLEST_SIDE:
            raise BadSetting(f"volume of {tuple(truth.shape[2:])} voxels: LPIPS needs {SMALLEST_SIDE} or more on each axis.")
        self.network.to(truth.device)
        found = [torch.zeros_like(truth) for _ in volumes]
        looked_at = [torch.ones_like(truth, dtype=torch.bool) for _ in volumes] if wanted is None else wanted
        for axis in (2, 3, 4):
            into = [_slices(volume, axis) for volume in found]  # views: what is added to them is added to the volumes
            have_wanted = [_slices(voxels, axis).flatten(2).any(dim=2) for voxels in looked_at]
            parts = [_slices(volume, axis) for volume in volumes]
            true = _slices(truth, axis)
            needed = torch.nonzero(torch.stack(have_wanted).any(dim=0))
            for rows in needed.split(self.slices_per_batch):
                sample, number = rows.unbind(dim=1)
                features = self._truth_features(true[sample, number])
                for volume, result, chosen in zip(parts, into, have_wanted, strict=True):
                    here = chosen[sample, number]
                    if here.any():
                        compared = self._compare(volume[sample[here], number[here]], [level[here] for level in features])
                        result[sample[here], number[here]] += compared / 3
        return found

    def _compare(self, pictures: torch.Tensor, true_features: Features) -> torch.Tensor:
        """Gives the spatial maps (N, H, W) of pictures (N, H, W)."""
        from lpips import upsample

        total = torch.zeros_like(pictures)
        for head, own, true in zip(self.network.lins, self._features(pictures), true_features, strict=True):
            total += upsample(head((own - true) ** 2), out_HW=pictures.shape[1:])[:, 0]
        return total

    def _features(self, pictures: torch.Tensor) -> Features:
        """Gives AlexNet's five levels, each position's channels of length 1, for pictures (N, H, W) in [0, 1]."""
        from lpips import normalize_tensor

        repeated = (2 * pictures[:, None] - 1).expand(-1, 3, -1, -1)
        cudnn = torch.backends.cudnn
        kept = {"enabled": cudnn.enabled, "benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
        with cudnn.flags(**kept, allow_tf32=False):  # its 10 bits would show in the third digit
            levels = self.network.net(self.network.scaling_layer(repeated))
        return [normalize_tensor(level) for level in levels]

    def _truth_features(self, pictures: torch.Tensor) -> Features:
        """The same for true pictures, kept for the next time."""
        if self.truth_cache_bytes == 0:
            return self._features(pictures)
        content = hashlib.blake2b(pictures.contiguous().cpu().numpy().data).digest()
        key = (content, tuple(pictures.shape), str(pictures.device))
        if key not in self._kept:
            self._kept[key] = self._features(pictures)
            self._kept_bytes += _num_bytes(self._kept[key])
        self._kept.move_to_end(key)
        features = self._kept[key]
        while self._kept_bytes > self.truth_cache_bytes:
            self._kept_bytes -= _num_bytes(self._kept.popitem(last=False)[1])
        return features


class PooledLPIPS(PooledMap):
    """LPIPS of reconstructions, averaged over the voxels of regions, pooled over each scan's superpatches.

    All slices of three axes, of the pasted volume, for the region ``full`` of the raw output; see :class:`SliceLPIPS`.

    Args:
        regions: names of regions, see :mod:`maesil_monai.metrics.regions`.
        slices: what measures; several metrics may share it, and its kept features. None makes one.
        weights: the file of AlexNet's weights; None looks for it, see
            :func:`~maesil_monai.metrics.lpips_weights.find_lpips_weights`.
        download: False fetches nothing.
        optional: True leaves the reason in :attr:`not_measured`, and all values NaN, where the weights are not to be had or the
            superpatches are too small.

    Raises:
        LPIPSUnavailable: if the weights are not to be had, unless ``optional``.
        ValueError: for an unknown region; when called on superpatches with a side below 31, unless ``optional``.

    Example:
        >>> metric = PooledLPIPS(regions=("hidden_body",), weights="nowhere.pth", optional=True)
        >>> metric.not_measured is None
        False
    """

    quantity = "lpips"
    smallest_side = SMALLEST_SIDE

    def __init__(
        self,
        regions: Sequence[str] = ("hidden_body", "hidden"),
        slices: SliceLPIPS | None = None,
        weights: str | os.PathLike[str] | None = None,
        download: bool = True,
        optional: bool = False,
    ) -> None:
        super().__init__(regions, optional)
        self.slices = slices
        if slices is None:
            try:
                self.slices = SliceLPIPS(lpips_network(weights, download))
            except LPIPSUnavailable as error:
                self._cannot_measure(error)

    def _maps(self, volumes: Sequence[torch.Tensor], truth: torch.Tensor, wanted: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        if self.slices is None:
            raise RuntimeError(f"LPIPS is not measured: {self.not_measured}")
        return self.slices.maps(volumes, truth, wanted)


def _slices(volume: torch.Tensor, axis: int) -> torch.Tensor:
    """Views a volume (B, 1, D, H, W) as slices across an axis, (B, number of slices, rows, columns)."""
    return volume[:, 0].movedim(axis - 1, 1)


def _num_bytes(features: Features) -> int:
    return sum(level.numel() * level.element_size() for level in features)
