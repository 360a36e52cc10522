"""Calls of the comparison that cannot be carried out end in one clear line, before anything is read, trained or written."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from maesil_monai.evaluation.comparison.entry import Entry
from maesil_monai.plain_errors import clear_error


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_error_raised_in_the_module_that_python_runs_is_clear() -> None:
    # Under `python -m maesil_monai`, the module's __name__ is __main__.
    for spec, is_ours in ((importlib.util.find_spec("maesil_monai.__main__"), True), (None, False)):
        with pytest.raises(ValueError, match="no") as raised:
            exec(compile("raise ValueError('no')", "x", "exec"), {"__name__": "__main__", "__spec__": spec})
        assert (clear_error(raised.value) is raised.value) == is_ours


def test_an_entry_is_read_from_its_own_text() -> None:
    values: list[Any] = [
        [32, 32, 16],
        [0.5, 0.0],
        0.6,
        1e22,
        1e-7,
        True,
        None,
        -3,
        "conv",
        "NaN",
        "0.6",
        "[x",
        {"btcv": 2},
        [[1], "a"],
    ]
    for value in values:
        entry = Entry("maesil", "plane", (("decoder", "cross_attention"), ("spacing_mm", value)))
        assert Entry.parse(str(entry)) == entry
        assert len({entry, Entry.parse(str(entry))}) == 1
    with pytest.raises(ValueError, match="mask_ratio is changed twice"):
        Entry.parse("mae+mask_ratio=0.6+mask_ratio=0.7")
