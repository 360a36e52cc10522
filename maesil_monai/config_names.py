"""Names of a configuration's keys: their top-level part, those that MONAI reads itself, and which one a misspelt name means."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# What monai.bundle reads from a configuration although nothing refers to it.
OF_MONAI = ("imports", "_meta_")


def head_of(key: str) -> str:
    """Gives the top-level name of a key of a configuration: without ``+`` before it and ``#`` or ``::`` after it.

    Example:
        >>> head_of("+network_def::position"), head_of("device#name")
        ('network_def', 'device')
    """
    return key.removeprefix("+").replace("::", "#").partition("#")[0]


def suggestion(name: str, known: Iterable[str], listed: str, prefix: str = "") -> str:
    """Says which known names a misspelt one may have been meant for, or else where they are listed.

    Example:
        >>> suggestion("presett", ["preset", "decoder"], "README.md lists them.")
        'did you mean preset?'
    """
    near = [f"{prefix}{match}" for match in get_close_matches(name, list(known))]
    return f"did you mean {' or '.join(near)}?" if near else listed
