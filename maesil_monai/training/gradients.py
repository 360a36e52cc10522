"""The guard between the backward pass and the optimiser step."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import ignite.distributed as idist
import torch
from monai.engines import IterationEvents, SupervisedTrainer
from monai.utils import CommonKeys

from maesil_monai.errors import BadSetting, UserError
from maesil_monai.training.batch_samples import describe_batch
from maesil_monai.training.step_count import is_step, num_steps
from maesil_monai.whole_files import write_json

REPORT_NAME = "non_finite_loss.json"
logger = logging.getLogger(__name__)


class NonFiniteLoss(UserError, RuntimeError):
    """A loss or a gradient was NaN or infinite; the weights are those of the last good step."""


class GradientGuard:
    """Stops a run before a non-finite loss or gradient reaches the weights, and clips gradients.

    Every micro-batch is looked at (one wait for the device each); gradients are clipped only when the iteration steps. Sets
    ``loss``, ``grad_norm`` (before clipping) and ``learning_rate`` of ``engine.state`` as plain numbers for logging.

    Args:
        max_norm: largest L2 norm of all gradients together; None clips nothing.
        output_dir: folder of the report ``non_finite_loss.json``; None writes none.

    Raises:
        NonFiniteLoss: from the trainer's run; no step is taken and no checkpoint saved.
        ValueError: for a ``max_norm`` that is not positive.

    Example:
        >>> GradientGuard(max_norm=1.0).max_norm
        1.0
    """

    def __init__(self, max_norm: float | None = 1.0, output_dir: str | Path | None = None) -> None:
        if max_norm is not None and not max_norm > 0.0:
            raise BadSetting(f"max_norm={max_norm}: expected a positive number, or none for no clipping.")
        self.max_norm = max_norm
        self.output_dir = output_dir

    def attach(self, engine: SupervisedTrainer) -> None:
        """Watches a MONAI trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: SupervisedTrainer) -> None:
        """Checks one backward pass, and clips if a step follows."""
        parameters = [value for value in engine.network.parameters() if value.grad is not None]
        norm = torch.nn.utils.get_total_norm([value.grad for value in parameters if value.grad is not None])
        loss = engine.state.output[CommonKeys.LOSS].detach()
        loss_value, norm_value = torch.stack([loss.float(), norm.to(loss.device).float()]).tolist()
        engine.state.loss, engine.state.grad_norm = loss_value, norm_value
        engine.state.learning_rate = engine.optimizer.param_groups[0]["lr"]
        if not (math.isfinite(loss_value) and math.isfinite(norm_value)):
            self._stop(engine)
        if self.max_norm is not None and norm_value > self.max_norm and is_step(engine):
            torch.nn.utils.clip_grads_with_norm_(parameters, self.max_norm, norm)

    def _stop(self, engine: SupervisedTrainer) -> None:
        """Writes the report and raises."""
        state = engine.state
        report = {
            "iteration": state.iteration,
            "optimizer_step": num_steps(engine, state.iteration - 1),
            "learning_rate": state.learning_rate,
            # JSON knows neither NaN nor infinity.
            "loss": repr(state.loss),
            "gradient_norm": repr(state.grad_norm),
            "rank": idist.get_rank(),
            **describe_batch(engine),
        }
        where = ""
        if self.output_dir is not None:
            name = REPORT_NAME if idist.get_rank() == 0 else f"rank{idist.get_rank()}_{REPORT_NAME}"
            where = f" Report: {write_json(Path(self.output_dir) / name, report)}."
        raise NonFiniteLoss(
            f"loss {state.loss}, gradient norm {state.grad_norm} at iteration {state.iteration}; expected finite numbers. The "
            f"weights are those of the last good step.{where} Look at the samples of the report, and resume from the last "
            "checkpoint with a lower learning rate, a longer warm-up or gradient clipping."
        )
