# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test can leave behind (devices and their nodes, loop devices, udev cookies), and the kernel's log.

Read from the kernel itself, without dmctl and without processes: these are slow in user-mode Linux, and this runs
around every test.
"""

import fcntl
import os
import stat
import struct
import subprocess
from collections.abc import Iterator, Set
from pathlib import Path
from typing import NamedTuple

# linux/dm-ioctl.h: struct dm_ioctl is 312 bytes: version[3], data_size, data_start, then what a list leaves zero.
DM_LIST_DEVICES = 0xC138FD02
DM_IOCTL_SIZE = 312
DM_LIST_BYTES = 1 << 18
DM_BUFFER_FULL_FLAG = 1 << 8
# linux/loop.h
LOOP_CLR_FD = 0x4C01
# libdevmapper: the upper half of a cookie's semaphore key.
COOKIE_MAGIC = 0x0D4D

MAPPER = Path("/dev/mapper")

DMSETUP = "/sbin/dmsetup"


class KernelState(NamedTuple):
    """Names of everything a test could leave behind."""

    devices: frozenset[str]
    loops: frozenset[str]
    cookies: frozenset[str]
    nodes: frozenset[str]
    """What is in /dev/mapper without a device."""

    @classmethod
    def now(cls) -> "KernelState":
        devices = _devices()
        nodes = frozenset(_stale_nodes(set(devices.values())))
        return cls(frozenset(devices), frozenset(_bound_loops()), frozenset(_cookies()), nodes)

    def since(self, before: "KernelState") -> "KernelState":
        """What is there now and was not before."""
        return KernelState(*(now - then for now, then in zip(self, before, strict=True)))

    def __bool__(self) -> bool:
        return any(self)

    def __str__(self) -> str:
        kinds = ("device", "loop device", "udev cookie", "node without a device")
        return ", ".join(f"{kind} {name}" for kind, names in zip(kinds, self, strict=True) for name in sorted(names))


def left_since(before: KernelState) -> KernelState:
    """What was left behind since `before`, after udev had its time to let go of it."""
    left = KernelState.now().since(before)
    if left and Path("/run/udev/control").exists():
        # A loop device that udevd is just looking at is freed when udevd closes it. A link is udevd's to remove.
        subprocess.run(["udevadm", "settle"], check=False)
        left = KernelState.now().since(before)
    return left


def clean_up(left: KernelState) -> str:
    """Remove what was left behind; returns what could not be removed, or an empty string."""
    keep = KernelState.now().since(left)
    # First, for a removal may be waiting for one of them.
    if left.cookies:
        subprocess.run([DMSETUP, "udevcomplete_all", "--yes"], check=False, stdout=subprocess.DEVNULL)
    remaining = set(left.devices)
    while remaining:
        removed = {name for name in remaining if _remove(name)}
        if not removed:
            break
        # Those below a removed device can go now.
        remaining -= removed
    # Nodes that were there without a device, and those that the removal of a device has left.
    for path in left.nodes | KernelState.now().nodes - keep.nodes:
        Path(path).unlink(missing_ok=True)  # udevd may still be at it
    for path in left.loops & KernelState.now().loops:
        with open(path, "rb") as loop:
            fcntl.ioctl(loop, LOOP_CLR_FD)
    return str(left_since(keep))


def _remove(name: str) -> bool:
    command = [DMSETUP, "remove", "--force", "--noflush", "--nolockfs", name]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _devices() -> dict[str, int]:
    """All device-mapper devices, name to number; sysfs does not have those that never had a table."""
    buffer = bytearray(DM_LIST_BYTES)
    struct.pack_into("=5I", buffer, 0, 4, 0, 0, len(buffer), DM_IOCTL_SIZE)
    with open("/dev/mapper/control", "rb") as control:
        fcntl.ioctl(control, DM_LIST_DEVICES, buffer)
    start, _, _, flags = struct.unpack_from("=I2iI", buffer, 16)
    if flags & DM_BUFFER_FULL_FLAG:
        raise OverflowError(f"more devices than {DM_LIST_BYTES} bytes can list")
    found = {}
    # struct dm_name_list: dev (0 in an empty list), offset of the next, name.
    # The number is encoded as in st_rdev.
    while (number := struct.unpack_from("=Q", buffer, start)[0]) != 0:
        following = struct.unpack_from("=I", buffer, start + 8)[0]
        found[os.fsdecode(bytes(buffer[start + 12 : buffer.index(0, start + 12)]))] = number
        if following == 0:
            break
        start += following
    return found


def _stale_nodes(numbers: Set[int]) -> Iterator[str]:
    """What is in /dev/mapper and does not lead to a device with one of these numbers, control aside."""
    for path in MAPPER.iterdir():
        if path.name == "control":
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            if path.is_symlink():  # else udevd has taken it away meanwhile
                yield str(path)
            continue
        if not stat.S_ISBLK(status.st_mode) or status.st_rdev not in numbers:
            yield str(path)


def _bound_loops() -> list[str]:
    return [f"/dev/{path.parts[-3]}" for path in Path("/sys/block").glob("loop*/loop/backing_file")]


def _cookies() -> list[str]:
    keys = [int(line.split()[0]) & 0xFFFFFFFF for line in Path("/proc/sysvipc/sem").read_text().splitlines()[1:]]
    return [f"{key:#x}" for key in keys if key >> 16 == COOKIE_MAGIC]


class KernelLog:
    """The kernel's log from the moment this object was made."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._messages: list[str] = []

    def close(self) -> None:
        os.close(self._fd)

    def messages(self) -> list[str]:
        """Every message so far, oldest first, without its time."""
        while True:
            try:
                record = os.read(self._fd, 8192)
            except BlockingIOError:
                return list(self._messages)
            except BrokenPipeError:
                # Records were overwritten before they were read; the next read goes on after the gap.
                self._messages.append("(kernel messages lost)")
                continue
            # Documentation/ABI/testing/dev-kmsg: "priority,sequence,time,flags;message\n KEY=value\n"
            self._messages.append(record.partition(b";")[2].partition(b"\n")[0].decode(errors="replace"))
