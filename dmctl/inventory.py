# SPDX-License-Identifier: LGPL-2.1-or-later
"""All devices at once, as people look at them: tables and status decoded, what they stand on, who uses them."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dmctl import holders
from dmctl.device import Device, Options, each_device
from dmctl.errors import DeviceError, NotFoundError
from dmctl.info import Info
from dmctl.names import Devno, best_name, lvm_name
from dmctl.table import Line
from dmctl.targets import TARGETS, Arguments, ParamsError, Status, StatusError, Usage, parse_params, parse_status

NEARLY_FULL = 0.9
"""From here on a warning says how full something is."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A line of a table and its status, decoded where dmctl knows the target and understands the text.

    line has no keys in it. errors: why something is not decoded.
    """

    line: Line
    status_text: str | None
    arguments: Arguments | None
    status: Status | None
    errors: tuple[str, ...]

    @classmethod
    def decode(cls, line: Line, status_text: str | None) -> Segment:
        """line: with its keys or without."""
        errors = []
        arguments = status = None
        line = line.hide_keys()
        if line.target in TARGETS:
            try:
                arguments = parse_params(line.target, line.params)
            except ParamsError as error:
                errors.append(str(error))
            try:
                status = parse_status(line.target, status_text) if status_text is not None else None
            except StatusError as error:
                errors.append(str(error))
        return cls(line, status_text, arguments, status, tuple(errors))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; without keys."""
        return {
            "start_sectors": self.line.start_sectors,
            "length_sectors": self.line.length_sectors,
            "target": self.line.target,
            "params": self.line.params,
            "status": self.status_text,
            "arguments": self.arguments and self.arguments.to_dict(),
            "state": self.status and self.status.to_dict(),
            "errors": list(self.errors),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A device. deps: what its tables refer to. above: names of what stands on it; mounts: where it is mounted."""

    info: Info
    segments: tuple[Segment, ...]
    deps: tuple[Devno, ...]
    above: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    swap: bool = False
    usages: tuple[Usage, ...] = ()

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def display_name(self) -> str:
        """VG/LV for a volume of LVM."""
        return lvm_name(self.info.name, self.info.uuid)

    @property
    def size_sectors(self) -> int:
        return self.segments[-1].line.end_sectors if self.segments else 0

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets of the table, each once, in order."""
        return tuple(dict.fromkeys(segment.line.target for segment in self.segments))

    @property
    def state(self) -> str:
        """In words: active, suspended or "no table", and what there is besides."""
        words = ["suspended" if self.info.suspended else "active" if self.info.live_table else "no table"]
        words += ["read-only"] * self.info.read_only
        words += ["new table loaded"] * self.info.inactive_table
        words += ["to be removed"] * self.info.deferred_remove
        return ", ".join(words)

    @property
    def standing_on(self) -> tuple[str, ...]:
        """The devices below, by the names that people know."""
        return tuple(best_name(devno) for devno in self.deps)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know, each in a few words."""
        found: list[str] = []
        for segment in self.segments:
            if segment.status:
                found += segment.status.warnings()
        for usage in self.usages:
            if usage.total and usage.used >= NEARLY_FULL * usage.total and not usage.progress:
                found.append(f"{usage.what} {percent(usage)} full")
        return tuple(dict.fromkeys(found))


def percent(usage: Usage) -> str:
    """As "43%"; 100% only where nothing is left, 0% only where nothing is used."""
    if not usage.total:
        return "-"
    share = usage.used * 100 // usage.total
    return f"{max(share, 1) if usage.used else 0}%"


def inventory(names: Iterable[str] | None = None, *, options: Options | None = None) -> list[Entry]:
    """All devices in the kernel's order, or those named. NotFoundError for a named one that is not there.

    The status is read without flushing what is under way.
    """
    options = options or Options()
    options.no_flush = True
    wanted = None if names is None else list(names)
    mounts, swaps = holders.mounts(), holders.swaps()
    found = []
    for name in [entry.name for entry in each_device(options)] if wanted is None else wanted:
        try:
            found.append(_entry(Device(name, options=options), mounts, swaps))
        except DeviceError as error:
            if error.errno != errno.ENXIO:
                raise
            if wanted is not None:
                raise NotFoundError(f"There is no device {name!r}.", errno=error.errno, device=name) from None
            # Removed since the kernel was asked for the list.
    return found


def _entry(device: Device, mounts: dict[Devno, list[holders.Mount]], swaps: dict[Devno, holders.Swap]) -> Entry:
    lines, info = device.table()
    told = {line.start_sectors: line.params for line in device.status()[0]}
    segments = tuple(Segment.decode(line, told.get(line.start_sectors)) for line in lines)
    deps = tuple(device.deps()[0])
    usages = [usage for segment in segments if segment.status for usage in segment.status.usages()]
    return Entry(
        info,
        segments,
        deps,
        tuple(holder.name for holder in holders.above(info.devno)),
        tuple(mount.point for mount in mounts.get(info.devno, ())),
        info.devno in swaps,
        tuple(usages),
    )
