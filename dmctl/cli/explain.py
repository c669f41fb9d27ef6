# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl explain: what each word of a table line and of a status means."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dmctl import units
from dmctl.check import device_facts
from dmctl.cli import native_options, stream
from dmctl.cli.grid import Column, write_rows
from dmctl.device import Device, Options, each_device
from dmctl.errors import DeviceError, DmctlError, ExitStatus, NotFoundError, UsageError
from dmctl.table import Line, Table
from dmctl.targets import ParamsError, StatusError, arguments_class, status_class
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Note

_COLUMNS = (
    Column("NAME", wraps=True, widest=26),
    Column("VALUE", wraps=True, widest=24),
    Column("MEANING", wraps=True),
)

# Words that belong to no field.
_NO_FIELDS = {"ignored": "The kernel does not look at it.", "state": "All that the target says when it does not work."}


@dataclass(frozen=True, slots=True)
class Row:
    """A word and what it is."""

    name: str
    value: str
    meaning: str

    def to_dict(self) -> dict[str, str]:
        return {"name": self.name, "value": self.value, "meaning": self.meaning}


@dataclass(frozen=True, slots=True)
class Explained:
    """A line of a table, word by word, and its status, where that was asked for. error: why there is no more."""

    line: Line
    params: list[Row]
    status: list[Row] | None
    errors: list[str]
    warnings: tuple[str, ...] = ()


def explain(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE...]", help="Devices; without any, all.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", metavar="FILE|-", help="A table instead of devices; - for standard input.")
    ] = None,
    showkeys: Annotated[bool, typer.Option("--showkeys", help="Show keys, not zeros in their place.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Tell what each word of a table line and of the status means.

    Of a device, the live table and the status are read; the status without flushing what is under way. The exit status
    is 1 where something could not be explained.
    """
    if table is not None and devices:
        raise UsageError("--table and devices exclude each other.")
    if table is not None:
        lines = _read_table(table)
        found = [("", [_explain(line, None, showkeys) for line in lines])]
    else:
        names = devices or [entry.name for entry in each_device()]
        found = [(name, list(_of_device(name, showkeys))) for name in names]
    if as_json:
        _print_json(found)
    elif not found:
        stream.write("No devices found\n")
    else:
        for name, explained in found:
            if not explained:
                stream.write(f"{name}: no table\n".removeprefix(": "))
            for one in explained:
                _print(name, one)
    if any(one.errors for _, explained in found for one in explained):
        raise typer.Exit(ExitStatus.FAILED)


def _read_table(path: str) -> Table:
    if path == "-":
        return Table.parse(os.fsdecode(sys.stdin.buffer.read()), source="on stdin")
    try:
        with open(path, "rb") as file:
            return Table.parse(os.fsdecode(file.read()), source=path)
    except OSError as error:
        raise DmctlError(f"{path} cannot be read: {error.strerror}.", errno=error.errno or 0) from None


def _of_device(name: str, showkeys: bool) -> Iterator[Explained]:
    device = Device(name, options=Options(no_flush=True))
    try:
        lines, status = device.table()[0], device.status()[0]
    except DeviceError as error:
        if error.errno != errno.ENXIO:
            raise
        raise NotFoundError(f"There is no device {name!r}.", errno=error.errno, device=name) from None
    told = {one.start_sectors: one.params for one in status}
    for line in lines:
        yield _explain(line, told.get(line.start_sectors), showkeys)


def _explain(line: Line, status: str | None, showkeys: bool) -> Explained:
    errors: list[str] = []
    arguments, state = arguments_class(line.target), status_class(line.target)
    params: list[Row] = []
    shown: list[Row] | None = None
    warnings: tuple[str, ...] = ()
    line = line if showkeys else line.hide_keys()
    if arguments is None or state is None:
        errors.append(f"{line.target}: dmctl does not know this target.")
    else:
        try:
            arguments = arguments.form(line.params)
            params = [_row(arguments, note, show_keys=showkeys) for note in arguments.explain_params(line.params)]
        except ParamsError as error:
            errors.append(str(error))
        try:
            if status is not None:
                shown = [_row(state, note) for note in state.explain_status(status)]
                warnings = state.parse_status(status).warnings()
        except StatusError as error:
            errors.append(str(error))
    return Explained(line, params, shown, errors, warnings)


def _row(cls: type[Arguments] | type[Status], note: Note, *, show_keys: bool = False) -> Row:
    spec = cls.spec_of_note(note)
    told = []
    if spec and spec.unit and note.text.isdecimal():
        told.append(_human(int(note.text), spec.unit))
    if spec and spec.kind == "device" and (name := _device_name(note.text)):
        told.append(name)
    if spec or note.name in _NO_FIELDS:
        told.append(spec.help if spec else _NO_FIELDS[note.name])
    name = f"{note.about} {note.name}" if note.about else note.name
    shown = note.text if show_keys else note.shown
    if note.name == "ignored" and not show_keys and any(one.secret for one in cls.specs().values()):
        shown = "0" * len(note.text)  # a key that stands behind all else is not known for one
    return Row(name, shown, ". ".join(told))


def _human(number: int, unit: str) -> str:
    if unit == "sectors":
        return units.format_size(number * units.SECTOR_BYTES)
    return units.format_size(number) if unit == "bytes" else f"{number} {unit}"


def _device_name(text: str) -> str:
    """What the kernel calls a major:minor, and its size."""
    try:
        major, minor = units.parse_devno(text)
    except ValueError:
        return ""
    try:
        name = os.path.basename(os.readlink(f"/sys/dev/block/{major}:{minor}"))
    except OSError:
        return ""
    facts = device_facts(text)
    size = f", {units.format_size(facts.size_sectors * units.SECTOR_BYTES)}" if facts and facts.size_sectors else ""
    return f"/dev/{name}{size}"


def _print(name: str, one: Explained) -> None:
    line = one.line
    size = units.format_size(line.length_sectors * units.SECTOR_BYTES)
    place = units.format_size(line.start_sectors * units.SECTOR_BYTES)
    stream.write(f"{name}: {line.target}, {size} from {place} on\n".removeprefix(": "))
    write_rows(_COLUMNS, [(row.name, row.value, row.meaning) for row in one.params], indent=2, headings=False)
    if one.status:
        stream.write("  status\n")
        write_rows(_COLUMNS, [(row.name, row.value, row.meaning) for row in one.status], indent=4, headings=False)
    for warning in one.warnings:
        stream.write(f"  warning: {warning}\n")
    for error in one.errors:
        stream.error(f"dmctl: {error}")


def _print_json(found: list[tuple[str, list[Explained]]]) -> None:
    devices: list[dict[str, Any]] = []
    for name, lines in found:
        rows = [
            {
                "start_sectors": one.line.start_sectors,
                "length_sectors": one.line.length_sectors,
                "target": one.line.target,
                "params": [row.to_dict() for row in one.params],
                "status": None if one.status is None else [row.to_dict() for row in one.status],
                "warnings": list(one.warnings),
                "errors": one.errors,
            }
            for one in lines
        ]
        devices.append({"name": name or None, "lines": rows})
    stream.write(native_options.as_json("explain", {"devices": devices}))
