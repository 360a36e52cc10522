"""Progress of a run in the log, one line every few iterations, and named functions that pick values for MONAI's handlers."""

from __future__ import annotations

import logging
import time
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from ignite.handlers import ProgressBar
from monai.engines import SupervisedTrainer

from maesil_monai.errors import BadSetting

LONGEST_SILENCE_S = 30.0  # a slow machine shows after this long that it is at work

logger = logging.getLogger(__name__)


def loss_of(output: Any) -> float:
    """Picks the loss from a trainer's output, decollated or not: ``output_transform`` for MONAI's and ignite's handlers."""
    first = output[0] if isinstance(output, list) else output
    return float(first["loss"].detach())


def progress_bar() -> ProgressBar:
    """Gives ignite's progress bar of the epoch's batches, shown on a terminal by the first process and nowhere else."""
    return ProgressBar(persist=False, disable=None if idist.get_rank() == 0 else True)


class ProgressLine:
    """Logs loss, gradient norm, learning rate and speed of a trainer on rank 0.

    Speed is counted from the request of a batch to the end of its step, so waiting for data counts and validation does not. It is
    also kept in ``engine.state.superpatches_per_second``, for ``TensorBoardStatsHandler(state_attributes=...)``.

    Args:
        interval: iterations between two lines, of which there is one every half minute at least.

    Raises:
        ValueError: for an interval below 1.

    Example:
        >>> ProgressLine(interval=50).interval
        50
    """

    def __init__(self, interval: int = 50) -> None:
        if interval < 1:
            raise BadSetting(f"interval={interval}: expected 1 iteration or more between two lines.")
        self.interval = interval
        self._seconds = 0.0
        self._superpatches = 0
        self._began: float | None = None
        self._logged = 0.0

    def attach(self, engine: SupervisedTrainer) -> None:
        """Follows a MONAI trainer."""
        engine.add_event_handler(Events.STARTED, self._reset)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def _reset(self, engine: SupervisedTrainer) -> None:
        self._seconds, self._superpatches, self._began = 0.0, 0, None
        self._logged = time.perf_counter()
        engine.state.superpatches_per_second = 0.0

    def _begin(self, engine: SupervisedTrainer) -> None:
        self._began = time.perf_counter()

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Counts an iteration and logs a line when one is due."""
        if self._began is not None:
            self._seconds += time.perf_counter() - self._began
            output = engine.state.output
            count = len(output) if isinstance(output, list) else output["image"].shape[0]
            self._superpatches += count * idist.get_world_size()
        length = engine.state.epoch_length
        in_epoch = (engine.state.iteration - 1) % length + 1
        is_due = in_epoch % self.interval == 0 or in_epoch == length or time.perf_counter() - self._logged > LONGEST_SILENCE_S
        if not is_due:
            return
        self._logged = time.perf_counter()
        speed = self._superpatches / self._seconds if self._seconds > 0.0 else 0.0
        engine.state.superpatches_per_second = speed
        self._seconds, self._superpatches = 0.0, 0
        if idist.get_rank() == 0:
            logger.info(
                "epoch %d/%d, batch %d/%d: loss %.5g, gradient norm %.3g, learning rate %.3g, %.3g superpatches/s",
                engine.state.epoch,
                engine.state.max_epochs,
                in_epoch,
                length,
                loss_of(engine.state.output),
                getattr(engine.state, "grad_norm", float("nan")),
                getattr(engine.state, "learning_rate", engine.optimizer.param_groups[0]["lr"]),
                speed,
            )
