"""Figures as files and as arrays, without pyplot and its global state."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def save_png(figure: Figure, path: str | os.PathLike[str], dpi: int = 150) -> Path:
    """Writes a figure as PNG: a reader of ``path`` finds the old picture or the whole new one, never half of one.

    Args:
        figure: what to write; its own background colour is kept.
        path: the file; its folder is made if need be.
        dpi: pixels per inch.

    Returns:
        ``path``.

    Raises:
        OSError: if it cannot be written; the old file is then untouched and nothing is left over.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        FigureCanvasAgg(figure)
        figure.savefig(partial, format="png", dpi=dpi, facecolor=figure.get_facecolor())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def figure_to_array(figure: Figure) -> np.ndarray:
    """Draws a figure into an array, for instance for TensorBoard's ``add_image(..., dataformats="HWC")``.

    Returns:
        uint8, shape (height, width, 3), at the figure's own resolution.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
