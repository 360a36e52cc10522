"""At which epochs a run is validated."""

from __future__ import annotations

from pathlib import Path

import pytest
from ignite.engine import Events
from tiny_run import Run

from maesil_monai.training.validation_schedule import EpochValidation


@pytest.mark.parametrize(
    ("max_epochs", "interval", "validated"),
    [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (1, 2, [1]), (3, 1, [1, 2, 3])],
)
def test_every_interval_and_the_last_epoch_are_validated_once(
    tmp_path: Path, max_epochs: int, interval: int, validated: list[int]
) -> None:
    run = Run(tmp_path, max_epochs=max_epochs, val_interval=interval, num_batches=2)
    epochs: list[int] = []
    run.evaluator.add_event_handler(Events.COMPLETED, lambda engine: epochs.append(engine.state.epoch))
    run.run()
    assert epochs == validated


def test_a_resumed_run_that_is_made_longer_is_validated_at_its_new_end(tmp_path: Path) -> None:
    Run(tmp_path, max_epochs=1, val_interval=2, num_batches=2).run()
    longer = Run(tmp_path, resume="last", max_epochs=3, val_interval=2, num_batches=2)
    epochs: list[int] = []
    longer.evaluator.add_event_handler(Events.COMPLETED, lambda engine: epochs.append(engine.state.epoch))
    longer.run()
    assert epochs == [2, 3]


def test_an_interval_below_one_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="interval=0: expected 1 epoch or more"):
        EpochValidation(0)
