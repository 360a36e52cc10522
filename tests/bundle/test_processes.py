"""The bundle as a command: from any directory, with its exit code, and in two processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import TRAINING, config_files, run

from maesil_monai.weights_file import read_weights

# A command line cannot say null; so the rate is meant for the two superpatches that every step has here. With a worker, as
# by default: that it lets the command end shows here alone.
SETTINGS: dict[str, Any] = {**TRAINING, "learning_rate_batch": 2, "max_epochs": 1, "val_interval": 1, "num_panels": 1}
SETTINGS["num_workers"] = 1


def _arguments(config: tuple[str, ...], settings: dict[str, Any]) -> list[str]:
    """Writes a call of monai.bundle as one types it."""
    pairs = [argument for key, value in settings.items() for argument in (f"--{key}", str(value))]
    return ["-m", "monai.bundle", "run", "training", "--config_file", str(config_files(*config)), *pairs]


def _call(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in a folder, on one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180, check=False)


def test_the_command_trains_from_any_directory_and_prints_before_and_after(scan_folder: Path, tmp_path: Path) -> None:
    done = _call(_arguments(("train",), {**SETTINGS, "dataset_dir": scan_folder}), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for line in ("network, epoch 0", "network, epoch 1", "mean_of_visible", "TensorBoard: tensorboard --logdir"):
        assert done.stdout.count(line) == 1
    # Without --bundle_root and --output_dir, results lie below the directory one is in.
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    assert (tmp_path / "output" / "model.pt").is_file()
    command = json.loads((tmp_path / "output" / "run.json").read_text())["command"]
    assert command[1:3] == ["run", "training"]

    files = str([*config_files("evaluate"), str(tmp_path / "output" / "settings.json")])
    judged = ["-m", "monai.bundle", "run", "evaluating", "--config_file", files, "--dataset_dir", str(scan_folder)]
    done = _call([*judged, "--output_dir", str(tmp_path / "scores"), "--num_workers", "1"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "scores" / "scores.json").is_file()


def test_a_misspelt_option_ends_the_command_before_it_trains(scan_folder: Path, tmp_path: Path) -> None:
    done = _call([*_arguments(("train",), {**SETTINGS, "dataset_dir": scan_folder}), "--max_epoch", "3"], tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "error: option --max_epoch: nothing of that name in train.json; did you mean --max_epochs?" in done.stderr
    assert not (tmp_path / "output" / "run.json").exists()


def test_a_file_that_is_no_ct_ends_the_command_with_one_line_and_code_1(scan_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(scan_folder, tmp_path / "scans")
    bad = tmp_path / "scans" / "phantom_0005" / "ct.nii.gz"
    bad.write_text("This is no CT.")
    done = _call(_arguments(("train",), {**SETTINGS, "dataset_dir": tmp_path / "scans"}), tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(bad) in line
    assert done.stderr.splitlines()[-1] == line


def test_two_processes_train_what_one_trains_with_the_batch_of_both(scan_folder: Path, tmp_path: Path) -> None:
    # Three superpatches are judged, so that one process has two of them and the other one.
    settings = {**SETTINGS, "amp": False, "val_superpatches": 3, "val_masks": 1, "dataset_dir": scan_folder}
    alone, together = tmp_path / "alone", tmp_path / "together"
    run("train", **{**settings, "dataset_dir": str(scan_folder), "output_dir": str(alone)})
    shared = {**settings, "batch_size": 1, "output_dir": together}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = _call([*launcher, *_arguments(("train", "multi_gpu_train"), shared)], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr

    record = json.loads((together / "run.json").read_text())
    assert (record["processes"], record["iteration"], record["superpatches_seen"]) == (2, 4, 8)
    first, second = (json.loads((folder / "learning_curve.json").read_text()) for folder in (alone, together))
    for one, two in zip(first["network"], second["network"], strict=True):
        assert two["psnr_hidden_body"] == pytest.approx(one["psnr_hidden_body"], abs=0.05)
    for name, values in first["baselines"].items():
        assert second["baselines"][name] == pytest.approx(values, rel=1e-5)
    weights = [read_weights(folder / "model.pt").tensors for folder in (alone, together)]
    # Four steps of Adam at 0.001 move a weight by about 0.003; other samples or masks would move it elsewhere.
    assert max(float((weights[1][name] - value).abs().max()) for name, value in weights[0].items()) < 1e-4

    # One process writes, reports and draws.
    assert len(list(together.glob("events.out.tfevents.*"))) == 1
    assert sorted(path.name for path in together.glob("[!e]*")) == sorted(path.name for path in alone.glob("[!e]*"))
    assert done.stdout.count("network, epoch 1") == 1
