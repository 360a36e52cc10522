"""Signals, locks and several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import ignite.distributed as idist
import pytest
import torch
from ignite.engine import Events
from tiny_run import Run

from maesil_monai.folder_lock import FolderInUse
from maesil_monai.training.distributed import device, finalize, initialize, unwrap, wrap_ddp
from maesil_monai.training.folder_lock import LOCK_NAME, FolderLock
from maesil_monai.training.run_record import RECORD_NAME
from maesil_monai.training.signals import STOP_SIGNALS, StopAsked, give_up_if_asked, shield_worker
from maesil_monai.weights_file.checkpoint_files import LAST_NAME, load_checkpoint

PROGRAM = Path(__file__).with_name("tiny_run.py")
TWO_PROCESSES = """
import os
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import torch
import ignite.distributed as idist
from tiny_run import TinyNetwork, Run
from maesil_monai.data.samples.sampling import EpochSampler
from maesil_monai.training import distributed
from maesil_monai.training.training_state import TrainingState

torch.set_num_threads(1)
distributed.initialize()
# Slurm counts tasks, of which a torchrun is one; what torchrun counts is the GPU.
assert (os.environ["LOCAL_RANK"], os.environ["SLURM_JOB_ID"]) == (str(idist.get_rank()), "7")
sampler = EpochSampler(8, batch_size=2)
assert list(sampler) == [(1, 4 * batch + 2 * idist.get_rank() + place) for batch in range(2) for place in range(2)]
network = distributed.wrap_ddp(TinyNetwork(), "cpu")
assert type(distributed.unwrap(network)) is TinyNetwork
state = TrainingState(network, torch.optim.SGD(network.parameters(), lr=0.1))
run = Run(Path(sys.argv[1]) / "other", handlers=())
torch.manual_seed(idist.get_rank())
collected = state.collect(run.trainer)
assert len(collected["random"]) == 2
assert torch.equal(state.restore(run.trainer, {**collected, "format_version": 2}, "here")["torch"], torch.get_rng_state())
run = Run(Path(sys.argv[1]), num_batches=12)
if idist.get_rank() == 1:
    import signal
    from ignite.engine import Events
    run.trainer.add_event_handler(Events.ITERATION_STARTED(once=3), lambda: os.kill(os.getpid(), signal.SIGTERM))
try:
    run.run()
except SystemExit as leave:
    assert leave.code == 143
    print("left", run.trainer.state.iteration, flush=True)
distributed.finalize()
"""


def test_a_second_run_is_refused_and_a_signalled_program_saves_and_leaves_with_143(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, str(PROGRAM), str(tmp_path), "0.05", "1000"], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"running\n"
        with pytest.raises(FolderInUse, match=f"process {program.pid} on {socket.gethostname()}"):
            Run(tmp_path).run()
        assert (tmp_path / LOCK_NAME).is_file()
        program.terminate()
        assert program.wait(timeout=60) == 143
    assert load_checkpoint(tmp_path / LAST_NAME)["trainer"]["iteration"] >= 4
    assert json.loads((tmp_path / RECORD_NAME).read_text())["ended"] == "stopped early"
    assert not (tmp_path / LOCK_NAME).exists()


@pytest.mark.parametrize("number", STOP_SIGNALS)
@pytest.mark.parametrize("iteration", [2, 6])
def test_a_signal_waits_for_the_next_optimiser_step(tmp_path: Path, number: signal.Signals, iteration: int) -> None:
    before = signal.getsignal(number)
    run = Run(tmp_path, save_interval=None)
    run.trainer.add_event_handler(Events.ITERATION_STARTED(once=iteration), lambda: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as left:
        run.run()
    assert left.value.code == (130 if number == signal.SIGINT else 143)
    # Steps are taken after batches 4, 6 and 10.
    assert load_checkpoint(tmp_path / LAST_NAME)["trainer"]["iteration"] == {2: 4, 6: 6}[iteration]
    assert signal.getsignal(number) == before


def test_a_signal_gives_up_the_first_validation_and_leaves_before_training(tmp_path: Path) -> None:
    run = Run(tmp_path, val_at_start=True)
    run.evaluator.add_event_handler(Events.ITERATION_STARTED, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as left:
        run.run()
    assert left.value.code == 143
    assert run.trainer.state.iteration == run.trainer.state.epoch == 0
    assert not run.evaluator.state.metrics
    assert not (tmp_path / LAST_NAME).exists()  # there is nothing to go on from


def test_a_signal_gives_up_the_validation_of_an_epoch_which_is_saved(tmp_path: Path) -> None:
    run = Run(tmp_path)
    twice = Events.ITERATION_STARTED(event_filter=lambda engine, n: engine.state.epoch == 2)
    run.evaluator.add_event_handler(twice, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        run.run()
    saved = load_checkpoint(tmp_path / LAST_NAME)
    assert saved["trainer"]["iteration"] == 12
    assert saved["best"]["epoch"] <= 1
    assert Run(tmp_path, resume="last").run().trainer.state.epoch == 3


def test_work_between_steps_is_given_up_only_while_a_run_of_one_process_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_if_asked()  # nothing runs
    run = Run(tmp_path, max_epochs=1)

    @run.evaluator.on(Events.STARTED)
    def _asked() -> None:
        give_up_if_asked()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StopAsked):
            give_up_if_asked()
        monkeypatch.setattr(idist, "get_world_size", lambda: 2)
        give_up_if_asked()  # processes of a job leave together
        monkeypatch.undo()

    with pytest.raises(SystemExit):
        run.run()
    give_up_if_asked()  # the run is over


def test_a_second_interrupt_leaves_at_once_without_a_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path, save_interval=None)
    for iteration in (1, 2):
        run.trainer.add_event_handler(Events.ITERATION_STARTED(once=iteration), lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert run.trainer.state.iteration == 2
    assert not (tmp_path / LAST_NAME).exists()
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_signal_to_the_workers_too_does_not_break_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, num_workers=1)

    def signal_all() -> None:
        # From a process that is not the parent, as Slurm's are.
        workers = [str(worker.pid) for worker in run.trainer._dataloader_iter._workers]
        subprocess.run(["kill", "-TERM", *workers, str(os.getpid())], check=True)

    run.trainer.add_event_handler(Events.ITERATION_STARTED(once=1), signal_all)
    with pytest.raises(SystemExit) as left:
        run.run()
    assert left.value.code == 143
    assert load_checkpoint(tmp_path / LAST_NAME)["trainer"]["iteration"] == 4


def _shielded(channel: Connection) -> None:
    shield_worker(3, then=channel.send)
    channel.recv()
    channel.send("at work")
    time.sleep(60)


def test_a_shielded_worker_ignores_the_signals_of_others_and_leaves_when_its_parent_says_so() -> None:
    ours, theirs = multiprocessing.Pipe()
    worker = multiprocessing.get_context("fork").Process(target=_shielded, args=(theirs,))
    worker.start()
    assert ours.recv() == 3  # its own function was called
    for number in STOP_SIGNALS:
        subprocess.run(["kill", f"-{number.value}", str(worker.pid)], check=True)
    ours.send("go on")
    assert ours.recv() == "at work"
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


HOLDER = """
import os, sys, time
from torch.utils.data import DataLoader
from maesil_monai.training.folder_lock import FolderLock

class Endless:
    def __len__(self):
        return 2
    def __getitem__(self, index):
        print(os.getpid(), flush=True)
        time.sleep(60)

lock = FolderLock(sys.argv[1])
lock.acquire()
list(DataLoader(Endless(), num_workers=1))
"""


def test_the_lock_of_a_killed_process_is_taken_over_at_once_even_while_its_workers_live(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        try:
            with pytest.raises(FolderInUse, match=f"process {program.pid} on"):
                FolderLock(tmp_path).acquire()
        finally:
            program.kill()
            program.wait()
        Run(tmp_path, max_epochs=1).run()
        os.kill(worker, signal.SIGKILL)  # which was at work until now
    assert not (tmp_path / LOCK_NAME).exists()


def test_two_runs_of_one_process_in_a_folder_are_refused(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(FolderInUse):
        FolderLock(tmp_path).acquire()
    first.release()
    FolderLock(tmp_path).acquire()
    FolderLock(tmp_path).release()


@pytest.mark.parametrize(("note", "said"), [("process 7 on elsewhere", "process 7 on elsewhere"), ("", "an unknown process")])
def test_a_lock_that_is_held_is_never_taken_over_whatever_its_note_says(tmp_path: Path, note: str, said: str) -> None:
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.file.with_name(f"{LOCK_NAME}.holder").write_text(note)
    with pytest.raises(FolderInUse, match=f"{tmp_path}: in use by {said}; expected a folder in which no other run works"):
        FolderLock(tmp_path).acquire()
    lock.release()


def test_the_note_of_a_killed_process_whose_number_was_given_away_again_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).touch()
    (tmp_path / f"{LOCK_NAME}.holder").write_text(f"process {os.getppid()} on {socket.gethostname()}")
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert lock.holder() == f"process {os.getpid()} on {socket.gethostname()}"
    lock.release()


def test_one_process_needs_no_process_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    initialize()
    network = torch.nn.Linear(1, 1)
    assert (idist.get_rank(), idist.get_world_size()) == (0, 1)
    assert wrap_ddp(network, "cpu") is unwrap(network) is network
    assert device().type in ("cpu", "cuda")
    finalize()


def test_two_processes_share_the_batches_and_stop_together_when_one_is_signalled(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    programs, results = [], []
    for number in range(2):
        environment = {**os.environ, "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""}
        environment |= {"SLURM_JOB_ID": "7", "SLURM_LOCALID": "0"}
        command = [sys.executable, "-c", TWO_PROCESSES, str(tmp_path), str(PROGRAM.parent)]
        programs.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True))
    for program in programs:
        try:
            results.append(program.communicate(timeout=120))
        except subprocess.TimeoutExpired:
            program.kill()
            results.append(program.communicate())
    for program, (printed, errors) in zip(programs, results, strict=True):
        assert program.returncode == 0, errors
        # 24 samples are 6 batches of 2 for each process. Signalled in iteration 3, stopped at the step after iteration 4.
        assert printed.splitlines()[-1] == "left 4"
    assert len(load_checkpoint(tmp_path / LAST_NAME)["random"]) == 2
