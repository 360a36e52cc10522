"""Checkpoint files are whole or not there, and damage is found."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maesil_monai.weights_file import checkpoint_files
from maesil_monai.weights_file.checkpoint_files import (
    INCOMING_NAME,
    LAST_NAME,
    BadCheckpoint,
    DamagedCheckpoint,
    find_newest,
    load_checkpoint,
    save_archive,
    save_checkpoint,
    verify_checkpoint,
)

STATE: dict[str, Any] = {
    "network": {"weight": torch.arange(300.0)},
    "trainer": {"iteration": 4, "lr": 0.5},
    "names": ["a", None, True],
}
# A process of its own, as forking one that runs threads is not safe.
KILL_TEN = """
import os, random, signal, sys, time
from types import SimpleNamespace
import torch
from maesil_monai.weights_file.checkpoint_files import find_newest, load_checkpoint
from maesil_monai.training.checkpoint_handler import DurableCheckpoint
from maesil_monai.training.training_state import TrainingState

network = torch.nn.Linear(200, 200)
state = TrainingState(network, torch.optim.SGD(network.parameters(), lr=0.1))
durable = DurableCheckpoint(sys.argv[1], state)

def save(iteration):
    network.weight.data.fill_(float(iteration))
    place = SimpleNamespace(iteration=iteration, epoch_length=None, max_epochs=1)
    durable.save(SimpleNamespace(state=place, last_event_name=None))

save(1)
newest = 1
draw = random.Random(0)
for delay in [draw.uniform(0.0, 0.03) for _ in range(10)]:
    child = os.fork()
    if child == 0:
        for iteration in range(newest + 1, 10**6):
            save(iteration)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = load_checkpoint(find_newest(sys.argv[1]))
    assert found["trainer"]["iteration"] >= newest, (found["trainer"], newest)
    newest = found["trainer"]["iteration"]
    assert found["network"]["weight"].eq(float(newest)).all()
    print("loads", newest)
"""


def test_a_state_comes_back_equal(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LAST_NAME, STATE)
    found = load_checkpoint(tmp_path / LAST_NAME)
    assert torch.equal(found.pop("network")["weight"], torch.arange(300.0))
    assert found == {"trainer": {"iteration": 4, "lr": 0.5}, "names": ["a", None, True], "format_version": 2}
    assert [path.name for path in tmp_path.iterdir()] == [LAST_NAME]


def test_torch_reads_training_checkpoints_and_weights_without_this_package(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / LAST_NAME, STATE)
    save_archive(tmp_path / "model.pt", torch.nn.Linear(2, 2).state_dict())
    assert torch.load(tmp_path / LAST_NAME, weights_only=True)["trainer"] == STATE["trainer"]
    torch.nn.Linear(2, 2).load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))


def test_every_bit_flip_is_found(tmp_path: Path) -> None:
    path = tmp_path / LAST_NAME
    save_checkpoint(path, STATE)
    good = path.read_bytes()
    places = np.random.default_rng(0).integers(0, 8 * len(good), 50).tolist()
    # The last 56 bytes are the trailer: three flips there, in magic, length and checksum.
    for place in (*places, 8 * (len(good) - 50), 8 * (len(good) - 40), 8 * (len(good) - 1)):
        damaged = bytearray(good)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(DamagedCheckpoint):
            load_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 1, 55, 56, 57, 500, 1000, -57, -56, -1])
def test_every_truncation_is_found(tmp_path: Path, kept: int) -> None:
    path = tmp_path / LAST_NAME
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DamagedCheckpoint):
        verify_checkpoint(path)


def test_ten_kills_while_saving_each_leave_the_newest_complete_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILL_TEN, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loads") == 10
    allowed = {LAST_NAME, "checkpoint_last_1.pt", INCOMING_NAME, f".{INCOMING_NAME}.partial"}
    assert {path.name for path in tmp_path.iterdir()} <= allowed


@pytest.mark.parametrize("full_after", [0, 300])
def test_a_full_disk_leaves_the_old_file_and_names_path_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_after: int
) -> None:
    path = tmp_path / LAST_NAME
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    class FullDisk(checkpoint_files._HashingWriter):
        def write(self, data: Any) -> int:
            if self.num_bytes >= full_after and self.error is None:
                self.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(checkpoint_files, "_HashingWriter", FullDisk)
    with pytest.raises(OSError, match=rf"No space left.*{len(before)} bytes needed, \d+ free.*{LAST_NAME}") as caught:
        save_checkpoint(path, STATE)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST_NAME]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_device_that_takes_no_byte_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / LAST_NAME
    save_checkpoint(path, STATE)
    before = path.read_bytes()
    device = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "open", lambda name, flags, mode: device)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, {"weight": torch.zeros(100_000)})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST_NAME]


def test_a_disk_that_fails_while_flushing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / LAST_NAME
    save_checkpoint(path, STATE)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="quota"):
        save_checkpoint(path, STATE)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST_NAME]


@pytest.mark.parametrize("value", [np.float64(1.0), np.zeros(2), {1, 2}, Path("x"), 1 + 2j])
def test_values_that_could_not_be_read_back_are_refused_when_saving(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match=r"state\['trainer'\]\[1\] is a"):
        save_checkpoint(tmp_path / LAST_NAME, {"trainer": [0, value]})
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_format_is_refused_and_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_files, "FORMAT_VERSION", 0)
    save_checkpoint(tmp_path / LAST_NAME, STATE)
    monkeypatch.undo()
    assert find_newest(tmp_path) == tmp_path / LAST_NAME
    with pytest.raises(BadCheckpoint, match="format_version 0; expected format_version 2"):
        load_checkpoint(tmp_path / LAST_NAME)


def test_the_payload_of_a_hostile_checkpoint_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    monkeypatch.setattr(checkpoint_files, "_check_plain", lambda value, name: None)
    save_checkpoint(tmp_path / LAST_NAME, {"trainer": Hostile()})
    with pytest.raises(BadCheckpoint, match="objects that need code to load"):
        load_checkpoint(tmp_path / LAST_NAME)
    assert not (tmp_path / "ran").exists()


def test_the_newest_undamaged_checkpoint_is_found_and_damaged_ones_are_kept_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("checkpoint_last_10.pt", "checkpoint_last_2.pt", "checkpoint_last_1.pt", LAST_NAME, INCOMING_NAME):
        save_checkpoint(tmp_path / name, {"name": name})
    for name in (INCOMING_NAME, LAST_NAME, "checkpoint_last_1.pt"):
        assert find_newest(tmp_path) == tmp_path / name
        (tmp_path / name).write_bytes(b"damaged")
    assert find_newest(tmp_path) == tmp_path / "checkpoint_last_2.pt"
    assert sorted(path.name for path in tmp_path.glob("*.corrupt")) == sorted(
        f"{name}.corrupt" for name in (INCOMING_NAME, LAST_NAME, "checkpoint_last_1.pt")
    )
    assert caplog.text.count("falling back") == 3


def test_an_empty_folder_has_no_newest_checkpoint(tmp_path: Path) -> None:
    assert find_newest(tmp_path) is None
