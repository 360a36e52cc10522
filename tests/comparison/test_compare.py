"""The comparison from end to end: one command on a store of phantoms, every system, tiny sizes."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from maesil_monai.__main__ import main
from maesil_monai.comparison import training
from maesil_monai.comparison.ablations import ablations
from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.judging_pipeline import Pipeline, Split
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.score_files import Scores
from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.evaluation.baselines import CONSTANTS_HU
from maesil_monai.phantom.layouts import write_layouts
from maesil_monai.training.trained_on import marks_of
from maesil_monai.weights_file import load_network, read_weights, save_weights

SYSTEMS = ("maesil", "mae", "hi_end_mae", "medmae", "ae", "vae", "vqvae")
TRIVIAL = ("mean_of_visible", "interpolate_axial", "nearest_visible_patch", "mean_training_volume")
LEARN_NOTHING = (*TRIVIAL, *CONSTANTS_HU)
# Superpatches of 32 voxels, the smallest that LPIPS takes; two optimiser steps an epoch.
TINY: dict[str, Any] = {
    "preset": "tiny",
    "cube_size": 64,
    "superpatch_size": 32,
    "batch_size": 4,
    "accumulation": 1,
    "superpatches_per_epoch": 8,
    "max_epochs": 2,
    "val_interval": 2,
    "val_superpatches": 4,
    "warmup_steps": 1,
    "learning_rate": 1e-3,
    "learning_rate_batch": 0,
    "num_panels": 0,
    "num_workers": 0,
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three collections; of each the last two scans test and the one before them validates."""
    folder = tmp_path_factory.mktemp("phantoms")
    raw = write_layouts(folder / "raw", num_scans=4, seed=3, size="tiny")
    prepare(
        PrepareOptions(folder / "store", raw["btcv"], raw["lidc"], raw["totalsegmentator"], pseudonyms=False, thumbnails="none")
    )
    file = folder / "store" / "datalist.json"
    lists = json.loads(file.read_text())
    sides = ("training", "validation", "test")
    rows = [row for side in sides for row in lists[side]]
    lists.update({side: [] for side in sides})
    for dataset in ("btcv", "lidc", "totalsegmentator"):
        own = [row for row in rows if row["dataset"] == dataset]
        for side, part in zip(sides, (own[:-3], own[-3:-2], own[-2:]), strict=True):
            lists[side] += part
    file.write_text(json.dumps(lists))
    return folder / "store"


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("overlay") / "tiny.json"
    file.write_text(json.dumps(TINY))
    return file


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    if "MAESIL_LPIPS_WEIGHTS" not in os.environ:
        monkeypatch.setenv("MAESIL_LPIPS_WEIGHTS", str(tmp_path_factory.getbasetemp() / "no_weights"))


def _compare(store: Path, output: Path, overlay: Path, **options: Any) -> None:
    words = ["compare", "--store", str(store), "--output", str(output), "--overlay", str(overlay), "--max_superpatches", "6"]
    for key, value in options.items():
        words += [f"--{key}", str(value)]
    main(words)


@pytest.fixture(scope="module")
def compared(store: Path, overlay: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("comparison")
    with pytest.MonkeyPatch.context() as patch:
        if "MAESIL_LPIPS_WEIGHTS" not in os.environ:
            patch.setenv("MAESIL_LPIPS_WEIGHTS", str(output / "no_weights"))
        _compare(store, output, overlay, models=",".join(SYSTEMS), train=True, rules="total,random")
    return output


def _rows(output: Path, **wanted: Any) -> list[dict[str, Any]]:
    rows = json.loads((output / "results.json").read_text())["rows"]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_every_system_and_baseline_stands_in_one_table(compared: Path) -> None:
    rows = _rows(compared, evaluation_rule="total", region="hidden_body", metric="psnr", dataset="unified")
    assert {row["model"] for row in rows} == {*SYSTEMS, *LEARN_NOTHING}
    assert all(row["mean"] is not None and row["low"] <= row["mean"] <= row["high"] for row in rows)
    rules = {row["model"]: row["training_rule"] for row in rows}
    assert (rules["maesil"], rules["mae"], rules["medmae"], rules["mean_of_visible"]) == ("total", "random", "plane", None)
    for name in ("table2.md", "table3.md", "report.html"):
        text = (compared / name).read_text()
        assert len(text) > 200
    table = (compared / "table2.md").read_text()
    for model in ("VQ-VAE", "Hi-End-MAE", "MedMAE"):
        assert model in table


def test_the_headline_rule_has_every_metric_and_the_others_have_errors(compared: Path) -> None:
    total = {(row["metric"], row["region"]) for row in _rows(compared, model="maesil", evaluation_rule="total")}
    assert {(metric, "hidden_body") for metric in ("psnr", "mae_hu", "mae_soft_hu", "ssim", "lpips")} <= total
    assert {("psnr", "full"), ("psnr", "pasted"), ("blockiness", ""), ("blockiness", "truth")} <= total
    # Raw output at visible voxels was trained in the autoencoders alone.
    raw = {row["model"] for row in _rows(compared, evaluation_rule="total", metric="ssim", region="full")}
    assert raw == {"ae", "vae", "vqvae"}
    # Three quarters are hidden and the rest is pasted: the error over all voxels is 3/4 of that over the hidden ones.
    found = {
        region: _rows(compared, model="mean_of_visible", evaluation_rule="total", metric="psnr", region=region, dataset="lidc")
        for region in ("hidden", "pasted")
    }
    gap = found["pasted"][0]["mean"] - found["hidden"][0]["mean"]
    assert gap == pytest.approx(10 * math.log10(4 / 3), abs=1e-4)
    random = {row["metric"] for row in _rows(compared, model="maesil", evaluation_rule="random")}
    assert random == {"psnr", "mae_hu", "mae_soft_hu"}


def test_lpips_is_measured_or_its_reason_is_told(compared: Path) -> None:
    (row,) = _rows(compared, model="maesil", evaluation_rule="total", metric="lpips", region="hidden_body", dataset="unified")
    reasons = json.loads((compared / "results.json").read_text())["not_measured"]
    assert (row["mean"] is None) == ("lpips" in reasons)


def test_all_methods_are_judged_on_the_same_scans_and_superpatches(compared: Path) -> None:
    files = sorted((compared / "scores").glob("*/total.json"))
    assert len(files) == len(SYSTEMS) + len(LEARN_NOTHING)
    cases = {tuple(scan["case_id"] for scan in json.loads(file.read_text())["scans"]) for file in files}
    assert len(cases) == 1
    # The truth's blockiness depends on the superpatches and masks alone.
    truths = {tuple(scan["blockiness_truth"] for scan in json.loads(file.read_text())["scans"]) for file in files}
    assert len(truths) == 1


def test_a_second_call_trains_and_judges_nothing_again_and_logs_no_use(
    compared: Path, store: Path, overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "COMMAND", (sys.executable, "-c", "raise SystemExit(9)"))
    uses = (compared / "test_uses.jsonl").read_text()
    before = (compared / "results.json").read_text()
    _compare(store, compared, overlay, models=",".join(SYSTEMS), train=True, rules="total,random")
    assert (compared / "test_uses.jsonl").read_text() == uses
    assert (compared / "results.json").read_text() == before
    # 7 systems under 2 rules, and the baselines once under each.
    assert len(uses.splitlines()) == 2 * len(SYSTEMS) + 2


def test_a_call_that_was_stopped_between_pictures_and_scores_ends_with_both(
    compared: Path, store: Path, overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "stopped"
    shutil.copytree(compared, folder)
    scores, pictures = folder / "scores" / "maesil@total-seed0" / "total.json", folder / "figures" / "maesil@total"
    before = json.loads(scores.read_text())["extras"]["whole_scans"]
    scores.unlink()
    shutil.rmtree(pictures)
    wanted = {"models": "maesil", "train": True, "rules": "total,random"}
    with monkeypatch.context() as patch:
        patch.setattr(Scores, "write", _stop)
        with pytest.raises(KeyboardInterrupt):
            _compare(store, folder, overlay, **wanted)
    assert list(pictures.rglob("*.npz"))
    assert not scores.exists()
    _compare(store, folder, overlay, **wanted)
    assert json.loads(scores.read_text())["extras"]["whole_scans"] == before


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_collection_that_is_left_out_is_not_trained_on_and_alone_is_judged(store: Path, overlay: Path, tmp_path: Path) -> None:
    _compare(store, tmp_path, overlay, models="maesil", train=True, rules="total", leave_out="lidc", learning_rates="0.001,0.003")
    assert {row["dataset"] for row in _rows(tmp_path)} == {"lidc"}
    rows = json.loads((store / "datalist.json").read_text())["training"]
    others = [row for row in rows if row["dataset"] != "lidc"]
    assert 0 < len(others) < len(rows)
    records = [json.loads(file.read_text()) for file in tmp_path.glob("*/maesil@total*/**/run.json")]
    assert len(records) >= 3  # two short runs and a whole one
    assert {record["data"]["num_scans"] for record in records} == {len(others)}
    # The mean training volume knows nothing of it either: it is not the one that all collections make.
    without, of_all = (
        Pipeline(BundleFiles.find(None, overlay), Entry("maesil"), Split(str(store), dataset=dataset), "total").mean_volume()
        for dataset in ("lidc", "")
    )
    assert without is not None
    assert of_all is not None
    assert not torch.equal(without.mean, of_all.mean)
    tried = json.loads((tmp_path / "results.json").read_text())["search"]
    assert [(row["learning_rate"], row["epochs"]) for row in tried[:2]] == [(0.001, 1), (0.003, 1)]
    (chosen,) = (row for row in tried if row["chosen"])
    assert chosen == tried[-1]
    assert chosen["epochs"] == 2
    record = json.loads((tmp_path / "training" / "maesil@total-seed0" / "run.json").read_text())
    assert record["configuration"]["learning_rate"] == chosen["learning_rate"]


@pytest.mark.long
def test_every_ablation_is_trained_and_judged(store: Path, overlay: Path, tmp_path: Path) -> None:
    _compare(store, tmp_path, overlay, models="maesil", train=True, rules="total", ablate=True)
    found = {
        (row["model"], row["training_rule"]) for row in _rows(tmp_path, metric="psnr", region="hidden_body", dataset="unified")
    }
    variants = {(entry.label, entry.rule) for entry in ablations(BundleFiles.find(None, overlay))}
    assert len(variants) > 8
    assert found == {("maesil", "total"), *variants, *((name, None) for name in LEARN_NOTHING)}


def test_other_settings_do_not_mix_into_a_folder(compared: Path, store: Path, overlay: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit, match="1"):
        _compare(store, compared, overlay, models="maesil", train=True, rules="random,total")
    assert "another headline_rule" in capsys.readouterr().err


OTHER_SETTINGS = ("head=conv", "mask_ratio=0.6", "preset=small", "patch_size=4")


def test_weights_are_judged_without_training_and_those_of_another_model_are_refused(
    compared: Path, store: Path, overlay: Path, tmp_path: Path, capsys: Any
) -> None:
    weights = tmp_path / "weights.pt"
    shutil.copy(compared / "training" / "maesil@total-seed0" / "model.pt", weights)
    _compare(store, tmp_path / "again", overlay, checkpoints=f"maesil={weights}", rules="total")
    first, again = (
        _rows(folder, model="maesil", evaluation_rule="total", metric="psnr", region="hidden_body", dataset="unified")[0]["mean"]
        for folder in (compared, tmp_path / "again")
    )
    assert first == pytest.approx(again)
    _refused(weights, capsys, store, tmp_path / "wrong", overlay, checkpoints=f"vqvae={weights}")
    # These have names and shapes that fit; what the weights say of themselves tells.
    beside = compared / "training" / "maesil@total-seed0" / "model.pt"
    others = (("mae", "mask_rule"), *((f"maesil+{change}", change.partition("=")[0]) for change in OTHER_SETTINGS))
    for name, told in others:
        message = _refused(beside, capsys, store, tmp_path / f"wrong_{told}", overlay, checkpoints=f"{name}={beside}")
        assert told in message
    network, kept = load_network(weights), read_weights(weights)
    of_normalised, of_tested = tmp_path / "normalised.pt", tmp_path / "tested.pt"
    network.is_trained_with({**network.description["settings"], "normalise_patches": True})
    save_weights(of_normalised, network.state_dict(), kept.record)
    message = _refused(of_normalised, capsys, store, tmp_path / "wrong_targets", overlay, checkpoints=f"maesil={of_normalised}")
    assert "have no PSNR" in message
    tested = json.loads((store / "datalist.json").read_text())["test"]
    marks = sorted(set().union(*map(marks_of, [*tested[1:3], {"case_id": "elsewhere"}])))
    save_weights(of_tested, kept.tensors, {**kept.record, "patients": marks})
    message = _refused(of_tested, capsys, store, tmp_path / "seen", overlay, checkpoints=f"maesil={of_tested}")
    assert f"trained on 2 of the {len(tested)} scans to be judged ({tested[1]['case_id']} ...)" in message
    # Built otherwise, with names, shapes and settings that fit.
    for name, value in (("position", "sincos_mae"), ("num_heads", 12)):
        other, file = load_network(weights), tmp_path / f"{name}.pt"
        other.description["network"]["arguments"][name] = value
        save_weights(file, other.state_dict(), kept.record)
        message = _refused(file, capsys, store, tmp_path / f"other_{name}", overlay, checkpoints=f"maesil={file}")
        assert f"{name} {value!r} in the weights" in message


def _refused(weights: Path, capsys: Any, store: Path, output: Path, overlay: Path, **options: Any) -> str:
    """Compares, and gives the one line that says why these weights are refused."""
    with pytest.raises(SystemExit, match="1"):
        _compare(store, output, overlay, rules="total", **options)
    error: str = capsys.readouterr().err
    assert "Traceback" not in error
    assert str(weights) in error.splitlines()[-1]
    assert not (output / "test_uses.jsonl").exists()
    return error.splitlines()[-1]


def test_a_collection_that_is_not_in_the_store_cannot_be_left_out(
    store: Path, overlay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        _compare(store, tmp_path / "out", overlay, models="maesil", train=True, leave_out="amos")
    assert "it has btcv, lidc, totalsegmentator" in capsys.readouterr().err.splitlines()[-1]


def test_a_store_without_a_test_split_is_refused(scan_folder: Path, overlay: Path, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit, match="1"):
        _compare(scan_folder, tmp_path / "out", overlay, models="maesil", train=True)
    assert "no scan for the test" in capsys.readouterr().err
