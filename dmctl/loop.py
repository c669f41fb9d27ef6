# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loop devices over files, for as long as they are used (drivers/block/loop.c)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from dmctl.errors import DmctlError

_CONTROL = "/dev/loop-control"
_GET_FREE, _CONFIGURE, _GET_STATUS64 = 0x4C82, 0x4C0A, 0x4C05
_READ_ONLY, _AUTOCLEAR = 1, 4
# struct loop_config: fd, block size; struct loop_info64: five numbers, four of 32 bits with the flags last, the file's
# name, another, a key, two numbers; eight reserved.
_INFO_BYTES = 232  # struct loop_info64
_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q8Q")


@contextmanager
def attached(path: str, *, write: bool = False) -> Iterator[str]:
    """A loop device over a whole file; its node. write: it can be written, too.

    It goes away by itself with its last user, and that is, until the `with` ends, this. A device above it keeps it.

    Raises DmctlError with errno.
    """
    try:
        backing = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    try:
        node, loop = _attach(backing, path, _AUTOCLEAR | (0 if write else _READ_ONLY))
    finally:
        os.close(backing)
    try:
        yield node
    finally:
        os.close(loop)


def backings() -> Iterator[tuple[str, tuple[int, int]]]:
    """Each loop device in use, and st_dev and st_ino of its file. Those that cannot be opened are left out."""
    for name in sorted(os.listdir("/sys/block")):
        if not os.path.exists(f"/sys/block/{name}/loop/backing_file"):
            continue
        info = bytearray(_INFO_BYTES)
        try:
            loop = os.open(f"/dev/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.ioctl(loop, _GET_STATUS64, info)
            device, inode = struct.unpack_from("=2Q", info)  # lo_device, lo_inode
            yield f"/dev/{name}", (device, inode)
        except OSError:
            continue
        finally:
            os.close(loop)


def _attach(backing: int, path: str, flags: int) -> tuple[str, int]:
    config = _CONFIG.pack(*(backing, 0), *(0,) * 5, *(0, 0, 0, flags), *(os.fsencode(path)[:63], b"", b""), *(0,) * 10)
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            while True:
                node = f"/dev/loop{fcntl.ioctl(control, _GET_FREE)}"
                # Of one that is opened read-only the kernel makes a read-only one.
                loop = os.open(node, (os.O_RDONLY if flags & _READ_ONLY else os.O_RDWR) | os.O_CLOEXEC)
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
