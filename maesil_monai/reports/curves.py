"""The learning curve: a validation metric over the superpatches seen, with the baselines as lines to be crossed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

NETWORK_COLOUR = "#0b5fa5"
BASELINE_COLOURS = ("#b3541e", "#5b7f2b", "#7a4a9e", "#8a6d00", "#4f6d7a")


@dataclass(frozen=True)
class CurvePoint:
    """One validation: superpatches seen since the start, minutes since the start, the metric's value."""

    superpatches: int
    minutes: float
    value: float


def learning_curve(
    points: Sequence[CurvePoint],
    baselines: Mapping[str, float],
    label: str = "PSNR, hidden body (dB)",
    title: str = "",
) -> Figure:
    """Draws a metric over the superpatches seen, with the minutes on the upper axis.

    Args:
        points: the validations in order; a NaN value leaves a gap.
        baselines: ``{name: value}``, each a labelled horizontal line; NaN and infinite values are left out.
        label: what the metric is, with its unit.
        title: above the figure.

    Returns:
        A figure that belongs to no window system and no global state; see
        :func:`~maesil_monai.reports.figure_files.save_png`.

    Raises:
        ValueError: if there is no point, or the superpatches do not increase.

    Example:
        >>> figure = learning_curve([CurvePoint(16, 0.5, 8.0), CurvePoint(32, 1.0, 9.5)], {"mean_of_visible": 6.6})
        >>> [line.get_label() for line in figure.axes[0].lines]
        ['network', 'mean_of_visible']
    """
    superpatches = np.array([point.superpatches for point in points], dtype=np.float64)
    if not len(points) or (np.diff(superpatches) <= 0).any():
        raise ValueError(f"superpatches {superpatches.tolist()}: expected one validation or more, each later than the last.")
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    values = [point.value for point in points]
    ax.plot(superpatches, values, color=NETWORK_COLOUR, marker="o", markersize=3.5, linewidth=1.6, label="network")
    drawn = {name: value for name, value in baselines.items() if math.isfinite(value)}
    for number, (name, value) in enumerate(sorted(drawn.items(), key=lambda item: item[1])):
        colour = BASELINE_COLOURS[number % len(BASELINE_COLOURS)]
        ax.axhline(value, color=colour, linewidth=1.1, linestyle=(0, (5, 2)), label=name)
    _label_lines(ax)
    ax.set_xlabel("superpatches seen")
    ax.set_ylabel(label)
    ax.grid(axis="y", color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if len(points) > 1:
        first, last = superpatches[0], superpatches[-1]
        margin = 0.03 * (last - first)
        ax.set_xlim(first - margin, last + margin)
        ticks = np.linspace(first, last, 5)
        minutes = np.interp(ticks, superpatches, [point.minutes for point in points])
        upper = ax.twiny()
        upper.set_xlim(ax.get_xlim())
        digits = 1 if minutes[-1] < 100 else 0
        upper.set_xticks(ticks, [f"{minute:.{digits}f}" for minute in minutes])
        upper.set_xlabel("minutes")
        upper.spines[["right"]].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _label_lines(ax: Axes) -> None:
    """Writes each line's name to the right of its end, in its colour, moved up where two names would touch."""
    lower, upper = ax.get_ylim()
    smallest_distance = 0.05 * (upper - lower)
    height = -math.inf
    ends = [(float(np.asarray(line.get_ydata())[-1]), line) for line in ax.lines]
    for value, line in sorted((end for end in ends if math.isfinite(end[0])), key=lambda end: end[0]):
        height = max(value, height + smallest_distance)
        name = str(line.get_label()).replace("_", " ")
        place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 8}
        ax.text(1.01, height, f"{name} {value:.2f}", color=str(line.get_color()), **place)
