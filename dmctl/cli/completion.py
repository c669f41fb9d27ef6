# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell completions: `python -m dmctl.cli.completion FOLDER` writes dmctl.bash, _dmctl (zsh) and dmctl.fish.

Commands and options come from the command table and from the typer app, fields and targets from where they are. Nothing
is started for a TAB but what the shell has itself: devices are read from sysfs. Not loaded by any command.
"""

import functools
from collections.abc import Iterable

from dmctl.cli.manual import options_of
from dmctl.cli.reference import Native, natives
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


@functools.cache
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


@functools.cache
def _natives() -> dict[str, Native]:
    return {native.name: native for native in natives()}


@functools.cache
def _commands() -> list[Command]:
    return [
        *COMMANDS.values(),
        *(Command(one.name, (0, -1), 0, "", one.usage, one.summary) for one in _natives().values()),
    ]


@functools.cache
def _options(command: Command) -> tuple[list[Option], list[Option]]:
    """A command's options: dmsetup's, and those that only dmctl has."""
    native = _natives().get(command.name)
    if native:
        return [_HELP], [*native.options, _DEBUG]
    options = options_of(command)
    headings = [_HEADINGS] * any(option.long == "noheadings" for option in options)
    own = [_AVAILABLE] * (command.name == "targets")
    return [*options, _HELP], [*own, *[_JSON] * command.json, *headings, _DEBUG]


def _operands(command: Command) -> list[str]:
    """The operands of a command, the first form if it has several, without brackets."""
    if "--" in command.usage.partition("|")[0]:
        return ["TARGET", "ARGUMENT..."]
    return command.usage.partition("|")[0].translate({ord("["): None, ord("]"): None}).split()


def _bash() -> str:
    cases = []
    arguments: dict[str, None] = {}
    own_lists = []
    for command in _commands():
        theirs, ours = _options(command)
        cases.append(f"        {command.name}) options=({_longs(theirs)}) own=({_longs(ours)}) ;;\n")
        for option in theirs + ours:
            if option.argument and not _list_of(command, option) and option.long != "target":
                if option.argument == "DEVICE":
                    own_lists.append(f"        {_bash_pattern(command.name, option)}) _dmctl_devices ;;\n")
                else:
                    arguments |= dict.fromkeys(_bash_pattern("*", option).split("|"))
    fields = "".join(
        f"        {command}:-[oOS]|{command}:--options|{command}:--sort|{command}:--select)\n"
        f"            _dmctl_list {' '.join(names)} ;;\n"
        for command, names in _fields().items()
    )
    with_devices = "|".join(f"{command.name}:*" for command in _commands() if "DEVICE" in command.usage)
    return f"""{_HEAD}# shellcheck shell=bash

# The words that begin with what is typed.
_dmctl_words() {{
    local word
    for word; do
        [[ $word == "$current"* ]] && COMPREPLY+=("$word")
    done
}}

# The last of a list with commas; before a field there may be + or -.
_dmctl_list() {{
    local last=${{current##*,}} word
    local head=${{current%"$last"}}
    [[ $last == [+-]* ]] && head+=${{last:0:1}} last=${{last:1}}
    for word; do
        [[ $word == "$last"* ]] && COMPREPLY+=("$head$word")
    done
}}

# The names of devices, from sysfs: no process is started.
_dmctl_devices() {{
    local file name quoted
    for file in /sys/block/dm-*/dm/name; do
        IFS= read -r name <"$file" || continue
        # The kernel may have \\x20 for a blank. Users see and type the blank, and libdevmapper takes it.
        [[ $name == *\\\\@([!x]|x5c|x[01])* ]] || printf -v name %b "$name"
        # In quotes, bash closes them itself.
        if [[ $current == [\\"\\']* ]]; then
            [[ $name == "${{current:1}}"* ]] && COMPREPLY+=("$name")
        else
            printf -v quoted %q "$name"
            [[ $quoted == "$current"* ]] && COMPREPLY+=("$quoted")
        fi
    done 2>/dev/null  # a device may go away meanwhile
}}

_dmctl() {{
    local IFS=' ' current=${{COMP_WORDS[COMP_CWORD]}} place=$COMP_CWORD cut='' previous command='' word
    local commands=({" ".join(command.name for command in COMMANDS.values())})
    local targets=({" ".join(TARGETS)})
    local options=() own=()
    COMPREPLY=()
    # To bash, : and = are words of their own. They are in --option=value and in names of devices.
    while ((place > 1)) && [[ ${{COMP_WORDS[place]}} == [:=]* || ${{COMP_WORDS[place - 1]}} == *[:=] ]]; do
        ((place--))
        current=${{COMP_WORDS[place]}}$current
    done
    previous=${{COMP_WORDS[place - 1]}}
    ((place == COMP_CWORD)) || cut=${{current%"${{current##*[:=]}}"}}
    if [[ $current == --*=* ]]; then
        previous=${{current%%=*}}
        cut=${{cut#"$previous="}}
        current=${{current#*=}}
    fi
    [[ ${{1##*/}} == dmsetup ]] || commands+=({" ".join(_natives())})
    for word in "${{COMP_WORDS[@]:1:place-1}}"; do
        if [[ " ${{commands[*]}} " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    case $command in
        '') _dmctl_words "${{commands[@]}}" ;;
{"".join(cases)}    esac
    [[ ${{1##*/}} == dmsetup ]] || options+=("${{own[@]}}")
    case $command:$previous in
        :*) ;;
        *:--target) _dmctl_words "${{targets[@]}}" ;;
{fields}{"".join(own_lists)}        {"|".join(arguments)}) ;;
        *)
            [[ $current == -* ]] && previous=-
            case $command:$previous in
                *:-) _dmctl_words "${{options[@]}}" ;;
                build:build|build:--then|target-version:*) _dmctl_words "${{targets[@]}}" ;;
                stats:stats) _dmctl_words {" ".join(STATS_COMMANDS)} ;;
                {with_devices}) _dmctl_devices ;;
            esac
            ;;
    esac
    [[ -z $cut ]] || COMPREPLY=("${{COMPREPLY[@]#"$cut"}}")
}}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
# dmsetup too, if nobody else completes it.
complete -p dmsetup &>/dev/null ||
    [[ -e /usr/share/bash-completion/completions/dmsetup && ${{BASH_SOURCE[0]##*/}} != dmsetup ]] ||
    complete -o default -F _dmctl dmsetup
"""


def _longs(options: list[Option]) -> str:
    return " ".join(f"--{option.long}" for option in options)


def _bash_pattern(command: str, option: Option) -> str:
    return "|".join([f"{command}:--{option.long}", *(f"{command}:-{letter}" for letter in option.short)])


def _list_of(command: Command, option: Option) -> bool:
    """Whether an option's argument is a list of fields."""
    return option.long in _OF_FIELDS and command.name in _fields()


def _zsh() -> str:
    def described(commands: Iterable[Command]) -> str:
        return "".join(f"        {_quoted(f'{command.name}:{command.summary}')}\n" for command in commands)

    cases = []
    for command in _commands():
        theirs, ours = _options(command)
        words = [_quoted(word) for option in theirs for word in _zsh_option(command, option)]
        words += [f"${{own:+{_quoted(word)}}}" for option in ours for word in _zsh_option(command, option)]
        words += map(_quoted, _zsh_operands(command))
        cases.append(f"        {command.name})\n            _arguments -S \\\n                ")
        cases.append(" \\\n                ".join(words) + "\n            ;;\n")
    lists = "".join(
        f'_dmctl_fields_{name}() {{\n    _dmctl_list "$@" - {" ".join(names)}\n}}\n\n'
        for name, names in _fields().items()
    )
    return f"""#compdef dmctl dmsetup
{_HEAD}
# The names of devices, from sysfs: no process is started.
_dmctl_devices() {{
    local file name
    local -a devices
    for file in /sys/block/dm-*/dm/name(N); do
        name=$(<$file) || continue
        # The kernel may have \\x20 for a blank. Users see and type the blank, and libdevmapper takes it.
        [[ $name == *\\\\([^x]|x5c|x[01])* ]] || name=${{(g::)name}}
        devices+=("$name")
    done 2>/dev/null  # a device may go away meanwhile
    compadd "$@" -a - devices
}}

_dmctl_targets() {{
    compadd "$@" - {" ".join(TARGETS)}
}}

# A line of build begins with its target.
_dmctl_build() {{
    if [[ $words[CURRENT-1] == (build|--then) ]]; then
        _dmctl_targets "$@"
    else
        _files "$@"
    fi
}}

# The last of a list with commas; before a field there may be + or -.
_dmctl_list() {{
    compset -P '*,'
    compset -P '[+-]'
    compadd -S , -r ',=<>!~ \\t\\n\\-' "$@"
}}

{lists}_dmctl() {{
    local own=yes
    local -a commands natives
    integer place
    commands=(
{described(COMMANDS.values())}    )
    natives=(
{described(_commands()[len(COMMANDS) :])}    )
    if [[ ${{service:t}} == dmsetup ]]; then
        # Somebody else's is the better one.
        if (( $+functions[_dmsetup] )); then
            _dmsetup "$@"
            return
        fi
        own=''
    else
        commands+=($natives)
    fi
    for ((place = 2; place < CURRENT; place++)); do
        [[ -n ${{commands[(r)${{(b)words[place]}}:*]}} ]] && break
    done
    if ((place >= CURRENT)); then
        _describe command commands
        return
    fi
    words=("${{(@)words[place,-1]}}")
    ((CURRENT -= place - 1))
    case $words[1] in
{"".join(cases)}    esac
}}

_dmctl "$@"
"""


def _zsh_option(command: Command, option: Option) -> list[str]:
    text = option.help.replace("[", "\\[").replace("]", "\\]")
    again = "*" if option.long in ("device", "then", "size") else ""
    if not option.argument:
        return [f"{again}{name}[{text}]" for name in (f"--{option.long}", *(f"-{letter}" for letter in option.short))]
    action = {"DEVICE": "_dmctl_devices", "FILE|-": "_files"}.get(option.argument, "")
    if option.long == "target":
        action = "_dmctl_targets"
    elif _list_of(command, option):
        action = f"_dmctl_fields_{command.name}"
    names = [f"--{option.long}=", *(f"-{letter}+" for letter in option.short)]
    return [f"{again}{name}[{text}]:{option.argument}:{action}" for name in names]


def _zsh_operands(command: Command) -> list[str]:
    words = []
    for place, operand in enumerate(_operands(command), 1):
        name = operand.rstrip(".")
        actions = {
            "DEVICE": "_dmctl_devices",
            "TABLE_FILE": "_files",
            "FILE|-": "_files",
            "TARGET": "_dmctl_targets",
            "ARGUMENT": "_dmctl_build",
            "COMMAND": f"({' '.join(STATS_COMMANDS)})",
        }
        action = actions.get(name, "")
        words.append(f"{'*' if operand.endswith('...') else place}:{name}:{action}")
    return words


_FISH = """
# The names of devices, from sysfs: no process is started.
function __dmctl_devices
    set -l names
    for file in /sys/block/dm-*/dm/name
        read -l name <$file
        and set -a names $name
    end 2>/dev/null # a device may go away meanwhile
    # The kernel may have \\x20 for a blank. Users see and type the blank, and libdevmapper takes it.
    string match -e -r '\\\\\\\\([^x]|x5c|x[01])' -- $names
    set -l plain (string match -v -r '\\\\\\\\([^x]|x5c|x[01])' -- $names)
    and printf '%b\\n' $plain
end

# Whether the command is one of these.
function __dmctl_using
    set -l words (commandline -opc)
    for word in $words[2..]
        if contains -- $word $__dmctl_commands
            contains -- $word $argv
            return
        end
    end
    return 1
end

# Whether the word before is one of these.
function __dmctl_after
    contains -- (commandline -opc)[-1] $argv
end

# The last of a list with commas; before a field there may be + or -.
function __dmctl_list
    set -l head (commandline -ct | string replace -r '^(--[a-z]+=|-[oOS])' '' | string match -r '^(?:.*,)?[+-]?')
    printf '%s\\n' "$head"$argv
end

# What dmsetup has too is told of a command that nobody calls.
complete -c dmctl -f -w __dmctl_both
complete -c __dmctl_both -f
"""
_FISH_END = """# dmsetup too, if nobody else completes it.
if not complete -c dmsetup | string length -q
    set -l other
    for file in $fish_complete_path/dmsetup.fish
        test -r $file
        and not string match -q '*dmctl*' <$file
        and set other $file
    end
    test -n "$other"
    or complete -c dmsetup -f -w __dmctl_both
end
"""


def _fish() -> str:
    lines = [_HEAD, _FISH, f"set -g __dmctl_commands {' '.join(command.name for command in _commands())}\n"]

    def add(condition: str, rest: str, *, own: bool = False) -> None:
        lines.append(f"complete -c {'dmctl' if own else '__dmctl_both'} -n '{condition}' {rest}\n")

    takers: dict[tuple[Option, bool], list[str]] = {}
    for command in _commands():
        add(
            "not __dmctl_using $__dmctl_commands",
            f"-a {command.name} -d {_fish_quoted(command.summary)}",
            own=command.name not in COMMANDS,
        )
        for own, options in enumerate(_options(command)):
            for option in options:
                if not _list_of(command, option):
                    takers.setdefault((option, bool(own) and command.name in COMMANDS), []).append(command.name)
    for (option, ours), commands in takers.items():
        add(_using(commands), _fish_option(option), own=ours)
    by_name = {option.long: option for option, _ in takers}
    for name, fields in _fields().items():
        for long in _OF_FIELDS:
            add(_using([name]), f"{_fish_option(by_name[long])} -a '(__dmctl_list {' '.join(fields)})'")
    targets = " ".join(TARGETS)
    add(_using(["target-version"]), f"-a '{targets}'")
    add(f"{_using(['build'])}; and __dmctl_after build --then", f"-a '{targets}'")
    add(f"{_using(['build'])}; and not __dmctl_after build --then", "-F")
    add(f"{_using(['stats'])}; and __dmctl_after stats", f"-a '{' '.join(STATS_COMMANDS)}'")
    with_devices = [command.name for command in _commands() if "DEVICE" in command.usage]
    add(f"{_using(with_devices)}; and not __dmctl_after stats --headings", "-a '(__dmctl_devices)'")
    add(_using([command.name for command in _commands() if "FILE" in command.usage]), "-F")
    return "".join([*lines, _FISH_END])


def _fish_option(option: Option) -> str:
    values = {
        "DEVICE": " -xa '(__dmctl_devices)'",
        "FILE|-": " -xa '(__fish_complete_path (commandline -ct))'",
        "": "",
    }.get(option.argument, " -x")
    if option.long == "target":
        values = f" -xa '{' '.join(TARGETS)}'"
    short = "".join(f" -s {letter}" for letter in option.short)
    return f"-l {option.long}{short}{values} -d {_fish_quoted(option.help)}"


def _using(commands: list[str]) -> str:
    return f"__dmctl_using {' '.join(commands)}"


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
