"""Trainings of a comparison: which command they become, and what happens when they fail, end or were begun otherwise."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_up_training import BUNDLE, command_of, make_up_trainer

from maesil_monai.comparison import training
from maesil_monai.comparison.ablations import ablations
from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.training import Trainer


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    return make_up_trainer(tmp_path, monkeypatch)


def test_a_training_is_the_bundles_with_the_entrys_changes(trainer: Trainer) -> None:
    run = trainer.train(Entry.parse("mae@plane+decoder=cross_attention+mask_wrap=true"), seed=2, learning_rate=3e-4)
    command = command_of(run)
    assert command["--config_file"].endswith("configs/models/mae.json']")
    assert command["--mask_rule"] == "plane"
    assert command["--decoder"] == "cross_attention"
    assert command["--mask_wrap"] == "True"  # what a command line calls yes
    assert (command["--seed"], command["--learning_rate"], command["--dataset_dir"]) == ("2", "0.0003", "store")
    assert "--leave_out" not in command


def test_a_run_that_is_done_is_not_trained_again_and_one_begun_with_other_settings_is_refused(trainer: Trainer) -> None:
    run = trainer.train(Entry.parse("mae@random"), 0, 1e-3)
    (run / "run.json").write_text(json.dumps({"ended": "completed", "mark": "untouched"}))
    assert trainer.train(Entry.parse("mae@random"), 0, 1e-3) == run
    assert "untouched" in (run / "run.json").read_text()
    with pytest.raises(ValueError, match="another output folder"):
        trainer.train(Entry.parse("mae@random"), 0, 1e-2)


def test_a_run_that_was_stopped_goes_on_from_its_last_checkpoint(trainer: Trainer) -> None:
    run = trainer.train(Entry.parse("mae@random"), 0, 1e-3)
    (run / "run.json").write_text(json.dumps({"ended": "stopped early"}))
    (run / "checkpoint_last.pt").touch()
    trainer.train(Entry.parse("mae@random"), 0, 1e-3)
    assert command_of(run)["--ckpt"] == "last"


def test_two_calls_do_not_train_the_same_run_twice(trainer: Trainer) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: trainer.train(Entry.parse("mae@random"), 0, 1e-3), range(2)))
    assert runs[0] == runs[1]
    assert (runs[0] / "training.log").read_text().count("epoch 1") == 1


def test_a_training_that_fails_names_its_log_and_its_last_line(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "COMMAND", (sys.executable, "-c", "print('error: no such folder'); raise SystemExit(3)"))
    with pytest.raises(ChildProcessError, match=r"maesil@total ended with code 3 \(error: no such folder\)") as caught:
        trainer.train(Entry.parse("maesil@total"), 0)
    assert Path(caught.value.filename).read_text() == "error: no such folder\n"


def test_epochs_and_warnings_are_shown_as_they_come_and_the_rest_is_in_the_log(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        "16:23:12 INFO epoch 1, 0.1 min: 9 dB",
        "WARNING slow",
        "WARNING - Not all config files are in a",
        "INFO batch 3",
        "error: no",
    ]
    monkeypatch.setattr(training, "COMMAND", (sys.executable, "-c", f"print({chr(10).join(lines)!r}); raise SystemExit(3)"))
    with caplog.at_level("INFO"), pytest.raises(ChildProcessError) as caught:
        trainer.train(Entry.parse("mae@random"), 0)
    shown = [message.removeprefix("mae@random: ") for message in caplog.messages if message.startswith("mae@random: ")]
    assert shown == ["epoch 1, 0.1 min: 9 dB", lines[1], lines[4]]
    assert Path(caught.value.filename).read_text().splitlines() == lines


def test_each_ablation_changes_one_thing(tmp_path: Path) -> None:
    texts = [str(entry) for entry in ablations(BUNDLE)]
    # 64 = 128 / 2; eight times train.json's batch of 4 and epoch of 16,384.
    assert texts[0] == "maesil@total+superpatch_size=64+batch_size=32+superpatches_per_epoch=131072"
    assert [text for text in texts if "+" not in text] == ["maesil@union", "maesil@plane", "maesil@axis", "maesil@random"]
    assert "maesil@total+decoder=hierarchical" in texts
    assert "maesil@total+decoder=self_attention" not in texts  # its own
    assert len(texts) == len(set(texts))
    for text in texts:
        BUNDLE.settings_of(Entry.parse(text))


def test_an_unknown_model_and_a_missing_bundle_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model 'unet' is unknown: expected one of ae, "):
        BUNDLE.files_of("unet")
    with pytest.raises(FileNotFoundError, match="--bundle") as caught:
        BundleFiles.find(tmp_path)
    assert caught.value.filename == str(tmp_path / "configs" / "train.json")
    with pytest.raises(FileNotFoundError, match="no such overlay"):
        BundleFiles.find(BUNDLE.root, tmp_path / "small.json")


def test_a_call_that_is_stopped_awaits_its_training_and_keeps_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "\n".join(
        [
            "import signal, sys, time",
            "def leave(number, frame):",
            "    print('saved', flush=True)",
            "    time.sleep(0.5)",
            "    print('left', flush=True)",
            "    sys.exit(143)",
            "signal.signal(signal.SIGTERM, leave)",
            "print('epoch 1, 0.1 min: so far', flush=True)",
            "time.sleep(60)",
        ]
    )

    def stop(*words: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(training.logger, "info", stop)
    with pytest.raises(SystemExit):
        training._call([sys.executable, "-c", program], tmp_path / "log", "maesil")
    assert (tmp_path / "log").read_text().splitlines() == ["epoch 1, 0.1 min: so far", "saved", "left"]
