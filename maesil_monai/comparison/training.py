"""Trains what is compared, each run by ``monai.bundle run training`` in a process of its own."""

from __future__ import annotations

import errno
import json
import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maesil_monai.comparison.bundle_files import BundleFiles
from maesil_monai.comparison.model_entry import Entry
from maesil_monai.errors import BadSetting
from maesil_monai.folder_lock import alone
from maesil_monai.training.gradients import REPORT_NAME as NON_FINITE_NAME
from maesil_monai.training.run_record import BEST_NAME, RECORD_NAME
from maesil_monai.weights_file.checkpoint_files import LAST_NAME
from maesil_monai.whole_files import write_json

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "monai.bundle", "run", "training")
LOG_NAME = "training.log"
WANTED_NAME = "wanted.json"
# MONAI warns that the overlays of the models lie in a folder below train.json's, which they do.
_PROGRESS = re.compile(r"^(?!.*Not all config files are in )(.*epoch \d+, .* min:|.*WARNING|.*ERROR|error:)")

_STAMP = re.compile(r"^\d\d:\d\d:\d\d (INFO )?")  # ours stands in front


class Diverged(ChildProcessError):
    """The loss or a gradient was not finite."""


@dataclass(frozen=True)
class Trainer:
    """Runs the bundle's training with one store and one set of files.

    Args:
        bundle: the configurations.
        store: store or folder.
        folder: of the comparison.
        leave_out: collection that is not trained on; empty for none.
    """

    bundle: BundleFiles
    store: str
    folder: Path
    leave_out: str = ""

    def train(self, entry: Entry, seed: int, learning_rate: float | None = None) -> Path:
        """Trains an entry, or goes on where an earlier call was stopped.

        Returns:
            The run's folder, with ``model.pt``.

        Raises:
            Diverged: if the loss or a gradient was not finite.
            ChildProcessError: if the process ends with another error; names the log.
        """
        with alone(self.folder, f"training of {entry}-seed{seed}"):
            return self.run(entry, self.place(entry, seed), seed, learning_rate)

    def place(self, entry: Entry, seed: int) -> Path:
        """Names the folder of a run of the comparison."""
        return self.folder / "training" / f"{entry}-seed{seed}"

    def run(self, entry: Entry, run: Path, seed: int, rate: float | None, **overrides: Any) -> Path:
        """Trains into a folder, with other keys of the configuration; gives the folder, and raises as :meth:`train`."""
        wanted = {"entry": str(entry), "seed": seed, "learning_rate": rate, "leave_out": self.leave_out, **overrides}
        _agree(run, wanted)
        if _has_ended(run):
            logger.info("%s is trained already", run.name)
            return run
        trace = run / NON_FINITE_NAME
        diverged = Diverged(errno.ECHILD, f"the training of {entry} diverged, see", str(trace))
        if trace.is_file():
            raise diverged
        keys = {**self.bundle.changes_of(entry), "seed": seed, "leave_out": self.leave_out, **overrides}
        if entry.rule is not None:
            keys["mask_rule"] = entry.rule
        if rate is not None:
            keys["learning_rate"] = rate
        if (run / LAST_NAME).is_file():
            keys["ckpt"] = "last"
        command = [*COMMAND, "--config_file", str(self.bundle.files_of(entry.model))]
        command += ["--bundle_root", str(self.bundle.root), "--dataset_dir", self.store, "--output_dir", str(run)]
        for key, value in keys.items():
            if value != "":
                command += [f"--{key}", "$None" if value is None else str(value)]
        logger.info("training %s, seed %d%s", entry, seed, "" if rate is None else f", learning rate {rate:g}")
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / WANTED_NAME, wanted)
        try:
            _call(command, run / LOG_NAME, str(entry))
        except ChildProcessError:
            if trace.is_file():
                raise diverged from None
            raise
        return run


def _call(command: Sequence[str], log: Path, name: str) -> None:
    """Runs a command, all of its output into a log, its epochs and warnings also to ours."""
    last = ""
    with log.open("a") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                last = line.strip() or last
                if _PROGRESS.search(line):
                    logger.info("%s: %s", name, _STAMP.sub("", line.strip()))
        except BaseException:
            process.terminate()
            file.writelines(process.stdout)  # it saves itself and leaves; a closed pipe would break it off
            raise
    if process.returncode:
        what = f"the training of {name} ended with code {process.returncode} ({last}); run again to go on. Its log"
        raise ChildProcessError(errno.ECHILD, what, str(log))


def _agree(run: Path, wanted: dict[str, Any]) -> None:
    """Refuses to go on with a run that was begun with other settings."""
    file = run / WANTED_NAME
    if file.is_file() and json.loads(file.read_text()) != wanted:
        raise BadSetting(f"{run} was trained with other settings ({file}): expected {wanted}. Choose another output folder.")


def _has_ended(run: Path) -> bool:
    try:
        record = json.loads((run / RECORD_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return False
    return record["ended"] == "completed" and (run / BEST_NAME).is_file()


def best_value(run: Path) -> float | None:
    """Gives the value on validation of the best model of a run, None if it has none or the training diverged."""
    if (run / NON_FINITE_NAME).is_file():
        return None
    best = json.loads((run / RECORD_NAME).read_text())["best_metric"]
    return None if best is None else best.get("value")
