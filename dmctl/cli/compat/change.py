# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands that change devices. Each takes the command line and its operands, and raises on failure."""

import os

from dmctl import libdm
from dmctl.cli import signals, stream
from dmctl.cli.compat.common import device, for_all, options, show_info
from dmctl.cli.compat.run import Failed, report
from dmctl.cli.compat.switches import CommandLineError, Request, atoi, parse_sector
from dmctl.device import Device, list_devices
from dmctl.device import remove_all as remove_all_devices
from dmctl.errors import DmctlError
from dmctl.libdm import task as dm
from dmctl.table import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def create(request: Request, operands: list[str], multiple: bool) -> None:
    """create NAME [TABLE_FILE]"""
    if request.has("concise"):
        raise Failed("create --concise is not available yet.")
    if not operands:
        raise Failed("Please provide a name for the new device.")
    numbers = request.numbers
    with signals.Raised():
        info = Device(operands[0], options=options(request)).create(
            None if request.has("notable") else _lines(request, operands[1:]),
            uuid=request.texts.get("uuid"),
            read_only=request.has("readonly"),
            major=numbers.get("major"),
            minor=numbers.get("minor"),
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
    show_info(request, device(request, operands).suspend(want_info=request.verbosity > 0))


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
            if request.cookie:
                stream.error("WARNING: Use of cookie and --force is not compatible.")
            try:
                _wipe(request, operands[0])
            except DmctlError as error:
                report(request, error)
        device(request, operands).remove(retry=request.has("retry"), deferred=request.has("deferred"))


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
