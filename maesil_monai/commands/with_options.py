"""Commands whose options stand in a dataclass: its fields become, for fire, the parameters of the command, explained as there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Options = TypeVar("Options")


def with_options(kind: type[Options]) -> Callable[[Callable[[Options], None]], Callable[..., None]]:
    """Gives a function of one dataclass the signature of that class, and the ``Args:`` of its docstring.

    Args:
        kind: the dataclass.

    Returns:
        A decorator.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Options:
        ...     '''Options of a command.
        ...
        ...     Args:
        ...         folder: where to look.
        ...     '''
        ...     folder: str
        >>> @with_options(Options)
        ... def look(options):
        ...     '''Looks for scans.'''
        ...     print(options)
        >>> look("scans"), look.__doc__
        Options(folder='scans')
        (None, 'Looks for scans.\\n\\nArgs:\\n    folder: where to look.')
    """

    def of(function: Callable[[Options], None]) -> Callable[..., None]:
        def command(*values: Any, **named: Any) -> None:
            function(kind(*values, **named))

        explained = (inspect.getdoc(kind) or "").partition("Args:\n")[2].partition("\n\n")[0]
        command.__name__ = function.__name__
        command.__doc__ = f"{inspect.getdoc(function)}\n\nArgs:\n{explained}"
        command.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
        return command

    return of
