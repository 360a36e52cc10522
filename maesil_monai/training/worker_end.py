"""The end of the processes that load a run's data."""

from __future__ import annotations

from typing import Any

from monai.engines import Workflow

from maesil_monai.training.run_end import on_run_end


class WorkerEnd:
    """Ends the workers of a trainer's loader with its run, good or bad.

    Such workers live from epoch to epoch. Left to the end of Python they would outlive the run in a notebook, and where batches
    go through pinned memory PyTorch before 2.14 then waits five seconds for each of them in turn: 70 s for 14 workers.
    A further run of the trainer starts new ones.

    Example:
        >>> handlers = [WorkerEnd()]
    """

    def attach(self, engine: Workflow) -> None:
        """Follows a MONAI trainer."""
        on_run_end(engine, self._end)

    def _end(self, engine: Workflow, error: BaseException | None) -> None:
        # PyTorch has no public way to end persistent workers.
        loader: Any = engine.data_loader
        iterator = getattr(loader, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()
            loader._iterator = None
