"""Errors of data and settings as one line, where Python would print a traceback of the framework's insides."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from maesil_monai.data.volumes.bad_volume import BadVolume
from maesil_monai.training.folder_lock import FolderInUse
from maesil_monai.training.gradients import NonFiniteLoss
from maesil_monai.weights_file.checkpoints import BadCheckpoint

CLEAR_ERRORS = (BadVolume, BadCheckpoint, FolderInUse, NonFiniteLoss)


def show_plain_errors() -> None:
    """Has this process print a clear error as ``error: ...`` and leave with code 1; everything else keeps its traceback.

    For the ``initialize`` step of a bundle: ``monai.bundle`` wraps what a component raises into errors of its own.
    """
    sys.excepthook = _print_plainly


def clear_error(error: BaseException | None) -> BaseException | None:
    """Finds the clear error behind an exception: one of this package's families, a ValueError raised by its code, or an error
    of the operating system that names a file.

    Example:
        >>> try:
        ...     raise RuntimeError("Failed to instantiate") from BadVolume("EMPTY", "a.nii", "0 bytes", "a NIfTI", "Copy it.")
        ... except RuntimeError as error:
        ...     print(clear_error(error))
        a.nii: 0 bytes; expected a NIfTI. Copy it. [EMPTY]
    """
    while error is not None:
        if isinstance(error, CLEAR_ERRORS) or (isinstance(error, ValueError) and _raised_here(error)):
            return error
        if isinstance(error, OSError) and error.filename is not None:
            return error
        error = error.__cause__ or error.__context__
    return None


def _raised_here(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames:
        return False
    names = frames[-1][0].f_globals
    spec = names.get("__spec__")  # under `python -m`, the module's name is __main__; its spec keeps the real one
    return str(spec.name if spec is not None else names.get("__name__", "")).startswith("maesil_monai.")


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    clear = clear_error(error)
    if clear is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"error: {clear}", file=sys.stderr)
