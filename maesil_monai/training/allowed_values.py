"""What a setting may be: kinds of values, each with words for what it expects and examples of what a user may write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maesil_monai.errors import BadSetting
from maesil_monai.geometry import as_triple


@dataclass(frozen=True)
class Allowed:
    """The values that a setting may have.

    Args:
        expected: what they are, in words.
        examples: some of them, as they are typed in a shell.
        holds: tells whether a value is one of them.

    Example:
        >>> share = number(least=0, below=1)
        >>> share.holds(0.5), share.holds(1), share.holds("0.5"), share.expected
        (True, False, False, 'a number, 0 or more and below 1')
        >>> (share | NULL).examples
        ('0.5', "'$None'")
    """

    expected: str
    examples: tuple[str, ...]
    holds: Callable[[Any], bool]

    def __or__(self, other: Allowed) -> Allowed:
        """Allows what either allows."""
        either = f"{self.expected}, or {other.expected}"
        return Allowed(either, self.examples + other.examples, lambda value: self.holds(value) or other.holds(value))

    def error(self, name: str, value: Any) -> BadSetting:
        """Makes the error for a value that a setting of this kind must not have."""
        write = " or ".join(f"--{name} {example}" for example in self.examples)
        return BadSetting(f"{name}={value!r}: expected {self.expected}. Write {write}.")


def whole(least: int, example: int | None = None) -> Allowed:
    """Allows whole numbers from ``least`` on."""
    written = str(least if example is None else example)

    def holds(value: Any) -> bool:
        return _is_number(value) and isinstance(value, int) and value >= least

    return Allowed(f"a whole number, {least} or more", (written,), holds)


def number(
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    example: float = 0.5,
) -> Allowed:
    """Allows finite numbers within bounds."""
    bounds = [f"{least} or more"] if least > -math.inf else [f"above {above}"] if above > -math.inf else []
    bounds += [f"at most {most}"] if most < math.inf else [f"below {below}"] if below < math.inf else []

    def holds(value: Any) -> bool:
        return _is_number(value) and least <= value <= most and above < value < below

    return Allowed(", ".join(["a number", " and ".join(bounds)] if bounds else ["a number"]), (str(example),), holds)


def choice(*names: str | int) -> Allowed:
    """Allows one of some names or whole numbers."""

    def holds(value: Any) -> bool:
        return any(type(value) is type(name) and value == name for name in names)

    return Allowed(f"one of {', '.join(map(str, names))}", (str(names[0]),), holds)


def several(each: Allowed, count: int, example: str, rising: bool = False) -> Allowed:
    """Allows lists of so many values of a kind."""

    def holds(value: Any) -> bool:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
            return False
        return all(map(each.holds, value)) and (not rising or sorted(set(value)) == list(value))

    order = ", in rising order" if rising else ""
    return Allowed(f"a list of {count} (each {each.expected}{order})", (f'"{example}"',), holds)


def _is_number(value: Any) -> bool:
    """Tells a finite number from all else; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    try:
        as_triple(value, "")
    except ValueError:
        return False
    return True


def _are_weights(value: Any) -> bool:
    weight = number(least=0)
    return isinstance(value, Mapping) and all(isinstance(name, str) and weight.holds(share) for name, share in value.items())


YES_NO = Allowed("True or False", ("True", "False"), lambda value: isinstance(value, bool))
TEXT = Allowed("text", ("\"'NAME'\"",), lambda value: isinstance(value, str))  # quotes within quotes: fire makes 2024 a number
PATH = Allowed("a path, or nothing", ("./NAME",), lambda value: isinstance(value, (str, os.PathLike)))
NULL = Allowed("null", ("'$None'",), lambda value: value is None)
SIZE = Allowed("one positive whole number or three", ("64", '"[64,64,32]"'), _is_size)
WEIGHTS = Allowed("a weight of 0 or more for each collection", ("\"{'btcv':0.5,'lidc':0.5}\"",), _are_weights)
