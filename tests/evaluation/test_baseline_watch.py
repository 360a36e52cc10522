import logging
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from ignite.engine import Engine, Events
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maesil_monai.evaluation import BaselineWatch
from maesil_monai.training.signals import StopAsked

RESULTS = {
    "mean_of_visible": {"psnr_hidden_body": 6.6, "psnr_hidden": 16.1},
    "mean_training_volume": {"psnr_hidden_body": math.nan, "psnr_hidden": math.nan},
}


def _validate(watch: BaselineWatch, values: list[float]) -> None:
    """Runs one evaluator for several epochs, as often as a trainer would validate."""
    remaining: Iterator[float] = iter(values)
    evaluator = Engine(lambda engine, batch: None)

    @evaluator.on(Events.EPOCH_COMPLETED)
    def _metric(engine: Engine) -> None:
        engine.state.metrics["psnr_hidden_body"] = next(remaining)

    watch.attach(evaluator)
    evaluator.run([0], max_epochs=len(values))


def test_a_network_that_stays_below_the_mean_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _validate(BaselineWatch(RESULTS, steps_per_epoch=100, patience_steps=200), [6.0, 6.5, 6.5, 6.6])
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "After 200 optimiser steps" in message
    for cause in ("learning rate", "warm-up", "initialised", "window_hu", "too few steps"):
        assert cause in message


def test_a_network_that_passed_in_time_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _validate(BaselineWatch(RESULTS, steps_per_epoch=100, patience_steps=200), [6.7, 6.0, math.nan])
    assert not caplog.records


def test_a_network_of_nan_has_passed_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        _validate(BaselineWatch(RESULTS, patience_steps=1), [math.nan])
    assert len(caplog.records) == 1


def test_each_defined_baseline_is_a_run_with_the_networks_tags_at_every_validation(tmp_path: Path) -> None:
    watch = BaselineWatch(RESULTS, tmp_path)
    _validate(watch, [7.0, 8.0, 9.0])
    watch.close()
    assert [path.name for path in tmp_path.iterdir()] == ["baseline_mean_of_visible"]
    events = EventAccumulator(str(tmp_path / "baseline_mean_of_visible")).Reload()
    points = [(event.step, round(event.value, 4)) for event in events.Scalars("psnr_hidden_body")]
    assert points == [(1, 6.6), (2, 6.6), (3, 6.6)]
    assert events.Tags()["scalars"] == ["psnr_hidden_body", "psnr_hidden"]


def test_baselines_given_as_a_function_are_measured_once() -> None:
    calls = []

    def measure() -> dict[str, dict[str, float]]:
        calls.append(1)
        return RESULTS

    watch = BaselineWatch(measure)
    assert not calls
    _validate(watch, [7.0, 8.0])
    _validate(watch, [9.0])
    assert len(calls) == 1


def test_results_without_the_watched_baseline_are_refused_before_training() -> None:
    with pytest.raises(ValueError, match="interpolate_axial"):
        _validate(BaselineWatch({"interpolate_axial": {"psnr_hidden_body": 9.3}}), [7.0])
    with pytest.raises(ValueError, match="patience_steps=0"):
        BaselineWatch(RESULTS, patience_steps=0)


def test_baselines_that_are_given_up_end_the_validation_without_a_result(caplog: pytest.LogCaptureFixture) -> None:
    def stopped() -> dict[str, dict[str, float]]:
        raise StopAsked

    watch = BaselineWatch(stopped)
    evaluator = Engine(lambda engine, batch: None)
    watch.attach(evaluator)
    completed: list[int] = []
    evaluator.add_event_handler(Events.COMPLETED, lambda: completed.append(1))
    evaluator.run([0])
    assert evaluator.state.iteration == 0
    assert not completed
    assert not watch.is_measured
    assert "asked to stop" in caplog.text
