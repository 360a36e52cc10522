"""Ending a run in time, for machines that are lent by the hour."""

from __future__ import annotations

import logging
import time

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.errors import BadSetting
from maesil_monai.training.run_end import DECIDE, LEAVE, run_last
from maesil_monai.training.step_count import is_step

logger = logging.getLogger(__name__)


class TimeLimit:
    """Ends a run after an epoch, validation included, when another one would not fit into the time.

    The last checkpoint, validation and report are then those of a whole epoch: the one it ends with is validated whatever the
    interval. An epoch that passes the limit itself (the first one, say) ends at its next optimiser step, saved but not
    validated. Attach it first, so that all of the run is counted and validation knows which epoch is the last.

    Args:
        minutes: from the start of the trainer (of this part of a resumed run); None sets no limit.

    Raises:
        ValueError: for a limit that is not positive.

    Example:
        >>> TimeLimit(minutes=5).minutes
        5
    """

    def __init__(self, minutes: float | None = None) -> None:
        if minutes is not None and not (isinstance(minutes, (int, float)) and minutes > 0):
            raise BadSetting(f"time_limit_minutes={minutes}: expected a positive number of minutes, or null for no limit.")
        self.minutes = minutes
        self._started = self._epoch_started = self._epoch_ended = 0.0
        self._validation_seconds = 0.0

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        if self.minutes is not None:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
            run_last(engine, Events.ITERATION_COMPLETED, self._within_epoch, LEAVE)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._before_validation)
            run_last(engine, Events.EPOCH_COMPLETED, self._after_validation, DECIDE)

    def _start(self, engine: Workflow) -> None:
        self._started = time.monotonic()

    def _start_epoch(self, engine: Workflow) -> None:
        self._epoch_started = time.monotonic()

    def _before_validation(self, engine: Workflow) -> None:
        """Ends the run with this epoch if, with its validation and the next one's, another does not fit."""
        self._epoch_ended = time.monotonic()
        trained = self._epoch_ended - self._epoch_started
        self._end_if_over(engine, self._epoch_ended - self._started + trained + 2 * self._validation_seconds)

    def _after_validation(self, engine: Workflow) -> None:
        """The same once more, now that the time of the validation is known."""
        now = time.monotonic()
        self._validation_seconds = max(self._validation_seconds, now - self._epoch_ended)
        if not engine.should_terminate:
            self._end_if_over(engine, now - self._started + (now - self._epoch_started))

    def _end_if_over(self, engine: Workflow, seconds: float) -> None:
        """Ends the run if another epoch would end after so many seconds and that is too late."""
        if self._agreed(seconds) and engine.state.epoch < engine.state.max_epochs:
            logger.info("ending after epoch %d: another one would pass the limit of %g minutes", engine.state.epoch, self.minutes)
            engine.terminate()

    def _within_epoch(self, engine: Workflow) -> None:
        """Ends the run between two steps if the limit has passed; the last step of an epoch is left to the epoch's end."""
        if engine.state.iteration % engine.state.epoch_length == 0 or not is_step(engine):
            return
        if self._agreed(time.monotonic() - self._started):
            logger.warning(
                "the limit of %g minutes passed within epoch %d, at iteration %d: the state is saved, --ckpt last goes on "
                "from here. Shorter epochs (superpatches_per_epoch) end with a validation.",
                self.minutes,
                engine.state.epoch,
                engine.state.iteration,
            )
            engine.terminate()

    def _agreed(self, seconds: float) -> bool:
        """Tells whether so many seconds pass the limit in any process of the job."""
        assert self.minutes is not None
        return float(idist.all_reduce(seconds - 60 * self.minutes, "MAX")) > 0
