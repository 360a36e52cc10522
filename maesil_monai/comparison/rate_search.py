"""Chooses the learning rate of a system: by short runs on the validation scans, held against the whole run that follows."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.training import Diverged, Trainer, best_value
from maesil_monai.folder_lock import alone
from maesil_monai.whole_files import write_json

logger = logging.getLogger(__name__)

SEARCH_FOLDER, RATES_NAME = "search", "rates.json"


@dataclass(frozen=True)
class RateSearch:
    """The same search for every system that is compared.

    Each rate is tried in a short run, and the one with the best PSNR on hidden body voxels of the validation scans is taken for
    the whole run. A short run is at its peak rate for fewer steps, so it bears a higher one: where the whole run validates worse
    than its own short run, or diverges, it is put aside and repeated at the next lower rate, as long as there is one.

    Args:
        trainer: runs the trainings.
        rates: learning rates to try.
        share: length of a short run, as a share of the epochs of a whole one, at least one epoch.
    """

    trainer: Trainer
    rates: Sequence[float]
    share: float

    def rate(self, entry: Entry, seed: int) -> float:
        """Gives the rate of an entry; searched once in a folder, by the first call that wants it.

        Args:
            entry: what to train.
            seed: of all runs of the search. The whole run is that of the comparison with this seed, not one more.

        Raises:
            ChildProcessError: if a training ends with another error than that it diverged, or all short runs diverged.
        """
        file = self._place(entry) / RATES_NAME
        with alone(self.trainer.folder, f"search of {entry}"):
            if not file.is_file():
                write_json(file, {"rows": self.rows(entry, seed)})
        (rate,) = (float(row["learning_rate"]) for row in json.loads(file.read_text())["rows"] if row["chosen"])
        logger.info("learning rate of %s: %g", entry, rate)
        return rate

    def rows(self, entry: Entry, seed: int) -> list[dict[str, Any]]:
        """Searches; gives a row for each run, ``chosen`` in one of them. A run that diverged has no value."""
        all_epochs = int(self.trainer.bundle.settings_of(entry)["max_epochs"])
        epochs = max(1, round(self.share * all_epochs))
        short = {rate: self._short(entry, seed, rate, epochs) for rate in self.rates}
        finite = {rate: value for rate, value in short.items() if value is not None}
        if not finite:
            tried = ", ".join(f"{rate:g}" for rate in self.rates)
            what = f"{entry} diverged at every learning rate ({tried}): try lower ones. The runs"
            raise ChildProcessError(errno.ECHILD, what, str(self._place(entry)))
        rate = max(finite, key=lambda rate: finite[rate])
        rows = [_row(entry, seed, rate, epochs, value) for rate, value in short.items()]
        if epochs >= all_epochs:
            return [{**row, "chosen": row["learning_rate"] == rate} for row in rows]
        while True:
            value = self._whole(entry, seed, rate)
            lower = [other for other in finite if other < rate]
            rows.append(_row(entry, seed, rate, all_epochs, value))
            if (value is not None and value >= finite[rate]) or not lower:
                rows[-1]["chosen"] = True
                return rows
            logger.warning("%s at %g: its whole run is worse than its short one, %g is next", entry, rate, max(lower))
            if not self._aside(entry, rate).is_dir():
                self.trainer.place(entry, seed).rename(self._aside(entry, rate))
            rate = max(lower)

    def _short(self, entry: Entry, seed: int, rate: float, epochs: int) -> float | None:
        run = self._place(entry) / f"{rate:g}"
        with suppress(Diverged):
            self.trainer.run(entry, run, seed, rate, max_epochs=epochs, val_interval=epochs)
        return best_value(run)

    def _whole(self, entry: Entry, seed: int, rate: float) -> float | None:
        aside = self._aside(entry, rate)
        if aside.is_dir():
            return best_value(aside)
        with suppress(Diverged):
            self.trainer.train(entry, seed, rate)
        return best_value(self.trainer.place(entry, seed))

    def _place(self, entry: Entry) -> Path:
        return self.trainer.folder / SEARCH_FOLDER / str(entry)

    def _aside(self, entry: Entry, rate: float) -> Path:
        return self._place(entry) / f"{rate:g}-whole"


def _row(entry: Entry, seed: int, rate: float, epochs: int, value: float | None) -> dict[str, Any]:
    who = {"model": str(entry), "seed": seed}
    return {**who, "learning_rate": rate, "epochs": epochs, "psnr_hidden_body": value, "chosen": False}
