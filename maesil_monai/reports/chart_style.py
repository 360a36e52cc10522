"""How every chart looks: one set of colours, kinds of lines, and axes that keep quiet."""

from __future__ import annotations

from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# A PNG shows these. In an SVG each becomes the page's variable of its name, so that charts follow dark mode and print.
COLOURS = {
    "text": "#1c2430",
    "soft": "#5d6877",
    "line": "#d9dfe7",
    "card": "#f4f6f9",
    "bar": "#2f6fb3",
    "own": "#0b5fa5",
    "behind": "#9db8d2",
    "good": "#20713a",
    "bad": "#a8331f",
    "base1": "#b3541e",
    "base2": "#5b7f2b",
    "base3": "#7a4a9e",
    "base4": "#8a6d00",
}
FONT_SIZE = 11.0


def _dashed(name: str, *dashes: float) -> dict[str, Any]:
    return {"color": COLOURS[name], "linewidth": 1.3, "linestyle": (0, dashes)}


# The network that is looked at, its seeds, MAESIL behind it, and up to four baselines.
LINES: dict[str, dict[str, Any]] = {
    "own": {"color": COLOURS["own"], "linewidth": 2.2, "marker": "o", "markersize": 3.0},
    "seed": {"color": COLOURS["own"], "linewidth": 0.9, "alpha": 0.45},
    "behind": {"color": COLOURS["behind"], "linewidth": 2.0},
    "base1": _dashed("base1", 1.2, 2.0),
    "base2": _dashed("base2", 3.8, 2.3),
    "base3": _dashed("base3", 6.0, 2.3, 1.5, 2.3),
    "base4": _dashed("base4", 8.5, 2.3),
}
BARS = {"first": COLOURS["behind"], "second": COLOURS["own"]}
MARK: dict[str, Any] = {"color": COLOURS["text"], "linewidth": 1.4}


def blank_chart(
    width: float, height: float, margins: tuple[float, float, float, float], grid: Literal["x", "y"] = "y"
) -> tuple[Figure, Axes]:
    """Makes a chart without frame and ticks, with a quiet grid behind what will be drawn.

    Args:
        width, height: in units of an SVG, of which a PNG has 72 an inch; a font of 11 is 11 of them.
        margins: room at the left, right, top and bottom for what is written there.
        grid: the axis whose values have lines.

    Returns:
        The figure, which belongs to no window system and no global state, and its only axes.
    """
    figure = Figure(figsize=(width / 72, height / 72), facecolor="white")
    left, right, top, bottom = margins
    place = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    ax = figure.add_axes(place, facecolor="none")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0, pad=6, labelsize=FONT_SIZE, labelcolor=COLOURS["soft"])
    ax.grid(axis=grid, color=COLOURS["line"], linewidth=1.0)
    ax.set_axisbelow(True)
    return figure, ax


def label_axes(ax: Axes, below: str, left: str = "", right: str = "") -> None:
    """Writes what the axes are: below the chart, and above its left and right edge."""
    style: dict[str, Any] = {"fontsize": FONT_SIZE - 0.5, "color": COLOURS["soft"]}
    ax.set_xlabel(below, labelpad=4, **style)
    ax.set_title(left, loc="left", pad=5, **style)
    ax.set_title(right, loc="right", pad=5, **style)
