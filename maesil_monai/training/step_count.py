"""The one place that tells whether an iteration steps the optimiser and how many steps were taken.

MONAI's trainer accumulates gradients over ``accumulation_steps`` batches and flushes what is left at the end of an epoch. All
that happens per optimiser step (schedule, clipping, weight averaging, checkpoints) asks here, so that it agrees with the trainer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maesil_monai.errors import BadSetting

if TYPE_CHECKING:
    from monai.engines import Workflow


def is_step(engine: Workflow) -> bool:
    """Tells whether the present iteration of a MONAI trainer ends with an optimiser step (rule of ``SupervisedTrainer``)."""
    in_epoch = _batches_in_epoch(engine, engine.state.iteration)
    return in_epoch % _accumulation(engine) == 0 or in_epoch == engine.state.epoch_length


def num_steps(engine: Workflow, num_iterations: int | None = None) -> int:
    """Counts the optimiser steps taken after a number of iterations.

    Args:
        engine: MONAI trainer with a known epoch length.
        num_iterations: iterations completed; None: ``engine.state.iteration``.

    Returns:
        ``epochs * ceil(epoch_length / accumulation_steps)`` and the steps of the epoch begun.
    """
    iterations = engine.state.iteration if num_iterations is None else num_iterations
    length, accumulation = _epoch_length(engine), _accumulation(engine)
    epochs, rest = divmod(iterations, length)
    return epochs * -(-length // accumulation) + rest // accumulation


def total_steps(engine: Workflow) -> int:
    """Counts the optimiser steps of the whole run, ``max_epochs`` long."""
    return num_steps(engine, engine.state.max_epochs * _epoch_length(engine))


def is_boundary(engine: Workflow) -> bool:
    """Tells whether no gradient is waiting for a step: before the first iteration, or after one that stepped."""
    return engine.state.iteration == 0 or is_step(engine)


def _batches_in_epoch(engine: Workflow, iteration: int) -> int:
    """Counts the batches of the present epoch up to an iteration (from 1)."""
    length = engine.state.epoch_length
    return iteration if length is None else (iteration - 1) % length + 1


def _accumulation(engine: Workflow) -> int:
    return getattr(engine, "accumulation_steps", 1)


def _epoch_length(engine: Workflow) -> int:
    length = engine.state.epoch_length
    if not length:
        raise BadSetting("the trainer does not know its epoch length: give it a data loader with a length, or epoch_length.")
    return int(length)
