"""TensorBoard files of a job."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maesil_monai.training import tensorboard
from maesil_monai.training.tensorboard import SilentWriter, summary_writer


def test_the_first_process_writes_into_the_folder(tmp_path: Path) -> None:
    writer = summary_writer(tmp_path / "run")
    writer.add_scalar("loss", 0.5, 3)
    writer.close()
    (event,) = EventAccumulator(str(tmp_path / "run")).Reload().Scalars("loss")
    assert (event.step, event.value) == (3, 0.5)


def test_no_file_is_made_before_something_is_written(tmp_path: Path) -> None:
    writer = summary_writer(tmp_path / "run")
    writer.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 200]


def test_another_process_takes_every_call_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard.idist, "get_rank", lambda: 1)
    writer = summary_writer(tmp_path / "run")
    assert isinstance(writer, SilentWriter)
    writer.add_scalar("loss", 0.5, 3)
    writer.add_image("panel", None, 1, dataformats="HWC")
    writer.flush()
    writer.close()
    assert list(tmp_path.iterdir()) == []
