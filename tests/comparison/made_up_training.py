"""A stand-in for the bundle's training in a comparison: it writes down its command and leaves what a finished run leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from maesil_monai.comparison import training
from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.training import Trainer

BUNDLE = BundleFiles.find(Path(__file__).parents[2] / "bundle")
# Short runs (with epochs of their own) validate best at 0.001 and diverge above 1. Whole runs are better than short ones by
# 1 dB up to 0.01, worse by 1 dB above it, and diverge above 0.5.
SCRIPT = """
import json, sys, pathlib
def given(name, default):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default
folder = pathlib.Path(given("--output_dir", ""))
rate = float(given("--learning_rate", 0.0))
is_short = "--max_epochs" in sys.argv and "search" in str(folder)
if rate > (1 if is_short else 0.5):
    (folder / "non_finite_loss.json").write_text("{}")
    sys.exit("error: loss nan")
print("12:00:00 INFO epoch 1, 0.1 min: psnr_hidden_body 9.00 dB")
(folder / "model.pt").touch()
value = 10 - abs(rate - 0.001) + (0 if is_short else 1 if rate <= 0.01 else -1)
record = {"ended": "completed", "best_metric": {"value": value, "epoch": 1}, "command": sys.argv}
(folder / "run.json").write_text(json.dumps(record))
"""


def make_up_trainer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """Gives a trainer into ``folder/out`` that runs the stand-in."""
    script = folder / "training.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr(training, "COMMAND", (sys.executable, str(script)))
    return Trainer(BUNDLE, "store", folder / "out")


def command_of(run: Path) -> dict[str, str]:
    """Gives the options of the command of a run."""
    words = json.loads((run / "run.json").read_text())["command"][1:]
    return dict(zip(words[::2], words[1::2], strict=True))
