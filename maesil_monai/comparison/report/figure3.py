"""Figure 3 for every system, as data for a page: a card each, axial, coronal and sagittal, reconstruction and difference.

Source: MAESIL figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Picture(NamedTuple):
    """A slice: ``data:`` URL, what it shows (plain text), and width over height of the body."""

    url: str
    alt: str
    aspect_ratio: float


class Card(NamedTuple):
    """What was given, or one system: words about it, two column names, and a pair of pictures for each plane."""

    title: str
    words: str
    columns: tuple[str, str]
    rows: Sequence[tuple[Picture, Picture]]


class Window(NamedTuple):
    """All cards in one window: differences reach from ``-limit_hu`` to ``limit_hu`` in the colours of ``ramp`` (``#rrggbb``)."""

    heading: str
    limit_hu: float
    ramp: Sequence[str]
    cards: Sequence[Card]


class PicturedCase(NamedTuple):
    """A superpatch: a line about it (collection, case, size), and its windows."""

    summary: str
    windows: Sequence[Window]
