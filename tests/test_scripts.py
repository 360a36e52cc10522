"""The scripts: what reaches pip, pytest and the bundle, whatever arguments they are called with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
# Stands in for every program that the scripts call, and notes its own name and arguments, one call a line.
STAND_IN = """#!/usr/bin/env bash
printf '%s' "${0##*/}" >> "$CALLS"
printf '\\t%s' "$@" >> "$CALLS"
echo >> "$CALLS"
"""
PROGRAMS = ("python", "python3", "ruff", "mypy")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An active environment, empty but for programs that only note their calls."""
    for name in PROGRAMS:
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(STAND_IN)
        program.chmod(0o755)
    own = {"VIRTUAL_ENV": str(tmp_path), "CALLS": str(tmp_path / "calls"), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    return {**{name: value for name, value in os.environ.items() if name not in ("PYTHON", "CONDA_PREFIX")}, **own}


def _calls(script: str, environment: dict[str, str], *arguments: str) -> list[list[str]]:
    """Runs a script and gives the calls it made, the program's name first."""
    subprocess.run(["bash", SCRIPTS / script, *arguments], env=environment, check=True, capture_output=True, timeout=120)
    calls = Path(environment["CALLS"])
    lines = calls.read_text().splitlines()
    calls.unlink()
    return [line.split("\t") for line in lines]


def _installed(calls: list[list[str]]) -> list[str]:
    """Gives what pip was asked to install."""
    return [call[-1] for call in calls if call[1:4] == ["-m", "pip", "install"]]


@pytest.mark.parametrize("arguments", [(), ("--max_epochs", "2"), ("--output_dir", "a folder", "--seed=1")])
def test_the_quick_start_passes_its_arguments_to_the_bundle(environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    calls = _calls("quickstart.sh", environment, *arguments)
    assert _installed(calls) == ["."]
    run = calls[-1]
    assert run[:5] == ["python", "-m", "monai.bundle", "run", "training"]
    assert run[5:7] == ["--config_file", "['bundle/configs/train.json','bundle/configs/quickstart.json']"]
    assert run[len(run) - len(arguments) :] == list(arguments)
    assert len(run) == 11 + len(arguments)  # --config_file, --bundle_root and --output_dir with their values stand before them


@pytest.mark.parametrize("arguments", [(), ("tests/test_masking.py",), ("-k", "a or b")])
def test_the_tests_script_checks_everything_and_passes_its_arguments_to_pytest(
    environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    calls = _calls("test.sh", environment, *arguments)
    assert _installed(calls) == [".[test]"]
    assert calls[-4:-1] == [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", ""]]
    assert calls[-1][:5] == ["python", "-m", "pytest", "-m", "not long"]
    assert calls[-1][7:] == list(arguments)


def test_a_second_call_installs_nothing(environment: dict[str, str]) -> None:
    _calls("test.sh", environment, "one")
    assert _installed(_calls("test.sh", environment, "two")) == []
    assert _installed(_calls("quickstart.sh", environment, "--max_epochs", "2")) == ["."]  # with other extras


def test_the_quick_start_trains_as_its_arguments_say(environment: dict[str, str], scan_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bin/python").write_text(f'#!/usr/bin/env bash\n[ "$2" = pip ] || exec {sys.executable} "$@"\n')
    sizes = ("--cube_size", "32", "--superpatch_size", "16", "--patch_size", "4", "--superpatches_per_epoch", "8")
    judged = ("--val_scans", "2", "--val_superpatches", "2", "--num_panels", "0", "--val_interval", "2")
    folders = ("--dataset_dir", str(scan_folder), "--output_dir", str(tmp_path / "run"))
    result = subprocess.run(
        ["bash", SCRIPTS / "quickstart.sh", "--max_epochs", "2", *sizes, *judged, *folders],
        env={**environment, "PYTHONPATH": str(SCRIPTS.parent)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["configuration"]["max_epochs"] == 2
