"""What was typed for an option, read as the type that the option is declared with."""

from __future__ import annotations

import os
from dataclasses import fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from maesil_monai.errors import BadSetting


def read_options(options: Any) -> None:
    """Reads every field of a frozen dataclass; for its ``__post_init__``.

    Values may arrive as fire makes them of a command line: a folder named like a number as that number, a list as one text with
    commas. Defaults stay as they are. Types: bool, int, float, str, Path, ``Literal``, a tuple of one of them, each or None.

    Raises:
        BadSetting: for a value that cannot be read; names the option.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Options:
        ...     folder: str
        ...     seeds: tuple[int, ...] = (0,)
        ...     def __post_init__(self) -> None:
        ...         read_options(self)
        >>> Options(2024, "3,1")
        Options(folder='2024', seeds=(3, 1))
    """
    kinds = get_type_hints(type(options))
    for field in (field for field in fields(options) if field.init):
        value = getattr(options, field.name)
        if value is not field.default:
            object.__setattr__(options, field.name, _read(field.name, value, kinds[field.name]))


def expect(holds: bool, option: str, found: Any, expected: str) -> None:
    """Raises a BadSetting that says what was found and expected, unless the condition holds."""
    if not holds:
        raise BadSetting(f"{option}={found!r}: expected {expected}.")


def _read(option: str, value: Any, kind: Any) -> Any:
    inner = [part for part in get_args(kind) if part is not NoneType]
    if get_origin(kind) is tuple:
        return tuple(_read(option, text, inner[0]) for text in _texts(option, value))
    if get_origin(kind) is Literal:
        expect(value in inner, option, value, " or ".join(inner))
        return value
    if inner:  # T | None
        return None if value is None else _read(option, value, inner[0])
    if kind is bool:
        expect(isinstance(value, bool), option, value, f"no value (--{option}, or --no{option})")
        return value
    try:
        return kind(_text(option, value))
    except ValueError:
        if kind not in (int, float):
            raise
        expected = "whole numbers" if kind is int else "numbers, such as 0.001"
        raise BadSetting(f"{option}={value!r}: expected {expected}.") from None


def _text(option: str, value: Any) -> str:
    """Gives the text of an option that has one value; an option without any arrives as True."""
    expect(isinstance(value, (str, int, float, os.PathLike)) and not isinstance(value, bool), option, value, "one value")
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _texts(option: str, value: Any) -> list[str]:
    """Parts a list at its commas, except those within brackets."""
    parts: list[str] = []
    for one in value if isinstance(value, (tuple, list)) else [value]:
        parts.append("")
        depth = 0
        for letter in _text(option, one):
            depth += (letter in "[{(") - (letter in "]})")
            if letter == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += letter
    found = [part.strip() for part in parts if part.strip()]
    expect(bool(found), option, value, "one or more values, separated by commas")
    return found
