# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl holders: who keeps a device busy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dmctl.cli import native_options, stream
from dmctl.cli.grid import Column, write_rows
from dmctl.holders import Devno, Holder, Holders, find, holders
from dmctl.names import kernel_name


def show_holders(
    devices: Annotated[
        list[str],
        typer.Argument(metavar="DEVICE...", help="Name, path of a node, or MAJOR:MINOR of any block device."),
    ],
    as_json: native_options.AsJson = False,
) -> None:
    """Tell who keeps a device busy.

    Devices above it, mounts (those of other mount namespaces too), swap, loop devices, and processes that have it open
    or mapped. The device itself is not opened.
    """
    found = [(name, devno, holders(devno)) for name, devno in [(name, find(name)) for name in devices]]
    if as_json:
        _print_json(found)
    else:
        _print(found)
    unseen = max(listed.unseen_processes for _name, _devno, listed in found)
    if unseen:
        stream.flush()
        stream.error(f"dmctl: {unseen} processes cannot be looked into without being root; they may hold it too.")


def _print(found: list[tuple[str, Devno, Holders]]) -> None:
    several = len(found) > 1
    columns = (*[Column("DEVICE")] * several, Column("KIND"), Column("NAME"), Column("DETAIL", wraps=True))
    rows = [
        (*[name] * several, *_words(holder)) for name, _devno, listed in found for holder in listed or [Holder("", "")]
    ]
    if several or found[0][2]:
        write_rows(columns, rows)
    else:
        stream.write("nobody\n")


def _words(holder: Holder) -> tuple[str, str, str]:
    if not holder.kind:
        return "nobody", "", ""
    name = f"{holder.pid} {holder.name}" if holder.kind == "process" else holder.name
    return holder.kind, name, holder.detail


def _print_json(found: list[tuple[str, Devno, Holders]]) -> None:
    devices = [
        {
            "name": name,
            "kernel_name": kernel_name(devno),
            "major": devno[0],
            "minor": devno[1],
            "holders": [_object(holder) for holder in listed],
            "unseen_processes": listed.unseen_processes,
        }
        for name, devno, listed in found
    ]
    stream.write(native_options.as_json("holders", {"devices": devices}))


def _object(holder: Holder) -> dict[str, Any]:
    major, minor = holder.devno or (None, None)
    return {
        "kind": holder.kind,
        "name": holder.name,
        "detail": holder.detail,
        "pid": holder.pid,
        "major": major,
        "minor": minor,
    }
