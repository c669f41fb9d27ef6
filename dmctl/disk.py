# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a new device is made with: a name, and block devices below it, that nothing else has."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from typing import Self

from dmctl.device import Device
from dmctl.errors import DmctlError, NotFoundError, UsageError
from dmctl.units import SECTOR_BYTES

_BLKSSZGET, _BLKROGET, _BLKROSET = 0x1268, 0x125E, 0x125D


def refuse_odd_name(name: str) -> None:
    """Raises UsageError where it is no name that a device can have."""
    if not name or "/" in name:
        raise UsageError(f"{name!r} is no name of a device: {'it has a / in it' if name else 'it is empty'}.")


def refuse_name(name: str) -> None:
    """Raises UsageError where it is no name; DmctlError, EEXIST, where there is such a device."""
    refuse_odd_name(name)
    try:
        Device(name).info()
    except NotFoundError:
        return
    raise DmctlError(f"There is a device {name} already.", errno=errno.EEXIST)


@dataclass(frozen=True, slots=True)
class Disk:
    """A block device: its node, number, size, logical block and whether it refuses to be written."""

    path: str
    devno: tuple[int, int]
    size_sectors: int
    block_sectors: int
    read_only: bool

    @classmethod
    def at(cls, path: str, what: str, *, shared: bool = False) -> Self:
        """what: the option that names it, for messages. shared: it may be in use.

        Raises UsageError, DmctlError with errno: EBUSY where it is mounted, or held by a device above.
        """
        try:
            status = os.stat(path)
            if not stat.S_ISBLK(status.st_mode):
                raise UsageError(f"{what}: {path} is no block device.")
            flags = os.O_RDONLY | os.O_CLOEXEC | (0 if shared else os.O_EXCL)
            descriptor = os.open(path, flags)
        except ValueError:
            raise UsageError(f"{what}: this is no name of a file.") from None
        except OSError as error:
            if error.errno == errno.EBUSY:
                message = f"{what}: {path} is in use: mounted, or held by a device above it."
                raise DmctlError(message, errno=errno.EBUSY) from None
            raise DmctlError(f"{what}: {path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
        try:
            size_bytes = os.lseek(descriptor, 0, os.SEEK_END)
            block_bytes, read_only = (_number(descriptor, request) for request in (_BLKSSZGET, _BLKROGET))
        finally:
            os.close(descriptor)
        devno = (os.major(status.st_rdev), os.minor(status.st_rdev))
        return cls(path, devno, size_bytes // SECTOR_BYTES, block_bytes // SECTOR_BYTES, bool(read_only))

    @property
    def size_bytes(self) -> int:
        return self.size_sectors * SECTOR_BYTES

    def wipe(self, length_bytes: int) -> None:
        """Write zeros to its begin. Raises DmctlError with errno: EBUSY where it is in use."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, bytes(length_bytes), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DmctlError(f"{self.path} cannot be written: {error.strerror}.", errno=error.errno or 0) from None

    def set_read_only(self, wanted: bool) -> None:
        """Let nothing write to it, or let it be written again. Raises DmctlError with errno."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _BLKROSET, struct.pack("=i", wanted))
            finally:
                os.close(descriptor)
        except OSError as error:
            how = "read-only" if wanted else "writable"
            message = f"{self.path} cannot be made {how}: {error.strerror}."
            raise DmctlError(message, errno=error.errno or 0) from None

    def __str__(self) -> str:
        return f"{self.devno[0]}:{self.devno[1]}"


def _number(descriptor: int, request: int) -> int:
    """What an ioctl that fills an int tells of a block device (include/uapi/linux/fs.h)."""
    answer = bytearray(4)
    fcntl.ioctl(descriptor, request, answer)
    value: int = struct.unpack("=i", answer)[0]
    return value
