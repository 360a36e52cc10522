"""What a training run of the bundle leaves behind."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from bundle_runs import TRAINING, Trained, run, workflow
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maesil_monai.networks.described_network import RECORD_KEY

BASELINES = {"mean_of_visible", "interpolate_axial", "nearest_visible_patch", "mean_training_volume"}


def test_a_run_leaves_model_checkpoint_record_curve_panels_and_nothing_half_written(trained: Trained) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert {"model.pt", "checkpoint_last.pt", "run.json", "learning_curve.json", "learning_curve.png"} <= names
    assert {f"baseline_{name}" for name in BASELINES} <= names
    assert [path for path in trained.folder.rglob("*") if path.name.endswith((".partial", ".lock", "incoming.pt"))] == []
    assert sorted(path.name for path in (trained.folder / "panels").iterdir()) == ["scan000_lung.png", "scan000_soft_tissue.png"]
    for path in trained.folder.rglob("*.png"):
        with Image.open(path) as picture:
            assert min(picture.size) >= 300


def test_the_curve_has_the_metric_before_and_after_training_and_training_raises_it(trained: Trained) -> None:
    curve = json.loads((trained.folder / "learning_curve.json").read_text())
    before, after = curve["network"]
    # Two epochs of eight superpatches.
    assert [(row["epoch"], row["superpatches"]) for row in (before, after)] == [(0, 0), (2, 16)]
    assert after["psnr_hidden_body"] > before["psnr_hidden_body"] + 3.0
    assert curve["baselines"].keys() == BASELINES
    assert all(math.isfinite(values["psnr_hidden_body"]) for values in curve["baselines"].values())


def test_the_record_has_configuration_data_hash_superpatches_seen_and_best_metric(trained: Trained) -> None:
    record = json.loads((trained.folder / "run.json").read_text())
    assert record["ended"] == "completed"
    # Four batches of two superpatches in each of two epochs, a step for each batch.
    assert (record["iteration"], record["optimizer_steps"], record["superpatches_seen"]) == (8, 8, 16)
    assert record["data"]["num_scans"] == 4
    assert len(record["data"]["sha256"]) == 64
    assert {key: record["configuration"].get(key) for key in TRAINING} == TRAINING
    last = json.loads((trained.folder / "learning_curve.json").read_text())["network"][-1]
    assert record["best_metric"] == {"value": pytest.approx(last["psnr_hidden_body"]), "epoch": 2}


def test_the_model_file_is_the_plain_state_of_the_network_and_the_record_of_its_training(trained: Trained) -> None:
    weights = torch.load(trained.folder / "model.pt", weights_only=True)
    own = trained.trainer.network.state_dict()
    assert weights.keys() == own.keys() | {RECORD_KEY}
    assert all(torch.equal(weights[name], own[name]) for name in own)


def test_tensorboard_has_every_loss_the_metrics_and_the_panels_of_each_validation(trained: Trained) -> None:
    events = EventAccumulator(str(trained.folder), {"scalars": 0, "images": 0}).Reload()
    assert [event.step for event in events.Scalars("train_loss")] == list(range(1, 9))
    assert [event.step for event in events.Scalars("psnr_hidden_body")] == [0, 2]
    assert [event.step for event in events.Images("panels/scan000_lung")] == [0, 2]
    assert {"learning_rate", "grad_norm", "superpatches_per_second"} <= set(events.Tags()["scalars"])
    line = EventAccumulator(str(trained.folder / "baseline_mean_of_visible")).Reload()
    assert [event.step for event in line.Scalars("psnr_hidden_body")] == [0, 2]


@pytest.mark.parametrize(("config", "name"), [("train", "training"), ("evaluate", "evaluating"), ("inference", "inference")])
def test_the_documented_run_id_and_run_do_the_same(config: str, name: str) -> None:
    made = workflow(config)
    assert made.parser["run"]
    assert made.parser[name] == made.parser["run"]


def test_the_quickstart_generates_a_phantom_where_no_data_folder_is_named_and_trains_on_it(tmp_path: Path) -> None:
    small = {"superpatches_per_epoch": 4, "max_epochs": 1, "batch_size": 2, "val_scans": 1, "val_superpatches": 2}
    sizes = {"cube_size": 32, "superpatch_size": 16, "patch_size": 4, "num_panels": 1}
    phantom = {"data_folder#num_scans": 3, "data_folder#size": "tiny"}
    trainer = run("train", "quickstart", output_dir=str(tmp_path), **small, **sizes, **phantom).trainer
    store = tmp_path / "phantom" / "store"
    datalist = json.loads((store / "datalist.json").read_text())
    assert {row["dataset"] for row in datalist["training"]} == {"btcv", "lidc", "totalsegmentator"}
    trained_on = [Path(row["image"]) for row in trainer.data_loader.dataset.data]
    assert len(trained_on) == len(datalist["training"])
    assert all(path.is_relative_to(store) and path.suffix == ".zarr" for path in trained_on)
    assert [row["epoch"] for row in json.loads((tmp_path / "learning_curve.json").read_text())["network"]] == [0, 1]


def test_the_quickstart_trains_on_a_folder_that_is_named(scan_folder: Path, tmp_path: Path) -> None:
    made = workflow("train", "quickstart", dataset_dir=str(scan_folder), output_dir=str(tmp_path), val_scans=2)
    data = made.parser.get_parsed_content("train#data")
    assert [row["case_id"] for row in data] == [f"phantom_{number:04d}/ct" for number in range(4)]
    assert not (tmp_path / "phantom").exists()


def test_normalised_targets_are_validated_by_their_loss_and_the_smallest_is_best(scan_folder: Path, tmp_path: Path) -> None:
    settings = {**TRAINING, "val_superpatches": 2, "dataset_dir": str(scan_folder), "output_dir": str(tmp_path)}
    made = run("train", "normalised_targets", **settings)
    best = made.parser.get_parsed_content("validate#best")
    assert made.parser.get_parsed_content("train#loss").normalise_patches
    values = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [event.step for event in values] == [0, 2]
    assert best.value == pytest.approx(min(event.value for event in values))
    assert (tmp_path / "model.pt").is_file()
