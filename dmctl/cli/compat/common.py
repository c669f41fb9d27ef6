# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the compatible commands share: the device of a command line, all devices, the long form of info."""

from dmctl.cli import stream
from dmctl.cli.compat.run import Failed, report
from dmctl.cli.compat.switches import Request
from dmctl.device import Device, Options, each_device
from dmctl.errors import DmctlError
from dmctl.info import Info

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dmctl.info import ListEntry


def options(request: Request) -> Options:
    """How the command line wants requests to be made."""
    return Options(
        no_open_count=request.has("noopencount"),
        inactive=request.has("inactive"),
        checks=request.has("checks"),
        no_flush=request.has("noflush"),
        skip_lockfs=request.has("nolockfs"),
        cookie=request.cookie,
        no_udev_rules=request.has("noudevrules"),
        library_fallback=request.own_dev_dir or (request.has("verifyudev") and not request.cookie),
    )


def device(request: Request, operands: list[str]) -> Device:
    """The device that a command is about: its operand, else -u, else -j and -m."""
    wanted = options(request)
    if operands:
        return Device(operands[0], options=wanted)
    if request.has("uuid"):
        return Device(uuid=request.texts["uuid"], options=wanted)
    if request.has("major"):
        return Device(devno=(request.numbers["major"], request.numbers["minor"]), options=wanted)
    return Device(options=wanted)


def names_no_device(request: Request, operands: list[str]) -> bool:
    """Whether the command line leaves out every device, which means all of them."""
    return not operands and not request.has("uuid") and not request.has("major")


def for_all(request: Request, act: "Callable[[ListEntry], None]", *, silent: bool = False) -> None:
    """Do something for every device in the kernel's order. A failure does not keep it from the others."""
    found = failed = False
    for entry in each_device(options(request)):
        found = True
        try:
            act(entry)
        except DmctlError as error:
            report(request, error)
            failed = True
    if not found and not silent and not request.json:
        stream.write("No devices found\n")
    if failed:
        raise Failed("")


def show_info(request: Request, info: Info | None) -> None:
    """Print what -v adds to a command, where it was asked for."""
    if info is not None and request.verbosity:
        stream.write(info_text(info))


def info_text(info: Info) -> str:
    """dmsetup's long form of info, with the blank line that ends it."""
    state = "SUSPENDED" if info.suspended else "ACTIVE"
    state += " (READ-ONLY)" if info.read_only else ""
    state += " (DEFERRED REMOVE)" if info.deferred_remove else ""
    tables = ("LIVE",) * info.live_table + ("INACTIVE",) * info.inactive_table
    lines = [f"Name:              {info.name}", f"State:             {state}"]
    if info.read_ahead_sectors is not None:
        lines.append(f"Read Ahead:        {info.read_ahead_sectors}")
    lines.append(f"Tables present:    {' & '.join(tables) or 'None'}")
    if info.open_count != -1:
        lines.append(f"Open count:        {info.open_count}")
    lines.append(f"Event number:      {info.event_nr}")
    lines.append(f"Major, minor:      {info.devno[0]}, {info.devno[1]}")
    if info.target_count != -1:
        lines.append(f"Number of targets: {info.target_count}")
    if info.uuid:
        lines.append(f"UUID: {info.uuid}")
    return "\n".join(lines) + "\n\n"
