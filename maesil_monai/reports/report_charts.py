"""Bar charts as inline SVG: no library, no network, the same bytes for the same numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

WIDTH, HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 34
_NUM_TICKS = 5


def bar_chart(title: str, edges: Sequence[float], counts: Sequence[float], unit: str, share: bool = False) -> str:
    """Draws a histogram.

    Args:
        title: names the chart for those who do not see it.
        edges: N + 1 borders of the bars, rising.
        counts: heights of the N bars, not negative.
        unit: of the edges, below the axis.
        share: the heights are shares, shown in percent on a logarithmic axis, for most voxels of a CT are air.
    """
    plot_width, plot_height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    ticks = _share_ticks(counts) if share else _count_ticks(counts)
    low, high = (math.log10(ticks[0]), math.log10(ticks[-1])) if share else (0.0, float(ticks[-1]))

    def height(value: float) -> float:
        if share:
            value = math.log10(value) if value > 0 else low
        return plot_height * min(max((value - low) / (high - low), 0.0), 1.0)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title, quote=True)}">']
    for tick in ticks:
        y = _TOP + plot_height - height(tick)
        text = f"{100 * tick:g} %" if share else f"{tick:g}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    first, last = edges[0], edges[-1]
    for start, stop, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count <= 0:
            continue
        x = _LEFT + plot_width * (start - first) / (last - first)
        width = max(plot_width * (stop - start) / (last - first) - 1, 0.5)
        tall = max(height(count), 1.0)
        text = f"{100 * count:.3g} %" if share else f"{count:g}"
        parts.append(
            f'<rect x="{x:.1f}" y="{_TOP + plot_height - tall:.1f}" width="{width:.1f}" height="{tall:.1f}">'
            f"<title>{start:g} to {stop:g} {html.escape(unit)}: {text}</title></rect>"
        )
    for number in range(_NUM_TICKS):
        value = first + (last - first) * number / (_NUM_TICKS - 1)
        x = _LEFT + plot_width * number / (_NUM_TICKS - 1)
        anchor = "end" if number == _NUM_TICKS - 1 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="{anchor}">{_short(value, last - first)}</text>')
    middle = _LEFT + plot_width / 2
    parts.append(f'<text class="unit" x="{middle:.1f}" y="{HEIGHT - 3}" text-anchor="middle">{html.escape(unit)}</text></svg>')
    return "".join(parts)


def _short(value: float, span: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(span))) if span < 100 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _count_ticks(counts: Sequence[float]) -> list[float]:
    top = max(max(counts), 1)
    step = 10 ** math.floor(math.log10(top))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if top / s <= 5)
    step = max(step, 1)
    return [step * number for number in range(math.ceil(top / step) + 1)]


def _share_ticks(counts: Sequence[float]) -> list[float]:
    top = math.ceil(math.log10(max(max(counts), 1e-4)))
    return [10.0**power for power in range(top - 4, top + 1)]
