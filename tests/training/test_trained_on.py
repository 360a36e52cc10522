"""Who was trained on, and the warning of whoever judges on them."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from ignite.engine import Engine

from maesil_monai.training.trained_on import TRAINED_ON_NAME, SeenScans, TrainedOn, seen_scans

TRAINING = [
    {"case_id": "a/1", "patient_id": "7", "dataset": "a"},
    {"case_id": "a/2", "patient_id": "8", "dataset": "a"},
    {"case_id": "loose"},
]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    TrainedOn(tmp_path, TRAINING)(Engine(lambda engine, batch: None))
    return tmp_path / "model.pt"


def test_another_scan_of_a_patient_is_seen_and_the_same_number_elsewhere_is_not(weights: Path) -> None:
    judged = [
        {"case_id": "a/9", "patient_id": "8", "dataset": "a"},
        {"case_id": "b/1", "patient_id": "8", "dataset": "b"},
        {"case_id": "loose"},
        {"case_id": "a/1", "patient_id": "", "dataset": "a"},
    ]
    assert seen_scans(weights, judged) == ["a/9", "loose"]


def test_the_file_names_nobody(weights: Path) -> None:
    content = json.loads(weights.with_name(TRAINED_ON_NAME).read_text())
    assert len(content) == 3
    assert all(len(mark) == 12 and int(mark, 16) >= 0 for mark in content)


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
