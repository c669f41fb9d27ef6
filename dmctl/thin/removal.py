# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes removed in pieces: a thin that is deleted in one go makes the whole pool wait until it is done."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable

from dmctl.device import Device
from dmctl.errors import DmctlError, InUseError
from dmctl.thin import kernel
from dmctl.thin.pool import Pool
from dmctl.units import SECTOR_BYTES

PIECE_BYTES = 1 << 30
_BLKDISCARD = 0x1277


def remove(pool: Pool, name: str, *, discard: bool = True, progress: Callable[[int, int], None] | None = None) -> None:
    """Remove a volume for good.

    It is marked first: should this be interrupted, the next command removes what is left. discard: give its blocks
    back a piece at a time before it is deleted. progress: called with bytes done and bytes in all.

    Raises NoVolumeError; InUseError where the volume is in use.
    """
    volume = pool.volume(name)
    device = kernel.active(pool.uuid, volume)
    if device is not None:
        info = device.info()
        if info.open_count:
            raise InUseError(f"{info.name} is in use.", errno=errno.EBUSY)
    with pool.batch() as batch:
        batch.begin_removal(name)
    if (
        discard
        and pool.thins[volume.thin_id].mapped_blocks
        and "ignore_discard" not in pool.catalogue.settings.features
    ):
        if device is None:
            device = kernel.activate(pool.state, pool.uuid, volume)
        _discard(device, volume.size_sectors * SECTOR_BYTES, progress)
    if device is not None:
        device.remove(retry=True)
    with pool.batch() as batch:
        batch.remove(name)


def _discard(device: Device, size_bytes: int, progress: Callable[[int, int], None] | None) -> None:
    descriptor = kernel.open_node(device, os.O_WRONLY | os.O_EXCL)
    try:
        for at in range(0, size_bytes, PIECE_BYTES):
            length = min(PIECE_BYTES, size_bytes - at)
            fcntl.ioctl(descriptor, _BLKDISCARD, struct.pack("=QQ", at, length))
            if progress:
                progress(at + length, size_bytes)
    except OSError as error:
        # Deleting it does the same, in one go.
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise DmctlError(f"Blocks cannot be given back: {error.strerror}.", errno=error.errno or 0) from None
    finally:
        os.close(descriptor)
