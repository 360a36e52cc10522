"""Names of options that nothing reads: a misspelt one would change nothing and say nothing."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue

from maesil_monai.config_names import OF_MONAI, head_of, suggestion
from maesil_monai.errors import BadSetting

_OPTION = re.compile(r"--?[A-Za-z_]")


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
        maesil_monai.errors.BadSetting: option --max_epoch: nothing of that name in train.json; did you mean --max_epochs?
    """
    import monai.bundle  # seconds, for a command line that may not need it
    from monai.bundle.utils import DEFAULT_MLFLOW_SETTINGS

    if arguments is None:
        started_here = Path(sys.argv[0]).parts[-3:] == ("monai", "bundle", "__main__.py")
        arguments = sys.argv[1:] if started_here else []
    if list(arguments[:1]) != ["run"]:
        return
    options = options_of(arguments)
    defaults: Mapping[str, Any] = {}
    if options.get("args_file"):
        defaults = monai.bundle.ConfigParser.load_config_file(options["args_file"])
    given = DefaultParseValue(options["config_file"]) if options.get("config_file") else defaults.get("config_file", [])
    files = [given] if isinstance(given, str) else list(given)
    if not files:
        return  # they are given in a way that is not looked into, such as by place
    known = {*monai.bundle.ConfigParser.load_config_files(files), *inspect.signature(monai.bundle.run).parameters}
    known |= {*OF_MONAI, *defaults, *_references([*options.values(), *map(str, defaults.values())])}
    if "tracking" in options or "tracking" in defaults:
        tracked: Any = DEFAULT_MLFLOW_SETTINGS["configs"]
        known |= set(tracked)
    refuse_unknown(options, known, ", ".join(Path(file).name for file in files), "docs/configuration.md lists them.")


def refuse_unknown(options: Mapping[str, str], known: Collection[str], where: str, listed: str) -> None:
    """Raises a BadSetting at the first option that is not known.

    Args:
        options: as from :func:`options_of`.
        known: the names there are.
        where: what they stand in.
        listed: a sentence that says where all are told, for names that resemble none.
    """
    for name, value in options.items():
        # fire takes the "no" off every option without a value, and makes it False.
        read = name.removeprefix("no") if not value else name
        if read in known or len(name) == 1:
            continue
        if name in known:
            raise BadSetting(f"option --{name} without a value would be taken for 'no {read}': write --{name} True.")
        raise BadSetting(f"option --{name}: nothing of that name in {where}; {suggestion(name, known, listed, '--')}")


def options_of(arguments: Sequence[str]) -> dict[str, str]:
    """Gives the top-level names of a command line's options, as fire reads them, and their values as text, empty for none."""
    words = list(arguments)
    if "--" in words:
        words = words[: len(words) - 1 - words[::-1].index("--")]  # fire's own options follow the last one
    found: dict[str, str] = {}
    for place, word in enumerate(words):
        if _OPTION.match(word):
            name, has_value, value = word.lstrip("-").partition("=")
            following = words[place + 1] if place + 1 < len(words) and not _OPTION.match(words[place + 1]) else ""
            found[head_of(name).replace("-", "_")] = value if has_value else following
    return found


def _references(values: Iterable[str]) -> set[str]:
    """Finds the names that values refer to."""
    return {name for value in values for name in re.findall(r"@(\w+)", value)}
