"""When a run is validated."""

from __future__ import annotations

import logging

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.handlers import ValidationHandler

from maesil_monai.errors import BadSetting
from maesil_monai.training.signals import stop_asked

logger = logging.getLogger(__name__)


class EpochValidation(ValidationHandler):
    """MONAI's ``ValidationHandler`` by epochs, which validates the last epoch too, whatever the interval.

    Without that, a run of 3 epochs with an interval of 2 would never judge the weights it ends with, and one of 1 epoch would
    keep its untrained weights as the best. The last epoch is also one with which a :class:`TimeLimit` ends the run. A validation
    during which the run is asked to stop is given up, and has no result.

    Args:
        interval: epochs between two validations, 1 or more.
        validator: the evaluator to run.
        exec_at_start: also before the first epoch.

    Raises:
        ValueError: for an interval below 1.

    Example:
        >>> EpochValidation(interval=2).interval
        2
    """

    def __init__(self, interval: int, validator: Evaluator | None = None, exec_at_start: bool = False) -> None:
        if interval < 1:
            raise BadSetting(f"interval={interval}: expected 1 epoch or more between two validations.")
        super().__init__(interval, validator, epoch_level=True, exec_at_start=exec_at_start)

    def attach(self, engine: Engine) -> None:
        """Follows a MONAI trainer."""
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._is_left_over), self)
        if self.validator is not None:
            self.validator.add_event_handler(Events.ITERATION_COMPLETED, _give_up_if_asked)

    def _is_left_over(self, engine: Engine, epoch: int) -> bool:
        is_last = epoch == engine.state.max_epochs or bool(engine.should_terminate)
        return is_last and epoch % self.interval != 0


def _give_up_if_asked(validator: Engine) -> None:
    """Ends a validation without a result if the run was asked to stop."""
    if stop_asked():
        logger.warning("validation given up: the run was asked to stop")
        validator.terminate(skip_completed=True)
