"""The learning rate over the optimiser steps of a run.

Not torch's ``SequentialLR(LinearLR, CosineAnnealingLR)``, which gives the same rates (to 1e-12) but saves the length of the run:
one that is resumed with another ``max_epochs`` would follow the old length.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import IterationEvents, Workflow
from torch.optim.lr_scheduler import LambdaLR

from maesil_monai.errors import BadSetting
from maesil_monai.training.step_count import is_step, total_steps

logger = logging.getLogger(__name__)


def warmup_cosine(step: int, warmup_steps: int, total_steps: int, min_share: float = 0.0) -> float:
    """Gives the share of the full learning rate at an optimiser step.

    It rises linearly to 1 in ``warmup_steps`` steps (the first one is ``1 / warmup_steps``, so no step is taken at 0), then falls
    as half a cosine to ``min_share`` at ``total_steps``, and stays there.

    Args:
        step: number of the step, from 0.
        warmup_steps: length of the rise.
        total_steps: length of the run.
        min_share: lowest share, in [0, 1].

    Example:
        >>> [round(warmup_cosine(step, 2, 6), 3) for step in range(7)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = min((step - warmup_steps) / max(total_steps - warmup_steps, 1), 1.0)
    return min_share + (1.0 - min_share) * 0.5 * (1.0 + math.cos(math.pi * progress))


class WarmupCosine:
    """Sets the learning rate for each optimiser step of a trainer: linear warm-up, then cosine.

    The rate is a function of the step alone. It follows every real step, never an accumulated batch.

    Args:
        optimizer: its present rates are the full rates.
        warmup_steps: optimiser steps of the rise.
        min_lr: rate at the end of the run, at most the smallest full rate.
        total_steps: optimiser steps of the run; None: asked from the trainer when it starts.

    Raises:
        ValueError: if ``min_lr`` or ``warmup_steps`` is out of range.

    Example:
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> schedule = WarmupCosine(optimizer, warmup_steps=4, total_steps=10)
        >>> optimizer.param_groups[0]["lr"]
        0.25
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, warmup_steps: int, min_lr: float = 0.0, total_steps: int | None = None
    ) -> None:
        full_rates = [float(group["lr"]) for group in optimizer.param_groups]
        if warmup_steps < 0 or not 0.0 <= min_lr <= min(full_rates):
            raise BadSetting(
                f"warmup_steps={warmup_steps}, min_lr={min_lr}: expected 0 or more steps and a rate from 0 to {min(full_rates)}."
            )
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.optimizer = optimizer
        shares = [min_lr / rate if rate > 0.0 else 1.0 for rate in full_rates]
        self.scheduler = LambdaLR(optimizer, [self._share_with(share) for share in shares])

    def _share_with(self, min_share: float) -> Any:
        # A function and no object: LambdaLR would store an object's attributes in the checkpoint and a resumed run would then
        # follow the length of the old configuration.
        def share(step: int) -> float:
            total = self.total_steps if self.total_steps is not None else self.warmup_steps + 1
            return warmup_cosine(step, self.warmup_steps, total, min_share)

        return share

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer; call it once."""
        engine.add_event_handler(Events.STARTED, self._measure_run)
        engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def _measure_run(self, engine: Workflow) -> None:
        if self.total_steps is None:
            self.total_steps = total_steps(engine)
        if self.warmup_steps >= self.total_steps:
            logger.warning(
                "warmup_steps=%d fill the whole run of %d optimiser steps: the learning rate only rises. "
                "Shorten the warm-up or train longer.",
                self.warmup_steps,
                self.total_steps,
            )

    def __call__(self, engine: Workflow) -> None:
        """Moves on after an iteration that stepped the optimiser."""
        if is_step(engine):
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Gives the place in the schedule."""
        return self.scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to the place of :meth:`state_dict` and sets the learning rates."""
        self.scheduler.load_state_dict(state)
        for group, rate in zip(self.optimizer.param_groups, self.scheduler.get_last_lr(), strict=True):
            group["lr"] = rate
