"""The command line: what it prints, and what it exits with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from maesil_monai.__main__ import main


@pytest.fixture
def scans(scan_folder: Path, tmp_path: Path) -> Path:
    for number in range(2):
        shutil.copytree(scan_folder / f"phantom_{number:04d}", tmp_path / "scans" / f"p{number}")
    return tmp_path / "scans"


def _run(*arguments: object) -> int:
    """Runs a command and gives its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_prepare_writes_a_store_and_says_what_it_did(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    assert _run("prepare", "--folder", scans, "--output", store) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "2 scans of 2 patients"
    assert "2 admitted, 0 of them prepared before" in shown.out
    assert f"{store}/report.html" in shown.out
    content = json.loads((store / "datalist.json").read_text())
    assert content["numTraining"] + content["numValidation"] + content["numTest"] == 2
    assert _run("prepare", "--folder", scans, "--output", store) == 0
    assert "2 admitted, 2 of them prepared before" in capsys.readouterr().out


def test_a_dry_run_prints_scans_refusals_disk_and_hours(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans / "p1/ct.nii.gz").write_bytes(b"")
    assert _run("prepare", "--folder", scans, "--output", tmp_path / "store", "--dry-run", "--workers", 2) == 1
    shown = capsys.readouterr().out
    for words in ("2 scans", "[EMPTY_FILE]", " GB in ", " hours with 2 workers", "Voxels were not read", "Nothing was written"):
        assert words in shown
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("shares", "said", "unsaid"),
    [
        ((0, 0), ["nobody validates", "nobody is held out for a test"], ["nobody to train on"]),
        ((0.999, 0), ["nobody to train on", "nobody is held out for a test"], ["nobody validates"]),
        ((0, 0.999), ["nobody to train on"], ["nobody validates", "nobody is held out for a test"]),
    ],
)
def test_a_side_without_a_patient_is_said(
    scans: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    shares: tuple[float, float],
    said: list[str],
    unsaid: list[str],
) -> None:
    options = ("--val-share", shares[0], "--test-share", shares[1], "--dry-run")
    _run("prepare", "--folder", scans, "--output", tmp_path / "store", *options)
    shown = capsys.readouterr().out
    assert [words in shown for words in (*said, *unsaid)] == [True] * len(said) + [False] * len(unsaid)


def test_refused_scans_give_exit_code_1_unless_their_share_is_allowed(
    scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (scans / "p1/ct.nii.gz").write_bytes(b"<html>not here</html>")
    command = ("prepare", "--folder", scans, "--output", tmp_path / "store")
    assert _run(*command) == 1
    shown = capsys.readouterr()
    assert f"{scans}/p1/ct.nii.gz" in shown.out
    assert "Traceback" not in shown.out + shown.err
    assert _run(*command, "--allow-refused-share", 0.5) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("prepare", "--output", "store"),
        ("prepare", "--output", "store", "--btcv", "nowhere"),
        ("prepare", "--output", "store", "--folder", ".", "--thumbnails", "many"),
        ("prepare", "--output", "store", "--folder", ".", "--min-slices", 0),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    arguments: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(*arguments) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_fault_of_the_program_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise KeyError("image")

    monkeypatch.setattr("maesil_monai.data.prepare.prepare", broken)
    assert _run("prepare", "--output", tmp_path / "store", "--folder", tmp_path) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("Traceback (most recent call last):")
    assert "in broken" in shown
    assert shown.endswith("KeyError: 'image'\n")


def test_check_says_of_each_scan_whether_it_is_admitted(scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("check", scans / "p0/ct.nii.gz") == 0
    (scans / "p1/ct.nii.gz").write_bytes(b"")
    assert _run("check", scans, "--report", tmp_path / "report.json") == 1
    assert "EMPTY_FILE" in capsys.readouterr().out
    assert (tmp_path / "report.json").is_file()


def test_phantom_collections_go_through_prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["phantom", "--output", str(tmp_path / "raw"), "--num-scans", "1"])
    collections = [word for name in ("btcv", "lidc", "totalsegmentator") for word in (f"--{name}", tmp_path / "raw" / name)]
    assert _run("prepare", *collections, "--output", tmp_path / "store") == 0
    # BTCV has one more scan, for tests.
    assert "4 admitted" in capsys.readouterr().out


def test_a_folder_named_like_a_number_is_a_folder(scans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scans.rename(scans.with_name("2024"))
    monkeypatch.chdir(scans.parent)
    assert _run("prepare", "--folder", "2024", "--output", "2025") == 0
    assert Path("2025/datalist.json").is_file()


def test_a_misspelt_option_is_told_before_anything_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("prepare", "--folder", tmp_path, "--ouput", tmp_path / "store", "--nopseudonyms") == 1
    assert capsys.readouterr().err == "error: option --ouput: nothing of that name in prepare --help; did you mean --output?\n"
