# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libdevmapper does not give: the kernel's log, whether udev is running and at work, the next event."""

import errno
import os

from dmctl.errors import DmctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

CONTROL = "/dev/mapper/control"
_UDEV_CONTROL = "/run/udev/control"
_PREFIX = "device-mapper: "
# printk_ext_log: a record is at most 1024 - 32 bytes of text, and 8 KiB is what read(2) must offer (kernel/printk).
_RECORD_BYTES = 8192


def udev_running() -> bool:
    """Whether a udevd is there to create nodes and to complete cookies: libudev's own test."""
    return os.path.exists(_UDEV_CONTROL)


def udev_settle() -> bool:
    """Wait until udev has worked off the events that there are now: its rules open devices to look at them.

    False where it has not after 10 s. Without a udevd, or where its program is missing, there is nothing to wait for.
    """
    import subprocess

    if not udev_running():
        return True
    try:
        done = subprocess.run(["udevadm", "settle", "--timeout=10"], capture_output=True, check=False)
    except OSError:
        return True
    return done.returncode == 0


def _module_folder() -> str:
    return f"/lib/modules/{os.uname().release}"


def has_module_index() -> bool:
    """Whether target_loadable() can know: a kernel without modules, as in many containers, has no index."""
    return os.path.exists(f"{_module_folder()}/modules.dep")


def target_loadable(target: str) -> bool:
    """Whether the running kernel's module index has the module that the kernel asks for when it lacks a target.

    drivers/md/dm-target.c requests "dm-TARGET", a module's name or an alias of one.
    """
    wanted = f"dm-{target}".replace("-", "_")
    for index in ("modules.dep", "modules.builtin", "modules.alias"):
        try:
            with open(f"{_module_folder()}/{index}", encoding="ascii", errors="replace") as lines:
                for line in lines:
                    name = line.split()[1] if index == "modules.alias" else line.partition(":")[0].strip()
                    if os.path.basename(name).partition(".")[0].replace("-", "_") == wanted:
                        return True
        except (OSError, IndexError):
            continue
    return False


class KernelLog:
    """What device-mapper writes to the kernel's log from now on.

    Opened before a request and read after its failure: the kernel stores a line before the ioctl returns. Where
    /dev/kmsg cannot be opened (dmesg_restrict, no such device) it is empty; that is not an error.
    Lines of requests that other processes make meanwhile cannot be told apart but by the device number in them.
    """

    __slots__ = ("_fd",)

    def __init__(self) -> None:
        self._fd = -1
        try:
            self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back; lines() is empty from here on."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def lines(self) -> tuple[str, ...]:
        """The device-mapper lines since the log was opened or last read, oldest first, without "device-mapper: "."""
        found: list[str] = []
        while self._fd >= 0:
            try:
                record = os.read(self._fd, _RECORD_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.EPIPE:  # records were overwritten before they could be read: go on behind them
                    continue
                break
            text = _text_of(record)
            if text.startswith(_PREFIX):
                found.append(text[len(_PREFIX) :])
        return tuple(found)


def _text_of(record: bytes) -> str:
    """The message of a /dev/kmsg record, "priority,sequence,time,flags;text\\n KEY=value…" (Documentation/ABI)."""
    head, _, rest = record.partition(b";")
    text = rest.partition(b"\n")[0] if head else b""
    return text.decode("utf-8", "replace")


def open_control() -> int:
    """A descriptor of the device-mapper's control node. Raises DmctlError with errno."""
    try:
        return os.open(CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise DmctlError(f"{CONTROL} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None


class Listed:
    """A device as the control node tells of it; name and uuid as the kernel has them, mangled by libdevmapper.

    uuid, suspended and inactive_table are None where only the list was asked for.
    """

    __slots__ = ("devno", "event_nr", "inactive_table", "name", "suspended", "uuid")

    def __init__(
        self,
        name: str,
        devno: tuple[int, int],
        event_nr: int,
        *,
        uuid: str | None = None,
        suspended: bool | None = None,
        inactive_table: bool | None = None,
    ):
        self.name = name
        self.devno = devno
        self.event_nr = event_nr
        self.uuid = uuid
        self.suspended = suspended
        self.inactive_table = inactive_table


class EventPoll:
    """Waits for the next event of any device (DM_DEV_ARM_POLL, dm ioctl 4.37, Linux 4.13). Enter raises DmctlError.

    arm(), look at the devices, wait(): an event after the arm() ends the wait, so that none is missed. Events are those
    of targets, and devices that are made, renamed and removed, and tables that become live; not a suspend or its end.
    """

    # _IOWR(DM_IOCTL, number of the command, struct dm_ioctl)
    _ARM_POLL, _LIST_DEVICES, _DEV_STATUS = 0xC138FD10, 0xC138FD02, 0xC138FD07
    _REQUEST_BYTES = 312  # struct dm_ioctl
    _SUSPENDED, _INACTIVE, _BUFFER_FULL = 1 << 1, 1 << 6, 1 << 8

    def __init__(self) -> None:
        self._list_bytes = 16384

    def __enter__(self) -> "Self":
        self._descriptor = open_control()
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        os.close(self._descriptor)

    def fileno(self) -> int:
        """The descriptor, for a poll of one's own: readable from an event on."""
        return self._descriptor

    def arm(self) -> None:
        """What has happened until now is known."""
        self._ask(self._ARM_POLL, self._REQUEST_BYTES)

    def wait(self, seconds: float) -> bool:
        """Until the next event, or so long; whether there was one."""
        import select

        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))

    def devices(self) -> "list[Listed]":
        """All devices with their event counters: struct dm_name_list (include/uapi/linux/dm-ioctl.h)."""
        import struct

        while True:
            answer = self._ask(self._LIST_DEVICES, self._list_bytes)
            at, flags = struct.unpack_from("=I8xI", answer, 16)  # data_start, flags
            if not flags & self._BUFFER_FULL:
                break
            self._list_bytes *= 2
        found = []
        following = 1
        while following:
            number, following = struct.unpack_from("=QI", answer, at)
            if not number:
                break
            end = answer.index(0, at + 12)
            (event_nr,) = struct.unpack_from("=I", answer, (end + 8) & ~7)
            found.append(Listed(os.fsdecode(bytes(answer[at + 12 : end])), _devno(number), event_nr))
            at += following
        return found

    def state(self, devno: tuple[int, int]) -> "Listed | None":
        """What the kernel tells of one device, None where there is none of that number."""
        import struct

        try:
            answer = self._ask(self._DEV_STATUS, self._REQUEST_BYTES, os.makedev(*devno))
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENODEV):
                return None
            raise
        flags, event_nr = struct.unpack_from("=2I", answer, 28)
        name, uuid = (os.fsdecode(bytes(answer[at : answer.index(0, at)])) for at in (48, 176))
        return Listed(
            name,
            devno,
            event_nr,
            uuid=uuid,
            suspended=bool(flags & self._SUSPENDED),
            inactive_table=bool(flags & self._INACTIVE),
        )

    def _ask(self, command: int, size_bytes: int, number: int = 0) -> bytearray:
        import fcntl
        import struct

        # Version 4.0.0, the size, and where data would begin.
        answer = bytearray(size_bytes)
        struct.pack_into("=5I20xQ", answer, 0, 4, 0, 0, size_bytes, self._REQUEST_BYTES, number)
        fcntl.ioctl(self._descriptor, command, answer)
        return answer


def _devno(number: int) -> tuple[int, int]:
    return os.major(number), os.minor(number)
