"""Ending a run in time."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from ignite.engine import Engine, Events
from tiny_run import Run

from maesil_monai.training import time_limit
from maesil_monai.training.run_end import SAVE, run_last
from maesil_monai.training.time_limit import TimeLimit
from maesil_monai.weights_file.checkpoint_files import LAST_NAME, load_checkpoint


class Clock:
    """A clock that moves when an epoch is trained."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        monkeypatch.setattr(time_limit.time, "monotonic", lambda: self.seconds)

    def run(self, limit: TimeLimit, epoch_seconds: list[float], validation_seconds: float = 0.0) -> int:
        """Trains epochs of these lengths and gives how many were trained."""

        def train(engine: Engine, batch: int) -> None:
            self.seconds += epoch_seconds[engine.state.epoch - 1]

        trainer = Engine(train)

        @trainer.on(Events.EPOCH_COMPLETED)
        def _validate(engine: Engine) -> None:
            self.seconds += validation_seconds

        limit.attach(trainer)
        return trainer.run([0], max_epochs=len(epoch_seconds)).epoch


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_run_ends_before_the_epoch_that_would_pass_the_limit(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        # After two of 60 seconds a third would end at 180, after the limit at 150.
        assert clock.run(TimeLimit(minutes=2.5), [60.0] * 5) == 2
    assert "ending after epoch 2: another one would pass the limit of 2.5 minutes" in caplog.text


def test_the_validation_of_an_epoch_counts(clock: Clock) -> None:
    assert clock.run(TimeLimit(minutes=2.5), [60.0] * 5, validation_seconds=20.0) == 1


def test_the_next_epoch_is_expected_to_last_as_long_as_the_last_one(clock: Clock) -> None:
    # 100 + 10 leaves room for 10 more within 150, a first estimate of 100 would not.
    assert clock.run(TimeLimit(minutes=3.5), [100.0, 10.0, 10.0, 10.0]) == 4


def test_an_epoch_that_passes_the_limit_itself_ends_at_its_next_step(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def train(engine: Engine, batch: int) -> None:
        clock.seconds += 50

    trainer = Engine(train)
    trainer.accumulation_steps = 2  # type: ignore[attr-defined]
    TimeLimit(minutes=2).attach(trainer)
    assert trainer.run([0] * 9, max_epochs=2).iteration == 4  # over after 150 s, in the third batch
    assert "--ckpt last" in caplog.text


def test_one_epoch_of_one_step_is_always_trained(clock: Clock) -> None:
    assert clock.run(TimeLimit(minutes=0.1), [600.0, 600.0]) == 1


def test_a_run_that_ends_by_itself_says_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert clock.run(TimeLimit(minutes=2.5), [60.0, 60.0]) == 2
    assert "ending" not in caplog.text


def test_without_a_limit_all_epochs_are_trained(clock: Clock) -> None:
    assert clock.run(TimeLimit(), [1e6] * 3) == 3


def test_all_processes_end_with_the_slowest(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def reduce(value: float, operation: str) -> float:
        assert operation == "MAX"
        return 1.0  # another process is a second over

    monkeypatch.setattr(time_limit.idist, "all_reduce", reduce)
    assert clock.run(TimeLimit(minutes=100), [1.0] * 3) == 1


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_a_limit_that_is_no_time_is_refused(minutes: float) -> None:
    with pytest.raises(ValueError, match="time_limit_minutes="):
        TimeLimit(minutes)


class Slow:
    """Makes every batch last half a minute."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self) -> None:
        self.clock.seconds += 30


@pytest.mark.parametrize(("interval", "validated"), [(2, [2, 3]), (3, [3]), (5, [3])])
def test_the_epoch_that_a_limit_makes_the_last_is_validated(
    clock: Clock, tmp_path: Path, interval: int, validated: list[int]
) -> None:
    # Epochs of 60 seconds: a fourth would end at 240, after the limit at 210.
    run = Run(tmp_path, max_epochs=9, val_interval=interval, num_batches=2, minutes=3.5, handlers=(Slow(clock),))
    epochs: list[int] = []
    run.evaluator.add_event_handler(Events.COMPLETED, lambda engine: epochs.append(engine.state.epoch))
    run.run()
    assert run.trainer.state.epoch == 3
    assert epochs == validated
    assert load_checkpoint(tmp_path / LAST_NAME)["best"]["epoch"] == run.best.epoch > 0


@pytest.mark.parametrize(("minutes", "validated"), [(6.2, [2, 3]), (6.3, [2, 4])])
def test_the_last_validation_fits_into_the_limit(clock: Clock, tmp_path: Path, minutes: float, validated: list[int]) -> None:
    # Epochs of 60 seconds, validations of 45: the third epoch ends at 225. Were it the last but one, its validation would be over
    # at 270 and that of the fourth at 375.
    run = Run(tmp_path, max_epochs=9, val_interval=2, num_batches=2, minutes=minutes, handlers=(Slow(clock),))
    epochs: list[int] = []

    @run.evaluator.on(Events.COMPLETED)
    def _validated(engine: Engine) -> None:
        clock.seconds += 45
        epochs.append(engine.state.epoch)

    run.run()
    assert epochs == validated


def test_the_time_of_saving_does_not_end_a_run_after_an_epoch_that_nobody_validated(clock: Clock, tmp_path: Path) -> None:
    # Epochs of 60 seconds: another one would end at 120, before the limit at 126. Saving takes 10, and the next epoch passes it.
    run = Run(tmp_path, max_epochs=9, val_interval=5, num_batches=2, minutes=2.1, handlers=(Slow(clock),))
    run_last(run.trainer, Events.EPOCH_COMPLETED, lambda engine: setattr(clock, "seconds", clock.seconds + 10), SAVE)
    epochs: list[int] = []
    run.evaluator.add_event_handler(Events.COMPLETED, lambda engine: epochs.append(engine.state.epoch))
    run.run()
    assert epochs == [2]
