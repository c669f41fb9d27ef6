# SPDX-License-Identifier: LGPL-2.1-or-later
"""Usage and help texts, made from the command table."""

import os

from dmctl.cli import stream
from dmctl.cli.spec import COMMANDS, OPTIONS, STATS_COMMANDS, VERBOSE_HELP, Command, Option

_WIDTH = 80


def print_usage(program: str) -> None:
    """dmsetup's usage: all commands and options, on standard error."""
    name = os.path.basename(program)
    stream.error(f"Usage:\n\n{name} [OPTION...] COMMAND [OPERAND...]\n")
    for command in COMMANDS.values():
        stream.error(f"\t{command.name} {command.usage}".rstrip())
    stream.error("\nOptions:\n")
    for option in OPTIONS:
        stream.error(f"\t{_names(option)}")
    stream.error(
        "\t-v\n\nDEVICE is a name, the path of a node, or, if there is only one, -u UUID or -j MAJOR -m MINOR.\n"
        "A table is read from standard input if neither --table nor a file is given.\n"
    )


def print_stats_usage(program: str, *, personality: bool) -> None:
    """The usage of dmstats, on standard error. personality: called under dmstats's own name."""
    name = os.path.basename(program) + ("" if personality else " stats")
    stream.error(f"Usage:\n\n{name} COMMAND [OPTION...] [DEVICE...]\n")
    wanted: set[str] = set()
    for command in STATS_COMMANDS.values():
        stream.error(f"\t{command.name} {command.usage}".rstrip())
        wanted.update(command.options.split())
    stream.error("\nOptions:\n")
    for option in OPTIONS:
        if option.long in wanted:
            stream.error(f"\t{_names(option)}")
    stream.error(
        "\t-v\n\nDEVICE is a name, the path of a node, or, if there is only one, -u UUID or -j MAJOR -m MINOR.\n"
        "Sizes without a unit are sectors.\n"
    )


def command_help(program: str, command: Command) -> str:
    """The help of one command, 80 columns wide."""
    name = os.path.basename(program)
    if STATS_COMMANDS.get(command.name) is command:
        name += " stats"
    lines = [f"Usage: {name} {command.name} [OPTION...] {command.usage}".rstrip(), "", command.summary, ""]
    if command.name == "stats":
        lines.append("Commands:")
        for subcommand in STATS_COMMANDS.values():
            lines += row(subcommand.name, subcommand.summary, 2 + max(map(len, STATS_COMMANDS)) + 2)
        lines += ["", f"{name} stats COMMAND --help explains a command.", ""]
    wanted = command.options.split()
    rows = [(_names(option), option.help) for option in OPTIONS if option.long in wanted]
    rows.append(("-v", VERBOSE_HELP))
    rows.append(("--debug", "print libdevmapper's log to standard error, and the trace of a failure"))
    if "noheadings" in wanted:
        rows.append(("--headings WHICH", "none, abbrev for dmsetup's headings, or full for the fields' names"))
    if command.json:
        rows.append(("--json", "print JSON"))
    column = 2 + min(28, max(len(names) for names, _ in rows)) + 2
    lines.append("Options:")
    for names, text in rows:
        lines += row(names, text[:1].upper() + text[1:] + ".", column)
    lines += ["", "Options may stand anywhere on the line; an unambiguous beginning of a long one is enough."]
    return "\n".join(lines) + "\n"


def _names(option: Option) -> str:
    names = [f"-{letter}" for letter in option.short] + [f"--{option.long}"]
    return ", ".join(names) + (f" {option.argument}" if option.argument else "")


def row(names: str, text: str, column: int) -> list[str]:
    """Names at the start of a line, and from a column on a text, wrapped."""
    lines, line = [], f"  {names}"
    if len(line) + 2 > column:
        lines.append(line)
        line = ""
    line = line.ljust(column)
    for word in text.split():
        if len(line) + len(word) > _WIDTH - 1 and line.strip():
            lines.append(line.rstrip())
            line = " " * column
        line += word + " "
    return [*lines, line.rstrip()]
