# SPDX-License-Identifier: LGPL-2.1-or-later
"""The only user of the compiled binding. Here: libdevmapper's log and its library-wide calls; task, udev: its requests.

libdevmapper keeps global state (name mangling, udev synchronisation, a queue of node operations) and is for one thread.
Text is str as the file system encoding has it, odd bytes as surrogate escapes, in both directions.
"""

import errno
import os
import sys

from dmctl._libdm import ffi, lib
from dmctl.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What os.fsdecode() goes by. It is called for every name of every device, and half of its time is not decoding.
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

MANGLING_NONE, MANGLING_AUTO, MANGLING_HEX = 0, 1, 2
LEVEL_ERROR, LEVEL_WARNING, LEVEL_NOTICE, LEVEL_DEBUG = 3, 4, 5, 7


class LogRecord:
    """One line of libdevmapper's log: level (syslog's numbers), to_stderr, errno (0: none), text, file, line."""

    __slots__ = ("errno", "file", "level", "line", "text", "to_stderr")

    def __init__(self, level: int, text: str, errno: int = 0, file: str = "", line: int = 0):
        self.level = level & 0x0F
        self.to_stderr = bool(level & 0x80) or self.level <= LEVEL_ERROR
        self.text = text
        self.errno = errno
        self.file = file
        self.line = line


class State:
    """What the process has asked of this module. None of it is kept by libdevmapper itself."""

    handler: "Callable[[LogRecord], None] | None" = None
    kernel_reasons = True
    timestamps: "Any" = None


def on_log(handler: "Callable[[LogRecord], None] | None", level: int = LEVEL_DEBUG) -> None:
    """Have each line of libdevmapper's log up to a level given to handler after the call that made it."""
    State.handler = handler
    lib.dmctl_log_limit(level if handler else LEVEL_ERROR)


class Unlogged:
    """In its `with`, requests are made that the log says nothing of. What fails still raises."""

    __slots__ = ("_handler",)

    def __enter__(self) -> None:
        self._handler, State.handler = State.handler, None

    def __exit__(self, *_: object) -> None:
        State.handler = self._handler


def want_kernel_reasons(wanted: bool) -> None:
    """Whether a failed request reads the kernel's log for its reason (it does, until told otherwise)."""
    State.kernel_reasons = wanted


def drain_log() -> str:
    """Hand the queued lines to the handler; return the text of the first error among them, "" if there was none.

    The first, because libdevmapper goes on from the request that failed to its own clean-up.
    """
    error = ""
    while record := lib.dmctl_log_next():
        line = LogRecord(
            record.level,
            to_text(record.text),
            record.errno_or_class,
            to_text(record.file),
            record.line,
        )
        lib.dmctl_log_free(record)
        if line.level <= LEVEL_ERROR and not error:
            error = line.text
        if State.handler:
            State.handler(line)
    return error


def log(level: int, text: str) -> None:
    """Put a line of our own among libdevmapper's."""
    if State.handler:
        State.handler(LogRecord(level, text))


def check(succeeded: int) -> None:
    """Raise what libdevmapper logged when a call of it failed before it asked the kernel."""
    error = drain_log()
    if not succeeded:
        text = error or "libdevmapper refused without giving a reason."
        raise DeviceError(text, errno=errno_in(error), logged=bool(error))


def errno_in(text: str) -> int:
    """The errno whose strerror() ends a "… failed: Device or resource busy" line, 0 if none does."""
    said = text.rpartition(" failed: ")[2]
    return next((number for number in errno.errorcode if os.strerror(number) == said), 0)


def to_bytes(text: str) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise DeviceError("A name, uuid, message or table cannot contain a NUL byte.")
    return encoded


def to_text(pointer: "Any") -> str:
    return ffi.string(pointer).decode(_ENCODING, _ERRORS) if pointer else ""


def library_version() -> str:
    """As "1.02.185 (2022-05-18)"."""
    buffer = ffi.new("char[]", 80)
    check(lib.dm_get_library_version(buffer, 80))
    return to_text(buffer)


def driver_version() -> str:
    """The kernel's device-mapper interface, as "4.47.0"."""
    buffer = ffi.new("char[]", 80)
    check(lib.dm_driver_version(buffer, 80))
    return to_text(buffer)


def set_dev_dir(directory: str) -> None:
    """The folder in place of /dev; absolute."""
    check(lib.dm_set_dev_dir(to_bytes(directory)))


def dev_dir() -> str:
    """The folder of the nodes, /dev/mapper unless set_dev_dir() changed it."""
    return to_text(lib.dm_dir())


def make_nodes(name: str | None = None) -> None:
    """Make the nodes of one device, or of all and remove stale ones."""
    made = lib.dm_mknodes(ffi.NULL if name is None else to_bytes(name))
    lib.dm_task_update_nodes()
    check(made)


def release() -> None:
    """Carry out queued node operations and close the control node. The library goes on working after it."""
    lib.dm_lib_release()
    drain_log()


def device_name(major: int, minor: int, *, kernel_name: bool) -> str | None:
    """The name of a block device from sysfs: dm name or (kernel_name) "dm-0"; None where it has none."""
    buffer = ffi.new("char[]", 4096)
    known = lib.dm_device_get_name(major, minor, kernel_name, buffer, 4096)
    drain_log()
    return to_text(buffer) if known else None


def set_name_mangling(mode: int) -> None:
    """MANGLING_NONE, MANGLING_AUTO or MANGLING_HEX: how characters that udev cannot have in a name are written."""
    check(lib.dm_set_name_mangling_mode(mode))


def set_locale() -> None:
    """Take the user's locale for the system's error texts, as dmsetup does. For a program, not for a library."""
    lib.dmctl_set_locale()


def start_timestamps() -> None:
    """Log, from now on, after each request the time since this call."""
    State.timestamps = ffi.gc(lib.dm_timestamp_alloc(), lib.dm_timestamp_destroy)
    lib.dm_timestamp_get(State.timestamps)
    log(LEVEL_DEBUG, "Timestamp:       0.000000000 seconds")


lib.dmctl_log_install()
