# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dmctl raises, and the exit statuses of its native commands.

Plain integers instead of an IntEnum: importing enum costs a quarter of what a dmsetup-compatible command may take.
"""


class ExitStatus:
    """Exit statuses of native commands. Commands that dmsetup has too exit 0 or 1, as dmsetup does."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    PERMISSION = 4
    BUSY = 5
    VERIFICATION = 6
    TIMEOUT = 124  # as of timeout(1)
    INTERRUPTED = 130


_ENOENT, _EPERM, _ENXIO, _EACCES, _EBUSY, _EEXIST, _ENODEV = 2, 1, 6, 13, 16, 17, 19
_STATUS_OF_ERRNO = {
    _EPERM: ExitStatus.PERMISSION,
    _EACCES: ExitStatus.PERMISSION,
    _ENOENT: ExitStatus.NOT_FOUND,
    _ENXIO: ExitStatus.NOT_FOUND,
    _ENODEV: ExitStatus.NOT_FOUND,
    _EBUSY: ExitStatus.BUSY,
    _EEXIST: ExitStatus.BUSY,
}


class DmctlError(Exception):
    """Base of all that dmctl raises on purpose; its text is one sentence for the user.

    errno: the system's error number, 0 where no system call failed.
    """

    def __init__(self, message: str, *, errno: int = 0):
        super().__init__(message)
        self.errno = errno

    @property
    def exit_status(self) -> int:
        """Exit status of a native command that ends in this error."""
        return _STATUS_OF_ERRNO.get(self.errno, ExitStatus.FAILED)


class UsageError(DmctlError):
    """An argument is missing, unknown or malformed."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.USAGE


class InUseError(DmctlError):
    """Somebody else holds or changes what the caller wants."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.BUSY


class DeviceError(DmctlError):
    """A device-mapper request failed.

    errno: 0 where libdevmapper refused before it asked the kernel.
    verb: what was asked ("create", "reload", "info", …), as libdevmapper names it.
    device: name, uuid or major:minor as the caller gave it; "" for requests about no device.
    reason: the kernel's own lines about this failure, oldest first; empty where it gave none or may not be read.
    logged: the text is a line that libdevmapper has logged, so whoever prints its log has printed it.
    """

    def __init__(
        self,
        message: str,
        *,
        errno: int = 0,
        verb: str = "",
        device: str = "",
        reason: tuple[str, ...] = (),
        logged: bool = False,
    ):
        super().__init__(message, errno=errno)
        self.verb = verb
        self.device = device
        self.reason = reason
        self.logged = logged


class NotFoundError(DeviceError):
    """The kernel has no such device."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.NOT_FOUND
