# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options and arguments of more than one command of dmctl thin, and what they mean."""

import json
import os
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dmctl.cli import native_options, stream
from dmctl.errors import DmctlError, UsageError
from dmctl.thin.metadata import Metadata, Thin
from dmctl.units import sectors as whole_sectors

if TYPE_CHECKING:
    from dmctl.thin.catalogue import Volume

Source = Annotated[
    str, typer.Argument(metavar="POOL", help="A pool's name, or the path of the file or device with its metadata.")
]
Snapshot = Annotated[
    bool, typer.Option("-m", "--metadata-snap", help="Read the metadata snapshot that the pool holds already.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print messages and tables, and change nothing.")]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Ask no question.")]
PoolName = Annotated[str, typer.Argument(metavar="POOL", help="The pool's name.")]
VolumeName = Annotated[str, typer.Argument(metavar="NAME", help="The volume's name.")]
Blob = Annotated[str | None, typer.Option("--blob", metavar="TEXT", help="Bind this to it, 256 bytes at the most.")]
BlobFile = Annotated[
    str | None, typer.Option("--blob-file", metavar="FILE", help="Likewise, what is in this file; - is standard input.")
]


def thin(metadata: Metadata, thin_id: int, option: str) -> Thin:
    """One of the pool's. Raises UsageError where there is none by this id."""
    if thin_id not in metadata.thins:
        raise UsageError(f"{option}: {metadata.path} has no thin {thin_id}.")
    return metadata.thins[thin_id]


def json_head(command: str) -> str:
    """The begin of the JSON of a command, up to where its own facts come."""
    return '{\n  "output_version": ' + json.dumps({"command": command, **native_options.OUTPUT_VERSION}) + ",\n  "


def sectors(text: str, option: str) -> int:
    """A size as sectors. Raises UsageError."""
    try:
        return whole_sectors(native_options.size(text, option))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def blob(text: str | None, file: str | None) -> bytes | None:
    """A blob from the command line, or from a file; None where neither is given. Raises UsageError, DmctlError."""
    from dmctl.thin.catalogue import MAX_BLOB_BYTES, checked_blob

    if text is not None and file is not None:
        raise UsageError("--blob and --blob-file exclude each other.")
    if file is None:
        return None if text is None else checked_blob(os.fsencode(text))
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as opened:
            return checked_blob(opened.read(MAX_BLOB_BYTES + 1))
    except OSError as error:
        raise DmctlError(f"{file} cannot be read: {error.strerror}.", errno=error.errno or 0) from None


def blob_text(content: bytes) -> str:
    """For people: as it is where it is printable UTF-8, else in hexadecimal digits."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content.hex()
    return text if text.isprintable() else content.hex()


def volume_facts(volume: "Volume") -> dict[str, object]:
    """A volume in JSON. blob: its text where it is UTF-8, else null; blob_hex is always there."""
    try:
        text: str | None = volume.blob.decode()
    except UnicodeDecodeError:
        text = None
    return {
        "name": volume.name,
        "uuid": str(volume.uuid),
        "thin_id": volume.thin_id,
        "size_sectors": volume.size_sectors,
        "created_transaction": volume.created,
        "origin_uuid": str(volume.origin) if volume.origin else None,
        "removing": volume.removing,
        "blob": text,
        "blob_hex": volume.blob.hex(),
    }


def message_lines(pool: str, messages: Iterable[str]) -> str:
    """Messages to a pool as command lines, for --dry-run."""
    return "".join(f"dmsetup message {shlex.quote(pool)} 0 {shlex.quote(text)}\n" for text in messages)


def tell(notes: list[str]) -> None:
    """What was put right, on standard error: it is nothing that was asked for."""
    for note in notes:
        stream.error(f"dmctl: {note}")
