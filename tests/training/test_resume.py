"""A resumed run equals the uninterrupted one, to the bit."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from tiny_run import Run, StopAfter

from maesil_monai.errors import BadCheckpoint
from maesil_monai.weights_file.checkpoint_files import LAST_NAME, load_checkpoint, save_checkpoint

# Three epochs of six batches, accumulated by four: steps after batches 4, 6, 10, 12, 16, 18.
STEPPING = (4, 6, 10, 12, 16, 18)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("whole")).run()


def assert_equal(first: Run, second: Run) -> None:
    ours, theirs = first.tensors(), second.tensors()
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("stop", range(1, 18))
def test_a_run_stopped_after_any_iteration_goes_on_to_the_same_bits(tmp_path: Path, whole: Run, stop: int) -> None:
    first = Run(tmp_path, handlers=(StopAfter(stop),)).run()
    assert first.trainer.state.iteration == stop
    resumed = Run(tmp_path, resume="last").run()
    # Gradients that wait for a step are not saved, so a run goes on behind its last step.
    saved = max((step for step in STEPPING if step <= stop), default=0)
    assert resumed.note.batches == whole.note.batches[saved:]
    assert_equal(resumed, whole)
    # A run that stops at the end of an epoch leaves without validating it, as a signal gives little time.
    assert resumed.best.value == whole.best.value or stop in (6, 12)


@pytest.mark.parametrize("stop", [5, 6, 13])
def test_workers_do_not_change_a_resumed_run(tmp_path: Path, whole: Run, stop: int) -> None:
    Run(tmp_path, num_workers=2, handlers=(StopAfter(stop),)).run()
    assert_equal(Run(tmp_path, resume="last", num_workers=2).run(), whole)


def test_a_run_interrupted_twice_goes_on_to_the_same_bits(tmp_path: Path, whole: Run) -> None:
    Run(tmp_path, handlers=(StopAfter(4),)).run()
    Run(tmp_path, resume="last", handlers=(StopAfter(11),)).run()
    assert_equal(Run(tmp_path, resume="last").run(), whole)


def test_a_finished_run_trains_no_further(tmp_path: Path, whole: Run) -> None:
    Run(tmp_path).run()
    resumed = Run(tmp_path, resume="last").run()
    assert resumed.note.batches == []
    assert_equal(resumed, whole)


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path: Path, whole: Run, caplog: pytest.LogCaptureFixture) -> None:
    Run(tmp_path).run()
    longer = Run(tmp_path, resume="last", max_epochs=4).run()
    assert len(longer.note.batches) == 6
    assert "max_epochs was 3 and is 4 now" in caplog.text


def test_last_starts_anew_in_an_empty_folder(tmp_path: Path, whole: Run) -> None:
    assert_equal(Run(tmp_path, resume="last").run(), whole)


def test_a_damaged_newest_checkpoint_costs_one_interval(tmp_path: Path, whole: Run, caplog: pytest.LogCaptureFixture) -> None:
    Run(tmp_path, handlers=(StopAfter(10),)).run()
    newest = tmp_path / LAST_NAME
    newest.write_bytes(newest.read_bytes()[:-1000])
    resumed = Run(tmp_path, resume="last").run()
    # Saved after batches 4, 6 and 10: falls back to 6.
    assert resumed.note.batches == whole.note.batches[6:]
    assert_equal(resumed, whole)
    assert (tmp_path / f"{LAST_NAME}.corrupt").is_file()
    assert "falling back" in caplog.text


def test_a_checkpoint_named_by_the_user_never_falls_back(tmp_path: Path) -> None:
    Run(tmp_path, handlers=(StopAfter(10),)).run()
    newest = tmp_path / LAST_NAME
    newest.write_bytes(newest.read_bytes()[:-1000])
    with pytest.raises(BadCheckpoint, match="trailer"):
        Run(tmp_path, resume=str(newest)).run()


def test_a_missing_checkpoint_named_by_the_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="no such file"):
        Run(tmp_path, resume=str(tmp_path / "other.pt")).run()


def test_a_checkpoint_of_another_configuration_is_refused_with_the_key_that_differs(tmp_path: Path) -> None:
    Run(tmp_path, max_epochs=1).run()
    with pytest.raises(BadCheckpoint, match=r"network#width: 3 in the checkpoint, 5 now"):
        Run(tmp_path, resume="last", width=5).run()


def test_a_checkpoint_with_another_epoch_is_refused(tmp_path: Path) -> None:
    Run(tmp_path, max_epochs=1).run()
    with pytest.raises(BadCheckpoint, match=r"batches per epoch: 6 in the checkpoint, 7 now"):
        Run(tmp_path, resume="last", num_batches=7).run()


def test_a_checkpoint_whose_parts_do_not_fit_is_refused_by_part(tmp_path: Path) -> None:
    Run(tmp_path, max_epochs=1).run()
    other = Run(tmp_path, resume="last", width=5)
    other.state.fingerprint = {"network": {"width": 3}}
    with pytest.raises(BadCheckpoint, match="its network does not fit"):
        other.run()


def test_another_number_of_processes_is_warned_of_and_keeps_the_samples(
    tmp_path: Path, whole: Run, caplog: pytest.LogCaptureFixture
) -> None:
    Run(tmp_path, handlers=(StopAfter(6),)).run()
    state = load_checkpoint(tmp_path / LAST_NAME)
    save_checkpoint(tmp_path / LAST_NAME, {**state, "random": state["random"] * 2})
    assert Run(tmp_path, resume="last").run().note.batches == whole.note.batches[6:]
    assert "written by 2 processes and is read by 1" in caplog.text


def test_a_run_longer_than_the_configuration_is_refused(tmp_path: Path) -> None:
    Run(tmp_path).run()
    with pytest.raises(BadCheckpoint, match=r"18 iterations; expected at most 2 epochs"):
        Run(tmp_path, resume="last", max_epochs=2).run()


def test_starting_anew_over_a_run_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Run(tmp_path, max_epochs=1).run()
    with caplog.at_level(logging.WARNING):
        Run(tmp_path, max_epochs=1).run()
    assert "they will be replaced" in caplog.text


def test_checkpoints_fall_on_optimiser_steps_only(tmp_path: Path) -> None:
    Run(tmp_path, handlers=(StopAfter(9),)).run()
    # 9 lies between the steps 6 and 10.
    assert load_checkpoint(tmp_path / LAST_NAME)["trainer"]["iteration"] == 6
    assert load_checkpoint(tmp_path / "checkpoint_last_1.pt")["trainer"]["iteration"] == 4
