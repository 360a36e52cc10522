"""One run a folder."""

from __future__ import annotations

import atexit
import json
import os
import socket
from pathlib import Path

from ignite.engine import Events
from monai.engines import Workflow

from maesil_monai.errors import UserError
from maesil_monai.training.distributed import rank
from maesil_monai.training.run_end import on_run_end

LOCK_NAME = "run.lock"
_held: set[Path] = set()


class FolderInUse(UserError, RuntimeError):
    """Another run writes into the folder."""


class FolderLock:
    """Keeps a second run out of an output folder while a trainer runs.

    The lock file holds process number, host and start time of the process. A lock whose process has ended on this host is taken
    over. Only rank 0 locks. Attach it first, before anything is read from or written into the folder.

    Args:
        output_dir: the folder; made if need be.

    Raises:
        FolderInUse: if another run holds the folder; names its process and host.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lock = FolderLock(folder)
        ...     lock.acquire()
        ...     FolderLock(folder).path.is_file()
        ...     lock.release()
        True
    """

    def __init__(self, output_dir: str | Path) -> None:
        self.path = Path(output_dir) / LOCK_NAME

    def attach(self, engine: Workflow) -> None:
        """Locks while a MONAI trainer runs."""
        if rank() == 0:
            engine.add_event_handler(Events.STARTED, self.acquire)
            on_run_end(engine, lambda engine, error: self.release())

    def acquire(self) -> None:
        """Takes the lock."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            except FileExistsError:
                self._remove_if_stale()
                continue
            with os.fdopen(handle, "w") as file:
                json.dump({"pid": os.getpid(), "host": socket.gethostname(), "started": _start_time(os.getpid())}, file)
            _held.add(self.path.resolve())
            atexit.register(self.release)
            return

    def release(self) -> None:
        """Gives the lock back, if this process holds it."""
        path = self.path.resolve()
        if path in _held:
            _held.discard(path)
            path.unlink(missing_ok=True)
        atexit.unregister(self.release)

    def _remove_if_stale(self) -> None:
        """Removes the lock of a dead process of this host.

        Raises:
            FolderInUse: if it may be alive.
        """
        try:
            owner = json.loads(self.path.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            # A process that died between creating and filling the file, or one that is about to fill it.
            owner = {"pid": "an unknown number", "host": "an unknown host"}
        here = owner["host"] == socket.gethostname()
        # This process held no lock of that name, so one with its number is left from a container or machine started anew.
        own = here and owner["pid"] == os.getpid() and self.path.resolve() not in _held
        if own or (here and _start_time(owner["pid"]) != owner["started"]):
            self.path.unlink(missing_ok=True)
            return
        raise FolderInUse(
            f"{self.path.parent}: in use by process {owner['pid']} on {owner['host']}; expected a folder without a running run. "
            f"Wait for it, choose another output_dir, or remove {self.path} if you are sure that this process has ended."
        )


def _start_time(pid: int) -> str | None:
    """Gives when a process of this machine started, so that a number used again is not mistaken for it; None if it has ended."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        # Field 22, counted behind the command name, which may hold spaces and brackets.
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] == "Z" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return "unknown"
