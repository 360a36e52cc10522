"""A run that is killed at any moment loses nothing: the next one ends with the bytes of an undisturbed run."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prepared_stores import copy_patients, tree

from maesil_monai.data.prepare import PrepareOptions, prepare
from maesil_monai.data.prepare.pseudonyms import write_private
from maesil_monai.data.prepare.store_folder import stored_entries
from maesil_monai.data.store import StoreSource

_NUM_SCANS = 6
# Patients with the same scan, which costs as much to write and is refused in the end.
_NUM_COPIES = 4


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, scan_folder: Path) -> Path:
    """Scans enough that there is work to be killed in, a broken one among them, and the key."""
    root = tmp_path_factory.mktemp("sources")
    for copy in range(_NUM_COPIES):
        copy_patients(scan_folder, root / "scans" / f"ward{copy}", _NUM_SCANS)
    broken = root / "scans/ward0/p0/ct.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-9])
    write_private(root / "key", "7" * 64)
    return root


@pytest.fixture(scope="module")
def undisturbed(sources: Path) -> tuple[dict[str, str], float]:
    """Bytes of a run that nobody kills, and the seconds from its first entry to its end."""
    process = _start(sources, sources / "whole")
    _wait_for_an_entry(process, sources / "whole", set())
    begin = time.monotonic()
    assert process.wait() == 1, "one scan is broken"
    return tree(sources / "whole"), time.monotonic() - begin


def _start(sources: Path, store: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "maesil_monai", "prepare", "--folder", str(sources / "scans"), "--output", str(store)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, "--key_file", str(sources / "key")], start_new_session=True, **quiet)  # type: ignore[call-overload,no-any-return]


def _wait_for_an_entry(process: subprocess.Popen[bytes], store: Path, before: set[str]) -> None:
    """Waits until a run has added its first entry: what comes before is imports, for the most part."""
    while process.poll() is None and set(stored_entries(store)) <= before:
        time.sleep(0.001)


def _kill_and_go_on(sources: Path, store: Path, whole: dict[str, str], seconds: float, num_kills: int) -> list[int]:
    """Kills runs on one store at random moments; gives how many whole entries there were after each kill."""
    moments = random.Random(num_kills)
    found: list[int] = []
    ended = False
    while (kill := len(found)) < num_kills:
        if kill % 2 == 0 or ended:
            shutil.rmtree(store, ignore_errors=True)
            shutil.rmtree(store.with_name(f"{store.name}.private"), ignore_errors=True)
        before = set(stored_entries(store))
        process = _start(sources, store)
        if kill % 5 == 4:
            time.sleep(moments.uniform(0, 10))  # anywhere, also before the first entry and after the last
        else:
            _wait_for_an_entry(process, store, before)
            time.sleep(moments.uniform(0, seconds))
        ended = process.poll() is not None
        if ended:
            # Too late to be killed: the machine was busier when the time was taken, or the store was whole already.
            seconds *= 0.7
            continue
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        entries = sorted(store.glob("folder/[!.]*.zarr"))
        for entry in entries:
            # Under its own name an entry is whole, and is that of the undisturbed run.
            assert StoreSource(entry).attributes["has_label"]
            for name, digest in tree(entry).items():
                assert whole[f"folder/{entry.name}/{name}"] == digest
        for name in ("datalist.json", "report.json", "report.html"):
            assert not (store / name).exists() or whole[name] == hashlib.sha256((store / name).read_bytes()).hexdigest()
        found.append(len(entries))
        if kill % 2 == 1 or kill == num_kills - 1:
            written = {entry: (entry / "zarr.json").stat().st_mtime_ns for entry in entries}
            result = prepare(PrepareOptions(store, folder=sources / "scans", key_file=sources / "key"))
            assert {entry: (entry / "zarr.json").stat().st_mtime_ns for entry in entries} == written
            assert {outcome.job.entry for outcome in result.outcomes if outcome.refusal is None} <= set(stored_entries(store))
            assert tree(store) == whole
    return found


def test_three_kills_lose_nothing_and_leave_no_half_entry(
    sources: Path, undisturbed: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    assert len(_kill_and_go_on(sources, tmp_path / "store", *undisturbed, num_kills=3)) == 3


@pytest.mark.long
def test_twenty_kills_lose_nothing_and_leave_no_half_entry(
    sources: Path, undisturbed: tuple[dict[str, str], float], tmp_path: Path
) -> None:
    found = _kill_and_go_on(sources, tmp_path / "store", *undisturbed, num_kills=20)
    assert len(found) == 20
    print(f"\nwhole entries of {_NUM_COPIES * _NUM_SCANS - 1} after each kill: {found}")
    print(f"seconds from the first entry to the end of a run: {undisturbed[1]:.1f}")
