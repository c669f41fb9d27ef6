# SPDX-License-Identifier: LGPL-2.1-or-later
"""Too few operands, too many, and devices that are not there: the same refusal as dmsetup's, for every command."""

import os

import pytest

from compat.batch import differences, line, standing
from dmctl.cli.spec import COMMANDS

# Of commands about a device: what stands behind it.
BEHIND = {
    "load": ["--table", "0 8 zero"],
    "reload": ["--table", "0 8 zero"],
    "rename": ["new"],
    "message": ["0", "hello"],
    "setgeometry": ["1", "2", "3", "0"],
}
ABOUT_A_DEVICE = (
    *("remove", "suspend", "resume", "load", "reload", "clear", "wipe_table", "rename", "measure", "message", "info"),
    *("deps", "status", "table", "wait", "mknodes", "mangle", "setgeometry"),
)
NO_DEVICE = [
    ["nope"],
    [""],
    ["-u", "nope"],
    ["-u", ""],
    ["-j", "254", "-m", "999"],
    ["/dev/nope"],
    ["nope", "nope too"],
]
# A third of these for each command, by turns.
MORE = [
    ["/dev/null"],
    ["n" * 128],
    ["a\\x20 b"],
    ["-u", "nope", "nope"],
    ["n" * 127],
    ["\udcff"],
    ["-j", "0", "-m", "0"],
    ["a\\x2"],
    ["mapper/nope"],
]


@pytest.fixture(scope="module", autouse=True)
def _no_devices(tmp_path_factory):
    """None, and none afterwards."""
    with standing([], tmp_path_factory.mktemp("usage"), f"dmt{os.getpid()}u-"):
        yield


def compare(lines):
    told = differences(lines)
    assert not told, "\n" + told


def test_number_of_operands():
    """One too few and one too many, and none at all."""
    lines = []
    for command in COMMANDS.values():
        counts = {command.minimum - 1, 0} if command.minimum else set()
        counts |= {command.maximum + 1, command.maximum + 3} if command.maximum >= 0 else set()
        lines += [line(command.name, *["x"] * count) for count in sorted(counts)]
    assert len(lines) > 40
    compare(lines)


@pytest.mark.parametrize("command", ABOUT_A_DEVICE)
def test_no_such_device(command):
    behind = BEHIND.get(command, [])
    some = NO_DEVICE + MORE[ABOUT_A_DEVICE.index(command) % 3 :: 3]
    lines = [line(command, *words, *behind) for words in some]
    lines += [line(command, "-j", "254"), line(command, "-m", "1", "nope"), line(command, "-S", "name=nope", "nope")]
    if command not in ("info", "deps", "status", "table", "measure", "mknodes", "mangle"):  # which mean all devices
        lines.append(line(command))
    compare(lines)


def test_every_device_is_covered():
    assert {name for name, command in COMMANDS.items() if "DEVICE" in command.usage} - {"stats"} == set(ABOUT_A_DEVICE)


def test_create_refuses():
    """create without a name, with one that cannot be, and with options that do not go together."""
    table = ("--table", "0 8 zero")
    compare(
        [
            line("create"),
            line("create", *table),
            line("create", "a/b", *table),
            line("create", "n" * 128, *table),
            line("create", "", *table),
            line("create", "a", "-n", *table),
            line("create", "a", "--table", "0 8"),
            line("create", "a", "--table", "x"),
            line("create", "a", "/nonexistent"),
            line("create", "-u", "x", *table),
            line("create", "a", "-j", "254", *table),
            line("create", "a", "-m", "9", *table),
            line("create", "--concise", "a"),
            line("create", "--concise", "a", "b"),
            line("create", "--concise", "a", "-n"),
            line("create", "a", "--readahead", "-2"),
            line("create", "a", "--addnodeonresume", "--addnodeoncreate", *table),
            line("create", "a\\x20 b", *table),
            line("create", "a", "-u", "u" * 129, *table),
        ]
    )


def test_units_of_no_size():
    """dmsetup looks at --units even where no size is shown, but after the fields of a report."""
    lines = [
        ("version",),
        ("splitname", "a-b"),
        ("ls",),
        ("info", "-c", "-o", "name"),
        ("--version",),
        ("frob",),
        ("ls", "x"),
    ]
    compare([line(*words, "--units", units) for words in lines for units in ("1", "k")] + [line("help", "--units=")])
