"""A running average of the weights, for validation and for the published model.

Not torch's ``AveragedModel``, whose average begins as a copy of the weights after the first step and is saved under other names:
with what would put that right, this file would be no shorter.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from monai.engines import IterationEvents, Workflow
from torch.optim.swa_utils import get_ema_multi_avg_fn

from maesil_monai.errors import BadSetting
from maesil_monai.training.distributed import unwrap
from maesil_monai.training.step_count import is_step


class WeightAverage:
    """Keeps an exponential moving average of a network's weights, updated once per optimiser step.

    The decay of update t (from 1) is ``min(decay, (1 + t) / (10 + t))``, so that the random start is soon forgotten. Buffers are
    copied. The network is copied once, here, before its first forward pass; later only values of its ``state_dict`` are read.

    Args:
        network: the network in training, wrapped or not.
        decay: share of the old average kept, in [0, 1); 0 switches averaging off.

    Attributes:
        module: the network to validate with: the averaged copy, without gradients, or the network itself when switched off.

    Raises:
        ValueError: for a decay outside [0, 1).

    Example:
        >>> network = torch.nn.Linear(1, 1)
        >>> WeightAverage(network, decay=0.0).module is network, WeightAverage(network, decay=0.99).module is network
        (True, False)
    """

    def __init__(self, network: torch.nn.Module, decay: float = 0.9999) -> None:
        if not 0.0 <= decay < 1.0:
            raise BadSetting(f"decay={decay} of the weight average: expected 0 (off) or a value below 1.")
        self.decay = decay
        self.network = unwrap(network)
        self.num_updates = 0
        self.module = self.network
        if decay > 0.0:
            self.module = copy.deepcopy(self.network).eval().requires_grad_(False)

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        if self.decay > 0.0:
            engine.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def __call__(self, engine: Workflow) -> None:
        """Updates the average after an iteration that stepped the optimiser."""
        if is_step(engine):
            self.update()

    def update(self) -> None:
        """Takes in the network's present weights."""
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        trained = {name for name, _ in self.network.named_parameters()}
        current, averaged = self.network.state_dict(), self.module.state_dict()
        names = [name for name in averaged if name in trained]
        get_ema_multi_avg_fn(decay)([averaged[name] for name in names], [current[name] for name in names], None)
        for name in averaged.keys() - trained:
            averaged[name].copy_(current[name])

    def state_dict(self) -> dict[str, Any]:
        """Gives the average and its age; without weights when switched off."""
        weights = self.module.state_dict() if self.decay > 0.0 else {}
        return {"num_updates": self.num_updates, "module": dict(weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a saved average; one saved while averaging was off starts from the network's present weights.

        Load the network first.
        """
        self.num_updates = state["num_updates"]
        if self.decay > 0.0:
            self.module.load_state_dict(state["module"] or self.network.state_dict())


def validation_network(average: WeightAverage) -> torch.nn.Module:
    """Gives the network to validate with; a named function, as configurations hold no expressions."""
    return average.module
