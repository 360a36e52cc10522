"""Pictures of a reconstruction: original, what the network saw, what it made of it, and the difference.

Source: MAESIL figure 3, in three planes and with a difference in HU. Shown as radiologists look at CT: the patient's right on
the left of axial and coronal pictures, anterior up (on the left of sagittal pictures), superior up, true proportions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from maesil_monai.geometry import Triple
from maesil_monai.reports.figure_files import save_png

# Width and level in HU, as on a viewer's presets.
WINDOWS: dict[str, tuple[float, float]] = {"lung": (1500.0, -600.0), "soft_tissue": (400.0, 40.0)}
HIDDEN_TINT = "#33455e"
# Zero is black, so that what was reconstructed well vanishes in the background.
DIFFERENCE_MAP = LinearSegmentedColormap.from_list(
    "difference", ["#b8f2ff", "#27a3e0", "#123f7a", "#000000", "#8a2a12", "#f08a24", "#fff0a8"]
)
COLUMNS = ("original", "hidden patches in blue", "reconstruction", "difference")
# Per row: the name, the axis the slice is taken across, and the letters at the left, right, top and bottom of its picture.
ROWS = (("axial", 2, "RLAP"), ("coronal", 1, "RLSI"), ("sagittal", 0, "APSI"))
FONT_SIZE = 8.0
LETTER_SIZE = 7.0


def central_voxel(voxels: np.ndarray, scale: int = 1) -> Triple:
    """Gives the voxel at the median position of the marked voxels; the volume's own centre if none is marked.

    Args:
        voxels: bool, shape (D, H, W), for instance the body or the hidden voxels.
        scale: of how many voxels per axis of the volume meant each of ``voxels`` is one (it was taken with that stride).

    Example:
        >>> marked = np.zeros((8, 8, 8), dtype=bool)
        >>> marked[2:5, 6, 0] = True
        >>> central_voxel(marked)
        (3, 6, 0)
    """
    if not voxels.any():
        return scale * (voxels.shape[0] // 2), scale * (voxels.shape[1] // 2), scale * (voxels.shape[2] // 2)
    i, j, k = (scale * int(np.median(places)) for places in np.nonzero(voxels))
    return i, j, k


def reconstruction_panel(
    original: np.ndarray,
    hidden_voxels: np.ndarray,
    reconstruction: np.ndarray,
    spacing_mm: Sequence[float],
    window: tuple[float, float] = WINDOWS["soft_tissue"],
    center: Triple | None = None,
    title: str = "",
    psnr_db: float | None = None,
    difference_hu: float | None = None,
    window_hu: Sequence[float] | None = None,
) -> Figure:
    """Draws three planes (rows) of the original, the hidden patches, the reconstruction and the difference (columns).

    Args:
        original: shape (D, H, W), HU (or [0, 1], see ``window_hu``), axes towards right, anterior and superior (RAS+).
        hidden_voxels: bool, shape (D, H, W), shown as a flat tint in the second column.
        reconstruction: shape (D, H, W), likewise.
        spacing_mm: size of a voxel on each axis.
        window: width and level in HU.
        center: the voxel through which the planes go; None: the middle of the hidden voxels.
        title: for instance the case.
        psnr_db: shown behind the title.
        difference_hu: end of the difference's colour scale; None: half the window's width.
        window_hu: the HU mapped to 0 and to 1, for volumes on a network's window; only the slices shown are converted.

    Returns:
        A figure that belongs to no window system and no global state.

    Raises:
        ValueError: if the shapes differ, a spacing or the window's width is not positive, or ``center`` lies outside.
    """
    shape = original.shape
    if len(shape) != 3 or hidden_voxels.shape != shape or reconstruction.shape != shape:
        raise ValueError(
            f"original {shape}, hidden voxels {hidden_voxels.shape}, reconstruction {reconstruction.shape}: "
            "expected three equal shapes (D, H, W)."
        )
    if len(spacing_mm) != 3 or min(spacing_mm) <= 0 or window[0] <= 0:
        raise ValueError(f"spacing_mm={tuple(spacing_mm)}, window={tuple(window)}: expected three sizes and a width above 0.")
    place = central_voxel(hidden_voxels) if center is None else center
    if any(not 0 <= p < size for p, size in zip(place, shape, strict=True)):
        raise ValueError(f"center={tuple(place)} lies outside the volume of shape {shape}.")

    extent_mm = [size * spacing for size, spacing in zip(shape, spacing_mm, strict=True)]
    limit = window[0] / 2 if difference_hu is None else difference_hu
    greys = ScalarMappable(Normalize(window[1] - window[0] / 2, window[1] + window[0] / 2, clip=True), "gray")
    colours = ScalarMappable(Normalize(-limit, limit, clip=True), DIFFERENCE_MAP)
    figure, axes = _layout(extent_mm)
    for row, (plane, axis, letters) in zip(axes, ROWS, strict=True):
        truth, hidden, rebuilt = (_displayed(volume, axis, place[axis]) for volume in (original, hidden_voxels, reconstruction))
        if window_hu is not None:
            truth, rebuilt = (part * (window_hu[1] - window_hu[0]) + window_hu[0] for part in (truth, rebuilt))
        seen = greys.to_rgba(truth)[..., :3]
        pictures = (
            seen,
            np.where(hidden[..., None], to_rgb(HIDDEN_TINT), seen),
            greys.to_rgba(rebuilt)[..., :3],
            colours.to_rgba(rebuilt.astype(np.float32) - truth)[..., :3],
        )
        across = [extent_mm[other] for other in range(3) if other != axis]
        for ax, picture in zip(row, pictures, strict=True):
            ax.imshow(picture, extent=(0, across[0], 0, across[1]), aspect="equal", interpolation="nearest")
            _letters(ax, letters)
        cell = row[0].get_position(original=True)
        style: dict[str, Any] = {"rotation": "vertical", "ha": "left", "va": "center", "color": "white", "fontsize": FONT_SIZE}
        figure.text(0.006, (cell.y0 + cell.y1) / 2, f"{plane}, slice {place[axis]}", **style)
    for ax, name in zip(axes[0], COLUMNS, strict=True):
        ax.set_title(name, color="white", fontsize=FONT_SIZE + 1)

    _colour_bar(figure, greys, axes[-1][0], axes[-1][2], f"HU (width {window[0]:g}, level {window[1]:g})")
    _colour_bar(figure, colours, axes[-1][3], axes[-1][3], "reconstruction - original (HU)")
    parts = [title] if title else []
    if psnr_db is not None:
        parts.append(f"PSNR {psnr_db:.2f} dB")
    figure.suptitle("   ".join(parts), color="white", fontsize=FONT_SIZE + 2)
    return figure


def save_panels(
    folder: str | os.PathLike[str],
    name: str,
    original: np.ndarray,
    hidden_voxels: np.ndarray,
    reconstruction: np.ndarray,
    spacing_mm: Sequence[float],
    windows: Mapping[str, tuple[float, float]] = WINDOWS,
    dpi: int = 150,
    **panel: Any,
) -> list[Path]:
    """Writes one panel per window as ``folder/NAME_WINDOW.png``, each file whole or not at all.

    Args:
        folder: is made if need be.
        name: start of the file names.
        original, hidden_voxels, reconstruction, spacing_mm: as in :func:`reconstruction_panel`.
        windows: ``{name: (width, level)}`` in HU.
        dpi: pixels per inch.
        panel: more arguments of :func:`reconstruction_panel`.

    Returns:
        The files, in the order of ``windows``.
    """
    return [
        save_png(
            reconstruction_panel(original, hidden_voxels, reconstruction, spacing_mm, window=window, **panel),
            Path(folder) / f"{name}_{window_name}.png",
            dpi,
        )
        for window_name, window in windows.items()
    ]


def _displayed(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Takes a slice as an image (rows downwards, columns rightwards) in the display convention; all three planes turn alike."""
    return np.asarray(volume.take(index, axis=axis).T[::-1, ::-1])


def _layout(extent_mm: Sequence[float]) -> tuple[Figure, list[list[Axes]]]:
    """Makes a black figure with 3 x 4 axes whose cells have the pictures' proportions."""
    width_mm = max(extent_mm[0], extent_mm[1])
    heights_mm = [extent_mm[1], extent_mm[2], extent_mm[2]]
    cell, gap, left, right, top, bottom = 2.4, 0.08, 0.3, 0.15, 0.6, 0.65  # inches
    heights = [min(max(cell * height / width_mm, 0.4), 3 * cell) for height in heights_mm]
    width_in = left + right + 4 * cell + 3 * gap
    height_in = top + bottom + sum(heights) + 2 * gap
    figure = Figure(figsize=(width_in, height_in), facecolor="black")
    FigureCanvasAgg(figure)
    axes: list[list[Axes]] = []
    upper = height_in - top
    for height in heights:
        upper -= height
        boxes = [((left + column * (cell + gap)) / width_in, upper / height_in) for column in range(4)]
        axes.append([figure.add_axes((x, y, cell / width_in, height / height_in)) for x, y in boxes])
        upper -= gap
    for ax in (ax for row in axes for ax in row):
        ax.set_facecolor("black")
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
    return figure, axes


def _letters(ax: Axes, letters: str) -> None:
    """Writes the directions at the left, right, top and bottom edge of a picture."""
    edges = (
        (0.02, 0.5, "left", "center"),
        (0.98, 0.5, "right", "center"),
        (0.5, 0.98, "center", "top"),
        (0.5, 0.02, "center", "bottom"),
    )
    for letter, (x, y, horizontal, vertical) in zip(letters, edges, strict=True):
        text = ax.text(x, y, letter, transform=ax.transAxes, ha=horizontal, va=vertical, color="#ffd75e", fontsize=LETTER_SIZE)
        text.set_path_effects([withStroke(linewidth=1.5, foreground="black")])  # legible on bone too


def _colour_bar(figure: Figure, colours: ScalarMappable, first: Axes, last: Axes, label: str) -> None:
    """Puts a colour bar in the margin below the columns from ``first`` to ``last``."""
    height_in = figure.get_figheight()
    left, right = first.get_position(original=True).x0, last.get_position(original=True).x1
    margin = 0.12 * (right - left)
    cax = figure.add_axes((left + margin, 0.42 / height_in, right - left - 2 * margin, 0.1 / height_in))
    bar = figure.colorbar(colours, cax=cax, orientation="horizontal", extend="both")
    bar.ax.tick_params(colors="white", labelsize=LETTER_SIZE, length=2, pad=2)
    bar.set_label(label, color="white", fontsize=FONT_SIZE, labelpad=1)
    bar.outline.set_edgecolor("#888888")  # type: ignore[operator]
