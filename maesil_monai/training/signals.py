"""Leaving on request: Slurm and spot machines announce the end with a signal, and a run answers with a checkpoint."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow
from torch.utils.data import DataLoader

from maesil_monai.training.run_end import LEAVE, on_run_end, run_last
from maesil_monai.training.step_count import is_step

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
_listening: list[StopSignal] = []
logger = logging.getLogger(__name__)


class StopSignal:
    """Ends a run after SIGTERM, SIGUSR1 or SIGINT at the next optimiser-step boundary, where :class:`DurableCheckpoint` saves it.

    The signal itself only sets a flag. The process leaves with code 143 (130 after SIGINT), after all handlers of the run's end.
    A second SIGINT leaves at once, without a checkpoint. In a job of several processes one signalled process stops all.
    Long work between two steps, such as a validation, is given up when it asks :func:`stop_asked`.
    Workers of the trainer's data loader are shielded, as Slurm signals them too; give :func:`shield_worker` to other loaders.

    Example:
        >>> StopSignal().received is None
        True
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._stopped = False
        self._owner = 0
        self._earlier: dict[int, Any] = {}

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        loader = getattr(engine, "data_loader", None)
        if isinstance(loader, DataLoader) and loader.num_workers > 0:
            loader.worker_init_fn = functools.partial(shield_worker, then=loader.worker_init_fn)
        engine.add_event_handler(Events.STARTED, self._install)
        engine.add_event_handler(Events.EPOCH_STARTED, self._before_epoch)
        run_last(engine, Events.ITERATION_COMPLETED, self._at_iteration, LEAVE)
        run_last(engine, Events.EPOCH_COMPLETED, self._stop_if_asked, LEAVE)
        on_run_end(engine, self._restore)
        run_last(engine, Events.COMPLETED, self._leave, LEAVE)

    def _install(self, engine: Workflow) -> None:
        self.received, self._stopped, self._owner = None, False, os.getpid()
        self._earlier = {number: signal.signal(number, self._receive) for number in STOP_SIGNALS}
        _listening.append(self)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        """Notes a signal; nothing else is safe in a signal handler."""
        if number == signal.SIGINT and self.received == signal.SIGINT and os.getpid() == self._owner:
            raise KeyboardInterrupt
        self.received = number

    def _before_epoch(self, engine: Workflow) -> None:
        self._stop_if_asked(engine)
        if self._stopped:
            engine.state.epoch -= 1  # which has been counted, but will not take place

    def _at_iteration(self, engine: Workflow) -> None:
        if is_step(engine):
            self._stop_if_asked(engine)

    def _stop_if_asked(self, engine: Workflow) -> None:
        number = self._agreed()
        if number and not self._stopped:
            self._stopped = True
            self.received = number
            logger.warning("%s received: stopping after iteration %d", signal.Signals(number).name, engine.state.iteration)
            engine.terminate()

    def _agreed(self) -> int:
        """Gives the signal that any process of the job received, 0 for none."""
        return int(idist.all_reduce(self.received or 0, "MAX"))

    def _restore(self, engine: Workflow, error: BaseException | None) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}
        if self in _listening:
            _listening.remove(self)

    def _leave(self, engine: Workflow) -> None:
        if self._stopped:
            if engine.state.iteration:
                logger.warning("stopped and saved at iteration %d; --ckpt last goes on from here", engine.state.iteration)
            else:
                logger.warning("stopped before the first iteration: there is nothing to go on from")
            raise SystemExit(130 if self.received == signal.SIGINT else 143)


def stop_asked() -> bool:
    """Tells whether the run of this process was asked to stop, so that long work between two steps may be given up.

    Always False in a job of several processes: they leave together, at a step.
    """
    return idist.get_world_size() == 1 and any(signals.received for signals in _listening)


class StopAsked(Exception):
    """Work between two steps was given up because the run was asked to stop."""


def give_up_if_asked() -> None:
    """Raises :class:`StopAsked` if :func:`stop_asked`."""
    if stop_asked():
        raise StopAsked


def shield_worker(worker_id: int, then: Callable[[int], None] | None = None) -> None:
    """Lets a data loader worker ignore the stop signals that its parent answers, unless its parent itself sends SIGTERM.

    Python's exit ends worker processes so and then waits for them: a worker deaf to that would keep the run from ending. Where
    the system does not tell who sent a signal (all but Linux), nothing is ignored.

    Args:
        worker_id: number of the worker.
        then: another ``worker_init_fn`` to call.
    """
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        threading.Thread(target=_await_parent, name="worker shield", daemon=True).start()
    if then is not None:
        then(worker_id)


def _await_parent() -> None:
    """Takes the blocked signals one by one, for only so can be seen who sent them; leaves when it was the parent."""
    while True:
        found = signal.sigwaitinfo(STOP_SIGNALS)
        if found.si_signo == signal.SIGTERM and found.si_pid == os.getppid():
            os._exit(0)
