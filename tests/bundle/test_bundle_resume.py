"""Going on with a run of the bundle, and starting from the weights of another one."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from bundle_runs import TRAINING, Trained, run, workflow

from maesil_monai.errors import BadCheckpoint
from maesil_monai.plain_errors import clear_error
from maesil_monai.weights_file import checkpoint_files, read_weights
from maesil_monai.weights_file.checkpoint_files import save_checkpoint


@pytest.fixture
def unfinished(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the finished run's folder, which a longer run can go on with."""
    return Path(shutil.copytree(trained.folder, tmp_path / "run"))


def test_ckpt_last_goes_on_with_epochs_steps_curve_and_record(scan_folder: Path, unfinished: Path) -> None:
    settings = {**TRAINING, "max_epochs": 3, "val_interval": 1, "ckpt": "last"}
    made = run("train", dataset_dir=str(scan_folder), output_dir=str(unfinished), **settings)
    # Epochs 1 and 2 were done; the third has four more batches.
    assert (made.trainer.state.epoch, made.trainer.state.iteration) == (3, 12)
    rows = json.loads((unfinished / "learning_curve.json").read_text())["network"]
    assert [(row["epoch"], row["superpatches"]) for row in rows] == [(0, 0), (2, 16), (3, 24)]
    assert [row["minutes"] for row in rows] == sorted(row["minutes"] for row in rows)
    record = json.loads((unfinished / "run.json").read_text())
    assert (record["first_iteration"], record["iteration"], record["superpatches_seen"]) == (8, 12, 24)
    assert [part["ended"] for part in record["earlier_parts"]] == ["completed"]


def test_a_resumed_run_validates_its_start_as_the_earlier_part_validated_its_end(scan_folder: Path, unfinished: Path) -> None:
    before = json.loads((unfinished / "learning_curve.json").read_text())["network"]
    settings = {**TRAINING, "ckpt": "last"}
    run("train", dataset_dir=str(scan_folder), output_dir=str(unfinished), **settings)
    after = json.loads((unfinished / "learning_curve.json").read_text())["network"]
    assert after[-1]["psnr_hidden_body"] == pytest.approx(before[-1]["psnr_hidden_body"], abs=1e-6)


def test_a_checkpoint_of_another_configuration_is_refused_by_the_keys_that_differ(scan_folder: Path, unfinished: Path) -> None:
    names = ("checkpoint_last.pt", "model.pt", "run.json", "settings.json", "learning_curve.json")
    kept = {name: (unfinished / name).read_bytes() for name in names}
    settings = {**TRAINING, "mask_rule": "random", "window_hu": [-1000, 500], "ckpt": "last"}
    with pytest.raises(RuntimeError) as raised:
        run("train", dataset_dir=str(scan_folder), output_dir=str(unfinished), **settings)
    error = clear_error(raised.value)
    assert isinstance(error, BadCheckpoint)
    assert "mask_rule: total in the checkpoint, random now" in str(error)
    assert "window_hu: [-1000, 1000] in the checkpoint, [-1000, 500] now" in str(error)
    assert "cube_size" not in str(error)
    assert {name: (unfinished / name).read_bytes() for name in names} == kept


def test_a_checkpoint_of_before_is_refused_with_what_to_do(
    scan_folder: Path, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_files, "FORMAT_VERSION", 1)
    save_checkpoint(unfinished / "checkpoint_last.pt", torch.load(unfinished / "checkpoint_last.pt", weights_only=True))
    monkeypatch.undo()
    with pytest.raises(RuntimeError) as raised:
        run("train", **{**TRAINING, "ckpt": "last"}, dataset_dir=str(scan_folder), output_dir=str(unfinished))
    assert "format_version 1; expected format_version 2" in str(clear_error(raised.value))
    assert "`maesil convert` its weights and start from them (init_weights)" in str(clear_error(raised.value))


def test_init_weights_takes_over_all_weights_and_says_so(
    scan_folder: Path, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**TRAINING, "init_weights": str(trained.folder / "model.pt")}
    with caplog.at_level(logging.INFO):
        made = workflow("train", dataset_dir=str(scan_folder), output_dir=str(tmp_path), **settings)
        own = made.trainer.network.state_dict()
    weights = read_weights(trained.folder / "model.pt").tensors
    assert all(torch.equal(own[name], weights[name]) for name in weights)
    # Its description is the network's own.
    assert f"{len(own) - 1} tensors loaded; 0 missing; 0 unexpected; 0 of wrong shape" in caplog.text
    assert made.trainer.optimizer.state_dict()["state"] == {}


def test_init_weights_names_what_another_decoder_does_not_have(
    scan_folder: Path, trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**TRAINING, "decoder": "cross_attention", "init_weights": str(trained.folder / "checkpoint_last.pt")}
    made = workflow("train", dataset_dir=str(scan_folder), output_dir=str(tmp_path), **settings)
    encoder = made.trainer.network.encoder.state_dict()
    weights = read_weights(trained.folder / "model.pt").tensors
    assert all(torch.equal(value, weights[f"encoder.{name}"]) for name, value in encoder.items())
    (line,) = [record for record in caplog.records if "tensors loaded" in record.getMessage()]
    assert line.levelno == logging.WARNING
    assert "decoder.blocks.0." in line.getMessage()
