"""The report as one page that needs nothing else: no network, no other file; scripts are needed by the viewer alone."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Sequence
from importlib.resources import files

from maesil_monai.comparison.report.charts import blockiness, differences, error_by_distance, training_curves
from maesil_monai.comparison.report.figure3 import PicturedCase, figure_3
from maesil_monai.comparison.report.planes import planes_table
from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.settings import commands, how, settings_tables, tiles
from maesil_monai.comparison.report.tables2_3 import matrix, table2_ours, table2_paper, table3
from maesil_monai.comparison.report.verdict import verdict
from maesil_monai.reports.case import Case
from maesil_monai.reports.chart_set import ChartSet
from maesil_monai.reports.report_style import STYLE
from maesil_monai.reports.tables import Table
from maesil_monai.reports.viewer_data import MAX_CHARACTERS, viewer_data

TITLE = "MAESIL compared"
_HINT = (
    "Move a slider, or click a picture (or tab to it) and turn the wheel or press the arrow keys. A click puts the cross-hairs "
    "there. The patient's right is on the left, front and head are up; pictures have the proportions of the body."
)
_CONVENTION = (
    "Axial, coronal and sagittal slices through the middle of the hidden body. The patient's right is on the left, front and "
    "head are up. Visible patches are copied from the original, so the difference there is 0 (black). The numbers in a card are "
    "those of this superpatch alone, over its hidden body."
)
_DISTANCE = "Mean absolute error in hidden body voxels by the distance of their patch to the nearest visible patch, under rule"
_BLOCKINESS = (
    "Gradient energy across patch borders over that inside patches. 1: no border stands out; above the scans' own value, "
    "a grid shows."
)
_VIEWER_FRAME = (
    '<div id="viewer"><p id="viewer-state" role="status">The viewer needs JavaScript and a browser of 2023 or later. '
    "The pictures above show the same superpatches without it.</p></div>"
)

Section = tuple[str, str, str]


def page(results: Results, cases: Sequence[Case], window_hu: tuple[float, float]) -> str:
    """Makes the page.

    Args:
        results: the numbers.
        cases: superpatches for pictures and viewer, or none.
        window_hu: the HU mapped to 0 and 1.

    Returns:
        HTML that loads nothing; its own policy forbids it, and allows one script by its hash.
    """
    resources = files("maesil_monai.reports")
    script = resources.joinpath("viewer.js").read_text(encoding="utf-8")
    style = STYLE + resources.joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    sections = [section for section in _sections(results, cases, window_hu) if section[2]]
    links = "".join(f'<a href="#{name}">{html.escape(title)}</a>' for name, title, _ in sections)
    numbers = "".join(
        f'<div class="tile"><b>{html.escape(number)}</b>{html.escape(words)}</div>' for number, words in tiles(results)
    )
    sentences = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in verdict(results))
    body = "\n".join(
        f'<section><h2 id="{name}">{html.escape(title)}</h2>{content}</section>' for name, title, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{style}</style></head>\n<body><main>\n<h1>{TITLE}</h1>"
        f'<p>{html.escape(how(results))}</p><ul class="verdict">{sentences}</ul><div class="tiles">{numbers}</div>'
        f'<nav aria-label="Contents">{links}</nav>\n{body}\n</main>\n'
        + (f"{viewer_data(cases, window_hu, MAX_CHARACTERS)}\n<script>{script}</script>\n" if cases else "")
        + "</body></html>\n"
    )


def _sections(results: Results, cases: Sequence[Case], window_hu: tuple[float, float]) -> list[Section]:
    rules = matrix(results)
    return [
        ("table2", "Table II, our protocol", _scores([table2_ours(results, dataset) for dataset in results.datasets])),
        ("differences", "Differences to MAESIL", _charts(differences(results), "rows")),
        ("matrix", "Training rule by evaluation rule", _scores([rules]) if rules else ""),
        (
            "table2-paper",
            "Table II, the paper's protocol",
            _scores([table2_paper(results, dataset) for dataset in results.datasets]),
        ),
        ("table3", "Table III", _scores([table3(results)])),
        ("curves", "Training curves", _charts(training_curves(results), "small")),
        ("distance", "Error by distance to what was seen", _distance(results)),
        ("blockiness", "Blockiness", _explained(_BLOCKINESS, _charts(blockiness(results), "rows"))),
        ("figure3", "Figure 3, every model", _explained(_CONVENTION, _figure_3(figure_3(cases, window_hu)))),
        ("viewer-section", "Viewer", f'<p class="viewer-hint">{html.escape(_HINT)}</p>{_VIEWER_FRAME}' if cases else ""),
        ("settings", "How this was made", _made(results)),
    ]


def _charts(shown: ChartSet, size: str) -> str:
    parts = [f"<p>{html.escape(note)}</p>" for note in shown.notes]
    entries = "".join(f'<span class="entry">{drawn}{html.escape(label)}</span>' for drawn, label in shown.legend)
    parts.append(f'<p class="legend">{entries}</p>' if entries else "")
    for heading, charts in shown.groups.items():
        parts.append(f"<h3>{html.escape(heading)}</h3>" if heading else "")
        figures = [f"<figure><figcaption>{html.escape(chart.caption)}</figcaption>{chart.svg}</figure>" for chart in charts]
        parts.append(f'<div class="charts {size}">{"".join(figures)}</div>')
    return "".join(parts) if shown else ""


def _figure_3(cases: Sequence[PicturedCase]) -> str:
    parts = []
    for number, case in enumerate(cases):
        parts.append(f"<details{'' if number else ' open'}><summary>{html.escape(case.summary)}</summary>")
        for window in case.windows:
            ramp, limit = ", ".join(window.ramp), f"{window.limit_hu:.0f} HU"
            parts.append(
                f'<h4>{html.escape(window.heading)}</h4><p class="scale"><span>-{limit}</span><span class="ramp" '
                f'style="background: linear-gradient(90deg, {ramp})"></span><span>+{limit}</span> reconstruction - original</p>'
                '<div class="cards">'
            )
            for card in window.cards:
                pictures = "".join(
                    f'<img src="{p.url}" alt="{html.escape(p.alt, quote=True)}" style="aspect-ratio: {p.aspect_ratio:.4g}">'
                    for pair in card.rows
                    for p in pair
                )
                head = "".join(f"<span>{name}</span>" for name in card.columns)
                parts.append(
                    f'<figure class="card"><figcaption><b>{html.escape(card.title)}</b><br>{html.escape(card.words)}</figcaption>'
                    f'<div class="pair head">{head}</div><div class="pair">{pictures}</div></figure>'
                )
            parts.append("</div>")
        parts.append("</details>")
    return "".join(parts)


def _scores(tables: Sequence[Table]) -> str:
    """Shows the first table, and the others (collections) on request."""
    first, *others = tables
    folded = "".join(f"<details><summary>{html.escape(t.caption)}</summary>{t.html()}</details>" for t in others)
    return f'<div class="scores">{first.html()}{folded}</div>'


def _distance(results: Results) -> str:
    planes = planes_table(results)
    chart = _charts(error_by_distance(results), "small")
    return _explained(f"{_DISTANCE} {results.rule}.", chart) + (_scores([planes]) if planes else "")


def _explained(words: str, content: str) -> str:
    return f"<p>{html.escape(words)}</p>{content}" if content else ""


def _made(results: Results) -> str:
    shown = commands(results)
    block = f"<pre>{html.escape(chr(10).join(shown))}</pre>" if shown else ""
    return f'<div class="settings">{block}{settings_tables(results)}</div>'
