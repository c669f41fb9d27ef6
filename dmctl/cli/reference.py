# SPDX-License-Identifier: LGPL-2.1-or-later
"""The native commands as manual and completions tell of them, read from the typer app. Not loaded by any command."""

import importlib
import inspect
from dataclasses import dataclass

import typer.main

from dmctl.cli import app
from dmctl.cli.native import NATIVE
from dmctl.cli.spec import Option


@dataclass(frozen=True, slots=True)
class Native:
    """A native command. usage: its operands. text: the paragraphs of its help."""

    name: str
    usage: str
    summary: str
    text: str
    options: tuple[Option, ...]


def natives() -> list[Native]:
    """All of them, in the order of the table; of a group, its commands, as in "verity format"."""
    for name in NATIVE:
        app.register(name)
    commands = typer.main.get_command(app.app).commands  # type: ignore[attr-defined]
    found = []
    for name, (place, summary, raw) in NATIVE.items():
        if raw:
            told = importlib.import_module(f"dmctl.cli.{place.partition(':')[0]}")
            found.append(Native(name, told.OPERANDS, summary, told.TEXT, told.OPTIONS))
        elif hasattr(commands[name], "commands"):
            for word, command in commands[name].commands.items():
                found.append(_native(f"{name} {word}", command.short_help, command))
        else:
            found.append(_native(name, summary, commands[name]))
    return found


def _native(name: str, summary: str, command: object) -> Native:
    params = command.params  # type: ignore[attr-defined]
    usage = " ".join(param.metavar or param.name.upper() for param in params if param.param_type_name == "argument")
    options = tuple(_option(param) for param in params if param.param_type_name == "option")
    return Native(name, usage, summary, inspect.cleandoc(command.callback.__doc__ or ""), options)  # type: ignore[attr-defined]


def _option(param: object) -> Option:
    names = sorted(param.opts, key=len)  # type: ignore[attr-defined]
    short = "".join(name[1] for name in names if len(name) == 2)
    argument = "" if param.is_flag else param.metavar or names[-1].lstrip("-").upper()  # type: ignore[attr-defined]
    return Option(names[-1].lstrip("-"), short, argument, (param.help or "").rstrip("."))  # type: ignore[attr-defined]
