# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a file system does not use need not be copied: a discard makes the kernel take it for copied."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from dataclasses import dataclass

from dmctl import holders
from dmctl.clone.live import CloneError, Live, refuse_broken
from dmctl.errors import DmctlError
from dmctl.units import SECTOR_BYTES

_FITRIM = 0xC0185879  # include/uapi/linux/fs.h, with a struct fstrim_range: start, length, least length
_RANGE = struct.Struct("=3Q")
_SETTLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Trimmed:
    """mount: of the file system that was asked. spared_bytes: how much less there is to copy."""

    mount: str
    spared_bytes: int


def trim(live: Live) -> Trimmed:
    """Let the file system on a clone discard what it does not use, while nothing is copied in the background.

    Raises CloneError where none is mounted that can; DeviceError.
    """
    before = live.status()
    refuse_broken(live.name, before)
    mount = next((one for one in holders.mounts().get(live.devno, ()) if not one.read_only), None)
    if mount is None:
        raise CloneError(f"{live.name} is not mounted for writing here, and only a file system knows what it uses.")
    try:
        if not before.no_hydration:
            live.hydrate(False)
            live.settled(_SETTLE_S)
        hydrated = live.status().hydrated_regions or 0
        _discard(mount.point)
        after = live.status().hydrated_regions or 0
    finally:
        if not before.no_hydration:
            live.hydrate(True)
    return Trimmed(mount.point, (after - hydrated) * live.arguments.region_sectors * SECTOR_BYTES)


def _discard(mount_point: str) -> None:
    try:
        descriptor = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _FITRIM, bytearray(_RANGE.pack(0, 2**64 - 1, 0)))
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            raise CloneError(f"The file system on {mount_point} cannot discard what it does not use.") from None
        message = f"{mount_point} cannot be trimmed: {error.strerror}."
        raise DmctlError(message, errno=error.errno or 0) from None
