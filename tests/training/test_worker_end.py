"""The processes that load a run's data end with it, good or bad."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from ignite.engine import Events
from tiny_run import Run


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """Gives a function that tells this process's children but those of earlier tests, such as a pool that waits for work."""

    def found() -> set[int]:
        return {child.pid for child in multiprocessing.active_children() if child.pid is not None}

    earlier = found()
    return lambda: found() - earlier


def test_the_workers_end_with_the_run_and_another_run_has_new_ones(tmp_path: Path, children: Callable[[], set[int]]) -> None:
    run = Run(tmp_path, num_workers=1, max_epochs=2)
    seen: list[int] = []
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: seen.extend(children()))
    for runs in (1, 2):
        run.run()
        assert len(set(seen)) == runs  # one worker for both epochs
        assert not children()
        run.trainer.state.max_epochs = 4


def test_the_workers_end_with_a_run_that_fails(tmp_path: Path, children: Callable[[], set[int]]) -> None:
    def fail() -> None:
        assert children()
        raise RuntimeError("a bad end")

    run = Run(tmp_path, num_workers=1)
    run.trainer.add_event_handler(Events.ITERATION_COMPLETED(once=3), fail)
    with pytest.raises(RuntimeError, match="a bad end"):
        run.run()
    assert not children()
    assert run.run().trainer.state.epoch == 3  # the same trainer can go on
