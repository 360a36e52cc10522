"""Slices of CT as pictures: turned as radiologists look at them, in the right greys and colours."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageColor

from maesil_monai.reports.slices import (
    HIDDEN_TINT,
    PLANES,
    THUMBNAIL_SIDE,
    WINDOWS,
    data_url,
    difference_picture,
    grey_picture,
    slice_at,
    thumbnail,
)


def _shown(url: str) -> np.ndarray:
    """Gives the colours that a browser sees, shape (rows, columns, 3)."""
    kind, _, data = url.partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture.convert("RGB"))


def test_the_patients_right_front_and_head_are_shown_left_up_and_up() -> None:
    volume = np.zeros((10, 12, 6), dtype=bool)
    volume[9, 11, 5] = True  # the corner furthest to the right, the front and the head
    shapes = []
    for name, axis, _ in PLANES:
        image = slice_at(volume, axis, volume.shape[axis] - 1)
        # Upper left: right and front (axial), right and head (coronal), front and head (sagittal).
        assert np.argwhere(image).tolist() == [[0, 0]], name
        shapes.append(image.shape)
    assert shapes == [(12, 10), (6, 10), (6, 12)]


@pytest.mark.parametrize(("window", "ends"), [("lung", (-1350.0, 150.0)), ("soft_tissue", (-160.0, 240.0))])
def test_the_window_maps_its_ends_to_black_and_white_and_its_level_to_middle_grey(window: str, ends: tuple[float, float]) -> None:
    row = np.array([[ends[0] - 500, ends[0], sum(ends) / 2, ends[1], ends[1] + 500]])
    colours = _shown(data_url(grey_picture(row, WINDOWS[window])))[0]
    assert colours.tolist() == [[grey] * 3 for grey in (0, 0, 128, 255, 255)]


def test_hidden_voxels_are_tinted_and_visible_ones_keep_their_grey() -> None:
    image = np.array([[40.0, 500.0], [40.0, -500.0]])
    hidden = np.array([[True, True], [False, False]])
    colours = _shown(data_url(grey_picture(image, WINDOWS["soft_tissue"], hidden)))
    assert colours[0].tolist() == [list(ImageColor.getrgb(HIDDEN_TINT))] * 2
    assert colours[1].tolist() == [[128] * 3, [0] * 3]


def test_the_difference_is_black_where_there_is_none_warm_above_and_cold_below() -> None:
    colours = _shown(data_url(difference_picture(np.array([[-900.0, -200.0, -100.0, 0.0, 100.0, 200.0, 900.0]]), 200.0)))[0]
    assert colours[3].tolist() == [0, 0, 0]
    assert all(red < blue for red, _, blue in colours[:3].tolist())
    assert all(red > blue for red, _, blue in colours[4:].tolist())
    assert colours[0].tolist() == colours[1].tolist()  # beyond the end of the scale


def test_what_is_no_number_stops_no_drawing() -> None:
    row = np.array([[np.nan, -np.inf, np.inf]])
    assert _shown(data_url(grey_picture(row, WINDOWS["lung"])))[0, :, 0].tolist() == [0, 0, 255]
    first, low, high = _shown(data_url(difference_picture(row, 200.0)))[0].tolist()
    assert first == low != high


def test_a_thumbnail_shows_the_patients_right_on_the_left_and_the_head_on_top() -> None:
    volume = np.full((20, 20, 40), -1000, dtype=np.int16)
    # RAS: the highest index is right, front and head.
    volume[-5:, -5:, 15:25] = 1000
    volume[-5:, 5:15, -10:] = 1000
    colours = _shown(thumbnail(volume[:, :, 20], volume[:, 10, :], (2.0, 2.0, 1.0)))
    assert colours.shape == (THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE, 3)
    for view in (colours[:, :THUMBNAIL_SIDE], colours[:, THUMBNAIL_SIDE:]):
        # A quarter of the side, at the top left; sharp edges blur by a voxel.
        assert view[5:20, 5:20].min() == 255
        assert view[60:, :].max() == 0
        assert view[:, 60:].max() == 0


def test_a_thumbnail_keeps_the_bodys_proportions_in_the_middle_of_its_square() -> None:
    white = np.full((10, 10), 1000)
    # Axial: 10 x 20 mm, coronal 10 x 40 mm.
    colours = _shown(thumbnail(white, white, (1.0, 2.0, 4.0)))[..., 0]
    for start, width in ((0, THUMBNAIL_SIDE // 2), (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 4)):
        columns = np.flatnonzero(colours[:, start : start + THUMBNAIL_SIDE].all(axis=0))
        assert (columns[0], len(columns)) == ((THUMBNAIL_SIDE - width) // 2, width)
