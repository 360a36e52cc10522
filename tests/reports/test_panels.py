"""Panels of a reconstruction: the right pictures at the right place, in the body's proportions, and whole files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageColor, ImageDraw

from maesil_monai.reports.panels import CELL, GAP, LEFT, MIN_HEIGHT, TOP, reconstruction_panel
from maesil_monai.reports.slices import HIDDEN_TINT

SHAPE, SPACING_MM = (10, 12, 6), (1.0, 2.0, 4.0)
# 10 mm to the right, 24 mm to the front and to the head: 15 pixels for a millimetre.
SIZES = ((150, 360), (150, 360), (360, 360))
AXIAL, CORONAL, SAGITTAL = range(3)


def _panel(original: np.ndarray, hidden: np.ndarray | None = None, **panel: Any) -> Image.Image:
    hidden = np.zeros(SHAPE, dtype=bool) if hidden is None else hidden
    return reconstruction_panel(original, hidden, original, SPACING_MM, **panel)


def _picture(panel: Image.Image, row: int, column: int, sizes: tuple[tuple[int, int], ...] = SIZES) -> np.ndarray:
    """Cuts a picture out of a panel, its letters aside: shape (rows, columns, 3)."""
    heights = [max(height, MIN_HEIGHT) for _, height in sizes]
    x = LEFT + column * (CELL + GAP) + (CELL - sizes[row][0]) // 2
    y = TOP + sum(heights[:row]) + row * GAP + (heights[row] - sizes[row][1]) // 2
    return np.asarray(panel.crop((x, y, x + sizes[row][0], y + sizes[row][1])))


def test_planes_stand_below_one_another_turned_and_in_the_voxels_proportions() -> None:
    original = np.full(SHAPE, -1000.0, dtype=np.float32)
    original[9, 11, 5] = 1000.0  # the corner furthest to the right, the front and the head
    panel = _panel(original, center=(9, 11, 5))
    # A voxel is 15 x 30 pixels in axial, 15 x 60 in coronal and 30 x 60 in sagittal pictures.
    for row, (wide, tall) in enumerate(((15, 30), (15, 60), (30, 60))):
        picture = _picture(panel, row, 0)
        assert picture[:tall, :wide].min() == 255
        assert picture[tall + 1 : 150, wide + 1 : 60].max() == 0


def test_the_columns_are_original_hidden_patches_reconstruction_and_difference() -> None:
    original = np.full(SHAPE, 40.0, dtype=np.float32)
    hidden = np.zeros(SHAPE, dtype=bool)
    hidden[:5] = True  # the patient's left half: the right half of axial pictures
    reconstruction = original.copy()
    reconstruction[9, :, 3], reconstruction[0, :, 3] = 240.0, -160.0
    panel = reconstruction_panel(original, hidden, reconstruction, SPACING_MM, center=(5, 6, 3))
    # Right, middle and left of the patient, above the letters at the sides.
    colours = [[_picture(panel, AXIAL, column)[100, x].tolist() for x in (5, 67, 145)] for column in range(4)]
    grey, tint = [128] * 3, list(ImageColor.getrgb(HIDDEN_TINT))  # the window's level is middle grey
    assert colours[0] == [grey, grey, grey]
    assert colours[1] == [grey, grey, tint]
    assert colours[2] == [[255] * 3, grey, [0] * 3]
    warm, none, cold = colours[3]
    assert none == [0, 0, 0]
    assert warm[0] > warm[2]
    assert cold[2] > cold[0]


def test_letters_name_the_sides_and_words_the_plane_its_slice_the_columns_and_the_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[float, float, str]] = []
    draw = ImageDraw.ImageDraw.text

    def noted(self: Any, xy: tuple[float, float], text: str, *arguments: Any, **options: Any) -> None:
        written.append((*xy, text))
        draw(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", noted)
    _panel(np.zeros(SHAPE, dtype=np.float32), center=(1, 2, 3), title="pt_1", psnr_db=20.0)
    for row, letters in ((AXIAL, "RLAP"), (CORONAL, "RLSI"), (SAGITTAL, "APSI")):  # left, right, top, bottom
        upper = TOP + row * (360 + GAP)
        inside = [entry for entry in written if LEFT < entry[0] < LEFT + CELL and upper < entry[1] < upper + 360]
        left, right, top, bottom = sorted(inside, key=lambda entry: letters.index(entry[2]))
        assert left[0] < top[0] == bottom[0] < right[0]
        assert top[1] < left[1] == right[1] < bottom[1]
    words = [text for *_, text in written if len(text) > 1]
    assert words[:3] == ["axial, slice 3", "coronal, slice 2", "sagittal, slice 1"]
    assert words[3:7] == ["original", "hidden patches in blue", "reconstruction", "difference"]
    assert [text for text in words if text.lstrip("-").isdigit()] == [
        "-160",
        "-60",
        "40",
        "140",
        "240",
        "-200",
        "-100",
        "100",
        "200",
    ]
    assert words[-1] == "pt_1   PSNR 20.00 dB"


def test_rows_of_a_thin_volume_are_as_high_as_their_names_are_long_and_a_tall_one_is_no_tower() -> None:
    thin = np.zeros((20, 20, 2), dtype=np.float32)
    assert reconstruction_panel(thin, thin > 0, thin, (1, 1, 1)).height - _panel(np.zeros(SHAPE)).height == 2 * (MIN_HEIGHT - 360)
    tall = np.zeros((20, 20, 200), dtype=np.float32)
    assert reconstruction_panel(tall, tall > 0, tall, (1, 1, 1)).height - _panel(np.zeros(SHAPE)).height == 2 * (3 * CELL - 360)


def test_volumes_on_a_networks_window_are_shown_in_hu() -> None:
    rng = np.random.default_rng(0)
    original, rebuilt = rng.random((2, 6, 5, 4)).astype(np.float32)
    hidden = original > 0.5
    in_hu = reconstruction_panel(original * 1500 - 1000, hidden, rebuilt * 1500 - 1000, (1, 1, 1))
    windowed = reconstruction_panel(original, hidden, rebuilt, (1, 1, 1), window_hu=(-1000, 500))
    assert np.abs(np.asarray(in_hu).astype(int) - np.asarray(windowed)).max() <= 1


def test_shapes_and_places_that_do_not_fit_are_refused() -> None:
    volume = np.zeros(SHAPE, dtype=np.float32)
    with pytest.raises(ValueError, match="three equal shapes"):
        reconstruction_panel(volume, volume[:5] > 0, volume, SPACING_MM)
    with pytest.raises(ValueError, match="outside the volume"):
        _panel(volume, center=(0, 12, 0))
    with pytest.raises(ValueError, match="spacing_mm"):
        reconstruction_panel(volume, volume > 0, volume, (1.0, 0.0, 1.0))


@pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")
def test_the_liver_of_a_real_scan_is_on_the_left_of_axial_and_coronal_pictures() -> None:
    folder = Path(os.environ["MAESIL_CT_DIR"]) / "totalsegmentator_example"
    image = nib.as_closest_canonical(nib.load(folder / "label.nii.gz"))
    liver = np.asarray(image.dataobj) == 5  # class 5 of TotalSegmentator is the liver
    center = tuple(int(np.median(places)) for places in np.nonzero(liver))
    spacing_mm = np.linalg.norm(image.affine[:3, :3], axis=0).tolist()
    volume = np.where(liver, 1000.0, -1000.0)
    panel = reconstruction_panel(volume, liver, volume, spacing_mm, center=center)
    extent = np.array(liver.shape) * spacing_mm
    across, front, up = (round(CELL / max(extent[:2]) * length) for length in extent)
    sizes = ((across, front), (across, up), (front, up))
    for row in (AXIAL, CORONAL):
        bright = np.argwhere((_picture(panel, row, 0, sizes) == 255).all(-1))
        assert bright[:, 1].mean() < 0.45 * across
    assert bright[:, 0].mean() < 0.4 * up  # the liver is at the upper end of this scan
