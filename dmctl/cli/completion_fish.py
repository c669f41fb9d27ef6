# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completions of fish: dmctl.fish, and dmsetup.fish, which fish looks for by the command's name.

One function tells all candidates. A `complete` for each option would have its condition tried for every TAB, which took
longer than all else together. fish takes also words that have what is typed anywhere in them: commands and options are
told only where they begin with it.
"""

from dmctl.cli.completion_words import (
    HEAD,
    commands,
    groups,
    options_both,
    takes_devices,
    takes_volumes,
    top_natives,
    values,
)
from dmctl.cli.spec import COMMANDS, STATS_COMMANDS, Command, Option
from dmctl.targets import TARGETS

_DEVICES = r"""
# The names of devices, also of those without a table, where dmsetup can tell them; else from sysfs.
function __dmctl_devices
    set -l names
    if test -w /dev/mapper/control -a -e /sys/class/misc/device-mapper -a -x /sbin/dmsetup
        set names (/sbin/dmsetup ls 2>/dev/null | string replace -rf '\t\(.*' '')
    end
    if set -q names[1]
        printf '%s\n' $names
        return
    end
    for file in /sys/block/dm-*/dm/name
        read -l name <$file
        and set -a names $name
    end 2>/dev/null # a device may go away meanwhile
    # The kernel may have \x20 for a blank. Users see and type the blank, and libdevmapper takes it.
    string match -e -r '\\\\([^x]|x5c|x[01])' -- $names
    set -l plain (string match -v -r '\\\\([^x]|x5c|x[01])' -- $names)
    and printf '%b\n' $plain
end
"""
_START = r"""
# The names of the volumes of the pool that is named before, if one is; a pool's otherwise.
function __dmctl_volumes -a command
    for word in (commandline -opc)[2..]
        if not string match -q -- '-*' $word
            and not contains -- $word (string split - -- $command)
            test -r /run/dmctl/volumes/$word
            and cat /run/dmctl/volumes/$word
            return
        end
    end
    __dmctl_devices
end

# Words, each with what stands before it in the one that is typed.
function __dmctl_words
    printf '%s\n' $argv[1]$argv[2..]
end

# The last of a list with commas; before a field there may be + or -.
function __dmctl_list
    set -l before (string match -r '^(?:.*,)?[+-]?' -- $argv[2])
    printf '%s\n' $argv[1]"$before"$argv[3..]
end

function __dmctl_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '.*/' '' -- $words[1])
    set -l previous $words[-1]
    set -l head ''
    set -l command
    set -l known $__dmctl_commands
    switch $program
        case dmsetup
            set known $__dmctl_of_dmsetup
        case dmstats # which has but one command, and has it in its name
            set command stats
            set -q words[2]
            or set previous stats
    end
    if not set -q command[1]
        for word in $words[2..]
            if contains -- $word $known
                set command $word
                break
            end
        end
    end
    if contains -- "$command" @GROUPS@ # the word behind it is the command, or a group in its turn
        for word in $words[2..]
            if not string match -q -- '-*' $word
                and not string match -q -- "*-$word" -$command
                set command $command-$word
                contains -- $command @GROUPS@
                or break
            end
        end
    end
    if set -l parts (string match -r '^(--[a-z]+)=(.*)' -- $typed)
        or set -l parts (string match -r '^(-[oOS])(.+)' -- $typed)
        set previous $parts[2]
        set typed $parts[3]
        set head $previous
        string match -q -- '--*' $previous
        and set head $previous=
    end
"""


def render() -> dict[str, str]:
    """The files by name."""
    return {"dmctl.fish": _fish(), "dmsetup.fish": _DMSETUP}


# Of vendor_completions.d, which come before those of fish. By this name ours would hide another one's.
_DMSETUP = f"""{HEAD}
# Somebody else's is the better one.
set -l name (status basename)
set -l other
for file in $fish_complete_path/$name
    test -r $file
    and not string match -q '*__dmctl*' <$file
    and set -a other $file
end
if set -q other[1]
    source $other[1]
else
    source (status dirname)/dmctl.fish
    complete -c (string replace .fish '' $name) -f -a '(__dmctl_complete)'
end
"""
_END = """
# Once, however often this is read.
complete -c dmctl -e
complete -c dmctl -f -a '(__dmctl_complete)'
"""


def _fish() -> str:
    own_commands = [name for name, _ in top_natives()]
    lines = [HEAD, _DEVICES]
    lines.append(f"\nset -g __dmctl_of_dmsetup {' '.join(COMMANDS)}\n")
    lines.append(f"set -g __dmctl_commands $__dmctl_of_dmsetup {' '.join(own_commands)}\n")
    lines.append(_START.replace("@GROUPS@", " ".join(groups())))
    lines.append(
        "    switch \"$command:$previous\"\n        case ':*'\n            begin\n            printf '%s\\t%s\\n' \\\n"
    )
    lines.append(_described([(one.name, one.summary) for one in commands() if one.name in COMMANDS]))
    lines.append("            test $program = dmsetup\n            or printf '%s\\t%s\\n' \\\n")
    lines.append(_described(top_natives()))
    lines.append('            end | string match -- "$typed*"\n')
    lines += _arguments()
    lines.append(
        '        case \'*\'\n            __dmctl_operands "$command" $previous $program "$typed"\n    end\nend\n'
    )
    lines += _operands()
    return "".join([*lines, _END])


def _arguments() -> list[str]:
    """The cases of what an option takes."""
    by_candidates: dict[str, list[str]] = {}
    for command in commands():
        for option in (one for both in options_both(command) for one in both):
            if option.argument:
                cases = by_candidates.setdefault(_candidates(command, option), [])
                cases += [f"{command.name}:{name}" for name in _names(option)]
    return [f"        case {' '.join(cases)}\n{candidates}" for candidates, cases in by_candidates.items()]


def _candidates(command: Command, option: Option) -> str:
    """The line that tells what an option's argument may be."""
    if option.argument == "DEVICE":
        return "            __dmctl_devices\n"
    if option.argument in ("FILE|-", "FILE"):
        return "            __fish_complete_path $typed\n"
    if not (known := values(command, option)):
        return ""
    several, names = known
    function = 'list "$head" "$typed"' if several else 'words "$head"'
    return f"            __dmctl_{function} {' '.join(names)}\n"


def _operands() -> list[str]:
    """The function for what is no option's argument."""
    lines = ["\nfunction __dmctl_operands -a command previous program typed\n"]
    lines.append("    if string match -q -- '-*' $typed\n        switch $command\n")
    for command in commands():
        theirs, ours = options_both(command)
        lines.append(f"            case {command.name}\n                printf '%s\\t%s\\n' \\\n")
        lines.append(_described([(f"--{one.long}", one.help) for one in theirs], 20))
        lines.append(
            "                contains -- $program dmsetup dmstats\n                or printf '%s\\t%s\\n' \\\n"
        )
        lines.append(_described([(f"--{one.long}", one.help) for one in ours], 20))
    lines.append('        end | string match -- "$typed*"\n        return\n    end\n    switch "$command:$previous"\n')
    targets = f"            printf '%s\\n' {' '.join(TARGETS)}\n"
    lines.append(f"        case 'target-version:*' build:build build:--then\n{targets}")
    lines.append(f"        case stats:stats\n            printf '%s\\n' {' '.join(STATS_COMMANDS)}\n")
    for name, pairs in groups().items():
        lines.append(f"        case '{name}:*'\n            printf '%s\\t%s\\n' \\\n{_described(pairs)}")
    lines.append("        case 'build:*'\n            __fish_complete_path $typed\n")
    takers: dict[str, list[str]] = {}
    for command in commands():
        found = "            __dmctl_devices\n" if takes_devices(command) else ""
        found += "            __dmctl_volumes $command\n" if takes_volumes(command) else ""
        if any(word in command.usage for word in ("FILE", "DIR", "DATA", "HASH", "SIGNATURE")):
            found += "            __fish_complete_path $typed\n"
        takers.setdefault(found, []).append(f"'{command.name}:*'")
    lines += [f"        case {' '.join(cases)}\n{found}" for found, cases in takers.items() if found]
    return [*lines, "    end\nend\n"]


def _names(option: Option) -> list[str]:
    return [f"--{option.long}", *(f"-{letter}" for letter in option.short)]


def _described(pairs: list[tuple[str, str]], indent: int = 16) -> str:
    """Arguments of printf: words and what they mean."""
    lines = [f"{' ' * indent}{word} {_quoted(text)}" for word, text in pairs]
    return " \\\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
