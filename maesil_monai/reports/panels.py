"""Pictures of a reconstruction as files: original, what the network saw, what it made of it, and the difference.

Source: MAESIL figure 3, in three planes and with a difference in HU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from maesil_monai.geometry import Triple
from maesil_monai.reports.slices import PLANES, WINDOWS, central_voxel, difference_picture, grey_picture, slice_at

COLUMNS = ("original", "hidden patches in blue", "reconstruction", "difference")
# In pixels. A row is at least as high as its name is long.
CELL, GAP, MIN_HEIGHT, LEFT, TOP, BOTTOM = 360, 12, 170, 44, 92, 96
_LETTERS = ((0.02, 0.5, "lm"), (0.98, 0.5, "rm"), (0.5, 0.02, "ma"), (0.5, 0.98, "md"))


def reconstruction_panel(
    original: np.ndarray,
    hidden_voxels: np.ndarray,
    reconstruction: np.ndarray,
    spacing_mm: Sequence[float],
    window: tuple[float, float] = WINDOWS["soft_tissue"],
    center: Triple | None = None,
    title: str = "",
    psnr_db: float | None = None,
    window_hu: Sequence[float] | None = None,
) -> Image.Image:
    """Draws three planes (rows) of the original, the hidden patches, the reconstruction and the difference (columns).

    Args:
        original: shape (D, H, W), HU (or [0, 1], see ``window_hu``), axes towards right, anterior and superior (RAS+).
        hidden_voxels: bool, shape (D, H, W), shown as a flat tint in the second column.
        reconstruction: shape (D, H, W), likewise.
        spacing_mm: size of a voxel on each axis.
        window: width and level in HU; the scale of differences ends at half the width.
        center: the voxel through which the planes go; None: the middle of the hidden voxels.
        title: for instance the case.
        psnr_db: shown behind the title.
        window_hu: the HU mapped to 0 and to 1, for volumes on a network's window; only the slices shown are converted.

    Returns:
        A picture in colours, in the body's proportions.

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

    sizes = [_size(shape, spacing_mm, axis) for _, axis, _ in PLANES]
    heights = [max(height, MIN_HEIGHT) for _, height in sizes]
    panel = Image.new("RGB", (LEFT + 4 * (CELL + GAP), TOP + sum(heights) + 2 * GAP + BOTTOM))
    draw = ImageDraw.Draw(panel)
    low, high = (0.0, 1.0) if window_hu is None else window_hu
    middle, limit = TOP, window[0] / 2
    for (plane, axis, letters), size, height in zip(PLANES, sizes, heights, strict=True):
        truth, rebuilt = (slice_at(volume, axis, place[axis]) * (high - low) + low for volume in (original, reconstruction))
        pictures = (
            grey_picture(truth, window),
            grey_picture(truth, window, slice_at(hidden_voxels, axis, place[axis])),
            grey_picture(rebuilt, window),
            difference_picture(rebuilt - truth, limit),
        )
        middle += height // 2
        for column, picture in enumerate(pictures):
            x, y = LEFT + column * (CELL + GAP) + (CELL - size[0]) // 2, middle - size[1] // 2
            panel.paste(picture.convert("RGB").resize(size, Image.Resampling.NEAREST), (x, y))
            for letter, (across, down, anchor) in zip(letters, _LETTERS, strict=True):
                at = (x + across * size[0], y + down * size[1])
                draw.text(at, letter, "#ffd75e", _font(15), anchor, stroke_width=2, stroke_fill="black")  # legible on bone too
        words = f"{plane}, slice {place[axis]}"
        sideways = ImageFont.TransposedFont(_font(17), Image.Transpose.ROTATE_90)
        draw.text((8, middle - _font(17).getlength(words) / 2), words, "white", sideways)
        middle += height - height // 2 + GAP
    for column, name in enumerate(COLUMNS):
        draw.text((LEFT + column * (CELL + GAP) + CELL / 2, TOP - 10), name, "white", _font(19), "ms")
    greys = grey_picture(np.linspace(window[1] - limit, window[1] + limit, 255)[None], window)
    _colour_bar(panel, (0, 3), greys, window[1], limit, f"HU (width {window[0]:g}, level {window[1]:g})")
    colours = difference_picture(np.linspace(-limit, limit, 255)[None], limit)
    _colour_bar(panel, (3, 4), colours, 0.0, limit, "reconstruction - original (HU)")
    parts = [title] if title else []
    if psnr_db is not None:
        parts.append(f"PSNR {psnr_db:.2f} dB")
    draw.text((panel.width / 2, 40), "   ".join(parts), "white", _font(21), "ms")
    return panel


def _size(shape: Sequence[int], spacing_mm: Sequence[float], axis: int) -> tuple[int, int]:
    """Gives width and height of a plane's pictures, in the body's proportions; very tall ones have a scale of their own."""
    extent_mm = [count * spacing for count, spacing in zip(shape, spacing_mm, strict=True)]
    across, up = (extent_mm[other] for other in range(3) if other != axis)
    scale = min(CELL / max(extent_mm[:2]), 3 * CELL / up)
    return max(round(scale * across), 1), max(round(scale * up), 1)


def _colour_bar(panel: Image.Image, columns: tuple[int, int], ramp: Image.Image, middle: float, reach: float, label: str) -> None:
    """Puts a scale from ``middle - reach`` to ``middle + reach`` into the margin below some columns."""
    start, stop = (LEFT + column * (CELL + GAP) + sign * CELL // 8 for column, sign in zip(columns, (1, -1), strict=True))
    y = panel.height - BOTTOM + 20
    panel.paste(ramp.convert("RGB").resize((stop - start, 15)), (start, y))
    draw = ImageDraw.Draw(panel)
    for part in (-1.0, -0.5, 0.0, 0.5, 1.0):
        draw.text((start + (stop - start) * (part + 1) / 2, y + 21), f"{middle + part * reach:g}", "white", _font(15), "ma")
    draw.text(((start + stop) / 2, y + 42), label, "white", _font(17), "ma")


def _font(size: float) -> ImageFont.FreeTypeFont:
    """Gives the font of the charts, which comes with matplotlib."""
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
