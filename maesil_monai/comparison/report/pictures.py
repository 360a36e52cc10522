"""Figure 3 for every system: a card each, axial, coronal and sagittal, reconstruction and difference, in two windows.

Source: MAESIL figure 3.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np

from maesil_monai.comparison.report.cases import Case
from maesil_monai.comparison.report.systems import System
from maesil_monai.reports.indexed_png import difference_palette, difference_picture, grey_picture
from maesil_monai.reports.panels import ROWS, WINDOWS

WINDOW_NAMES = {"lung": "lung window", "soft_tissue": "soft-tissue window"}


def figure_3(cases: Sequence[Case], window_hu: tuple[float, float]) -> str:
    """Draws all cases, the first one open; empty if there is none.

    Args:
        cases: what to show.
        window_hu: the HU of 0 and 1, for the PSNR below the pictures.

    Returns:
        HTML with pictures in it.
    """
    parts = []
    for number, case in enumerate(cases):
        size = " x ".join(f"{count * spacing:.0f}" for count, spacing in zip(case.original.shape, case.spacing_mm, strict=True))
        shape = " x ".join(str(count) for count in case.original.shape)
        summary = f"{case.dataset}, {case.name}: {shape} voxels, {size} mm"
        blocks = "".join(_window(case, name, window_hu) for name in WINDOWS)
        opened = " open" if number == 0 else ""
        parts.append(f"<details{opened}><summary>{html.escape(summary)}</summary>{blocks}</details>")
    return "".join(parts)


def _window(case: Case, name: str, window_hu: tuple[float, float]) -> str:
    window = WINDOWS[name]
    limit = window[0] / 2
    planes = [axis for _, axis, _ in ROWS]
    original = {axis: _slice(case, case.original, axis) for axis in planes}
    given = [
        (grey_picture(original[axis], window), grey_picture(original[axis], window, _slice(case, case.hidden_voxels, axis)))
        for axis in planes
    ]
    count = f"{int(case.hidden.sum()):,} of {case.hidden.size:,} patches hidden"
    cards = [_card(case, "what was given", ("original", "hidden patches"), given, count)]
    for system, volume in case.reconstructions.items():
        made = {axis: _slice(case, volume, axis) for axis in planes}
        pairs = [(grey_picture(made[axis], window), difference_picture(made[axis] - original[axis], limit)) for axis in planes]
        cards.append(_card(case, system.label, ("reconstruction", "difference"), pairs, _error(case, system, window_hu)))
    heading = f"{WINDOW_NAMES.get(name, name)} (width {window[0]:g}, level {window[1]:g} HU)"
    return f'<h4>{html.escape(heading)}</h4>{colour_scale(limit)}<div class="cards">{"".join(cards)}</div>'


def colour_scale(limit_hu: float) -> str:
    """Draws the legend of differences."""
    return (
        f'<p class="scale"><span>{-limit_hu:.0f} HU</span><span class="ramp" style="background: '
        f'linear-gradient(90deg, {", ".join(difference_stops())})"></span><span>+{limit_hu:.0f} HU</span>'
        " reconstruction - original</p>"
    )


def difference_stops() -> list[str]:
    """Gives seven colours of the scale of differences, as ``#rrggbb``."""
    palette = difference_palette().astype(int)
    return ["#" + "".join(f"{part:02x}" for part in palette[place]) for place in np.linspace(0, 254, 7).astype(int)]


def _slice(case: Case, volume: np.ndarray, axis: int) -> np.ndarray:
    """Takes the slice through the centre as radiologists look at it: the patient's right on the left, front and head up."""
    return np.ascontiguousarray(volume.take(case.center[axis], axis=axis).T[::-1, ::-1])


def _card(case: Case, title: str, names: tuple[str, str], rows: Sequence[tuple[str, str]], words: str) -> str:
    head = "".join(f"<span>{html.escape(name)}</span>" for name in names)
    cells = []
    for (plane, axis, _), urls in zip(ROWS, rows, strict=True):
        across, up = (case.original.shape[other] * case.spacing_mm[other] for other in range(3) if other != axis)
        for name, url in zip(names, urls, strict=True):
            told = html.escape(f"{title}: {name}, {plane} slice {case.center[axis]}", quote=True)
            cells.append(f'<img src="{url}" alt="{told}" style="aspect-ratio: {across:.4g} / {up:.4g}">')
    return (
        f'<figure class="card"><figcaption><b>{html.escape(title)}</b><br>{html.escape(words)}</figcaption>'
        f'<div class="pair head">{head}</div><div class="pair">{"".join(cells)}</div></figure>'
    )


def _error(case: Case, system: System, window_hu: tuple[float, float]) -> str:
    found = case.error(system, window_hu)
    return "no hidden body here" if found is None else f"{found[0]:.2f} dB, {found[1]:.0f} HU"
