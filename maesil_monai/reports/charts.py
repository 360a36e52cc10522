"""The forms of charts: small line panels that share their axes, rows of intervals, rows of bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maesil_monai.reports.svg import Scale, circle, escape, line, polyline, rectangle, svg, text, tick_text, ticks

Points = Sequence[tuple[float, float]]
PANEL_WIDTH, PANEL_HEIGHT = 280, 190
PLOT_WIDTH, ROW_HEIGHT = 250, 24
DIGIT_WIDTH = 7


@dataclass(frozen=True)
class Panel:
    """One model's lines.

    Args:
        title: above the panel.
        lines: ``(style, points)``, drawn in order; the last is the model's own, its end is labelled.
        levels: ``{style: value}``, horizontal lines.
        description: for those who do not see it.
    """

    title: str
    lines: Sequence[tuple[str, Points]]
    levels: Mapping[str, float]
    description: str


def panels(shown: Sequence[Panel], x_label: str, y_label: str, decimals: int, whole_x: bool = False) -> str:
    """Draws panels with equal axes, so that they can be compared by eye.

    Args:
        shown: what to draw; lines without a finite point are left out.
        x_label, y_label: with units.
        decimals: of the label at a line's end.
        whole_x: ticks of x are whole numbers.
    """
    every = [point for panel in shown for _, points in panel.lines for point in points if math.isfinite(point[1])]
    levels = [level for panel in shown for level in panel.levels.values()]
    x = Scale.around([point[0] for point in every], 40, PANEL_WIDTH - 34, margin=0.02)
    y = Scale.around([point[1] for point in every] + levels, PANEL_HEIGHT - 34, 16)
    drawn = [(panel.title, _panel(panel, x, y, x_label, y_label, decimals, whole_x)) for panel in shown]
    return "".join(f"<figure><figcaption>{escape(title)}</figcaption>{chart}</figure>" for title, chart in drawn)


def _panel(panel: Panel, x: Scale, y: Scale, x_label: str, y_label: str, decimals: int, whole_x: bool) -> str:
    parts = []
    for tick in ticks(y.low, y.high, 5):
        parts += [line(x.start, y(tick), x.stop, y(tick), "grid"), text(x.start - 5, y(tick) + 4, tick_text(tick), "end")]
    for tick in ticks(x.low, x.high, 4):
        if not whole_x or tick == round(tick):
            parts.append(text(x(tick), y.start + 15, tick_text(tick), "middle"))
    parts += [line(x.start, y(level), x.stop, y(level), style) for style, level in panel.levels.items()]
    for style, points in panel.lines:
        placed = [(x(a), y(b)) if math.isfinite(b) else (math.nan, math.nan) for a, b in points]
        parts.append(polyline(placed, style))
        parts += [circle(*point, 2, f"{style} dot") for point in placed if "own" in style and math.isfinite(point[1])]
    last = [point for point in (panel.lines[-1][1] if panel.lines else ()) if math.isfinite(point[1])]
    if last:
        parts.append(text(x(last[-1][0]) + 5, y(last[-1][1]) + 4, f"{last[-1][1]:.{decimals}f}", style="value"))
    parts.append(text((x.start + x.stop) / 2, PANEL_HEIGHT - 4, x_label, "middle", "unit"))
    parts.append(text(x.start, y.stop - 2, y_label, "start", "unit"))
    return svg(PANEL_WIDTH, PANEL_HEIGHT, panel.title, panel.description, parts)


@dataclass(frozen=True)
class IntervalRow:
    """A difference with its interval: ``style`` is ``good``, ``bad`` or ``open``, ``words`` stand at the right."""

    name: str
    value: float
    low: float
    high: float
    style: str
    words: str


def forest(title: str, rows: Sequence[IntervalRow], unit: str, left: str, right: str) -> str:
    """Draws differences with intervals around a line at 0.

    Args:
        title: of the chart.
        rows: from top to bottom.
        unit: of the differences.
        left, right: what lies on either side of 0.
    """
    height = 26 + ROW_HEIGHT * len(rows) + 36
    names = _name_width([row.name for row in rows])
    ends = [value for row in rows for value in (row.low, row.high, row.value)]
    x = Scale.around([*ends, 0.0], names + 6, names + PLOT_WIDTH - 12)
    bottom = 26 + ROW_HEIGHT * len(rows)
    parts = []
    for tick in ticks(x.low, x.high, 5):
        parts += [line(x(tick), 20, x(tick), bottom, "grid"), text(x(tick), bottom + 15, tick_text(tick), "middle")]
    parts.append(line(x(0), 16, x(0), bottom, "zero"))
    parts += [text(x.start, 11, f"< {left}", "start", "unit"), text(x.stop, 11, f"{right} >", "end", "unit")]
    for number, row in enumerate(rows):
        middle = 26 + ROW_HEIGHT * (number + 0.5)
        parts += [
            text(names, middle + 4, row.name, "end", "name"),
            line(x(row.low), middle, x(row.high), middle, f"whisker {row.style}"),
            circle(x(row.value), middle, 4.5, f"dot {row.style}", f"{row.name}: {row.words}"),
        ]
    parts.append(text((x.start + x.stop) / 2, height - 4, unit, "middle", "unit"))
    return svg(names + PLOT_WIDTH, height, title, "; ".join(f"{row.name} {row.words}" for row in rows), parts)


@dataclass(frozen=True)
class BarRow:
    """Bars of one name: ``(style, value)`` each, and a mark."""

    name: str
    bars: Sequence[tuple[str, float]]
    mark: float | None


def bars(title: str, rows: Sequence[BarRow], unit: str, decimals: int = 2) -> str:
    """Draws bars from 0 with a mark across the bars of each row."""
    thick, gap = 11, 12
    heights = [thick * len(row.bars) + gap for row in rows]
    bottom = 8 + sum(heights)
    height = bottom + 34
    values = [value for row in rows for value in (*(value for _, value in row.bars), row.mark or 0.0)]
    names = _name_width([row.name for row in rows])
    widest = max((len(f"{value:.{decimals}f}") for row in rows for _, value in row.bars), default=0)
    x = Scale(0.0, max([*values, 1e-9]), names + 6, names + PLOT_WIDTH - 8 - DIGIT_WIDTH * widest)
    parts, upper = [], 8.0
    for tick in ticks(x.low, x.high, 5):
        parts += [line(x(tick), 4, x(tick), bottom, "grid"), text(x(tick), bottom + 14, tick_text(tick), "middle")]
    for row, tall in zip(rows, heights, strict=True):
        parts.append(text(names, upper + (tall - gap) / 2 + 4, row.name, "end", "name"))
        for number, (style, value) in enumerate(row.bars):
            y = upper + thick * number
            parts.append(rectangle(x.start, y, x(value) - x.start, thick - 1, style, f"{row.name}: {value:.{decimals}f}"))
            words = f"{value:.{decimals}f}"
            parts.append(text(_beside(x(value), None if row.mark is None else x(row.mark), words), y + 9, words, style="value"))
        if row.mark is not None:
            parts.append(line(x(row.mark), upper - 3, x(row.mark), upper + tall - gap + 2, "truth"))
        upper += tall
    parts.append(text((x.start + x.stop) / 2, height - 4, unit, "middle", "unit"))
    told = "; ".join(f"{row.name} " + ", ".join(f"{value:.{decimals}f}" for _, value in row.bars) for row in rows)
    return svg(names + PLOT_WIDTH, height, title, told, parts)


def _beside(end: float, mark: float | None, words: str) -> float:
    """Places a value behind its bar's end; behind the mark where that would be drawn through it.

    Example:
        >>> [_beside(100.0, mark, "0.97") for mark in (None, 90.0, 110.0, 140.0)]
        [104.0, 104.0, 114.0, 104.0]
    """
    start = end + 4
    crosses = mark is not None and start - 4 < mark < start + DIGIT_WIDTH * len(words) + 4
    return mark + 4 if crosses and mark is not None else start


def _name_width(names: Sequence[str]) -> float:
    """Reserves room for the names at the left; a letter is about 6 wide."""
    return 12 + 6 * max((len(name) for name in names), default=0)
