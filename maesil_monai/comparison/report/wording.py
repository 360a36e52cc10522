"""What is judged, and how it and its numbers are called."""

from __future__ import annotations

from maesil_monai.comparison.report.results import HEADLINE_REGION, UNIFIED, Measured, Results
from maesil_monai.comparison.report.systems import Metric

RANKED = ("psnr", "ssim", "lpips")
ALL_HIDDEN = "hidden"
JUDGED = (*((key, HEADLINE_REGION) for key in RANKED), ("psnr", ALL_HIDDEN))


def quantity_words(metric: Metric, region: str) -> str:
    """Names a metric, with its region if that is not the headline's."""
    return f"{metric.label} of all hidden voxels" if region == ALL_HIDDEN else metric.label


def heading(metric: Metric, region: str = HEADLINE_REGION) -> str:
    """Heads a column or a line: the quantity with its unit."""
    return quantity_words(metric, region) + (f" ({metric.unit})" if metric.unit else "")


def dataset_words(results: Results, dataset: str) -> str:
    """Names a collection with its number of patients."""
    count = results.num_patients(dataset)
    patients = "n = 1: one patient, no interval" if count == 1 else f"{count} patients"
    return f"mean over collections ({patients})" if dataset == UNIFIED else f"{dataset} ({patients})"


def interval_text(metric: Metric, value: Measured, difference: bool = False) -> str:
    """Formats ``[low, high]`` of a mean or of a difference; empty if it is not defined."""
    low, high = (value.difference_low, value.difference_high) if difference else (value.low, value.high)
    return "" if low is None or high is None else f"[{metric.text(low, difference)}, {metric.text(high, difference)}]"


def noun(count: int, one: str, many: str = "") -> str:
    """Gives the singular for 1, else the plural; without ``many`` an s is added.

    Example:
        >>> noun(1, "run"), noun(0, "run"), noun(2, "baseline that learns nothing", "baselines that learn nothing")
        ('run', 'runs', 'baselines that learn nothing')
    """
    return one if count == 1 else many or f"{one}s"
