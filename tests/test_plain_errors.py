"""Which errors are shown as one line, and which keep their traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.geometry import as_triple
from maesil_monai.masking import MaskRule
from maesil_monai.plain_errors import CLEAR_ERRORS, clear_error, show_plain_errors
from maesil_monai.weights_file.checkpoints import BadCheckpoint


@pytest.fixture(autouse=True)
def _unchanged_hook() -> Iterator[None]:
    hook = sys.excepthook
    yield
    sys.excepthook = hook


def _raised(function: object) -> BaseException:
    """Gives what a call raises."""
    with pytest.raises(Exception) as raised:
        function()  # type: ignore[operator]
    return raised.value


def _wrapped(error: BaseException, times: int = 3) -> BaseException:
    """Wraps an error as the layers of monai.bundle do."""
    for _ in range(times):
        try:
            raise RuntimeError("Failed to instantiate component") from error
        except RuntimeError as outer:
            error = outer
    return error


def test_an_error_of_this_package_is_found_below_the_wrappers_of_the_framework() -> None:
    for error in (
        MissingVolume("MISSING", "a.nii", "no such file", "a volume", "Check the path."),
        BadCheckpoint("model.pt", "no such file", "weights", "Correct the path."),
    ):
        assert isinstance(error, CLEAR_ERRORS)
        assert clear_error(_wrapped(error)) is error


def test_an_impossible_value_found_by_this_package_is_clear() -> None:
    for function in (lambda: as_triple(0, "patch_size"), lambda: MaskRule("checkerboard")):  # type: ignore[arg-type]
        error = _raised(function)
        assert isinstance(error, ValueError)
        assert clear_error(_wrapped(error)) is error


def test_a_value_error_from_elsewhere_keeps_its_traceback() -> None:
    assert clear_error(_wrapped(_raised(lambda: int("x")))) is None
    assert clear_error(_wrapped(_raised(lambda: [].index(1)))) is None


def test_other_errors_keep_their_traceback() -> None:
    for error in (KeyError("image"), TypeError("no"), RuntimeError("no"), KeyboardInterrupt(), OSError("no file is named")):
        assert clear_error(_wrapped(error)) is None
    assert clear_error(None) is None


def test_an_error_of_the_system_that_names_a_file_is_clear(tmp_path: Path) -> None:
    error = _raised(lambda: (tmp_path / "model.pt").read_bytes())
    assert clear_error(_wrapped(error)) is error
    assert str(tmp_path / "model.pt") in str(error)


def test_an_error_raised_while_another_one_was_handled_leads_to_that_one() -> None:
    def fail() -> None:
        try:
            raise BadVolume("EMPTY_FILE", "a.nii", "0 bytes", "a volume", "Copy it again.")
        except BadVolume:
            raise RuntimeError("applying transform")  # noqa: B904 - as some of the framework's layers do

    assert isinstance(clear_error(_raised(fail)), BadVolume)


def test_a_clear_error_is_printed_as_one_line_and_others_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show_plain_errors()
    clear = _wrapped(BadVolume("EMPTY_FILE", "a.nii", "0 bytes", "a volume", "Copy it again."))
    sys.excepthook(type(clear), clear, clear.__traceback__)
    assert capsys.readouterr().err == "error: a.nii: 0 bytes; expected a volume. Copy it again. [EMPTY_FILE]\n"
    other = _wrapped(KeyError("image"), 1)
    sys.excepthook(type(other), other, other.__traceback__)
    shown = capsys.readouterr().err
    assert shown.count("Traceback (most recent call last)") == 1
    assert shown.rstrip().endswith("RuntimeError: Failed to instantiate component")
