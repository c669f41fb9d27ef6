# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an event is, which are wanted, and what a device is known to be."""

from __future__ import annotations

import datetime
import errno
import fnmatch
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dmctl.device import Device, Options
from dmctl.errors import DeviceError, UsageError
from dmctl.inventory import Segment
from dmctl.names import Devno

TYPES = {
    "added": "A device has come.",
    "removed": "A device has gone.",
    "renamed": "A device has another name or uuid.",
    "loaded": "A new table is loaded, but not yet live.",
    "cleared": "A table that was loaded is dropped.",
    "suspended": "I/O is held back.",
    "resumed": "I/O goes on.",
    "table": "Another table has become live.",
    "event": "The event counter has moved: the target has something to tell.",
    "corrupted": "Verity has met a block that does not have its hash.",
    "path-failed": "A path of multipath has failed.",
    "path-reinstated": "A path of multipath is in use again.",
    "status": "With polling: what a target says has changed, without an event.",
    "stalled": "With polling: a clone fails to copy, and gets nowhere.",
    "overflow": "More happened than the kernel could hold for us; all devices are compared anew.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened.

    type: of TYPES. time: seconds since the epoch, when dmctl was told. name, uuid: "" where the device had gone before
    it could be asked. targets: of its table. facts: by the type,
      renamed: old_name, old_uuid;  table: old_table, table (lines as texts);  resumed: suspension_seen;
      event: old_event_nr, event_nr, changes;  status: changes;  corrupted: block_type ("data" or "hash"),
      block;  path-failed, path-reinstated: path (major:minor), valid_paths.
    Of a change: start_sectors and target of the line, field, old and new value; where dmctl cannot read a status, field
    is "status", and the values are texts.
    """

    type: str
    time: float
    name: str
    uuid: str
    devno: Devno
    targets: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def local_time(self) -> datetime.datetime:
        """When it was, in the zone of the system."""
        return datetime.datetime.fromtimestamp(self.time).astimezone()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, the time with its zone."""
        return {
            "time": self.local_time.isoformat(),
            "type": self.type,
            "name": self.name,
            "uuid": self.uuid,
            "major": self.devno[0],
            "minor": self.devno[1],
            "targets": list(self.targets),
            **self.facts,
        }


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted; of each kind, no word is all.

    names: of devices, as they are. patterns, uuids: shell patterns. targets: one of them is in the table.
    types: of TYPES. An "overflow" is about no device, and wanted whatever the devices.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for wanted in self.types:
            if wanted not in TYPES:
                raise UsageError(f"There is no type of event {wanted!r}; there are {', '.join(TYPES)}.")

    def has_device(self, name: str, uuid: str, targets: Iterable[str]) -> bool:
        """Whether events of such a device are wanted."""
        return (
            (not self.names or name in self.names)
            and (not self.patterns or any(fnmatch.fnmatchcase(name, one) for one in self.patterns))
            and (not self.uuids or any(fnmatch.fnmatchcase(uuid, one) for one in self.uuids))
            and (not self.targets or not set(self.targets).isdisjoint(targets))
        )

    def has_type(self, kind: str) -> bool:
        """Whether events of this type are wanted."""
        return not self.types or kind in self.types


@dataclass(slots=True)
class Known:
    """A device as it was when last looked at.

    sequence: the kernel's number of the disk (Linux 5.15), which tells two devices of one number apart; None for a
    device without a table, and on an older kernel. segments: live table and status. targets: of the live table, or
    where there is none of the one that is loaded.
    """

    name: str
    uuid: str
    devno: Devno
    sequence: int | None = None
    event_nr: int = 0
    suspended: bool = False
    inactive_table: bool = False
    segments: tuple[Segment, ...] = ()
    targets: tuple[str, ...] = ()
    missing: bool = False

    @property
    def table(self) -> list[str]:
        """The lines of the table as texts, without keys."""
        return [segment.line.format().rstrip() for segment in self.segments]


def segments_of(devno: Devno, *, inactive: bool = False) -> tuple[Segment, ...]:
    """Table and status, () where the device has gone. The status is read without flushing what is under way."""
    device = Device(devno=devno, options=Options(no_flush=True, no_open_count=True, inactive=inactive))
    try:
        lines = device.table()[0]
        told = {line.start_sectors: line.params for line in device.status()[0]}
    except DeviceError as error:
        if error.errno != errno.ENXIO:
            raise
        return ()
    return tuple(Segment.decode(line, told.get(line.start_sectors)) for line in lines)


def changes_between(before: Iterable[Segment], after: Iterable[Segment]) -> Iterator[dict[str, Any]]:
    """What differs in the status of lines that are in both."""
    then = {(segment.line.start_sectors, segment.line.target): segment for segment in before}
    for segment in after:
        place = segment.line.start_sectors, segment.line.target
        old = then.get(place)
        if old is None or old.status_text == segment.status_text:
            continue
        head = {"start_sectors": place[0], "target": place[1]}
        if old.status is None or segment.status is None:
            yield {**head, "field": "status", "old": old.status_text, "new": segment.status_text}
            continue
        values, now = old.status.to_dict(), segment.status.to_dict()
        for name in now:
            if now[name] != values.get(name):
                yield {**head, "field": name, "old": values.get(name), "new": now[name]}
