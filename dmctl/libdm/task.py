# SPDX-License-Identifier: LGPL-2.1-or-later
"""One device-mapper request: libdevmapper's dm_task."""

import os

from dmctl._libdm import ffi, lib
from dmctl.control import KernelLog
from dmctl.errors import DeviceError
from dmctl.libdm import LEVEL_DEBUG, State, check, drain_log, errno_in, log, to_bytes, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Self

CREATE = lib.DM_DEVICE_CREATE
RELOAD = lib.DM_DEVICE_RELOAD
REMOVE = lib.DM_DEVICE_REMOVE
REMOVE_ALL = lib.DM_DEVICE_REMOVE_ALL
SUSPEND = lib.DM_DEVICE_SUSPEND
RESUME = lib.DM_DEVICE_RESUME
INFO = lib.DM_DEVICE_INFO
DEPS = lib.DM_DEVICE_DEPS
RENAME = lib.DM_DEVICE_RENAME
STATUS = lib.DM_DEVICE_STATUS
TABLE = lib.DM_DEVICE_TABLE
WAIT_EVENT = lib.DM_DEVICE_WAITEVENT
LIST = lib.DM_DEVICE_LIST
CLEAR = lib.DM_DEVICE_CLEAR
LIST_VERSIONS = lib.DM_DEVICE_LIST_VERSIONS
TARGET_MESSAGE = lib.DM_DEVICE_TARGET_MSG
SET_GEOMETRY = lib.DM_DEVICE_SET_GEOMETRY
ARM_POLL = lib.DM_DEVICE_ARM_POLL
TARGET_VERSION = lib.DM_DEVICE_GET_TARGET_VERSION


READ_AHEAD_AUTO: int = lib.DM_READ_AHEAD_AUTO
READ_AHEAD_NONE: int = lib.DM_READ_AHEAD_NONE
READ_AHEAD_MINIMUM: int = lib.DM_READ_AHEAD_MINIMUM_FLAG
ADD_NODE_ON_RESUME, ADD_NODE_ON_CREATE = 0, 1

# A type by its name is looked up each time.
_INFO, _NAMES, _BYTES = (ffi.typeof(name) for name in ("struct dm_info *", "struct dm_names *", "char *"))
_TWO_NUMBERS, _TWO_TEXTS = ffi.typeof("uint64_t[2]"), ffi.typeof("char *[2]")

# The words of libdevmapper's "device-mapper: <verb> ioctl on …" lines.
_VERBS = {
    CREATE: "create",
    RELOAD: "reload",
    REMOVE: "remove",
    REMOVE_ALL: "remove_all",
    SUSPEND: "suspend",
    RESUME: "resume",
    INFO: "info",
    DEPS: "deps",
    RENAME: "rename",
    STATUS: "status",
    TABLE: "table",
    WAIT_EVENT: "waitevent",
    LIST: "names",
    CLEAR: "clear",
    LIST_VERSIONS: "versions",
    TARGET_MESSAGE: "message",
    SET_GEOMETRY: "setgeometry",
    ARM_POLL: "armpoll",
    TARGET_VERSION: "target-version",
}


def _check(succeeded: "Any") -> None:
    """check(), but what was logged without a failure comes out with the lines of the request itself."""
    if not succeeded:
        check(0)


class Task:
    """One device-mapper request: made, given its arguments, run, read. Setters are libdevmapper's dm_task_*.

    device: its name, uuid or major:minor, whichever was set, for messages.
    Every setter and run() raise DeviceError. Use it in a `with`: the memory behind it is freed at the end.
    """

    __slots__ = ("_task", "device", "kind")

    def __init__(self, kind: int):
        self.kind = kind
        self.device = ""
        self._task = lib.dm_task_create(kind)
        _check(self._task)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the task and all that was read from it."""
        if self._task:
            lib.dm_task_destroy(self._task)
            self._task = ffi.NULL

    @property
    def pointer(self) -> "Any":
        """libdevmapper's struct dm_task, for another module of this package."""
        return self._task

    @property
    def verb(self) -> str:
        """What is asked, in libdevmapper's word for it."""
        return _VERBS.get(self.kind, "")

    def run(self) -> None:
        """Ask the kernel. DeviceError carries errno, verb, device and the kernel's own reason."""
        if State.timestamps:
            lib.dm_task_set_record_timestamp(self._task)
        kernel = KernelLog() if State.kernel_reasons else None
        try:
            succeeded = lib.dm_task_run(self._task)
            if not succeeded:
                self._fail(kernel)
            drain_log()
        finally:
            if kernel:
                kernel.close()
        if State.timestamps:
            self._log_timestamp()

    def _fail(self, kernel: KernelLog | None) -> None:
        number = lib.dm_task_get_errno(self._task)
        reason = kernel.lines() if kernel else ()
        error = drain_log()
        # A create is three requests inside libdevmapper; its line names the one that failed.
        verb = error.split(" ", 2)[1] if error.startswith("device-mapper: ") else self.verb
        text = error or f"device-mapper: {verb} ioctl on {self.device} failed: {os.strerror(number)}"
        # Nor does 1.02.185 let out the errno of a create's inner requests.
        number = number or errno_in(text)
        raise DeviceError(text, errno=number, verb=verb, device=self.device, reason=reason, logged=bool(error))

    def _log_timestamp(self) -> None:
        stamp = lib.dm_task_get_ioctl_timestamp(self._task)
        if stamp:
            seconds, nanoseconds = divmod(lib.dm_timestamp_delta(stamp, State.timestamps), 10**9)
            log(LEVEL_DEBUG, f"Timestamp: {seconds:7}.{nanoseconds:09} seconds")

    def set_name(self, name: str) -> None:
        """The device's name, or the path of its node."""
        self.device = name
        _check(lib.dm_task_set_name(self._task, to_bytes(name)))

    def set_uuid(self, uuid: str) -> None:
        self.device = self.device or uuid
        _check(lib.dm_task_set_uuid(self._task, to_bytes(uuid)))

    def set_newname(self, name: str) -> None:
        _check(lib.dm_task_set_newname(self._task, to_bytes(name)))

    def set_newuuid(self, uuid: str) -> None:
        _check(lib.dm_task_set_newuuid(self._task, to_bytes(uuid)))

    def set_major(self, major: int) -> None:
        self.device = self.device or str(major)
        _check(lib.dm_task_set_major(self._task, major))

    def set_minor(self, minor: int) -> None:
        if self.device.isdecimal():
            self.device += f":{minor}"
        _check(lib.dm_task_set_minor(self._task, minor))

    def set_uid(self, uid: int) -> None:
        _check(lib.dm_task_set_uid(self._task, uid & 0xFFFFFFFF))

    def set_gid(self, gid: int) -> None:
        _check(lib.dm_task_set_gid(self._task, gid & 0xFFFFFFFF))

    def set_mode(self, mode: int) -> None:
        _check(lib.dm_task_set_mode(self._task, mode & 0xFFFFFFFF))

    def set_read_only(self) -> None:
        _check(lib.dm_task_set_ro(self._task))

    def set_sector(self, sector: int) -> None:
        """The sector whose target a message is for."""
        _check(lib.dm_task_set_sector(self._task, sector))

    def set_message(self, message: str) -> None:
        _check(lib.dm_task_set_message(self._task, to_bytes(message)))

    def set_geometry(self, cylinders: str, heads: str, sectors: str, start: str) -> None:
        c, h, s, first = (to_bytes(word) for word in (cylinders, heads, sectors, start))
        _check(lib.dm_task_set_geometry(self._task, c, h, s, first))

    def set_event_nr(self, event_nr: int) -> None:
        """The event counter that a wait compares with."""
        _check(lib.dm_task_set_event_nr(self._task, event_nr & 0xFFFFFFFF))

    def set_cookie(self, cookie: "Any", flags: int) -> None:
        """Join the udev transaction behind a `uint32_t *` (0: begin one). Meant for udev.Cookie."""
        _check(lib.dm_task_set_cookie(self._task, cookie, flags))

    def set_read_ahead(self, sectors: int, flags: int = 0) -> None:
        """Read-ahead in sectors, READ_AHEAD_AUTO or READ_AHEAD_NONE; flags READ_AHEAD_MINIMUM."""
        _check(lib.dm_task_set_read_ahead(self._task, sectors & 0xFFFFFFFF, flags))

    def set_add_node(self, when: int) -> None:
        """ADD_NODE_ON_RESUME or ADD_NODE_ON_CREATE."""
        _check(lib.dm_task_set_add_node(self._task, when))

    def no_flush(self) -> None:
        _check(lib.dm_task_no_flush(self._task))

    def no_open_count(self) -> None:
        _check(lib.dm_task_no_open_count(self._task))

    def query_inactive_table(self) -> None:
        _check(lib.dm_task_query_inactive_table(self._task))

    def skip_lockfs(self) -> None:
        _check(lib.dm_task_skip_lockfs(self._task))

    def enable_checks(self) -> None:
        _check(lib.dm_task_enable_checks(self._task))

    def retry_remove(self) -> None:
        _check(lib.dm_task_retry_remove(self._task))

    def deferred_remove(self) -> None:
        _check(lib.dm_task_deferred_remove(self._task))

    def ima_measurement(self) -> None:
        _check(lib.dm_task_ima_measurement(self._task))

    def suppress_identical_reload(self) -> None:
        _check(lib.dm_task_suppress_identical_reload(self._task))

    def secure_data(self) -> None:
        """Have the kernel and libdevmapper wipe the buffers of this request, which holds a key."""
        _check(lib.dm_task_secure_data(self._task))

    def record_timestamp(self) -> None:
        _check(lib.dm_task_set_record_timestamp(self._task))

    def add_target(self, start_sectors: int, length_sectors: int, target: str, params: str) -> None:
        _check(lib.dm_task_add_target(self._task, start_sectors, length_sectors, to_bytes(target), to_bytes(params)))

    def info(self) -> "Any":
        """struct dm_info of the answer; its names are libdevmapper.h's."""
        answer = ffi.new(_INFO)
        _check(lib.dm_task_get_info(self._task, answer))
        return answer

    def name(self) -> str:
        return to_text(lib.dm_task_get_name(self._task))

    def uuid(self) -> str:
        return to_text(lib.dm_task_get_uuid(self._task))

    def other_form(self, *, uuid: bool, mangled: bool) -> str:
        """The name, or the uuid, with odd characters as udev has them, or as they are meant."""
        get = (
            (lib.dm_task_get_name_unmangled, lib.dm_task_get_name_mangled),
            (lib.dm_task_get_uuid_unmangled, lib.dm_task_get_uuid_mangled),
        )[uuid][mangled]
        pointer = get(self._task)
        check(bool(pointer))
        try:
            return to_text(pointer)
        finally:
            lib.free(pointer)

    def read_ahead(self) -> int | None:
        """Read-ahead in sectors, asked of the node in /dev/mapper; None where that cannot be opened."""
        sectors = ffi.new("uint32_t *")
        known = lib.dm_task_get_read_ahead(self._task, sectors)
        drain_log()
        return int(sectors[0]) if known else None

    def message_response(self) -> str | None:
        response = lib.dm_task_get_message_response(self._task)
        return to_text(response) if response else None

    def targets(self) -> "Iterator[tuple[int, int, str | None, str]]":
        """(start_sectors, length_sectors, target, params) of each line; one with target None for a missing table."""
        numbers, texts = ffi.new(_TWO_NUMBERS), ffi.new(_TWO_TEXTS)
        following = ffi.NULL
        while True:
            following = lib.dm_get_next_target(self._task, following, numbers, numbers + 1, texts, texts + 1)
            yield numbers[0], numbers[1], to_text(texts[0]) if texts[0] else None, to_text(texts[1])
            if not following:
                return

    def deps(self) -> list[int]:
        """The dev_t of each device that the table refers to, in the kernel's order."""
        answer = lib.dm_task_get_deps(self._task)
        check(bool(answer))
        return [answer.device[i] for i in range(answer.count)]

    def names(self) -> "Iterator[tuple[str, int]]":
        """(name, dev_t) of every device.

        The event counters and uuids that newer kernels put behind the names are out of reach: libdevmapper has moved
        the ends of mangled names by now.
        """
        entry = lib.dm_task_get_names(self._task)
        check(bool(entry))
        if not entry.dev:
            return
        address = ffi.cast(_BYTES, entry)
        while True:
            yield to_text(entry.name), entry.dev
            if not (distance := entry.next):
                return
            address += distance
            entry = ffi.cast(_NAMES, address)

    def versions(self) -> "Iterator[tuple[str, tuple[int, int, int]]]":
        """(name, version) of each target of a LIST_VERSIONS or TARGET_VERSION answer."""
        entry = lib.dm_task_get_versions(self._task)
        while entry:
            yield to_text(entry.name), (entry.version[0], entry.version[1], entry.version[2])
            if not entry.next:
                return
            entry = ffi.cast("struct dm_versions *", ffi.cast("char *", entry) + entry.next)
