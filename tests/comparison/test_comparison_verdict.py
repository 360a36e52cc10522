"""The sentences of a comparison: who is first, by which intervals, who loses, and what a region does not see."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_comparison import BASELINE_PSNR
from made_up_comparison import results as made_up_results

from maesil_monai.comparison.report.results import Results
from maesil_monai.comparison.report.tables2_3 import table2_ours
from maesil_monai.comparison.report.verdict import verdict


def _only(content: dict[str, Any], *models: str) -> dict[str, Any]:
    return {**content, "rows": [row for row in content["rows"] if row["model"] in (*models, *BASELINE_PSNR)]}


@pytest.fixture
def content() -> dict[str, Any]:
    return made_up_results()


def test_the_sentences_name_the_first_the_open_intervals_the_distance_and_the_losers(content: dict[str, Any]) -> None:
    sentences = verdict(Results(content))
    assert sentences[0] == (
        "PSNR: MAESIL (total) is first of 7 models that inpaint, 13.42 dB [12.52, 14.32]; the paired 95 % interval excludes 0 "
        "against 5 of 6 others, not against Hi-End-MAE (random) (-0.07 dB [-0.27, +0.13])."
    )
    assert "LPIPS: not measured (no backbone weights; set MAESIL_LPIPS_WEIGHTS)." in sentences
    assert any("mean training volume with 10.44 dB; MAESIL (total) lies +2.98 [+2.78, +3.18] dB above it" in s for s in sentences)
    for quantity in ("PSNR", "PSNR of all hidden voxels"):
        lost = f"This learned model loses to a baseline that learns nothing in {quantity}: MedMAE, slices (plane)."
        assert lost in sentences


def test_who_paints_tissue_into_the_air_gains_in_the_body_and_is_told_to_lose_over_all(content: dict[str, Any]) -> None:
    rows = content["rows"]
    for row in rows:
        if row["model"] == "medmae" and row["metric"] == "psnr":
            gain = 1.0 if row["region"] == "hidden_body" else -8.0
            row |= {"mean": (14.42 if gain > 0 else 11.22), "difference": gain, "difference_low": gain, "difference_high": gain}
    sentences = verdict(Results(content))
    assert sentences[0].startswith("PSNR: MedMAE, slices (plane) is first of 7 models that inpaint, 14.42 dB")
    assert sentences[3].startswith("PSNR of all hidden voxels: MAESIL (total) is first of 7 models that inpaint, 19.22 dB")
    assert sentences[-2].endswith("loses to a baseline that learns nothing in PSNR.")
    assert sentences[-1].endswith("in PSNR of all hidden voxels: MedMAE, slices (plane).")


def test_a_value_that_beats_every_model_where_it_is_painted_everywhere_is_told(content: dict[str, Any]) -> None:
    rows = content["rows"]
    water = [{**row, "model": "water_everywhere"} for row in rows if row["model"] == "mean_of_visible"]
    for row in (row for row in water if row["metric"] == "psnr"):
        row["mean"] = {"hidden_body": 13.5, "hidden": 8.25}[row["region"]]
    results = Results({**content, "rows": [*rows, *water]})
    assert verdict(results)[-1].startswith(
        "What hidden_body does not see: water everywhere (0 HU) has 13.50 dB [5.68, 7.48] there, more than every model that "
        "inpaints, and 8.25 dB"
    )
    # It is no baseline: nothing is measured against it, and it is not measured against anything.
    table = table2_ours(results, "unified")
    cells = {row.cells[0].text: row.cells for row in table.rows}
    assert cells["water everywhere (0 HU)"][7].text == "-"
    assert cells["MAESIL (total)"][7].text == "+2.98"
    assert not any(cell.difference for cell in cells["water everywhere (0 HU)"])
    for row in (row for row in water if row["metric"] == "psnr"):
        row["mean"] = 13.3  # below MAESIL
    assert not any("does not see" in sentence for sentence in verdict(Results({**content, "rows": [*rows, *water]})))


def test_a_lost_comparison_is_told_as_lost(content: dict[str, Any]) -> None:
    rows = content["rows"]
    for row in rows:
        if row["model"] == "mae" and row["metric"] == "psnr":
            row |= {"mean": 15.0, "difference": 1.58, "difference_low": 1.2, "difference_high": 1.9}
        if row["model"] == "interpolate_axial" and row["metric"] == "psnr":
            row |= {"mean": 14.0, "difference": 0.58, "difference_low": 0.2, "difference_high": 0.9}
    sentences = verdict(Results(content))
    assert "MAE (random) is first of 7" in sentences[0]
    assert sentences[0].endswith(
        "MAESIL (total) is number 2 with 13.42 dB [12.52, 14.32]. MAE (random) differs from it by +1.58 dB [+1.20, +1.90]; "
        "this paired interval excludes 0. MAESIL (total) loses to the best baseline that learns nothing, interpolation along S-I "
        "with 14.00 dB [8.41, 10.21]."
    )
    assert any("lies -0.58 [-0.90, -0.20] dB BELOW it" in sentence for sentence in sentences)
    assert any("These learned models lose to a baseline" in sentence and "MAESIL (total)" in sentence for sentence in sentences)


def test_a_comparison_without_maesil_says_so(content: dict[str, Any]) -> None:
    others = [row for row in content["rows"] if row["model"] != "maesil"]
    assert verdict(Results({**content, "rows": others}))[0].endswith("MAESIL (total) was not among those compared.")
    alone = [row for row in others if row["model"] in ("ae", *BASELINE_PSNR)]
    assert verdict(Results({**content, "rows": alone}))[0] == (
        "PSNR: MAESIL (total) was not among those compared, and no other model that inpaints."
    )


def test_one_model_alone_is_first_of_nothing_and_is_set_against_the_best_baseline(content: dict[str, Any]) -> None:
    _give_lpips(content)
    best = [row for row in content["rows"] if row["model"] == "mean_training_volume"]
    for row in (row for row in best if row["metric"] == "ssim"):
        row |= {"mean": 0.5, "low": 0.4, "high": 0.6, "difference": 0.032, "difference_low": -0.01, "difference_high": 0.07}
    sentences = verdict(Results(_only(content, "maesil")))  # its variants are no rivals
    assert not any("first of" in sentence for sentence in sentences)
    assert sentences[:3] == [
        "PSNR: MAESIL (total) has 13.42 dB [12.52, 14.32]; no other model that inpaints is ranked. MAESIL (total) beats the best "
        "baseline that learns nothing, mean training volume with 10.44 dB [9.54, 11.34]. The baseline differs from it by "
        "-2.98 dB [-3.18, -2.78]; this paired interval excludes 0.",
        "SSIM: MAESIL (total) has 0.468 [0.438, 0.498]; no other model that inpaints is ranked. MAESIL (total) loses to the best "
        "baseline that learns nothing, mean training volume with 0.500 [0.400, 0.600]. The baseline differs from it by +0.032 "
        "[-0.010, +0.070]; this paired interval does not exclude 0.",
        # Less is better: 1 - 0.05 PSNR.
        "LPIPS: MAESIL (total) has 0.329; no other model that inpaints is ranked. MAESIL (total) beats the best baseline that "
        "learns nothing, mean training volume with 0.478.",
    ]
    assert sentences[3].startswith("PSNR of all hidden voxels: MAESIL (total) has 19.22 dB [18.32, 20.12]; no other")
    assert not any("lies +2.98" in sentence for sentence in sentences)  # told already
    without = [row for row in content["rows"] if row["model"] == "maesil"]
    assert verdict(Results({**content, "rows": without}))[0].endswith("is ranked. No baseline was measured.")
    assert verdict(Results(_only(content, "mae")))[0] == (
        "PSNR: MAE (random) has 12.61 dB [11.71, 13.51]; no other model that inpaints is ranked, and MAESIL (total) was not "
        "among those compared. MAE (random) beats the best baseline that learns nothing, mean training volume with 10.44 dB "
        "[9.54, 11.34]."
    )


@pytest.mark.parametrize(
    ("place", "metric", "region", "mean", "told"),
    [
        (0, "psnr", "hidden_body", 14.0, "14.00 dB"),
        (1, "ssim", "hidden_body", 0.6, "0.600"),
        (2, "lpips", "hidden_body", 0.1, "0.100"),
        (3, "psnr", "hidden", 20.0, "20.00 dB"),
    ],
)
def test_the_first_is_told_to_lose_to_a_baseline(
    content: dict[str, Any], place: int, metric: str, region: str, mean: float, told: str
) -> None:
    _give_lpips(content)
    before = verdict(Results(content))[place]
    assert "baseline" not in before
    for row in content["rows"]:
        if (row["model"], row["metric"], row["region"]) == ("interpolate_axial", metric, region):
            row |= {"mean": mean, "low": None, "high": None}
    lost = f" All of them lose to the best baseline that learns nothing, interpolation along S-I with {told}."
    assert verdict(Results(content))[place] == before + lost


def test_one_patient_has_no_interval_that_could_exclude_0_and_one_variant_is_no_plural(content: dict[str, Any]) -> None:
    few = _only(content, "maesil", "mae")
    few["rows"] = [row for row in few["rows"] if row["model"] != "maesil" or row["training_rule"] in ("total", "plane")]
    assert any(sentence.startswith("Of 1 variant of MAESIL (") for sentence in verdict(Results(few)))
    for row in few["rows"]:
        row |= {"difference_high": 0.1} if row["model"] == "mae" else {}
    assert "excludes 0 against 0 of 1 other, not against MAE (random)" in verdict(Results(few))[0]
    for row in few["rows"]:
        row |= {"low": None, "high": None, "difference_low": None, "difference_high": None}
        row["mean"] = 15.0 if (row["model"], row["metric"]) == ("mae", "psnr") else row["mean"]
    assert verdict(Results(few))[0] == (
        "PSNR: MAE (random) is first of 2 models that inpaint, 15.00 dB; MAESIL (total) is number 2 with 13.42 dB. MAE (random) "
        "differs from it by -0.81 dB."
    )


def test_outputs_that_are_not_finite_are_neither_unmeasured_nor_winners(content: dict[str, Any]) -> None:
    alone = _only(content, "maesil")
    alone["rows"] = [dict(row) for row in alone["rows"] if row["model"] != "maesil" or row["training_rule"] == "total"]
    for row in alone["rows"]:
        if row["model"] == "maesil" and row["metric"] == "psnr":
            row |= {"mean": None, "low": None, "high": None, "num_undefined": 2}
    sentences = verdict(Results(alone))
    assert sentences[0] == "PSNR: MAESIL (total) has no finite value."
    assert "No learned model with a finite PSNR loses to a baseline that learns nothing in PSNR." in sentences


def _give_lpips(content: dict[str, Any]) -> None:
    """Makes LPIPS follow the PSNR, without intervals."""
    psnr = {
        tuple(row[key] for key in ("model", "training_rule", "evaluation_rule", "dataset", "region")): row["mean"]
        for row in content["rows"]
        if row["metric"] == "psnr"
    }
    for row in (row for row in content["rows"] if row["metric"] == "lpips"):
        key = tuple(row[key] for key in ("model", "training_rule", "evaluation_rule", "dataset", "region"))
        row["mean"] = 1 - 0.05 * psnr[key]
