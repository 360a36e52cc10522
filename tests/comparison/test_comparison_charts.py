"""What charts and pictures of a comparison are made of, before a page shows them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_up_comparison import results as made_up_results
from PIL import Image

from maesil_monai.comparison.report.charts import blockiness, differences, error_by_distance, training_curves
from maesil_monai.comparison.report.figure3 import Picture, figure_3
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.systems import GROUPS
from maesil_monai.reports.case import Case
from maesil_monai.reports.charts import ChartSet


@pytest.mark.parametrize("draw", [training_curves, error_by_distance, differences, blockiness])
def test_without_its_numbers_a_chart_is_left_out(draw: Callable[[Results], ChartSet]) -> None:
    content = made_up_results()
    rows = [{**row, "difference": None} for row in content["rows"]]
    assert draw(Results(content))
    assert not draw(Results({"rows": rows, "settings": content["settings"]}))


def test_curves_stand_in_groups_and_the_legend_explains_the_lines_that_are_drawn() -> None:
    curves = training_curves(Results(made_up_results()))
    assert list(curves.groups) == [GROUPS["inpainting"], GROUPS["whole"]]
    assert [len(charts) for charts in curves.groups.values()] == [13, 5]
    assert [label for _, label in curves.legend[:3]] == ["the model named above the panel", "MAESIL (total)", "single seeds"]
    assert len(curves.legend) == 3 + 4  # the baselines
    assert "single seeds" not in [label for _, label in error_by_distance(Results(made_up_results())).legend]


def test_where_no_whole_scan_was_measured_blockiness_is_that_of_single_superpatches() -> None:
    content: dict[str, Any] = {**made_up_results(), "blockiness": []}
    like = next(row for row in content["rows"] if (row["model"], row["region"], row["dataset"]) == ("mae", "hidden", "sts"))
    for region, mean in (("", 7.5), ("truth", 1.25)):
        content["rows"].append({**like, "metric": "blockiness", "region": region, "mean": mean})
    shown = blockiness(Results(content))
    assert [label for _, label in shown.legend] == ["superpatches side by side", "the scans themselves"]
    assert "<desc>MAE (random) 7.50</desc>" in shown.groups[""][0].svg


def _pixels(picture: Picture) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(picture.url.partition(",")[2]))) as opened:
        return np.asarray(opened.convert("RGB"))


def test_figure_3_has_a_card_for_what_was_given_and_for_each_system_with_three_planes_in_two_windows() -> None:
    original = np.full((4, 4, 8), -600.0, dtype=np.float32)
    hidden = np.zeros((2, 2, 2), dtype=bool)
    hidden[1, 1, 1] = True  # the patient's right, front and head: the upper left of all pictures
    made = {name: original.copy() for name in ("MAE", "AE")}
    made["MAE"][2:, 2:, 4:] += 20
    case = Case("pt_7", "sts", original, hidden, original < 0, (1.0, 2.0, 3.0), made)
    (shown,) = figure_3([case], (-1000.0, 1000.0))
    assert shown.summary == "sts, pt_7: 4 x 4 x 8 voxels, 4 x 8 x 24 mm"
    assert [window.limit_hu for window in shown.windows] == [750.0, 200.0]
    lung, soft = shown.windows
    assert lung.heading == "lung window (width 1500, level -600 HU)"
    assert soft.heading == "soft-tissue window (width 400, level 40 HU)"
    # 20 of 2000 HU in every hidden voxel are 40 dB.
    assert [(card.title, card.words) for card in lung.cards] == [
        ("what was given", "1 of 8 patches hidden"),
        ("MAE", "40.00 dB, 20 HU"),
        ("AE", "120.00 dB, 0 HU"),
    ]
    given, mae, _ = lung.cards
    assert [left.aspect_ratio for left, _ in mae.rows] == [4 / 8, 4 / 24, 8 / 24]
    assert [left.alt for left, _ in mae.rows][1] == "MAE: reconstruction, coronal slice 2"
    for (grey, tinted), (_, difference) in zip(given.rows, mae.rows, strict=True):
        seen, upper, right = _pixels(grey), len(_pixels(grey)) // 2, _pixels(grey).shape[1] // 2
        changed = (_pixels(tinted) != seen).any(-1)
        assert changed[:upper, :right].all()
        assert changed.sum() == upper * right
        np.testing.assert_array_equal(_pixels(difference).any(-1), changed)  # black elsewhere
