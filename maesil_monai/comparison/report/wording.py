"""How numbers stand in sentences: values with units and intervals, differences, counts."""

from __future__ import annotations

from maesil_monai.comparison.report.results import HEADLINE_REGION, Measured
from maesil_monai.comparison.report.systems import Metric

RANKED = ("psnr", "ssim", "lpips")
ALL_HIDDEN = "hidden"
JUDGED = (*((key, HEADLINE_REGION) for key in RANKED), ("psnr", ALL_HIDDEN))


def quantity_words(metric: Metric, region: str) -> str:
    """Names a metric, with its region if that is not the headline's."""
    return f"{metric.label} of all hidden voxels" if region == ALL_HIDDEN else metric.label


def interval_text(metric: Metric, value: Measured, difference: bool = False) -> str:
    """Formats ``[low, high]`` of a mean or of a difference; empty if it is not defined."""
    low, high = (value.difference_low, value.difference_high) if difference else (value.low, value.high)
    return "" if low is None or high is None else f"[{metric.text(low, difference)}, {metric.text(high, difference)}]"


def value_words(metric: Metric, value: Measured) -> str:
    """Formats a mean with its unit and interval."""
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{metric.text(value.mean or 0.0)}{unit} {interval_text(metric, value)}".rstrip()


def difference_words(metric: Metric, value: Measured) -> str:
    """Formats the difference to MAESIL with its unit and interval."""
    if value.difference is None:
        return "no paired difference"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{metric.text(value.difference, True)}{unit} {interval_text(metric, value, difference=True)}".rstrip()


def noun(count: int, one: str, many: str = "") -> str:
    """Gives the singular for 1, else the plural; without ``many`` an s is added.

    Example:
        >>> noun(1, "run"), noun(0, "run"), noun(2, "baseline that learns nothing", "baselines that learn nothing")
        ('run', 'runs', 'baselines that learn nothing')
    """
    return one if count == 1 else many or f"{one}s"
