# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libdevmapper does not give: the kernel's log, whether udev is running and at work."""

import errno
import os

from dmctl.errors import DmctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

CONTROL = "/dev/mapper/control"
_UDEV_CONTROL = "/run/udev/control"
_UDEV_QUEUE = "/run/udev/queue"  # there while udevd has events
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


def udev_busy() -> bool:
    """Whether udevd has events that it has read and not worked off."""
    return os.path.exists(_UDEV_QUEUE)


def udev_answers() -> bool | None:
    """Whether udevd answers within 10 s. It does so after it has read what the kernel has sent until now.

    None where there is no udevadm to ask it.
    """
    import subprocess

    try:
        done = subprocess.run(["udevadm", "control", "--ping", "--timeout=10"], capture_output=True, check=False)
    except OSError:
        return None
    return done.returncode == 0


def udev_dead() -> bool:
    """Whether udevd has ended and left its socket behind. For when it does not answer: it logs such a question."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as asking:
        try:
            asking.connect(_UDEV_CONTROL)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
    return False


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
