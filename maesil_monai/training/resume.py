"""Going on with an interrupted run, to the bit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.training.random_state import set_random_state
from maesil_monai.training.training_state import TrainingState
from maesil_monai.weights_file.checkpoint_files import find_newest, list_checkpoints, load_checkpoint

logger = logging.getLogger(__name__)


class Resume:
    """Restores a training checkpoint when the trainer starts; attach it before the handlers that look at the trainer's place.

    The run then equals the uninterrupted one: weights, optimiser, schedule, average, sample order, random draws, also from the
    middle of an epoch. ``max_epochs`` follows the present configuration; learning rate and weight decay are the checkpoint's.

    Args:
        checkpoint: ``""`` starts anew; ``"last"`` takes the newest undamaged checkpoint of ``output_dir``, or starts anew without
            one; anything else is the path of a checkpoint, which never falls back to another one.
        output_dir: folder of the run's checkpoints.
        state: what to restore, the same object the checkpoints are made from.

    Raises:
        BadCheckpoint: from the trainer's run, if the checkpoint is missing, damaged or of another configuration.

    Example:
        >>> import torch
        >>> network = torch.nn.Linear(1, 1)
        >>> state = TrainingState(network, torch.optim.SGD(network.parameters(), lr=0.1))
        >>> Resume("last", "output", state).checkpoint
        'last'
    """

    def __init__(self, checkpoint: str, output_dir: str | Path, state: TrainingState) -> None:
        self.checkpoint = str(checkpoint)
        self.output_dir = Path(output_dir)
        self.state = state
        self._random: dict[str, Any] | None = None

    def attach(self, engine: Workflow) -> None:
        """Waits for a MONAI trainer to start."""
        engine.add_event_handler(Events.STARTED, self)
        engine.add_event_handler(Events.ITERATION_STARTED, self._set_random_state)

    def __call__(self, engine: Workflow) -> None:
        """Restores the checkpoint, if one is asked for and there."""
        if not self.checkpoint:
            if idist.get_rank() == 0 and list_checkpoints(self.output_dir):
                logger.warning(
                    "starting anew in %s, which holds checkpoints of an earlier run: they will be replaced. Stop now and set "
                    "ckpt to 'last' to go on with that run.",
                    self.output_dir,
                )
            return
        path = self._choose()
        if path is None:
            logger.info("no checkpoint in %s yet: starting anew", self.output_dir)
            return
        self._random = self.state.restore(engine, load_checkpoint(path), path)
        logger.info("resumed from %s at iteration %d, epoch %d", path, engine.state.iteration, engine.state.epoch + 1)

    def _choose(self) -> str | None:
        """Gives the checkpoint's path; rank 0 looks for the newest one, so that all processes take the same."""
        if self.checkpoint != "last":
            return self.checkpoint
        newest = find_newest(self.output_dir) if idist.get_rank() == 0 else None
        # Gathered, for ignite's broadcast of a text spoils letters outside ASCII.
        chosen: Any = idist.all_gather([None if newest is None else str(newest)])
        return chosen[0][0]

    def _set_random_state(self, engine: Workflow) -> None:
        """Restores the random draws once, after the batch has been fetched."""
        if self._random is not None:
            set_random_state(self._random)
            self._random = None
