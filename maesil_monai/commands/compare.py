"""``compare``: every system on one store, judged alike."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from maesil_monai.commands.with_options import with_options
from maesil_monai.comparison import compare as comparison
from maesil_monai.comparison.request import Request


@with_options(Request)
def compare(request: Request) -> None:
    """Compares systems on a store's held-out scans, by the same masks for all: results.json, table2.md, table3.md, report.html.

    A second call with the same OUTPUT goes on where the first was stopped, and adds models or seeds to it.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _leave)  # which ends and awaits the training that is under way
    for written in comparison.compare(request, typed()):
        print(f"Wrote {written}")


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends a command that was signalled as an error ends it: what it has under way is closed."""
    sys.exit(128 + number)


def typed() -> str:
    """Gives what was typed; empty where this is called by a program of another name."""
    program = Path(sys.argv[0])
    if program.parts[-2:] == ("maesil_monai", "__main__.py"):
        return shlex.join(["python", "-m", "maesil_monai", *sys.argv[1:]])
    return shlex.join(["maesil", *sys.argv[1:]]) if program.stem == "maesil" else ""
