# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual pages: `python -m dmctl.cli.manual FOLDER` writes dmctl.8 and a page for each group of commands.

Commands and options come from the command table and from the typer app, targets from their fields, the rest from
manual_text and manual_native. Not loaded by any command.
"""

import dataclasses
import sys
import textwrap
from collections.abc import Iterator

from dmctl.cli import manual_clone, manual_events
from dmctl.cli import manual_native as native
from dmctl.cli import manual_text as text
from dmctl.cli.reference import Native, natives
from dmctl.cli.spec import COMMANDS, OPTIONS, STATS_COMMANDS, VERBOSE_HELP, Command, Option
from dmctl.cli.target_options import description, explained, metavar, option_name, positional
from dmctl.targets import TARGETS, arguments_class
from dmctl.targets.fields import FLAG, ITEMS, spec_of

_DATE = "November 21, 2026"

_GLOBAL_OPTIONS = ("help", "manglename", "verbose", "version")


def options_of(command: Command) -> list[Option]:
    """The options of a command, in the order of the table; of stats, those of all its commands."""
    commands = STATS_COMMANDS.values() if command.name == "stats" else [command]
    wanted = {word for command in commands for word in command.options.split()}
    return [option for option in OPTIONS if option.long in wanted]


def render() -> dict[str, str]:
    """The manual pages by the names of their files, in mdoc."""
    pages = {"dmctl.8": _main_page()}
    by_name = {one.name: one for one in natives()}
    for page, names in native.PAGES.items():
        pages[f"{page}.8"] = _page(page, [by_name[name] for name in names])
    return pages


def _page(name: str, commands: list[Native]) -> str:
    """A page about some native commands."""
    head = native.HEAD.replace("@DATE@", _DATE).replace("@TITLE@", name.upper()).replace("@NAME@", name)
    parts = [head.replace("@WHAT@", native.WHAT[name]), ".Sh SYNOPSIS\n"]
    for command in commands:
        parts.append(f".Nm dmctl Cm {command.name}\n.Op Ar OPTION ...\n{_synopsis(command.usage)}.Pp\n")
    parts[-1] = parts[-1].removesuffix(".Pp\n")
    parts.append(".Sh DESCRIPTION\n")
    for command in commands:
        parts += [f".Ss {command.name}\n", _paragraphs(command).removesuffix(".Pp\n")]
        if command.options:
            parts += [".Bl -tag -width Ds\n", *map(_option, command.options), ".El\n"]
    if "build" in native.PAGES[name]:
        parts += [".Sh TARGETS\n", *map(_target, TARGETS), native.SURROUNDINGS, native.BUILD_EXAMPLES]
    elif name == "dmctl-verity":
        parts += [native.VERITY_NOTES, native.VERITY_SURROUNDINGS, native.VERITY_EXAMPLES]
    elif name == "dmctl-events":
        parts += [manual_events.NOTES, native.SURROUNDINGS, manual_events.EXAMPLES]
    elif name == "dmctl-clone":
        parts += [manual_clone.NOTES, native.SURROUNDINGS, manual_clone.EXAMPLES]
    elif name == "dmctl-thin":
        parts += [native.THIN_NOTES, native.SURROUNDINGS, native.THIN_EXAMPLES]
    else:
        parts += [native.SURROUNDINGS, native.SHOW_EXAMPLES]
    return "".join(f"{line}\n" for line in _fill("".join([*parts, native.TAIL])))


def _synopsis(usage: str) -> str:
    operands = _operands(usage) if "--" not in usage else "Ar TARGET Ar ARGUMENT ..."
    return f".{operands}\n" if operands else ""


def _paragraphs(command: Native) -> str:
    paragraphs = [" ".join(part.split()) for part in command.text.split("\n\n") if part.strip()]
    return "".join(f"{_lines(part)}.Pp\n" for part in paragraphs) + native.MORE.get(command.name, "")


def _lines(paragraph: str) -> str:
    """Sentences, a line each, as mdoc wants them."""
    return "".join(f"{_escape(sentence)}\n" for sentence in paragraph.replace(". ", ".\n").split("\n"))


def _target(target: str) -> str:
    """A target's arguments, in the order of a command line."""
    cls = arguments_class(target)
    assert cls
    described = [(field, spec) for field in dataclasses.fields(cls) if (spec := spec_of(field))]
    lines = [f".Ss {target}\n", _lines(description(cls)), ".Bl -tag -width Ds\n"]
    for field, spec in described:
        if field.default is dataclasses.MISSING:
            term = f"Ar {_escape(positional(field.name, spec))}{' ...' if spec.kind == ITEMS else ''}"
        else:
            option = option_name(field.name, spec)
            value = metavar(field.name, spec)
            term = f"Fl {_escape(option[1:])}" + ("" if spec.kind == FLAG else f" Ar {_escape(value)}")
        lines.append(f".It {term}\n{_lines(explained(field, spec).replace('%%', '%'))}")
    return "".join([*lines, ".El\n"]) if described else "".join([*lines[:2], "No arguments.\n"])


def _main_page() -> str:
    available = COMMANDS.values()
    parts = [text.HEAD.replace("@DATE@", _DATE), ".Sh COMMANDS\n.Bl -tag -width Ds\n"]
    parts += [_command(command) for command in available]
    parts += [".El\n", text.STATISTICS, *map(_command, STATS_COMMANDS.values()), ".El\n"]
    parts += [*_native_commands(), text.OPTIONS_HEAD]
    used = {option.long for command in available for option in options_of(command)} | set(_GLOBAL_OPTIONS)
    parts += [_option(option) for option in OPTIONS if option.long in used]
    parts += [f".It Fl v\n{_sentence(VERBOSE_HELP)}\n", text.OWN_OPTIONS, _tail()]
    return "".join(f"{line}\n" for line in _fill("".join(parts)))


def _native_commands() -> Iterator[str]:
    yield native.MAIN
    for command in natives():
        if command.name in native.IN_MAIN:
            yield f".It Cm {command.name} {_operands(command.usage)}\n{_sentence(command.summary)}\n"
            yield native.MORE[command.name]
            if command.options:
                yield f"Takes\n{_list('Fl', [f'-{option.long}' for option in command.options])}"
    yield ".El\n"


def _fill(page: str) -> Iterator[str]:
    """The page's lines, the long ones of running text broken: mdoc(7) wants no more than 80 bytes."""
    for line in page.splitlines():
        if line.startswith("."):
            yield line
        else:
            yield from textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False)


def _tail() -> str:
    before, heading, after = text.TAIL.partition(".Sh INTERRUPTED COMMANDS\n")
    return before + text.DIFFERENCES + heading + after


def _command(command: Command) -> str:
    lines = [f".It Cm {_escape(command.name)} {_operands(command.usage)}".rstrip(), _sentence(command.summary)]
    listed = [] if command.name == "stats" else options_of(command)
    names = [f"-{option.long}" for option in listed] + ["-json"] * command.json
    start = "\n".join(lines) + "\n"
    return f"{start}Takes\n{_list('Fl', names)}" if names else start


def _operands(usage: str) -> str:
    words = []
    for word in usage.split():
        name = word.strip("[].")
        dots = " ..." if "..." in word else ""
        if word.startswith("["):
            words.append(f"Op Ar {name}{dots}")
        elif word.startswith("--"):
            words.append(f"Fl {_escape(word[1:])}")
        else:
            words.append("|" if word == "|" else f"Ar {name}{dots}")
    return " ".join(words)


def _list(macro: str, names: list[str]) -> str:
    """Names, one a line, with commas between them and a full stop behind the last."""
    ends = [" ,"] * (len(names) - 1) + [" ."]
    return "".join(f".{macro} {_escape(name)}{end}\n" for name, end in zip(names, ends, strict=True))


def _option(option: Option) -> str:
    names = [f"Fl {letter}" for letter in option.short] + [f"Fl {_escape('-' + option.long)}"]
    argument = f" Ar {option.argument}" if option.argument else ""
    return f".It {' , '.join(names)}{argument}\n{_sentence(option.help)}\n"


def _sentence(words: str) -> str:
    words = words[:1].upper() + words[1:]
    return _escape(words if words.endswith(".") else words + ".")


def _escape(words: str) -> str:
    """Text that troff takes literally: a hyphen of a name is a minus sign, a control character at the start none."""
    words = words.replace("\\", "\\e")
    return f"\\&{words}" if words.startswith((".", "'")) else words


def main(folder: str) -> None:
    """Write the pages into a folder."""
    for name, page in render().items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(page)


if __name__ == "__main__":
    main(sys.argv[1])
