# SPDX-License-Identifier: LGPL-2.1-or-later
"""The next event of any device, and the state of many devices fast: ioctls that libdevmapper does not give."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dmctl.control import open_control


@dataclass(frozen=True, slots=True)
class Listed:
    """A device in the kernel's list; name as the kernel has it, mangled by libdevmapper."""

    name: str
    devno: tuple[int, int]
    event_nr: int


@dataclass(frozen=True, slots=True)
class State(Listed):
    """What the kernel tells of one device; uuid as the name is."""

    uuid: str
    suspended: bool
    inactive_table: bool


class EventPoll:
    """Waits for the next event of any device (DM_DEV_ARM_POLL, dm ioctl 4.37, Linux 4.13). Enter raises DmctlError.

    arm(), look at the devices, wait(): an event after the arm() ends the wait, so that none is missed. Events are those
    of targets, and devices that are made, renamed and removed, and tables that become live; not a suspend or its end.
    """

    # _IOWR(DM_IOCTL, number of the command, struct dm_ioctl)
    _ARM_POLL, _LIST_DEVICES, _DEV_STATUS = 0xC138FD10, 0xC138FD02, 0xC138FD07
    _REQUEST_BYTES = 312  # struct dm_ioctl
    _SUSPENDED, _INACTIVE, _BUFFER_FULL = 1 << 1, 1 << 6, 1 << 8

    def __init__(self) -> None:
        self._list_bytes = 16384

    def __enter__(self) -> Self:
        self._descriptor = open_control()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for a poll of one's own: readable from an event on."""
        return self._descriptor

    def arm(self) -> None:
        """What has happened until now is known."""
        self._ask(self._ARM_POLL, self._REQUEST_BYTES)

    def wait(self, seconds: float) -> bool:
        """Until the next event, or so long; whether there was one."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))

    def devices(self) -> list[Listed]:
        """All devices with their event counters: struct dm_name_list (include/uapi/linux/dm-ioctl.h)."""
        while True:
            answer = self._ask(self._LIST_DEVICES, self._list_bytes)
            at, flags = struct.unpack_from("=I8xI", answer, 16)  # data_start, flags
            if not flags & self._BUFFER_FULL:
                break
            self._list_bytes *= 2
        found = []
        following = 1
        while following:
            number, following = struct.unpack_from("=QI", answer, at)
            if not number:
                break
            end = answer.index(0, at + 12)
            (event_nr,) = struct.unpack_from("=I", answer, (end + 8) & ~7)
            found.append(Listed(os.fsdecode(bytes(answer[at + 12 : end])), _devno(number), event_nr))
            at += following
        return found

    def state(self, devno: tuple[int, int]) -> State | None:
        """What the kernel tells of one device, None where there is none of that number."""
        try:
            answer = self._ask(self._DEV_STATUS, self._REQUEST_BYTES, os.makedev(*devno))
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENODEV):
                return None
            raise
        flags, event_nr = struct.unpack_from("=2I", answer, 28)
        name, uuid = (os.fsdecode(bytes(answer[at : answer.index(0, at)])) for at in (48, 176))
        return State(
            name,
            devno,
            event_nr,
            uuid=uuid,
            suspended=bool(flags & self._SUSPENDED),
            inactive_table=bool(flags & self._INACTIVE),
        )

    def _ask(self, command: int, size_bytes: int, number: int = 0) -> bytearray:
        # Version 4.0.0, the size, and where data would begin.
        answer = bytearray(size_bytes)
        struct.pack_into("=5I20xQ", answer, 0, 4, 0, 0, size_bytes, self._REQUEST_BYTES, number)
        fcntl.ioctl(self._descriptor, command, answer)
        return answer


def _devno(number: int) -> tuple[int, int]:
    return os.major(number), os.minor(number)
