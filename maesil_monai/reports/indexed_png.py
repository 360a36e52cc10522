"""Small PNG pictures with a palette, as data URLs: a slice of CT in a few kilobytes, sharp at any size."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from matplotlib.colors import Colormap, to_rgb

from maesil_monai.reports.panels import DIFFERENCE_MAP, HIDDEN_TINT

_NUM_GREYS = 255
_TINT_INDEX = 255


def grey_picture(slice_hu: np.ndarray, window: tuple[float, float], hidden: np.ndarray | None = None) -> str:
    """Draws a slice in a window, hidden voxels as a flat tint.

    Args:
        slice_hu: shape (rows, columns), HU.
        window: width and level in HU.
        hidden: bool, same shape.

    Returns:
        A ``data:`` URL.
    """
    width, level = window
    greys = np.rint(((slice_hu - level) / width + 0.5).clip(0, 1) * (_NUM_GREYS - 1)).astype(np.uint8)
    if hidden is not None:
        greys[hidden] = _TINT_INDEX
    ramp = np.rint(np.linspace(0, 255, _NUM_GREYS))[:, None].repeat(3, 1)
    return _data_url(greys, np.vstack([ramp, 255 * np.array([to_rgb(HIDDEN_TINT)])]))


def difference_picture(difference_hu: np.ndarray, limit_hu: float) -> str:
    """Draws a difference, black where there is none.

    Args:
        difference_hu: shape (rows, columns), HU.
        limit_hu: end of the colour scale on either side.

    Returns:
        A ``data:`` URL.
    """
    places = np.rint((difference_hu / limit_hu).clip(-1, 1) * 127 + 127).astype(np.uint8)
    return _data_url(places, difference_palette())


def difference_palette(colours: Colormap = DIFFERENCE_MAP) -> np.ndarray:
    """Gives the colours of differences: shape (255, 3), 0 to 255, no difference in the middle."""
    return np.rint(np.asarray(colours.resampled(255)(np.arange(255)))[:, :3] * 255)


def _data_url(pixels: np.ndarray, palette: np.ndarray) -> str:
    rows, columns = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", np.rint(palette).astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in chunks
    )
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
