"""The table of a run: the trivial baselines and the network before and after training, in plain text or Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from maesil_monai.errors import BadSetting

DEFAULT_COLUMNS = {
    "psnr_hidden_body": "hidden_body (dB)",
    "psnr_hidden": "hidden (dB)",
    "mae_hu_hidden_body": "hidden_body (HU)",
}


@dataclass(frozen=True)
class MethodRow:
    """One line of the table.

    Args:
        method: what is shown as its name.
        values: ``{metric: value}``, the metrics named as in :class:`~maesil_monai.metrics.PooledPSNR`; a value that is missing
            or NaN is shown as "not defined".
        baseline: True for a method that learns nothing.
    """

    method: str
    values: Mapping[str, float]
    baseline: bool = False


def psnr_table(
    rows: Sequence[MethodRow],
    columns: Mapping[str, str] = DEFAULT_COLUMNS,
    style: Literal["text", "markdown"] = "text",
) -> str:
    """Writes methods and metrics as an aligned table.

    The best baseline of each column is marked with ``*``. The last column is each method's distance, in the first metric, from
    the best baseline in it, so that a network that loses to a baseline is seen to lose.

    Args:
        rows: the lines, in order.
        columns: ``{metric: heading}``; metrics whose name starts with ``mae`` are better when smaller. The first one decides.
        style: ``text`` or ``markdown``.

    Returns:
        The table, ASCII, without a line break at its end.

    Raises:
        ValueError: for an unknown style.

    Example:
        >>> print(psnr_table([
        ...     MethodRow("mean_of_visible", {"psnr_hidden_body": 6.6, "psnr_hidden": 16.1}, baseline=True),
        ...     MethodRow("interpolate_axial", {"psnr_hidden_body": 9.3, "psnr_hidden": 16.9}, baseline=True),
        ...     MethodRow("network, trained", {"psnr_hidden_body": 12.7}),
        ... ], {"psnr_hidden_body": "hidden_body (dB)", "psnr_hidden": "hidden (dB)"}))
        method             hidden_body (dB)  hidden (dB)  against the best baseline
        -----------------  ----------------  -----------  -------------------------
        mean_of_visible               6.60        16.10                       -2.70
        interpolate_axial             9.30*       16.90*                      +0.00
        network, trained             12.70   not defined                      +3.40
        * best baseline
    """
    if style not in ("text", "markdown"):
        raise BadSetting(f"style={style!r}: expected 'text' or 'markdown'.")
    best = {metric: _best([row.values.get(metric, math.nan) for row in rows if row.baseline], metric) for metric in columns}
    decisive = next(iter(columns))
    lines = [["method", *columns.values(), "against the best baseline"]]
    for row in rows:
        cells = [_cell(row, metric, best[metric]) for metric in columns]
        gain = row.values.get(decisive, math.nan) - best[decisive]
        lines.append([row.method, *cells, f"{gain:+.2f}" if math.isfinite(gain) else "-"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    left, between, right = ("| ", " | ", " |") if style == "markdown" else ("", "  ", "")
    aligned = [
        left + between.join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]) + right
        for line in lines
    ]
    if style == "markdown":
        rule = left + between.join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + right
    else:
        rule = between.join("-" * width for width in widths)
    note = ["", r"\* best baseline"] if style == "markdown" else ["* best baseline"]
    marked = any(math.isfinite(value) for value in best.values())
    return "\n".join([aligned[0].rstrip(), rule, *(line.rstrip() for line in aligned[1:]), *(note if marked else [])])


def _best(values: Sequence[float], metric: str) -> float:
    """Picks the best value that is defined; NaN if none is."""
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return math.nan
    return min(defined) if metric.startswith("mae") else max(defined)


def _cell(row: MethodRow, metric: str, best: float) -> str:
    """Formats a value: two decimals in dB, one in HU, then the mark of the best baseline or a blank in its place."""
    value = row.values.get(metric, math.nan)
    if math.isnan(value):
        return "not defined"
    mark = "*" if row.baseline and value == best else " "
    return (f"{value:.1f}" if metric.startswith("mae") else f"{value:.2f}") + mark
