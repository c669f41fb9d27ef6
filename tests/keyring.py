# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys, as the kernel tells of them: by keyctl(2) those in a thread's keyring, by /proc/keys those in any."""

import ctypes
import errno
import os
from pathlib import Path

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


def usable_keys() -> list[str]:
    """Descriptions of the keys that dmctl has made and that somebody could use.

    The kernel lists a key until it has collected it; one that is revoked, dead or invalidated has a flag that says so.
    """
    fields = [line.split(maxsplit=8) for line in Path("/proc/keys").read_text().splitlines()]
    return [
        words[8].rpartition(":")[0]
        for words in fields
        if words[7] == "user" and words[8].startswith("dmctl-") and not set("RDi") & set(words[1])
    ]
