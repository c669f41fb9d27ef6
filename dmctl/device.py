# SPDX-License-Identifier: LGPL-2.1-or-later
"""Device-mapper devices: make, load, suspend, resume, inspect and remove them.

    with Device("vault").create([Line(0, 2048, "linear", "7:0 0")]) ...

A Device names a device; it holds nothing open, and the device need not exist. Every method asks the kernel once, raises
DeviceError with the kernel's reason when it refuses, and returns plain values. Sizes are 512-byte sectors.
"""

import os

from dmctl import control
from dmctl.errors import DeviceError
from dmctl.info import Info, ListEntry
from dmctl.libdm import memory, udev
from dmctl.libdm import task as dm
from dmctl.libdm.task import Task
from dmctl.table import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType


_TARGETS_WITH_KEYS = ("crypt", "integrity")


class Options:
    """How requests are made. One object serves any number of them.

    no_open_count, inactive, checks, no_flush, skip_lockfs: the dm_task flags of these names.
    cookie: number of a udev transaction that somebody else waits for, 0 for one of our own per request.
    no_udev_rules: udev leaves the device alone; libdevmapper makes the node only with library_fallback.
    library_fallback: libdevmapper makes a node that udev has failed to make (dmsetup's --verifyudev).
    """

    __slots__ = (
        "checks",
        "cookie",
        "inactive",
        "library_fallback",
        "no_flush",
        "no_open_count",
        "no_udev_rules",
        "skip_lockfs",
    )

    def __init__(
        self,
        *,
        no_open_count: bool = False,
        inactive: bool = False,
        checks: bool = False,
        no_flush: bool = False,
        skip_lockfs: bool = False,
        cookie: int = 0,
        no_udev_rules: bool = False,
        library_fallback: bool = False,
    ):
        self.no_open_count = no_open_count
        self.inactive = inactive
        self.checks = checks
        self.no_flush = no_flush
        self.skip_lockfs = skip_lockfs
        self.cookie = cookie
        self.no_udev_rules = no_udev_rules
        self.library_fallback = library_fallback

    def transaction(self) -> udev.Cookie:
        """The udev transaction that a request of these options belongs to."""
        flags = 0
        if self.no_udev_rules:
            flags |= udev.DISABLE_DM_RULES | udev.DISABLE_SUBSYSTEM_RULES
        # Without a udevd nobody else would make the node (dmsetup 1.02.185 leaves the device without one).
        if not self.library_fallback and control.udev_running():
            flags |= udev.DISABLE_LIBRARY_FALLBACK
        return udev.Cookie(self.cookie, flags)

    def apply(self, task: Task) -> None:
        """Set the flags that every request knows."""
        if self.no_open_count:
            task.no_open_count()
        if self.inactive:
            task.query_inactive_table()
        if self.checks:
            task.enable_checks()


class Device:
    """A device by name (or path of its node), by uuid, or by (major, minor).

    options: how every request of this object is made.
    """

    __slots__ = ("devno", "name", "options", "uuid")

    def __init__(
        self,
        name: str | None = None,
        *,
        uuid: str | None = None,
        devno: tuple[int, int] | None = None,
        options: Options | None = None,
    ):
        self.name = name
        self.uuid = uuid
        self.devno = devno
        self.options = options or Options()

    def __repr__(self) -> str:
        return f"Device({self.name!r}, uuid={self.uuid!r}, devno={self.devno!r})"

    def task(self, kind: int) -> Task:
        """A request about this device, with its identity set but not yet its options."""
        task = Task(kind)
        try:
            if self.name is not None:
                task.set_name(self.name)
            elif self.uuid is not None:
                task.set_uuid(self.uuid)
            elif self.devno is not None:
                task.set_major(self.devno[0])
                task.set_minor(self.devno[1])
            else:
                raise DeviceError("No device specified.")
        except BaseException:
            task.close()
            raise
        return task

    def create(
        self,
        lines: "Iterable[Line] | None",
        *,
        uuid: str | None = None,
        read_only: bool = False,
        major: int | None = None,
        minor: int | None = None,
        uid: int | None = None,
        gid: int | None = None,
        mode: int | None = None,
        read_ahead: tuple[int, int] | None = None,
        add_node: int = dm.ADD_NODE_ON_RESUME,
        want_info: bool = False,
    ) -> Info | None:
        """Make the device, load the lines and resume it; on failure nothing is left of it.

        lines None, or without any line: a device without a table, not resumed, its node left to make_nodes().
        read_ahead: (sectors, flags) of Task.set_read_ahead(). mode, uid, gid: of the node, where libdevmapper makes it.
        """
        with self.task(dm.CREATE) as task:
            if uuid is not None:
                task.set_uuid(uuid)
            has_table = _add_lines(task, lines or ())
            if read_only:
                task.set_read_only()
            for value, setter in (
                (major, task.set_major),
                (minor, task.set_minor),
                (uid, task.set_uid),
                (gid, task.set_gid),
                (mode, task.set_mode),
            ):
                if value is not None:
                    setter(value)
            self.options.apply(task)
            if read_ahead:
                task.set_read_ahead(*read_ahead)
            task.set_add_node(add_node)
            # Without a resume there is no uevent, so nobody would complete a cookie: dmsetup 1.02.185 waits for ever
            # on an empty table.
            self._run(task, synchronised=has_table)
            return Info(task, read_ahead=True) if want_info else None

    def load(self, lines: "Iterable[Line]", *, read_only: bool = False, want_info: bool = False) -> Info | None:
        """Load lines into the inactive table. Lines are taken one by one after the device's name was accepted."""
        with self.task(dm.RELOAD) as task:
            _add_lines(task, lines)
            if read_only:
                task.set_read_only()
            self.options.apply(task)
            task.run()
            return Info(task, read_ahead=True) if want_info else None

    def clear(self, *, want_info: bool = False) -> Info | None:
        """Drop the inactive table."""
        return self._change(dm.CLEAR, want_info=want_info)

    def suspend(self, *, want_info: bool = False) -> Info | None:
        """Hold back I/O, after flushing what is under way (unless no_flush) and freezing the file system
        (unless skip_lockfs)."""
        return self._change(dm.SUSPEND, want_info=want_info)

    def resume(
        self,
        *,
        read_ahead: tuple[int, int] | None = None,
        add_node: int = dm.ADD_NODE_ON_RESUME,
        want_info: bool = False,
    ) -> Info | None:
        """Make an inactive table the live one and let I/O go on."""
        return self._change(dm.RESUME, read_ahead=read_ahead, add_node=add_node, want_info=want_info)

    def remove(self, *, retry: bool = False, deferred: bool = False) -> None:
        """Remove the device. retry: try for 5 s while it is busy. deferred: when its last user closes it."""
        self._change(dm.REMOVE, retry=retry, deferred=deferred)

    def wait(self, event_nr: int = 0, *, want_info: bool = False) -> Info | None:
        """Return as soon as the event counter differs from event_nr (0: at once, if there ever was an event)."""
        return self._change(dm.WAIT_EVENT, event_nr=event_nr, want_info=want_info)

    def rename(self, name: str) -> None:
        """Give the device another name."""
        self._rename(lambda task: task.set_newname(name))

    def set_uuid(self, uuid: str) -> None:
        """Give a uuid to a device that has none; a second one is refused by the kernel (EINVAL)."""
        self._rename(lambda task: task.set_newuuid(uuid))

    def wipe(self, length_sectors: int, *, read_only: bool = False, options: Options | None = None) -> None:
        """Put an error target in place of the table, live; what was held back fails.

        length_sectors: the device's size, from length_sectors(). options, if given, are for the resume (no_flush and
        skip_lockfs keep it from hanging on a dead device).
        """
        self.load([Line(0, length_sectors, "error", "")], read_only=read_only)
        resumed = Device(self.name, uuid=self.uuid, devno=self.devno, options=options or self.options)
        try:
            resumed.resume()
        except DeviceError:
            resumed.clear()
            raise

    def length_sectors(self) -> int:
        """Size of the device as its table has it, 0 without a table."""
        return sum(line.length_sectors for line in self.table()[0])

    def message(self, sector: int, text: str) -> str | None:
        """Send a message to the target at sector; its answer, or None where the target gives none."""
        with self.task(dm.TARGET_MESSAGE) as task:
            task.set_sector(sector)
            task.set_message(text)
            self.options.apply(task)
            task.run()
            return task.message_response()

    def info(self, *, read_ahead: bool = False) -> Info:
        """State, counters and numbers. NotFoundError where there is no such device."""
        with self.task(dm.INFO) as task:
            self.options.apply(task)
            task.run()
            return Info(task, read_ahead=read_ahead)

    def deps(self, *, read_ahead: bool = False) -> tuple[list[tuple[int, int]], Info]:
        """(major, minor) of the devices that the table uses, in the kernel's order, and the device's own state."""
        with self.task(dm.DEPS) as task:
            self.options.apply(task)
            task.run()
            devnos = [(os.major(number), os.minor(number)) for number in task.deps()]
            return devnos, Info(task, read_ahead=read_ahead)

    def table(self, *, read_ahead: bool = False) -> tuple[list[Line], Info]:
        """The live table (the inactive one with options.inactive), keys and all, and the device's state."""
        return self._lines(dm.TABLE, read_ahead=read_ahead)

    def status(self, *, read_ahead: bool = False) -> tuple[list[Line], Info]:
        """The targets' status, as lines whose params are status text, and the device's state."""
        return self._lines(dm.STATUS, read_ahead=read_ahead)

    def measure(self, *, read_ahead: bool = False) -> tuple[list[Line], Info]:
        """What the kernel measures of the table for IMA, as lines whose params are that text; the device's state."""
        return self._lines(dm.STATUS, read_ahead=read_ahead, ima=True)

    def set_geometry(self, cylinders: str, heads: str, sectors: str, start: str) -> None:
        """Set the geometry that HDIO_GETGEO tells; numbers as text, for libdevmapper to judge."""
        with self.task(dm.SET_GEOMETRY) as task:
            task.set_geometry(cylinders, heads, sectors, start)
            self.options.apply(task)
            task.run()

    def suspended(self) -> "Suspended":
        """`with device.suspended():` suspends it, and resumes it on every way out."""
        return Suspended(self)

    def _lines(self, kind: int, *, read_ahead: bool, ima: bool = False) -> tuple[list[Line], Info]:
        with self.task(kind) as task:
            self.options.apply(task)
            if self.options.no_flush:
                task.no_flush()
            if kind == dm.TABLE:
                task.secure_data()
            if ima:
                task.ima_measurement()
            task.run()
            info = Info(task, read_ahead=read_ahead)
            return [
                Line(start, length, target, params)
                for start, length, target, params in task.targets()
                if target is not None
            ], info

    def _change(
        self,
        kind: int,
        *,
        read_ahead: tuple[int, int] | None = None,
        add_node: int = dm.ADD_NODE_ON_RESUME,
        event_nr: int = 0,
        retry: bool = False,
        deferred: bool = False,
        want_info: bool = False,
    ) -> Info | None:
        with self.task(kind) as task:
            if event_nr:
                task.set_event_nr(event_nr)
            self.options.apply(task)
            if self.options.no_flush:
                task.no_flush()
            if self.options.skip_lockfs:
                task.skip_lockfs()
            task.set_add_node(add_node)
            if read_ahead:
                task.set_read_ahead(*read_ahead)
            if retry:
                task.retry_remove()
            if deferred:
                task.deferred_remove()
            if kind in (dm.RESUME, dm.REMOVE):
                self._run(task)
            else:
                task.run()
            return Info(task, read_ahead=True) if want_info else None

    def _rename(self, set_new: "Callable[[Task], None]") -> None:
        with self.task(dm.RENAME) as task:
            set_new(task)
            self.options.apply(task)
            self._run(task)

    def _run(self, task: Task, *, synchronised: bool = True) -> None:
        """Run a request that raises a uevent, and wait for udev unless somebody else does."""
        if not synchronised:
            with udev.Unsynchronised(), self.options.transaction() as cookie:
                cookie.attach(task)
                task.run()
            return
        with self.options.transaction() as cookie:
            cookie.attach(task)
            task.run()


class Suspended:
    """Keeps a device suspended inside a `with`; one that was suspended already is left as it was.

    All that the resume needs is imported before the suspend, and the process is locked in memory meanwhile: the
    suspended device may hold the root file system.
    """

    __slots__ = ("_device", "_held", "_locked")

    def __init__(self, device: Device):
        self._device = device
        self._held = False
        self._locked = False

    def __enter__(self) -> Device:
        if not self._device.info().suspended:
            self._locked = memory.lock()
            self._held = True  # before the request: ^C is seen only after the kernel has carried it out
            try:
                self._device.suspend()
            except DeviceError:
                self._held = False
                self._unlock()
                raise
        return self._device

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._held:
            try:
                self._device.resume()
            except DeviceError:
                self._held = False  # __del__ would do no better
                raise
            self._held = False
        self._unlock()

    def __del__(self) -> None:
        if getattr(self, "_held", False):  # an interrupt came between the statements above
            self._device.resume()
        if getattr(self, "_locked", False):
            self._unlock()

    def _unlock(self) -> None:
        if self._locked:
            self._locked = False
            memory.unlock()


def _add_lines(task: Task, lines: "Iterable[Line]") -> bool:
    """Give lines to a task; whether there was any. Where one may hold a key, the buffers are wiped afterwards."""
    added = False
    for line in lines:
        if line.target in _TARGETS_WITH_KEYS:
            task.secure_data()
        task.add_target(line.start_sectors, line.length_sectors, line.target, line.params)
        added = True
    return added


def each_device(options: Options | None = None) -> "Iterator[ListEntry]":
    """All devices, in the kernel's order, as they are when the first is asked for."""
    with Task(dm.LIST) as task:
        if options and options.checks:
            task.enable_checks()
        task.run()
        for name, number in task.names():
            yield ListEntry(name, (os.major(number), os.minor(number)))


def list_devices(options: Options | None = None) -> list[ListEntry]:
    """All devices, in the kernel's order."""
    return list(each_device(options))


def target_version(target: str) -> tuple[int, int, int]:
    """The version of a target, whose module is loaded for that.

    Raises DeviceError: the kernel has no such target, or cannot be asked (since dm ioctl 4.41, Linux 5.4).
    """
    with Task(dm.TARGET_VERSION) as task:
        task.set_name(target)
        task.run()
        ((_, version),) = task.versions()
        return version


def remove_all(options: Options | None = None, *, deferred: bool = False) -> None:
    """Remove every device that nobody has open. The kernel skips the others without a word."""
    options = options or Options()
    with Task(dm.REMOVE_ALL) as task:
        options.apply(task)
        if deferred:
            task.deferred_remove()
        task.run()
