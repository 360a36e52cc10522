"""The forms of charts in pages: small line panels that share their axes, rows of intervals, rows of bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from maesil_monai.reports.chart_output import as_svg, set_tip
from maesil_monai.reports.chart_set import Chart
from maesil_monai.reports.chart_style import BARS, COLOURS, FONT_SIZE, LINES, MARK, blank_chart, label_axes

Points = Sequence[tuple[float, float]]
PANEL_SIZE, PLOT_WIDTH = (280.0, 190.0), 250.0
ROW_HEIGHT, BAR_HEIGHT, BAR_GAP = 24.0, 11.0, 12.0
DIGIT_WIDTH = 7.0
_STEPS = [1, 2, 5, 10]


@dataclass(frozen=True)
class Panel:
    """One model's lines.

    Args:
        title: above the panel.
        lines: ``(kind, points)``, the kind from :data:`~maesil_monai.reports.chart_style.LINES`, drawn in order; the end of the
            last, the model's own, is labelled. A line breaks where a value is not finite.
        levels: ``{kind: value}``, horizontal lines.
        description: for those who do not see it.
    """

    title: str
    lines: Sequence[tuple[str, Points]]
    levels: Mapping[str, float]
    description: str


def panels(shown: Sequence[Panel], x_label: str, y_label: str, decimals: int, whole_x: bool = False) -> list[Chart]:
    """Draws panels with equal axes, so that they can be compared by eye.

    Args:
        shown: what to draw.
        x_label, y_label: with units.
        decimals: of the label at a line's end.
        whole_x: ticks of x are whole numbers, else thousands are written short.
    """
    every = [point for panel in shown for _, points in panel.lines for point in points if math.isfinite(point[1])]
    x_range = _around([x for x, _ in every], 0.02)
    y_range = _around([y for _, y in every] + [level for panel in shown for level in panel.levels.values()], 0.06)
    charts = []
    for panel in shown:
        figure, ax = blank_chart(*PANEL_SIZE, margins=(40, 40, 18, 37))
        for kind, level in panel.levels.items():
            ax.plot(x_range, (level, level), **LINES[kind])
        for kind, points in panel.lines:
            ax.plot([x for x, _ in points], [y for _, y in points], **LINES[kind])
        ends = [point for point in (panel.lines[-1][1] if panel.lines else ()) if math.isfinite(point[1])]
        if ends:
            _write(ax, ends[-1], f"{ends[-1][1]:.{decimals}f}")
        ax.set_xlim(*x_range)
        ax.set_ylim(*y_range)
        ax.xaxis.set_major_locator(MaxNLocator(6 if whole_x else 4, steps=_STEPS, integer=whole_x))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        if not whole_x:
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        label_axes(ax, x_label, y_label)
        charts.append(Chart(panel.title, as_svg(figure, panel.title, panel.description)))
    return charts


@dataclass(frozen=True)
class IntervalRow:
    """A difference with its interval: told to be ``good`` or ``bad``, or ``open``; ``words`` say what it is in numbers."""

    name: str
    value: float
    low: float
    high: float
    verdict: Literal["good", "bad", "open"]
    words: str


def intervals(title: str, caption: str, rows: Sequence[IntervalRow], unit: str, left: str, right: str) -> Chart:
    """Draws differences with intervals around a line at 0.

    Args:
        title: for those who do not see it.
        caption: above the chart.
        rows: from top to bottom.
        unit: of the differences.
        left, right: what lies on either side of 0.
    """
    figure, ax, middles = _rows([row.name for row in rows], [ROW_HEIGHT] * len(rows), top=24, right=12)
    ax.set_xlim(*_around([0.0, *(value for row in rows for value in (row.low, row.high, row.value))], 0.06))
    ax.axvline(0, **MARK)
    for row, middle in zip(rows, middles, strict=True):
        colour = COLOURS["soft" if row.verdict == "open" else row.verdict]
        ax.plot((row.low, row.high), (middle, middle), color=colour, linewidth=2.0, solid_capstyle="butt")
        inside = COLOURS["card"] if row.verdict == "open" else colour
        (dot,) = ax.plot(row.value, middle, "o", color=colour, markerfacecolor=inside, markersize=8.5, markeredgewidth=1.6)
        set_tip(dot, f"{row.name}: {row.words}")
    label_axes(ax, unit, f"< {left}", f"{right} >")
    return Chart(caption, as_svg(figure, title, "; ".join(f"{row.name} {row.words}" for row in rows)))


@dataclass(frozen=True)
class BarRow:
    """Bars of one name: ``(kind, value)`` each, the kind ``first`` or ``second``, and the value at which a mark crosses them."""

    name: str
    bars: Sequence[tuple[str, float]]
    mark: float | None


def bars(title: str, rows: Sequence[BarRow], unit: str, decimals: int = 2) -> Chart:
    """Draws bars from 0, each with its value behind it, and a mark across the bars of each row; the chart has no caption."""
    told = [[f"{value:.{decimals}f}" for _, value in row.bars] for row in rows]
    limit = max([1e-9, *(value for row in rows for value in (*(value for _, value in row.bars), row.mark or 0.0))])
    room = 9 + DIGIT_WIDTH * max((len(words) for of_row in told for words in of_row), default=0)
    heights = [BAR_HEIGHT * len(row.bars) + BAR_GAP for row in rows]
    figure, ax, middles = _rows([row.name for row in rows], heights, top=4, right=room)
    ax.set_xlim(0, limit)
    for row, middle, height, of_row in zip(rows, middles, heights, told, strict=True):
        reach = (height - BAR_GAP) / 2
        for number, ((kind, value), words) in enumerate(zip(row.bars, of_row, strict=True)):
            place = middle - reach + BAR_HEIGHT * (number + 0.5)
            (bar,) = ax.barh(place, value, BAR_HEIGHT - 1, color=BARS[kind])
            set_tip(bar, f"{row.name}: {words}")
            # A value would be crossed by the mark if that is less than the words behind the bar's end.
            crossed = row.mark is not None and 0 < (row.mark - value) * (PLOT_WIDTH - room) / limit < DIGIT_WIDTH * len(words) + 9
            _write(ax, (row.mark if crossed and row.mark is not None else value, place), words)
        if row.mark is not None:
            ax.plot((row.mark, row.mark), (middle - reach - 3, middle + reach + 2), solid_capstyle="butt", clip_on=False, **MARK)
    label_axes(ax, unit)
    return Chart("", as_svg(figure, title, "; ".join(f"{row.name} {', '.join(w)}" for row, w in zip(rows, told, strict=True))))


def sample(kind: str) -> str:
    """Draws for a legend a piece of a line, a bar of a kind, or the ``mark`` across bars."""
    figure = Figure(figsize=(26 / 72, 10 / 72))
    if kind in BARS:
        figure.add_artist(Rectangle((0.2, 0), 0.6, 1, color=BARS[kind]))
    elif kind == "mark":
        figure.add_artist(Line2D((0.5, 0.5), (0, 1), **MARK))
    else:
        figure.add_artist(Line2D((0, 1), (0.5, 0.5), **{**LINES[kind], "marker": ""}))
    return as_svg(figure)


def _rows(names: Sequence[str], heights: Sequence[float], top: float, right: float) -> tuple[Figure, Axes, list[float]]:
    """Makes a chart of named rows; its y axis counts downwards in the units of ``heights``. Gives the rows' middles, too."""
    left = 20 + 6 * max(map(len, names), default=0)  # a letter is about 6 wide
    figure, ax = blank_chart(left + PLOT_WIDTH, top + sum(heights) + 36, (left, right, top, 36), grid="x")
    middles = [end - height / 2 for end, height in zip(accumulate(heights), heights, strict=True)]
    ax.set_ylim(sum(heights), 0)
    ax.set_yticks(middles, names, color=COLOURS["text"], parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
    return figure, ax, middles


def _write(ax: Axes, place: tuple[float, float], words: str) -> None:
    """Writes a value to the right of a place."""
    style: dict[str, Any] = {"fontsize": FONT_SIZE, "color": COLOURS["text"], "va": "center_baseline"}
    ax.annotate(words, place, (5, 0), textcoords="offset points", annotation_clip=False, **style)


def _around(values: Sequence[float], margin: float) -> tuple[float, float]:
    """Gives a range that holds all values with some room; one of its own where they are all equal."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = margin * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room
