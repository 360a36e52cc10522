"""Which system does best in a metric, and who loses to the best baseline."""

from __future__ import annotations

from maesil_monai.comparison.report.results import HEADLINE_REGION, Measured, Results
from maesil_monai.comparison.report.systems import METRICS, Metric, System


def best_baseline(
    results: Results, metric: Metric, dataset: str | None = None, region: str = HEADLINE_REGION
) -> tuple[System, float] | None:
    """Gives the baseline that does best in a metric (headline's rule), None if none was measured."""
    return best_of(results, metric, ("baseline",), dataset, region)


def best_of(
    results: Results, metric: Metric, groups: tuple[str, ...], dataset: str | None = None, region: str = HEADLINE_REGION
) -> tuple[System, float] | None:
    """Gives the system of some groups that does best in a metric (headline's rule), None if none was measured."""
    best: tuple[System, float] | None = None
    for system, found in measured(results, metric, results.comparable(*groups), dataset, region):
        if found.mean is not None and (best is None or metric.better(found.mean, best[1])):
            best = system, found.mean
    return best


def lost_metrics(results: Results, system: System, dataset: str | None = None, region: str = HEADLINE_REGION) -> list[Metric]:
    """Gives the metrics in which a learned model is worse than the best baseline; none for other groups or superpatches."""
    lost: list[Metric] = []
    if system.group not in ("inpainting", "whole") or not results.shares_superpatches(system):
        return lost
    for metric in METRICS.values():
        best = best_baseline(results, metric, dataset, region)
        found = results.find(system, metric.key, region, dataset)
        known = best is not None and found is not None and found.mean is not None
        if known and metric.better(best[1], found.mean):  # type: ignore[index, union-attr, arg-type]
            lost.append(metric)
    return lost


def measured(
    results: Results, metric: Metric, systems: list[System], dataset: str | None = None, region: str = HEADLINE_REGION
) -> list[tuple[System, Measured]]:
    """Gives those of some systems that have a value in a metric, with it."""
    found = [(system, results.find(system, metric.key, region, dataset)) for system in systems]
    return [(system, value) for system, value in found if value is not None and value.mean is not None]
