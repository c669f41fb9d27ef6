# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keyring of a thread, by keyctl(2): /proc/keys may list keys that nobody has any more."""

import ctypes
import errno
import os

SYS_KEYCTL = 250  # x86-64
KEYCTL_READ = 11
THREAD_KEYRING = -1


def keys_of_this_thread() -> list[int]:
    """Numbers of the keys in the calling thread's keyring."""
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = (ctypes.c_int32 * 64)()
    size = libc.syscall(SYS_KEYCTL, KEYCTL_READ, THREAD_KEYRING, numbers, ctypes.sizeof(numbers))
    if size < 0:
        if ctypes.get_errno() == errno.ENOKEY:  # it has none
            return []
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return list(numbers[: size // 4])
