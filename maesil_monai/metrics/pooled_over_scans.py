"""What the metrics of reconstructions have in common: sums over voxels, pooled over each scan, averaged over scans.

A metric turns every superpatch into a row of sums (of errors, of voxels, ...). The rows of a scan are added up, whatever
the batches and processes they came in; one value per scan is computed from the totals; the mean over scans is the result.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from monai.metrics import Cumulative

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple, grid_of
from maesil_monai.metrics.regions import Label

logger = logging.getLogger(__name__)

NO_SCAN = -1.0  # marks the row a process without superpatches hands to the gathering


class PooledMetric(Cumulative, ABC):
    """A metric of reconstructions, pooled over each scan's superpatches.

    Call it with a batch; :meth:`aggregate` gives the means over scans, :meth:`per_scan` the values they are the means of.
    With several processes both gather the rows of all of them and must be called by all; the loaders of the processes must
    not repeat superpatches (a distributed sampler with ``even_divisible=False``).

    A scan in which a value has no voxel to be made from is left out of that value's mean; if that is so in every scan, the value
    is NaN ("not defined"). A NaN prediction where a value looks makes that value NaN.

    A subclass gives :attr:`names`, :attr:`num_sums`, :meth:`_sums` and :meth:`_values`.

    Args:
        optional: what cannot be measured at all (here: too small volumes) is told once, as a warning, and left in
            :attr:`not_measured`; all values are NaN. False raises the error.
    """

    smallest_side = 1  # voxels the volumes must have on each axis

    def __init__(self, optional: bool = False) -> None:
        super().__init__()
        self.optional = optional
        self.not_measured: str | None = None  # why every value is NaN, if something is missing to measure it

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The keys of :meth:`aggregate`."""

    @property
    @abstractmethod
    def num_sums(self) -> int:
        """How many sums a row holds behind the number of its scan."""

    @abstractmethod
    def _sums(self, prediction: torch.Tensor, label: Label, patch_size: Triple) -> Sequence[torch.Tensor]:
        """Sums over each sample's voxels: :attr:`num_sums` float64 tensors (B,), from float32 volumes (B, 1, D, H, W)."""

    @abstractmethod
    def _values(self, totals: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Turns totals, float64 (num_sums, S), into ``{name: (values (S,), how many voxels they are from (S,))}``."""

    def __call__(self, prediction: torch.Tensor, label: Label) -> torch.Tensor:
        """Adds a batch of reconstructions.

        Args:
            prediction: shape (B, 1, D, H, W), on the window's [0, 1]; predictions at target voxels or complete volumes.
            label: ``image`` (B, 1, D, H, W) in [0, 1], ``hidden`` and ``target`` bool (B, gi, gj, gk), ``body`` bool
                (B, 1, D, H, W) (where the region needs it), ``scan`` int64 (B,), the number of the scan each superpatch is from.

        Returns:
            float64, shape (B, 1 + num_sums): the scan, then the sums.

        Raises:
            ValueError: if the shapes do not fit together, or a side is below :attr:`smallest_side` (unless ``optional``).
        """
        image, shape = label["image"].detach(), prediction.shape
        if shape != image.shape or len(shape) != 5 or len(label["scan"]) != len(prediction):
            raise ValueError(
                f"prediction {tuple(shape)}, image {tuple(image.shape)}, scan "
                f"{tuple(label['scan'].shape)}: expected two equal shapes (B, 1, D, H, W) and one scan number per sample."
            )
        patch_size = grid_of(shape[2:], label["hidden"].shape[1:], ("image", "token grid"))
        if min(shape[2:]) < self.smallest_side:
            self._cannot_measure(
                BadSetting(
                    f"{self.names[0]} needs volumes of {self.smallest_side} voxels or more on each axis: found "
                    f"{tuple(shape[2:])}. Measure it on larger superpatches, or leave it out."
                )
            )
        scan = label["scan"].to(image.device, torch.float64)
        if self.not_measured is None:
            sums = self._sums(prediction.detach().float(), {**label, "image": image.float()}, patch_size)
            rows = torch.stack([scan, *sums], dim=1)
        else:
            rows = torch.cat([scan[:, None], torch.full((len(scan), self.num_sums), math.nan).to(scan)], dim=1)
        self.extend(rows)
        return rows

    def _cannot_measure(self, error: Exception) -> None:
        """Raises the error, or, in an optional metric, keeps and tells it."""
        if not self.optional:
            raise error
        if self.not_measured is None:
            self.not_measured = str(error)
            logger.warning("%s is not measured: %s", self.names[0], error)

    def aggregate(self) -> dict[str, float]:
        """Averages over the scans: the mean of each of :meth:`per_scan`'s values over the scans that have its voxels."""
        means = {}
        for name, (values, counts) in self._gathered()[1].items():
            defined = values[counts != 0]  # a count that is NaN was not measured, and must show
            means[name] = float(defined.mean()) if len(defined) else math.nan
        return means

    def per_scan(self) -> dict[str, torch.Tensor]:
        """Gives each scan's own values.

        Returns:
            ``scan``: int64, shape (S,), ascending; and for every one of :attr:`names` float64, shape (S,), NaN where the
            scan has no voxel for it. All on the CPU.
        """
        scans, found = self._gathered()
        return {"scan": scans} | {name: values for name, (values, _) in found.items()}

    def voxels_per_scan(self) -> dict[str, torch.Tensor]:
        """Gives for every one of :attr:`names` from how many voxels (or faces) each scan's value is made.

        Returns:
            Float64, shape (S,), in the order of :meth:`per_scan`: 0 where the value is not defined, NaN where not measured.
        """
        return {name: counts for name, (_, counts) in self._gathered()[1].items()}

    def _gathered(self) -> tuple[torch.Tensor, dict[str, tuple[torch.Tensor, torch.Tensor]]]:
        """Gives the scans' numbers (S,) and their values, from the rows of all processes."""
        scans, totals = self._totals()
        return scans, self._values(totals)

    def _totals(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Gives the scans' numbers (S,) and the totals of their rows, float64 (num_sums, S)."""
        if self._buffers is None:  # gathering is collective: a process without a superpatch still has to take part
            self.extend(torch.full((1, 1 + self.num_sums), NO_SCAN, dtype=torch.float64))
        rows = self.get_buffer().cpu()
        rows = rows[rows[:, 0] != NO_SCAN]
        scans, place = torch.unique(rows[:, 0].long(), return_inverse=True)
        totals = torch.zeros(len(scans), self.num_sums, dtype=torch.float64).index_add_(0, place, rows[:, 1:])
        return scans, totals.T


def sum_samples(values: torch.Tensor) -> torch.Tensor:
    """Sums each sample of (B, 1, D, H, W), to float64 (B,): rows in the values' own precision, then the few rows in float64."""
    return values.sum(dim=-1).flatten(1).double().sum(dim=1)


def sum_region(values: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """Sums each sample's values inside a region of the same shape; what lies outside, even NaN, does not count."""
    return sum_samples(values.masked_fill(~region, 0.0))
