"""Charts in pages, without a word of HTML around them: line panels that share their axes, rows of intervals, rows of bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, MaxNLocator

from maesil_monai.reports.chart_output import as_svg, set_tip
from maesil_monai.reports.chart_style import BARS, COLOURS, FONT_SIZE, LINES, MARK, blank_chart, label_axes

Points = Sequence[tuple[float, float]]
PANEL_SIZE, PLOT_WIDTH = (280.0, 190.0), 250.0
ROW_HEIGHT, BAR_HEIGHT, BAR_GAP = 24.0, 11.0, 12.0
NAME_LETTER, DIGIT = 6, 7  # widths
_STEPS = [1, 2, 5, 10]
_VALUE: dict[str, Any] = {"fontsize": FONT_SIZE, "color": COLOURS["text"], "va": "center_baseline"}


class Chart(NamedTuple):
    """One small chart.

    Args:
        caption: stands above it, not in it; plain text.
        svg: an ``<svg>`` element for the page itself, as wide as its place, coloured by the page's variables (see
            :mod:`~maesil_monai.reports.chart_style`), with title and description for those who do not see it.

    Example:
        >>> Chart("MAESIL (total)", "<svg></svg>").caption
        'MAESIL (total)'
    """

    caption: str
    svg: str


@dataclass(frozen=True)
class ChartSet:
    """Charts that are read together. Falsy if there is none.

    Args:
        legend: ``(sample, label)``: a small ``<svg class="sample">`` for the page, and plain text.
        groups: charts by the heading above them, which is empty where there is one group alone.
        notes: short sentences about these data (what is left out, where a line comes from); plain text.

    Example:
        >>> bool(ChartSet()), bool(ChartSet(groups={"": [Chart("MAE", "<svg></svg>")]}))
        (False, True)
    """

    legend: Sequence[tuple[str, str]] = ()
    groups: Mapping[str, Sequence[Chart]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(self.groups.values())


class Panel(NamedTuple):
    """One model's lines.

    Args:
        title: above the panel.
        lines: ``(kind, points)``, the kind from :data:`~maesil_monai.reports.chart_style.LINES`, drawn in order; the end of the
            last, the model's own, is labelled. A line breaks where a value is not finite.
        description: for those who do not see it.
    """

    title: str
    lines: Sequence[tuple[str, Points]]
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
    charts = []
    for panel in shown:
        figure, ax = blank_chart(*PANEL_SIZE, margins=(40, 40, 22, 37))
        for kind, points in panel.lines:
            ax.plot([x for x, _ in points], [y for _, y in points], **LINES[kind])
        for end in [point for point in panel.lines[-1][1] if math.isfinite(point[1])][-1:]:
            ax.annotate(f"{end[1]:.{decimals}f}", end, (5, 0), textcoords="offset points", annotation_clip=False, **_VALUE)
        ax.update_datalim(every)
        ax.margins(0.02, 0.06)
        ax.xaxis.set_major_locator(MaxNLocator(6 if whole_x else 4, steps=_STEPS, integer=whole_x))
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
        if not whole_x:
            ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        label_axes(ax, x_label, y_label)
        charts.append(Chart(panel.title, as_svg(figure, panel.title, panel.description)))
    return charts


class IntervalRow(NamedTuple):
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
    ax.axvline(0, **MARK)
    for row, middle in zip(rows, middles, strict=True):
        colour = COLOURS["soft" if row.verdict == "open" else row.verdict]
        ax.plot((row.low, row.high), (middle, middle), color=colour, linewidth=2.0, solid_capstyle="butt")
        inside = COLOURS["card"] if row.verdict == "open" else colour
        (dot,) = ax.plot(row.value, middle, "o", color=colour, markerfacecolor=inside, markersize=8.5, markeredgewidth=1.6)
        set_tip(dot, f"{row.name}: {row.words}")
    ax.margins(x=0.06)
    label_axes(ax, unit, f"< {left}", f"{right} >")
    return Chart(caption, as_svg(figure, title, "; ".join(f"{row.name} {row.words}" for row in rows)))


class BarRow(NamedTuple):
    """Bars of one name: ``(kind, value)`` each, the kind ``first`` or ``second``, and the value at which a mark crosses them."""

    name: str
    bars: Sequence[tuple[str, float]]
    mark: float | None


def bars(title: str, rows: Sequence[BarRow], unit: str, decimals: int = 2) -> Chart:
    """Draws bars from 0, their values in a column at the right, and a mark across the bars of each row; without a caption."""
    told = [[f"{value:.{decimals}f}" for _, value in row.bars] for row in rows]
    room = 12 + DIGIT * max((len(words) for of_row in told for words in of_row), default=0)
    heights = [BAR_HEIGHT * len(row.bars) + BAR_GAP for row in rows]
    figure, ax, middles = _rows([row.name for row in rows], heights, top=4, right=room)
    for row, middle, of_row in zip(rows, middles, told, strict=True):
        reach = BAR_HEIGHT * len(row.bars) / 2
        for number, ((kind, value), words) in enumerate(zip(row.bars, of_row, strict=True)):
            place = middle - reach + BAR_HEIGHT * (number + 0.5)
            (bar,) = ax.barh(place, value, BAR_HEIGHT - 1, color=BARS[kind])
            set_tip(bar, f"{row.name}: {words}")
            column: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
            ax.annotate(words, (1, place), (room, 0), annotation_clip=False, **column, **_VALUE)
        if row.mark is not None:
            ax.plot((row.mark, row.mark), (middle - reach - 3, middle + reach + 2), solid_capstyle="butt", **MARK)
    ax.margins(x=0)
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
    left = 20 + NAME_LETTER * max(map(len, names), default=0)
    figure, ax = blank_chart(left + PLOT_WIDTH, top + sum(heights) + 36, (left, right, top, 36), grid="x")
    middles = [end - height / 2 for end, height in zip(accumulate(heights), heights, strict=True)]
    ax.set_ylim(sum(heights), 0)
    ax.set_yticks(middles, names, color=COLOURS["text"], parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
    return figure, ax, middles
