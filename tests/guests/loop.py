# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loop devices by ioctl: a losetup process takes as long as a small test in user-mode Linux."""

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# linux/loop.h
LOOP_CTL_GET_FREE = 0x4C82
LOOP_CONFIGURE = 0x4C0A
LOOP_CLR_FD = 0x4C01
LO_FLAGS_READ_ONLY = 1
BLKDISCARD = 0x1277  # linux/fs.h
# struct loop_config: fd, block_size, struct loop_info64 (offset, size limit and the like; flags; file name; keys),
# eight reserved words.
CONFIG = struct.Struct("=II 5Q 4I 64s 64s 32s 2Q 8Q")


@dataclass(frozen=True, slots=True)
class Disk:
    """A loop device for a test."""

    path: str
    """/dev/loopN"""
    devno: str
    """major:minor"""
    sectors: int
    """Its size in 512-byte sectors."""
    backing: Path
    """The sparse file below."""


def attach(backing: Path, *, sector_size: int = 512, read_only: bool = False) -> Disk:
    """Make a loop device over the whole of a file. Raises OSError."""
    with open("/dev/loop-control", "rb") as control:
        number = fcntl.ioctl(control, LOOP_CTL_GET_FREE)
    path = f"/dev/loop{number}"
    name = os.fsencode(backing)[:63]
    flags = LO_FLAGS_READ_ONLY if read_only else 0
    with open(backing, "rb" if read_only else "r+b") as file, open(path, "rb" if read_only else "r+b") as loop:
        config = CONFIG.pack(
            *(file.fileno(), sector_size), *(0,) * 5, *(0, 0, 0, flags), *(name, b"", b""), *(0,) * 2, *(0,) * 8
        )
        fcntl.ioctl(loop, LOOP_CONFIGURE, config)
        rdev = os.fstat(loop.fileno()).st_rdev
    sectors = backing.stat().st_size // sector_size * (sector_size // 512)
    return Disk(path, f"{os.major(rdev)}:{os.minor(rdev)}", sectors, backing)


def detach(disk: Disk) -> None:
    """Let go of the file. While a device above still holds the loop device this takes effect later, without error."""
    with open(disk.path, "rb") as loop:
        try:
            fcntl.ioctl(loop, LOOP_CLR_FD)
        except OSError as error:
            if error.errno != errno.ENXIO:  # the test has detached it itself
                raise


def clear(disk: Disk) -> None:
    """Let go of what was written. One that is empty is not opened: udev would look at it when it is closed."""
    with disk.backing.open("rb") as file:
        try:
            os.lseek(file.fileno(), 0, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # there is no data
                return
            raise
    with open(disk.path, "r+b") as loop:
        fcntl.ioctl(loop, BLKDISCARD, struct.pack("=QQ", 0, disk.sectors * 512))


@contextmanager
def in_folder(folder: Path) -> Iterator[Callable[..., Disk]]:
    """make(size_bytes, read_only=False): loop devices over new sparse files disk0, disk1 and so on, which stay when
    these are freed."""
    disks: list[Disk] = []

    def make(size_bytes: int, *, read_only: bool = False) -> Disk:
        path = folder / f"disk{len(disks)}"
        with path.open("xb") as file:
            file.truncate(size_bytes)
        disks.append(attach(path, read_only=read_only))
        return disks[-1]

    try:
        yield make
    finally:
        for one in disks:
            detach(one)
