# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual page: `python -m dmctl.cli.manual >man/dmctl.8`.

Commands and options come from the command table, the rest from manual_text. Not loaded by any command.
"""

import textwrap
from collections.abc import Iterator

from dmctl.cli import manual_text as text
from dmctl.cli.spec import COMMANDS, OPTIONS, STATS_COMMANDS, VERBOSE_HELP, Command, Option

_DATE = "November 21, 2026"

_GLOBAL_OPTIONS = ("help", "manglename", "verbose", "version")


def options_of(command: Command) -> list[Option]:
    """The options of a command, in the order of the table; of stats, those of all its commands."""
    commands = STATS_COMMANDS.values() if command.name == "stats" else [command]
    wanted = {word for command in commands for word in command.options.split()}
    return [option for option in OPTIONS if option.long in wanted]


def render() -> str:
    """The manual page, in mdoc."""
    available = COMMANDS.values()
    parts = [text.HEAD.replace("@DATE@", _DATE), ".Sh COMMANDS\n.Bl -tag -width Ds\n"]
    parts += [_command(command) for command in available]
    parts += [".El\n", text.STATISTICS, *map(_command, STATS_COMMANDS.values()), ".El\n"]
    parts += [text.NATIVE, text.OPTIONS_HEAD]
    used = {option.long for command in available for option in options_of(command)} | set(_GLOBAL_OPTIONS)
    parts += [_option(option) for option in OPTIONS if option.long in used]
    parts += [f".It Fl v\n{_sentence(VERBOSE_HELP)}\n", text.OWN_OPTIONS, _tail()]
    return "".join(f"{line}\n" for line in _fill("".join(parts)))


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


if __name__ == "__main__":
    print(render(), end="")
