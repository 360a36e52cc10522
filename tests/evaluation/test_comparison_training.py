"""Trainings of a comparison: which command they become, and what happens when they fail, end or were begun otherwise."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from maesil_monai.evaluation.comparison import training
from maesil_monai.evaluation.comparison.ablations import ablations
from maesil_monai.evaluation.comparison.bundle_files import BundleFiles
from maesil_monai.evaluation.comparison.entry import Entry
from maesil_monai.evaluation.comparison.training import Trainer

BUNDLE = BundleFiles.find(Path(__file__).parents[2] / "bundle")
# Stands in for the bundle's training: writes down its command, and what a finished run leaves.
FINISHES = """
import json, sys, pathlib
folder = pathlib.Path(sys.argv[sys.argv.index("--output_dir") + 1])
rate = float(sys.argv[sys.argv.index("--learning_rate") + 1]) if "--learning_rate" in sys.argv else 0.0
if rate > 1:
    (folder / "non_finite_loss.json").write_text("{}")
    sys.exit("error: loss nan")
print("12:00:00 INFO epoch 1, 0.1 min: psnr_hidden_body 9.00 dB")
(folder / "model.pt").touch()
record = {"ended": "completed", "best_metric": {"value": 10 - abs(rate - 0.001), "epoch": 1}, "command": sys.argv}
(folder / "run.json").write_text(json.dumps(record))
"""


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    script = tmp_path / "finishes.py"
    script.write_text(FINISHES)
    monkeypatch.setattr(training, "COMMAND", (sys.executable, str(script)))
    return Trainer(BUNDLE, "store", tmp_path / "out")


def _command(run: Path) -> dict[str, str]:
    words = json.loads((run / "run.json").read_text())["command"][1:]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_a_training_is_the_bundles_with_the_entrys_changes(trainer: Trainer) -> None:
    run = trainer.train(Entry.parse("mae@plane+decoder=cross_attention+mask_wrap=true"), seed=2, learning_rate=3e-4)
    command = _command(run)
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
    assert _command(run)["--ckpt"] == "last"


def test_the_search_takes_the_rate_that_validates_best(trainer: Trainer) -> None:
    rows = trainer.search(Entry.parse("maesil@total"), (1e-4, 1e-3, 1e-2), share=0.1)
    assert [(row["learning_rate"], row["chosen"]) for row in rows] == [(1e-4, False), (1e-3, True), (1e-2, False)]
    # A tenth of train.json's 100 epochs.
    assert {row["epochs"] for row in rows} == {10}


def test_a_rate_at_which_the_training_diverges_is_listed_and_not_chosen(trainer: Trainer) -> None:
    for _ in range(2):  # a second call does not go on with what diverged
        rows = trainer.search(Entry.parse("maesil@total"), (2.0, 1e-4), share=0.1)
        assert [(row["psnr_hidden_body"] is None, row["chosen"]) for row in rows] == [(True, False), (False, True)]
    with pytest.raises(ChildProcessError, match=r"mae@random diverged at every learning rate \(2, 3\)"):
        trainer.search(Entry.parse("mae@random"), (2.0, 3.0), share=0.1)
    with pytest.raises(ChildProcessError, match="the training of mae@random diverged"):
        trainer.train(Entry.parse("mae@random"), 0, 2.0)


def test_two_calls_do_not_train_the_same_run_twice(trainer: Trainer) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda _: trainer.train(Entry.parse("mae@random"), 0, 1e-3), range(2)))
    assert runs[0] == runs[1]
    assert (runs[0] / "training.log").read_text().count("epoch 1") == 1


def test_a_short_run_is_validated_at_its_end_alone(trainer: Trainer) -> None:
    rows = trainer.search(Entry.parse("maesil@total+max_epochs=10+val_interval=4"), (1e-3,), share=0.25)
    # A quarter of 10 epochs are 2 (half to even).
    run = trainer.folder / "search" / rows[0]["model"] / "0.001"
    assert (_command(run)["--max_epochs"], _command(run)["--val_interval"]) == ("2", "2")


def test_a_training_that_fails_names_its_log_and_its_last_line(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "COMMAND", (sys.executable, "-c", "print('error: no such folder'); raise SystemExit(3)"))
    with pytest.raises(ChildProcessError, match=r"maesil@total ended with code 3 \(error: no such folder\)") as caught:
        trainer.train(Entry.parse("maesil@total"), 0)
    assert Path(caught.value.filename).read_text() == "error: no such folder\n"


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
