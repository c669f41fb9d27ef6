# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loop devices over files, read-only, for as long as they are used (drivers/block/loop.c)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from dmctl.errors import DmctlError

_CONTROL = "/dev/loop-control"
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
# struct loop_config: fd, block size; struct loop_info64: five numbers, four of 32 bits with the flags last, the file's
# name, another, a key, two numbers; eight reserved.
_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q8Q")


@contextmanager
def read_only(path: str) -> Iterator[str]:
    """A read-only loop device over a whole file; its node.

    It goes away by itself with its last user, and that is, until the `with` ends, this. A device above it keeps it.

    Raises DmctlError with errno.
    """
    try:
        backing = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    try:
        node, loop = _attach(backing, path)
    finally:
        os.close(backing)
    try:
        yield node
    finally:
        os.close(loop)


def _attach(backing: int, path: str) -> tuple[str, int]:
    config = _CONFIG.pack(
        *(backing, 0), *(0,) * 5, *(0, 0, 0, _READ_ONLY | _AUTOCLEAR), *(os.fsencode(path)[:63], b"", b""), *(0,) * 10
    )
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            while True:
                node = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
                loop = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(loop, _CONFIGURE, config)
                except OSError as error:
                    os.close(loop)
                    if error.errno != errno.EBUSY:  # somebody else was faster: the kernel has another one
                        raise
                else:
                    return node, loop
        finally:
            os.close(control)
    except OSError as error:
        raise DmctlError(f"No loop device can be made over {path}: {error.strerror}.", errno=error.errno or 0) from None
