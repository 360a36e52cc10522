"""What comes last: handlers that act after all others of an event, and the end of a run, good or bad.

ignite swallows an exception when a handler of ``EXCEPTION_RAISED`` does not raise it again, and calls no further handler once one
does. So all handlers of this package share one, which calls each of them and then raises. Attach the first of them before MONAI's
``StatsHandler``, which raises as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.training.batch_samples import describe_batch

Handler = Callable[[Workflow], None]
Callback = Callable[[Workflow, "BaseException | None"], None]

# The order among the last handlers of an event: decide, save the run, close its records, leave the process.
DECIDE, SAVE, CLOSE, LEAVE = 0, 1, 2, 3
_LAST, _END = "_maesil_last_handlers", "_maesil_run_end"
logger = logging.getLogger(__name__)


class _LastHandlers:
    """The last handlers of one engine, by event."""

    def __init__(self, engine: Workflow) -> None:
        self.handlers: dict[Events, list[tuple[int, Handler]]] = {}
        self.dispatchers: dict[Events, Handler] = {}
        engine.add_event_handler(Events.STARTED, self.start)

    def start(self, engine: Workflow) -> None:
        """Puts one dispatcher for each event behind the handlers attached so far."""
        for event in self.handlers:
            if event in self.dispatchers:
                engine.remove_event_handler(self.dispatchers[event], event)
            self.dispatchers[event] = self.dispatcher(event)
            engine.add_event_handler(event, self.dispatchers[event])

    def dispatcher(self, event: Events) -> Handler:
        def dispatch(engine: Workflow) -> None:
            for _, handler in sorted(self.handlers[event], key=lambda entry: entry[0]):
                handler(engine)

        return dispatch


class _RunEnd:
    """Calls the callbacks of one engine once per run."""

    def __init__(self, engine: Workflow) -> None:
        self.callbacks: list[Callback] = []
        self.ended = False
        self.in_epoch = False
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self.enter_epoch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.leave_epoch)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self.raised)
        run_last(engine, Events.COMPLETED, self.completed, CLOSE)

    def start(self, engine: Workflow) -> None:
        self.ended = self.in_epoch = False

    def enter_epoch(self, engine: Workflow) -> None:
        self.in_epoch = True

    def leave_epoch(self, engine: Workflow) -> None:
        # What fails from here on, in validation for instance, is not the fault of a training batch.
        self.in_epoch = False

    def completed(self, engine: Workflow) -> None:
        self.end(engine, None)

    def raised(self, engine: Workflow, error: BaseException) -> None:
        # ignite fires the event twice for errors inside an iteration.
        if self.in_epoch and not self.ended and isinstance(error, Exception):
            explain(engine, error)
        self.end(engine, error)
        # ignite keeps the generator that has just failed, and the next run of the engine would end with it at once.
        if hasattr(engine, "_internal_run_generator"):
            engine._internal_run_generator = None
        raise error

    def end(self, engine: Workflow, error: BaseException | None) -> None:
        if self.ended:
            return
        self.ended = True
        for callback in self.callbacks:
            callback(engine, error)


def run_last(engine: Workflow, event: Events, handler: Handler, order: int) -> None:
    """Adds a handler behind all those attached before the run starts, whatever the order in the configuration.

    Args:
        engine: the engine.
        event: when.
        handler: called with the engine.
        order: ``DECIDE``, ``SAVE``, ``CLOSE`` or ``LEAVE``: the place among the last ones.
    """
    last = getattr(engine, _LAST, None)
    if last is None:
        last = _LastHandlers(engine)
        setattr(engine, _LAST, last)
    last.handlers.setdefault(event, []).append((order, handler))


def on_run_end(engine: Workflow, callback: Callback) -> None:
    """Has ``callback(engine, error)`` called once when a run of the engine ends; ``error`` is None for a good end."""
    end = getattr(engine, _END, None)
    if end is None:
        end = _RunEnd(engine)
        setattr(engine, _END, end)
    end.callbacks.append(callback)


def explain(engine: Workflow, error: Exception) -> None:
    """Logs what was at work when the run failed: memory and sizes after lack of memory, else the samples of the batch."""
    batch = describe_batch(engine)
    if isinstance(error, torch.OutOfMemoryError):
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        logger.error(
            "out of memory with a batch of shape %s; at most %d bytes were in use. Halve the batch size and double "
            "accumulation (the result stays the same), or choose a smaller superpatch or network.",
            batch.get("image_shape", "unknown"),
            peak,
        )
    elif batch.get("cases"):
        cases = ", ".join(batch["cases"])
        logger.error("the run failed after %d iterations; samples in flight: %s", engine.state.iteration, cases)
