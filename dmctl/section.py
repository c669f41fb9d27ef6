# SPDX-License-Identifier: LGPL-2.1-or-later
"""The critical section: devices suspended for a moment, and resumed whatever happens.

    run([Device("origin")], [(Device("pool"), "create_snap 5 1")])

    with suspended_group([Device("data"), Device("log")]):
        ...

While a device is suspended, whoever waits for it waits for whoever is to resume it, and cannot be killed. So nothing of
this process may wait for it: signals are held back and the process is locked in memory. Should it die all the same, a
second process resumes the devices; it also kills the first one where that takes longer than the time limit. Should both
die, recover() finds in INTENTS what there is to resume. The C side is dmctl/_native/section.c.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from dmctl import control, holders, names
from dmctl._section import ffi, lib
from dmctl.device import Device
from dmctl.errors import DeviceError, DmctlError, ExitStatus, NotFoundError
from dmctl.info import Info

INTENTS = "/run/dmctl/sections"
"""A file for each section that is under way, locked while one of its two processes lives."""
TIMEOUT_SECONDS = 30.0

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_SWAPS = "/proc/swaps"


class SectionError(DmctlError):
    """A device that must not, or could not, be suspended. Nothing is suspended any more.

    devices: the names of those that are meant.
    """

    def __init__(self, message: str, *, errno: int = 0, devices: tuple[str, ...] = ()):
        super().__init__(message, errno=errno)
        self.devices = devices

    @property
    def exit_status(self) -> int:
        return ExitStatus.BUSY if self.errno in (0, errno.EBUSY) else super().exit_status


class LeftSuspendedError(DmctlError):
    """The kernel has refused to resume a device. devices: the name of one that is suspended still."""

    def __init__(self, message: str, *, errno: int = 0, devices: tuple[str, ...] = ()):
        super().__init__(message, errno=errno)
        self.devices = devices


class MessageError(DmctlError):
    """The kernel has refused a message. The ones before it were carried out, those behind it were not sent.

    index: its place among the messages.
    """

    def __init__(self, message: str, *, errno: int, index: int):
        super().__init__(message, errno=errno)
        self.index = index


@dataclass(frozen=True, slots=True)
class Flags:
    """How devices are suspended: with file systems frozen, and what is under way flushed. no_flush implies that file
    systems are not frozen: the kernel does so."""

    lockfs: bool = True
    flush: bool = True


@dataclass(frozen=True, slots=True)
class Recovered:
    """What recover() did about a device: resumed it, or left it for a reason."""

    name: str
    resumed: bool
    why: str = ""


class _Section:
    """The C object, and what it needs to stay open."""

    def __init__(
        self,
        stack: ExitStack,
        devices: Sequence[Device],
        messages: Sequence[tuple[Device, str]],
        flags: Sequence[Flags],
        timeout_seconds: float,
    ):
        infos = [device.info() for device in devices]
        self.names = tuple(info.name for info in infos)
        _refuse(infos)
        for info in infos:
            self._hold(stack, info)
        descriptor = control.open_control()
        stack.callback(os.close, descriptor)
        intent = stack.enter_context(_intent(infos))
        room = (len(infos), len(messages), int(timeout_seconds * 1000))
        self.pointer = ffi.gc(lib.dmctl_section_open(descriptor, intent, *room), lib.dmctl_section_close)
        if self.pointer == ffi.NULL:
            raise MemoryError
        for info, how in zip(infos, flags, strict=True):
            lib.dmctl_section_device(self.pointer, *info.devno, not how.flush, not how.lockfs)
        self.texts = [text for _, text in messages]
        targets: dict[int, tuple[int, int]] = {}
        for device, text in messages:
            devno = targets.setdefault(id(device), device.devno or device.info().devno)
            if lib.dmctl_section_message(self.pointer, *devno, os.fsencode(text)):
                raise MemoryError
        self.failure = ffi.new("struct dmctl_section_failure *")

    @staticmethod
    def _hold(stack: ExitStack, info: Info) -> None:
        """Keep the device from being removed, so that its number cannot become another one's."""
        with suppress(OSError):  # without a node nobody else would find it either
            stack.callback(os.close, os.open(names.node(info.devno), os.O_RDONLY | os.O_CLOEXEC))

    def check(self, error: int) -> None:
        """Raise what the failure stands for."""
        if not error:
            return
        step, index = self.failure.step, self.failure.index
        reason = os.strerror(self.failure.error)
        if step == lib.DMCTL_SECTION_MESSAGE:
            raise MessageError(f"The message {self.texts[index]} was refused: {reason}.", errno=error, index=index)
        name = self.names[index] if index < len(self.names) else ""
        if step == lib.DMCTL_SECTION_RESUME:
            why = f"{name} is left suspended, the kernel refuses to resume it: {reason}. Try dmctl resume {name}."
            raise LeftSuspendedError(why, errno=error, devices=(name,))
        if step == lib.DMCTL_SECTION_SUSPEND:
            raise SectionError(f"{name} cannot be suspended: {reason}.", errno=error, devices=(name,))
        raise SectionError(f"Nothing was suspended: no process could be made ready to undo it ({reason}).", errno=error)


def run(
    devices: Sequence[Device],
    messages: Sequence[tuple[Device, str]],
    *,
    flags: Flags | Sequence[Flags] = Flags(),
    timeout_seconds: float = TIMEOUT_SECONDS,
    _test: tuple[int, int] | None = None,
) -> list[int]:
    """Suspend the devices, send the messages, resume the devices. For how long each was suspended, in nanoseconds.

    flags: for all devices, or for each. timeout_seconds: after which this process is killed, and the devices resumed.

    Raises SectionError, before anything is suspended, where a device is suspended already, has a new table loaded (the
    resume would bring it live), or is swapped to; MessageError; LeftSuspendedError; DeviceError.
    """
    with ExitStack() as stack:
        section = _Section(stack, devices, messages, _for_each(flags, devices), timeout_seconds)
        if _test:
            lib.dmctl_section_test(section.pointer, *_test)
        section.check(lib.dmctl_section_run(section.pointer, section.failure))
        return [lib.dmctl_section_nanoseconds(section.pointer, number) for number in range(len(devices))]


@contextmanager
def suspended_group(
    devices: Sequence[Device],
    *,
    flags: Flags | Sequence[Flags] = Flags(),
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[None]:
    """The devices are suspended inside the `with`, and resumed in reverse on every way out.

    What is inside must not wait for any of them: no file, no program and no log line on a file system above them.
    Everything that it imports must have been imported before. Raises as run() does.
    """
    with ExitStack() as stack:
        section = _Section(stack, devices, (), _for_each(flags, devices), timeout_seconds)
        try:  # from here on: ^C may have come before signals were held back, and be raised behind the call
            section.check(lib.dmctl_section_enter(section.pointer, section.failure))
            yield
        finally:
            section.check(lib.dmctl_section_leave(section.pointer, section.failure))


def _for_each(flags: Flags | Sequence[Flags], devices: Sequence[Device]) -> Sequence[Flags]:
    return [flags] * len(devices) if isinstance(flags, Flags) else flags


def _refuse(infos: Sequence[Info]) -> None:
    swapped = _swapped_to()
    for info in infos:
        why = ""
        if info.suspended:
            why = "is suspended already"
        elif info.inactive_table:
            why = "has a new table loaded, which a resume would bring live"
        elif _stands_below(info.devno, swapped):
            why = "holds swap space, without which this process might never resume it"
        if why:
            raise SectionError(f"{info.name} {why}.", devices=(info.name,))


def _swapped_to() -> set[tuple[int, int]]:
    """The devices that are swapped to, and those with file systems that have swap files."""
    found = set(holders.swaps())
    with open(_SWAPS, "rb") as file:
        for line in file.read().splitlines()[1:]:
            path, kind, *_ = line.split()
            if kind == b"file":
                # In /proc/swaps a blank is \040.
                with suppress(OSError):
                    number = os.stat(path.decode("unicode_escape").encode("latin-1")).st_dev
                    found.add((os.major(number), os.minor(number)))
    return found


def _stands_below(devno: tuple[int, int], devices: set[tuple[int, int]]) -> bool:
    """Whether one of them is this device, or stands on it."""
    if devno in devices:
        return True
    above = [holder.devno for holder in holders.above(devno) if holder.devno is not None]
    return any(_stands_below(one, devices) for one in above)


# ---- intents ----


@contextmanager
def _intent(infos: Sequence[Info]) -> Iterator[int]:
    """A file that names the devices, and is locked for as long as somebody has the descriptor open."""
    name = f"{os.getpid()}-{os.urandom(8).hex()}"
    text = json.dumps(
        {
            "boot_id": _boot_id(),
            "devices": [{"name": info.name, "uuid": info.uuid, "devno": info.devno} for info in infos],
        }
    )
    # Locked before it has its name: else it could be taken for one whose owner is dead.
    with ExitStack() as stack:
        try:
            os.makedirs(INTENTS, mode=0o700, exist_ok=True)
            descriptor = os.open(INTENTS, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            folder = os.open(INTENTS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, text.encode())
            # With a descriptor of a folder it is linkat(), which alone follows /proc's link.
            os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=folder)
            stack.callback(os.unlink, name, dir_fd=folder)
        except OSError as error:
            message = f"Nothing was suspended: {INTENTS} cannot be written: {error.strerror}."
            raise SectionError(message, errno=error.errno or 0) from None
        yield descriptor


def recover() -> list[Recovered]:
    """Resume what sections have left suspended whose processes were both killed.

    Only a device that is the one that the section has suspended, by number and uuid, and has no new table loaded.
    Raises DmctlError where INTENTS may not be read.
    """
    done: list[Recovered] = []
    try:
        found = sorted(os.listdir(INTENTS))
    except FileNotFoundError:
        return done
    except OSError as error:
        raise DmctlError(f"{INTENTS} cannot be read: {error.strerror}.", errno=error.errno or 0) from None
    for name in found:
        try:
            descriptor = os.open(f"{INTENTS}/{name}", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:  # over by now
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            done += _recover(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(f"{INTENTS}/{name}")
        except BlockingIOError:
            pass  # under way
        finally:
            os.close(descriptor)
    return done


def _recover(descriptor: int) -> Iterator[Recovered]:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        try:
            intent = json.load(file)
        except ValueError:  # killed while it was written: nothing was suspended yet
            return
    if intent["boot_id"] != _boot_id():
        return
    for told in reversed(intent["devices"]):
        device = Device(devno=tuple(told["devno"]))
        try:
            info = device.info()
        except NotFoundError:
            continue
        same = info.uuid == told["uuid"] and (info.uuid or info.name == told["name"])
        if not same or not info.suspended:
            continue
        if info.inactive_table:
            yield Recovered(info.name, False, "it has a new table loaded")
            continue
        try:
            device.resume()
        except DeviceError as error:
            yield Recovered(info.name, False, str(error))
        else:
            yield Recovered(info.name, True)


def _boot_id() -> str:
    with open(_BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
