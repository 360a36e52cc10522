"""The result of an evaluation: one table on the screen, one file for machines."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events

from maesil_monai.evaluation.baseline_watch import BaselineWatch
from maesil_monai.evaluation.run_table import MethodRow, psnr_table
from maesil_monai.whole_files import write_json

logger = logging.getLogger(__name__)


@dataclass
class ScoreReport:
    """Prints network and baselines and writes ``scores.json``, with the values of every scan.

    Args:
        watch: knows the baselines' results.
        output_dir: where to.
        scans: the evaluated scans, by their number.
        name: how the network is called in the table.
    """

    watch: BaselineWatch
    output_dir: str | os.PathLike[str]
    scans: Sequence[Mapping[str, Any]]
    name: str = "network"

    def attach(self, engine: Engine) -> None:
        """Registers the handler with an evaluator whose metrics are attached already, as MONAI's evaluators do."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Writes and prints."""
        if idist.get_rank() != 0:
            return
        state: Any = engine.state
        details = {name: values.tolist() for name, values in state.metric_details.items()}
        numbers = details.pop("scan")
        per_scan = [
            {"case_id": self.scans[scan]["case_id"], **{name: values[row] for name, values in details.items()}}
            for row, scan in enumerate(numbers)
        ]
        result = {self.name: dict(state.metrics), "baselines": self.watch.baselines, "scans": per_scan}
        file = write_json(Path(self.output_dir) / "scores.json", result)
        rows = [MethodRow(name, values, baseline=True) for name, values in self.watch.baselines.items()]
        table = psnr_table([*rows, MethodRow(self.name, state.metrics)])
        logger.info("Reconstruction of hidden voxels on %d held-out scans\n%s", len(per_scan), table)
        logger.info("Values of every scan: %s", file)
