# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps a block device busy: devices above it, mounts, swap, processes. From /proc and /sys; nothing is opened.

Nothing here follows a path outside /dev, /proc and /sys: that might lead to a file system that does not answer.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from dmctl import units
from dmctl.device import Device
from dmctl.errors import DmctlError, ExitStatus, NotFoundError
from dmctl.names import unmangled

Devno = tuple[int, int]

_SYS = "/sys"
_PROC = "/proc"
# File systems whose server may be gone: stat() of a file in them would wait for it.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "9p", "fuse", "autofs")
_O_PATH = 0o10000000  # include/uapi/asm-generic/fcntl.h; such a descriptor has opened nothing
_PF_KTHREAD = 0x00200000  # include/linux/sched.h


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of mountinfo. devno: as the kernel tells it, (0, N) of a file system that has no device of its own.

    point: where it is mounted. root: which folder of the file system is seen there. source: what was given to mount.
    read_only: this mount, or the whole file system. others: further devices that its options name (logs of XFS).
    """

    devno: Devno
    point: str
    filesystem: str
    source: str
    root: str = "/"
    read_only: bool = False
    others: tuple[str, ...] = ()

    @property
    def detail(self) -> str:
        """File system type and what is special of it, for people."""
        return self.filesystem + (", read-only" if self.read_only else "")


@dataclass(frozen=True, slots=True)
class Swap:
    """A device that is swapped to; sizes in bytes."""

    path: str
    size_bytes: int
    used_bytes: int
    priority: int


@dataclass(frozen=True, slots=True)
class Holder:
    """One that keeps a device busy.

    kind: "dm", "md", "loop", "mount", "swap", "process" or "other". name: of the device above, the mount point, the
    process. detail: more about it, for people. pid: of the process, or of one in the mount namespace, else None.
    """

    kind: str
    name: str
    detail: str = ""
    pid: int | None = None
    devno: Devno | None = None

    def __str__(self) -> str:
        """ "mount /mnt", "process 12 (cat)", "dm device top"."""
        if self.kind == "process":
            return f"process {self.pid} ({self.name})"
        if self.kind == "other":
            return f"{self.name} ({self.detail})" if self.detail else self.name
        elsewhere = f" ({self.detail})" if self.pid is not None else ""
        return f"{self.kind} device {self.name}" if self.kind in ("dm", "md") else f"{self.kind} {self.name}{elsewhere}"


class Holders(list[Holder]):
    """The holders that were found. unseen_processes: how many processes the caller may not look into."""

    unseen_processes = 0


def mounts() -> dict[Devno, list[Mount]]:
    """What is mounted in this mount namespace, by the block devices that it is on."""
    return _by_device(parse_mountinfo(_read(f"{_PROC}/self/mountinfo")))


def parse_mountinfo(text: bytes) -> list[Mount]:
    """The lines of a /proc/PID/mountinfo (Documentation/filesystems/proc.rst, 3.5); those of another form are left
    out."""
    found = []
    for line in text.split(b"\n"):
        words = line.split(b" ")  # not split(): a source may be empty
        try:
            dash = words.index(b"-", 6)
            filesystem, source, options = words[dash + 1 : dash + 4]
            devno = units.parse_devno(words[2].decode("ascii"))
        except ValueError:
            continue
        special = options.split(b",")
        found.append(
            Mount(
                devno,
                point=_unescape(words[4]),
                filesystem=_unescape(filesystem),
                source=_unescape(source),
                root=_unescape(words[3]),
                read_only=b"ro" in words[5].split(b",") or b"ro" in special,
                others=tuple(_unescape(o.partition(b"=")[2]) for o in special if o.startswith((b"logdev=", b"rtdev="))),
            )
        )
    return found


def _unescape(word: bytes) -> str:
    r"""A word in which blanks, tabs, line ends, backslashes and # stand as \ooo (fs/proc_namespace.c)."""
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8) & 0xFF]), word))


def _by_device(found: list[Mount]) -> dict[Devno, list[Mount]]:
    by_device: dict[Devno, list[Mount]] = {}
    btrfs = _btrfs_members() if any(mount.filesystem == "btrfs" for mount in found) else []
    for mount in found:
        devnos = {mount.devno} if mount.devno[0] else set(map(_node_devno, _sources(mount)))
        devnos |= {_node_devno(path) for path in mount.others}
        for members in btrfs if mount.filesystem == "btrfs" else ():
            if members & devnos:
                devnos |= members
        for devno in devnos:
            if devno is not None:
                by_device.setdefault(devno, []).append(mount)
    return by_device


def _sources(mount: Mount) -> list[str]:
    return mount.source.split(":") if mount.filesystem == "bcachefs" else [mount.source]


def _btrfs_members() -> list[set[Devno | None]]:
    """The devices of each btrfs that is mounted. Only one of them is named in mountinfo."""
    found: list[set[Devno | None]] = []
    for uuid in _names(f"{_SYS}/fs/btrfs"):
        folder = f"{_SYS}/fs/btrfs/{uuid}/devices"
        found.append({_sysfs_devno(f"{folder}/{name}") for name in _names(folder)} - {None})
    return found


def swaps() -> dict[Devno, Swap]:
    """The devices that are swapped to; swap files are not among them, they are on what is mounted."""
    found = {}
    for line in _read(f"{_PROC}/swaps").split(b"\n")[1:]:
        words = line.split()
        if len(words) < 5 or words[1] != b"partition":
            continue
        path = _unescape(words[0])
        devno = _node_devno(path.removesuffix(" (deleted)"))
        if devno is not None:
            size, used, priority = map(int, words[2:5])  # in KiB
            found[devno] = Swap(path, size * 1024, used * 1024, priority)
    return found


def above(devno: Devno) -> list[Holder]:
    """The devices that stand on a device: those that the kernel links as its holders, loop devices over its node."""
    found = []
    start = _sysfs_folder(devno)
    for name in _names(f"{start}/holders"):
        folder = f"{start}/holders/{name}"
        own = _sysfs_devno(folder)
        dm_name = _text(f"{folder}/dm/name")
        if dm_name:
            found.append(Holder("dm", unmangled(dm_name), name, devno=own))
        elif os.path.isdir(f"{folder}/md"):
            found.append(Holder("md", name, _text(f"{folder}/md/level"), devno=own))
        else:
            found.append(Holder("other", name, "block device", devno=own))
    for name in _names(start):
        if os.path.exists(f"{start}/{name}/partition"):
            found.append(Holder("other", name, "partition", devno=_sysfs_devno(f"{start}/{name}")))
    return found + list(_loops(devno))


def _loops(devno: Devno) -> Iterator[Holder]:
    for name in _names(f"{_SYS}/block"):
        if not name.startswith(("loop", "zram")):
            continue
        folder = f"{_SYS}/block/{name}"
        path = _text(f"{folder}/loop/backing_file") or _text(f"{folder}/backing_dev")
        if path and _node_devno(path.removesuffix(" (deleted)")) == devno:
            kind = "loop" if name.startswith("loop") else "other"
            yield Holder(kind, name, path, devno=_sysfs_devno(folder))


def find(name: str) -> Devno:
    """The block device that is meant: a dm device's name, the path of a node (/dev/ may be left out of one with a
    slash), or MAJOR:MINOR. NotFoundError where there is none."""
    with suppress(ValueError):
        devno = units.parse_devno(name)
        if os.path.isdir(_sysfs_folder(devno)):
            return devno
    if "/" in name:
        try:
            status = os.stat(os.path.join("/dev", name))
        except (OSError, ValueError) as error:
            raise NotFoundError(f"{name}: {getattr(error, 'strerror', error)}.", device=name) from None
        if not stat.S_ISBLK(status.st_mode):
            raise NotFoundError(f"{name} is not a block device.", device=name)
        return _devno_of(status)
    try:
        return Device(name).info().devno
    except DmctlError as error:
        if error.exit_status == ExitStatus.NOT_FOUND:
            raise NotFoundError(f"There is no device {name!r}.", errno=error.errno, device=name) from None
        for folder in _names(f"{_SYS}/block"):  # what sysfs tells, it tells everybody
            devno_there = _sysfs_devno(f"{_SYS}/block/{folder}")
            if devno_there and _text(f"{_SYS}/block/{folder}/dm/name") == name:
                return devno_there
        raise


def holders(devno: Devno) -> Holders:
    """Everything that is found to hold a device, devices above it first."""
    found = Holders(above(devno))
    found += [Holder("mount", mount.point, mount.detail) for mount in mounts().get(devno, ())]
    swap = swaps().get(devno)
    if swap:
        used = f"{units.format_size(swap.used_bytes)} of {units.format_size(swap.size_bytes)} used"
        found.append(Holder("swap", swap.path, used))
    search = _Processes(devno)
    found += search.run()
    found.unseen_processes = search.unseen
    if not found and not found.unseen_processes:
        # Asked last: who closed it meanwhile is no holder any more.
        opened = _open_count(devno)
        if opened:
            found.append(Holder("other", "kernel", f"open count {opened}; nothing in /proc or /sys tells of whom"))
    return found


class _Processes:
    """Looks through all processes once: open descriptors, memory maps, and mounts in mount namespaces not our own."""

    def __init__(self, devno: Devno):
        self._devno = devno
        self.unseen = 0
        own = parse_mountinfo(_read(f"{_PROC}/self/mountinfo"))
        self._remote = tuple(
            mount.point + "/" for mount in own if mount.filesystem.partition(".")[0] in _REMOTE and mount.point != "/"
        )
        # Whether what is mapped is the device, by the file's own device and inode: most processes map the same files.
        self._known_maps: dict[bytes, bool] = {}
        # A process and how many namespaces, for each mount point and what is mounted there.
        self._elsewhere: dict[tuple[str, str], list[int]] = {}
        self._namespaces = {_link(f"{_PROC}/self/ns/mnt")}

    def run(self) -> list[Holder]:
        found = []
        for pid in sorted(int(name) for name in _names(_PROC) if name.isdecimal()):
            try:
                self._namespace(pid)
                ways = self._descriptors(pid)
                if self._has_mapped(pid):
                    ways.append("mapped")
            except PermissionError:
                self.unseen += not _is_kernel_thread(pid)
                continue
            except OSError:  # it has ended
                continue
            if ways:
                found.append(Holder("process", _text(f"{_PROC}/{pid}/comm"), ", ".join(ways), pid=pid))
        return [self._mount(*one) for one in self._elsewhere.items()] + found

    def _mount(self, mount: tuple[str, str], pids: list[int]) -> Holder:
        where = f"in the mount namespace of process {pids[0]}"
        more = f" and of {len(pids) - 1} more" if len(pids) > 1 else ""
        return Holder("mount", mount[0], f"{mount[1]}, {where}{more}", pid=pids[0])

    def _namespace(self, pid: int) -> None:
        namespace = os.readlink(f"{_PROC}/{pid}/ns/mnt")
        if namespace in self._namespaces:
            return
        text = _read(f"{_PROC}/{pid}/mountinfo")
        if text:  # of a process that is ending it is empty, while others may live in the same namespace
            self._namespaces.add(namespace)
        there = {(mount.point, mount.detail) for mount in _by_device(parse_mountinfo(text)).get(self._devno, ())}
        for mount in sorted(there):
            self._elsewhere.setdefault(mount, []).append(pid)

    def _descriptors(self, pid: int) -> list[str]:
        found = []
        for number in os.listdir(f"{_PROC}/{pid}/fd"):
            with suppress(OSError):  # closed meanwhile, or a file on a file system that fails
                if self._is_device(f"{_PROC}/{pid}/fd/{number}") and not _is_path_only(pid, number):
                    found.append(int(number))
        return [f"fd {', '.join(map(str, sorted(found)))}"] if found else []

    def _is_device(self, link: str) -> bool:
        """Whether a link of /proc leads to a node of the device, wherever that node is and whatever its name."""
        if self._remote and os.readlink(link).startswith(self._remote):
            return False
        status = os.stat(link)
        return stat.S_ISBLK(status.st_mode) and _devno_of(status) == self._devno

    def _has_mapped(self, pid: int) -> bool:
        for line in _read_or_raise(f"{_PROC}/{pid}/maps").split(b"\n"):
            words = line.split(None, 5)
            if len(words) < 6 or not words[5].startswith(b"/"):
                continue
            file = b" ".join(words[3:5])
            mapped = self._known_maps.get(file)
            if mapped is None:
                try:
                    # The same numbers are padded with zeros in maps.
                    start, _, end = words[0].partition(b"-")
                    mapped = self._is_device(f"{_PROC}/{pid}/map_files/{int(start, 16):x}-{int(end, 16):x}")
                except PermissionError:  # only root may follow these links, even of a process of one's own
                    mapped = _node_devno(_unescape(words[5])) == self._devno
                except OSError:
                    continue
                self._known_maps[file] = mapped
            if mapped:
                return True
        return False


def _is_path_only(pid: int, number: str) -> bool:
    flags = re.search(rb"^flags:\s*([0-7]+)", _read(f"{_PROC}/{pid}/fdinfo/{number}"), re.MULTILINE)
    return bool(flags and int(flags[1], 8) & _O_PATH)


def _is_kernel_thread(pid: int) -> bool:
    words = _read(f"{_PROC}/{pid}/stat").rpartition(b")")[2].split()
    return len(words) > 6 and bool(int(words[6]) & _PF_KTHREAD)


def _open_count(devno: Devno) -> int:
    """How often a dm device is open; 0 where that cannot be known."""
    if not os.path.isdir(f"{_sysfs_folder(devno)}/dm"):
        return 0
    try:
        return max(0, Device(devno=devno).info().open_count)
    except DmctlError:
        return 0


def _sysfs_folder(devno: Devno) -> str:
    return f"{_SYS}/dev/block/{devno[0]}:{devno[1]}"


def _sysfs_devno(folder: str) -> Devno | None:
    try:
        return units.parse_devno(_text(f"{folder}/dev"))
    except ValueError:
        return None


def _node_devno(path: str) -> Devno | None:
    """The device of a node in /dev; None of anything else."""
    if not path.startswith("/dev/"):
        return None
    try:
        status = os.stat(path)
    except OSError:
        return None
    return _devno_of(status) if stat.S_ISBLK(status.st_mode) else None


def _devno_of(status: os.stat_result) -> Devno:
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _read_or_raise(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _read(path: str) -> bytes:
    try:
        return _read_or_raise(path)
    except OSError:
        return b""


def _text(path: str) -> str:
    """The line of a file in sysfs, "" where there is none."""
    return os.fsdecode(_read(path).removesuffix(b"\n"))
