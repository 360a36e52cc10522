"""Trains what is compared, each run by ``monai.bundle run training`` in a process of its own, and searches learning rates."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maesil_monai.evaluation.comparison.bundle_files import BundleFiles
from maesil_monai.evaluation.comparison.entry import Entry
from maesil_monai.evaluation.comparison.locks import alone
from maesil_monai.evaluation.json_files import write_json
from maesil_monai.training.checkpoints import LAST_NAME
from maesil_monai.training.durable_checkpoint import BEST_NAME
from maesil_monai.training.gradients import REPORT_NAME as NON_FINITE_NAME
from maesil_monai.training.run_record import RECORD_NAME

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "monai.bundle", "run", "training")
LOG_NAME = "training.log"
SEARCH_FOLDER, RATES_NAME = "search", "rates.json"
WANTED_NAME = "wanted.json"
_PROGRESS = re.compile(r"epoch \d+, .* min:|WARNING|ERROR|^error:")


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
            ChildProcessError: if the process ends with an error; names the log.
        """
        with alone(self.folder, f"training of {entry}-seed{seed}"):
            return self._run(entry, self.folder / "training" / f"{entry}-seed{seed}", seed, learning_rate)

    def search(self, entry: Entry, rates: Sequence[float], share: float) -> list[dict[str, Any]]:
        """Chooses a learning rate by short runs of seed 0, on the validation scans.

        Args:
            entry: what to train.
            rates: the rates to try.
            share: length of a short run, as a share of the epochs of a whole one, at least one epoch.

        Returns:
            A row for each rate that was tried; the best has ``chosen``. A rate at which the training diverged has no value.

        Raises:
            ChildProcessError: if a process ends with another error, or the training diverged at every rate.
        """
        settings = self.bundle.settings_of(entry)
        epochs = max(1, round(share * int(settings["max_epochs"])))
        rows: list[dict[str, Any]] = []
        for rate in rates:
            run = self.folder / SEARCH_FOLDER / str(entry) / f"{rate:g}"
            with contextlib.suppress(Diverged):
                self._run(entry, run, 0, rate, max_epochs=epochs, val_interval=epochs)
            rows.append({"model": str(entry), "learning_rate": rate, "epochs": epochs, "psnr_hidden_body": _best(run)})
        if all(row["psnr_hidden_body"] is None for row in rows):
            what = (
                f"{entry} diverged at every learning rate ({', '.join(f'{rate:g}' for rate in rates)}): try lower ones. The runs"
            )
            raise ChildProcessError(errno.ECHILD, what, str(self.folder / SEARCH_FOLDER / str(entry)))
        best = max(rows, key=lambda row: -math.inf if row["psnr_hidden_body"] is None else row["psnr_hidden_body"])
        return [{**row, "chosen": row is best} for row in rows]

    def _run(self, entry: Entry, run: Path, seed: int, rate: float | None, **overrides: Any) -> Path:
        wanted = {"entry": str(entry), "seed": seed, "learning_rate": rate, "leave_out": self.leave_out, **overrides}
        _agree(run, wanted)
        if _has_ended(run):
            logger.info("%s is trained already", run.name)
            return run
        if (run / NON_FINITE_NAME).is_file():
            raise Diverged(errno.ECHILD, f"the training of {entry} diverged, see", str(run / NON_FINITE_NAME))
        keys = {**dict(entry.changes), "seed": seed, "leave_out": self.leave_out, **overrides}
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
            if not (run / NON_FINITE_NAME).is_file():
                raise
            raise Diverged(errno.ECHILD, f"the training of {entry} diverged, see", str(run / NON_FINITE_NAME)) from None
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
                    logger.info("%s: %s", name, line.strip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        what = f"the training of {name} ended with code {process.returncode} ({last}); run again to go on. Its log"
        raise ChildProcessError(errno.ECHILD, what, str(log))


def _agree(run: Path, wanted: dict[str, Any]) -> None:
    """Refuses to go on with a run that was begun with other settings."""
    file = run / WANTED_NAME
    if file.is_file() and json.loads(file.read_text()) != wanted:
        raise ValueError(f"{run} was trained with other settings ({file}): expected {wanted}. Choose another output folder.")


def _has_ended(run: Path) -> bool:
    try:
        record = json.loads((run / RECORD_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return False
    return record["ended"] == "completed" and (run / BEST_NAME).is_file()


def _best(run: Path) -> float | None:
    """Gives the value of the best model of a run, None if it has none or the training diverged."""
    if (run / NON_FINITE_NAME).is_file():
        return None
    best = json.loads((run / RECORD_NAME).read_text())["best_metric"]
    return None if best is None else best.get("value")
