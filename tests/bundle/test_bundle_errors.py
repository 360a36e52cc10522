"""What a user gets wrong is answered by one clear line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_runs import TRAINING, Trained, config_files, run

from maesil_monai.plain_errors import LOG_NAME, clear_error


def _message(*names: str | Path, **settings: Any) -> str:
    """Runs a workflow that must fail, and gives the line that the command line would show."""
    with pytest.raises(Exception) as raised:
        run(*names, **settings)
    error = clear_error(raised.value)
    assert error is not None, raised.value
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"cube_size": 64, "superpatch_size": 48},
            r"superpatch_size=\(48, 48, 48\) does not divide resampled volume=\(64, 64, 64\)",
        ),
        ({"patch_size": 7}, r"patch_size=\(7, 7, 7\) does not divide superpatch_size=\(16, 16, 16\)"),
        ({"val_scans": 99}, r"val_scans=99 of the 6 scans in .*: expected a share between 0 and 1 or a count of 1 to 5"),
        ({"preset": "huge"}, r"preset='huge': expected one of tiny, small, base"),
        ({"decoder": "mlp"}, r"decoder='mlp': expected one of self_attention, cross_attention"),
        ({"mask_rule": "checkerboard"}, r"mask_rule='checkerboard': expected one of total, union, plane"),
        ({"mask_ratio": 75}, r"mask_ratio=75: expected a number, above 0 and below 1\. Write --mask_ratio 0.5"),
        ({"resample_policy": "spacing"}, r"spacing_mm=None: policy 'spacing' expects one positive number of mm"),
        ({"superpatches_per_epoch": 1}, r"num_samples=1 per epoch do not fill one global batch of 2"),
        ({"min_body": 1.0}, r"min_body=1.0: expected a number, 0 or more and below 1"),
        ({"loss": "huber"}, r"loss='huber': expected one of mse, l1"),
        ({"normalise_patches": True}, r"add normalised_targets.json to --config_file"),
        ({"amp": "int8"}, r"amp='int8': expected True or False, or one of bfloat16, float16"),
        ({"amp": "false"}, r"amp='false': expected True or False, .* Write --amp True or --amp False or"),
        ({"masked_input": True}, r"masked_input=True: expected both or none"),
        ({"window_hu": [400, -400]}, r"window_hu=\[400, -400\]: expected a list of 2 \(each a number, in rising order\)"),
        ({"time_limit_minutes": 0}, r"time_limit_minutes=0: expected a number, above 0"),
        ({"init_weights": "nowhere.pt"}, r"nowhere.pt: no such file; expected weights"),
        ({"ckpt": "nowhere.pt"}, r"nowhere.pt: no such file; expected a training checkpoint"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_an_impossible_setting_is_named_with_what_was_expected(
    scan_folder: Path, tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    message = _message("train", **{**TRAINING, **settings}, dataset_dir=str(scan_folder), output_dir=str(tmp_path))
    assert re.search(expected, message), message


@pytest.mark.parametrize("overlay", [(), ("multi_gpu_train",), ("quickstart",)], ids=lambda names: "".join(names))
def test_a_setting_of_the_wrong_type_is_found_before_the_data_list_is_read(overlay: tuple[str, ...], tmp_path: Path) -> None:
    # Neither is the folder of scans there, nor is anything written.
    settings = {"dataset_dir": str(tmp_path / "nowhere"), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    assert _message("train", *overlay, **settings, val_masks="two").startswith("val_masks='two': expected a whole number")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_or_holds_no_scan_is_named(tmp_path: Path) -> None:
    settings = {**TRAINING, "output_dir": str(tmp_path / "out")}
    assert str(tmp_path / "nowhere") in _message("train", dataset_dir=str(tmp_path / "nowhere"), **settings)
    (tmp_path / "empty").mkdir()
    assert _message("train", dataset_dir=str(tmp_path / "empty"), **settings).endswith("[NO_VOLUME]")


def test_a_list_whose_rows_have_no_image_is_refused(scan_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(scan_folder, tmp_path / "scans")
    rows = [{"img": f"phantom_{number:04d}/ct.nii.gz"} for number in range(6)]
    (tmp_path / "scans" / "datalist.json").write_text(json.dumps({"training": rows}))
    message = _message("train", dataset_dir=str(tmp_path / "scans"), output_dir=str(tmp_path / "out"), **TRAINING)
    assert "datalist.json" in message
    assert "'img'" in message
    assert message.endswith("[BAD_DATALIST]")


@pytest.mark.parametrize("number", [0, 5])
def test_a_file_that_is_no_ct_is_named_wherever_it_lies(scan_folder: Path, tmp_path: Path, number: int) -> None:
    # Scan 0 trains, scan 5 validates; of four training scans none may be bad at a share of 0.05.
    shutil.copytree(scan_folder, tmp_path / "scans")
    bad = tmp_path / "scans" / f"phantom_{number:04d}" / "ct.nii.gz"
    bad.write_bytes(np.random.default_rng(0).bytes(5000))
    message = _message("train", dataset_dir=str(tmp_path / "scans"), output_dir=str(tmp_path / "out"), **TRAINING)
    assert str(bad) in message


@pytest.mark.parametrize("name", ["evaluate", "inference"])
def test_missing_weights_are_named(name: str, scan_folder: Path, tmp_path: Path, trained: Trained) -> None:
    settings = {"ckpt": str(tmp_path / "model.pt"), "num_workers": 0, "output_dir": str(tmp_path)}
    message = _message(name, trained.settings, dataset_dir=str(scan_folder), **settings)
    assert message.startswith(f"{tmp_path / 'model.pt'}: no such file; expected weights")


@pytest.mark.parametrize("name", ["evaluate", "inference"])
def test_weights_of_another_network_are_refused(name: str, scan_folder: Path, tmp_path: Path, trained: Trained) -> None:
    settings = {"decoder": "cross_attention", "num_workers": 0, "output_dir": str(tmp_path)}
    message = _message(name, trained.settings, dataset_dir=str(scan_folder), **settings)
    assert message.startswith(str(trained.folder / "model.pt"))
    assert "decoder.blocks.0." in message


def test_a_fault_in_the_handling_of_a_bad_scan_ends_the_command_with_its_own_traceback(tmp_path: Path) -> None:
    """The module stands for a fault of the program: it fails while it handles what a user could put right."""
    (tmp_path / "mishandling.py").write_text(
        "from maesil_monai.data.volumes.bad_volume import BadVolume\n"
        "def folder(path):\n"
        "    try:\n"
        "        raise BadVolume('EMPTY_FILE', path, '0 bytes', 'a volume', 'Copy it again.')\n"
        "    except BadVolume as error:\n"
        "        return path + error\n"
    )
    overlay = {"data_folder": {"_target_": "mishandling.folder", "path": "a.nii"}, "num_workers": 0}
    (tmp_path / "overlay.json").write_text(json.dumps(overlay))
    files = str(config_files("train", tmp_path / "overlay.json"))
    folder = tmp_path / "out"
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files, "--output_dir", str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 1
    log = (folder / LOG_NAME).read_text()
    for shown in (done.stderr, log):
        assert "TypeError: can only concatenate str" in shown
        assert "return path + error" in shown
    assert not any(line.startswith("error: ") for line in done.stderr.splitlines())
    assert str(folder / LOG_NAME) in done.stderr
