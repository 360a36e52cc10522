"""One family of errors for volumes that must not enter a run: which file, what was found, what was expected, what to do."""

from __future__ import annotations

import os

from maesil_monai.errors import UserError


class BadVolume(UserError, ValueError):
    """A file that is no usable CT volume. A run catches this family only, so that faults of the program stay loud.

    Args:
        code: short stable name of the fault, upper case with underscores; tests and reports go by it.
        path: the file as the user named it.
        found: what is there.
        expected: what should be there.
        cure: what the user can do, one sentence.

    Example:
        >>> raise BadVolume("EMPTY_FILE", "a.nii.gz", "0 bytes", "a NIfTI file", "Copy it again.")
        Traceback (most recent call last):
        maesil_monai.data.volumes.bad_volume.BadVolume: a.nii.gz: 0 bytes; expected a NIfTI file. Copy it again. [EMPTY_FILE]
    """

    def __init__(self, code: str, path: str | os.PathLike[str], found: str, expected: str, cure: str) -> None:
        self.code = code
        self.path = os.fspath(path)
        self.found = found
        self.expected = expected
        self.cure = cure
        super().__init__(f"{self.path}: {found}; expected {expected}. {cure} [{code}]")

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[type[BadVolume], tuple[str, str, str, str, str]]:
        # The default would call the class with the message alone; errors of data loader workers travel as pickles.
        return type(self), (self.code, self.path, self.found, self.expected, self.cure)


class MissingVolume(BadVolume, FileNotFoundError):
    """A volume that is not there."""


class UnreadableVolume(BadVolume, PermissionError):
    """A volume that this user may not read; it says nothing about whether the volume is good."""


def bad_volume_behind(error: BaseException) -> BadVolume | None:
    """Finds the refusal behind an error: MONAI's ``Compose`` raises a RuntimeError from whatever a transform raises."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, BadVolume):
        cause = cause.__cause__
    return cause
