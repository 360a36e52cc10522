"""Names of options that nothing reads: a misspelt one would change nothing and say nothing."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from fire.parser import DefaultParseValue


def check_option_names(arguments: Sequence[str] | None = None) -> None:
    """Refuses options of ``python -m monai.bundle run`` whose names stand in none of its configurations.

    ``monai.bundle`` adds every ``--NAME VALUE`` to the configuration, whether anything refers to it or not. For the
    ``initialize`` step of a bundle; where the process was started by another command, nothing happens.

    Args:
        arguments: the command's, from ``run`` on; None: those of this process.

    Raises:
        ValueError: names the first such option, and those it may have been meant for.

    Example:
        >>> check_option_names(["run", "training", "--config_file", "bundle/configs/train.json", "--max_epoch", "3"])
        Traceback (most recent call last):
        ValueError: option --max_epoch: nothing of that name in train.json; did you mean --max_epochs?
    """
    import monai.bundle  # seconds, for a command line that may not need it

    if arguments is None:
        started_here = Path(sys.argv[0]).parts[-3:] == ("monai", "bundle", "__main__.py")
        arguments = sys.argv[1:] if started_here else []
    if list(arguments[:1]) != ["run"]:
        return
    options = options_of(arguments)
    given = DefaultParseValue(options.get("config_file", "[]"))
    files = [given] if isinstance(given, str) else list(given)
    if not files:
        return  # they stand in an args_file, which monai.bundle reads
    known = {*monai.bundle.ConfigParser.load_config_files(files), *inspect.signature(monai.bundle.run).parameters}
    refuse_unknown(options, known, ", ".join(Path(file).name for file in files))


def refuse_unknown(options: Iterable[str], known: Collection[str], where: str) -> None:
    """Raises a ValueError at the first option, given without dashes, that is not known; ``no`` may stand before one that is."""
    for name in options:
        if name not in known and name.removeprefix("no") not in known:
            raise ValueError(f"option --{name}: nothing of that name in {where}; {suggestion(name, known, '--')}")


def suggestion(name: str, known: Collection[str], prefix: str = "") -> str:
    """Says which known names a misspelt one may have been meant for, or where they are listed.

    Example:
        >>> suggestion("presett", ["preset", "decoder"])
        'did you mean preset?'
    """
    near = [f"{prefix}{match}" for match in get_close_matches(name, known)]
    return f"did you mean {' or '.join(near)}?" if near else "docs/configuration.md lists them."


def options_of(arguments: Sequence[str]) -> dict[str, str]:
    """Gives the options of a command line, without what follows ``#`` or ``::`` in a name, and their values as text."""
    found: dict[str, str] = {}
    for place, argument in enumerate(arguments):
        if argument.startswith("--") and argument != "--":
            name, has_value, value = argument[2:].partition("=")
            following = arguments[place + 1] if place + 1 < len(arguments) else ""
            found[name.replace("::", "#").partition("#")[0].replace("-", "_")] = value if has_value else following
    return found
