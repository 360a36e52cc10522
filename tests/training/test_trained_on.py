"""Whom a network has learnt from stands in its weights, and whoever judges it on them is told."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from maesil_monai.networks import build_network
from maesil_monai.training.provenance import Provenance
from maesil_monai.training.settings import RunSettings
from maesil_monai.training.trained_on import SeenScans, seen_scans
from maesil_monai.weights_file import read_weights, save_weights
from maesil_monai.weights_file.checkpoint_files import save_checkpoint

TRAINING: list[dict[str, Any]] = [
    {"case_id": "a/1", "patient_id": "7", "sha256": "voxels"},
    {"case_id": "a/2", "patient_id": "8"},
    {"case_id": "loose"},
]


@pytest.fixture
def settings() -> RunSettings:
    train = json.loads((Path(__file__).parents[2] / "bundle" / "configs" / "train.json").read_text())
    return RunSettings(**{name: train[name] for name in RunSettings.names()})


@pytest.fixture
def weights(tmp_path: Path, settings: RunSettings) -> Path:
    network = build_network("tiny", img_size=16)
    provenance = Provenance(settings, TRAINING)
    save_weights(tmp_path / "model.pt", network.state_dict(), provenance.record())
    state = {"network": dict(network.state_dict()), "provenance": provenance.state_dict()}
    save_checkpoint(tmp_path / "checkpoint_last.pt", state)
    return tmp_path / "model.pt"


def test_a_scan_is_known_by_its_patient_or_its_voxels_and_only_else_by_its_name(weights: Path) -> None:
    judged = [
        {"case_id": "another scan", "patient_id": "8"},
        {"case_id": "under another name", "patient_id": "9", "sha256": "voxels"},
        {"case_id": "loose"},
        {"case_id": "a/1", "patient_id": "10"},
        {"image": "somewhere/ct.nii.gz"},
    ]
    assert seen_scans(weights, judged) == ["another scan", "under another name", "loose"]


def test_the_file_names_nobody_and_no_place(weights: Path, settings: RunSettings) -> None:
    record = read_weights(weights).record
    assert len(record["patients"]) == 4
    assert all(len(mark) == 12 and int(mark, 16) >= 0 for mark in record["patients"])
    assert settings.dataset_dir
    assert set(record["settings"]) == set(settings.record()) - {"dataset_dir", "ckpt", "init_weights"}


@pytest.mark.parametrize("given", ["model.pt", "model.safetensors", "checkpoint_last.pt"])
def test_a_run_inherits_what_the_weights_it_starts_from_have_seen(weights: Path, given: str, settings: RunSettings) -> None:
    later = Provenance(settings, [{"case_id": "later"}], weights.with_name(given))
    save_weights(weights.with_name("next.pt"), {"a": torch.zeros(1)}, later.record())
    judged = [*TRAINING, {"case_id": "later"}, {"case_id": "new"}]
    assert seen_scans(weights.with_name("next.pt"), judged) == ["a/1", "a/2", "loose", "later"]


def test_a_resumed_run_adds_patients_and_hours_and_a_new_one_begins_anew(settings: RunSettings) -> None:
    first = Provenance(settings, TRAINING)
    first.validated(0, {"psnr": 1.0})
    first.validated(1, {"psnr": float("nan")})
    earlier = {**first.state_dict(), "device_hours": 2.5}
    resumed, new = Provenance(settings, [{"case_id": "later"}]), Provenance(settings, [{"case_id": "later"}])
    resumed.load_state_dict(earlier)
    resumed.validated(1, {"psnr": 3.0})
    assert len(resumed.record()["patients"]) == 5
    assert resumed.record()["device_hours"] == 2.5
    assert [(row["epoch"], row["psnr"]) for row in resumed.record()["validations"]] == [(0, 1.0), (1, 3.0)]
    assert earlier["validations"][1]["psnr"] is None
    assert (len(new.record()["patients"]), new.record()["device_hours"], new.record()["validations"]) == (1, 0.0, [])


def test_without_a_record_nothing_is_known_to_be_seen(weights: Path) -> None:
    save_weights(weights, build_network("tiny", img_size=16).state_dict())
    assert seen_scans(weights, TRAINING) == []


@pytest.mark.parametrize(("judged", "warned"), [(TRAINING[1:], True), ([{"case_id": "new"}], False)])
def test_an_evaluation_warns(weights: Path, judged: list[dict[str, str]], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Engine(lambda engine, batch: None)
    SeenScans(weights, judged).attach(evaluator)
    with caplog.at_level(logging.WARNING):
        evaluator.run([0])
    assert ("2 of the 2 scans to be judged are of patients this network was trained on (a/2 ...)" in caplog.text) is warned
