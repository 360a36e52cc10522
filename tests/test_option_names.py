"""Misspelt options are told instead of ignored."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.option_names import check_option_names, options_of

TRAIN = "bundle/configs/train.json"


def call(*options: str, files: str = TRAIN) -> None:
    check_option_names(["run", "training", "--config_file", files, *options])


@pytest.mark.parametrize(
    "options",
    [
        ["--max_epochs", "3", "--network_def#position", "sincos_mae", "--train::sampler::seed=1", "--noamp"],
        ["--meta_file", "m.json", "--max-epochs=3", "-batch_size", "2", "--my_key", "-2"],
        ["--imports", "['$import glob']", "--_meta_#version", "3", "--my_root", "/data", "--dataset_dir", "$@my_root + '/x'"],
        ["--tracking", "mlflow", "--tracking_uri", "x", "--experiment_name", "y"],
    ],
)
def test_options_that_some_file_knows_or_that_are_monais_own_pass(options: list[str], tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"my_key": 1}))
    files = f"['{TRAIN}','{overlay}']"
    call(*options, "--", "--trace", files=files)  # fire's own follow a lone --
    with pytest.raises(ValueError, match="--max_epoch:"):
        call(*options, "--max_epoch", "3", files=files)


def test_nothing_is_known_of_other_commands_and_of_files_given_by_place() -> None:
    for command in (["run", "training", TRAIN], ["download"]):
        assert "nonsense" in options_of([*command, "--nonsense", "1"])
        check_option_names([*command, "--nonsense", "1"])


def test_the_files_may_stand_in_an_args_file(tmp_path: Path) -> None:
    args = tmp_path / "args.json"
    args.write_text(json.dumps({"config_file": TRAIN, "my_root": "/data"}))
    check_option_names(["run", "--args_file", str(args), "--my_root", "/other", "--max_epochs", "3"])
    with pytest.raises(ValueError, match="max_epochs"):
        check_option_names(["run", "--args_file", str(args), "--max_epoch", "3"])


def test_a_yes_that_fire_would_take_for_a_no_is_refused() -> None:
    with pytest.raises(ValueError, match="write --normalise_patches True"):
        call("--normalise_patches")
    call("--normalise_patches", "True")
    with pytest.raises(ValueError, match="noamp"):
        call("--noamp", "True")


@pytest.mark.parametrize(
    ("option", "cure"),
    [
        ("--max_epoch", "--max_epoch: nothing of that name in train.json, quickstart.json; did you mean --max_epochs?"),
        ("--network_deff#position=x", "did you mean --network_def or "),
        ("-max_epoch", "did you mean --max_epochs?"),
        ("--zzz", "docs/configuration.md lists them"),
    ],
)
def test_a_misspelt_option_is_refused_with_what_was_meant(option: str, cure: str) -> None:
    with pytest.raises(ValueError, match=cure.replace("?", r"\?")):
        call("--max_epochs", "3", option, "3", files=f"['{TRAIN}','bundle/configs/quickstart.json']")


def test_the_words_of_another_command_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["somewhere/pytest", "run", "--config_file", TRAIN, "--max_epoch", "3"])
    check_option_names()
    monkeypatch.setattr(sys, "argv", ["site-packages/monai/bundle/__main__.py", *sys.argv[1:]])
    with pytest.raises(ValueError, match="max_epochs"):
        check_option_names()


def test_a_misspelt_key_of_a_comparisons_overlay_is_refused(tmp_path: Path) -> None:
    overlay = tmp_path / "small.json"
    overlay.write_text(json.dumps({"preset": "tiny", "max_epoch": 1}))
    with pytest.raises(ValueError, match=r"small.json: max_epoch is no key of train.json; did you mean max_epochs\?"):
        BundleFiles.find("bundle", overlay)
    overlay.write_text(json.dumps({"sides": [64], "superpatch_size": "@sides#0", "network_def::position": "learned"}))
    assert BundleFiles.find("bundle", overlay).overlay == (overlay.resolve(),)
    overlay.write_text(json.dumps({"+network_def": {"position": "learned"}, "imports": ["$import math"]}))
    assert BundleFiles.find("bundle", overlay).overlay == (overlay.resolve(),)
