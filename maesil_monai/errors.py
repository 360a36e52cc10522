"""What a user can put right: the errors that are shown as one line. Every other exception is a fault and keeps its traceback."""

from __future__ import annotations

import os
import re


class UserError(Exception):
    """Something that a user gave cannot be used. The message says what, what was found, what was expected, what to do.

    Example:
        >>> issubclass(BadSetting, UserError), issubclass(ValueError, UserError)
        (True, False)
    """


class BadSetting(UserError, ValueError):
    """A value that a user gave and that cannot be. A ValueError of another kind is a fault of the program.

    Example:
        >>> raise BadSetting("patch_size=0: expected one positive whole number or three of them.")
        Traceback (most recent call last):
        maesil_monai.errors.BadSetting: patch_size=0: expected one positive whole number or three of them.
    """


class BadCheckpoint(UserError, RuntimeError):
    """A checkpoint that must not be used.

    Args:
        path: the file.
        found: what is there.
        expected: what should be there.
        cure: what the user can do, one sentence.

    Example:
        >>> raise BadCheckpoint("model.pt", "no such file", "weights", "Correct the path.")
        Traceback (most recent call last):
        maesil_monai.errors.BadCheckpoint: model.pt: no such file; expected weights. Correct the path.
    """

    def __init__(self, path: str | os.PathLike[str], found: str, expected: str, cure: str) -> None:
        self.path, self.found, self.expected, self.cure = os.fspath(path), found, expected, cure
        super().__init__(f"{self.path}: {found}; expected {expected}. {cure}")


class DamagedCheckpoint(BadCheckpoint):
    """A checkpoint whose bytes are not those that were written."""


def hide_home(text: str) -> str:
    """Writes the user's home folder as ``~``, for what is kept in files; a home that is unknown or ``/`` hides nothing.

    Example:
        >>> hide_home(os.path.join(os.path.expanduser("~"), "data"))
        '~/data'
    """
    home = os.path.expanduser("~")  # noqa: PTH111 - pathlib raises where a user has no home
    return text if len(home) < 2 else re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
