"""Where weights come from: settings, patients, steps and cost of the training, told in the files of weights themselves."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.networks.described_network import plain
from maesil_monai.training.run_record import hardware, versions
from maesil_monai.training.settings import RunSettings
from maesil_monai.training.step_count import num_steps
from maesil_monai.training.trained_on import marks_of
from maesil_monai.weights_file.read import read_weights


class Provenance:
    """Keeps account of a run, for the record that is saved with its weights and checkpoints.

    Patients count by hashes (:func:`~maesil_monai.training.trained_on.marks_of`); those that the weights a run starts from have
    learnt from count too. A resumed run goes on with the account of its checkpoint.

    Args:
        settings: of the run.
        data: the training's data list.
        init_weights: the file that the run starts from; empty for none.

    Example:
        >>> import json, pathlib
        >>> defaults = json.loads(pathlib.Path("bundle/configs/train.json").read_text())
        >>> settings = RunSettings(**{name: defaults[name] for name in RunSettings.names()})
        >>> Provenance(settings, [{"case_id": "p1/ct"}, {"case_id": "p2/ct"}]).record()["patients"]
        ['01081d7e74e7', '3759a9010d3d']
    """

    def __init__(self, settings: RunSettings, data: Sequence[Mapping[str, Any]], init_weights: str | Path | None = None) -> None:
        self.settings = settings
        self.patients = set().union(*map(marks_of, data))
        if init_weights:
            self.patients |= set(read_weights(init_weights).record.get("patients", ()))
        self.validations: list[dict[str, Any]] = []
        self._engine: Workflow | None = None
        self._device_seconds = 0.0
        self._started = math.nan

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        self._engine = engine
        engine.add_event_handler(Events.STARTED, self._start)

    def _start(self, engine: Workflow) -> None:
        self._started = time.monotonic()

    @property
    def device_hours(self) -> float:
        """Hours of all processes together since the first start, validations included; 0 before it."""
        here = 0.0 if math.isnan(self._started) else (time.monotonic() - self._started) * idist.get_world_size()
        return (self._device_seconds + here) / 3600

    def validated(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Notes a validation; one of an epoch that was validated before takes its place."""
        defined = {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}
        self.validations = [row for row in self.validations if row["epoch"] < epoch]
        self.validations.append({"epoch": epoch, "steps": self._steps(), **defined})

    def record(self) -> dict[str, Any]:
        """Gives the account, as plain values: ``settings`` without paths, ``patients``, ``steps``, ``device_hours``,
        ``processes``, ``hardware``, ``versions`` and the ``validations`` so far."""
        paths = ("dataset_dir", "ckpt", "init_weights")
        return {
            "settings": plain({name: value for name, value in self.settings.record().items() if name not in paths}),
            "patients": sorted(self.patients),
            "steps": self._steps(),
            "device_hours": round(self.device_hours, 4),
            "processes": idist.get_world_size(),
            "hardware": hardware(),
            "versions": versions(),
            "validations": self.validations,
        }

    def state_dict(self) -> dict[str, Any]:
        """Gives the record, which is all that a resumed run goes on with."""
        return self.record()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on with the account of an earlier part of the run."""
        self.patients |= set(state["patients"])
        self.validations = list(state["validations"])
        self._device_seconds = 3600 * state["device_hours"]

    def _steps(self) -> int:
        return 0 if self._engine is None else num_steps(self._engine)
