"""Metrics with a value at every voxel, averaged over regions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from maesil_monai.geometry import Triple
from maesil_monai.metrics.pooled_over_scans import PooledMetric, sum_region, sum_samples
from maesil_monai.metrics.regions import Label, checked_regions, complete_volume, region_voxels

RAW = "full"  # the one region that is judged on the raw output


class PooledMap(PooledMetric):
    """The mean of a map over regions: of the pasted volume, for the region ``full`` of the raw output.

    A subclass gives :attr:`quantity` and :meth:`_maps`.

    Args:
        regions: names of regions, see :mod:`maesil_monai.metrics.regions`.
        optional: as in :class:`PooledMetric`.

    Raises:
        ValueError: for an unknown region.
    """

    quantity: ClassVar[str]

    def __init__(self, regions: Sequence[str] = ("hidden_body", "hidden"), optional: bool = False) -> None:
        super().__init__(optional)
        self.regions = checked_regions(regions)

    @abstractmethod
    def _maps(self, volumes: Sequence[torch.Tensor], truth: torch.Tensor, wanted: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Gives the map of each volume, (B, 1, D, H, W) like the truth; only the voxels in ``wanted`` are looked at."""

    @property
    def names(self) -> tuple[str, ...]:
        """``QUANTITY_REGION`` of every region."""
        return tuple(f"{self.quantity}_{region}" for region in self.regions)

    @property
    def num_sums(self) -> int:
        """The sum of the map and the number of voxels, for every region."""
        return 2 * len(self.regions)

    def _sums(self, prediction: torch.Tensor, label: Label, patch_size: Triple) -> list[torch.Tensor]:
        regions = {name: region_voxels(name, label, patch_size) for name in self.regions}
        groups = [[n for n in regions if n != RAW], [n for n in regions if n == RAW]]
        groups = [group for group in groups if group]
        volumes = [complete_volume(group[0], prediction, label, patch_size) for group in groups]
        wanted = [torch.stack([regions[name] for name in group]).any(dim=0) for group in groups]
        maps = self._maps(volumes, label["image"], wanted)
        found = {name: values for group, values in zip(groups, maps, strict=True) for name in group}
        return [part for name in regions for part in (sum_region(found[name], regions[name]), sum_samples(regions[name]))]

    def _values(self, totals: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        pairs = totals.unflatten(0, (-1, 2))
        return {name: (total / count, count) for name, (total, count) in zip(self.names, pairs, strict=True)}
