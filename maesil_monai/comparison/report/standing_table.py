"""Where MAESIL stands: who does best, who loses to a method that learns nothing."""

from __future__ import annotations

from dataclasses import replace

from maesil_monai.comparison.report.cells import NO_ROW, NOT_MEASURED, best_of, ranked, score_cell
from maesil_monai.comparison.report.legend import BLIND_SPOT
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.shown_metrics import JUDGED, METRICS
from maesil_monai.comparison.report.systems import MAESIL
from maesil_monai.reports.tables import Cell, Row, Table


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
        name = Cell(metric.heading(region), marks=blind, number=False)
        rows.append(Row([name, score_cell(results, MAESIL, metric, region), Cell(place), *others]))
    head = ("headline", MAESIL.label, "its place", "first of the models that inpaint", "best baseline")
    without = {row["metric"] for row in results.content["rows"] if row["mean"] is None}
    reasons = {METRICS[key].label: results.why_not(key) for key in METRICS if key in without}
    notes = [f"{label} not measured where a cell says so: {reason}" for label, reason in reasons.items() if reason]
    caption = f"Where {MAESIL.label} stands, rule {results.rule}, {results.dataset_words(results.headline_dataset)}"
    return Table(caption, head, rows, notes)
