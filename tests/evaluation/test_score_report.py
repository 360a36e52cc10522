"""The result of an evaluation."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import ignite.distributed as idist
import pytest
import torch
from ignite.engine import Engine, Events

from maesil_monai.evaluation import BaselineWatch, ScoreReport

BASELINES = {"mean_of_visible": {"psnr_hidden_body": 6.5, "psnr_hidden": 16.0}}
SCANS = [{"case_id": "pt_0"}, {"case_id": "pt_1"}, {"case_id": "pt_2"}]


def _evaluated(folder: Path) -> None:
    """Reports an evaluation of the scans 0 and 2; scan 1 had no superpatch with enough body."""
    evaluator = Engine(lambda engine, batch: None)

    @evaluator.on(Events.EPOCH_COMPLETED)
    def _metrics(engine: Engine) -> None:
        engine.state.metrics = {"psnr_hidden_body": 10.0, "psnr_hidden": 20.0}
        engine.state.metric_details = {
            "scan": torch.tensor([0, 2]),
            "psnr_hidden_body": torch.tensor([8.0, 12.0]),
            "psnr_hidden": torch.tensor([19.0, 21.0]),
        }

    ScoreReport(BaselineWatch(BASELINES), folder, SCANS, name="MAESIL").attach(evaluator)
    evaluator.run([0])


def test_the_file_has_the_scores_the_baselines_and_each_scan_under_its_own_name(tmp_path: Path) -> None:
    _evaluated(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["scores.json"]
    assert json.loads((tmp_path / "new" / "scores.json").read_text()) == {
        "MAESIL": {"psnr_hidden_body": 10.0, "psnr_hidden": 20.0},
        "baselines": BASELINES,
        "scans": [
            {"case_id": "pt_0", "psnr_hidden_body": 8.0, "psnr_hidden": 19.0},
            {"case_id": "pt_2", "psnr_hidden_body": 12.0, "psnr_hidden": 21.0},
        ],
    }


def test_the_table_says_how_many_scans_and_how_far_from_the_best_baseline(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="maesil_monai"):
        _evaluated(tmp_path)
    table = next(record.getMessage() for record in caplog.records if "held-out" in record.getMessage())
    assert "on 2 held-out scans" in table
    (row,) = [line for line in table.splitlines() if line.startswith("MAESIL")]
    assert row.endswith("+3.50")


def test_one_process_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idist, "get_rank", lambda: 1)
    _evaluated(tmp_path)
    assert list(tmp_path.iterdir()) == []
