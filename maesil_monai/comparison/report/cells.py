"""Cells of measurements and of names, and who does best: what the tables of scores are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from maesil_monai.comparison.report.legend import BEST_BASELINE, BLIND_SPOT, OWN_SIZE, WORSE
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.shown_metrics import HEADLINE_REGION, Measured, Metric
from maesil_monai.comparison.report.systems import GroupName, System
from maesil_monai.reports.tables import Cell

NO_ROW, NOT_MEASURED = "-", "not measured"
Place = tuple[System, Measured]


def ranked(
    results: Results,
    metric: Metric,
    systems: Iterable[System],
    region: str = HEADLINE_REGION,
    dataset: str | None = None,
    rule: str | None = None,
) -> list[Place]:
    """Sorts those systems that have a value in a metric, the best first; equal ones keep their order."""
    found = [(system, results.find(system, metric.key, region, dataset, rule)) for system in systems]
    places = [(system, value) for system, value in found if value is not None and value.mean is not None]
    return sorted(places, key=lambda place: (place[1].mean or 0.0) * (-1 if metric.higher_better else 1))


def best_of(
    results: Results, metric: Metric, group: GroupName, region: str = HEADLINE_REGION, dataset: str | None = None
) -> Place | None:
    """Gives the system of a group that does best, None if none was measured on the headline's superpatches."""
    return next(iter(ranked(results, metric, results.comparable(group), region, dataset)), None)


def value_cell(
    results: Results, metric: Metric, value: Measured | None, region: str = HEADLINE_REGION, compared: bool = False
) -> Cell:
    """Makes the cell of a measurement, with its difference to MAESIL if it is compared.

    Where there is no number the cell says which kind of nothing it is.
    """
    if value is None:
        return Cell(NO_ROW)
    if value.mean is None:
        return Cell(_nothing(results, metric, value, region))
    interval = metric.interval(value.low, value.high) or ("n = 1" if value.num_patients == 1 else "")
    cell = Cell(metric.text(value.mean), interval)
    return replace(cell, difference=metric.difference(value), sign=metric.verdict(value)) if compared else cell


def name_cell(results: Results, system: System) -> Cell:
    """Makes the cell that starts a line; a system judged on superpatches of its own size is marked."""
    return Cell(system.label, marks=() if results.shares_superpatches(system) else (OWN_SIZE,), number=False)


def score_cell(
    results: Results, system: System, metric: Metric, region: str = HEADLINE_REGION, dataset: str | None = None
) -> Cell:
    """Makes the cell of a system with its marks: best, best baseline, worse than it, blind spot of the region."""
    value, alike = results.find(system, metric.key, region, dataset), results.shares_superpatches(system)
    cell = value_cell(results, metric, value, region, compared=alike and system.group in ("inpainting", "baseline"))
    if value is None or value.mean is None or not alike:
        return cell
    model = best_of(results, metric, "inpainting", region, dataset)
    baseline = best_of(results, metric, "baseline", region, dataset)
    beaten = [place is not None and metric.better(place[1].mean or 0.0, value.mean) for place in (model, baseline)]
    marks = {
        WORSE: system.group in ("inpainting", "whole") and beaten[1],
        BEST_BASELINE: baseline is not None and baseline[0] == system,
        BLIND_SPOT: system.group == "constant"
        and region == HEADLINE_REGION
        and model is not None
        and metric.better(value.mean, model[1].mean or 0.0),
    }
    is_best = system.group in ("inpainting", "baseline") and not any(beaten)
    return replace(cell, best=is_best, marks=[mark for mark, is_so in marks.items() if is_so])


def _nothing(results: Results, metric: Metric, value: Measured, region: str) -> str:
    """Names the reason for a mean that is null; a metric that no system has a value of was not measured at all."""
    count = value.num_undefined
    if results.why_not(metric.key, region) and not (count and results.is_measured(metric.key)):
        return NOT_MEASURED
    return f"not finite ({count} patient{'s' if count > 1 else ''})" if count else "not defined"
