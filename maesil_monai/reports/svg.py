"""Parts of charts as inline SVG, coloured by the page's style sheet, so that they follow dark mode and print."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Chooses round numbers within a range.

    Args:
        low, high: ends of the range, ``low < high``.
        most: how many at most.

    Example:
        >>> ticks(8.7, 14.1), ticks(-0.31, 0.12)
        ([10.0, 12.0, 14.0], [-0.3, -0.2, -0.1, 0.0, 0.1])
    """
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if math.floor(high / factor / power) - low / factor / power < most)
    digits = max(0, 1 - math.floor(math.log10(step)))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, digits) + 0.0 for number in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    """Writes a tick short: thousands as k.

    Example:
        >>> tick_text(19200.0), tick_text(0.25), tick_text(1e6)
        ('19.2k', '0.25', '1M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:g}"


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels.

    Example:
        >>> Scale(0.0, 10.0, 50.0, 150.0)(2.5)
        75.0
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (self.stop - self.start) * (value - self.low) / (self.high - self.low)

    @classmethod
    def around(cls, values: Iterable[float], start: float, stop: float, margin: float = 0.06) -> Scale:
        """Makes a scale that holds all values with some room; a range of its own where they are all equal."""
        found = [value for value in values if math.isfinite(value)]
        low, high = min(found, default=0.0), max(found, default=1.0)
        room = margin * (high - low) or 0.05 * abs(high) or 0.5
        return cls(low - room, high + room, start, stop)


def svg(width: float, height: float, title: str, description: str, parts: Sequence[str]) -> str:
    """Wraps parts into a picture that has a title and a description for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}. {escape(description)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(parts)}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """Draws a straight line; ``style`` is a class of the style sheet, as everywhere here."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def polyline(points: Iterable[tuple[float, float]], style: str) -> str:
    """Draws a line through points; it breaks where one is not finite."""
    runs: list[list[str]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append(f"{x:.1f},{y:.1f}")
        elif runs[-1]:
            runs.append([])
    return "".join(f'<polyline class="{style}" points="{" ".join(run)}"/>' for run in runs if run)


def circle(x: float, y: float, radius: float, style: str, tip: str = "") -> str:
    """Draws a dot, with a text that shows under the pointer."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{title}</circle>'


def rectangle(x: float, y: float, width: float, height: float, style: str, tip: str = "") -> str:
    """Draws a bar."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}">{title}</rect>'


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    """Writes; ``anchor`` is ``start``, ``middle`` or ``end``."""
    mark = f' class="{style}"' if style else ""
    return f'<text{mark} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def escape(words: str) -> str:
    """Escapes for text and attributes."""
    return html.escape(words, quote=True)
