"""``full_metrics.json`` over ``evaluate.json``."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import TRAINING, run

from maesil_monai.metrics.lpips_weights import WEIGHTS_VARIABLE

REGIONS = ("hidden_body", "hidden", "full", "pasted")


def test_an_evaluation_with_all_metrics_writes_their_values_for_every_scan(
    scan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "nowhere"))
    settings: dict[str, Any] = TRAINING | {"max_epochs": 1, "val_interval": 1, "val_superpatches": 2, "num_panels": 0}
    run("train", run_id="training", dataset_dir=str(scan_folder), output_dir=str(tmp_path), **settings)
    judged: dict[str, Any] = {"ckpt": str(tmp_path / "model.pt"), "val_superpatches": 2, "batch_size": 2, "num_panels": 0}
    with caplog.at_level(logging.WARNING, logger="maesil_monai.metrics"):
        run("evaluate", "full_metrics", dataset_dir=str(scan_folder), output_dir=str(tmp_path), num_workers=0, **judged)
    scores = json.loads((tmp_path / "scores.json").read_text())
    found = scores["network"]
    quantities = ("psnr", "mae_hu", "mae_soft_hu", "ssim", "lpips")
    assert {f"{quantity}_{region}" for quantity in quantities for region in REGIONS} <= found.keys()
    assert {"blockiness", "blockiness_truth", "mse_distance_1", "psnr_block", "psnr_surviving"} <= found.keys()
    assert scores["scans"][0].keys() == found.keys() | {"case_id"}
    # Visible voxels are pasted, so that the whole is better than the hidden part and than the raw output.
    assert found["psnr_pasted"] > max(found["psnr_hidden"], found["psnr_full"])
    assert found["ssim_pasted"] > max(found["ssim_hidden"], found["ssim_full"])
    assert all(math.isfinite(found[f"{quantity}_hidden_body"]) for quantity in quantities[:4])
    assert found["lpips_hidden_body"] is None
    assert any("lpips_hidden_body is not measured" in r.message and "nowhere" in r.message for r in caplog.records)
