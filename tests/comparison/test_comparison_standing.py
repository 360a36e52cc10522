"""The marks of a comparison: who is first, by which intervals, who loses, and what a region does not see."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_comparison import BASELINE_PSNR, NO_LPIPS
from made_up_comparison import results as made_up_results

from maesil_monai.comparison.report.legend import BEST_BASELINE, BLIND_SPOT, WORSE
from maesil_monai.comparison.report.results_file import Results
from maesil_monai.comparison.report.standing_table import standing_table
from maesil_monai.comparison.report.systems import MAESIL
from maesil_monai.comparison.report.tables2_3 import table2_ours
from maesil_monai.reports.tables import Cell, Table

Content = dict[str, Any]
QUANTITIES = ("PSNR (dB)", "SSIM", "LPIPS", "PSNR of all hidden voxels (dB)")
PLACES = {"PSNR (dB)": 1, "SSIM": 2, "LPIPS": 3, "PSNR of all hidden voxels (dB)": 6, "against": 7}  # in Table II
MEDMAE, WATER = "MedMAE, slices (plane)", "water everywhere (0 HU)"


@pytest.fixture
def content() -> Content:
    return made_up_results()


def _only(content: Content, *models: str) -> Content:
    return {**content, "rows": [row for row in content["rows"] if row["model"] in (*models, *BASELINE_PSNR)]}


def _standing(content: Content, quantity: str = "PSNR (dB)") -> tuple[Cell, Cell, Cell, Cell]:
    """Gives the first of the models, MAESIL, its place and the best baseline."""
    found = {row.cells[0].text: row.cells[1:] for row in standing_table(Results(content)).rows}
    assert tuple(found) == QUANTITIES
    own, place, first, baseline = found[quantity]
    return first, own, place, baseline


def _cell(content: Content, name: str, column: str = "PSNR (dB)") -> Cell:
    (row,) = [row for row in _table2(content).rows if row.cells[0].text == name]
    return row.cells[PLACES[column]]


def _table2(content: Content) -> Table:
    return table2_ours(Results(content), "unified")


def _bearers(content: Content, mark: object, column: str = "PSNR (dB)") -> list[str]:
    return [row.cells[0].text for row in _table2(content).rows if mark in row.cells[PLACES[column]].marks]


def _change(content: Content, model: str, metric: str, region: str = "hidden_body", **values: Any) -> None:
    for row in content["rows"]:
        if (row["model"], row["metric"], row["region"]) == (model, metric, region):
            row |= values


def test_the_first_the_open_intervals_the_distance_and_the_losers_are_told(content: Content) -> None:
    first, own, place, baseline = _standing(content)
    # Seven models inpaint on the same superpatches: MAESIL, MAE, Hi-End-MAE, MedMAE and three masked autoencoders.
    assert (first.text, first.interval, first.words) == ("13.42", "[12.52, 14.32]", "MAESIL (total)")
    assert (own.text, place.text) == ("13.42", "1 of 7")
    assert (baseline.text, baseline.words, baseline.marks) == ("10.44", "mean training volume", [BEST_BASELINE])
    assert _cell(content, MAESIL.label).best
    # The paired interval excludes 0 against five of the six others, not against Hi-End-MAE.
    others = [row.cells[0].text for row in _table2(content).rows if row.cells[1].difference and not row.cells[1].sign]
    assert others == ["MAESIL (union)", "Hi-End-MAE (random)"]
    assert _cell(content, "Hi-End-MAE (random)").difference == "-0.07 [-0.27, +0.13]"
    distance = _cell(content, MAESIL.label, "against")
    assert (distance.text, distance.interval) == ("+2.98", "[+2.78, +3.18]")
    for column in ("PSNR (dB)", "PSNR of all hidden voxels (dB)"):
        assert _bearers(content, WORSE, column) == [MEDMAE]
        assert _bearers(content, BEST_BASELINE, column) == ["mean training volume"]


def test_what_could_not_be_measured_reads_so_and_the_reason_stands_below(content: Content) -> None:
    first, own, place, baseline = _standing(content, "LPIPS")
    assert [first.text, own.text, place.text, baseline.text] == ["not measured", "not measured", "-", "not measured"]
    assert standing_table(Results(content)).notes == [f"LPIPS not measured where a cell says so: {NO_LPIPS}"]
    assert {row.cells[3].text for row in _table2(content).rows} == {"not measured"}


def test_who_paints_tissue_into_the_air_gains_in_the_body_and_is_marked_over_all(content: Content) -> None:
    gain = {"difference": 1.0, "difference_low": 1.0, "difference_high": 1.0}
    _change(content, "medmae", "psnr", mean=14.42, **gain)
    _change(content, "medmae", "psnr", "hidden", mean=11.22, **dict.fromkeys(gain, -8.0))
    first, _, place, _ = _standing(content)
    assert (first.text, first.words, first.difference, first.sign, place.text) == (
        "14.42",
        MEDMAE,
        "+1.00 [+1.00, +1.00]",
        1,
        "2 of 7",
    )
    first, _, place, _ = _standing(content, "PSNR of all hidden voxels (dB)")
    assert (first.text, first.words, place.text) == ("19.22", "MAESIL (total)", "1 of 7")
    assert _bearers(content, WORSE) == []
    assert _bearers(content, WORSE, "PSNR of all hidden voxels (dB)") == [MEDMAE]


def test_a_value_that_beats_every_model_where_it_is_painted_everywhere_is_marked(content: Content) -> None:
    content["rows"] += [{**row, "model": "water_everywhere"} for row in content["rows"] if row["model"] == "mean_of_visible"]
    _change(content, "water_everywhere", "psnr", mean=13.5)
    _change(content, "water_everywhere", "psnr", "hidden", mean=8.25)
    cell = _cell(content, WATER)
    assert (cell.text, cell.interval, list(cell.marks)) == ("13.50", "[5.68, 7.48]", [BLIND_SPOT])
    assert _cell(content, WATER, "PSNR of all hidden voxels (dB)").text == "8.25"
    names = [row.cells[0] for row in standing_table(Results(content)).rows]
    assert [name.text for name in names if BLIND_SPOT in name.marks] == ["PSNR (dB)"]
    # It is no baseline and no model: nothing is measured against it, it against nothing, and it is not the best of a column.
    assert _cell(content, WATER, "against").text == "-"
    assert _cell(content, MAESIL.label, "against").text == "+2.98"
    assert not any(_cell(content, WATER, column).difference for column in PLACES)
    assert _cell(content, MAESIL.label).best
    _change(content, "water_everywhere", "psnr", mean=13.3)  # below MAESIL
    assert _bearers(content, BLIND_SPOT) == []


def test_a_lost_comparison_is_seen_to_be_lost(content: Content) -> None:
    _change(content, "mae", "psnr", mean=15.0, difference=1.58, difference_low=1.2, difference_high=1.9)
    _change(content, "interpolate_axial", "psnr", mean=14.0, difference=0.58, difference_low=0.2, difference_high=0.9)
    first, own, place, baseline = _standing(content)
    assert (first.text, first.words, first.difference, first.sign) == ("15.00", "MAE (random)", "+1.58 [+1.20, +1.90]", 1)
    assert (first.best, list(first.marks)) == (True, [])
    assert (own.text, own.interval, list(own.marks), place.text) == ("13.42", "[12.52, 14.32]", [WORSE], "2 of 7")
    assert (baseline.text, baseline.interval, baseline.words) == ("14.00", "[8.41, 10.21]", "interpolation along S-I")
    distance = _cell(content, MAESIL.label, "against")
    assert (distance.text, distance.interval) == ("-0.58", "[-0.90, -0.20]")
    assert {MAESIL.label, "Hi-End-MAE (random)"} < set(_bearers(content, WORSE))
    assert "MAE (random)" not in _bearers(content, WORSE)
    assert {row.cells[0].text for row in _table2(content).rows if row.look == "loses"} == set(_bearers(content, WORSE))


def test_a_comparison_without_maesil_has_a_first_and_dashes(content: Content) -> None:
    others = {**content, "rows": [row for row in content["rows"] if row["model"] != "maesil"]}
    first, own, place, _ = _standing(others)
    assert (first.words, own.text, place.text) == ("Hi-End-MAE (random)", "-", "-")
    first, own, place, baseline = _standing(_only(content, "ae"))  # no model inpaints
    assert (first.text, own.text, place.text, baseline.text) == ("-", "-", "-", "10.44")


def test_one_model_alone_is_set_against_the_best_baseline(content: Content) -> None:
    _give_lpips(content)
    inside = {"mean": 0.5, "low": 0.4, "high": 0.6, "difference": 0.032, "difference_low": -0.01, "difference_high": 0.07}
    _change(content, "mean_training_volume", "ssim", **inside)
    alone = _only(content, "maesil")  # its variants are no rivals
    _, own, place, baseline = _standing(alone)
    assert (own.text, list(own.marks), place.text) == ("13.42", [], "1 of 1")
    assert (baseline.text, baseline.difference, baseline.sign) == ("10.44", "-2.98 [-3.18, -2.78]", -1)
    _, own, place, baseline = _standing(alone, "SSIM")
    assert (own.text, list(own.marks), place.text) == ("0.468", [WORSE], "1 of 1")
    assert (baseline.text, baseline.best, baseline.difference, baseline.sign) == ("0.500", True, "+0.032 [-0.010, +0.070]", 0)
    # Less is better: 1 - 0.05 PSNR.
    _, own, _, baseline = _standing(alone, "LPIPS")
    assert (own.text, own.best, baseline.text, baseline.words) == ("0.329", True, "0.478", "mean training volume")
    without = {**content, "rows": [row for row in content["rows"] if row["model"] == "maesil"]}
    assert _standing(without)[3].text == "-"
    first, own, place, _ = _standing(_only(content, "mae"))
    assert (first.words, first.text, list(first.marks), own.text, place.text) == ("MAE (random)", "12.61", [], "-", "-")


@pytest.mark.parametrize(
    ("quantity", "metric", "region", "mean", "told"),
    [
        ("PSNR (dB)", "psnr", "hidden_body", 14.0, "14.00"),
        ("SSIM", "ssim", "hidden_body", 0.6, "0.600"),
        ("LPIPS", "lpips", "hidden_body", 0.1, "0.100"),
        ("PSNR of all hidden voxels (dB)", "psnr", "hidden", 20.0, "20.00"),
    ],
)
def test_the_first_is_marked_where_it_loses_to_a_baseline(
    content: Content, quantity: str, metric: str, region: str, mean: float, told: str
) -> None:
    _give_lpips(content)
    first, own, _, baseline = _standing(content, quantity)
    assert (first.best, list(first.marks), list(own.marks), baseline.best) == (True, [], [], False)
    _change(content, "interpolate_axial", metric, region, mean=mean, low=None, high=None)
    first, own, place, baseline = _standing(content, quantity)
    assert (first.words, first.best, list(first.marks), list(own.marks)) == ("MAESIL (total)", False, [WORSE], [WORSE])
    assert (baseline.text, baseline.words, baseline.best, place.text) == (told, "interpolation along S-I", True, "1 of 7")
    learned = [row for row in _table2(content).rows if row.cells[0].text in ("MAESIL (total)", "MAE (random)", MEDMAE)]
    assert all(WORSE in row.cells[PLACES[quantity]].marks for row in learned)


def test_a_variant_is_no_rival_and_is_told_apart_where_its_interval_excludes_0(content: Content) -> None:
    few = _only(content, "maesil", "mae")
    for row in (row for row in few["rows"] if (row["model"], row["training_rule"]) == ("maesil", "plane")):
        row |= (
            {"mean": 16.0, "difference": 2.58, "difference_low": 2.0, "difference_high": 3.0} if row["metric"] == "psnr" else {}
        )
    first, _, place, _ = _standing(few)
    assert (first.words, place.text) == ("MAESIL (total)", "1 of 2")
    assert (_cell(few, "MAESIL (plane)").best, _cell(few, "MAESIL (plane)").sign) == (True, 1)
    assert (_cell(few, "MAESIL (union)").sign, _cell(few, "MAESIL (random)").sign) == (0, -1)
    _change(few, "mae", "psnr", difference_high=0.1)
    assert _cell(few, "MAE (random)").sign == 0


def test_one_patient_has_no_interval_that_could_exclude_0(content: Content) -> None:
    few = _only(content, "maesil", "mae")
    for row in few["rows"]:
        row |= {"low": None, "high": None, "difference_low": None, "difference_high": None, "num_patients": 1}
    _change(few, "mae", "psnr", mean=15.0)
    first, own, place, _ = _standing(few)
    assert (first.text, first.interval, first.words, first.difference, first.sign) == (
        "15.00",
        "n = 1",
        "MAE (random)",
        "-0.81",
        0,
    )
    assert (own.text, own.interval, place.text) == ("13.42", "n = 1", "2 of 2")
    assert _cell(few, MAESIL.label, "against").interval == ""


def test_outputs_that_are_not_finite_are_neither_unmeasured_nor_winners(content: Content) -> None:
    alone = _only(content, "maesil", "mae")
    alone["rows"] = [row for row in alone["rows"] if row["training_rule"] in (None, "total", "random")]
    lost = {"mean": None, "low": None, "high": None, "num_undefined": 2}
    alone["rows"] = [
        {**row, **lost} if (row["model"], row["training_rule"], row["metric"]) == ("maesil", "total", "psnr") else row
        for row in alone["rows"]
    ]
    first, own, place, _ = _standing(alone)
    assert (first.words, own.text, list(own.marks), place.text) == ("MAE (random)", "not finite (2 patients)", [], "-")
    assert _bearers(alone, WORSE) == []
    assert _cell(alone, MAESIL.label, "against").text == "-"


def _give_lpips(content: Content) -> None:
    """Makes LPIPS follow the PSNR, without intervals."""
    names = ("model", "training_rule", "evaluation_rule", "dataset", "region")
    psnr = {tuple(row[key] for key in names): row["mean"] for row in content["rows"] if row["metric"] == "psnr"}
    for row in (row for row in content["rows"] if row["metric"] == "lpips"):
        row["mean"] = 1 - 0.05 * psnr[tuple(row[key] for key in names)]
