"""Which model of a run is the best, and when it is saved."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator

from maesil_monai.errors import BadSetting
from maesil_monai.training.distributed import unwrap
from maesil_monai.training.provenance import Provenance
from maesil_monai.training.run_record import BEST_NAME
from maesil_monai.weights_file.save import save_weights

logger = logging.getLogger(__name__)


class BestModel:
    """Saves the evaluator's network as ``model.pt`` when its key metric is better than ever; NaN is never best.

    Attach it to the evaluator (``val_handlers``). What is saved is the plain ``state_dict`` of the network that was evaluated, so
    the averaged weights where those are validated, with the account of the run; the same as safetensors lies beside it.

    Args:
        output_dir: the folder.
        higher_is_better: False for a key metric that is an error.
        provenance: the account of the run; None saves the weights alone.

    Example:
        >>> best = BestModel("output")
        >>> best.is_better(float("nan")), best.is_better(20.0)
        (False, True)
    """

    def __init__(self, output_dir: str | Path, higher_is_better: bool = True, provenance: Provenance | None = None) -> None:
        self.path = Path(output_dir) / BEST_NAME
        self.higher_is_better = higher_is_better
        self.provenance = provenance
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
        if self.provenance is not None:
            self.provenance.validated(engine.state.epoch, engine.state.metrics)
        if not math.isfinite(value):
            logger.warning("%s is %s in epoch %d: not a number to compare, no model saved.", name, value, engine.state.epoch)
        if self.is_better(value):
            if idist.get_rank() == 0:
                record = None if self.provenance is None else self.provenance.record()
                save_weights(self.path, unwrap(engine.network).state_dict(), record)
            logger.info("best %s so far: %.6g", name, value)
            self.value, self.epoch = value, engine.state.epoch

    def state_dict(self) -> dict[str, Any]:
        """Gives the best value and its epoch."""
        return {"value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over the best value of an earlier part of the run, if its model lies in this folder."""
        if self.path.is_file():
            self.value, self.epoch = state["value"], state["epoch"]
