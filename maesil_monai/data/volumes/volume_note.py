"""What was odd about a volume that was admitted all the same: said once, kept with it, shown in reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One oddity of an admitted volume.

    Args:
        code: short stable name, upper case with underscores; tests and reports go by it.
        found: what is there.
        done: what was corrected, or that it was kept and what follows from that.

    Example:
        >>> print(Note("SQUEEZED", "4 dimensions, the last of size 1", "read as one 3-D volume"))
        4 dimensions, the last of size 1: read as one 3-D volume [SQUEEZED]
    """

    code: str
    found: str
    done: str

    def __str__(self) -> str:
        return f"{self.found}: {self.done} [{self.code}]"
