"""Cells of measurements and of names."""

from __future__ import annotations

from dataclasses import replace

from maesil_monai.comparison.report.legend import OWN_SIZE
from maesil_monai.comparison.report.results import HEADLINE_REGION, Measured, Results
from maesil_monai.comparison.report.systems import Metric, System
from maesil_monai.comparison.report.wording import interval_text, noun
from maesil_monai.reports.tables import Cell

NO_ROW, NOT_MEASURED = "-", "not measured"


def value_cell(
    results: Results, metric: Metric, value: Measured | None, region: str = HEADLINE_REGION, compared: bool = False
) -> Cell:
    """Makes the cell of a measurement; where there is no number it says which kind of nothing it is.

    Args:
        results: for the reason.
        metric: what is shown.
        value: the measurement, if there is a row.
        region: for the reason.
        compared: shows the difference to MAESIL.
    """
    if value is None:
        return Cell(NO_ROW)
    if value.mean is None:
        return Cell(_nothing(results, metric, value, region))
    cell = Cell(metric.text(value.mean), interval_text(metric, value) or ("n = 1" if value.num_patients == 1 else ""))
    if value.difference is None or not compared:
        return cell
    difference = f"{metric.text(value.difference, True)} {interval_text(metric, value, difference=True)}".strip()
    return replace(cell, difference=difference, sign=value.sign * (1 if metric.higher_better else -1))


def name_cell(results: Results, system: System) -> Cell:
    """Makes the cell that starts a line; a system judged on superpatches of its own size is marked."""
    return Cell(system.label, marks=() if results.shares_superpatches(system) else (OWN_SIZE,), number=False)


def _nothing(results: Results, metric: Metric, value: Measured, region: str) -> str:
    """Names the reason for a mean that is null; a metric that no system has a value of was not measured at all."""
    count = value.num_undefined
    if results.why_not(metric.key, region) and not (count and results.is_measured(metric.key)):
        return NOT_MEASURED
    return f"not finite ({count} {noun(count, 'patient')})" if count else "not defined"
