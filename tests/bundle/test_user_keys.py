"""Every key that users change does what its name says when it is set on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bundle_runs import CONFIGS, TRAINING, run, workflow

from maesil_monai.data.volumes.volume_source import VolumeSource
from maesil_monai.networks.conv_head import ConvHead
from maesil_monai.networks.decoders import CrossAttentionDecoder
from maesil_monai.networks.patches import ConvStemEmbedding
from maesil_monai.training.settings import RunSettings
from maesil_monai.weights_file import read_weights

# One setting of every key that differs from the small settings of the other tests.
CHANGED: dict[str, Any] = {
    "preset": "small",
    "decoder": "cross_attention",
    "patch_embedding": "conv_stem",
    "head": "conv",
    "activation_checkpointing": True,
    "resample_policy": "spacing",
    "spacing_mm": 20.0,
    "cube_size": 64,
    "superpatch_size": [8, 8, 4],
    "patch_size": 2,
    "window_hu": [-160, 240],
    "min_body": 0.2,
    "mask_rule": "union",
    "mask_ratio": 0.5,
    "mask_axis_ratio": 0.25,
    "mask_wrap": True,
    "decode_ratio": 0.5,
    "loss": "l1",
    "loss_on_all": False,
    "flip_probability": [0.25, 0.0, 0.5],
    "learning_rate": 0.004,
    "learning_rate_batch": 24,
    "weight_decay": 0.1,
    "warmup_steps": 7,
    "max_gradient_norm": 0.5,
    "ema_decay": 0.99,
    "batch_size": 3,
    "accumulation": 2,
    "superpatches_per_epoch": 12,
    "max_epochs": 5,
    "time_limit_minutes": 30,
    "save_interval": 11,
    "val_scans": 1,
    "val_superpatches": 2,
    "val_interval": 3,
    "val_masks": 1,
    "num_panels": 4,
    "bad_share": 0.5,
    "amp": False,
    "num_workers": 1,
    "cache_bytes": 10**6,
    "seed": 5,
}
# These are set in other tests of the bundle; normalised targets and autoencoders need an overlay.
ELSEWHERE = {
    "bundle_root",
    "dataset_dir",
    "output_dir",
    "ckpt",
    "init_weights",
    "normalise_patches",
    "voxels_per_latent",
    "masked_input",
    "dataset_weights",
    "by_patient",
    "leave_out",
}


class Built:
    """The objects of a training configuration, by the id they have in it."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self.get = get
        self.trainer = get("train#trainer")
        self.network = get("network_def")
        self.optimizer = get("train#optimizer")
        self.data = get("validate#dataset").data

    def step(self, chain: str, name: str) -> Any:
        """Gives the first transform of a class in a chain of preprocessing."""
        steps = list(self.get(f"{chain}#preprocessing").flatten().transforms)
        return next(step for step in steps if type(step).__name__ == name)

    def handler(self, chain: str, name: str) -> Any:
        """Gives the handler of a class."""
        return next(handler for handler in self.get(f"{chain}#handlers") if type(handler).__name__ == name)

    def source(self) -> VolumeSource:
        """Gives a scan on the resampled grid."""
        return self.get("sources")(dict(self.data[0]))["image"]


@pytest.fixture(scope="module")
def built(scan_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("changed")
    settings = {**TRAINING, **CHANGED, "dataset_dir": str(scan_folder), "output_dir": str(folder)}
    return Built(workflow("train", **settings).parser.get_parsed_content)


# What a key changes, and the value expected there.
EFFECTS: dict[str, tuple[Callable[[Built], Any], Any]] = {
    "preset": (lambda b: b.network.patch_embedding.layers[-1].out_channels, 384),
    "decoder": (lambda b: type(b.network.decoder), CrossAttentionDecoder),
    "patch_embedding": (lambda b: type(b.network.patch_embedding), ConvStemEmbedding),
    "head": (lambda b: type(b.network.conv_head), ConvHead),
    "activation_checkpointing": (lambda b: b.network.encoder.blocks[0].recomputed, True),
    "resample_policy": (lambda b: b.step("train", "ResampleToCubed").transforms[0].policy, "spacing"),
    "spacing_mm": (lambda b: b.source().spacing_mm, pytest.approx((20.0, 20.0, 20.0))),
    "cube_size": (lambda b: b.step("validate", "ResampleToCubed").transforms[1].size, (64, 64, 64)),
    "superpatch_size": (lambda b: b.network.img_size, (8, 8, 4)),
    "patch_size": (lambda b: (b.network.grid, b.get("train#loss").patch_size), ((4, 4, 2), (2, 2, 2))),
    "window_hu": (lambda b: b.step("train", "WindowHUd").transforms[0].window_hu, (-160.0, 240.0)),
    "min_body": (lambda b: b.step("train", "RandSuperpatchCropd").cropper.min_body, 0.2),
    "mask_rule": (lambda b: [b.step(c, "DualMaskd").masker.rule.name for c in ("train", "validate")], ["union"] * 2),
    "mask_ratio": (lambda b: (b.get("mask").total_ratio, b.get("mask").plane_ratio), (0.5, 0.5)),
    "mask_axis_ratio": (lambda b: b.get("mask").axis_ratio, 0.25),
    "mask_wrap": (lambda b: b.get("mask").wrap, True),
    "decode_ratio": (lambda b: [b.step(c, "DualMaskd").masker.decode_ratio for c in ("train", "validate")], [0.5, 1.0]),
    "loss": (lambda b: b.get("train#loss").error, "l1"),
    "loss_on_all": (lambda b: b.step("train", "DualMaskd").masker.loss_on_all, False),
    "flip_probability": (lambda b: b.step("train", "RandFlipd").prob, 0.25),
    # 3 superpatches x 2 batches for each step, of the 24 that the rate is meant for, in the first of 7 steps of warm-up.
    "learning_rate": (lambda b: b.optimizer.param_groups[0]["lr"], pytest.approx(0.004 * 6 / 24 / 7)),
    "learning_rate_batch": (lambda b: b.optimizer.param_groups[0]["initial_lr"], pytest.approx(0.004 * 6 / 24)),
    "weight_decay": (lambda b: [group["weight_decay"] for group in b.optimizer.param_groups], [0.1, 0.0]),
    "warmup_steps": (lambda b: b.get("train#schedule").warmup_steps, 7),
    "max_gradient_norm": (lambda b: b.handler("train", "GradientGuard").max_norm, 0.5),
    "ema_decay": (lambda b: b.get("validate#evaluator").network is b.network, False),
    "batch_size": (lambda b: (b.get("train#dataloader").batch_size, b.get("validate#dataloader").batch_size), (3, 3)),
    "accumulation": (lambda b: b.trainer.accumulation_steps, 2),
    "superpatches_per_epoch": (lambda b: b.trainer.state.epoch_length, 4),
    "max_epochs": (lambda b: b.trainer.state.max_epochs, 5),
    "time_limit_minutes": (lambda b: b.handler("train", "TimeLimit").minutes, 30),
    "save_interval": (lambda b: b.handler("train", "DurableCheckpoint").save_interval, 11),
    "val_scans": (lambda b: (len(b.get("train#data")), len(b.get("validate#scans"))), (5, 1)),
    "val_superpatches": (lambda b: len({(row["scan"], row["superpatch"]) for row in b.data}), 2),
    "val_interval": (lambda b: b.handler("train", "EpochValidation").interval, 3),
    "val_masks": (lambda b: len(b.data), 2),
    "num_panels": (lambda b: b.handler("validate", "PanelHandler").num_panels, 4),
    "bad_share": (lambda b: b.get("train#dataset").bad_share, 0.5),
    "amp": (lambda b: b.get("train#inferer").dtype, None),
    "num_workers": (lambda b: (b.get("train#dataloader").num_workers, b.get("validate#dataloader").num_workers), (1, 1)),
    "cache_bytes": (lambda b: b.step("train", "LoadVolumed").transforms[0].cache.max_bytes, 10**6),
    "seed": (lambda b: (b.get("train#dataset").seed, torch.initial_seed()), (5, 5)),
}


@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_set_on_the_command_line_reaches_what_it_names(built: Built, key: str) -> None:
    found, expected = EFFECTS[key]
    assert found(built) == expected


def test_no_key_at_the_top_of_the_training_configuration_is_left_untested() -> None:
    content = json.loads((CONFIGS / "train.json").read_text())
    keys = list(content)
    users = set(keys[: keys.index("device")])
    assert users == set(EFFECTS) | ELSEWHERE
    assert CHANGED.keys() == EFFECTS.keys()


def test_collections_are_drawn_by_their_weights_and_patients_equally_often(scan_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scans").symlink_to(scan_folder)
    images = sorted(path.relative_to(scan_folder).as_posix() for path in scan_folder.glob("*/ct.nii.gz"))
    # Five scans train: one of the first collection, and three of patient B and one of patient C of the second.
    who = [("one", "A"), ("many", "B"), ("many", "B"), ("many", "B"), ("many", "C"), ("many", "D")]
    rows = [
        {"image": f"scans/{image}", "dataset": dataset, "patient_id": patient}
        for image, (dataset, patient) in zip(images, who, strict=True)
    ]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": rows[:5], "validation": rows[5:]}))
    settings = {**TRAINING, "dataset_dir": str(tmp_path), "output_dir": str(tmp_path / "run")}
    dataset = workflow("train", **settings, dataset_weights="balanced", by_patient=True).parser.get_parsed_content(
        "train#dataset"
    )
    drawn = [dataset.data[dataset.scans_of((1, index))[0]]["patient_id"] for index in range(8)]
    assert {patient: drawn.count(patient) for patient in "ABC"} == {"A": 4, "B": 2, "C": 2}

    left = workflow("train", **settings, leave_out="many").parser.get_parsed_content
    assert [row["patient_id"] for row in left("train#data")] == ["A"]
    assert len(left("validate#scans")) == 0


def test_every_key_is_recorded(built: Built) -> None:
    recorded = built.handler("train", "RunRecord").configuration
    assert {key: recorded.get(key) for key in CHANGED} == CHANGED
    shared = {key: value for key, value in CHANGED.items() if key in RunSettings.names("shared")}
    assert shared.items() <= built.handler("train", "RunRecord").shared.items()
    fixed = {key: value for key, value in CHANGED.items() if key in RunSettings.names("fixed")}
    assert fixed.items() <= built.get("train#state").fingerprint.items()


def test_the_loss_can_look_at_all_patches(scan_folder: Path, tmp_path: Path) -> None:
    settings = {**TRAINING, "dataset_dir": str(scan_folder), "output_dir": str(tmp_path), "loss_on_all": True}
    get = workflow("train", **settings).parser.get_parsed_content
    sample = get("train#dataset")[(1, 0)][0]
    # 3/4 of 4^3 patches are hidden, all are decoded and scored; validation looks at the hidden ones alone.
    assert (int(sample["hidden"].sum()), int(sample["target"].sum())) == (48, 64)
    judged = get("validate#dataset")[0]
    assert torch.equal(judged["target"], judged["hidden"])


def test_an_average_that_is_off_validates_the_network_itself(scan_folder: Path, tmp_path: Path) -> None:
    settings = {**TRAINING, "dataset_dir": str(scan_folder), "output_dir": str(tmp_path)}
    get = workflow("train", **settings).parser.get_parsed_content
    assert get("validate#evaluator").network is get("network_def")
    assert get("train#inferer").dtype is torch.bfloat16


def test_all_of_these_settings_together_train(scan_folder: Path, tmp_path: Path) -> None:
    settings = {**TRAINING, **CHANGED, "preset": "tiny", "num_workers": 0, "num_panels": 1, "max_epochs": 1, "val_interval": 1}
    made = run("train", dataset_dir=str(scan_folder), output_dir=str(tmp_path), **settings)
    # Four batches of three, a step for two of them.
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["iteration"], record["optimizer_steps"], record["superpatches_seen"]) == (4, 2, 12)
    curve = json.loads((tmp_path / "learning_curve.json").read_text())
    assert all(isinstance(row["psnr_hidden_body"], float) for row in curve["network"])
    # Scans resampled to one spacing differ in shape: they have no mean.
    assert set(curve["baselines"]["mean_training_volume"].values()) == {None}
    # What is saved is the average that was validated, not the network in training.
    weights = read_weights(tmp_path / "model.pt").tensors
    trained = made.trainer.network.state_dict()
    assert any(not torch.equal(value, trained[name]) for name, value in weights.items())
