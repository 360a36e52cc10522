"""Who was trained on, and the warning of whoever judges on them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from ignite.engine import Engine

from maesil_monai.training.trained_on import TRAINED_ON_NAME, SeenScans, TrainedOn, seen_scans

TRAINING = [
    {"case_id": "a/1", "patient_id": "7", "sha256": "voxels"},
    {"case_id": "a/2", "patient_id": "8"},
    {"case_id": "loose"},
]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    TrainedOn(tmp_path, TRAINING)(Engine(lambda engine, batch: None))
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


def test_the_file_names_nobody(weights: Path) -> None:
    content = json.loads(weights.with_name(TRAINED_ON_NAME).read_text())
    assert len(content) == 4
    assert all(len(mark) == 12 and int(mark, 16) >= 0 for mark in content)


@pytest.mark.parametrize("given", ["model.pt", "checkpoint_last.pt"])
def test_a_run_inherits_what_the_weights_it_starts_from_have_seen(weights: Path, tmp_path: Path, given: str) -> None:
    (weights.parent / given).touch()
    (tmp_path / "next").mkdir()
    starts = TrainedOn(tmp_path / "next", [{"case_id": "later"}], ["", "last", weights.parent / given])
    starts(Engine(lambda engine, batch: None))
    assert seen_scans(tmp_path / "next" / "model.pt", [*TRAINING, {"case_id": "later"}]) == ["a/1", "a/2", "loose", "later"]


def test_a_resumed_run_adds_and_a_new_one_begins_anew(weights: Path) -> None:
    more = TrainedOn(weights.parent, [{"case_id": "later"}])
    resumed = Engine(lambda engine, batch: None)
    resumed.state.iteration = 5
    more(resumed)
    assert seen_scans(weights, [*TRAINING, {"case_id": "later"}]) == ["a/1", "a/2", "loose", "later"]
    more(Engine(lambda engine, batch: None))
    assert seen_scans(weights, [*TRAINING, {"case_id": "later"}]) == ["later"]


@pytest.mark.parametrize("content", [None, "", "[[]]", "3"])
def test_without_a_readable_file_nothing_is_known_to_be_seen(weights: Path, content: str | None) -> None:
    file = weights.with_name(TRAINED_ON_NAME)
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert seen_scans(weights, TRAINING) == []


@pytest.mark.parametrize(("judged", "warned"), [(TRAINING[1:], True), ([{"case_id": "new"}], False)])
def test_an_evaluation_warns(weights: Path, judged: list[dict[str, str]], warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Engine(lambda engine, batch: None)
    SeenScans(weights, judged).attach(evaluator)
    with caplog.at_level(logging.WARNING):
        evaluator.run([0])
    assert ("2 of the 2 scans to be judged are of patients this network was trained on (a/2 ...)" in caplog.text) is warned
