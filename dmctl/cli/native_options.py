# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options, questions and JSON that commands of more than one group have."""

import json
import os
import sys
from typing import Annotated

import typer

from dmctl.cli import stream
from dmctl.errors import DmctlError, UsageError
from dmctl.units import parse_size

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

OUTPUT_VERSION = {"vers_major": 1, "vers_minor": 0}


def size(text: str, option: str, default_unit: str = "b") -> int:
    """The bytes that an option says, with units or without. Raises UsageError."""
    try:
        return parse_size(text, default_unit=default_unit)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def as_json(command: str, facts: dict[str, object]) -> str:
    """The JSON of a command."""
    return json.dumps({"output_version": {"command": command, **OUTPUT_VERSION}, **facts}, indent=2) + "\n"


def ask(path: str, what: str | None) -> None:
    """Ask before something is overwritten; nobody to ask is a no. Raises UsageError, DmctlError."""
    if what is None:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{path} holds {what}; --yes overwrites it.")
    confirm(f"{path} holds {what}. Overwrite it?", "Nothing has been written.")


def confirm(question: str, otherwise: str) -> None:
    """Raises DmctlError, with the text for that, where the answer is not yes."""
    stream.flush()
    os.write(2, os.fsencode(f"{question} [y/N] "))
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise DmctlError(otherwise)
