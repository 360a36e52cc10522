"""Configurations that use one object in several places."""

from __future__ import annotations

from typing import TypeVar

Component = TypeVar("Component")


def component(of: Component) -> Component:
    """Gives an object defined elsewhere in a configuration.

    ``monai.bundle`` demands a list of handlers to be a list of definitions (dictionaries with ``_target_``), so an object that
    is a handler and also part of something else enters the list as ``{"_target_": ..., "of": "@train#schedule"}``.

    Example:
        >>> component("the same")
        'the same'
    """
    return of
