"""Which errors are shown as one line, and which keep their traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from monai.transforms import apply_transform
from torch.utils.data import DataLoader, Dataset

from maesil_monai.data.volumes.bad_volume import BadVolume, MissingVolume
from maesil_monai.errors import BadCheckpoint, BadSetting, UserError, hide_home
from maesil_monai.folder_lock import FolderInUse
from maesil_monai.geometry import as_triple, box_at
from maesil_monai.masking import MaskRule
from maesil_monai.metrics.lpips_weights import LPIPSUnavailable
from maesil_monai.plain_errors import LOG_NAME, VARIABLE, clear_error, show_plain_errors, tell
from maesil_monai.training.gradients import NonFiniteLoss


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
        FolderInUse("in use"),
        NonFiniteLoss("NaN"),
        LPIPSUnavailable("no weights"),
    ):
        assert isinstance(error, UserError)
        assert clear_error(_wrapped(error)) is error


def test_an_impossible_value_found_by_this_package_is_clear() -> None:
    for function in (lambda: as_triple(0, "patch_size"), lambda: MaskRule("checkerboard")):  # type: ignore[arg-type]
        error = _raised(function)
        assert isinstance(error, BadSetting)
        assert clear_error(_wrapped(error)) is error


def test_a_value_error_that_judges_no_value_of_a_user_keeps_its_traceback() -> None:
    assert clear_error(_wrapped(_raised(lambda: int("x")))) is None
    assert clear_error(_wrapped(_raised(lambda: box_at(9, (2, 2, 2), (8, 8, 8))))) is None  # though this package raises it
    assert clear_error(_wrapped(_raised(lambda: [].index(1)))) is None


def test_other_errors_keep_their_traceback() -> None:
    for error in (KeyError("image"), TypeError("no"), RuntimeError("no"), KeyboardInterrupt(), OSError("no file is named")):
        assert clear_error(_wrapped(error)) is None
    assert clear_error(None) is None


def test_an_error_of_the_system_that_names_a_file_is_clear(tmp_path: Path) -> None:
    error = _raised(lambda: (tmp_path / "model.pt").read_bytes())
    assert clear_error(_wrapped(error)) is error
    assert str(tmp_path / "model.pt") in str(error)


def _mishandled() -> None:
    """Fails in the handling of a user's error."""
    try:
        raise BadVolume("EMPTY_FILE", "a.nii", "0 bytes", "a volume", "Copy it again.")
    except BadVolume as error:
        print(error.code.no_such_attribute)  # type: ignore[attr-defined]


def test_a_fault_in_the_handling_of_a_users_error_is_not_taken_for_it() -> None:
    fault = _raised(_mishandled)
    assert isinstance(fault.__context__, BadVolume)
    assert clear_error(fault) is None
    assert clear_error(_wrapped(fault)) is None


class OneScan(Dataset[object]):
    """A scan that is made by a function."""

    def __init__(self, make: Callable[[int], object]) -> None:
        self.make = make

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> object:
        return self.make(index)


def _bad_volume(index: int) -> None:
    raise BadVolume("EMPTY_FILE", "a.nii", "0 bytes", "a volume", "Copy it again.")


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_bad_volume, "a.nii: 0 bytes; expected a volume. Copy it again. [EMPTY_FILE]"),
        (partial(as_triple, name="patch_size"), "patch_size=0: expected one positive whole number or three of them."),
        ({}.__getitem__, "None"),
        (lambda index: _mishandled(), "None"),
    ],
)
def test_a_users_error_is_found_in_what_a_worker_of_a_loader_hands_on(
    make: Callable[[int], object], expected: str, wrapped: bool
) -> None:
    scan = OneScan(partial(apply_transform, make) if wrapped else make)
    error = _raised(lambda: list(DataLoader(scan, num_workers=1)))
    assert str(clear_error(_wrapped(error))) == expected


def test_a_users_error_is_printed_as_one_line_and_others_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show_plain_errors()
    clear = _wrapped(BadVolume("EMPTY_FILE", "a.nii", "0 bytes", "a volume", "Copy it again."))
    sys.excepthook(type(clear), clear, clear.__traceback__)
    assert capsys.readouterr().err == "error: a.nii: 0 bytes; expected a volume. Copy it again. [EMPTY_FILE]\n"
    other = _wrapped(KeyError("image"), 1)
    sys.excepthook(type(other), other, other.__traceback__)
    shown = capsys.readouterr().err
    assert shown.count("Traceback (most recent call last)") == 1
    assert shown.rstrip().endswith("RuntimeError: Failed to instantiate component")


def test_a_fault_is_also_written_into_the_output_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault = _raised(_mishandled)
    tell(fault, tmp_path / "out")
    shown = capsys.readouterr().err
    log = (tmp_path / "out" / LOG_NAME).read_text()
    assert str(tmp_path / "out" / LOG_NAME) in shown.splitlines()[0]
    assert shown.partition("\n")[2] == log.partition("\n")[2] == "".join(traceback.format_exception(fault))
    tell(BadSetting("patch_size=0"), tmp_path / "other")
    tell(KeyboardInterrupt(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_each_process_of_a_job_keeps_its_own_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        tell(KeyError(f"rank {rank}"), tmp_path)
    assert "rank 0" in (tmp_path / LOG_NAME).read_text()
    assert "rank 1" in (tmp_path / f"rank1_{LOG_NAME}").read_text()


def test_a_fault_is_printed_where_its_folder_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()  # a file in the place of the folder
    tell(KeyError("image"), tmp_path / "out")
    assert capsys.readouterr().err == "KeyError: 'image'\n"


def test_the_traceback_of_a_users_error_is_shown_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = _wrapped(_raised(lambda: as_triple(0, "patch_size")))
    line = "error: patch_size=0: expected one positive whole number or three of them.\n"
    for value, expected in (("1", "".join(traceback.format_exception(error)) + line), ("0", line), ("", line)):
        monkeypatch.setenv(VARIABLE, value)
        tell(error)
        assert capsys.readouterr().err == expected


@pytest.mark.parametrize(("home", "shown"), [("/home/ann", "~/a /home/anna/b"), ("/", "/home/ann/a /home/anna/b")])
def test_the_home_folder_is_hidden_and_nothing_else(home: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    assert hide_home("/home/ann/a /home/anna/b") == shown
