"""The learning curve and the table of a run."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import pytest
from ignite.engine import Engine, Events, State

from maesil_monai.data.samples.sampling import EpochSampler
from maesil_monai.evaluation import BaselineWatch
from maesil_monai.evaluation.learning_report import LearningReport

BASELINES = {
    "mean_training_volume": {"psnr_hidden_body": math.nan, "psnr_hidden": math.nan},
    "mean_of_visible": {"psnr_hidden_body": 6.5, "psnr_hidden": 16.0},
    "interpolate_axial": {"psnr_hidden_body": 9.25, "psnr_hidden": 17.0},
}


class Run:
    """A trainer of four batches of two superpatches per epoch, and its validations, driven by hand."""

    def __init__(self, folder: Path, iteration: int = 0) -> None:
        self.trainer = Engine(lambda engine, batch: None)
        self.trainer.state = State(iteration=iteration, epoch_length=4, max_epochs=9)
        self.trainer.state.epoch = iteration // 4
        self.validator = Engine(lambda engine, batch: None)
        self.watch = BaselineWatch(BASELINES)
        sampler = EpochSampler(num_samples=9, batch_size=2, num_replicas=1, rank=0)
        self.report = LearningReport(self.validator, self.watch, folder, sampler)
        self.report.attach(self.trainer)
        self.trainer.fire_event(Events.STARTED)

    def validate(self, epoch: int, psnr_hidden_body: float) -> None:
        self.validator.state.epoch = epoch
        self.validator.state.metrics = {"psnr_hidden_body": psnr_hidden_body, "psnr_hidden": 10.0}
        self.validator.fire_event(Events.EPOCH_COMPLETED)


def _curve(folder: Path) -> dict[str, Any]:
    """Reads the file as strictly as other languages do."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads((folder / "learning_curve.json").read_text(), parse_constant=refuse)


def test_the_curve_counts_epochs_and_superpatches_and_has_the_baselines(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.validate(0, 2.0)
    run.validate(3, 8.0)
    # Nine superpatches make four whole batches of two.
    rows = [(row["epoch"], row["superpatches"], row["psnr_hidden_body"]) for row in _curve(tmp_path)["network"]]
    assert rows == [(0, 0, 2.0), (3, 24, 8.0)]
    assert _curve(tmp_path)["baselines"]["mean_of_visible"] == BASELINES["mean_of_visible"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["learning_curve.json", "learning_curve.png"]


def test_the_table_compares_the_first_and_the_last_validation_with_the_baselines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path)
    for epoch, value in enumerate((2.0, 5.0, 11.75)):
        run.validate(epoch, value)
    with caplog.at_level(logging.INFO):
        run.trainer.fire_event(Events.COMPLETED)
    lines = caplog.records[0].getMessage().splitlines()
    assert [line.split("  ")[0] for line in lines[3:-1]] == [*BASELINES, "network, epoch 0", "network, epoch 2"]
    # 11.75 dB are 2.5 more than the best baseline's 9.25.
    assert lines[-2].endswith("+2.50")
    assert str(tmp_path / "panels") in caplog.text
    assert f"tensorboard --logdir {tmp_path}" in caplog.text


def test_a_run_validated_once_is_one_row_of_the_table(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.validate(0, 2.0)
    assert run.report.table().count("network") == 1


def test_each_validation_is_logged_beside_the_best_baseline_that_is_defined(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        Run(tmp_path).validate(1, 7.125)
    assert "psnr_hidden_body 7.12 dB (best baseline: interpolate_axial 9.25 dB)" in caplog.text


def test_a_resumed_run_goes_on_with_the_curve_up_to_where_it_resumed(tmp_path: Path) -> None:
    earlier = [{"epoch": e, "superpatches": 8 * e, "minutes": 10.0 * e, "psnr_hidden_body": 5.0 + e} for e in range(4)]
    (tmp_path / "learning_curve.json").write_text(json.dumps({"network": earlier, "baselines": {}}))
    # Two epochs of four batches: what was validated after the third is done again.
    run = Run(tmp_path, iteration=8)
    run.validate(2, 7.0)
    run.validate(3, 9.0)
    rows = _curve(tmp_path)["network"]
    assert [(row["epoch"], row["psnr_hidden_body"]) for row in rows] == [(0, 5.0), (1, 6.0), (2, 7.0), (3, 9.0)]
    assert rows[-1]["minutes"] == pytest.approx(20.0, abs=0.5)


def test_a_new_run_does_not_go_on_with_the_curve_of_another_one(tmp_path: Path) -> None:
    (tmp_path / "learning_curve.json").write_text(json.dumps({"network": [{"epoch": 0, "minutes": 9.0}], "baselines": {}}))
    run = Run(tmp_path)
    run.validate(1, 7.0)
    (row,) = _curve(tmp_path)["network"]
    assert row["minutes"] < 1.0


def test_what_is_not_defined_is_null_in_the_file_and_a_resumed_run_goes_on_from_there(tmp_path: Path) -> None:
    Run(tmp_path).validate(0, math.nan)
    assert _curve(tmp_path)["network"][0]["psnr_hidden_body"] is None
    assert _curve(tmp_path)["baselines"]["mean_training_volume"] == {"psnr_hidden_body": None, "psnr_hidden": None}
    run = Run(tmp_path, iteration=4)
    run.validate(1, 7.0)
    assert [row["psnr_hidden_body"] for row in _curve(tmp_path)["network"]] == [None, 7.0]
    assert "not defined" in run.report.table().splitlines()[-3]


def test_the_watch_learns_how_many_steps_an_epoch_has(tmp_path: Path) -> None:
    assert Run(tmp_path).watch.steps_per_epoch == 4


def test_other_processes_keep_the_rows_and_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    run = Run(tmp_path)
    run.validate(1, 7.0)
    run.trainer.fire_event(Events.COMPLETED)
    assert len(run.report.rows) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("reached", "is_told"), [(9.25, True), (9.3, False), (math.nan, True)])
def test_a_run_that_ends_without_passing_the_best_baseline_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reached: float, is_told: bool
) -> None:
    run = Run(tmp_path)
    run.validate(0, 20.0)
    run.validate(3, reached)
    run.trainer.fire_event(Events.COMPLETED)
    assert ("After 24 superpatches the network is not past the best baseline" in caplog.text) is is_told
