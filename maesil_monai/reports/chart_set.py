"""The form in which charts come to a page: pictures as text, with what explains them, and no word of HTML around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Chart(NamedTuple):
    """One small chart.

    Args:
        caption: stands above it, not in it; plain text.
        svg: an ``<svg>`` element for the page itself, as wide as its place, coloured by the page's variables (see
            :mod:`~maesil_monai.reports.chart_style`), with title and description for those who do not see it.

    Example:
        >>> Chart("MAESIL (total)", "<svg></svg>").caption
        'MAESIL (total)'
    """

    caption: str
    svg: str


@dataclass(frozen=True)
class ChartSet:
    """Charts that are read together. Falsy if there is none.

    Args:
        legend: ``(sample, label)``: a small ``<svg class="sample">`` for the page, and plain text.
        groups: charts by the heading above them, which is empty where there is one group alone.
        notes: short sentences about these data (what is left out, where a line comes from); plain text.

    Example:
        >>> bool(ChartSet()), bool(ChartSet(groups={"": [Chart("MAE", "<svg></svg>")]}))
        (False, True)
    """

    legend: Sequence[tuple[str, str]] = ()
    groups: Mapping[str, Sequence[Chart]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __bool__(self) -> bool:
        return any(self.groups.values())
