"""Keeps the trivial baselines in sight while a network trains."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch.utils.tensorboard import SummaryWriter

from maesil_monai.errors import BadSetting
from maesil_monai.metrics.reconstruction_error import is_better
from maesil_monai.training.signals import StopAsked

logger = logging.getLogger(__name__)

BaselineResults = Mapping[str, Mapping[str, float]]


class BaselineWatch:
    """Draws the baselines beside the network's metrics in TensorBoard, and warns once if the network does not pass the easiest.

    Attach it to the evaluator (``val_handlers``). Each baseline becomes a run of its own below ``log_dir``
    (``baseline_NAME``) with the network's tags and steps, so that TensorBoard shows it as a line in the same charts.

    Args:
        baselines: ``{baseline: {metric: value}}``, or a function that gives it, called once by every process before the first
            validation (measuring the baselines takes a pass over the validation data).
        log_dir: the folder of the network's TensorBoard files; None writes none.
        metric: the metric in which the network is compared.
        easiest: the baseline it must have passed in time.
        steps_per_epoch: optimiser steps in an epoch of the trainer.
        patience_steps: so many optimiser steps the network is given. On real CT networks leave the plateau of "predict the
            mean" after 100 to 300 steps.

    Raises:
        ValueError: if a number of steps is not positive.

    Example:
        >>> watch = BaselineWatch({"mean_of_visible": {"psnr_hidden_body": 6.6}}, steps_per_epoch=50)
        >>> watch.patience_steps
        400
    """

    def __init__(
        self,
        baselines: BaselineResults | Callable[[], BaselineResults],
        log_dir: str | os.PathLike[str] | None = None,
        metric: str = "psnr_hidden_body",
        easiest: str = "mean_of_visible",
        steps_per_epoch: int = 1,
        patience_steps: int = 400,
    ) -> None:
        if steps_per_epoch < 1 or patience_steps < 1:
            raise BadSetting(f"steps_per_epoch={steps_per_epoch}, patience_steps={patience_steps}: expected 1 or more.")
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.metric = metric
        self.easiest = easiest
        self.steps_per_epoch = steps_per_epoch
        self.patience_steps = patience_steps
        self.best = math.nan
        self._given = baselines
        self._writers: dict[str, Any] = {}
        self._warned = False

    @cached_property
    def baselines(self) -> BaselineResults:
        """The baselines' results, measured on first use where a function was given."""
        if not callable(self._given):
            return self._given
        logger.info("measuring the baselines on the held-out scans, once; at 512^3 on few cores this takes minutes")
        return self._given()

    @property
    def is_measured(self) -> bool:
        """Tells whether the results are known yet."""
        return "baselines" in vars(self)

    def attach(self, engine: Engine) -> None:
        """Registers the handler with an evaluator whose metrics are attached already, as MONAI's evaluators do."""
        engine.add_event_handler(Events.STARTED, self._measure)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._validated)

    def close(self) -> None:
        """Closes the TensorBoard files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _measure(self, engine: Engine) -> None:
        try:
            baselines = self.baselines
        except StopAsked:
            logger.warning("measuring the baselines given up: the run was asked to stop")
            engine.terminate(skip_completed=True)
            return
        if self.easiest not in baselines or self.metric not in baselines[self.easiest]:
            known = {name: sorted(values) for name, values in baselines.items()}
            raise BadSetting(f"baseline {self.easiest!r} with metric {self.metric!r} is not among the results: found {known}.")

    def _validated(self, engine: Engine) -> None:
        if idist.get_rank() != 0:
            return
        epoch = engine.state.epoch
        if self.log_dir is not None:
            self._write(self.log_dir, epoch)
        value = float(engine.state.metrics[self.metric])
        if is_better(value, self.best):
            self.best = value
        goal = self.baselines[self.easiest][self.metric]
        steps = epoch * self.steps_per_epoch
        if not self._warned and steps >= self.patience_steps and not math.isnan(goal) and not is_better(self.best, goal):
            self._warned = True
            logger.warning(
                "After %d optimiser steps the best %s is %.2f and does not pass %r (%.2f): the network predicts little more than "
                "a constant. Likely causes, the most frequent first: the learning rate is too low or far too high (it is scaled "
                "by the effective batch size); the warm-up is longer than the run so far; linear layers are not Xavier "
                "initialised; window_hu does not match the scans' HU; or too few steps: the plateau can last 300 of them.",
                steps,
                self.metric,
                self.best,
                self.easiest,
                goal,
            )

    def _write(self, log_dir: Path, epoch: int) -> None:
        """Adds this validation's point to each baseline's line."""
        for name, values in self.baselines.items():
            defined = {metric: value for metric, value in values.items() if math.isfinite(value)}
            if defined and name not in self._writers:
                self._writers[name] = SummaryWriter(str(log_dir / f"baseline_{name}"))
            for metric, value in defined.items():
                self._writers[name].add_scalar(metric, value, epoch)
            if defined:
                self._writers[name].flush()
