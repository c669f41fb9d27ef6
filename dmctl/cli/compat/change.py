# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands that change devices. Each takes the command line and its operands, and raises on failure."""

import errno
import os

from dmctl import libdm
from dmctl.cli import signals, stream
from dmctl.cli.compat.common import device, for_all, names_no_device, options, show_info
from dmctl.cli.compat.run import Failed, report
from dmctl.cli.compat.switches import CommandLineError, Request, atoi, parse_sector
from dmctl.device import Device, list_devices
from dmctl.device import remove_all as remove_all_devices
from dmctl.errors import DmctlError
from dmctl.libdm import memory
from dmctl.libdm import task as dm
from dmctl.table import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dmctl.table import ConciseDevice


def create(request: Request, operands: list[str], multiple: bool) -> None:
    """create NAME [TABLE_FILE]"""
    if request.has("concise"):
        _create_concise(request, operands)
        return
    if not operands:
        raise Failed("Please provide a name for the new device.")
    lines = None if request.has("notable") else _lines(request, operands[1:])
    _create(
        request, operands[0], lines, request.texts.get("uuid"), request.numbers.get("minor"), request.has("readonly")
    )


def _create_concise(request: Request, operands: list[str]) -> None:
    """Devices of one specification, one after the other; those before a mistake stay."""
    from dmctl.table import ConciseFormatError, parse_concise

    if any(request.has(option) for option in ("table", "minor", "uuid", "notable", "inactive")):
        raise Failed("--concise is incompatible with --[no]table, --minor, --uuid and --inactive.")
    if len(operands) > 1:
        raise Failed("dmsetup create --concise takes at most one argument")
    text = operands[0] if operands else "".join(_read_lines(0))
    read_only = request.has("readonly")  # as in dmsetup, for the first device
    try:
        # dmsetup prints all that it has read, with the keys in it.
        for planned in parse_concise(text, show_keys=request.as_dmsetup):
            flag = read_only or bool(planned.read_only)
            _create(request, planned.name, _lines_of(planned), planned.uuid or None, planned.minor, flag)
            read_only = False
    except ConciseFormatError as error:
        for message in error.messages[:-1]:
            stream.error(message)
        raise Failed(error.messages[-1]) from None


def _lines_of(device: "ConciseDevice") -> "Iterator[Line]":
    """The lines of its table, read when its name has been accepted."""
    yield from device.table


def _create(  # noqa: PLR0917 - what differs between the two forms of create
    request: Request,
    name: str,
    lines: "Iterator[Line] | None",
    uuid: str | None,
    minor: int | None,
    read_only: bool,
) -> None:
    numbers = request.numbers
    with signals.Raised():
        info = Device(name, options=options(request)).create(
            lines,
            uuid=uuid,
            read_only=read_only,
            major=numbers.get("major"),
            minor=minor,
            uid=numbers.get("uid"),
            gid=numbers.get("gid"),
            mode=numbers.get("mode"),
            read_ahead=request.read_ahead,
            add_node=_add_node(request),
            want_info=request.verbosity > 0,
        )
    show_info(request, info)


def load(request: Request, operands: list[str], multiple: bool) -> None:
    """load DEVICE [TABLE_FILE]"""
    if request.has("notable"):
        raise Failed("--notable only available when creating new device.")
    if not request.has("uuid") and not request.has("major"):
        if not operands:
            raise Failed("Please specify device.")
        name, operands = operands[:1], operands[1:]
    elif len(operands) > 1:
        raise Failed("Too many command line arguments.")
    else:
        name = []
    target = device(request, name)
    info = target.load(_lines(request, operands), read_only=request.has("readonly"), want_info=request.verbosity > 0)
    show_info(request, info)


def _lines(request: Request, operands: list[str]) -> "Iterator[Line]":
    """The table's lines, read only when the device's name has been accepted: from --table, a file, standard input."""
    if request.has("table"):
        source, texts = "", iter(request.texts["table"].split("\n"))
    elif operands:
        source = operands[0]
        try:
            texts = _read_lines(os.open(source, os.O_RDONLY))
        except OSError:
            raise Failed(f"Couldn't open '{source}' for reading.") from None
    else:
        source, texts = "on stdin", _read_lines(0)
    for number, text in enumerate(texts, 1):
        line = Line.parse(text, line_number=number, source=source)
        if line is not None:
            yield line


def _read_lines(descriptor: int) -> "Iterator[str]":
    with open(descriptor, "rb", closefd=descriptor != 0) as table:
        for line in table:
            yield os.fsdecode(line)


def _add_node(request: Request) -> int:
    return dm.ADD_NODE_ON_CREATE if request.has("addnodeoncreate") else dm.ADD_NODE_ON_RESUME


def suspend(request: Request, operands: list[str], multiple: bool) -> None:
    """suspend DEVICE"""
    target = device(request, operands)
    _lock_in_memory(request, target)
    show_info(request, target.suspend(want_info=request.verbosity > 0))


def _lock_in_memory(request: Request, target: Device) -> None:
    """What comes after a suspend may be needed from a file system on that device: if anybody has it open.

    Locking takes half as long as the rest of the command. dmsetup does not ask whether the device is open, so what is
    asked is not logged; nor can it be where libdevmapper's first request logs the interface's version.
    """
    in_use = True
    if not request.verbosity:
        try:
            with libdm.Unlogged():
                in_use = target.info().open_count != 0
        except DmctlError:  # the command itself will say what is wrong
            in_use = False
    if in_use:
        memory.lock()


def resume(request: Request, operands: list[str], multiple: bool) -> None:
    """resume DEVICE"""
    with signals.Raised():
        info = device(request, operands).resume(
            read_ahead=request.read_ahead, add_node=_add_node(request), want_info=request.verbosity > 0
        )
    show_info(request, info)


def clear(request: Request, operands: list[str], multiple: bool) -> None:
    """clear DEVICE"""
    show_info(request, device(request, operands).clear(want_info=request.verbosity > 0))


def wait(request: Request, operands: list[str], multiple: bool) -> None:
    """wait DEVICE [EVENT_NR]"""
    name: list[str] = []
    if not request.has("uuid") and not request.has("major"):
        if not operands:
            raise Failed("No device specified.")
        name, operands = operands[:1], operands[1:]
    event_nr = atoi(operands[-1]) if operands else 0
    show_info(request, device(request, name).wait(event_nr, want_info=request.verbosity > 0))


def wipe_table(request: Request, operands: list[str], multiple: bool) -> None:
    """wipe_table DEVICE"""
    with signals.Raised():
        _wipe(request, operands[0] if operands else "")


def _wipe(request: Request, name: str) -> None:
    if not name:
        raise Failed("No device specified.")
    resume_options = options(request)
    if request.has("force"):  # a flush of a dead device would never end
        resume_options.no_flush = resume_options.skip_lockfs = True
    target = Device(name, options=options(request))
    _lock_in_memory(request, target)
    try:
        length_sectors = target.length_sectors()
    except DmctlError as error:  # dmsetup goes on, for the kernel to refuse an empty table
        report(request, error)
        length_sectors = 0
    target.wipe(length_sectors, read_only=request.has("readonly"), options=resume_options)


def remove(request: Request, operands: list[str], multiple: bool) -> None:
    """remove DEVICE"""
    with signals.Raised():
        if request.has("force") and operands:
            _prepare_for_busy(request, operands)
            if request.cookie:
                stream.error("WARNING: Use of cookie and --force is not compatible.")
            try:
                _wipe(request, operands[0])
            except DmctlError as error:
                report(request, error)
        target = device(request, operands)
        try:
            target.remove(retry=request.has("retry"), deferred=request.has("deferred"))
        except DmctlError as error:
            if error.errno == errno.EBUSY and not request.as_dmsetup:
                from dmctl.cli.compat.busy import tell_holders

                tell_holders(target)
            raise


def _prepare_for_busy(request: Request, operands: list[str]) -> None:
    """Load what tells who holds a device that is open, as long as that can be read: dmctl itself may be on it."""
    if not request.as_dmsetup:
        try:
            if device(request, operands).info().open_count > 0:
                from dmctl.cli.compat import busy  # noqa: F401
        except DmctlError:  # the removal will say what is wrong
            pass


def remove_all(request: Request, operands: list[str], multiple: bool) -> None:
    """remove_all: what succeeds in part succeeds, as in dmsetup."""
    with signals.Raised():
        succeeded = _remove_closed(request)
        if request.has("force"):
            if list_devices(options(request)):
                try:
                    for_all(request, lambda entry: _wipe(request, entry.name), silent=True)
                    succeeded = True
                except DmctlError as error:
                    report(request, error)
                succeeded |= _remove_closed(request)
                left = len(list_devices(options(request)))
                if left:
                    stream.error(f"Unable to remove {left} device(s).")
            succeeded = True
    if not succeeded:
        raise Failed("")


def _remove_closed(request: Request) -> bool:
    """Remove all that nobody uses, and mend the nodes; whether one of the two succeeded."""
    succeeded = False
    try:
        remove_all_devices(options(request), deferred=request.has("deferred"))
        succeeded = True
    except DmctlError as error:
        report(request, error)
    try:
        libdm.make_nodes()
        succeeded = True
    except DmctlError as error:
        report(request, error)
    return succeeded


def rename(request: Request, operands: list[str], multiple: bool) -> None:
    """rename DEVICE NEW_NAME, rename --setuuid DEVICE UUID"""
    target = device(request, operands[:1] if len(operands) == 2 else [])
    with signals.Raised():
        if request.has("setuuid"):
            target.set_uuid(operands[-1])
        else:
            target.rename(operands[-1])


def message(request: Request, operands: list[str], multiple: bool) -> None:
    """message DEVICE SECTOR WORD..."""
    if request.has("uuid") or request.has("major"):
        target = device(request, [])
    else:
        target, operands = device(request, operands[:1]), operands[1:]
    try:
        sector = parse_sector(operands[0])
    except CommandLineError as error:
        raise Failed(str(error)) from None
    words = operands[1:]
    if not words:
        stream.error("No message supplied.")
    response = target.message(sector, " ".join(words))
    if response is not None:
        stream.write(response if response == "" or response.endswith("\n") else response + "\n")


def setgeometry(request: Request, operands: list[str], multiple: bool) -> None:
    """setgeometry DEVICE CYLINDERS HEADS SECTORS START"""
    if request.has("uuid") or request.has("major"):
        target = device(request, [])
    else:
        target, operands = device(request, operands[:1]), operands[1:]
    cylinders, heads, sectors, start = operands[:4]
    target.set_geometry(cylinders, heads, sectors, start)


def mangle(request: Request, operands: list[str], multiple: bool) -> None:
    """mangle [DEVICE]: names as udev can have them (--manglename none: as they are meant)"""
    if names_no_device(request, operands):
        for_all(request, lambda entry: _mangle(request, entry.name, [entry.name]))
    else:
        _mangle(request, operands[0] if operands else None, operands)


def _mangle(request: Request, name: str | None, operands: list[str]) -> None:
    form = request.texts.get("manglename", "auto").lower()
    with device(request, operands).task(dm.STATUS) as task:
        task.run()
        if not task.info().exists:
            raise Failed("")
        uuid = task.uuid()
        name = name or task.name()
        if form == "auto":
            _refuse_twice_mangled(name, uuid)
        mangled = form != "none"
        new_name = task.other_form(uuid=False, mangled=mangled)
        new_uuid = task.other_form(uuid=True, mangled=mangled)
    if uuid != new_uuid:
        stream.error(f"{name}: {uuid}: UUID in incorrect form. ")
        raise Failed("Unable to change device UUID. The device must be deactivated first.")
    if name == new_name:
        stream.write(f"{name}: {uuid or '[no UUID]'}: name {'and UUID ' if uuid else ''}already in correct form\n")
        return
    stream.write(f"{name}: renaming to {new_name}\n")
    with signals.Raised():
        device(request, [name]).rename(new_name)


def _refuse_twice_mangled(name: str, uuid: str) -> None:
    twice = "\\x5cx"  # the backslash of \xNN, mangled itself
    if twice in name:
        raise Failed(
            f'The name "{name}" seems to be mangled more than once. Manual intervention required to rename the device.'
        )
    if twice in uuid:
        raise Failed(
            f'The UUID "{uuid}" seems to be mangled more than once. '
            "Manual intervention required to correct the device UUID."
        )
