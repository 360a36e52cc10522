"""Ending a run in time, for machines that are lent by the hour."""

from __future__ import annotations

import logging
import time

import torch
import torch.distributed as dist
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.training.distributed import is_distributed
from maesil_monai.training.run_end import LEAVE, run_last

logger = logging.getLogger(__name__)


class TimeLimit:
    """Ends a run after an epoch, validation included, when another one would not fit into the time.

    The last checkpoint, validation and report are those of a whole epoch. Attach it first, so that all of the run is counted.

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
            raise ValueError(f"time_limit_minutes={minutes}: expected a positive number of minutes, or null for no limit.")
        self.minutes = minutes
        self._started = self._epoch_started = 0.0

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        if self.minutes is not None:
            engine.add_event_handler(Events.STARTED, self._start)
            engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
            run_last(engine, Events.EPOCH_COMPLETED, self, LEAVE)

    def _start(self, engine: Workflow) -> None:
        self._started = time.monotonic()

    def _start_epoch(self, engine: Workflow) -> None:
        self._epoch_started = time.monotonic()

    def __call__(self, engine: Workflow) -> None:
        """Ends the run if an epoch as long as the last one does not fit any more; all processes follow the slowest."""
        assert self.minutes is not None
        now = time.monotonic()
        over = now - self._started + (now - self._epoch_started) - 60 * self.minutes
        if is_distributed():
            device = engine.state.device if dist.get_backend() == "nccl" else torch.device("cpu")
            slowest = torch.tensor(over, device=device)
            dist.all_reduce(slowest, dist.ReduceOp.MAX)
            over = float(slowest.item())
        if over > 0 and engine.state.epoch < engine.state.max_epochs:
            logger.info("ending after epoch %d: another one would pass the limit of %g minutes", engine.state.epoch, self.minutes)
            engine.terminate()
