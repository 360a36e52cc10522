"""Each setting of a run is held against what it may be, and a wrong one is answered with what to write."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from fire.parser import DefaultParseValue

from maesil_monai.training.settings import RunSettings

TRAIN = json.loads((Path(__file__).parents[2] / "bundle" / "configs" / "train.json").read_text())
DEFAULTS = {name: TRAIN[name] for name in RunSettings.names()}

YES_NO = ["false", "yes", 0, None]  # fire reads `--amp false` as the word
TEXT = [7, None, True]
WHOLE = ["2", 1.5, True, [2]]
NUMBER = ["0.5", None, True, [0.5], float("nan"), float("inf")]
SIZE = ["8", 1.5, True, None, 0, -8, [8, 8], [8, 8, 0], [8, 8, 8.0]]
NAME = ["none_of_them", 3, None, True]
# Of each setting: values of another type, then values out of range.
WRONG: dict[str, list[Any]] = {
    "dataset_dir": TEXT,
    "ckpt": TEXT,
    "init_weights": [7, True],
    "preset": NAME,
    "decoder": NAME,
    "patch_embedding": NAME,
    "head": NAME,
    "activation_checkpointing": YES_NO,
    "voxels_per_latent": ["64", 64.0, True, 16],
    "masked_input": ["false", 0],
    "resample_policy": NAME,
    "spacing_mm": ["1.5", True, 0, -1.5, [1, 1], [1, 1, 0]],
    "cube_size": SIZE,
    "superpatch_size": SIZE,
    "patch_size": SIZE,
    "window_hu": [1000, "ab", [0], [-1000, "1000"], [1000, -1000], [0, 0], [0, 1, 2]],
    "min_body": [*NUMBER, -0.1, 1],
    "mask_rule": NAME,
    "mask_ratio": [*NUMBER, 0, 1, 75],
    "mask_axis_ratio": [*NUMBER, 0, 1],
    "mask_wrap": YES_NO,
    "decode_ratio": [*NUMBER, 0, 1.1],
    "loss": NAME,
    "loss_on_all": YES_NO,
    "normalise_patches": YES_NO,
    "flip_probability": [0.5, [0.5], [0.5, 0, "0"], [0.5, 0, 1.1], [-0.5, 0, 0]],
    "learning_rate": [*NUMBER, -0.001],
    "learning_rate_batch": ["256", True, -1],
    "weight_decay": [*NUMBER, -0.1],
    "warmup_steps": [*WHOLE, None, -1],
    "max_gradient_norm": ["1.0", True, 0],
    "ema_decay": [*NUMBER, -0.1, 1],
    "batch_size": [*WHOLE, None, 0],
    "accumulation": [*WHOLE, None, 0],
    "superpatches_per_epoch": [*WHOLE, None, 0],
    "max_epochs": [*WHOLE, None, 0],
    "time_limit_minutes": ["5", True, 0],
    "save_interval": [*WHOLE, 0],
    "val_scans": ["4", None, True, 0, -1, 1.0, 1.5],
    "val_superpatches": [*WHOLE, None, -1],
    "val_interval": [*WHOLE, None, 0],
    "val_masks": [*WHOLE, None, 0],
    "num_panels": [*WHOLE, None, -1],
    "bad_share": [*NUMBER, -0.1, 1.1],
    "dataset_weights": ["even", 1, None, {"btcv": "1"}, {"btcv": -1}, {1: 1}],
    "by_patient": YES_NO,
    "leave_out": TEXT,
    "amp": ["false", "int8", 1, None],
    "num_workers": [*WHOLE, None, -1],
    "cache_bytes": [*NUMBER, -1],
    "seed": [*WHOLE, None, -1],
}


@pytest.mark.parametrize("name", RunSettings.names())
def test_a_value_of_another_type_or_out_of_range_is_refused_with_what_to_write(name: str) -> None:
    for value in WRONG[name]:
        with pytest.raises(ValueError, match="expected") as raised:
            RunSettings(**{**DEFAULTS, name: value})
        found = re.fullmatch(rf"{name}=(.*): expected (.+)\. Write (--{name} .+)\.", str(raised.value))
        assert found is not None, raised.value
        assert found[1] == repr(value)
        # What it says to write is taken, as a shell and fire read it.
        for written in found[3].split(" or "):
            option, word = shlex.split(written)
            assert option == f"--{name}"
            RunSettings.check(name, None if word == "$None" else DefaultParseValue(word))


def test_yes_and_no_are_told_with_a_capital_letter() -> None:
    with pytest.raises(
        ValueError, match=r"^amp='false': expected True or False, or one of bfloat16, float16\. .* --amp False or"
    ):
        RunSettings(**{**DEFAULTS, "amp": "false"})


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "amp": [True, False, "bfloat16"],
        "spacing_mm": [None, 1, 1.5, [1, 1, 2.5], (1, 1, 2.5)],
        "superpatch_size": [16, [16, 16, 8], (16, 16, 8)],
        "min_body": [0, 0.5],
        "decode_ratio": [1, 0.5],
        "learning_rate_batch": [0, 256, None],
        "learning_rate": [0, 1],
        "warmup_steps": [0],
        "save_interval": [None, 1],
        "time_limit_minutes": [None, 0.5],
        "val_scans": [1, 0.1],
        "dataset_weights": ["balanced", {"btcv": 1, "lidc": 0.5}],
        "leave_out": ["", "lidc"],
        "init_weights": ["", None, Path("model.pt")],
        "window_hu": [[-160, 240], (-160.0, 240.0)],
    }.items(),
)
def test_every_form_that_a_setting_may_have_is_kept_as_it_is_written(name: str, values: list[Any]) -> None:
    for value in values:
        assert RunSettings(**{**DEFAULTS, name: value}).record()[name] is value


def test_an_autoencoders_settings_come_together() -> None:
    for alone in ({"voxels_per_latent": 8}, {"masked_input": True}):
        with pytest.raises(ValueError, match=r"expected both or none.* bundle/configs/models/ae\.json"):
            RunSettings(**{**DEFAULTS, **alone})
    settings = RunSettings(**{**DEFAULTS, "voxels_per_latent": 8, "masked_input": False})
    assert settings.shared()["voxels_per_latent"] == 8


def test_an_unknown_or_a_missing_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="presett"):
        RunSettings(**DEFAULTS, presett="tiny")
    with pytest.raises(TypeError, match="preset"):
        RunSettings(**{name: value for name, value in DEFAULTS.items() if name != "preset"})


def test_what_evaluation_needs_is_never_changed_by_a_resumed_run() -> None:
    settings = RunSettings(**DEFAULTS)
    assert settings.record() == DEFAULTS
    assert settings.shared().items() <= settings.fixed().items() <= settings.record().items()
    # What decides which voxels are judged and how the network is built; what the training alone looks at; what may change.
    assert {"preset", "window_hu", "mask_rule", "val_scans", "seed"} <= settings.shared().keys()
    assert {"loss", "accumulation", "leave_out"} <= settings.fixed().keys() - settings.shared().keys()
    assert {"max_epochs", "learning_rate", "num_workers", "dataset_dir"} <= settings.record().keys() - settings.fixed().keys()
