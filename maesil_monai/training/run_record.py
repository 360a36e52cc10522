"""What was run, on what, and how it ended, as JSON beside the weights."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ignite
import ignite.distributed as idist
import monai
import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow

import maesil_monai
from maesil_monai.data.samples.catalog import data_hash
from maesil_monai.errors import hide_home
from maesil_monai.training.run_end import on_run_end
from maesil_monai.training.step_count import num_steps
from maesil_monai.training.training_state import Stateful
from maesil_monai.whole_files import write_whole

RECORD_NAME, OVERLAY_NAME, BEST_NAME = "run.json", "settings.json", "model.pt"


class RunRecord:
    """Writes ``run.json`` into the output folder: at the start, after each epoch, and at the end of a run, good or bad.

    It holds configuration, command line, versions, hardware, a hash of the data list, times, superpatches seen, the best metric
    and how the run ended. No host and user names: the home folder is written ``~``. A resumed run keeps the entries of its
    earlier parts. ``settings.json``, written at the start, is an overlay for evaluation and inference: the settings they share
    with the training, and the run's best model as ``ckpt``.
    Attach it behind :class:`Resume` and before MONAI's ``StatsHandler``.

    Args:
        output_dir: the folder.
        configuration: the user's keys and their values, as plain nested values.
        shared: those that evaluation and inference need; None writes no overlay.
        data: the data list, of which the number and a hash are written.
        best: the keeper of the best model.

    Example:
        >>> RunRecord("output", {"epochs": 10}).configuration
        {'epochs': 10}
    """

    def __init__(
        self,
        output_dir: str | Path,
        configuration: Mapping[str, Any],
        shared: Mapping[str, Any] | None = None,
        data: Sequence[Mapping[str, Any]] | None = None,
        best: Stateful | None = None,
    ) -> None:
        self.path = Path(output_dir) / RECORD_NAME
        self.configuration = dict(configuration)
        self.shared = None if shared is None else dict(shared)
        self.data = None if data is None else {"num_scans": len(data), "sha256": data_hash(data)}
        self.best = best
        self.record: dict[str, Any] = {}

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._update)
            on_run_end(engine, self._end)

    def _start(self, engine: Workflow) -> None:
        if self.shared is not None:
            ckpt = self.path.with_name(BEST_NAME).resolve()
            write_whole(self.path.with_name(OVERLAY_NAME), json.dumps({"ckpt": str(ckpt), **self.shared}, indent=4) + "\n")
        earlier = _read(self.path) if engine.state.iteration > 0 else {}
        parts = earlier.pop("earlier_parts", [])
        self.record = {
            "configuration": self.configuration,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "versions": versions(),
            "hardware": hardware(),
            "processes": idist.get_world_size(),
            "data": self.data,
            "started": _now(),
            "first_iteration": engine.state.iteration,
            "earlier_parts": parts + ([earlier] if earlier else []),
        }
        self._write(engine, "running")

    def _update(self, engine: Workflow) -> None:
        self._write(engine, "running")

    def _end(self, engine: Workflow, error: BaseException | None) -> None:
        if not self.record:  # refused before it began: the record in the folder is another run's
            return
        if error is not None:
            how = f"failed: {type(error).__name__}: {error}"
        elif engine.should_terminate:
            how = "stopped early"
        else:
            how = "completed"
        self._write(engine, how)

    def _write(self, engine: Workflow, how: str) -> None:
        """Brings the record up to date and replaces the file at once."""
        output = engine.state.output
        if isinstance(output, dict) and "image" in output:
            # All batches are equally large: the sampler hands out whole ones.
            self.record["superpatches_per_iteration"] = output["image"].shape[0] * idist.get_world_size()
        per_iteration = self.record.get("superpatches_per_iteration")
        self.record.update(
            iteration=engine.state.iteration,
            optimizer_steps=num_steps(engine),
            epoch=engine.state.epoch,
            superpatches_seen=None if per_iteration is None else engine.state.iteration * per_iteration,
            best_metric=None if self.best is None else self.best.state_dict(),
            updated=_now(),
            ended=how,
        )
        write_whole(self.path, json.dumps(_anonymous(self.record), indent=2, allow_nan=False) + "\n")


def versions() -> dict[str, str]:
    """Gives the versions of Python and of what results depend on, by the packages' own word: not all need have been installed."""
    return {
        "python": platform.python_version(),
        "maesil-monai": maesil_monai.__version__,
        "monai": monai.__version__,
        "torch": str(torch.__version__),
        "pytorch-ignite": ignite.__version__,
        "numpy": np.__version__,
    }


def hardware() -> dict[str, Any]:
    """Describes processor, memory and GPUs, without names of hosts."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def _read(path: Path) -> dict[str, Any]:
    """Reads an earlier record; one that is missing or damaged is none, as the run does not depend on it."""
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _anonymous(value: Any) -> Any:
    """Gives plain JSON values with the home folder written ``~`` and non-finite numbers as words."""
    if isinstance(value, Mapping):
        return {str(key): _anonymous(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_anonymous(item) for item in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    return hide_home(str(value))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
