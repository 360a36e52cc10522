"""When a run is saved, so that it can go on."""

from __future__ import annotations

from pathlib import Path

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.errors import BadSetting
from maesil_monai.training.run_end import SAVE, run_last
from maesil_monai.training.step_count import is_boundary, is_step, num_steps
from maesil_monai.training.training_state import TrainingState
from maesil_monai.weights_file.checkpoint_files import INCOMING_NAME, LAST_NAME, save_checkpoint


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
