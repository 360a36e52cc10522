"""Cells of measurements and of names, and the notes that explain what stands in them."""

from __future__ import annotations

from collections.abc import Sequence

from maesil_monai.comparison.report.results import HEADLINE_REGION, Measured, Results
from maesil_monai.comparison.report.systems import Metric, System
from maesil_monai.comparison.report.wording import interval_text, noun
from maesil_monai.reports.tables import Cell, Row

NO_ROW, NOT_MEASURED = "-", "not measured"
APART_MARK = "*"
APART_NOTE = f"{APART_MARK} judged on superpatches of its own size: not comparable with the others line by line."


def value_cell(
    results: Results,
    metric: Metric,
    value: Measured | None,
    region: str = HEADLINE_REGION,
    best: bool = False,
    worse: bool = False,
    compared: bool = True,
) -> Cell:
    """Makes the cell of a measurement; where there is no number it says which kind of nothing it is.

    Args:
        results: for the reason.
        metric: what is shown.
        value: the measurement, if there is a row.
        region: for the reason.
        best, worse: how it is marked.
        compared: shows the difference to MAESIL.
    """
    if value is None:
        return Cell(NO_ROW)
    if value.mean is None:
        return Cell(_nothing(results, metric, value, region))
    difference = "" if value.difference is None or not compared else metric.text(value.difference, True)
    between = interval_text(metric, value, difference=True) if difference else ""
    sign = value.sign * (1 if metric.higher_better else -1)
    interval = interval_text(metric, value) or ("n = 1" if value.num_patients == 1 else "")
    return Cell(
        metric.text(value.mean), interval, difference=f"{difference} {between}".strip(), sign=sign, best=best, worse=worse
    )


def name_cell(results: Results, system: System) -> Cell:
    """Makes the cell that starts a line; a system judged on superpatches of its own size is marked."""
    return Cell(system.label if results.shares_superpatches(system) else f"{system.label} {APART_MARK}", number=False)


def apart_notes(results: Results, systems: Sequence[System]) -> list[str]:
    """Explains the mark of :func:`name_cell` if one of a table's systems bears it."""
    return [] if all(map(results.shares_superpatches, systems)) else [APART_NOTE]


def reasons(
    results: Results, metrics: Sequence[Metric], rows: Sequence[Row], first: int, regions: Sequence[str] = (HEADLINE_REGION,)
) -> list[str]:
    """Says for each metric of a table why cells of it were not measured, and what an empty cell means.

    Args:
        results: for the reasons.
        metrics: of the table.
        rows: of the table; a metric without a cell that reads "not measured" gets no reason.
        first: the column of the first metric; the others follow.
        regions: of the table.
    """
    notes = []
    for place, metric in enumerate(metrics, first):
        texts = {row.cells[place].text for row in rows}
        if NOT_MEASURED in texts:
            where = " where a cell says so" if texts - {NOT_MEASURED, NO_ROW} else ""
            found = dict.fromkeys(filter(None, (results.why_not(metric.key, region) for region in regions)))
            notes.append(f"{metric.label} not measured{where}: {'; '.join(found)}")
    return [
        *notes,
        "A dash: no part of this comparison. n = 1: one patient, no interval.",
        f"Mask rule of the evaluation: {results.rule}.",
    ]


def _nothing(results: Results, metric: Metric, value: Measured, region: str) -> str:
    """Names the reason for a mean that is null; a metric that no system has a value of was not measured at all."""
    count = value.num_undefined
    if results.why_not(metric.key, region) and not (count and results.is_measured(metric.key)):
        return NOT_MEASURED
    return f"not finite ({count} {noun(count, 'patient')})" if count else "not defined"
