# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every beginning of every long option, unambiguous or not: taken, or refused, as by dmsetup."""

from compat.batch import Line, differences
from dmctl.cli.getopt import NO_ARGUMENT
from dmctl.cli.spec import LONG_OPTIONS

OPTIONS = {name: has_arg != NO_ARGUMENT for name, has_arg, _ in LONG_OPTIONS}
BEGINNINGS = sorted({name[:length] for name in OPTIONS for length in range(1, len(name) + 1)})
# Nothing is asked of a device, and --interval does not make it run for ever.
COMMAND = ("splitname", "vg-lv", "--count=1")
# What an option with an argument is given; "1" for the others.
VALUES = {
    "manglename": "none",
    "mode": "0600",
    "options": "vg_name,lv_name",
    "sort": "-lv_name",
    "select": "lv_name=lv",
    "separator": "/",
    "units": "k",
}


def meant(beginning):
    """The options that begin so, or the one that is called so."""
    return [beginning] if beginning in OPTIONS else [name for name in OPTIONS if name.startswith(beginning)]


def beginnings_of(option):
    """All that mean this option."""
    return [option[:length] for length in range(1, len(option) + 1) if meant(option[:length]) == [option]]


def lines_about(option):
    """All beginnings of an option on one line, before a command and behind it: if one is refused, the line is.

    With an argument as the next word, and after an equals sign. Then what the whole name does not allow.
    """
    words, value = [f"--{beginning}" for beginning in beginnings_of(option)], VALUES.get(option, "1")
    if not OPTIONS[option]:
        return [(*words, *COMMAND, *words), (*COMMAND, f"--{option}={value}"), (*COMMAND, words[0], words[0] + "=")]
    attached, apart = [f"{word}={value}" for word in words], [part for word in words for part in (word, value)]
    return [
        (*apart, *COMMAND, *attached),
        (*attached, *COMMAND, *apart),
        (*COMMAND, f"--{option}"),
        (*COMMAND, words[0]),
    ]


def test_beginnings_that_mean_one():
    lines = [Line(line) for option in OPTIONS if option != "help" for line in lines_about(option)]
    told = differences(lines)
    # dmctl's own --help is another text, on standard output.
    told += differences([Line(line) for line in lines_about("help")], programs=("dmsetup",))
    assert not told, "\n" + told


def test_ambiguous_beginnings():
    words = [f"--{beginning}" for beginning in BEGINNINGS if len(meant(beginning)) > 1]
    assert len(words) > 40
    lines = [line for word in words for line in ((word, *COMMAND), (*COMMAND, word), (*COMMAND, f"{word}=1"))]
    told = differences(list(map(Line, lines)))
    assert not told, "\n" + told


def test_no_beginnings():
    """A whole name, or a beginning of one, and a letter more."""
    words = [f"--{name}~" for name in OPTIONS] + [f"--{name[:-1]}~=1" for name in OPTIONS]
    told = differences([Line((*COMMAND, word)) for word in words[:: len(words) // 20]])
    assert not told, "\n" + told
