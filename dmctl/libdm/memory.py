# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keep the process in memory while a device is suspended that may hold its own program, or the swap space."""

import errno
import os

from dmctl._libdm import lib

_STATUS_BYTES = 1 << 16  # roomy
_UNLOCKED = b"\nVmLck:\t       0 kB\n"


def lock() -> bool:
    """mlockall(), from before a suspend on; whether unlock() is to undo it.

    What the process has not used yet of its program and libraries, or what was dropped, would be read from a file
    system that may be the suspended one. So would the translations of error texts, which the first error looks for.
    Where it is not allowed (CAP_IPC_LOCK) or something is locked already, nothing happens.
    """
    os.strerror(errno.EIO)
    descriptor = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unlocked = _UNLOCKED in os.read(descriptor, _STATUS_BYTES)
    finally:
        os.close(descriptor)
    if not unlocked:
        return False
    return not lib.mlockall(lib.MCL_CURRENT | lib.MCL_FUTURE)


def unlock() -> None:
    """munlockall()"""
    lib.munlockall()
