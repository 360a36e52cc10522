"""Which system does best, who loses to a method that learns nothing, and where MAESIL stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from maesil_monai.comparison.report.legend import BEST_BASELINE, BLIND_SPOT, WORSE
from maesil_monai.comparison.report.measured_cells import NO_ROW, NOT_MEASURED, value_cell
from maesil_monai.comparison.report.results import HEADLINE_REGION, Measured, Results
from maesil_monai.comparison.report.systems import MAESIL, METRICS, GroupName, Metric, System
from maesil_monai.comparison.report.wording import JUDGED, dataset_words, heading
from maesil_monai.reports.tables import Cell, Row, Table

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


def standing_table(results: Results) -> Table:
    """Sets MAESIL beside the first of the models that inpaint and the best baseline, a line for each quantity that is judged.

    MAESIL under other rules or settings is no rival of MAESIL; systems judged on superpatches of their own size have no place.
    PSNR stands there over all hidden voxels, too: who paints tissue everywhere gains inside the body, and pays for it in the air.
    """
    rivals = [system for system in results.comparable("inpainting") if system == MAESIL or system.base != MAESIL.model]
    rows = []
    for key, region in JUDGED:
        metric = METRICS[key]
        places = ranked(results, metric, rivals, region)
        place = next((f"{number} of {len(places)}" for number, (system, _) in enumerate(places, 1) if system == MAESIL), NO_ROW)
        others = [
            replace(score_cell(results, other[0], metric, region), words=other[0].label)
            if other
            else Cell(NOT_MEASURED if results.why_not(key, region) else NO_ROW)
            for other in (next(iter(places), None), best_of(results, metric, "baseline", region))
        ]
        constants = [score_cell(results, system, metric, region) for system in results.of_group("constant")]
        blind = [BLIND_SPOT] if any(BLIND_SPOT in cell.marks for cell in constants) else []
        name = Cell(heading(metric, region), marks=blind, number=False)
        rows.append(Row([name, score_cell(results, MAESIL, metric, region), Cell(place), *others]))
    head = ("headline", MAESIL.label, "its place", "first of the models that inpaint", "best baseline")
    without = {row["metric"] for row in results.content["rows"] if row["mean"] is None}
    reasons = {METRICS[key].label: results.why_not(key) for key in METRICS if key in without}
    notes = [f"{label} not measured where a cell says so: {reason}" for label, reason in reasons.items() if reason]
    caption = f"Where {MAESIL.label} stands, rule {results.rule}, {dataset_words(results, results.headline_dataset)}"
    return Table(caption, head, rows, notes)
