"""Figure 3 for every system, as data for a page: a card each, axial, coronal and sagittal, reconstruction and difference.

Source: MAESIL figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from maesil_monai.reports.case import Case
from maesil_monai.reports.slices import (
    DIFFERENCE_COLOURS,
    PLANES,
    WINDOWS,
    data_url,
    difference_picture,
    grey_picture,
    slice_at,
)


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


def figure_3(cases: Sequence[Case], window_hu: tuple[float, float]) -> list[PicturedCase]:
    """Draws all cases.

    Args:
        cases: what to show.
        window_hu: the HU of 0 and 1, for the PSNR beside the pictures.
    """
    shown = []
    for case in cases:
        size = " x ".join(f"{count * spacing:.0f}" for count, spacing in zip(case.original.shape, case.spacing_mm, strict=True))
        shape = " x ".join(map(str, case.original.shape))
        windows = [_window(case, name, window_hu) for name in WINDOWS]
        shown.append(PicturedCase(f"{case.dataset}, {case.name}: {shape} voxels, {size} mm", windows))
    return shown


def _window(case: Case, name: str, window_hu: tuple[float, float]) -> Window:
    window = width, level = WINDOWS[name]
    original, hidden = _slices(case, case.original), _slices(case, case.hidden_voxels)
    given = [(grey_picture(seen, window), grey_picture(seen, window, at)) for seen, at in zip(original, hidden, strict=True)]
    words = f"{int(case.hidden.sum()):,} of {case.hidden.size:,} patches hidden"
    cards = [_card(case, "what was given", words, ("original", "hidden patches"), given)]
    for label, volume in case.reconstructions.items():
        pairs = [
            (grey_picture(made, window), difference_picture(made - seen, width / 2))
            for made, seen in zip(_slices(case, volume), original, strict=True)
        ]
        found = case.error(label, window_hu)
        words = "no hidden body here" if found is None else f"{found[0]:.2f} dB, {found[1]:.0f} HU"
        cards.append(_card(case, label, words, ("reconstruction", "difference"), pairs))
    heading = f"{name.replace('_', '-')} window (width {width:g}, level {level:g} HU)"
    return Window(heading, width / 2, DIFFERENCE_COLOURS, cards)


def _slices(case: Case, volume: np.ndarray) -> list[np.ndarray]:
    return [slice_at(volume, axis, case.center[axis]) for _, axis, _ in PLANES]


def _card(case: Case, title: str, words: str, columns: tuple[str, str], pairs: Sequence[tuple[Image.Image, Image.Image]]) -> Card:
    rows = []
    for (plane, axis, _), pair in zip(PLANES, pairs, strict=True):
        across, up = (case.original.shape[other] * case.spacing_mm[other] for other in range(3) if other != axis)
        told = [f"{title}: {name}, {plane} slice {case.center[axis]}" for name in columns]
        left, right = (Picture(data_url(picture), alt, across / up) for picture, alt in zip(pair, told, strict=True))
        rows.append((left, right))
    return Card(title, words, columns, rows)
