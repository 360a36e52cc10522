"""The report of a run: the learning curve and the table of network and baselines, before and after training."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from monai.engines import Trainer

from maesil_monai.data.samples.sampling import EpochSampler
from maesil_monai.evaluation.baseline_watch import BaselineWatch
from maesil_monai.evaluation.run_table import MethodRow, psnr_table
from maesil_monai.reports.chart_output import save_png
from maesil_monai.reports.learning_curve import learning_curve
from maesil_monai.training.step_count import num_steps
from maesil_monai.whole_files import write_json

logger = logging.getLogger(__name__)


class LearningReport:
    """Writes ``learning_curve.json`` and ``.png`` at every validation and prints the table when training ends.

    Attach it to the trainer. A resumed run goes on with the curve in its folder: validations after the point of resumption
    are dropped, the minutes go on from there.

    Args:
        validator: the evaluator whose metrics are reported.
        watch: knows the baselines' results.
        output_dir: the run's folder.
        sampler: the trainer's sampler, which knows how many superpatches an epoch of the whole job sees.
        metric: the metric of the curve.

    Source: the curves and tables users of such systems ask for first ("what loss is normal?").
    """

    def __init__(
        self,
        validator: Any,
        watch: BaselineWatch,
        output_dir: str | os.PathLike[str],
        sampler: EpochSampler,
        metric: str = "psnr_hidden_body",
    ) -> None:
        self.validator = validator
        self.watch = watch
        self.folder = Path(output_dir)
        self.superpatches_per_epoch = sampler.num_batches * sampler.global_batch_size
        self.metric = metric
        self.rows: list[dict[str, Any]] = []
        self._started = time.monotonic()
        self._minutes_before = 0.0

    def attach(self, engine: Engine) -> None:
        """Registers the handler with the trainer, and with the evaluator it was given."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        self.validator.add_event_handler(Events.EPOCH_COMPLETED, self._validated)

    def _start(self, engine: Trainer) -> None:
        self._started = time.monotonic()
        self.watch.steps_per_epoch = num_steps(engine, engine.state.epoch_length)
        file = self.folder / "learning_curve.json"
        if engine.state.iteration and file.is_file():
            earlier = json.loads(file.read_text())["network"]
            rows = [row for row in earlier if row["epoch"] <= engine.state.epoch]
            self.rows = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
            self._minutes_before = self.rows[-1]["minutes"] if self.rows else 0.0

    def _validated(self, evaluator: Engine) -> None:
        epoch = evaluator.state.epoch
        minutes = self._minutes_before + (time.monotonic() - self._started) / 60
        metrics = {name: float(value) for name, value in evaluator.state.metrics.items()}
        self.rows = [row for row in self.rows if row["epoch"] < epoch]
        row = {"epoch": epoch, "superpatches": epoch * self.superpatches_per_epoch, "minutes": round(minutes, 3)}
        self.rows.append({**row, **metrics})
        if idist.get_rank() != 0:
            return
        baselines = {name: values[self.metric] for name, values in self.watch.baselines.items()}
        best = max(baselines, key=lambda name: baselines[name] if baselines[name] == baselines[name] else -1.0)
        logger.info(
            "epoch %d, %.1f min: %s %.2f dB (best baseline: %s %.2f dB)",
            epoch,
            minutes,
            self.metric,
            metrics[self.metric],
            best,
            baselines[best],
        )
        write_json(self.folder / "learning_curve.json", {"network": self.rows, "baselines": self.watch.baselines})
        save_png(learning_curve(self.rows, self.metric, baselines), self.folder / "learning_curve.png")

    def _finish(self, engine: Engine) -> None:
        if idist.get_rank() == 0 and self.rows and self.watch.is_measured:
            logger.info("Reconstruction of hidden voxels on the held-out scans\n%s", self.table())
            self._say_where_it_stands()
            logger.info("Panels: %s  Curve: %s", self.folder / "panels", self.folder / "learning_curve.png")
            logger.info("TensorBoard: tensorboard --logdir %s", self.folder)

    def _say_where_it_stands(self) -> None:
        """Says so when what the run ends with is no better than a baseline, which an unknowing reader of the table may miss."""
        values = [baseline[self.metric] for baseline in self.watch.baselines.values()]
        best = max((value for value in values if not math.isnan(value)), default=-math.inf)
        last = self.rows[-1]
        if not last[self.metric] > best:
            logger.warning(
                "After %d superpatches the network is not past the best baseline (%.2f against %.2f dB): train longer, from the "
                "last checkpoint (--ckpt last with a larger max_epochs and time_limit_minutes) or anew.",
                last["superpatches"],
                last[self.metric],
                best,
            )

    def table(self) -> str:
        """Gives the table: the baselines, and the network at its first and its last validation."""
        rows = [MethodRow(name, values, baseline=True) for name, values in self.watch.baselines.items()]
        ends = self.rows[:1] + self.rows[1:][-1:]
        return psnr_table(rows + [MethodRow(f"network, epoch {row['epoch']}", row) for row in ends])
