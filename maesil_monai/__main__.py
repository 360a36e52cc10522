"""The command line: ``maesil COMMAND``, or ``python -m maesil_monai COMMAND``; ``COMMAND --help`` says more."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module

import fire

from maesil_monai.config_names import suggestion
from maesil_monai.errors import BadSetting
from maesil_monai.option_names import options_of, refuse_unknown
from maesil_monai.plain_errors import tell

# A command is the function of its name in the module of its name in maesil_monai.commands, which alone is imported.
COMMANDS = {
    "check": "says of scans whether they are admitted",
    "compare": "trains and judges every system on one store",
    "convert": "adds to weights of before what they are",
    "describe": "tells what a file of weights is",
    "phantom": "writes made-up collections",
    "prepare": "turns folders of scans into a store that training reads",
}


def main(arguments: list[str] | None = None) -> None:
    """Runs a command; an error that a user can put right is one line on the error stream; exit code 1 after any.

    Args:
        arguments: instead of the process's own.
    """
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else "--help"
    if name in ("--help", "-h", "help"):
        print("maesil COMMAND [OPTIONS]; maesil COMMAND --help lists the options.\n")
        print("\n".join(f"  {command:10}{what}" for command, what in COMMANDS.items()))
        return
    try:
        if name not in COMMANDS:
            raise BadSetting(f"no command {name}; {suggestion(name, COMMANDS, 'maesil --help lists them.')}")
        command = getattr(import_module(f"maesil_monai.commands.{name}"), name)
        known = {*inspect.signature(command).parameters, "help"}
        refuse_unknown(options_of(words), known, f"{name} --help", f"`python -m maesil_monai {name} --help` lists them.")
        fire.Fire({name: command}, command=words, name="maesil")
    except Exception as error:
        tell(error)
        sys.exit(1)


if __name__ == "__main__":
    main()
