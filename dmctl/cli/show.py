# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl show: all devices in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from dmctl import conditions
from dmctl.cli import native_options, stream
from dmctl.cli.grid import Column, is_terminal, is_utf8, write_rows
from dmctl.conditions import Condition, Value
from dmctl.errors import UsageError
from dmctl.inventory import Entry, inventory, percent
from dmctl.targets import TARGETS, Usage, arguments_class, status_class
from dmctl.units import SECTOR_BYTES, format_devno, format_size

_BAR_CELLS = 5
_DEFAULT = "name,size,target,state,on,used_by,full,warnings"


class _Field:
    """A column: its value, for --select, --sort and JSON, and how it is shown where that is not its text."""

    def __init__(
        self,
        help: str,
        value: Callable[[Entry], Value],
        show: Callable[[Entry], str | Text] | None = None,
        *,
        right: bool = False,
        cut: bool = False,
        wraps: bool = False,
    ):
        self.help = help
        self.value = value
        self.show = show or (lambda entry: _plain(value(entry)))
        self.right = right
        self.cut = cut
        self.wraps = wraps


def _plain(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ("\n" if is_terminal() else ", ").join(map(_plain, value))
    return str(value)


def _used_by(entry: Entry) -> tuple[str, ...]:
    return (*entry.mounts, *entry.above, *["[swap]"] * entry.swap)


def _fullest(entry: Entry) -> float | None:
    shares = [usage.used * 100 / usage.total for usage in entry.usages if usage.total]
    return round(max(shares), 2) if shares else None


def _bars(entry: Entry) -> str | Text:
    if not is_terminal():
        return ", ".join(f"{usage.what} {percent(usage)}" for usage in entry.usages)
    drawn = Text()
    for usage in entry.usages:
        drawn.append("\n" if drawn else "").append_text(_bar(usage))
    return drawn


def _bar(usage: Usage) -> Text:
    share = usage.used / usage.total if usage.total else 0
    cells = min(_BAR_CELLS, round(share * _BAR_CELLS))
    colour = "green" if share < 0.75 or usage.progress else "yellow" if share < 0.9 else "red"
    full, empty = ("█", "░") if is_utf8() else ("#", ".")
    bar = Text().append(full * cells, style=colour).append(empty * (_BAR_CELLS - cells), style="dim")
    return bar.append(f" {percent(usage):>4} {usage.what}")


def _state(entry: Entry) -> str | Text:
    return Text(entry.state, style="yellow" if entry.info.suspended or not entry.info.live_table else "none")


def _warnings(entry: Entry) -> str | Text:
    return Text(_plain(entry.warnings), style="red")


FIELDS: dict[str, _Field] = {
    "name": _Field("Name; VG/LV of a volume of LVM", lambda entry: entry.display_name),
    "dm_name": _Field("Name of the device", lambda entry: entry.name),
    "size": _Field(
        "Size, in bytes for --select and --sort",
        lambda entry: entry.size_sectors * SECTOR_BYTES,
        lambda entry: format_size(entry.size_sectors * SECTOR_BYTES) if entry.segments else "",
        right=True,
    ),
    "target": _Field("Targets of the table", lambda entry: entry.targets),
    "state": _Field("State", lambda entry: entry.state, _state),
    "on": _Field("What it stands on", lambda entry: entry.standing_on, cut=True),
    "used_by": _Field("Where it is mounted, and what stands on it", _used_by, cut=True),
    "mounts": _Field("Where it is mounted", lambda entry: entry.mounts),
    "above": _Field("What stands on it", lambda entry: entry.above),
    "full": _Field("How full, in percent; of several things the fullest", _fullest, _bars),
    "warnings": _Field("What is wrong, in words", lambda entry: entry.warnings, _warnings, wraps=True),
    "uuid": _Field("UUID", lambda entry: entry.info.uuid),
    "devno": _Field("Major and minor number", lambda entry: format_devno(*entry.info.devno)),
    "open": _Field("Open count", lambda entry: entry.info.open_count, right=True),
    "events": _Field("Event counter", lambda entry: entry.info.event_nr, right=True),
    "segments": _Field("Lines of the table", lambda entry: len(entry.segments), right=True),
    "suspended": _Field("Whether it is suspended", lambda entry: entry.info.suspended),
    "readonly": _Field("Whether it is read-only", lambda entry: entry.info.read_only),
}


def _field(name: str) -> _Field:
    """A field of the table above, or of a target's status or arguments: thin-pool.data_used_blocks."""
    if name in FIELDS:
        return FIELDS[name]
    target, dot, inner = name.partition(".")
    arguments, status = arguments_class(target), status_class(target)
    if not dot or arguments is None or status is None:
        raise UsageError(f"There is no field {name!r}; dmctl show -o help lists them.")
    if inner not in {**status.specs(), **arguments.specs(), "state": None}:
        raise UsageError(f"Target {target} has no field {inner!r}; dmctl show -o help lists them.")
    if (spec := {**arguments.specs(), **status.specs()}.get(inner)) and spec.secret:
        raise UsageError(f"{name} is a key, which is not shown.")

    def value(entry: Entry) -> Value:
        found = [
            _value(getattr(one, inner))
            for segment in entry.segments
            if segment.line.target == target
            for one in (segment.status, segment.arguments)
            if one is not None and (inner in one.specs() or inner == "state") and hasattr(one, inner)
        ]
        return None if not found else found[0] if len(found) == 1 else tuple(found)

    return _Field(inner, value, right=bool(spec and spec.kind == "number"))


def _value(value: Any) -> Value:
    if isinstance(value, tuple):
        return tuple(map(_value, value))
    return value if isinstance(value, str | int | float | None) else str(value)


def show(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE...]", help="Devices; without any, all.")
    ] = None,
    *,
    options: Annotated[
        str, typer.Option("-o", "--options", metavar="FIELDS", help="Columns; +FIELDS adds some; help lists them.")
    ] = _DEFAULT,
    sort: Annotated[
        str, typer.Option("--sort", "-O", metavar="FIELD", help="Sort by a field; -FIELD from the largest down.")
    ] = "",
    select: Annotated[
        str, typer.Option("--select", "-S", metavar="CONDITION", help="Only devices such as full>80 && target=thin.")
    ] = "",
    noheadings: Annotated[bool, typer.Option("--noheadings", help="No headings.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Show devices: size, target, state, what they stand on and who uses them, how full they are, what is wrong.

    Targets' own fields, of their status and arguments, are columns too: -o name,thin-pool.data_used_blocks.
    """
    if options == "help":
        _print_fields()
        return
    names = (_DEFAULT + "," + options[1:] if options.startswith("+") else options).split(",")
    columns = {name: _field(name) for name in names if name}
    wanted = conditions.parse(select, _Known()) if select else None
    key = _field(sort.lstrip("+-")) if sort else None
    entries = inventory(devices or None)
    if wanted:
        entries = [entry for entry in entries if _meets(entry, wanted)]
    if key:
        entries.sort(key=lambda entry: _sort_key(key.value(entry)), reverse=sort.startswith("-"))
    if as_json:
        _print_json(entries)
        return
    if not entries:
        stream.write("No devices found\n")
        return
    rows = [[field.show(entry) for field in columns.values()] for entry in entries]
    # A column that says the same of all, or nothing, only takes room; one that was asked for stays.
    keep = [
        place
        for place in range(len(columns))
        if options != _DEFAULT or any(str(row[place]) not in ("", "active") for row in rows)
    ]
    heads = [
        Column(name.upper(), right=field.right, wraps=field.wraps, cut=field.cut) for name, field in columns.items()
    ]
    write_rows(
        [heads[place] for place in keep], [[row[place] for place in keep] for row in rows], headings=not noheadings
    )


def _meets(entry: Entry, condition: Condition) -> bool:
    return condition(lambda name: _field(name).value(entry))


class _Known:
    """The names of all fields, for a condition."""

    def __contains__(self, name: object) -> bool:
        _field(str(name))  # which raises what there is to say
        return True


def _sort_key(value: Value) -> tuple[bool, bool, float, str]:
    """Numbers before texts, and what has no value last."""
    if isinstance(value, int | float):
        return False, False, value, ""
    return value is None, True, 0, _plain(value)


def _print_fields() -> None:
    rows = [(name, field.help) for name, field in FIELDS.items()]
    for target in TARGETS:
        for cls in (status_class(target), arguments_class(target)):
            if cls:
                specs = cls.specs().items()
                rows += [(f"{target}.{name}", spec.help.rstrip(".")) for name, spec in specs if not spec.secret]
    write_rows((Column("FIELD"), Column("MEANING", wraps=True)), rows)


def entry_object(entry: Entry) -> dict[str, Any]:
    """A device of show and tree."""
    return {
        "name": entry.name,
        "display_name": entry.display_name,
        "uuid": entry.info.uuid,
        "major": entry.info.devno[0],
        "minor": entry.info.devno[1],
        "size_bytes": entry.size_sectors * SECTOR_BYTES,
        "state": entry.state,
        "suspended": entry.info.suspended,
        "read_only": entry.info.read_only,
        "open_count": entry.info.open_count,
        "event_nr": entry.info.event_nr,
        "standing_on": [
            {"major": devno[0], "minor": devno[1], "name": name}
            for devno, name in zip(entry.deps, entry.standing_on, strict=True)
        ],
        "above": list(entry.above),
        "mounts": list(entry.mounts),
        "swap": entry.swap,
        "usages": [usage.to_dict() for usage in entry.usages],
        "warnings": list(entry.warnings),
        "lines": [segment.to_dict() for segment in entry.segments],
    }


def _print_json(entries: list[Entry]) -> None:
    devices = [entry_object(entry) for entry in entries]
    stream.write(native_options.as_json("show", {"devices": devices}))
