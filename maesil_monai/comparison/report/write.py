"""Writes the three files of a report from what the comparison left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from maesil_monai.comparison.report.charts import blockiness, differences, error_by_distance, training_curves
from maesil_monai.comparison.report.error_by_plane import planes_table
from maesil_monai.comparison.report.figure3 import figure_3
from maesil_monai.comparison.report.how_it_was_made import commands, how, settings_tables, tiles
from maesil_monai.comparison.report.legend import LEGEND
from maesil_monai.comparison.report.read_cases import read_cases
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.standing_table import standing_table
from maesil_monai.comparison.report.tables2_3 import matrix, table2_ours, table2_paper, table3
from maesil_monai.reports.case import Case
from maesil_monai.reports.pages import page
from maesil_monai.reports.tables import Table, markdown_text
from maesil_monai.reports.viewer_data import MAX_CHARACTERS, viewer_data
from maesil_monai.whole_files import write_whole

RESULTS, TABLE_2, TABLE_3, REPORT = "results.json", "table2.md", "table3.md", "report.html"


def write_report(folder: str | os.PathLike[str]) -> list[Path]:
    """Writes ``table2.md``, ``table3.md`` and ``report.html``, each whole or not at all.

    Args:
        folder: of a comparison; holds ``results.json``, and ``figures`` if there are to be pictures.

    Returns:
        The three files.

    Raises:
        FileNotFoundError: if there is no ``results.json``.
        ValueError: if it, or a superpatch in ``figures``, is not what the comparison writes.
    """
    folder = Path(folder)
    results = Results.read(folder / RESULTS)
    low, high = map(float, results.settings.get("window_hu") or (-1000.0, 1000.0))
    cases = read_cases(folder / "figures", results.systems, (low, high))
    return [
        write_whole(folder / TABLE_2, _table2(results)),
        write_whole(folder / TABLE_3, _document(_chapters([table3(results)], level="#"))),
        write_whole(folder / REPORT, _page(results, cases, (low, high))),
    ]


def _page(results: Results, cases: Sequence[Case], window_hu: tuple[float, float]) -> str:
    script = files("maesil_monai.reports").joinpath("viewer.js").read_text(encoding="utf-8") if cases else ""
    return page(
        "comparison.html.j2",
        script,
        how=how(results),
        numbers=tiles(results),
        rule=results.rule,
        standing=standing_table(results),
        legend=LEGEND,
        ours=[table2_ours(results, dataset) for dataset in results.datasets],
        differences=differences(results),
        matrix=matrix(results),
        papers=[table2_paper(results, dataset) for dataset in results.datasets],
        table3=table3(results),
        training_curves=training_curves(results),
        error_by_distance=error_by_distance(results),
        planes=planes_table(results),
        blockiness=blockiness(results),
        cases=figure_3(cases, window_hu),
        viewer_data=viewer_data(cases, window_hu, MAX_CHARACTERS) if cases else "",
        commands=commands(results),
        settings=settings_tables(results),
    )


def _table2(results: Results) -> str:
    ours = [table2_ours(results, dataset) for dataset in results.datasets]
    papers = [table2_paper(results, dataset) for dataset in results.datasets]
    standing, *others = _chapters([standing_table(results), *ours, matrix(results), *papers])
    legend = "\n".join(f"- `{mark.letter}`: {markdown_text(mark.words)}" for mark in LEGEND)
    made = "\n".join(["```", *commands(results), "```"]) if commands(results) else ""
    return _document(["# MAESIL compared", markdown_text(how(results)), standing, legend, made, *others])


def _chapters(tables: Sequence[Table], level: str = "##") -> list[str]:
    return [f"{level} {markdown_text(table.caption)}\n\n{table.markdown()}" for table in tables if table]


def _document(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
