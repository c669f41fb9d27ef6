# SPDX-License-Identifier: LGPL-2.1-or-later
"""udev transactions: a cookie that cannot be left behind, and a wait that ^C ends."""

import errno
import os

from dmctl import control, libdm
from dmctl._libdm import ffi, lib
from dmctl.errors import DeviceError
from dmctl.libdm.task import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

DISABLE_DM_RULES: int = lib.DM_UDEV_DISABLE_DM_RULES_FLAG
DISABLE_SUBSYSTEM_RULES: int = lib.DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG
DISABLE_LIBRARY_FALLBACK: int = lib.DM_UDEV_DISABLE_LIBRARY_FALLBACK

# How often a wait looks whether udevd is still there. A signal and udev's own completion end a wait at once.
_LOOK_MS = 1000


class Cookie:
    """A udev transaction around the tasks attached to it.

    The kernel sends the cookie with its uevents, udev's rules complete it, and the end of the `with` waits for that.
    Behind a cookie is a SysV semaphore, which outlives the process: it is destroyed on every way out of the `with`.
    An interrupted wait destroys it too; udev's late completion then finds nothing, which does no harm.

    given: the cookie of a transaction that somebody else began (--udevcookie) and will wait for; 0 begins our own
    with the first task. flags: DISABLE_* bits for udev's rules.
    """

    __slots__ = ("_own", "_value", "flags")

    def __init__(self, given: int = 0, flags: int = 0):
        self._value = ffi.new("uint32_t *", given)  # libdevmapper writes into it: no moment without an owner
        self._own = not given
        self.flags = flags

    @property
    def value(self) -> int:
        """The cookie's number, 0 while there is none (before the first task, or without udev)."""
        return int(self._value[0])

    def attach(self, task: Task) -> None:
        """Make a task, before it is run, part of the transaction."""
        task.set_cookie(self._value, self.flags)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if not self._own:
            return
        # After a failed request libdevmapper has completed it itself, so waiting is right there too. Whatever else ends
        # the `with` early (^C, a signal, an error of the caller) may have come before the request: nobody would.
        if kind is None or issubclass(kind, DeviceError):
            wait(self)
        else:
            self.destroy()

    def __del__(self) -> None:
        # The `with` was interrupted before its end could begin, or even __init__ before its end.
        if getattr(self, "_own", False):
            self.destroy()

    def destroy(self) -> None:
        """Remove the semaphore without waiting. Nothing happens where there is none."""
        if self._value[0]:
            lib.dmctl_cookie_destroy(self._value[0])
            self._value[0] = 0


def wait(cookie: Cookie) -> None:
    """Wait until udev has finished all tasks of a transaction, then let libdevmapper mend the nodes.

    libdevmapper's own wait begins anew after a signal, so Python never gets to run its handler; this one does not.
    Where nobody will complete the cookie the nodes are made here, with a warning: udevd has ended, or has no event left
    and has not completed it (one of its workers was killed; it is the host's, and the semaphore a container's). Of a
    transaction that somebody else began only udevd's end is such a sign: a task may not have come to its request yet.
    """
    if not cookie.value or not synchronised():
        lib.dm_task_update_nodes()
        libdm.drain_log()
        return
    try:
        error = lib.dmctl_cookie_settle(cookie.value)
        while not error:
            error = lib.dmctl_cookie_wait_zero(cookie.value, _LOOK_MS)
            if not error:
                break
            if error == errno.EAGAIN and (why := _not_coming(cookie)):
                libdm.log(libdm.LEVEL_WARNING | 0x80, f"{why}; making the device nodes without it.")
                lib.dm_mknodes(ffi.NULL)
                error = 0
                break
            if error in (errno.EAGAIN, errno.EINTR):
                error = 0  # a signal's handler runs in Python between two waits, and may raise
        # Removed by somebody else is as good as completed.
        if error and error not in (errno.EIDRM, errno.EINVAL, errno.ENOENT):
            libdm.log(libdm.LEVEL_ERROR, f"Waiting for udev cookie 0x{cookie.value:x} failed: {os.strerror(error)}")
    finally:
        cookie.destroy()
    lib.dm_task_update_nodes()
    libdm.drain_log()


def _not_coming(cookie: Cookie) -> str:
    """Why nobody will complete a cookie, or "" where udevd may yet."""
    if not control.udev_running():
        return "udevd is gone"
    if not cookie._own or control.udev_busy():
        return ""
    answers = control.udev_answers()
    if answers is False and control.udev_dead():
        return "udevd is gone"
    value = ffi.new("int *")
    # Its rules complete a cookie before it is done with the event.
    if not answers or control.udev_busy() or lib.dmctl_cookie_value(cookie.value, value) or not value[0]:
        return ""
    return f"udevd has no event left and has not completed cookie 0x{cookie.value:x}"


def create_cookie() -> int:
    """Begin a transaction for other processes and return its cookie, 0 without udev. release() ends it."""
    cookie = ffi.new("uint32_t *")
    libdm.check(lib.dm_udev_create_cookie(cookie))
    return int(cookie[0])


def complete(cookie: int) -> None:
    """Say that udev has finished with one task of a transaction: what udev's rules call. Raises DeviceError."""
    libdm.check(lib.dm_udev_complete(cookie))


def release(cookie: int) -> None:
    """Wait for a transaction that somebody began, and end it. Raises DeviceError where there is none."""
    value = ffi.new("int *")
    if lib.dmctl_cookie_value(cookie, value):
        libdm.check(lib.dm_udev_wait(cookie))  # which says why, and does not wait
    else:
        wait(Cookie(cookie))


class Semaphore:
    """The semaphore behind a cookie: key (the cookie), id, value (None, with error, where it cannot be read), and when
    it was last operated on and changed, in seconds since the epoch (0: never)."""

    __slots__ = ("changed", "error", "id", "key", "operated", "value")

    def __init__(self, entry: "Any"):
        self.key: int = entry.key
        self.id: int = entry.id
        self.value: int | None = None if entry.value_errno else entry.value
        self.error: int = entry.value_errno
        self.operated: int = entry.operated
        self.changed: int = entry.changed


def semaphores() -> list[Semaphore]:
    """All cookies there are on this machine, in the kernel's order. Raises DeviceError."""
    found: list[Semaphore] = []
    index, entry = ffi.new("int *"), ffi.new("struct dmctl_cookie *")
    while True:
        error = lib.dmctl_cookie_next(index, entry)
        if error:
            raise DeviceError(f"sem_ctl: SEM_INFO failed: {os.strerror(error)}", errno=error)
        if entry.id < 0:
            return found
        found.append(Semaphore(entry))


def destroy(cookie: int) -> None:
    """Remove a cookie's semaphore; whoever waits for it goes on. Raises DeviceError."""
    error = lib.dmctl_cookie_destroy(cookie)
    if error:
        raise DeviceError(f"Cookie 0x{cookie:x} cannot be removed: {os.strerror(error)}.", errno=error)


def synchronised() -> bool:
    """Whether requests are synchronised with udev: it runs, semaphores work, nobody switched it off."""
    answer = bool(lib.dm_udev_get_sync_support())
    libdm.drain_log()
    return answer


def set_synchronised(wanted: bool) -> None:
    """Switch the synchronisation off (nodes are then made by libdevmapper) or on again."""
    _Wanted.synchronised = wanted
    lib.dm_udev_set_sync_support(wanted)
    libdm.drain_log()


class _Wanted:
    synchronised = True  # libdevmapper tells only what this, the running udevd and the environment come to together


class Unsynchronised:
    """`with Unsynchronised():` no request inside waits for udev."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = _Wanted.synchronised
        set_synchronised(False)

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        set_synchronised(self._before)


def set_checking(wanted: bool) -> None:
    """Whether libdevmapper warns about nodes that udev did not make as expected."""
    lib.dm_udev_set_checking(wanted)
    libdm.drain_log()
