"""PSNR and mean absolute error of reconstructions, pooled over each scan.

Squared and absolute errors are summed over all superpatches of a scan that were evaluated, then turned into one number per
scan, then averaged over scans. Decibels of superpatches are never averaged: a superpatch that is nearly all air would count
as much as one through the abdomen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import Triple
from maesil_monai.metrics.pooled_over_scans import PooledMetric, sum_samples
from maesil_monai.metrics.regions import Label, checked_regions, complete_volume, region_voxels

SOFT_TISSUE_HU = (-160.0, 240.0)


def psnr_db(mean_squared_error: torch.Tensor) -> torch.Tensor:
    """Turns mean squared errors of values in [0, 1] into decibels; no error gives ``inf``, NaN stays NaN."""
    return -10.0 * torch.log10(mean_squared_error)


def is_better(current: float, best: float) -> bool:
    """Compares two values of a metric of which more is better; NaN is never better, and anything is better than NaN.

    For ``metric_cmp_fn`` of MONAI's evaluators: with their default a first NaN would stay the best for ever.

    Example:
        >>> is_better(20.0, float("nan")), is_better(float("nan"), 20.0), is_better(21.0, 20.0)
        (True, False, True)
    """
    return not math.isnan(current) and (math.isnan(best) or current > best)


def is_smaller(current: float, best: float) -> bool:
    """:func:`is_better` for a metric of which less is better.

    Example:
        >>> is_smaller(0.1, float("nan")), is_smaller(float("nan"), 0.1), is_smaller(0.1, 0.2)
        (True, False, True)
    """
    return not math.isnan(current) and (math.isnan(best) or current < best)


def checked_window(window_hu: Sequence[float]) -> tuple[float, float]:
    """Gives the HU that are mapped to 0 and to 1 as two numbers.

    Raises:
        ValueError: unless these are two, the lower one first.
    """
    if len(window_hu) != 2 or not window_hu[0] < window_hu[1]:
        raise BadSetting(f"window_hu={tuple(window_hu)}: expected (lower, upper) with lower < upper.")
    return float(window_hu[0]), float(window_hu[1])


class PooledPSNR(PooledMetric):
    """PSNR in dB and mean absolute error in HU for several regions, pooled over each scan's superpatches.

    The prediction is judged as it is given, but for ``pasted``. Identical volumes give ``inf`` dB. For what holds of all these
    metrics see :class:`~maesil_monai.metrics.PooledMetric`.

    Args:
        regions: names of regions, see :mod:`maesil_monai.metrics.regions`.
        window_hu: the HU mapped to 0 and to 1; turns absolute errors into HU.
        soft_tissue: adds ``mae_soft_hu_REGION``, the mean absolute error of the voxels whose truth lies within -160..240 HU.

    Raises:
        ValueError: for an unknown region, an empty window, or, with ``soft_tissue``, a window that does not reach beyond that
            range at both ends: values clipped to the window would be counted as soft tissue.

    Example:
        >>> metric = PooledPSNR(regions=("hidden",), window_hu=(-1000.0, 1000.0))
        >>> everywhere = torch.ones(1, 2, 2, 2, dtype=torch.bool)
        >>> label = {"image": torch.zeros(1, 1, 8, 8, 8), "hidden": everywhere, "target": everywhere, "scan": torch.tensor([0])}
        >>> _ = metric(torch.full((1, 1, 8, 8, 8), 0.1), label)
        >>> {name: round(value, 3) for name, value in metric.aggregate().items()}
        {'psnr_hidden': 20.0, 'mae_hu_hidden': 200.0}
    """

    def __init__(
        self,
        regions: Sequence[str] = ("hidden_body", "hidden"),
        window_hu: Sequence[float] = (-1000.0, 1000.0),
        soft_tissue: bool = False,
    ) -> None:
        super().__init__()
        self.regions = checked_regions(regions)
        self.window_hu = checked_window(window_hu)
        self.soft_tissue = soft_tissue
        lower, upper = SOFT_TISSUE_HU
        if soft_tissue and not self.window_hu[0] < lower < upper < self.window_hu[1]:
            raise BadSetting(f"soft_tissue, window_hu={self.window_hu}: expected a window that reaches beyond {SOFT_TISSUE_HU}.")

    @property
    def names(self) -> tuple[str, ...]:
        """``psnr_REGION`` and ``mae_hu_REGION``, with ``soft_tissue`` also ``mae_soft_hu_REGION``, of every region."""
        quantities = ("psnr", "mae_hu", *(("mae_soft_hu",) if self.soft_tissue else ()))
        return tuple(f"{quantity}_{region}" for region in self.regions for quantity in quantities)

    @property
    def num_sums(self) -> int:
        """Per region: squared errors, absolute errors, voxels; for soft tissue absolute errors and voxels."""
        return len(self.regions) * (5 if self.soft_tissue else 3)

    def _sums(self, prediction: torch.Tensor, label: Label, patch_size: Triple) -> list[torch.Tensor]:
        sums = []
        image = label["image"]
        soft = self._soft_tissue(image) if self.soft_tissue else None
        for name in self.regions:
            region = region_voxels(name, label, patch_size)
            judged = complete_volume(name, prediction, label, patch_size) if name == "pasted" else prediction
            inside = (judged - image).masked_fill_(~region, 0.0)  # not a product: NaN outside the region must not come in
            sums += [sum_samples(inside.square()), sum_samples(inside.abs()), sum_samples(region)]
            if soft is not None:
                sums += [sum_samples(inside.abs().masked_fill_(~soft, 0.0)), sum_samples(region & soft)]
        return sums

    def _soft_tissue(self, image: torch.Tensor) -> torch.Tensor:
        """Marks the voxels whose true value is that of soft tissue."""
        low, high = self.window_hu
        lower, upper = ((hu - low) / (high - low) for hu in SOFT_TISSUE_HU)
        return (image >= lower) & (image <= upper)

    def _values(self, totals: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        found = {}
        scale = self.window_hu[1] - self.window_hu[0]
        for region, sums in zip(self.regions, totals.unflatten(0, (len(self.regions), -1)), strict=True):
            squared, absolute, count = sums[:3]
            found[f"psnr_{region}"] = (psnr_db(squared / count), count)
            found[f"mae_hu_{region}"] = (absolute / count * scale, count)
            if self.soft_tissue:
                found[f"mae_soft_hu_{region}"] = (sums[3] / sums[4] * scale, sums[4])
        return found
