# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the shell completions offer: commands, options, fields, values, from the tables where these are defined."""

import functools

from dmctl.cli.compat import forest
from dmctl.cli.manual import options_of
from dmctl.cli.native import GROUPS, NATIVE
from dmctl.cli.reference import Native, natives
from dmctl.cli.show import FIELDS as SHOW_FIELDS
from dmctl.cli.spec import COMMANDS, Command, Option
from dmctl.cli.top import SORT_FIELDS
from dmctl.events import TYPES
from dmctl.libdm.report import DEPS, INFO, NAME, REGION, STATS, TASK, TREE, field_names
from dmctl.targets import TARGETS, arguments_class, status_class

HEAD = """# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
"""
_DEBUG = Option("debug", "", "", "print the log and the trace of a failure")
_HEADINGS = Option("headings", "", "WHICH", "none, abbrev or full: what stands above columns")
_HELP = Option("help", "", "", "explain the command")
_JSON = Option("json", "", "", "print JSON")
_AVAILABLE = Option("available", "", "", "targets that are not loaded too")
# Options whose argument is a list of fields, or begins with one; -S and --select take a condition.
_OF_FIELDS = ("options", "sort", "select")
_NAMED = ["devno", "blkdevname", "devname"]
# Command ("" for any) and option: what else may be its argument, and whether several with commas.
_VALUES: dict[tuple[str, str], tuple[bool, list[str]]] = {
    ("", "follow"): (False, ["inode", "path"]),
    ("", "headings"): (False, ["none", "abbrev", "full"]),
    ("", "manglename"): (False, ["auto", "hex", "none"]),
    ("", "readahead"): (False, ["auto", "none"]),
    ("", "target"): (False, list(TARGETS)),
    ("deps", "options"): (True, _NAMED),
    ("ls", "options"): (True, list(dict.fromkeys([*_NAMED, *forest._OPTIONS]))),  # with --tree the others
    ("events", "type"): (False, list(TYPES)),
    ("top", "sort"): (False, list(SORT_FIELDS)),
}


@functools.cache
def fields() -> dict[str, list[str]]:
    """The fields of each command that prints columns."""
    decoded = [
        f"{target}.{name}"
        for target in TARGETS
        for cls in (status_class(target), arguments_class(target))
        if cls
        for name, spec in cls.specs().items()
        if not spec.secret
    ]
    return {
        "info": field_names(TASK | INFO | DEPS | TREE | NAME),
        "splitname": field_names(NAME),
        "stats": field_names(STATS | REGION | NAME),
        "show": [*SHOW_FIELDS, *dict.fromkeys(decoded)],
    }


@functools.cache
def natives_by_name() -> dict[str, Native]:
    """The native commands; one of a group as "verity-format", which is one word to the shells' `case`."""
    return {native.name.replace(" ", "-"): native for native in natives()}


def groups() -> dict[str, list[tuple[str, str]]]:
    """The words that have commands behind them, and these with what they do; "thin-pool" for one in a group."""
    found: dict[str, list[tuple[str, str]]] = {}
    for group, commands in GROUPS.items():
        for name, (_, summary) in commands.items():
            word, _, action = name.partition(" ")
            if not action:
                found.setdefault(group, []).append((word, summary))
                continue
            if all(word != known for known, _ in found.setdefault(group, [])):
                actions = ", ".join(other.partition(" ")[2] for other in commands if other.startswith(f"{word} "))
                found[group].append((word, f"Behind it: {actions}."))
            found.setdefault(f"{group}-{word}", []).append((action, summary))
    return found


def top_natives() -> list[tuple[str, str]]:
    """The words of native commands and groups that come first, and what they do."""
    return [(name, summary) for name, (_, summary, _) in NATIVE.items()]


@functools.cache
def commands() -> list[Command]:
    return [
        *COMMANDS.values(),
        *(Command(name, (0, -1), 0, "", one.usage, one.summary) for name, one in natives_by_name().items()),
    ]


@functools.cache
def options_both(command: Command) -> tuple[list[Option], list[Option]]:
    """A command's options: dmsetup's, and those that only dmctl has."""
    native = natives_by_name().get(command.name)
    if native:
        return [_HELP], [*native.options, _DEBUG]
    options = options_of(command)
    headings = [_HEADINGS] * any(option.long == "noheadings" for option in options)
    own = [_AVAILABLE] * (command.name == "targets")
    return [*options, _HELP], [*own, *[_JSON] * command.json, *headings, _DEBUG]


def takes_devices(command: Command) -> bool:
    """Whether its operands are names of devices; a pool's name is one, and a clone's."""
    return any(word in command.usage for word in ("DEVICE", "POOL", "CLONE")) and not takes_volumes(command)


def takes_volumes(command: Command) -> bool:
    """Whether the operands behind a pool's name are names of volumes."""
    return command.usage.startswith("POOL") and any(word in command.usage for word in (" NAME", "ORIGIN"))


def operands(command: Command) -> list[str]:
    """The operands of a command, the first form if it has several, without brackets."""
    if "--" in command.usage.partition("|")[0]:
        return ["TARGET", "ARGUMENT..."]
    return command.usage.partition("|")[0].translate({ord("["): None, ord("]"): None}).split()


def values(command: Command, option: Option) -> tuple[bool, list[str]] | None:
    """What may be an option's argument, and whether it is a list with commas; None where that is not known."""
    if option.long in _OF_FIELDS and command.name in fields():
        return True, fields()[command.name]
    known = _VALUES.get((command.name, option.long)) or _VALUES.get(("", option.long))
    # Of other commands it chooses devices, by the fields of info.
    return known or ((True, fields()["info"]) if option.long == "select" else None)
