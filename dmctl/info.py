# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel answers of a device."""

import errno

from dmctl.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl.libdm.task import Task


class ListEntry:
    """A device in the kernel's list: name and devno (major, minor)."""

    __slots__ = ("devno", "name")

    def __init__(self, name: str, devno: tuple[int, int]):
        self.name = name
        self.devno = devno


class Info:
    """What a DM_DEV_STATUS answer says of a device (struct dm_ioctl in include/uapi/linux/dm-ioctl.h).

    open_count and target_count are -1 where the kernel was not asked. read_ahead_sectors is None where the node in
    /dev/mapper could not be opened, or was not tried.
    """

    __slots__ = ("_answer", "name", "read_ahead_sectors", "uuid")

    def __init__(self, task: "Task", *, read_ahead: bool = False):
        self._answer = task.info()
        if not self._answer.exists:
            raise NotFoundError("Device does not exist.", errno=errno.ENXIO, verb=task.verb, device=task.device)
        self.name = task.name()
        self.uuid = task.uuid()
        self.read_ahead_sectors = task.read_ahead() if read_ahead else None

    # Read when asked for: most commands over many devices ask for few of these.

    @property
    def devno(self) -> tuple[int, int]:
        return self._answer.major, self._answer.minor

    @property
    def suspended(self) -> bool:
        return bool(self._answer.suspended)

    @property
    def read_only(self) -> bool:
        return bool(self._answer.read_only)

    @property
    def deferred_remove(self) -> bool:
        return bool(self._answer.deferred_remove)

    @property
    def internal_suspend(self) -> bool:
        return bool(self._answer.internal_suspend)

    @property
    def live_table(self) -> bool:
        return bool(self._answer.live_table)

    @property
    def inactive_table(self) -> bool:
        return bool(self._answer.inactive_table)

    @property
    def open_count(self) -> int:
        return int(self._answer.open_count)

    @property
    def event_nr(self) -> int:
        return int(self._answer.event_nr)

    @property
    def target_count(self) -> int:
        return int(self._answer.target_count)
