"""Entries, intervals and rows: what the tables of a comparison are made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from maesil_monai.comparison.intervals import interval, paired_difference
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.score_files import NOT_FINITE, Scores, by_patient
from maesil_monai.comparison.table_rows import Line, rows_of, split_name


@pytest.mark.parametrize(
    "text", ["maesil", "mae@random", "maesil@total+mask_ratio=0.6+superpatch_size=[32,32,16]", "ae+preset=tiny"]
)
def test_an_entry_reads_back_what_it_writes(text: str) -> None:
    assert str(Entry.parse(text)) == text
    assert Entry.parse(str(Entry.parse(text))) == Entry.parse(text)


@pytest.mark.parametrize("text", ["", "@total", "maesil@", "maesil@diagonal", "maesil+decoder", "maesil+=3", "maesil+decoder="])
def test_a_text_that_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Entry.parse(text)


def test_the_interval_of_one_seed_is_the_percentile_bootstrap_over_patients() -> None:
    values = np.random.default_rng(1).normal(20.0, 2.0, size=(12, 1))
    found = interval({"a": values}, num_draws=20_000)
    known = bootstrap((values[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2))
    assert found.mean == pytest.approx(values.mean())
    # Two bootstraps of 20,000 draws differ by a few thousandths of a deviation of the mean (2 / sqrt(12) = 0.58).
    assert found.low == pytest.approx(known.confidence_interval.low, abs=0.03)
    assert found.high == pytest.approx(known.confidence_interval.high, abs=0.03)


def test_seeds_widen_the_interval_when_they_differ() -> None:
    patients = np.linspace(19.0, 21.0, 8)[:, None]
    calm, wild = interval({"a": patients + np.zeros(3)}), interval({"a": patients + np.array([-2.0, 0.0, 2.0])})
    assert calm.mean == pytest.approx(wild.mean)
    assert wild.high - wild.low > 2 * (calm.high - calm.low)


def test_collections_weigh_equally_however_many_patients_they_have() -> None:
    found = interval({"large": np.full((30, 1), 10.0), "small": np.full((2, 1), 20.0)})
    assert (found.mean, found.low, found.high) == pytest.approx((15.0, 15.0, 15.0))
    assert found.num_patients == 32


def test_a_patient_without_the_region_counts_nowhere() -> None:
    values = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]])
    found = interval({"a": values})
    assert (found.mean, found.num_patients, found.num_undefined) == (2.5, 2, 0)
    assert math.isnan(interval({"a": np.full((2, 1), np.nan)}).mean)


@pytest.mark.parametrize("spoilt", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_undoes_the_mean_and_is_counted(spoilt: float) -> None:
    values = np.array([[1.0, 2.0], [spoilt, 5.0], [3.0, 4.0]])
    for found in (interval({"a": values}), paired_difference({"a": np.ones((3, 1))}, {"a": values})):
        assert math.isnan(found.mean)
        assert math.isnan(found.low)
        assert (found.num_patients, found.num_undefined) == (3, 1)


def test_a_seed_is_the_same_network_in_all_collections() -> None:
    """Two collections that agree tell of the seeds what one of them tells: the interval is as wide."""
    values = np.array([-2.0, 0.0, 2.0]) + np.zeros((8, 1))
    one, two = (interval(dict.fromkeys(names, values), num_draws=20_000) for names in ("a", "ab"))
    assert two.high - two.low == pytest.approx(one.high - one.low, rel=0.05)


def test_one_patient_has_a_mean_and_no_interval() -> None:
    found = interval({"a": np.array([[3.0, 5.0]])})
    assert found.mean == 4.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_paired_difference_does_not_see_how_patients_differ_among_themselves() -> None:
    """Patients spread over 20 dB, but each gains 1 dB: the interval of the difference is that 1 dB."""
    patients = np.linspace(10.0, 30.0, 9)[:, None]
    found = paired_difference({"a": patients + 1.0}, {"a": np.repeat(patients, 3, axis=1)})
    assert (found.mean, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="same patients"):
        paired_difference({"a": patients}, {"a": patients[1:]})


def _scan(patient: str, dataset: str, psnr: float | None, case: str = "") -> dict[str, Any]:
    return {"case_id": case or patient, "patient_id": patient, "dataset": dataset, "psnr_hidden_body": psnr}


def test_scans_of_a_patient_are_averaged_before_patients_are() -> None:
    scans = [_scan("p", "a", 10.0, "1"), _scan("p", "a", 20.0, "2"), _scan("q", "a", 30.0)]
    assert by_patient([Scores({}, scans)], "psnr_hidden_body")["a"].tolist() == [[15.0], [30.0]]


def test_a_prediction_that_is_not_finite_does_not_remove_its_patient() -> None:
    """Patients of 10 and 12 dB, and one whose prediction is NaN: no mean of 11 dB."""
    scans = [_scan("p", "a", 10.0), {**_scan("q", "a", None), "psnr_hidden_body": NOT_FINITE}, _scan("r", "a", 12.0)]
    lines = [Line("maesil", "total", "total", (0,), (Scores({}, scans),))]
    (row,) = rows_of(lines, "maesil", "total", num_draws=10)
    assert (row["mean"], row["num_patients"], row["num_undefined"]) == (None, 3, 1)


def test_other_superpatches_have_no_difference_to_the_reference() -> None:
    scores = Scores({}, [_scan("p", "a", 10.0), _scan("q", "a", 12.0)])
    lines = [
        Line(name, "total", "total", (0,), (scores,), same) for name, same in (("maesil", True), ("mae", True), ("hi", False))
    ]
    found = {row["model"]: row["difference"] for row in rows_of(lines, "maesil", "total", num_draws=10)}
    assert found == {"maesil": None, "mae": 0.0, "hi": None}


def test_rows_hold_each_collection_the_unified_one_and_the_difference_to_the_reference() -> None:
    def scores(gain: float) -> Scores:
        scans = [
            _scan("p", "a", 10.0 + gain),
            _scan("q", "a", 12.0 + gain),
            _scan("r", "b", 20.0 + gain),
            _scan("s", "b", 22.0 + gain),
        ]
        return Scores({}, [*scans, _scan("t", "alone", 5.0)])

    lines = [
        Line("maesil", "total", "total", (0,), (scores(0.0),)),
        Line("mae", "random", "total", (0, 1), (scores(-1.0), scores(-2.0))),
        Line("mean_of_visible", None, "plane", (), (scores(-5.0),)),
    ]
    rows = list(rows_of(lines, "maesil", "total", num_draws=200))
    assert [row["dataset"] for row in rows if row["model"] == "maesil"] == ["a", "alone", "b", "unified"]
    unified = {row["model"]: row for row in rows if row["dataset"] == "unified"}
    assert unified["maesil"]["mean"] == 16.0
    assert unified["maesil"]["difference"] is None
    assert unified["mae"]["mean"] == 14.5
    assert unified["mae"]["difference"] == pytest.approx(-1.5)
    assert -2.0 <= unified["mae"]["difference_low"] < unified["mae"]["difference_high"] <= -1.0
    assert unified["mae"]["seeds"] == [0, 1]
    assert unified["mae"]["num_patients"] == 4
    assert unified["mean_of_visible"]["difference"] is None  # no reference under that rule
    alone = next(row for row in rows if row["dataset"] == "alone")
    assert (alone["mean"], alone["low"], alone["num_patients"]) == (5.0, None, 1)
    assert {(row["metric"], row["region"]) for row in rows} == {("psnr", "hidden_body")}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mae_soft_hu_hidden_body", ("mae_soft_hu", "hidden_body")),
        ("mae_hu_full", ("mae_hu", "full")),
        ("blockiness", ("blockiness", "")),
    ],
)
def test_names_of_values_part_into_metric_and_region(name: str, parts: tuple[str, str]) -> None:
    assert split_name(name) == parts
