"""Slices of CT as small pictures with a palette: in a window, with hidden patches, as a difference, as a thumbnail.

Shown as radiologists look at CT: the patient's right on the left of axial and coronal pictures, front up (on the left of sagittal
ones), head up.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageColor

from maesil_monai.geometry import Triple

# Width and level in HU, as on a viewer's presets.
WINDOWS: dict[str, tuple[float, float]] = {"lung": (1500.0, -600.0), "soft_tissue": (400.0, 40.0)}
# Per plane: the axis the slice is taken across, and the letters at the left, right, top and bottom of its picture.
PLANES = (("axial", 2, "RLAP"), ("coronal", 1, "RLSI"), ("sagittal", 0, "APSI"))
HIDDEN_TINT = "#33455e"
# Zero is black, so that what was reconstructed well vanishes in the background.
DIFFERENCE_COLOURS = ("#b8f2ff", "#27a3e0", "#123f7a", "#000000", "#8a2a12", "#f08a24", "#fff0a8")
THUMBNAIL_SIDE, THUMBNAIL_WINDOW = 144, (1200.0, 0.0)
_LAST = 254  # of 255 greys or colours; an odd number has a middle, and one place is left for the tint


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


def slice_at(volume: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Takes a slice of a volume (D, H, W; axes towards right, front and head) as an image: rows downwards, columns rightwards."""
    return _facing(volume.take(index, axis=axis))


def grey_picture(slice_hu: np.ndarray, window: tuple[float, float], hidden: np.ndarray | None = None) -> Image.Image:
    """Draws a slice in a window, hidden voxels as a flat tint.

    Args:
        slice_hu: shape (rows, columns), HU.
        window: width and level in HU, the level in the middle of the greys.
        hidden: bool, same shape.
    """
    width, level = window
    greys = ((slice_hu - level) / width + 0.5).clip(0, 1) * _LAST
    if hidden is not None:
        greys[hidden] = _LAST + 1
    ramp = np.linspace(0, 255, _LAST + 1)[:, None].repeat(3, axis=1)
    return _with_palette(greys, np.vstack([ramp, ImageColor.getrgb(HIDDEN_TINT)]))


def difference_picture(difference_hu: np.ndarray, limit_hu: float) -> Image.Image:
    """Draws a difference, black where there is none.

    Args:
        difference_hu: shape (rows, columns), HU.
        limit_hu: end of the scale of :data:`DIFFERENCE_COLOURS` on either side.
    """
    places = ((difference_hu / limit_hu).clip(-1, 1) + 1) / 2 * _LAST
    stops = np.array([ImageColor.getrgb(colour) for colour in DIFFERENCE_COLOURS])
    at = np.linspace(0, len(stops) - 1, _LAST + 1)
    return _with_palette(places, np.stack([np.interp(at, np.arange(len(stops)), part) for part in stops.T], axis=1))


def thumbnail(axial_hu: np.ndarray, coronal_hu: np.ndarray, spacing_mm: Sequence[float]) -> str:
    """Draws an axial and a coronal plane of a scan side by side.

    Args:
        axial_hu: shape (D, H), axes towards right and front.
        coronal_hu: shape (D, W), axes towards right and head.
        spacing_mm: of the scan's three axes.

    Returns:
        A ``data:`` URL of a grey picture of 288 x 144 pixels, the planes in proportion.
    """
    both = Image.new("L", (2 * THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    for number, (plane, up) in enumerate(((axial_hu, 1), (coronal_hu, 2))):
        extent = (plane.shape[0] * spacing_mm[0], plane.shape[1] * spacing_mm[up])
        columns, rows = (max(round(THUMBNAIL_SIDE * length / max(extent)), 1) for length in extent)
        picture = grey_picture(_facing(plane), THUMBNAIL_WINDOW).convert("L").resize((columns, rows), Image.Resampling.BILINEAR)
        both.paste(picture, (THUMBNAIL_SIDE * number + (THUMBNAIL_SIDE - columns) // 2, (THUMBNAIL_SIDE - rows) // 2))
    return data_url(both)


def png_bytes(picture: Image.Image) -> bytes:
    """Encodes a picture as PNG: the same bytes for the same picture."""
    stream = io.BytesIO()
    picture.save(stream, format="png", optimize=True)
    return stream.getvalue()


def data_url(picture: Image.Image) -> str:
    """Encodes a picture as a ``data:`` URL, for a page that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png_bytes(picture)).decode("ascii")


def _facing(plane: np.ndarray) -> np.ndarray:
    """Turns a plane for a viewer who faces the patient; all three planes turn alike."""
    return np.asarray(plane.T[::-1, ::-1])


def _with_palette(places: np.ndarray, palette: np.ndarray) -> Image.Image:
    # A network that went astray predicts NaN: the first colour.
    picture = Image.fromarray(np.rint(np.nan_to_num(places)).astype(np.uint8))
    picture.putpalette(np.rint(palette).astype(np.uint8).tobytes())
    return picture
