# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands that show devices: ls, info, deps, status, table. Text and JSON are made of the same objects."""

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.common import device, for_all, info_text, names_no_device, options
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.switches import Request
from dmctl.device import Device, list_devices
from dmctl.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl.device import ListEntry


def ls(request: Request, operands: list[str], multiple: bool) -> None:
    """ls [-o devno|blkdevname|devname] [--target TYPE]"""
    if request.has("exec"):
        raise Failed("--exec is not available yet.")
    if request.json:
        from dmctl.cli.output import list_entry

        wanted = request.texts.get("target")
        for entry in list_devices(options(request)):
            if wanted is None or any(line.target == wanted for line in _of(request, entry).status()[0]):
                request.gathered.append(list_entry(entry))
    elif request.has("target"):
        for_all(request, lambda entry: _list_if_target(request, entry))
    else:
        for_all(request, lambda entry: _list(request, entry))


def _of(request: Request, entry: "ListEntry") -> Device:
    return Device(entry.name, options=options(request))


def _list(request: Request, entry: "ListEntry") -> None:
    major, minor = entry.devno
    stream.write(f"{entry.name}\t({_device_name(request, entry.devno) or f'{major}:{minor}'})\n")


def _list_if_target(request: Request, entry: "ListEntry") -> None:
    lines, info = _of(request, entry).status()
    if any(line.target == request.texts["target"] for line in lines):
        stream.write(f"{entry.name}\t({info.devno[0]}, {info.devno[1]})\n")


def _device_name(request: Request, devno: tuple[int, int]) -> str | None:
    """The name that -o asks for; None for a number, asked for or for want of a name."""
    if request.device_names == "devno":
        return None
    return libdm.device_name(*devno, kernel_name=request.device_names == "blkdevname")


def info(request: Request, operands: list[str], multiple: bool) -> None:
    """info [DEVICE]"""
    if names_no_device(request, operands):
        for_all(request, lambda entry: _show_info(request, _of(request, entry)))
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
        for_all(request, lambda entry: _show_deps(request, _of(request, entry), entry.name, True))
    else:
        _show_deps(request, device(request, operands), operands[0] if operands else "(null)", multiple)


def _show_deps(request: Request, target: Device, name: str, multiple: bool) -> None:
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
    _lines_of_all(request, operands, multiple, table=False)


def table(request: Request, operands: list[str], multiple: bool) -> None:
    """table [DEVICE]"""
    if request.has("concise"):
        raise Failed("table --concise is not available yet.")
    _lines_of_all(request, operands, multiple, table=True)


def _lines_of_all(request: Request, operands: list[str], multiple: bool, *, table: bool) -> None:
    if request.has("exec"):
        raise Failed("--exec is not available yet.")
    if names_no_device(request, operands):
        for_all(request, lambda entry: _show_lines(request, _of(request, entry), True, table=table))
    else:
        _show_lines(request, device(request, operands), multiple, table=table)


def _show_lines(request: Request, target: Device, multiple: bool, *, table: bool) -> None:
    lines, found = (target.table if table else target.status)(read_ahead=request.verbosity > 0)
    if table and not request.has("showkeys"):
        lines = [line.hide_keys() for line in lines]
    wanted = request.texts.get("target")
    if wanted is not None:
        lines = [line for line in lines if line.target == wanted]
    if request.json:
        from dmctl.cli.output import lines_object

        if lines or wanted is None:
            request.gathered.append(lines_object(found, lines, "params" if table else "status"))
        return
    if not lines and wanted is not None:
        return
    if request.verbosity:
        stream.write(info_text(found))
    prefix = f"{target.name or found.name}: " if multiple and not request.verbosity else ""
    for line in lines:
        stream.write(f"{prefix}{line.format()}\n")
    if not lines:  # a device without a table has an empty line
        stream.write(f"{prefix}\n")
    if request.verbosity and multiple:
        stream.write("\n")
