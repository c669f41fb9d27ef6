# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options and arguments of more than one command of dmctl thin, and what they mean."""

import json
from typing import Annotated

import typer

from dmctl.errors import UsageError
from dmctl.thin.metadata import Metadata, Thin
from dmctl.units import parse_size

Source = Annotated[
    str, typer.Argument(metavar="POOL", help="A pool's name, or the path of the file or device with its metadata.")
]
Snapshot = Annotated[
    bool, typer.Option("-m", "--metadata-snap", help="Read the metadata snapshot that the pool holds already.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

OUTPUT_VERSION = {"vers_major": 1, "vers_minor": 0}


def size(text: str, option: str, default_unit: str = "b") -> int:
    """The bytes that an option says, with units or without. Raises UsageError."""
    try:
        return parse_size(text, default_unit=default_unit)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def thin(metadata: Metadata, thin_id: int, option: str) -> Thin:
    """One of the pool's. Raises UsageError where there is none by this id."""
    if thin_id not in metadata.thins:
        raise UsageError(f"{option}: {metadata.path} has no thin {thin_id}.")
    return metadata.thins[thin_id]


def json_head(command: str) -> str:
    """The begin of the JSON of a command, up to where its own facts come."""
    return '{\n  "output_version": ' + json.dumps({"command": command, **OUTPUT_VERSION}) + ",\n  "


def as_json(command: str, facts: dict[str, object]) -> str:
    """The JSON of a command."""
    return json.dumps({"output_version": {"command": command, **OUTPUT_VERSION}, **facts}, indent=2) + "\n"
