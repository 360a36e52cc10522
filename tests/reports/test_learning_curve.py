import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maesil_monai.reports.chart_output import save_png
from maesil_monai.reports.learning_curve import learning_curve

POINTS = [
    {"superpatches": superpatches, "minutes": minutes, "psnr": value}
    for superpatches, minutes, value in ((0, 0.0, 5.0), (100, 10.0, 9.0), (200, 15.0, math.nan), (400, 20.0, 12.0))
]


def test_the_curve_has_the_points_and_each_defined_baseline_as_a_labelled_line() -> None:
    baselines = {"mean_of_visible": 6.6, "interpolate_axial": 9.3, "mean_training_volume": math.nan}
    ax = learning_curve(POINTS, "psnr", baselines).axes[0]
    assert np.asarray(ax.lines[0].get_xdata()).tolist() == [0, 100, 200, 400]
    assert [line.get_label() for line in ax.lines] == ["network", "mean_of_visible", "interpolate_axial"]
    assert [np.asarray(line.get_ydata()).tolist() for line in ax.lines[1:]] == [[6.6, 6.6], [9.3, 9.3]]
    assert [text.get_text() for text in ax.texts] == ["mean of visible 6.60", "interpolate axial 9.30", "network 12.00"]


def test_names_of_close_lines_do_not_touch() -> None:
    ax = learning_curve(POINTS, "psnr", {"a": 9.3, "b": 9.31, "c": 9.32}).axes[0]
    heights = sorted(text.get_position()[1] for text in ax.texts)
    lower, upper = ax.get_ylim()
    assert min(np.diff(heights)) >= 0.0499 * (upper - lower)


def test_the_upper_axis_tells_the_minutes_of_the_superpatches_below() -> None:
    (upper,) = learning_curve(POINTS, "psnr", {}).axes[0].child_axes
    # Ticks at 0, 100, 200, 300, 400 superpatches; 300 lies half way between minutes 15 and 20.
    assert [tick.get_text() for tick in upper.get_xticklabels()] == ["0.0", "10.0", "15.0", "17.5", "20.0"]


def test_a_curve_is_written_as_a_picture_also_of_one_validation(tmp_path: Path) -> None:
    path = save_png(learning_curve(POINTS[:1], "psnr", {"mean_of_visible": 6.6}), tmp_path / "curve.png")
    with Image.open(path) as picture:
        assert picture.size == (1050, 600)  # 7 x 4 inches at 150 pixels


def test_superpatches_that_do_not_increase_are_refused() -> None:
    with pytest.raises(ValueError, match="later than the last"):
        learning_curve([POINTS[1], POINTS[0]], "psnr", {})
    with pytest.raises(ValueError, match="one validation or more"):
        learning_curve([], "psnr", {})
