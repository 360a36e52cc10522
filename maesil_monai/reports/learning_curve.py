"""The learning curve of a training: a validation metric over the superpatches seen, with the baselines as lines to be crossed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from maesil_monai.reports.chart_style import COLOURS, FONT_SIZE, LINES, blank_chart, label_axes

WIDTH, HEIGHT = 504.0, 288.0  # 7 x 4 inches
LETTER_WIDTH = 5.5


@dataclass(frozen=True)
class CurvePoint:
    """One validation: superpatches seen since the start, minutes since the start, the metric's value."""

    superpatches: int
    minutes: float
    value: float


def learning_curve(points: Sequence[CurvePoint], baselines: Mapping[str, float], label: str = "PSNR, hidden body (dB)") -> Figure:
    """Draws a metric over the superpatches seen, with the minutes on the upper axis.

    Args:
        points: the validations in order; a NaN value leaves a gap.
        baselines: ``{name: value}``, each a labelled horizontal line; NaN and infinite values are left out.
        label: what the metric is, with its unit.

    Returns:
        A figure for :func:`~maesil_monai.reports.chart_output.save_png`.

    Raises:
        ValueError: if there is no point, or the superpatches do not increase.

    Example:
        >>> figure = learning_curve([CurvePoint(16, 0.5, 8.0), CurvePoint(32, 1.0, 9.5)], {"mean_of_visible": 6.6})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['network', 'mean_of_visible']
    """
    seen = np.array([point.superpatches for point in points], dtype=np.float64)
    if not len(points) or (np.diff(seen) <= 0).any():
        raise ValueError(f"superpatches {seen.tolist()}: expected one validation or more, each later than the last.")
    values = [point.value for point in points]
    ends = {"network": values[-1], **dict(sorted(baselines.items(), key=lambda item: item[1]))}
    ends = {name: value for name, value in ends.items() if name == "network" or math.isfinite(value)}
    words = {name: f"{name.replace('_', ' ')} {value:.2f}" for name, value in ends.items()}
    figure, ax = blank_chart(WIDTH, HEIGHT, (40, 18 + LETTER_WIDTH * max(map(len, words.values())), 46, 38))
    margin = 0.03 * (seen[-1] - seen[0]) or 1.0
    ax.set_xlim(seen[0] - margin, seen[-1] + margin)
    ax.plot(seen, values, label="network", **LINES["own"])
    for number, name in enumerate([name for name in ends if name != "network"]):
        ax.plot(ax.get_xlim(), (ends[name],) * 2, label=name, **LINES[f"base{number % 4 + 1}"])
    # Each line's name to the right of its end, in its colour, moved up where two names would touch.
    height, (lower, upper) = -math.inf, ax.get_ylim()
    for line in sorted(ax.lines, key=lambda line: ends[str(line.get_label())]):
        name = str(line.get_label())
        if math.isfinite(ends[name]):
            height = max(ends[name], height + 0.05 * (upper - lower))
            place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": FONT_SIZE - 2}
            ax.text(1.01, height, words[name], color=str(line.get_color()), **place)
    if len(points) > 1:
        places = np.linspace(seen[0], seen[-1], 5)
        minutes = np.interp(places, seen, [point.minutes for point in points])
        over = ax.secondary_xaxis("top")
        over.set_xticks(places, [f"{minute:.{1 if minutes[-1] < 100 else 0}f}" for minute in minutes])
        over.tick_params(length=0, labelsize=FONT_SIZE, labelcolor=COLOURS["soft"])
        over.spines[:].set_visible(False)
        over.set_xlabel("minutes", color=COLOURS["soft"], fontsize=FONT_SIZE - 0.5)
    label_axes(ax, "superpatches seen", label)
    return figure
