# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people call a block device: the name of a device-mapper device, a volume of LVM, a partition label, an id."""

from __future__ import annotations

import os
from functools import cache

from dmctl.libdm.report import split_lvm_name

Devno = tuple[int, int]

# Folders of links below /dev/disk that udev makes, the best first.
_FOLDERS = ("by-partlabel", "by-label", "by-id")
# Ids that tell people less than others of the same device.
_NUMBERS_ONLY = ("wwn-", "nvme-eui.", "nvme-nvme.", "scsi-3", "dm-", "lvm-", "md-uuid-", "scsi-0QEMU")


def kernel_name(devno: Devno) -> str:
    """The kernel's name, such as sda1 or dm-0; major:minor where sysfs has no such device."""
    try:
        return os.path.basename(os.readlink(_sysfs(devno)))
    except OSError:
        return f"{devno[0]}:{devno[1]}"


def block_node(devno: Devno) -> str:
    """A node by the kernel's own name, which has no letters that are written in another way."""
    return f"/dev/{kernel_name(devno)}"


def best_name(devno: Devno) -> str:
    """The name by which people know the device; the kernel's where there is no better one.

    As udev's links are at the time of the first call.
    """
    dm_name = _read(f"{_sysfs(devno)}/dm/name")
    if dm_name:
        return lvm_name(unmangled(dm_name), _read(f"{_sysfs(devno)}/dm/uuid"))
    own = kernel_name(devno)
    if backing := backing_file(devno):
        return f"{own} ({backing})"
    linked = _links().get(devno)
    return f"{own} ({linked})" if linked else own


def backing_file(devno: Devno) -> str:
    """The file that a loop device is over; "" for every other device."""
    return _read(f"{_sysfs(devno)}/loop/backing_file")


def node(devno: Devno) -> str:
    """The node by which programs know the device: /dev/mapper/NAME, /dev/sda1."""
    dm_name = _read(f"{_sysfs(devno)}/dm/name")
    return f"/dev/mapper/{dm_name}" if dm_name else f"/dev/{kernel_name(devno)}"


def lvm_name(name: str, uuid: str) -> str:
    """VG/LV for a volume of LVM, else the name as it is. What LVM itself hides keeps its name."""
    if not uuid.startswith("LVM-"):
        return name
    group, volume, layer = split_lvm_name(name)
    return f"{group}/{volume}" if group and volume and not layer else name


def size_sectors(devno: Devno) -> int | None:
    """Size of a device, None where sysfs does not tell it."""
    text = _read(f"{_sysfs(devno)}/size")
    return int(text) if text.isdecimal() else None


def logical_block_bytes(devno: Devno) -> int | None:
    """The least that can be read of a whole device, and what its size is a multiple of; None likewise."""
    text = _read(f"{_sysfs(devno)}/queue/logical_block_size")
    return int(text) if text.isdecimal() else None


@cache
def _links() -> dict[Devno, str]:
    """The best link of each device, without its folder's name."""
    found: dict[Devno, str] = {}
    for folder in _FOLDERS:
        path = f"/dev/disk/{folder}"
        try:
            links = sorted(os.listdir(path), key=lambda link: (link.startswith(_NUMBERS_ONLY), len(link), link))
        except OSError:
            continue
        for link in links:
            try:
                status = os.stat(f"{path}/{link}")
            except OSError:
                continue
            found.setdefault((os.major(status.st_rdev), os.minor(status.st_rdev)), unmangled(link))
    return found


def unmangled(name: str) -> str:
    r"""A name as it is meant: udev and libdevmapper write what a file name should not have as \x20."""
    parts = name.split("\\x")
    try:
        codes = [(bytes.fromhex(part[:2]), part[2:]) for part in parts[1:]]
    except ValueError:
        return name
    return os.fsdecode(os.fsencode(parts[0]) + b"".join(code + os.fsencode(rest) for code, rest in codes))


def _sysfs(devno: Devno) -> str:
    return f"/sys/dev/block/{devno[0]}:{devno[1]}"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""
