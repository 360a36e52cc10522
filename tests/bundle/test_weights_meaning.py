"""Evaluation and inference read from the weights how they are used, and refuse by name what contradicts them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import BUNDLE, TRAINING, Trained, run, unchanged_process, workflow
from monai.bundle import load

from maesil_monai.errors import BadCheckpoint
from maesil_monai.networks import build_network
from maesil_monai.networks.described_network import OtherNetwork
from maesil_monai.weights_file import load_network, read_weights, save_weights

# The run's: preset tiny, superpatches of 16^3 and patches of 4^3 voxels, cube of 32^3, stretched, -1000 to 1000 HU.
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"preset": "small"}, "preset 'tiny' in the weights, 'small' in the network"),
    ({"patch_size": 8}, "patch_size 4 in the weights, 8 in the network"),
    ({"superpatch_size": 32}, "superpatch_size 16 in the weights, 32 in the network"),
    ({"decoder": "cross_attention"}, "decoder 'self_attention' in the weights, 'cross_attention' in the network"),
    ({"window_hu": [-175, 250]}, r"window_hu \[-1000, 1000\] in the weights, \[-175, 250\] in the network"),
    ({"resample_policy": "spacing", "spacing_mm": 4.0}, "resample_policy 'stretch' in the weights, 'spacing' in the network"),
    ({"network_def#position": "sincos_mae"}, "position 'sincos' in the weights, 'sincos_mae' in the network"),
    ({"network_def#num_heads": 12}, "num_heads 6 in the weights, 12 in the network"),
]


def _keys(kind: str, trained: Trained, scan_folder: Path, tmp_path: Path) -> dict[str, Any]:
    keys: dict[str, Any] = {"dataset_dir": str(scan_folder), "output_dir": str(tmp_path), "num_workers": 0}
    judged = {"val_superpatches": 2, "num_panels": 0} if kind == "evaluate" else {}
    return {**keys, **judged, "ckpt": str(trained.folder / "model.pt")}


def _cause(error: BaseException) -> BaseException:
    """Gives the error at the bottom of what the framework wrapped."""
    while error.__cause__ is not None and not isinstance(error, BadCheckpoint):
        error = error.__cause__
    return error


@pytest.mark.parametrize(("changed", "message"), OTHERS)
@pytest.mark.parametrize("kind", ["evaluate", "inference"])
def test_what_contradicts_the_weights_is_refused_by_name(
    kind: str, changed: dict[str, Any], message: str, trained: Trained, scan_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises((RuntimeError, ValueError)) as raised:
        run(kind, run_id="run", **{**_keys(kind, trained, scan_folder, tmp_path), **changed})
    error = _cause(raised.value)
    assert isinstance(error, BadCheckpoint)
    assert str(error).startswith(str(trained.folder / "model.pt"))
    with pytest.raises(BadCheckpoint, match=message):
        raise error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["model.pt", "model.safetensors", "checkpoint_last.pt"])
def test_the_weights_alone_are_enough(file: str, trained: Trained, scan_folder: Path, tmp_path: Path) -> None:
    keys = {**_keys("evaluate", trained, scan_folder, tmp_path), "ckpt": str(trained.folder / file)}
    made = run("evaluate", run_id="run", **keys)
    assert made.network_def.img_size == (16, 16, 16)
    assert made.parser.get_parsed_content("settings").mask_rule == "total"
    assert json.loads((tmp_path / "scores.json").read_text())["network"]["psnr_hidden_body"] > 0


def test_other_masks_and_held_out_scans_may_be_asked_for(trained: Trained, scan_folder: Path, tmp_path: Path) -> None:
    keys = {**_keys("evaluate", trained, scan_folder, tmp_path), "mask_rule": "plane", "val_scans": 1, "seed": 3}
    made = run("evaluate", run_id="run", **keys)
    assert made.parser.get_parsed_content("mask").name == "plane"
    assert len(json.loads((tmp_path / "scores.json").read_text())["scans"]) == 1


def test_the_record_of_a_run_tells_its_settings_patients_steps_and_validations(trained: Trained) -> None:
    found, checkpoint = (read_weights(trained.folder / name).record for name in ("model.pt", "checkpoint_last.pt"))
    assert found["settings"]["learning_rate"] == TRAINING["learning_rate"]
    assert len(found["patients"]) == 4  # of six scans two are held out
    assert checkpoint["steps"] == 8  # two epochs of four batches
    assert [row["epoch"] for row in checkpoint["validations"]] == [0, 2]
    assert 0 < found["device_hours"] <= checkpoint["device_hours"] < 1
    assert load_network(trained.folder / "model.pt").description["settings"]["cube_size"] == 32


@pytest.mark.filterwarnings("ignore:parsing config_file")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preset": "small"}, "hidden_size 192 in the weights, 384 in the network"),
        ({"position": "sincos_mae"}, "position 'sincos' in the weights"),
        ({"num_heads": 12}, "num_heads 6 in the weights"),
        ({"patch_size": 8}, r"patch_size \[4, 4, 4\] in the weights"),
    ],
)
@pytest.mark.parametrize("kind", ["train", "inference"])
def test_monai_bundle_load_refuses_weights_of_another_network(
    kind: str, changed: dict[str, Any], message: str, trained: Trained, tmp_path: Path
) -> None:
    copied = tmp_path / "maesil_ct_pretraining"
    shutil.copytree(BUNDLE, copied, ignore=shutil.ignore_patterns("models"))
    (copied / "models").mkdir()
    shutil.copy(trained.folder / "model.pt", copied / "models" / "model.pt")
    override = {"preset": "tiny", "img_size": 16, "patch_size": 4, **changed}
    with unchanged_process(), pytest.raises(OtherNetwork, match=message):
        load(copied.name, bundle_dir=tmp_path, workflow_type=kind, device="cpu", net_override=override)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"window_hu": [-175, 250]}, "window_hu"),
        ({"network_def#position": "sincos_mae"}, "position"),
        ({"network_def#num_heads": 12}, "num_heads"),
        ({"patch_size": 8}, "patch_size"),
    ],
)
def test_a_training_does_not_start_from_weights_whose_tensors_mean_something_else(
    changed: dict[str, Any], message: str, trained: Trained, scan_folder: Path, tmp_path: Path
) -> None:
    keys = {**TRAINING, "dataset_dir": str(scan_folder), "output_dir": str(tmp_path), **changed}
    made = workflow("train", **keys, init_weights=str(trained.folder / "model.pt"))
    with pytest.raises(RuntimeError) as raised:
        made.parser.get_parsed_content("network_start")
    with pytest.raises(BadCheckpoint, match=f"{message} .* in the weights"):
        raise _cause(raised.value)


def test_weights_of_before_are_refused_with_the_way_to_convert_them(trained: Trained, scan_folder: Path, tmp_path: Path) -> None:
    network = build_network("tiny", 16, 4)
    network.load_state_dict(torch.load(trained.folder / "model.pt", weights_only=True))
    save_weights(tmp_path / "model.pt", dict(network.named_parameters()))
    keys = {**_keys("inference", trained, scan_folder, tmp_path / "out"), "ckpt": str(tmp_path / "model.pt")}
    with pytest.raises(RuntimeError) as raised:
        run("inference", run_id="run", **keys)
    with pytest.raises(BadCheckpoint, match="maesil convert FILE NEW_FILE"):
        raise _cause(raised.value)
