"""How measurements are shown: what a metric is called, its unit and decimals, its intervals, and what a difference says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

HEADLINE_REGION, ALL_HIDDEN = "hidden_body", "hidden"


class Measured(NamedTuple):
    """One row of ``results.json``: a mean with its 95 % interval, and its paired difference to MAESIL.

    Args:
        mean, low, high: None where not measured, not defined, or (interval) where there is one patient.
        num_patients: whose values were averaged.
        seeds: of the trainings.
        difference, difference_low, difference_high: this system minus MAESIL; None for MAESIL itself and for
            other superpatches.
        num_undefined: patients whose value is not finite, because the prediction is not.
    """

    mean: float | None
    low: float | None
    high: float | None
    num_patients: int
    seeds: tuple[int, ...] = ()
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    num_undefined: int = 0


@dataclass(frozen=True)
class Metric:
    """How a metric is shown: its key in ``results.json``, heading, unit, decimals, and whether more is better."""

    key: str
    label: str
    unit: str
    decimals: int
    higher_better: bool

    def words(self, region: str) -> str:
        """Names the metric, with its region if that is not the headline's."""
        return f"{self.label} of all hidden voxels" if region == ALL_HIDDEN else self.label

    def heading(self, region: str = HEADLINE_REGION) -> str:
        """Heads a column or a line: the quantity with its unit."""
        return self.words(region) + (f" ({self.unit})" if self.unit else "")

    def text(self, value: float, sign: bool = False) -> str:
        """Formats a value.

        Example:
            >>> METRICS["psnr"].text(-0.004, sign=True), METRICS["mae_hu"].text(12.34)
            ('+0.00', '12.3')
        """
        value = round(value, self.decimals) + 0.0  # no minus zero
        return f"{value:+.{self.decimals}f}" if sign else f"{value:.{self.decimals}f}"

    def interval(self, low: float | None, high: float | None, sign: bool = False) -> str:
        """Formats ``[low, high]``; empty if it is not defined."""
        return "" if low is None or high is None else f"[{self.text(low, sign)}, {self.text(high, sign)}]"

    def difference(self, value: Measured) -> str:
        """Formats a difference to MAESIL with its interval; empty if there is none."""
        if value.difference is None:
            return ""
        interval = self.interval(value.difference_low, value.difference_high, sign=True)
        return f"{self.text(value.difference, sign=True)} {interval}".strip()

    def verdict(self, value: Measured) -> int:
        """1 or -1 where the interval of the difference excludes 0 to the better or to the worse, else 0."""
        if value.difference_low is None or value.difference_high is None:
            return 0
        return (int(value.difference_low > 0) - int(value.difference_high < 0)) * (1 if self.higher_better else -1)

    def better(self, value: float, other: float) -> bool:
        """Tells whether ``value`` beats ``other``."""
        return value > other if self.higher_better else value < other


METRICS = {
    metric.key: metric
    for metric in (
        Metric("psnr", "PSNR", "dB", 2, True),
        Metric("ssim", "SSIM", "", 3, True),
        Metric("lpips", "LPIPS", "", 3, False),
        Metric("mae_hu", "MAE", "HU", 1, False),
        Metric("mae_soft_hu", "soft-tissue MAE", "HU", 1, False),
    )
}
RANKED = ("psnr", "ssim", "lpips")
JUDGED = (*((key, HEADLINE_REGION) for key in RANKED), ("psnr", ALL_HIDDEN))
