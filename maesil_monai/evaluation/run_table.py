"""The table of a run: the trivial baselines and the network before and after training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


def psnr_table(rows: Sequence[MethodRow], columns: Mapping[str, str] = DEFAULT_COLUMNS) -> str:
    """Writes methods and metrics as an aligned table.

    The best baseline of each column is marked with ``*``. The last column is each method's distance, in the first metric, from
    the best baseline in it, so that a network that loses to a baseline is seen to lose.

    Args:
        rows: the lines, in order.
        columns: ``{metric: heading}``; metrics whose name starts with ``mae`` are better when smaller. The first one decides.

    Returns:
        The table, ASCII, without a line break at its end.

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
    best = {metric: _best([row.values.get(metric, math.nan) for row in rows if row.baseline], metric) for metric in columns}
    decisive = next(iter(columns))
    lines = [["method", *columns.values(), "against the best baseline"]]
    for row in rows:
        cells = [_cell(row, metric, best[metric]) for metric in columns]
        gain = row.values.get(decisive, math.nan) - best[decisive]
        lines.append([row.method, *cells, f"{gain:+.2f}" if math.isfinite(gain) else "-"])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    aligned = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines]
    return "\n".join([*aligned, "* best baseline"] if any(map(math.isfinite, best.values())) else aligned)


def _best(values: Sequence[float], metric: str) -> float:
    """Picks the best value that is defined; NaN if none is."""
    best = min if metric.startswith("mae") else max
    return best((value for value in values if not math.isnan(value)), default=math.nan)


def _cell(row: MethodRow, metric: str, best: float) -> str:
    """Formats a value: two decimals in dB, one in HU, then the mark of the best baseline or a blank in its place."""
    value = row.values.get(metric, math.nan)
    if math.isnan(value):
        return "not defined"
    mark = "*" if row.baseline and value == best else " "
    return (f"{value:.1f}" if metric.startswith("mae") else f"{value:.2f}") + mark
