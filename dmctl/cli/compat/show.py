# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands that show devices: ls, info, deps, status, table. Text and JSON are made of the same objects."""

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.common import device, for_all, info_text, names_no_device, options
from dmctl.cli.compat.execute import Command
from dmctl.cli.compat.switches import Request
from dmctl.device import Device
from dmctl.errors import NotFoundError
from dmctl.info import Info
from dmctl.table import Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dmctl.info import ListEntry

    Read = Callable[..., tuple[list[Line], Info]]


def ls(request: Request, operands: list[str], multiple: bool) -> None:
    """ls [-o devno|blkdevname|devname] [--target TYPE] [--exec COMMAND]"""
    command = _command_to_exec(request)
    if request.json:
        _for_each(request, lambda target: _gather(request, target))
    elif request.has("target") or command:
        _for_each(request, lambda target: _list_if_target(request, target, command))
    elif request.has("tree"):
        from dmctl.cli.compat.forest import draw

        entries: list[ListEntry] = []
        for_all(request, entries.append)
        draw(request, entries)
    else:
        for_all(request, lambda entry: _list(request, entry))


def _for_each(request: Request, act: "Callable[[Device], None]") -> None:
    wanted = options(request)
    for_all(request, lambda entry: act(Device(entry.name, options=wanted)))


def _command_to_exec(request: Request) -> Command | None:
    text = request.texts.get("exec")
    return Command(request, text) if text is not None else None


def _list(request: Request, entry: "ListEntry") -> None:
    major, minor = entry.devno
    stream.write(f"{entry.name}\t({_device_name(request, entry.devno) or f'{major}:{minor}'})\n")


def _gather(request: Request, target: Device) -> None:
    from dmctl.cli.output import list_object

    wanted = request.texts.get("target")
    lines, info = target.status() if wanted is not None else ([], target.info())
    if wanted is None or any(line.target == wanted for line in lines):
        request.gathered.append(list_object(info))


def _list_if_target(request: Request, target: Device, command: Command | None) -> None:
    lines, info = target.status()
    name = target.name or info.name
    wanted = request.texts.get("target")
    if wanted is not None and not any(line.target == wanted for line in lines):
        return
    if command is None or request.verbosity:
        stream.write(f"{name}\t({info.devno[0]}, {info.devno[1]})\n")
    if command:
        command.run(name)


def _device_name(request: Request, devno: tuple[int, int]) -> str | None:
    """The name that -o asks for; None for a number, asked for or for want of a name."""
    if request.device_names == "devno":
        return None
    return libdm.device_name(*devno, kernel_name=request.device_names == "blkdevname")


def info(request: Request, operands: list[str], multiple: bool) -> None:
    """info [DEVICE]"""
    if names_no_device(request, operands):
        _for_each(request, lambda target: _show_info(request, target))
    else:
        _show_info(request, device(request, operands))


def _show_info(request: Request, target: Device) -> None:
    if request.columns is not None and not request.json:
        request.columns.add_device(target)
        return
    found = target.info(read_ahead=True)
    if request.json:
        from dmctl.cli.output import info_object

        request.gathered.append(info_object(found))
    else:
        stream.write(info_text(found))


def deps(request: Request, operands: list[str], multiple: bool) -> None:
    """deps [DEVICE]"""
    if names_no_device(request, operands):
        _for_each(request, lambda target: _show_deps(request, target, target.name, True))
    else:
        _show_deps(request, device(request, operands), operands[0] if operands else "(null)", multiple)


def _show_deps(request: Request, target: Device, name: str | None, multiple: bool) -> None:
    try:
        devnos, found = target.deps(read_ahead=request.verbosity > 0)
    except NotFoundError as error:
        stream.write(f"{error}\n")
        return
    if request.json:
        from dmctl.cli.output import deps_object

        request.gathered.append(deps_object(found, devnos))
        return
    if request.verbosity:
        stream.write(info_text(found))
    elif multiple:
        stream.write(f"{name}: ")
    words = [f" ({_device_name(request, devno) or f'{devno[0]}, {devno[1]}'})" for devno in devnos]
    stream.write(f"{len(devnos)} dependencies\t:{''.join(words)}\n")
    if request.verbosity and multiple:
        stream.write("\n")


def status(request: Request, operands: list[str], multiple: bool) -> None:
    """status [DEVICE]"""
    _lines_of_all(request, operands, multiple, Device.status)


def measure(request: Request, operands: list[str], multiple: bool) -> None:
    """measure [DEVICE]"""
    _lines_of_all(request, operands, multiple, Device.measure)


def table(request: Request, operands: list[str], multiple: bool) -> None:
    """table [DEVICE]"""
    _lines_of_all(request, operands, multiple, Device.table)


def _lines_of_all(request: Request, operands: list[str], multiple: bool, read: "Read") -> None:
    command = _command_to_exec(request)
    if names_no_device(request, operands):
        _for_each(request, lambda target: _show_lines(request, target, True, read, command))
    else:
        _show_lines(request, device(request, operands), multiple, read, command)


def _show_lines(request: Request, target: Device, multiple: bool, read: "Read", command: Command | None) -> None:
    verbose = request.verbosity > 0
    lines, found = read(target, read_ahead=verbose)
    if read is Device.table and not request.has("showkeys"):
        lines = [line.hide_keys() for line in lines]
    wanted = request.texts.get("target")
    if wanted is not None:
        lines = [line for line in lines if line.target == wanted]
        if not lines:
            return
    name = target.name or found.name
    if request.json:
        from dmctl.cli.output import lines_object

        request.gathered.append(lines_object(found, lines, "params" if read is Device.table else "status"))
    elif command is None or verbose:
        if read is Device.table and request.has("concise"):
            _write_concise(request, name, found, lines)
        elif verbose:
            stream.write(info_text(found))
            _write_lines("", lines)
            if multiple:
                stream.write("\n")
        else:
            _write_lines(f"{name}: " if multiple else "", lines)
    if command:
        command.run(name)


def _write_lines(prefix: str, lines: list[Line]) -> None:
    texts = [line.format() for line in lines] or [""]  # a device without a table has an empty line
    stream.write("".join([f"{prefix}{text}\n" for text in texts]))


def _write_concise(request: Request, name: str, found: Info, lines: list[Line]) -> None:
    """All devices on one line, which run() ends."""
    from dmctl.table import ConciseDevice, Table

    if request.concise_written:
        stream.write(";")
    request.concise_written = True
    stream.write(ConciseDevice(name, found.uuid, found.devno[1], found.read_only, Table(lines)).format())
