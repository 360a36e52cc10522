"""Calls of the comparison that cannot be carried out end in one clear line, before anything is read, trained or written."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from maesil_monai.__main__ import main
from maesil_monai.evaluation.comparison.bundle_files import BundleFiles
from maesil_monai.evaluation.comparison.entry import Entry
from maesil_monai.plain_errors import clear_error

ROOT = Path(__file__).parents[2]

BUNDLE = BundleFiles.find(ROOT / "bundle")

CALL = ("compare", "--store", "store", "--output", "out")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _error(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Gives the one line of a call that fails."""
    with pytest.raises(SystemExit) as ended:
        main([*CALL, *words])
    assert ended.value.code == 1
    return _one_line(capsys.readouterr().err)


def _one_line(shown: str) -> str:
    (line,) = (line for line in shown.splitlines() if line.startswith("error:"))
    assert "Traceback" not in shown
    assert not Path("out").exists()
    return line


def test_an_error_raised_in_the_module_that_python_runs_is_clear() -> None:
    # Under `python -m maesil_monai`, the module's __name__ is __main__.
    for spec, is_ours in ((importlib.util.find_spec("maesil_monai.__main__"), True), (None, False)):
        with pytest.raises(ValueError, match="no") as raised:
            exec(compile("raise ValueError('no')", "x", "exec"), {"__name__": "__main__", "__spec__": spec})
        assert (clear_error(raised.value) is raised.value) == is_ours


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "overlay.json, line 1, column 1: "),
        ('{"max_epochs": 2', "overlay.json, line 1, column 17: "),
        ("[1]", "overlay.json: found a list; expected an object"),
        (b"\xff\xfe", "overlay.json: "),
        ({"seed": 3}, "overlay.json sets seed,"),
        ({"leave_out": "lidc"}, "overlay.json sets leave_out,"),
        ({"time_limit_minutes": 5}, "every model trains for the same number of steps"),
        ({"normalise_patches": True, "max_epochs": 2}, "their PSNR is not defined"),
    ],
)
def test_a_bad_overlay_is_named(content: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    raw = (
        json.dumps(content).encode() if isinstance(content, dict) else content if isinstance(content, bytes) else content.encode()
    )
    Path("overlay.json").write_bytes(raw)
    assert message in _error(["--train", "--overlay", "overlay.json"], capsys)


def test_an_overlay_may_say_what_holds_anyway() -> None:
    Path("overlay.json").write_text(json.dumps({"time_limit_minutes": None, "normalise_patches": False, "max_epochs": 3}))
    files = BundleFiles.find(ROOT / "bundle", "overlay.json")
    assert files.settings_of(Entry("mae"))["max_epochs"] == 3


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
