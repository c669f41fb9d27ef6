# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl build: a table line, or a device, from arguments with names, units and checks."""

import argparse
import dataclasses
import difflib
import os
from typing import NoReturn

from dmctl.check import ERROR, MAX_TARGET_NAME_BYTES, device_facts
from dmctl.cli import native_options, stream
from dmctl.cli.native import NATIVE
from dmctl.cli.spec import Option
from dmctl.cli.target_options import TargetParser, description, without_words
from dmctl.cli.usage import row
from dmctl.device import Device, Options
from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.table import Line, Table
from dmctl.targets import TARGETS, Arguments, arguments_class

OPERANDS = "TARGET ARGUMENT... [--OPTION VALUE...] [--size SIZE] [--then TARGET ARGUMENT...]..."
TEXT = (
    "dmctl build TARGET --help explains the target's arguments. Sizes may have units: 8s, 64K, 1.5G, 10MB. "
    "Where the devices tell the length of a line, --size may be left out."
)
OPTIONS = (
    Option("create", "", "NAME", "Make a device with the table instead of printing it"),
    Option("uuid", "", "UUID", "The uuid of that device"),
    Option("readonly", "", "", "Make that device read-only"),
    Option("then", "", "", "What follows is the next line's target and arguments"),
    Option("size", "", "SIZE", "The length of a line"),
    Option("json", "", "", "Print JSON"),
    Option("showkeys", "", "", "Print keys, not zeros in their place"),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # What does not belong there may be a key.
        message = without_words(message)
        raise UsageError(f"{message[:1].upper()}{message[1:]}.")


def build(words: list[str]) -> int:
    """Print a table, or make a device with it; the exit status."""
    parser = _Parser(
        "dmctl build",
        usage=f"dmctl build {OPERANDS}".replace(" [--then", f"\n{'[--then':>26}"),
        epilog=TEXT,
        description=NATIVE["build"][1],
        add_help=False,
        allow_abbrev=False,
    )
    for option in OPTIONS:
        if option.long != "size":  # of each line
            more = {"metavar": option.argument} if option.argument else {"action": "store_true"}
            parser.add_argument(f"--{option.long}", help=f"{option.help}.", **more)  # type: ignore[arg-type]
    segments = _segments(words)
    options = argparse.Namespace()
    for place, segment in enumerate(segments):
        options, segments[place] = parser.parse_known_args(segment, options)
    if segments[0][:1] in (["--help"], ["-h"]):
        stream.write(_help(parser))
        return ExitStatus.DONE
    if segments == [[]]:
        stream.error(_help(parser).rstrip("\n"))
        return ExitStatus.USAGE
    if [] in segments:
        raise UsageError("On both sides of --then there must be a TARGET with its arguments.")
    if options.create is None and (options.uuid is not None or options.readonly):
        raise UsageError("--uuid and --readonly are for a device, which --create NAME makes.")
    made: list[Arguments] = []
    lines: list[Line] = []
    for target, *rest in segments:
        parser_of_target = TargetParser(_class_of(target))
        if "--help" in rest or "-h" in rest:
            stream.write(parser_of_target.format_help())
            return ExitStatus.DONE
        arguments, length = parser_of_target.read(rest)
        if length is None:
            length = _length(arguments)
        made.append(arguments)
        lines.append(arguments.line(lines[-1].end_sectors if lines else 0, length))
    _check(Table(lines), devices_must_exist=options.create is not None)
    if options.create is not None:
        Device(options.create, options=Options()).create(lines, uuid=options.uuid, read_only=options.readonly)
    _show(lines, made, options)
    return ExitStatus.DONE


def _show(lines: list[Line], made: list[Arguments], options: argparse.Namespace) -> None:
    shown = lines if options.showkeys else list(map(_without_keys, lines, made))
    if options.json:
        _print_json(shown, made, options)
    elif options.create is None:
        stream.write(Table(shown).format())
        if shown != lines:
            # Such a table can be loaded, and nothing would say that all is encrypted with zeros.
            stream.error("dmctl: warning: zeros stand in the place of the key; --showkeys prints it.")


def _segments(words: list[str]) -> list[list[str]]:
    """The words of each line."""
    segments = [list[str]()]
    for word in words:
        if word == "--then":
            segments.append([])
        else:
            segments[-1].append(word)
    return segments


def _help(parser: argparse.ArgumentParser) -> str:
    lines = [parser.format_help(), "Targets:"]
    for target in TARGETS:
        told = description(_class_of(target)).partition(": ")[2].partition(" (drivers/")[0]
        lines += row(target, told.partition(": ")[0], 19)
    return "\n".join(lines) + "\n"


def _class_of(target: str) -> type[Arguments]:
    cls = arguments_class(target)
    if cls is None:
        if len(os.fsencode(target)) > MAX_TARGET_NAME_BYTES:  # it may be a key
            raise UsageError("TARGET is no target that dmctl knows; no target's name is so long.")
        near = difflib.get_close_matches(target, TARGETS, 1)
        hint = f"; did you mean {near[0]}?" if near else "; dmctl build --help lists them."
        raise UsageError(f"There is no target {target!r} that dmctl knows{hint}")
    return cls


def _size_sectors(device: str) -> int:
    facts = device_facts(device)
    # What does not look like a device may be a misplaced key.
    shown = repr(device) if "/" in device or ":" in device else "the device"
    if facts is None:
        raise DmctlError(f"--size must be given, as {shown} is not a block device that exists.")
    if not facts.size_sectors:
        raise DmctlError(f"--size must be given, as the size of {shown} cannot be found out.")
    return facts.size_sectors


def _length(arguments: Arguments) -> int:
    """The length of a line in sectors, from its devices."""
    try:
        length = arguments.default_length_sectors(_size_sectors)
    except DmctlError as error:
        raise UsageError(f"{arguments.target}: {error}") from None
    if length is None:
        raise UsageError(f"{arguments.target}: --size must be given, as no device tells it.")
    if length <= 0:
        raise UsageError(f"{arguments.target}: nothing of the device is left from that offset on.")
    return length


def _check(table: Table, *, devices_must_exist: bool) -> None:
    """Refuse what the kernel would refuse; without a device to make, the table may be for another machine."""
    for finding in table.check(device=device_facts if devices_must_exist else None):
        line = table[finding.line - 1]
        where = f"line {finding.line}, {line.target}: " if len(table) > 1 else f"{line.target}: "
        told = where + finding.message.removeprefix(f"{line.target}: ")
        if finding.severity == ERROR:
            raise UsageError(told)
        stream.error(f"dmctl: warning: {told}")


def _without_keys(line: Line, arguments: Arguments) -> Line:
    hidden = arguments.to_dict()
    secret = {name: hidden[name] for name, spec in arguments.specs().items() if spec.secret}
    return dataclasses.replace(arguments, **secret).line(line.start_sectors, line.length_sectors)


def _print_json(lines: list[Line], made: list[Arguments], options: argparse.Namespace) -> None:
    rows = [
        {
            "start_sectors": line.start_sectors,
            "length_sectors": line.length_sectors,
            "target": line.target,
            "params": line.params,
            "arguments": arguments.to_dict(show_keys=options.showkeys),
        }
        for line, arguments in zip(lines, made, strict=True)
    ]
    stream.write(native_options.as_json("build", {"name": options.create, "lines": rows}))
