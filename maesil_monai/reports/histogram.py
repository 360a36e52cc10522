"""A histogram for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from maesil_monai.reports.chart_output import as_svg, set_tip
from maesil_monai.reports.chart_style import COLOURS, blank_chart, label_axes
from maesil_monai.reports.charts import Chart

WIDTH, HEIGHT = 420.0, 190.0
MARGINS = (52.0, 20.0, 12.0, 38.0)
_DECADES = 4


def histogram(title: str, edges: Sequence[float], counts: Sequence[float], unit: str, share: bool = False) -> Chart:
    """Draws a histogram; each bar tells under the pointer what it counts.

    Args:
        title: the caption, also for those who do not see the chart.
        edges: N + 1 borders of the bars, rising; the first and the last stand below the axis.
        counts: heights of the N bars, not negative.
        unit: of the edges, below the axis.
        share: the heights are shares, shown in percent on a logarithmic axis, for most voxels of a CT are air.
    """
    figure, ax = blank_chart(WIDTH, HEIGHT, MARGINS)
    plot_width, plot_height = WIDTH - MARGINS[0] - MARGINS[1], HEIGHT - MARGINS[2] - MARGINS[3]
    first, last = edges[0], edges[-1]
    if share:
        high = 10.0 ** math.ceil(math.log10(max(*counts, 1e-4)))
        low = high / 10**_DECADES
        ax.set_yscale("log")
        ax.minorticks_off()
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        least = low * 10 ** (_DECADES / plot_height)
    else:
        ticks = MaxNLocator(5, steps=[1, 2, 5, 10], integer=True).tick_values(0, max(*counts, 1))
        ax.set_yticks(ticks)
        low, high = 0.0, ticks[-1]
        least = high / plot_height
    ax.set_ylim(low, high)
    gap = (last - first) / plot_width
    for start, stop, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count > 0:  # a bar is at least half a unit wide and one high
            wide = max(stop - start - gap, gap / 2)
            (bar,) = ax.bar(start, max(count, least) - low, wide, low, align="edge", color=COLOURS["bar"])
            words = f"{100 * count:.3g} %" if share else f"{count:g}"
            set_tip(bar, f"{start:g} to {stop:g} {unit}: {words}")
    ax.set_xlim(first, last)
    digits = max(0, 2 - math.floor(math.log10(last - first))) if last - first < 100 else 0
    places = np.linspace(first, last, 5)
    ax.set_xticks(places, [f"{round(place, digits):g}" for place in places])
    label_axes(ax, unit)
    return Chart(title, as_svg(figure, title, f"{first:g} to {last:g} {unit}"))
