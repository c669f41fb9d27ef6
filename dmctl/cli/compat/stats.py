# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmstats: the subcommands that make, group, print and remove statistics regions."""

from dmctl.cli import stream
from dmctl.cli.compat.common import device, for_all, names_no_device
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.stats_sizes import area_count, areas_step, region_number, sectors
from dmctl.cli.compat.switches import Request
from dmctl.device import Device
from dmctl.errors import DmctlError
from dmctl.libdm.stats import ALL_PROGRAMS, NO_GROUP, PROGRAM, Bounds, Stats, supports_precise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Subcommand = Callable[[Request, list[str]], None]
    OnDevice = Callable[[Request, Stats, str], None]


def stats(request: Request, operands: list[str], multiple: bool) -> None:
    """stats COMMAND [DEVICE]"""
    if request.subcommand not in _SUBCOMMANDS:
        stream.error("Unknown stats command.")
        _help(request, operands)
        raise Failed("")
    if request.has("allprograms") and request.has("programid"):
        raise Failed("Please supply one of --allprograms and --programid")
    if request.has("allregions") and request.has("regionid"):
        raise Failed("Please supply one of --allregions and --regionid")
    if request.has("follow") and request.has("nomonitor"):
        raise Failed("Use of --follow is incompatible with --nomonitor.")
    if not request.as_dmsetup:
        _check_words(request)
    if request.subcommand not in ("list", "report", "version"):
        request.columns = None
    _SUBCOMMANDS[request.subcommand](request, operands)


def _check_words(request: Request) -> None:
    """Refuse what the kernel or libdevmapper would take apart: its lines are words, and an alias ends at a colon."""
    for option in ("alias", "programid", "userdata"):
        if any(letter.isspace() for letter in request.texts.get(option, "")):
            raise Failed(f"--{option} cannot contain blanks.")
    if any(letter in ":\\" for letter in request.texts.get("alias", "")):
        raise Failed("--alias cannot contain a colon or a backslash.")


def _help(request: Request, operands: list[str]) -> None:
    from dmctl.cli.usage import print_stats_usage

    print_stats_usage(request.program, personality=request.is_dmstats)
    if request.has("columns") or operands[:1] == ["report"]:
        from dmctl.cli.compat.columns import print_fields

        print_fields(request)


def _version(request: Request, operands: list[str]) -> None:
    from dmctl.cli.compat.kernel import version

    version(request, operands, False)


def _report(request: Request, operands: list[str]) -> None:
    """list and report."""
    assert request.columns is not None
    columns = request.columns
    if names_no_device(request, operands):
        for_all(request, lambda entry: columns.add_device(Device(entry.name, options=device(request, []).options)))
        return
    try:
        columns.add_device(device(request, operands))
    except DmctlError:
        request.columns = None
        raise


def _on_each(request: Request, operands: list[str], program: str, act: "OnDevice", *, needs_wish: bool) -> None:
    """Do something with the statistics of the device that the line names, or of every one.

    needs_wish: every device only with --alldevices.
    """
    if not names_no_device(request, operands):
        _on_device(request, operands[0] if operands else None, program, act)
        return
    if needs_wish and not request.has("alldevices"):
        raise Failed("Please specify device(s) or use --alldevices.")
    for_all(request, lambda entry: _on_device(request, entry.name, program, act))


def _on_device(request: Request, name: str | None, program: str, act: "OnDevice") -> None:
    with Stats(program) as handle:
        if name is not None:
            handle.bind_name(name)
        elif request.has("uuid"):
            handle.bind_uuid(request.texts["uuid"])
        elif request.has("major"):
            handle.bind_devno((request.numbers["major"], request.numbers["minor"]))
        act(request, handle, "(null)" if name is None else name)


def attempt(message: str, act: "Callable[..., None]", *arguments: int) -> None:
    """Do something that libdevmapper may refuse, and say what could not be done, behind the library's own line."""
    try:
        act(*arguments)
    except DmctlError as error:
        if isinstance(error, Failed):
            raise
        raise Failed(message) from error


def _refresh(handle: Stats, program: str | None = None) -> None:
    attempt("", lambda: handle.refresh(program))


def _clear(request: Request, operands: list[str]) -> None:
    if not request.has("regionid") and not request.has("allregions"):
        raise Failed("Please specify a --regionid or use --allregions.")
    _on_each(request, operands, PROGRAM, _clear_on, needs_wish=False)


def _clear_on(request: Request, handle: Stats, name: str) -> None:
    _refresh(handle)
    if not handle.region_count:
        return
    for region in _wanted(request, handle):
        if not handle.has_region(region):
            raise Failed(f"No such region: {region}.")
        attempt(f"Clearing statistics region {region} failed.", handle.clear_region, region)


def _wanted(request: Request, handle: Stats) -> "list[int]":
    """The regions of the line: that of --regionid, or all."""
    one = region_number(request, "regionid")
    return list(handle.regions()) if request.has("allregions") or one == NO_GROUP else [one]


def _create(request: Request, operands: list[str]) -> None:
    if request.has("allregions"):
        raise Failed("Cannot use --allregions with create.")
    if request.has("allprograms"):
        raise Failed("Cannot use --allprograms with create.")
    if request.has("areas") and request.has("areasize"):
        raise Failed("Please specify one of --areas and --areasize.")
    if request.texts.get("programid") == "" and not request.has("force"):
        raise Failed("Creating a region with no program id requires --force.")
    if request.has("filemap"):
        from dmctl.cli.compat.stats_files import create_from_file

        create_from_file(request, operands)
        return
    if names_no_device(request, operands) and not request.has("alldevices"):
        raise Failed("Please specify device(s) or use --alldevices.")
    step = areas_step(request)
    start, length = sectors(request, "start"), sectors(request, "length")
    program = request.texts.get("programid", PROGRAM)

    def on_device(request: Request, handle: Stats, name: str) -> None:
        target = device(request, [] if name == "(null)" else [name])
        _create_on(request, handle, target, (start, length, step), program)

    _on_each(request, operands, PROGRAM, on_device, needs_wish=True)


def check_driver(request: Request) -> None:
    """Refuse what the kernel's driver is too old for."""
    for option in ("precise", "bounds"):
        if request.has(option) and not supports_precise():
            raise Failed(f"Using --{option} requires driver version 4.32.0 or later.")


def _create_on(request: Request, handle: Stats, target: Device, where: tuple[int, int, int], program: str) -> None:
    start, length, step = where
    check_driver(request)
    if not program:
        handle.use_no_program()
    if request.has("alias") and request.has("nogroup"):
        raise Failed("Cannot set alias with --nogroup.")
    bounds = bounds_of(request)
    target.options.no_open_count = True
    lines, info = target.table()
    extents = [(line.start_sectors, line.length_sectors) for line in lines] or [(0, 0)]
    if not request.has("segments"):
        size = sum(length for _, length in extents)
        if not request.as_dmsetup:
            length = _length_within(info.name, size, start, length)
        extents = [(start, length or size)]
    made: list[int] = []
    try:
        for first, sectors in extents:
            made.append(
                handle.create_region(
                    first, sectors, step, request.has("precise"), bounds, program, request.texts.get("userdata", "")
                )
            )
            stream.write(
                f"{info.name}: Created new region with {area_count(sectors, step)} area(s) as region ID {made[-1]}\n"
            )
    except DmctlError as error:
        if not request.as_dmsetup:
            for region in made:
                handle.delete_region(region)
        raise Failed(f"{info.name}: Could not create statistics region.") from error
    if request.has("segments") and not request.has("nogroup"):
        _group_segments(request, handle, made)


def _length_within(name: str, size: int, start: int, length: int) -> int:
    """The sectors of a region, by default up to the device's end. The kernel would take one that no request reaches."""
    if start >= size:
        raise Failed(f"--start must be before the end of {name}, {size} sectors, not {start}.")
    if start + length > size:
        raise Failed(f"--length from sector {start} on must be at most {size - start} sectors on {name}, not {length}.")
    return length or size - start


def bounds_of(request: Request) -> Bounds | None:
    """The histogram of --bounds."""
    if not request.has("bounds"):
        return None
    try:
        return Bounds(request.texts["bounds"])
    except DmctlError as error:
        raise Failed("") from error


def _group_segments(request: Request, handle: Stats, made: list[int]) -> None:
    alias = request.texts.get("alias")
    regions = ",".join(map(str, made))
    _refresh(handle)

    def group() -> None:
        number = handle.create_group(regions, alias)
        told = f" with alias {alias}" if alias is not None else ""
        stream.write(f"Grouped regions {regions} as group ID {number}{told}\n")

    attempt(f"Failed to create group for regions {regions}.", group)


def _delete(request: Request, operands: list[str]) -> None:
    if request.has("regionid") and request.has("groupid"):
        raise Failed("Please use one of --regionid and --groupid.")
    if not any(request.has(option) for option in ("regionid", "allregions", "groupid")):
        raise Failed("Please specify a --regionid or --groupid, or use --allregions.")
    program = ALL_PROGRAMS if request.has("allprograms") else request.texts.get("programid", PROGRAM)

    def on_device(request: Request, handle: Stats, name: str) -> None:
        _delete_on(request, handle, program)

    _on_each(request, operands, program, on_device, needs_wish=True)


def _delete_on(request: Request, handle: Stats, program: str) -> None:
    if request.has("allregions") or request.has("groupid"):
        _refresh(handle, program)
        if request.has("allregions") and not handle.region_count:
            return
    if request.has("groupid"):
        group = group_number(request, handle)
        attempt("Could not delete statistics group.", lambda: handle.delete_group(group, regions=True))
        stream.write(f"Deleted statistics group {group}.\n")
    elif request.has("allregions"):
        for region in handle.regions():
            attempt("Could not delete statistics region.", handle.delete_region, region)
    else:
        region = region_number(request, "regionid")
        attempt("Could not delete statistics region", handle.delete_region, region)


def group_number(request: Request, handle: Stats) -> int:
    """The group of --groupid: its number, or, in dmctl, its alias."""
    text = request.texts["groupid"]
    if not request.as_dmsetup and not text.isdecimal():
        for group in handle.regions():
            if handle.has_group(group) and handle.group_alias(group) == text:
                return group
        raise Failed(f'No group has the alias "{text}".')
    return region_number(request, "groupid")


def _print(request: Request, operands: list[str]) -> None:
    if not request.has("regionid") and not request.has("allregions"):
        raise Failed("Please specify a --regionid or use --allregions.")
    _on_each(request, operands, PROGRAM, _print_on, needs_wish=False)


def _print_on(request: Request, handle: Stats, name: str) -> None:
    _refresh(handle)
    if not request.has("allregions"):
        _print_region(request, handle, region_number(request, "regionid"))
        return
    for region in list(handle.regions()):
        _print_region(request, handle, region)
        if request.as_dmsetup:  # it prints each region twice
            _print_region(request, handle, region)


def _print_region(request: Request, handle: Stats, region: int) -> None:
    attempt(
        "Could not print statistics region.",
        lambda: stream.write(handle.print_region(region, clear=request.has("clear"))),
    )


def _group(request: Request, operands: list[str]) -> None:
    if not request.has("regions"):
        raise Failed("Group requires --regions.")
    _on_each(request, operands, PROGRAM, _group_on, needs_wish=True)


def _group_on(request: Request, handle: Stats, name: str) -> None:
    regions = request.texts["regions"]
    _refresh(handle)

    def group() -> None:
        number = handle.create_group(regions, request.texts.get("alias"))
        stream.write(f"Grouped regions {regions} as group ID {number} on {name}\n")

    attempt(f"Could not create group on {name}: {regions}", group)


def _ungroup(request: Request, operands: list[str]) -> None:
    if not request.has("groupid"):
        raise Failed("Please specify group id.")
    _on_each(request, operands, PROGRAM, _ungroup_on, needs_wish=True)


def _ungroup_on(request: Request, handle: Stats, name: str) -> None:
    _refresh(handle)
    group = group_number(request, handle)
    told = f"Removed group ID {group} on {name}\n"
    try:
        handle.delete_group(group, regions=False)
    except DmctlError as error:
        if request.as_dmsetup:
            stream.write(told)
        raise Failed(f"Could not delete group {group} on {name}.") from error
    stream.write(told)


def _update_filemap(request: Request, operands: list[str]) -> None:
    from dmctl.cli.compat.stats_files import update_from_file

    update_from_file(request, operands)


_SUBCOMMANDS: "dict[str, Subcommand]" = {
    "help": _help,
    "clear": _clear,
    "create": _create,
    "delete": _delete,
    "group": _group,
    "list": _report,
    "print": _print,
    "report": _report,
    "ungroup": _ungroup,
    "update_filemap": _update_filemap,
    "version": _version,
}
