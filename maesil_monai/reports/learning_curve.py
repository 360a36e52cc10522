"""The learning curve of a training: a validation metric over the superpatches seen, with the baselines as lines to be crossed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from maesil_monai.reports.chart_style import COLOURS, FONT_SIZE, LINES, blank_chart, label_axes

WIDTH, HEIGHT = 504.0, 288.0  # 7 x 4 inches
LETTER = 5.0  # width


def learning_curve(
    rows: Sequence[Mapping[str, float]], metric: str, baselines: Mapping[str, float], label: str = "PSNR, hidden body (dB)"
) -> Figure:
    """Draws a metric over the superpatches seen, with the minutes on the upper axis.

    Args:
        rows: the validations in order, each with ``superpatches`` and ``minutes`` since the start, and the metric.
        metric: its key in the rows; a NaN value leaves a gap.
        baselines: ``{name: value}``, each a labelled horizontal line; NaN and infinite values are left out.
        label: what the metric is, with its unit.

    Returns:
        A figure for :func:`~maesil_monai.reports.chart_output.save_png`.

    Raises:
        ValueError: if there is no row, or the superpatches do not increase.

    Example:
        >>> rows = [{"superpatches": 16, "minutes": 0.5, "psnr": 8.0}, {"superpatches": 32, "minutes": 1.0, "psnr": 9.5}]
        >>> [line.get_label() for line in learning_curve(rows, "psnr", {"mean_of_visible": 6.6}).axes[0].lines]
        ['network', 'mean_of_visible']
    """
    seen, values = (np.array([row[key] for row in rows], dtype=np.float64) for key in ("superpatches", metric))
    if not len(rows) or (np.diff(seen) <= 0).any():
        raise ValueError(f"superpatches {seen.tolist()}: expected one validation or more, each later than the last.")
    levels = sorted((value, name) for name, value in baselines.items() if math.isfinite(value))
    longest = max(len(name) for name in ("network", *baselines)) + len(" 12.34")
    figure, ax = blank_chart(WIDTH, HEIGHT, (40, 18 + LETTER * longest, 46, 38))
    ax.plot(seen, values, label="network", **LINES["own"])
    for number, (value, name) in enumerate(levels):
        ax.axhline(value, label=name, **LINES[f"base{number % 4 + 1}"])
    ax.margins(x=0.03)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))  # also where there is one validation alone
    # Each line's name to the right of its end, in its colour, moved up where two names would touch.
    height, (lower, upper) = -math.inf, ax.get_ylim()
    ends = [(float(np.asarray(line.get_ydata())[-1]), line) for line in ax.lines]
    for value, line in sorted((end for end in ends if math.isfinite(end[0])), key=lambda end: end[0]):
        height = max(value, height + 0.05 * (upper - lower))
        name, place = str(line.get_label()).replace("_", " "), ax.get_yaxis_transform()
        ax.text(1.01, height, f"{name} {value:.2f}", color=line.get_color(), va="center", fontsize=FONT_SIZE - 2, transform=place)
    if len(rows) > 1:
        places = np.linspace(seen[0], seen[-1], 5)
        minutes = np.interp(places, seen, [row["minutes"] for row in rows])
        over = ax.secondary_xaxis("top")
        over.set_xticks(places, [f"{minute:.{1 if minutes[-1] < 100 else 0}f}" for minute in minutes])
        over.tick_params(length=0, labelsize=FONT_SIZE, labelcolor=COLOURS["soft"])
        over.spines[:].set_visible(False)
        over.set_xlabel("minutes", color=COLOURS["soft"], fontsize=FONT_SIZE - 0.5)
    label_axes(ax, "superpatches seen", label)
    return figure
