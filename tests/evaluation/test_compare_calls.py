"""Calls of the comparison that cannot be carried out end in one clear line, before anything is read, trained or written."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

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
