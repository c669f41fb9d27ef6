# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell completions: `python -m dmctl.cli.completion FOLDER` writes those of bash, zsh and fish.

What is offered is in completion_words. Nothing is started for a TAB but what the shell has itself, and dmsetup where it
can tell the names of devices that have no table: the kernel has them in sysfs with their first one. Not loaded by any
command.
"""

import functools
from collections.abc import Iterable

from dmctl.cli import completion_fish
from dmctl.cli.completion_words import (
    HEAD,
    commands,
    groups,
    operands,
    options_both,
    takes_devices,
    takes_volumes,
    top_natives,
    values,
)
from dmctl.cli.spec import COMMANDS, STATS_COMMANDS, Command, Option
from dmctl.targets import TARGETS


def render() -> dict[str, str]:
    """The files by name."""
    return {"dmctl.bash": _bash(), "dmsetup.bash": _BASH_DMSETUP, "_dmctl": _zsh(), **completion_fish.render()}


# Of bash-completion, which takes the first file named as the command. By this name ours would hide another one's.
_BASH_DMSETUP = f"""{HEAD}# shellcheck shell=bash
# For bash-completion, which looks for a file by the command's name: dmsetup or dmstats.

_dmctl_of_others() {{
    local IFS=: folder file
    for folder in ${{XDG_DATA_DIRS:-/usr/local/share:/usr/share}}; do
        file=$folder/bash-completion/completions/$1
        [[ -r $file && $(<"$file") != *_dmctl* ]] && printf %s "$file" && return
    done
    return 1
}}

# Somebody else's is the better one.
# shellcheck source=/dev/null
if other=$(_dmctl_of_others "${{BASH_SOURCE[0]##*/}}"); then
    source "$other"
else
    source "${{BASH_SOURCE[0]%/*}}/dmctl"
    complete -o default -F _dmctl "${{BASH_SOURCE[0]##*/}}"
fi
unset -f _dmctl_of_others
unset -v other
"""


def _bash() -> str:
    cases = []
    arguments: dict[str, None] = {}
    offers: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    own_lists = []
    for command in commands():
        theirs, ours = options_both(command)
        cases.append(f"        {command.name}) options=({_longs(theirs)}) own=({_longs(ours)}) ;;\n")
        for option in theirs + ours:
            pattern = _bash_pattern(command.name, option)
            if option.argument == "DEVICE":
                own_lists.append(f"        {pattern}) _dmctl_devices ;;\n")
            elif known := values(command, option):
                offers.setdefault((known[0], tuple(known[1])), []).append(pattern)
            elif option.argument:
                arguments |= dict.fromkeys(_bash_pattern("*", option).split("|"))
    fields = "".join(
        f"        {'|'.join(patterns)})\n            _dmctl_{'list' if several else 'words'} {' '.join(names)} ;;\n"
        for (several, names), patterns in offers.items()
    )
    actions = "".join(
        f"                {name}:*) _dmctl_words {' '.join(word for word, _ in pairs)} ;;\n"
        for name, pairs in groups().items()
    )
    with_volumes = "|".join(f"{command.name}:*" for command in commands() if takes_volumes(command))
    with_devices = "|".join(f"{command.name}:*" for command in commands() if takes_devices(command))
    return f"""{HEAD}# shellcheck shell=bash

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

# The names of the volumes of the pool that is named before, if one is; a pool's otherwise.
_dmctl_volumes() {{
    local word pool='' names=()
    for word in "${{COMP_WORDS[@]:1:place-1}}"; do
        [[ $word == -* || -$command- == *-"$word"-* ]] || pool=${{pool:-$word}}
    done
    if [[ $pool ]]; then
        [[ -r /run/dmctl/volumes/$pool ]] && mapfile -t names <"/run/dmctl/volumes/$pool"
        _dmctl_names "${{names[@]}}"
    else
        _dmctl_devices
    fi
}}

# The names of devices, also of those without a table, where dmsetup can tell them; else from sysfs.
_dmctl_devices() {{
    local file name names=()
    if [[ -w /dev/mapper/control && -e /sys/class/misc/device-mapper && -x /sbin/dmsetup ]]; then
        mapfile -t names <<<"$(/sbin/dmsetup ls)"
        [[ ${{names[0]}} == *$'\\t'* ]] || names=()  # "No devices found"
        names=("${{names[@]%$'\\t('*}}")
    fi 2>/dev/null
    if ((!${{#names[@]}})); then
        for file in /sys/block/dm-*/dm/name; do
            IFS= read -r name <"$file" || continue
            # The kernel may have \\x20 for a blank. Users see and type the blank, and libdevmapper takes it.
            [[ $name == *\\\\@([!x]|x5c|x[01])* ]] || printf -v name %b "$name"
            names+=("$name")
        done 2>/dev/null  # a device may go away meanwhile
    fi
    _dmctl_names "${{names[@]}}"
}}

_dmctl_names() {{
    local name quoted
    for name; do
        # In quotes, bash closes them itself.
        if [[ $current == [\\"\\']* ]]; then
            [[ $name == "${{current:1}}"* ]] && COMPREPLY+=("$name")
        else
            printf -v quoted %q "$name"
            [[ $quoted == "$current"* ]] && COMPREPLY+=("$quoted")
        fi
    done
}}

_dmctl() {{
    local IFS=' ' current=${{COMP_WORDS[COMP_CWORD]}} place=$COMP_CWORD cut='' previous command='' word
    local program=${{1##*/}}
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
    [[ $program == dm@(setup|stats) ]] || commands+=({" ".join(name for name, _ in top_natives())})
    # Which has but one command, and has it in its name.
    [[ $program != dmstats ]] || commands=(stats) command=stats
    [[ $command$place != stats1 ]] || previous=stats
    [[ $command ]] || for word in "${{COMP_WORDS[@]:1:place-1}}"; do
        if [[ " ${{commands[*]}} " == *" $word "* ]]; then
            command=$word
            break
        fi
    done
    case $command in
        {"|".join(groups())})  # the word behind it is the command, or a group in its turn
            for word in "${{COMP_WORDS[@]:1:place-1}}"; do
                [[ -$command == *-$word || $word == -* ]] && continue
                command+=-$word
                [[ $command == @({"|".join(groups())}) ]] || break
            done
            ;;
    esac
    case $command in
        '') _dmctl_words "${{commands[@]}}" ;;
{"".join(cases)}    esac
    [[ $program == dm@(setup|stats) ]] || options+=("${{own[@]}}")
    case $command:$previous in
        :*) ;;
{fields}{"".join(own_lists)}        {"|".join(arguments)}) ;;
        *)
            [[ $current == -* ]] && previous=-
            case $command:$previous in
                *:-) _dmctl_words "${{options[@]}}" ;;
                build:build|build:--then|target-version:*) _dmctl_words "${{targets[@]}}" ;;
                stats:stats) _dmctl_words {" ".join(STATS_COMMANDS)} ;;
{actions}                {with_volumes}) _dmctl_volumes ;;
                {with_devices}) _dmctl_devices ;;
            esac
            ;;
    esac
    [[ -z $cut ]] || COMPREPLY=("${{COMPREPLY[@]#"$cut"}}")
}}

# Files where nothing else fits: tables, and paths of nodes.
complete -o default -F _dmctl dmctl
# dmsetup too, if nobody else completes it: bash-completion does that in the files of these names.
for _dmctl in dmsetup dmstats; do
    complete -p "$_dmctl" &>/dev/null ||
        [[ -e /usr/share/bash-completion/completions/$_dmctl ]] ||
        complete -o default -F _dmctl "$_dmctl"
done
unset -v _dmctl
"""


def _longs(options: list[Option]) -> str:
    return " ".join(f"--{option.long}" for option in options)


def _bash_pattern(command: str, option: Option) -> str:
    return "|".join([f"{command}:--{option.long}", *(f"{command}:-{letter}" for letter in option.short)])


def _zsh() -> str:
    def described(pairs: Iterable[tuple[str, str]]) -> str:
        return "".join(f"        {_quoted(f'{name}:{summary}')}\n" for name, summary in pairs)

    def group(both: tuple[str, list[tuple[str, str]]]) -> str:
        """The word behind it is the command."""
        name, pairs = both
        return f"""    if [[ $words[1] == {name} ]]; then
        commands=(
{described(pairs)}        )
        if ((CURRENT < 3)); then
            _describe command commands
            return
        fi
        words=("{name}-$words[2]" "${{(@)words[3,-1]}}")
        ((CURRENT--))
    fi
"""

    cases = []
    for command in commands():
        theirs, ours = options_both(command)
        words = [_quoted(word) for option in theirs for word in _zsh_option(command, option)]
        words += [f"${{own:+{_quoted(word)}}}" for option in ours for word in _zsh_option(command, option)]
        words += map(_quoted, _zsh_operands(command))
        cases.append(f"        {command.name})\n            _arguments -S \\\n                ")
        cases.append(" \\\n                ".join(words) + "\n            ;;\n")
    lists = "".join(
        f'{function}() {{\n    _dmctl_list "$@" - {" ".join(names)}\n}}\n\n' for names, function in _zsh_lists().items()
    )
    return f"""#compdef dmctl dmsetup dmstats
{HEAD}
# The names of devices, also of those without a table, where dmsetup can tell them; else from sysfs.
_dmctl_devices() {{
    local file name
    local -a devices
    if [[ -w /dev/mapper/control && -e /sys/class/misc/device-mapper && -x /sbin/dmsetup ]]; then
        devices=(${{(f)"$(/sbin/dmsetup ls 2>/dev/null)"}})
        devices=(${{${{(M)devices:#*$'\\t'*}}%$'\\t'*}})
    fi
    (( $#devices )) || for file in /sys/block/dm-*/dm/name(N); do
        name=$(<$file) || continue
        # The kernel may have \\x20 for a blank. Users see and type the blank, and libdevmapper takes it.
        [[ $name == *\\\\([^x]|x5c|x[01])* ]] || name=${{(g::)name}}
        devices+=("$name")
    done 2>/dev/null  # a device may go away meanwhile
    compadd "$@" -a - devices
}}

# The names of the volumes of the pool that is the first operand.
_dmctl_volumes() {{
    local pool=${{${{words[2,CURRENT-1]:#-*}}[1]}}
    local -a names
    [[ -r /run/dmctl/volumes/$pool ]] && names=("${{(@f)$(</run/dmctl/volumes/$pool)}}")
    compadd "$@" -a - names
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
{described((one.name, one.summary) for one in COMMANDS.values())}    )
    natives=(
{described(top_natives())}    )
    if [[ ${{service:t}} == dm(setup|stats) ]]; then
        # Somebody else's is the better one.
        if (( $+functions[_${{service:t}}] )); then
            _${{service:t}} "$@"
            return
        fi
        own=''
    else
        commands+=($natives)
    fi
    if [[ ${{service:t}} == dmstats ]]; then  # which has but one command, and has it in its name
        words=(dmsetup stats "${{(@)words[2,-1]}}")
        ((CURRENT++))
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
{"".join(map(group, groups().items()))}    case $words[1] in
{"".join(cases)}    esac
}}

_dmctl "$@"
"""


def _zsh_option(command: Command, option: Option) -> list[str]:
    text = option.help.replace("[", "\\[").replace("]", "\\]")
    again = "*" if option.long in ("device", "then", "size") else ""
    if not option.argument:
        return [f"{again}{name}[{text}]" for name in (f"--{option.long}", *(f"-{letter}" for letter in option.short))]
    action = {"DEVICE": "_dmctl_devices", "FILE|-": "_files", "FILE": "_files"}.get(option.argument, "")
    if known := values(command, option):
        several, names = known
        action = _zsh_lists()[tuple(names)] if several else f"({' '.join(names)})"
    names = [f"--{option.long}=", *(f"-{letter}+" for letter in option.short)]
    return [f"{again}{name}[{text}]:{option.argument}:{action}" for name in names]


@functools.cache
def _zsh_lists() -> dict[tuple[str, ...], str]:
    """The lists of which several may be given, and the function for each, named after the first command that has it."""
    lists: dict[tuple[str, ...], str] = {}
    for command in commands():
        for option in (one for both in options_both(command) for one in both):
            known = values(command, option)
            if known and known[0]:
                lists.setdefault(tuple(known[1]), f"_dmctl_of_{command.name.replace('-', '_')}")
    return lists


def _zsh_operands(command: Command) -> list[str]:
    words = []
    for place, operand in enumerate(operands(command), 1):
        name = operand.rstrip(".")
        actions = {
            "DEVICE": "_dmctl_devices",
            "POOL": "_dmctl_devices",
            "CLONE": "_dmctl_devices",
            "TABLE_FILE": "_files",
            "FILE|-": "_files",
            "FILE": "_files",
            "DATA": "_files",
            "HASH": "_files",
            "SIGNATURE": "_files",
            "TARGET": "_dmctl_targets",
            "ARGUMENT": "_dmctl_build",
            "COMMAND": f"({' '.join(STATS_COMMANDS)})",
        }
        action = actions.get(name, "_dmctl_volumes" if takes_volumes(command) and name in _VOLUMES else "")
        words.append(f"{'*' if operand.endswith('...') else place}:{name}:{action}")
    return words


_VOLUMES = ("NAME", "ORIGIN")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def main(folder: str) -> None:
    """Write the files into a folder."""
    for name, text in render().items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
