# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell completions: `python -m dmctl.cli.completion FOLDER` writes dmctl.bash, _dmctl (zsh) and dmctl.fish.

Commands and options come from the command table and from the typer app, fields and targets from where they are. Nothing
is started for a TAB but what the shell has itself: devices are read from sysfs. Not loaded by any command.
"""

from dmctl.cli.manual import options_of
from dmctl.cli.reference import natives
from dmctl.cli.show import FIELDS as SHOW_FIELDS
from dmctl.cli.spec import COMMANDS, STATS_COMMANDS, Command, Option
from dmctl.libdm.report import DEPS, INFO, NAME, REGION, STATS, TASK, TREE, field_names
from dmctl.targets import TARGETS, arguments_class, status_class

_HEAD = """# SPDX-License-Identifier: LGPL-2.1-or-later
# Made by python -m dmctl.cli.completion: change that, not this.
"""
_DEBUG = Option("debug", "", "", "print the log and the trace of a failure")
_HEADINGS = Option("headings", "", "WHICH", "none, abbrev or full: what stands above columns")
_HELP = Option("help", "", "", "explain the command")
_JSON = Option("json", "", "", "print JSON")
_AVAILABLE = Option("available", "", "", "targets that are not loaded too")
# Options whose argument is a list of fields, or begins with one; -S and --select take a condition.
_OF_FIELDS = ("options", "sort", "select")


def _fields() -> dict[str, list[str]]:
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


def render() -> dict[str, str]:
    """The three files by name."""
    return {"dmctl.bash": _bash(), "_dmctl": _zsh(), "dmctl.fish": _fish()}


def _commands() -> list[Command]:
    return [*COMMANDS.values(), *(Command(one.name, (0, -1), 0, "", one.usage, one.summary) for one in natives())]


def _options(command: Command) -> list[Option]:
    for native in natives():
        if native.name == command.name:
            return [*native.options, _DEBUG, _HELP]
    options = options_of(command)
    headings = [_HEADINGS] * any(option.long == "noheadings" for option in options)
    own = [_AVAILABLE] * (command.name == "targets")
    return [*options, *own, *[_JSON] * command.json, *headings, _DEBUG, _HELP]


def _operands(command: Command) -> list[str]:
    """The operands of a command, the first form if it has several, without brackets."""
    return command.usage.partition("|")[0].translate({ord("["): None, ord("]"): None}).split()


def _bash() -> str:
    cases = [
        f"        {command.name}) options='{' '.join('--' + option.long for option in _options(command))}' ;;\n"
        for command in _commands()
    ]
    fields = "".join(
        f"        {command}:-[oOS]|{command}:--options|{command}:--sort|{command}:--select)\n"
        f"            _dmctl_list '{' '.join(names)}' ;;\n"
        for command, names in _fields().items()
    )
    with_devices = "|".join(command.name for command in _commands() if "DEVICE" in command.usage)
    return f"""{_HEAD}# shellcheck shell=bash

# The names of devices, from sysfs: no process is started.
_dmctl_devices() {{
    local file name
    for file in /sys/block/dm-*/dm/name; do
        [[ -r $file ]] && IFS= read -r name <"$file" || continue
        [[ $name == "$current"* ]] && printf -v name %q "$name" && COMPREPLY+=("$name")
    done
}}

# The last of a list with commas.
_dmctl_list() {{
    local head=${{current%"${{current##*,}}"}}
    mapfile -t COMPREPLY < <(compgen -P "$head" -W "$1" -- "${{current##*,}}")
}}

_dmctl() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} command='' options='' word
    local commands='{" ".join(command.name for command in COMMANDS.values())}'
    local targets='{" ".join(TARGETS)}'
    COMPREPLY=()
    [[ ${{1##*/}} == dmsetup ]] || commands+=' {" ".join(native.name for native in natives())}'
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
    case $command:$previous in
        *:--target|build:build|build:--then|target-version:*)
            mapfile -t COMPREPLY < <(compgen -W "$targets" -- "$current")
            ;;
        stats:stats)
            mapfile -t COMPREPLY < <(compgen -W '{" ".join(STATS_COMMANDS)}' -- "$current")
            ;;
{fields}        *)
            case $command in
                {with_devices}) _dmctl_devices ;;
            esac
            ;;
    esac
}}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
complete -p dmsetup &>/dev/null || complete -o default -F _dmctl dmsetup
"""


def _zsh() -> str:
    described = "".join(
        f"        {_quoted(command.name.replace(':', chr(92) + ':') + ':' + command.summary)}\n"
        for command in _commands()
    )
    cases = []
    for command in _commands():
        words = [word for option in _options(command) for word in _zsh_option(command, option)]
        words += _zsh_operands(command)
        cases.append(f"        {command.name})\n            _arguments -S \\\n                ")
        cases.append(" \\\n                ".join(map(_quoted, words)) + "\n            ;;\n")
    lists = "".join(
        f"_dmctl_fields_{name}() {{\n    _sequence compadd - {' '.join(names)}\n}}\n\n"
        for name, names in _fields().items()
    )
    return f"""#compdef dmctl
{_HEAD}
# The names of devices, from sysfs: no process is started.
_dmctl_devices() {{
    local file
    local -a devices
    for file in /sys/block/dm-*/dm/name(N); do
        devices+=("$(<$file)")
    done
    compadd -a devices
}}

_dmctl_targets() {{
    compadd {" ".join(TARGETS)}
}}

{lists}
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

(( $+_comps[dmsetup] )) || compdef _dmctl dmsetup
_dmctl "$@"
"""


def _zsh_option(command: Command, option: Option) -> list[str]:
    text = option.help.replace("[", "\\[").replace("]", "\\]")
    if not option.argument:
        return [f"--{option.long}[{text}]"]
    action = "_dmctl_targets" if option.long == "target" else ""
    if option.long in _OF_FIELDS and command.name in _fields():
        action = f"_dmctl_fields_{command.name}"
    names = [f"--{option.long}=", *(f"-{letter}+" for letter in option.short)]
    return [f"{name}[{text}]:{option.argument}:{action}" for name in names]


def _zsh_operands(command: Command) -> list[str]:
    words = []
    for place, operand in enumerate(_operands(command), 1):
        name = operand.rstrip(".")
        actions = {
            "DEVICE": "_dmctl_devices",
            "TABLE_FILE": "_files",
            "FILE|-": "_files",
            "TARGET": "_dmctl_targets",
            "COMMAND": f"({' '.join(STATS_COMMANDS)})",
        }
        action = actions.get(name, "")
        words.append(f"{'*' if operand.endswith('...') else place}:{name}:{action}")
    return words


def _fish() -> str:
    lines = [
        f"{_HEAD}\n# The names of devices, from sysfs: no process is started.\nfunction __dmctl_devices\n"
        "    for file in /sys/block/dm-*/dm/name\n        read -l name <$file\n        and echo $name\n    end\nend\n\n"
        "complete -c dmctl -f\n"
    ]
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
        lines.append(_fish_option(options[name], commands))
    for name, fields in _fields().items():
        for option in [options[long] for long in _OF_FIELDS]:
            values = f"(__fish_append , {' '.join(fields)})"
            lines.append(f"complete -c dmctl -n {_seen([name])} -l {option.long}{_short(option)} -xa '{values}'\n")
    targets = " ".join(TARGETS)
    lines.append(f"complete -c dmctl -l target -xa '{targets}'\n")
    lines.append(f"complete -c dmctl -n {_seen(['build', 'target-version'])} -a '{targets}'\n")
    with_devices = [command.name for command in _commands() if "DEVICE" in command.usage]
    with_files = [command.name for command in _commands() if "FILE" in command.usage]
    lines.append(f"complete -c dmctl -n {_seen(with_devices)} -a '(__dmctl_devices)'\n")
    lines.append(f"complete -c dmctl -n {_seen(['stats'])} -a '{' '.join(STATS_COMMANDS)}'\n")
    lines.append(f"complete -c dmctl -n {_seen(with_files)} -F\n")
    lines.append("complete -c dmsetup | string length -q; or complete -c dmsetup -w dmctl\n")
    return "".join(lines)


def _fish_option(option: Option, commands: list[str]) -> str:
    argument = " -x" if option.argument else ""
    help = _fish_quoted(option.help)
    return f"complete -c dmctl -n {_seen(commands)}{_short(option)} -l {option.long}{argument} -d {help}\n"


def _short(option: Option) -> str:
    return "".join(f" -s {letter}" for letter in option.short)


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
