"""When a run is saved, and which model is the best."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator, Workflow

from maesil_monai.errors import BadSetting
from maesil_monai.training.checkpoints import INCOMING_NAME, LAST_NAME, save_checkpoint, save_weights
from maesil_monai.training.distributed import unwrap
from maesil_monai.training.run_end import SAVE, run_last
from maesil_monai.training.stepping import is_boundary, is_step, num_steps
from maesil_monai.training.training_state import TrainingState

BEST_NAME = "model.pt"
logger = logging.getLogger(__name__)


class DurableCheckpoint:
    """Saves the training state at the end of epochs, every few optimiser steps, and when the run ends or is stopped.

    Saves fall on optimiser-step boundaries, after every other handler of their event. The newest is ``checkpoint_last.pt``, the
    ones before it ``checkpoint_last_1.pt`` and so on. Only rank 0 writes. A run that fails saves nothing.

    Args:
        output_dir: the folder.
        state: what to save.
        save_interval: optimiser steps between saves within an epoch; None: epochs only.
        keep: number of checkpoints to keep, 1 or more; with 2 a damaged newest one costs one interval and not the run.

    Raises:
        ValueError: for ``save_interval`` or ``keep`` below 1.

    Example:
        >>> network = torch.nn.Linear(1, 1)
        >>> state = TrainingState(network, torch.optim.SGD(network.parameters(), lr=0.1))
        >>> DurableCheckpoint("output", state, save_interval=500).keep
        2
    """

    def __init__(self, output_dir: str | Path, state: TrainingState, save_interval: int | None = None, keep: int = 2) -> None:
        if keep < 1 or (save_interval is not None and save_interval < 1):
            raise BadSetting(f"save_interval={save_interval}, keep={keep}: expected 1 or more.")
        self.output_dir = Path(output_dir)
        self.state = state
        self.save_interval = save_interval
        self.keep = keep
        self._saved_iteration: int | None = None

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        loader = getattr(engine, "data_loader", None)
        if isinstance(loader, torch.utils.data.DataLoader) and loader.generator is None:
            # A loader draws a seed whenever it is iterated. From a generator of its own, so that the network's random draws are
            # the same whether an epoch was interrupted or not.
            loader.generator = torch.Generator()
        engine.add_event_handler(Events.STARTED, self._note_start)
        run_last(engine, Events.ITERATION_COMPLETED, self._after_iteration, SAVE)
        run_last(engine, Events.EPOCH_COMPLETED, self.save, SAVE)
        run_last(engine, Events.TERMINATE, self.save, SAVE)
        run_last(engine, Events.COMPLETED, self.save, SAVE)

    def _note_start(self, engine: Workflow) -> None:
        self._saved_iteration = engine.state.iteration

    def _after_iteration(self, engine: Workflow) -> None:
        if self.save_interval is not None and is_step(engine) and num_steps(engine) % self.save_interval == 0:
            self.save(engine)

    def save(self, engine: Workflow) -> None:
        """Saves now, unless gradients wait for a step.

        At the end of an epoch it saves again what its last iteration saved: validation may have found a best model since.
        """
        at_epoch_end = engine.last_event_name == Events.EPOCH_COMPLETED
        if not is_boundary(engine) or (engine.state.iteration == self._saved_iteration and not at_epoch_end):
            return
        state = self.state.collect(engine)
        if idist.get_rank() == 0:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            target, incoming = self.output_dir / LAST_NAME, self.output_dir / INCOMING_NAME
            save_checkpoint(incoming, state)
            if engine.state.iteration != self._saved_iteration:
                self._make_room(target)
            incoming.replace(target)
        self._saved_iteration = engine.state.iteration

    def _make_room(self, target: Path) -> None:
        """Numbers the earlier checkpoints on; the oldest is overwritten. Each step is one rename: none is lost half way."""
        names = [target, *(target.with_name(f"{target.stem}_{number}.pt") for number in range(1, self.keep))]
        for number in range(self.keep - 1, 0, -1):
            if names[number - 1].is_file():
                names[number - 1].replace(names[number])


class BestModel:
    """Saves the evaluator's network as ``model.pt`` when its key metric is better than ever; NaN is never best.

    Attach it to the evaluator (``val_handlers``). What is saved is the plain ``state_dict`` of the network that was evaluated, so
    the averaged weights where those are validated.

    Args:
        output_dir: the folder.
        higher_is_better: False for a key metric that is an error.

    Example:
        >>> best = BestModel("output")
        >>> best.is_better(float("nan")), best.is_better(20.0)
        (False, True)
    """

    def __init__(self, output_dir: str | Path, higher_is_better: bool = True) -> None:
        self.path = Path(output_dir) / BEST_NAME
        self.higher_is_better = higher_is_better
        self.value: float | None = None
        self.epoch = 0

    def attach(self, engine: SupervisedEvaluator) -> None:
        """Follows a MONAI evaluator with a key metric."""
        loader = getattr(engine, "data_loader", None)
        if isinstance(loader, torch.utils.data.DataLoader) and loader.generator is None:
            # As in DurableCheckpoint: validation must not move the random state of training.
            loader.generator = torch.Generator()
        engine.add_event_handler(Events.COMPLETED, self)

    def is_better(self, value: float) -> bool:
        """Tells whether a value beats the best one so far."""
        if not math.isfinite(value):
            return False
        return self.value is None or (value > self.value if self.higher_is_better else value < self.value)

    def __call__(self, engine: SupervisedEvaluator) -> None:
        """Compares the key metric and saves the model if it is the best."""
        name = engine.state.key_metric_name
        if name is None:
            raise BadSetting("the evaluator has no key metric: give it key_val_metric, or leave BestModel out.")
        value = float(engine.state.metrics[name])
        if not math.isfinite(value):
            logger.warning("%s is %s in epoch %d: not a number to compare, no model saved.", name, value, engine.state.epoch)
        if self.is_better(value):
            if idist.get_rank() == 0:
                save_weights(self.path, dict(unwrap(engine.network).state_dict()))
            logger.info("best %s so far: %.6g", name, value)
            self.value, self.epoch = value, engine.state.epoch

    def state_dict(self) -> dict[str, Any]:
        """Gives the best value and its epoch."""
        return {"value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the best value of an earlier part of the run."""
        self.value, self.epoch = state["value"], state["epoch"]
