"""What a user can put right as one line; everything else with its traceback, which also goes into a file."""

from __future__ import annotations

import os
import pydoc
import sys
import time
import traceback
from pathlib import Path

from maesil_monai.errors import UserError, hide_home
from maesil_monai.whole_files import write_whole

LOG_NAME = "error.log"
VARIABLE = "MAESIL_TRACEBACK"  # 1 shows the traceback of users' errors too
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n"


def show_plain_errors(output_dir: str | os.PathLike[str] | None = None) -> None:
    """Has this process print what it dies of as :func:`tell` does.

    For the ``initialize`` step of a bundle: ``monai.bundle`` wraps what a component raises into errors of its own.

    Args:
        output_dir: as there.
    """
    sys.excepthook = lambda kind, error, trace: tell(error, output_dir)


def tell(error: BaseException, output_dir: str | os.PathLike[str] | None = None) -> None:
    """Prints a user's error as ``error: ...``, and any other one with its traceback.

    Args:
        error: what was raised.
        output_dir: folder of ``error.log``, which keeps the traceback (``rank1_error.log`` that of process 1); None keeps none.
    """
    clear = clear_error(error)
    trace = "".join(traceback.format_exception(error))
    if clear is None and isinstance(error, Exception) and output_dir is not None:
        rank = os.environ.get("RANK", "0")
        path = Path(output_dir) / (LOG_NAME if rank == "0" else f"rank{rank}_{LOG_NAME}")
        kept = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(sys.argv)}\n{trace}"
        try:
            write_whole(path, hide_home(kept).encode("utf-8", "backslashreplace"))
            print(f"Unexpected error; {path} keeps what follows.", file=sys.stderr)
        except OSError:  # no room, or nobody may write there: it is printed all the same
            pass
    if clear is None or os.environ.get(VARIABLE, "0") not in ("", "0"):
        sys.stderr.write(trace)
    if clear is not None:
        print(f"error: {clear}", file=sys.stderr)


def clear_error(error: BaseException | None) -> BaseException | None:
    """Finds the user's error behind an exception: one of ours, or one of the operating system that names a file.

    Looks at what an exception was raised from (``__cause__``), as all wrappers of MONAI are, and not at what was being handled
    at the time: a fault in the handling is a fault.

    Example:
        >>> from maesil_monai.errors import BadSetting
        >>> try:
        ...     raise RuntimeError("Failed to instantiate") from BadSetting("patch_size=0: expected one or more.")
        ... except RuntimeError as error:
        ...     print(clear_error(error))
        patch_size=0: expected one or more.
    """
    while error is not None:
        if str(error).startswith("Caught ") and "in DataLoader worker process" in str(error):
            return _from_worker(str(error))
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.filename is not None):
            return error
        error = error.__cause__
    return None


def _from_worker(text: str) -> UserError | None:
    """Does the same for what a data loader hands on of its workers' exceptions: their tracebacks, as text."""
    for part in reversed(text.split(_CAUSED)):
        name, _, message = part.rstrip().rpartition("\n")[2].partition(": ")
        kind = pydoc.locate(name) if name.startswith("maesil_monai.") else None
        if isinstance(kind, type) and issubclass(kind, UserError):
            return UserError(message)
        if "\nDuring handling of the above exception" in part:
            break
    return None
