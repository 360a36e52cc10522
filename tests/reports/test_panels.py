import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from maesil_monai.evaluation import WINDOWS, figure_to_array, reconstruction_panel, save_panels, save_png
from maesil_monai.reports.panels import HIDDEN_TINT

SHAPE, SPACING_MM = (10, 12, 6), (1.0, 2.0, 4.0)
AXIAL, CORONAL, SAGITTAL = 0, 4, 8  # number of the row's first picture


def _pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes[:12]]


def _panel(original: np.ndarray, hidden: np.ndarray | None = None, **panel: object) -> Figure:
    hidden = np.zeros(SHAPE, dtype=bool) if hidden is None else hidden
    return reconstruction_panel(original, hidden, original, SPACING_MM, **panel)  # type: ignore[arg-type]


def test_the_patients_right_front_and_head_are_shown_left_up_and_up() -> None:
    original = np.full(SHAPE, -1000.0, dtype=np.float32)
    original[9, 11, 5] = 1000.0  # the corner furthest to the right, the front and the head
    pictures = _pictures(_panel(original, center=(9, 11, 5)))
    for first in (AXIAL, CORONAL, SAGITTAL):
        bright = np.argwhere(pictures[first][..., 0] > 0.5)
        assert bright.tolist() == [[0, 0]]  # upper left: right and front (axial), right and head (coronal), front and head
    assert pictures[AXIAL].shape[:2] == (12, 10)
    assert pictures[CORONAL].shape[:2] == (6, 10)
    assert pictures[SAGITTAL].shape[:2] == (6, 12)


def test_the_letters_name_the_sides_of_each_plane() -> None:
    figure = _panel(np.zeros(SHAPE, dtype=np.float32))
    letters = ["".join(text.get_text() for text in figure.axes[first].texts) for first in (AXIAL, CORONAL, SAGITTAL)]
    assert letters == ["RLAP", "RLSI", "APSI"]  # left, right, top, bottom


def test_a_pixel_on_the_figure_has_the_voxels_proportions() -> None:
    figure = _panel(np.zeros(SHAPE, dtype=np.float32))
    figure_to_array(figure)
    for first, (across_mm, up_mm) in ((AXIAL, (10, 24)), (CORONAL, (10, 24)), (SAGITTAL, (24, 24))):
        box = figure.axes[first].get_window_extent()
        assert box.width / box.height == pytest.approx(across_mm / up_mm, rel=1e-3)


def test_hidden_patches_are_tinted_and_visible_voxels_keep_their_grey() -> None:
    original = np.full(SHAPE, 40.0, dtype=np.float32)
    hidden = np.zeros(SHAPE, dtype=bool)
    hidden[:5] = True  # the patient's left half: the right half of axial pictures
    axial = _pictures(_panel(original, hidden, center=(5, 6, 3)))[AXIAL + 1]
    tint = np.array([int(HIDDEN_TINT[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    np.testing.assert_allclose(axial[:, 5:], np.broadcast_to(tint, (12, 5, 3)), atol=1e-6)
    np.testing.assert_allclose(axial[:, :5], 0.5, atol=0.01)  # the window's level is middle grey


def test_the_difference_is_black_where_there_is_none_warm_above_and_cold_below() -> None:
    original = np.zeros(SHAPE, dtype=np.float32)
    reconstruction = original.copy()
    reconstruction[9, :, 3], reconstruction[0, :, 3] = 150.0, -150.0
    figure = reconstruction_panel(original, original > 0, reconstruction, SPACING_MM, center=(5, 6, 3))
    difference = _pictures(figure)[AXIAL + 3]
    assert difference[0, 5].max() < 0.02
    assert difference[0, 0, 0] > difference[0, 0, 2]  # column 0 is i = 9: too bright, red above blue
    assert difference[0, 9, 2] > difference[0, 9, 0]


def test_the_window_maps_its_ends_to_black_and_white() -> None:
    original = np.zeros(SHAPE, dtype=np.float32)
    original[:, 0], original[:, 1] = -600 - 750, -600 + 750
    axial = _pictures(_panel(original, window=WINDOWS["lung"], center=(0, 0, 0)))[AXIAL]
    assert axial[11].max() == 0.0  # posterior is the last row
    assert axial[10].min() == 1.0


def test_volumes_on_a_networks_window_are_shown_in_hu() -> None:
    rng = np.random.default_rng(0)
    original, rebuilt = rng.random((2, 6, 5, 4)).astype(np.float32)
    hidden = original > 0.5
    in_hu = reconstruction_panel(original * 1500 - 1000, hidden, rebuilt * 1500 - 1000, (1, 1, 1))
    windowed = reconstruction_panel(original, hidden, rebuilt, (1, 1, 1), window_hu=(-1000, 500))
    assert np.abs(figure_to_array(in_hu).astype(int) - figure_to_array(windowed)).max() <= 1


def test_shapes_and_places_that_do_not_fit_are_refused() -> None:
    volume = np.zeros(SHAPE, dtype=np.float32)
    with pytest.raises(ValueError, match="three equal shapes"):
        reconstruction_panel(volume, volume[:5] > 0, volume, SPACING_MM)
    with pytest.raises(ValueError, match="outside the volume"):
        _panel(volume, center=(0, 12, 0))
    with pytest.raises(ValueError, match="spacing_mm"):
        reconstruction_panel(volume, volume > 0, volume, (1.0, 0.0, 1.0))


def test_one_whole_file_is_written_per_window(tmp_path: Path) -> None:
    volume = np.zeros(SHAPE, dtype=np.float32)
    paths = save_panels(tmp_path / "new", "case", volume, volume > 0, volume, SPACING_MM, title="case", psnr_db=20.0, dpi=40)
    assert [path.name for path in paths] == ["case_lung.png", "case_soft_tissue.png"]
    assert sorted((tmp_path / "new").iterdir()) == paths
    for path in paths:
        with Image.open(path) as picture:
            picture.verify()


def test_a_failed_write_leaves_the_old_picture_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def full(self: Figure, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="No space"):
        save_png(Figure(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


@pytest.mark.skipif("MAESIL_CT_DIR" not in os.environ, reason="MAESIL_CT_DIR is not set")
def test_the_liver_of_a_real_scan_is_on_the_left_of_axial_and_coronal_pictures() -> None:
    folder = Path(os.environ["MAESIL_CT_DIR"]) / "totalsegmentator_example"
    image = nib.as_closest_canonical(nib.load(folder / "label.nii.gz"))
    liver = np.asarray(image.dataobj) == 5  # class 5 of TotalSegmentator is the liver
    center = tuple(int(np.median(places)) for places in np.nonzero(liver))
    spacing_mm = np.linalg.norm(image.affine[:3, :3], axis=0).tolist()
    volume = np.where(liver, 1000.0, -1000.0)
    pictures = _pictures(reconstruction_panel(volume, liver, volume, spacing_mm, center=center))
    for first in (AXIAL, CORONAL):
        columns = np.nonzero(pictures[first][..., 0] > 0.5)[1]
        assert columns.mean() < 0.45 * pictures[first].shape[1]
    rows = np.nonzero(pictures[CORONAL][..., 0] > 0.5)[0]
    assert rows.mean() < 0.4 * pictures[CORONAL].shape[0]  # the liver is at the upper end of this scan
