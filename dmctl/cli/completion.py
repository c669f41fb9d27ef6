# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell completions: `python -m dmctl.cli.completion FOLDER` writes dmctl.bash, _dmctl (zsh) and dmctl.fish.

Commands and options come from the command table. Not loaded by any command.
"""

from dmctl.cli.manual import options_of
from dmctl.cli.spec import COMMANDS, STATS_COMMANDS, Command, Option

_HEAD = """# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
"""
# Devices are named at the start of the line, up to a tab; "No devices found" has none.
_DEVICES = r"dmctl ls 2>/dev/null | sed -n 's/\t(.*$//p'"

# What the command table, which is dmsetup's, does not have.
_NATIVE = (
    Command("check", (0, 1), 0, "", "[TABLE_FILE]", "Look for mistakes in a table.", "table", json=True),
    Command("holders", (1, -1), 0, "", "DEVICE...", "Tell who keeps a device busy.", json=True),
    Command("install-links", (1, 1), 0, "", "DIR", "Make links to dmctl by dmsetup's names."),
    Command("top", (0, 2), 0, "", "[INTERVAL] [COUNT]", "Show what the devices are doing.", "sort", json=True),
)
_OWN_OPTIONS = {
    "top": [
        Option("device", "", "DEVICE", "only this device"),
        Option("reverse", "", "", "sort the other way round"),
    ],
}
_DEBUG = Option("debug", "", "", "print the log and the trace of a failure")
_HEADINGS = Option("headings", "", "WHICH", "none, abbrev or full: what stands above columns")
_HELP = Option("help", "", "", "explain the command")
_JSON = Option("json", "", "", "print JSON")


def render() -> dict[str, str]:
    """The three files by name."""
    return {"dmctl.bash": _bash(), "_dmctl": _zsh(), "dmctl.fish": _fish()}


def _commands() -> list[Command]:
    return [*COMMANDS.values(), *_NATIVE]


def _options(command: Command) -> list[Option]:
    options = options_of(command)
    headings = [_HEADINGS] * any(option.long == "noheadings" for option in options)
    options += _OWN_OPTIONS.get(command.name, [])
    return [*options, *[_JSON] * command.json, *headings, _DEBUG, _HELP]


def _operands(command: Command) -> list[str]:
    """The operands of a command, the first form if it has several, without brackets."""
    return command.usage.partition("|")[0].translate({ord("["): None, ord("]"): None}).split()


def _bash() -> str:
    cases = [
        f"        {command.name}) options='{' '.join('--' + option.long for option in _options(command))}' ;;\n"
        for command in _commands()
    ]
    with_devices = "|".join(command.name for command in _commands() if "DEVICE" in command.usage)
    return f"""{_HEAD}# shellcheck shell=bash

_dmctl() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} command='' options='' word
    local commands='{" ".join(command.name for command in _commands())}'
    COMPREPLY=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        if [[ " $commands " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
        return
    fi
    case $command in
{"".join(cases)}    esac
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    if [[ $command == stats && ${{COMP_WORDS[COMP_CWORD-1]}} == stats ]]; then
        mapfile -t COMPREPLY < <(compgen -W '{" ".join(STATS_COMMANDS)}' -- "$current")
        return
    fi
    case $command in
        {with_devices})
            while IFS= read -r word; do
                [[ $word == "$current"* ]] && COMPREPLY+=("$(printf %q "$word")")
            done < <({_DEVICES})
            ;;
    esac
}}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
"""


def _zsh() -> str:
    described = "".join(
        f"        {_quoted(command.name.replace(':', chr(92) + ':') + ':' + command.summary)}\n"
        for command in _commands()
    )
    cases = []
    for command in _commands():
        words = [_zsh_option(option) for option in _options(command)] + _zsh_operands(command)
        cases.append(f"        {command.name})\n            _arguments -S \\\n                ")
        cases.append(" \\\n                ".join(map(_quoted, words)) + "\n            ;;\n")
    return f"""#compdef dmctl
{_HEAD}
_dmctl_devices() {{
    local -a devices
    devices=(${{(f)"$({_DEVICES})"}})
    compadd -a devices
}}

_dmctl() {{
    local -a commands
    commands=(
{described}    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    shift words
    ((CURRENT--))
    case $words[1] in
{"".join(cases)}    esac
}}

_dmctl "$@"
"""


def _zsh_option(option: Option) -> str:
    text = option.help.replace("[", "\\[").replace("]", "\\]")
    if option.argument:
        return f"--{option.long}=[{text}]:{option.argument}:"
    return f"--{option.long}[{text}]"


def _zsh_operands(command: Command) -> list[str]:
    words = []
    for place, operand in enumerate(_operands(command), 1):
        name = operand.rstrip(".")
        actions = {"DEVICE": "_dmctl_devices", "TABLE_FILE": "_files", "COMMAND": f"({' '.join(STATS_COMMANDS)})"}
        action = actions.get(name, "")
        words.append(f"{'*' if operand.endswith('...') else place}:{name}:{action}")
    return words


def _fish() -> str:
    lines = [f"{_HEAD}\nfunction __dmctl_devices\n    {_DEVICES}\nend\n\ncomplete -c dmctl -f\n"]
    takers: dict[str, list[str]] = {}
    options = {}
    for command in _commands():
        lines.append(
            f"complete -c dmctl -n __fish_use_subcommand -a {command.name} -d {_fish_quoted(command.summary)}\n"
        )
        for option in _options(command):
            options[option.long] = option
            takers.setdefault(option.long, []).append(command.name)
    for name, commands in takers.items():
        option = options[name]
        letters = "".join(f" -s {letter}" for letter in option.short)
        lines.append(
            f"complete -c dmctl -n {_seen(commands)}{letters} -l {name}{' -x' if option.argument else ''}"
            f" -d {_fish_quoted(option.help)}\n"
        )
    with_devices = [command.name for command in _commands() if "DEVICE" in command.usage]
    with_files = [command.name for command in _commands() if "TABLE_FILE" in command.usage]
    lines.append(f"complete -c dmctl -n {_seen(with_devices)} -a '(__dmctl_devices)'\n")
    lines.append(f"complete -c dmctl -n {_seen(['stats'])} -a '{' '.join(STATS_COMMANDS)}'\n")
    lines.append(f"complete -c dmctl -n {_seen(with_files)} -F\n")
    return "".join(lines)


def _seen(commands: list[str]) -> str:
    return f"'__fish_seen_subcommand_from {' '.join(commands)}'"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main(folder: str) -> None:
    """Write the files into a folder."""
    for name, text in render().items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
