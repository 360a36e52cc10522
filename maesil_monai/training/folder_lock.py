"""One run a folder."""

from __future__ import annotations

from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai import folder_lock
from maesil_monai.training.run_end import on_run_end

LOCK_NAME = "run.lock"


class FolderLock(folder_lock.FolderLock):
    """Keeps a second run out of an output folder while a trainer runs.

    Only rank 0 locks. Attach it first, before anything is read from or written into the folder.

    Args:
        output_dir: the folder; made if need be.

    Raises:
        FolderInUse: from the trainer's run, if another run holds the folder; names its process and host.

    Example:
        >>> FolderLock("output").file.name
        'run.lock'
    """

    def __init__(self, output_dir: str | Path) -> None:
        super().__init__(Path(output_dir) / LOCK_NAME, output_dir)

    def attach(self, engine: Workflow) -> None:
        """Locks while a MONAI trainer runs."""
        if idist.get_rank() == 0:
            engine.add_event_handler(Events.STARTED, lambda: self.acquire())
            on_run_end(engine, lambda engine, error: self.release())
