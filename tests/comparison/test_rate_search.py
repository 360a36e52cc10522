"""The search of learning rates in a comparison: what is tried, what is taken, and what is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up_training import command_of, make_up_trainer

from maesil_monai.comparison.model_entry import Entry
from maesil_monai.comparison.rate_search import RateSearch
from maesil_monai.comparison.training import Diverged, Trainer

MAESIL = Entry.parse("maesil@total")
# train.json has 100 epochs.
SHORT, WHOLE = 10, 100


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    return make_up_trainer(tmp_path, monkeypatch)


def _tried(rows: Sequence[dict[str, Any]]) -> list[tuple[float, int, bool]]:
    return [(row["learning_rate"], row["epochs"], row["chosen"]) for row in rows]


def test_the_rate_that_validates_best_is_taken_and_its_whole_run_is_the_comparisons(trainer: Trainer) -> None:
    search = RateSearch(trainer, (1e-4, 1e-3, 1e-2), 0.1)
    rows = search.rows(MAESIL, seed=3)
    assert _tried(rows) == [(1e-4, SHORT, False), (1e-3, SHORT, False), (1e-2, SHORT, False), (1e-3, WHOLE, True)]
    assert [row["psnr_hidden_body"] for row in rows] == pytest.approx([9.9991, 10.0, 9.991, 11.0])
    assert command_of(trainer.place(MAESIL, 3))["--seed"] == "3"
    assert not list(trainer.folder.glob("search/*/*-whole"))


def test_the_lowest_rate_stays_though_its_whole_run_is_worse(trainer: Trainer) -> None:
    for _ in range(2):  # a call that was stopped before it wrote the rates finds its runs
        rows = RateSearch(trainer, (0.3, 0.2, 0.02), 0.1).rows(MAESIL, 0)
        assert _tried(rows)[3:] == [(0.02, WHOLE, True)]
    assert not list(trainer.folder.glob("search/*/*-whole"))


def test_rates_that_are_too_high_for_a_whole_run_are_put_aside_one_after_another(
    trainer: Trainer, caplog: pytest.LogCaptureFixture
) -> None:
    _prefer_high_rates_in_short_runs(trainer)
    for _ in range(2):
        rows = RateSearch(trainer, (0.6, 0.005, 0.2), 0.1).rows(MAESIL, 0)
        assert _tried(rows)[3:] == [(0.6, WHOLE, False), (0.2, WHOLE, False), (0.005, WHOLE, True)]
        assert rows[3]["psnr_hidden_body"] is None  # it diverged
    assert "maesil@total at 0.2: its whole run is worse than its short one, 0.005 is next" in caplog.text
    assert {path.name for path in trainer.folder.glob("search/*/*-whole")} == {"0.6-whole", "0.2-whole"}
    assert command_of(trainer.place(MAESIL, 0))["--learning_rate"] == "0.005"


def _prefer_high_rates_in_short_runs(trainer: Trainer) -> None:
    script = trainer.folder.parent / "training.py"
    script.write_text(script.read_text().replace("10 - abs(rate - 0.001)", "10 + rate"))


def test_one_search_serves_all_seeds(trainer: Trainer) -> None:
    search = RateSearch(trainer, (1e-4, 1e-3), 0.1)
    assert search.rate(MAESIL, 1) == 1e-3
    before = {path: path.stat().st_mtime_ns for path in trainer.folder.rglob("run.json")}
    assert search.rate(MAESIL, 2) == 1e-3
    assert {path: path.stat().st_mtime_ns for path in trainer.folder.rglob("run.json")} == before
    assert {command_of(path.parent)["--seed"] for path in before} == {"1"}


def test_a_rate_at_which_the_training_diverges_is_listed_and_not_chosen(trainer: Trainer) -> None:
    for _ in range(2):  # a second call does not go on with what diverged
        rows = RateSearch(trainer, (2.0, 1e-4), 0.1).rows(MAESIL, 0)
        assert [row["psnr_hidden_body"] is None for row in rows] == [True, False, False]
        assert _tried(rows)[2:] == [(1e-4, WHOLE, True)]
    with pytest.raises(ChildProcessError, match=r"mae@random diverged at every learning rate \(2, 3\)"):
        RateSearch(trainer, (2.0, 3.0), 0.1).rows(Entry.parse("mae@random"), 0)
    # A whole run that diverges at the lowest rate is what there is: training says so.
    assert RateSearch(trainer, (0.7,), 0.1).rate(Entry.parse("mae@random"), 0) == 0.7
    with pytest.raises(Diverged, match="the training of mae@random diverged"):
        trainer.train(Entry.parse("mae@random"), 0, 0.7)


def test_a_short_run_is_validated_at_its_end_alone(trainer: Trainer) -> None:
    rows = RateSearch(trainer, (1e-3,), 0.25).rows(Entry.parse("maesil@total+max_epochs=10+val_interval=4"), 0)
    # A quarter of 10 epochs are 2 (half to even).
    command = command_of(trainer.folder / "search" / rows[0]["model"] / "0.001")
    assert (command["--max_epochs"], command["--val_interval"]) == ("2", "2")


def test_short_runs_of_the_whole_length_need_no_whole_run(trainer: Trainer) -> None:
    rows = RateSearch(trainer, (1e-3, 1e-2), 1.0).rows(MAESIL, 0)
    assert _tried(rows) == [(1e-3, WHOLE, True), (1e-2, WHOLE, False)]
