"""Small pictures of prepared scans, as PNG data that stand in the page itself."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from maesil_monai.data.volumes.source import VolumeSource

SIDE = 144
WINDOW_HU = (-600.0, 600.0)


def thumbnail(source: VolumeSource) -> str:
    """Draws an axial and a coronal plane through the middle of a scan, side by side.

    Args:
        source: a scan in RAS orientation; two planes are read.

    Returns:
        A ``data:`` URL of a grey PNG, 144 x 288 pixels: front and head on top, the patient's right on the left, in proportion.
    """
    x, y, z = source.shape
    sizes = source.spacing_mm
    axial = source.read(((0, 0, z // 2), (x, y, z // 2 + 1)))[0, :, :, 0]
    coronal = source.read(((0, y // 2, 0), (x, y // 2 + 1, z)))[0, :, 0, :]
    views = [_view(axial, (sizes[0], sizes[1])), _view(coronal, (sizes[0], sizes[2]))]
    return "data:image/png;base64," + base64.b64encode(grey_png(np.hstack(views))).decode()


def spread(count: int, most: int) -> list[int]:
    """Chooses at most ``most`` of ``count`` places, evenly.

    Example:
        >>> spread(10, 4), spread(3, 4)
        ([0, 2, 5, 7], [0, 1, 2])
    """
    return [number * count // most for number in range(most)] if count > most else list(range(count))


def grey_png(pixels: np.ndarray) -> bytes:
    """Encodes an image.

    Args:
        pixels: uint8, shape (rows, columns).
    """
    rows, columns = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def _view(plane: torch.Tensor, sizes_mm: Sequence[float]) -> np.ndarray:
    """Turns a plane for a viewer who faces the patient, and fits it into a black square."""
    low, high = WINDOW_HU
    image = ((plane.to(torch.float32) - low) / (high - low)).clip(0, 1).T.flip(0, 1)
    extent = np.array([image.shape[0] * sizes_mm[1], image.shape[1] * sizes_mm[0]])
    rows, columns = np.maximum(np.rint(SIDE * extent / extent.max()), 1).astype(int).tolist()
    small = torch.nn.functional.interpolate(image[None, None], (rows, columns), mode="bilinear", antialias=True)[0, 0]
    square = np.zeros((SIDE, SIDE), dtype=np.uint8)
    top, left = (SIDE - rows) // 2, (SIDE - columns) // 2
    square[top : top + rows, left : left + columns] = (small.clip(0, 1) * 255).round().to(torch.uint8).numpy()
    return square
