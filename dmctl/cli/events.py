# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl events: what happens to devices, a line each."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from dmctl import conditions
from dmctl.cli import native_options, signals, stream
from dmctl.cli.hooks import Hooks
from dmctl.conditions import Condition, Value
from dmctl.device import Device
from dmctl.errors import ExitStatus, NotFoundError, UsageError
from dmctl.events import Event, Filter, Known, Watcher, segments_of
from dmctl.units import format_devno

# What --until knows of every device.
_GENERAL = ("name", "uuid", "suspended", "inactive_table", "event_nr")
_UNTIL_S = 1.0


def events(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE...]", help="Devices that there are; without any, all.")
    ] = None,
    *,
    patterns: Annotated[
        list[str] | None, typer.Option("--name", metavar="PATTERN", help="Devices of such names, such as vg0-*.")
    ] = None,
    uuids: Annotated[
        list[str] | None, typer.Option("--uuid", metavar="PATTERN", help="Devices of such uuids, such as LVM-*.")
    ] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", metavar="TARGET", help="Devices with this target in their table.")
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Events of this type; --type help lists them.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", metavar="N", min=1, help="End after so many events.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End after one event, as --count 1 does.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="End then, with exit status 124.")
    ] = None,
    since: Annotated[
        int | None,
        typer.Option("--since-counter", metavar="N", min=0, help="Tell at once where the event counter is not N."),
    ] = None,
    until: Annotated[
        str, typer.Option("--until", metavar="CONDITION", help="End when this holds for DEVICE: hydrated==total.")
    ] = "",
    poll: Annotated[
        float | None,
        typer.Option("--poll", metavar="SECONDS", min=0.1, help="Look so often at what raises no event."),
    ] = None,
    command: Annotated[
        str | None, typer.Option("--exec", metavar="COMMAND", help="Run this at each event, without a shell.")
    ] = None,
    shell: Annotated[bool, typer.Option("--shell", help="Run the command of --exec in a shell.")] = False,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Run at most so many at once.")] = 4,
    as_json: native_options.AsJson = False,
) -> None:
    """Tell what happens to devices: they come, go, are renamed, suspended, resumed, get a table; their targets' events.

    A line is an event; with --json it is an object. Options of one kind add up, those of different kinds all must fit.
    It ends with status 0 after --count events or when --until holds, with 124 after --timeout, and with 1 where a
    command of --exec has failed.
    """
    if types == ["help"]:
        _print_types()
        return
    if until and len(devices or ()) != 1:
        raise UsageError("--until needs one DEVICE that the condition is about.")
    if shell and command is None:
        raise UsageError("--shell needs a command of --exec.")
    wanted = Filter(
        tuple(map(_name, devices or ())),
        tuple(patterns or ()),
        tuple(uuids or ()),
        tuple(targets or ()),
        tuple(types or ()),
    )
    hooks = Hooks(command, shell=shell, jobs=jobs) if command is not None else None
    count = 1 if once else count
    end = None if timeout is None else time.monotonic() + timeout
    with signals.Raised(), Watcher(wanted, poll_s=poll, since_event_nr=since) as watcher:
        goal = _Goal(until, watcher, poll or _UNTIL_S) if until else None
        status = _watch(watcher, goal, hooks, count=count, end=end, as_json=as_json)
    if hooks is not None and hooks.finish() and status == ExitStatus.DONE:
        status = ExitStatus.FAILED
    raise typer.Exit(status)


def _watch(
    watcher: Watcher, goal: _Goal | None, hooks: Hooks | None, *, count: int | None, end: float | None, as_json: bool
) -> int:
    told = 0
    while True:
        if goal is not None and goal.is_met():
            return ExitStatus.DONE
        left = None if end is None else end - time.monotonic()
        if left is not None and left <= 0:
            return ExitStatus.TIMEOUT
        waits = [one for one in (left, goal.interval_s if goal else None) if one is not None]
        for event in watcher.wait(min(waits) if waits else None):
            stream.write(json.dumps(event.to_dict()) + "\n" if as_json else _line(event))
            if hooks is not None:
                hooks.start(event)
            told += 1
            if told == count:
                stream.flush()
                return ExitStatus.DONE
        if stream.flush() is not None:  # nobody reads it any more
            return ExitStatus.FAILED


def _name(device: str) -> str:
    """Of a device by its name or node. Raises NotFoundError."""
    try:
        return Device(device).info().name
    except NotFoundError as error:
        raise NotFoundError(f"There is no device {device!r}.", errno=error.errno, device=device) from None


def _line(event: Event) -> str:
    told = event.local_time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if event.type == "overflow":
        return f"{told} events were lost: more came than could be held; all devices are compared anew\n"
    return f"{told} {event.name or format_devno(*event.devno)}: {_what(event)}\n"


def _what(event: Event) -> str:
    facts = event.facts
    match event.type:
        case "added" | "removed" | "suspended" | "cleared":
            words = event.type if event.name else f"{event.type}, its name is not known"
        case "renamed":
            was_named = f"was {facts['old_name']}" if facts["old_name"] != event.name else f"its uuid is {event.uuid}"
            words = f"renamed, {was_named}"
        case "loaded":
            words = "a new table is loaded"
        case "resumed":
            words = "resumed" if facts["suspension_seen"] else "suspended and resumed"
        case "table":
            words = f"new table: {_targets(event)}" if facts["table"] else "new table"
        case "event":
            words = f"event {facts['old_event_nr']} -> {facts['event_nr']}{_changes(facts)}"
        case "corrupted":
            words = f"corrupted {facts['block_type']} block {facts['block']}"
        case "path-failed" | "path-reinstated":
            words = f"path {facts['path']} {event.type.removeprefix('path-')}, {facts['valid_paths']} paths in use"
        case "status":
            words = f"status{_changes(facts)}"
        case _:
            words = event.type
    return words


def _targets(event: Event) -> str:
    return ", ".join(event.targets)


def _changes(facts: dict[str, Any]) -> str:
    shown = [f"{one['field']} {_value(one['old'])} -> {_value(one['new'])}" for one in facts["changes"]]
    return ": " + ", ".join(shown) if shown else ""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def _print_types() -> None:
    from dmctl.cli.grid import Column, write_rows
    from dmctl.events import TYPES

    write_rows((Column("TYPE"), Column("MEANING", wraps=True)), list(TYPES.items()))


class _Goal:
    """A condition on one device. Its fields are those of the status; short names do: hydrated for hydrated_regions.

    interval_s: how often to look whether it holds; not all that it can be about raises an event.
    """

    def __init__(self, condition: str, watcher: Watcher, interval_s: float):
        self.interval_s = interval_s
        self._watcher = watcher
        self._known = next((one for one in watcher.known.values() if watcher.follows(one)), None)
        self._holds: Condition | None = None
        if self._known is not None:
            names = _Names(self._known)
            self._holds = conditions.parse(condition, names, between=names)

    def is_met(self) -> bool:
        """Whether it holds now. Raises NotFoundError when the device has gone."""
        known = self._known and self._watcher.known.get(self._known.devno)
        if known is None or self._holds is None:
            raise NotFoundError("The device was removed before the condition held.")
        return self._holds(_Names(known).value)


class _Names:
    """The fields of a device, as a condition names them."""

    def __init__(self, known: Known):
        self._values: dict[str, list[Any]] = {name: [getattr(known, name, None)] for name in _GENERAL}
        self._values["target"] = list(known.targets)
        for segment in segments_of(known.devno):
            for field, value in (segment.status.to_dict() if segment.status else {}).items():
                short = field.rpartition("_")[0]
                for name in (field, short, f"{segment.line.target}.{field}"):
                    if name and name not in (*_GENERAL, "target"):
                        self._values.setdefault(name, []).append(value)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def value(self, name: str) -> Value:
        """Of a field; None where the status does not tell it now."""
        found = self._values.get(name, [None])
        return found[0] if len(found) == 1 else tuple(found)
