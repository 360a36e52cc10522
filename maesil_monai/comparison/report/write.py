"""Writes the three files of a report from what the comparison left."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from maesil_monai.comparison.report.cases import read_cases
from maesil_monai.comparison.report.page import TITLE, page
from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.settings import commands, how
from maesil_monai.comparison.report.tables2_3 import matrix, table2_ours, table2_paper, table3
from maesil_monai.comparison.report.verdict import verdict
from maesil_monai.reports.tables import Table, markdown_text
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
    window_hu = _window(results)
    cases = read_cases(folder / "figures", results.systems, window_hu)
    rules = matrix(results)
    ours = [table2_ours(results, dataset) for dataset in results.datasets]
    papers = [table2_paper(results, dataset) for dataset in results.datasets]
    made = "\n".join(["```", *commands(results), "```"]) if commands(results) else ""
    sentences = "\n".join(f"- {markdown_text(sentence)}" for sentence in verdict(results))
    head = [f"# {TITLE}", markdown_text(how(results)), sentences, made]
    two = [*head, *_chapters([*ours, *([rules] if rules else []), *papers])]
    return [
        write_whole(folder / TABLE_2, _document(two)),
        write_whole(folder / TABLE_3, _document(_chapters([table3(results)], level="#"))),
        write_whole(folder / REPORT, page(results, cases, window_hu)),
    ]


def _chapters(tables: Sequence[Table], level: str = "##") -> list[str]:
    return [f"{level} {markdown_text(table.caption)}\n\n{table.markdown()}" for table in tables]


def _document(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _window(results: Results) -> tuple[float, float]:
    low, high = results.settings.get("window_hu") or (-1000.0, 1000.0)
    return float(low), float(high)
