# SPDX-License-Identifier: LGPL-2.1-or-later
"""Uevents, event counters and looks made one stream of events."""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyudev

from dmctl.control import KernelLog
from dmctl.errors import DmctlError
from dmctl.event_poll import EventPoll, Listed, State
from dmctl.events.model import Event, Filter, Known, changes_between, segments_of
from dmctl.names import Devno, unmangled

# What only polling shows. Of other targets it is told by an event, or it changes all the time.
_POLLED = {
    "clone": ("hydrated_regions", "no_hydration", "mode", "state"),
    "integrity": ("mismatches", "recalculated_sectors", "state"),
    "mirror": ("in_sync_regions", "state"),
    "raid": ("done_sectors", "health", "sync_action", "mismatches_sectors", "state"),
    "snapshot-merge": ("used_sectors", "condition", "state"),
}
_PATH_TYPES = {"PATH_FAILED": "path-failed", "PATH_REINSTATED": "path-reinstated"}
_VERITY_BLOCKS = {"0": "data", "1": "hash"}
# Properties of a uevent that is not about a table or a name.
_OTHER_REASONS = ("SYNTH_UUID", "DISK_RO", "DISK_MEDIA_CHANGE", "DISK_EJECT_REQUEST")
# drivers/md/dm-clone-target.c: all that the kernel tells of it, at most ten times in five seconds.
_HYDRATION_FAILED = re.compile(r"clone: (\d+):(\d+): hydration failed")
_LOOK_S = 1.0
_LOOK_SHARE = 1000  # of the time, what a look may take


@dataclass(frozen=True, slots=True)
class _Uevent:
    action: str
    devno: Devno
    sequence: int | None
    properties: dict[str, str]


class Watcher:
    """Watches all devices from its making until it is closed. Made and used in one thread; close() is for any.

    For a loop of one's own, asyncio's for instance, there are fileno(), which is readable when read() has something to
    read, and timeout_s(), after which read() wants to be called at the latest.

    wanted: the events to tell. poll_s: look so often at what no event tells (see TYPES); None for never.
    since_event_nr: an event is told at the start of each wanted device whose counter is another.
    receive_buffer_bytes: what the kernel may hold for us.
    Raises DmctlError where the kernel cannot be asked.
    """

    def __init__(
        self,
        wanted: Filter | None = None,
        *,
        poll_s: float | None = None,
        since_event_nr: int | None = None,
        receive_buffer_bytes: int = 32 << 20,
    ):
        self.known: dict[Devno, Known] = {}
        self._wanted = wanted or Filter()
        self._followed: set[Devno] = set()
        self._poll_s = poll_s
        self._events: list[Event] = []
        self._failing: set[Devno] = set()  # clones that have failed to copy since they last got on
        self._stalled: set[Devno] = set()  # those of them that were told of
        self._look_at = self._poll_at = time.monotonic()
        with ExitStack() as held:
            self._control = held.enter_context(EventPoll())
            self._log = held.enter_context(KernelLog())
            self._closed = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            held.callback(os.close, self._closed)
            self._monitor = _monitor(receive_buffer_bytes)
            self._socket = held.enter_context(socket.socket(fileno=os.dup(self._monitor.fileno())))
            self._epoll = held.enter_context(select.epoll())
            for descriptor in (self._control, self._monitor, self._closed):
                self._epoll.register(descriptor, select.EPOLLIN)
            self._control.arm()
            self._begin(since_event_nr)
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def __iter__(self) -> Iterator[Event]:
        """Events as they come, until close()."""
        while not self.is_closed:
            yield from self.wait()

    @property
    def is_closed(self) -> bool:
        """Whether close() was called."""
        return self._epoll.closed or any(descriptor == self._closed for descriptor, _ in self._epoll.poll(0))

    def close(self) -> None:
        """End the iteration, from another thread too. What is held is given back at the end of the `with`."""
        if not self._epoll.closed:
            os.eventfd_write(self._closed, 1)

    def fileno(self) -> int:
        """Readable when there is something to read, and when it is closed."""
        return self._epoll.fileno()

    def timeout_s(self) -> float:
        """In how many seconds read() looks for what nobody tells."""
        due = self._look_at if self._poll_s is None else min(self._look_at, self._poll_at)
        return max(0.0, due - time.monotonic())

    def wait(self, seconds: float | None = None) -> list[Event]:
        """The next events, in their order; none where there are none in so many seconds, or it was closed."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.is_closed:
            if found := self.read():
                return found
            left = self.timeout_s() if end is None else min(self.timeout_s(), end - time.monotonic())
            if end is not None and time.monotonic() >= end:
                break
            self._epoll.poll(max(left, 0))
        return []

    def read(self) -> list[Event]:
        """What has happened since the last call, without waiting."""
        ready = {descriptor for descriptor, _ in self._epoll.poll(0)}
        now = time.monotonic()
        looks = now >= self._look_at
        if looks or ready & {self._control.fileno(), self._monitor.fileno()}:
            self._catch_up()
        if looks:
            self._look()
            took = time.monotonic() - now
            self._look_at = now + max(_LOOK_S, took * _LOOK_SHARE)
        if self._poll_s is not None and now >= self._poll_at:
            self._poll()
            self._poll_at = now + self._poll_s
        found, self._events = self._events, []
        return found

    def follows(self, known: Known) -> bool:
        """Whether events of this device are wanted."""
        return known.devno in self._followed or self._wanted.has_device(known.name, known.uuid, known.targets)

    # Listing before reading the uevents makes the order certain: what the list does not have any more has raised its
    # uevents before, so that they are among those read; and a device that the uevents speak of is left to them.

    def _begin(self, since_event_nr: int | None) -> None:
        for listed in self._control.devices():
            if (known := self._learn(listed.devno)) is not None:
                self.known[listed.devno] = known
                if self.follows(known):
                    self._followed.update([known.devno] if self._wanted.names else [])
                    if since_event_nr is not None and known.event_nr != since_event_nr:
                        facts = {"old_event_nr": since_event_nr, "event_nr": known.event_nr, "changes": []}
                        self._tell("event", known, facts)
        self._look_at = time.monotonic() + _LOOK_S
        self._poll_at = time.monotonic() + (self._poll_s or 0.0)

    def _catch_up(self) -> None:
        self._control.arm()
        listed = {one.devno: one for one in self._control.devices()}
        uevents, overflowed = self._drain()
        if overflowed:
            if self._wanted.has_type("overflow"):
                self._events.append(Event("overflow", time.time(), "", "", (0, 0)))
            self._resync()
            return
        changed: dict[Devno, None] = {}  # in their order
        touched = set()
        for uevent in uevents:
            touched.add(uevent.devno)
            if uevent.action == "add":
                self._came(uevent)
            elif uevent.action == "remove":
                self._went(uevent)
                changed.pop(uevent.devno, None)
            elif uevent.action == "change" and self._is_of_table_or_name(uevent):
                changed[uevent.devno] = None
        for devno in changed:
            self._changed(self.known[devno])
        self._compare(listed, touched)
        for devno in touched & self.known.keys():  # the list may be of before
            known, state = self.known[devno], self._control.state(devno)
            if state is not None and state.event_nr != known.event_nr and _sequence(devno) == known.sequence:
                self._moved(known, state.event_nr)

    def _drain(self) -> tuple[list[_Uevent], bool]:
        found: list[_Uevent] = []
        overflowed = False
        while True:
            try:
                device = self._monitor.poll(0)
            except OSError:  # pyudev does not tell which; the kernel does, and forgets it
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number not in (0, errno.ENOBUFS):
                    raise DmctlError(
                        f"The kernel's uevents cannot be read: {os.strerror(number)}.", errno=number
                    ) from None
                overflowed = True
                continue
            if device is None:
                return found, overflowed
            if device.sys_name.startswith("dm-") and device.action:
                properties = dict(device.properties)
                sequence = properties.get("DISKSEQ")
                devno = int(properties.get("MAJOR", 0)), int(properties.get("MINOR", 0))
                found.append(_Uevent(device.action, devno, int(sequence) if sequence else None, properties))

    def _came(self, uevent: _Uevent) -> None:
        known = self.known.get(uevent.devno)
        if known is not None and known.sequence in (None, uevent.sequence):
            known.sequence = uevent.sequence  # it was there before it had a table
            return
        if known is not None:
            self._forget(known)
        known = self._learn(uevent.devno)
        if known is None or (uevent.sequence is not None and known.sequence != uevent.sequence):
            known = Known("", "", uevent.devno, uevent.sequence)  # it has gone, and there may be another one
        self._greet(known)

    def _went(self, uevent: _Uevent) -> None:
        # The kernel tells it twice; the second time it is not known any more.
        known = self.known.get(uevent.devno)
        if known is not None and (uevent.sequence is None or known.sequence == uevent.sequence):
            self._forget(known)

    def _is_of_table_or_name(self, uevent: _Uevent) -> bool:
        """Whether that is what has changed; other changes are told here."""
        known = self.known.get(uevent.devno)
        if known is None or (uevent.sequence is not None and known.sequence not in (None, uevent.sequence)):
            return False
        told = uevent.properties
        if "DM_VERITY_ERR_BLOCK_NR" in told:
            kind, _, block = told["DM_VERITY_ERR_BLOCK_NR"].partition(",")
            self._tell("corrupted", known, {"block_type": _VERITY_BLOCKS.get(kind, kind), "block": int(block)})
        elif told.get("DM_ACTION") in _PATH_TYPES:
            paths = {"path": told.get("DM_PATH", ""), "valid_paths": int(told.get("DM_NR_VALID_PATHS", 0))}
            self._tell(_PATH_TYPES[told["DM_ACTION"]], known, paths)
        else:
            return not any(reason in told for reason in _OTHER_REASONS)
        return False

    def _changed(self, known: Known) -> None:
        """After a uevent of a rename, or of the end of a suspend, perhaps with another table."""
        now = self._learn(known.devno)
        if now is None or now.sequence != known.sequence:
            return
        differs = self._tell_difference(known, now)
        if not now.suspended and (known.suspended or not differs):
            self._tell("resumed", now, {"suspension_seen": known.suspended})
        # What has moved the counter is told elsewhere; a rename moves it by one (dm_hash_rename()).
        renamed = (now.name, now.uuid) != (known.name, known.uuid)
        now.event_nr = min(now.event_nr, known.event_nr + renamed)
        self.known[known.devno] = now

    def _tell_difference(self, known: Known, now: Known) -> bool:
        """Of name and table; whether there is one."""
        renamed = (now.name, now.uuid) != (known.name, known.uuid)
        if renamed:
            self._tell("renamed", now, {"old_name": known.name, "old_uuid": known.uuid})
        if now.table != known.table:
            self._tell("table", now, {"old_table": known.table, "table": now.table})
        return renamed or now.table != known.table

    def _compare(self, listed: dict[Devno, Listed], touched: set[Devno]) -> None:
        """What the list tells of devices that no uevent has told of."""
        for devno, one in listed.items():
            if devno in touched:
                continue
            known = self.known.get(devno)
            if known is None:
                if (now := self._learn(devno)) is not None:
                    self._greet(now)
                continue
            known.missing = False
            if known.sequence is None and unmangled(one.name) != known.name:  # one with a table raises a uevent
                self._changed(known)
            if one.event_nr != known.event_nr:
                self._moved(known, one.event_nr)
        for devno in [devno for devno in self.known if devno not in listed and devno not in touched]:
            # One with a table raises a uevent soon; where uevents do not come, as in some containers, it is missed.
            if self.known[devno].sequence is None or self.known[devno].missing:
                self._forget(self.known[devno])
            else:
                self.known[devno].missing = True

    def _moved(self, known: Known, event_nr: int) -> None:
        old, known.event_nr = known.event_nr, event_nr
        segments = segments_of(known.devno)
        changes = list(changes_between(known.segments, segments))
        known.segments = segments or known.segments
        self._tell("event", known, {"old_event_nr": old, "event_nr": event_nr, "changes": changes})

    def _look(self) -> None:
        """For what nobody tells of."""
        for known in [*self.known.values()]:
            state = self._control.state(known.devno)
            if state is None:
                continue
            resumed = known.suspended and not state.suspended and known.sequence is not None
            if unmangled(state.name) == known.name and not resumed:  # else a uevent is under way
                self._tell_state(known, state)

    def _tell_state(self, known: Known, now: State | Known) -> None:
        """Of what no uevent tells; known knows it then."""
        if now.suspended != known.suspended:
            known.suspended = now.suspended
            self._tell(*("suspended", known) if now.suspended else ("resumed", known, {"suspension_seen": True}))
        if now.inactive_table != known.inactive_table:
            known.inactive_table = now.inactive_table
            self._tell("loaded" if now.inactive_table else "cleared", known)

    def _poll(self) -> None:
        for line in self._log.lines():
            if match := _HYDRATION_FAILED.match(line):
                self._failing.add((int(match[1]), int(match[2])))
        for known in [*self.known.values()]:
            if not self.follows(known) or not any(target in _POLLED for target in known.targets):
                continue
            segments = segments_of(known.devno)
            changes = [
                change
                for change in changes_between(known.segments, segments)
                if change["field"] in _POLLED.get(change["target"], ())
            ]
            known.segments = segments or known.segments
            if changes:
                self._failing.discard(known.devno)
                self._stalled.discard(known.devno)
                self._tell("status", known, {"changes": changes})
            elif known.devno in self._failing - self._stalled:
                self._stalled.add(known.devno)
                self._tell("stalled", known)

    def _resync(self) -> None:
        """Compare all devices with what is known of them."""
        there = {one.devno: self._learn(one.devno) for one in self._control.devices()}
        for known in [*self.known.values()]:
            now = there.get(known.devno)
            if now is None or now.sequence != known.sequence:
                self._forget(known)
        for now in filter(None, there.values()):
            before = self.known.get(now.devno)
            if before is None:
                self._tell("added", now)
            else:
                self._tell_difference(before, now)
                renamed = (now.name, now.uuid) != (before.name, before.uuid)
                if now.event_nr != before.event_nr + renamed:
                    before.name, before.uuid = now.name, now.uuid
                    self._moved(before, now.event_nr)
                self._tell_state(before, now)
            self.known[now.devno] = now

    def _learn(self, devno: Devno) -> Known | None:
        """The device of this number as it is now, None where there is none."""
        sequence = _sequence(devno)
        state = self._control.state(devno)
        if state is None:
            return None
        segments = segments_of(devno)
        lines = segments or (segments_of(devno, inactive=True) if state.inactive_table else ())
        if _sequence(devno) != sequence:
            return self._learn(devno)
        return Known(
            unmangled(state.name),
            unmangled(state.uuid),
            devno,
            sequence,
            state.event_nr,
            state.suspended,
            state.inactive_table,
            segments,
            tuple(dict.fromkeys(segment.line.target for segment in lines)),
        )

    def _greet(self, known: Known) -> None:
        self.known[known.devno] = known
        self._tell("added", known)
        known.segments = ()  # the uevent of its table becoming live is still to come

    def _forget(self, known: Known) -> None:
        del self.known[known.devno]
        self._failing.discard(known.devno)
        self._stalled.discard(known.devno)
        self._tell("removed", known)
        self._followed.discard(known.devno)

    def _tell(self, kind: str, known: Known, facts: dict[str, Any] | None = None) -> None:
        facts = facts or {}
        wanted = self.follows(known) or (  # one that was asked for by a name that it has no more
            kind == "renamed" and self._wanted.has_device(facts["old_name"], facts["old_uuid"], known.targets)
        )
        if wanted and self._wanted.has_type(kind):
            self._events.append(Event(kind, time.time(), known.name, known.uuid, known.devno, known.targets, facts))


def _monitor(receive_buffer_bytes: int) -> Any:
    """Uevents from the kernel itself: udevd's come later, and not where there is no udevd."""
    monitor = pyudev.Monitor.from_netlink(pyudev.Context(), "kernel")
    monitor.filter_by("block")
    try:
        monitor.set_receive_buffer_size(receive_buffer_bytes)
    except OSError:  # not as root: what the system allows to all must do
        pass
    try:
        monitor.start()
    except OSError as error:
        raise DmctlError(
            f"The kernel's uevents cannot be received: {error.strerror}.", errno=error.errno or 0
        ) from None
    return monitor


def _sequence(devno: Devno) -> int | None:
    try:
        with open(f"/sys/dev/block/{devno[0]}:{devno[1]}/diskseq", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return None
