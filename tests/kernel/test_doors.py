# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each of dmsetup's commands through both doors, the compatible entry and the typer app: same output, status, state."""

import os

import pytest

from compat.world import BARE, LOADED, ONE, STACK, SUSPENDED, TWO, World
from dmctl.cli.app import app, register_compatible
from dmctl.cli.main import main
from dmctl.cli.spec import COMMANDS
from guests.kernel_state import KernelState
from kernel.child import in_child

# Per command: a state, and lines in it; words separated by | if there is one in the line.
LINES = {
    "help": ([], ["help", "help -c", "help x"]),
    "create": (
        [],
        [
            "create|{p}x|--tab|0 8 linear /dev/nope 0",
            "create {p}x {file} -j 1",
            "create|-uU|-r|--table=0 8 zero\n8 8 error|{p} x y",
        ],
    ),
    "remove": (TWO, ["remove {p}zz {p}a", "remove", "remove -u UUID-{p}b -f", "remove -v {p}a {p}b"]),
    "remove_all": (ONE, ["remove_all x", "remove_all -f"]),
    "suspend": (ONE, ["suspend {p}zz", "suspend -v --noflush --nolockfs {p}a"]),
    "resume": (SUSPENDED, ["resume --readahead -2 {p}a", "resume", "resume {p}a --readahead +16"]),
    "load": (BARE, ["load {p}n {badfile}", "load -n {p}n", "load {p}n {file}", "load|{p}n|--table|0 8 zero"]),
    "reload": (BARE, ["reload {p}n /nonexistent", "reload|-r|--table|0 8 zero|{p}n"]),
    "clear": (LOADED, ["clear {p}zz", "clear -v {p}a"]),
    "wipe_table": (ONE, ["wipe_table", "wipe_table -f {p}a"]),
    "rename": (ONE, ["rename {p}zz {p}b", "rename {p}a {p}a", "rename --setu {p}a id", "rename|{p}a|{p}with blank"]),
    "message": (
        BARE,
        [
            "message {p}n 0 @stats_list",
            "message {p}n 0 hello -v world",
            "message -- {p}n 0 -hello",
            "message|--|{p}n|-1|hello",
            "message|{p}n|0|",
            "message {p}n",
        ],
    ),
    "ls": (
        STACK,
        ["ls", "ls -o devname", "ls -oblkdevname", "ls --target zero", "ls -v --json", "ls x", "ls -Z", "ls -h"],
    ),
    "info": (
        STACK,
        [
            "info",
            "info {p}b {p}a",
            "info -u UUID-{p}b",
            "info -j254 -m 0",
            "info --noopen {p}a --json",
            "info {p}zz",
            "info -- {p}a",
            "info -- -v",
            "info|",
            "info --version",
            "info --help",
            "info -c --noheadings -o name,uuid -Oname",
            "info --debug {p}zz",
        ],
    ),
    "deps": (STACK, ["deps", "deps -o devname {p}c", "deps {p}c -v", "deps --json"]),
    "status": (STACK, ["status", "status --target error", "status -v {p}b", "status --json {p}b {p}zz"]),
    "table": (STACK, ["table", "table {p}c {p}a", "table --showkeys", "table --inactive --json"]),
    "wait": (ONE, ["wait {p}a 5", "wait {p}zz", "wait", "wait -v {p}a 5"]),
    "mknodes": (BARE, ["mknodes {p}zz", "mknodes --json", "mknodes {p}n", "mknodes"]),
    "target-version": ([], ["target-version linear striped", "target-version frob", "target-version --json linear"]),
    "targets": ([], ["targets", "targets --json", "targets --checks", "targets x"]),
    "splitname": ([], ["splitname vg-lv", "splitname --nohead -o vg_name,lv_name a--b-c-d LVM", "splitname"]),
    "udevcreatecookie": ([], ["udevcreatecookie x"]),  # see below
    "udevreleasecookie": ([], ["udevreleasecookie", "udevreleasecookie frob", "udevreleasecookie 0xd4d1234"]),
    "udevflags": ([], ["udevflags 0x00650000", "udevflags -- 0x1", "udevflags", "udevflags frob"]),
    "udevcomplete": ([], ["udevcomplete 0x00650000", "udevcomplete 0xd4d1234", "udevcomplete frob"]),
    "udevcomplete_all": ([], ["udevcomplete_all -y", "udevcomplete_all -y 5", "udevcomplete_all 1 2"]),
    "udevcookies": ([], ["udevcookies", "udevcookies x"]),
    "measure": (TWO, ["measure", "measure {p}b {p}zz"]),
    "mangle": (ONE, ["mangle {p}a", "mangle --manglename frob", "mangle {p}zz"]),
    "setgeometry": (ONE, ["setgeometry {p}a 1 2 3 0", "setgeometry {p}a 1 2 3", "setgeometry {p}a -- -1 2 3 0"]),
    "stats": (
        STACK,
        [
            "stats list",
            "stats create {p}a --areas 2",
            "stats list -v --json",
            "stats report {p}a --noheadings -o region_id",
            "stats frob",
            "stats delete {p}a --allregions",
            "stats",
        ],
    ),
    "version": ([], ["version", "version --json", "version -v", "version -- x"]),
}
# Those that change nothing, so that a door's lines follow each other in one process.
READS = {"help", "message", "ls", "info", "deps", "status", "table", "wait", "target-version", "targets", "version"}
READS |= {command for command in LINES if command.startswith("udev")} | {
    "splitname",
    "measure",
    "mangle",
    "setgeometry",
    "stats",  # the regions of its lines are gone at the end
}

register_compatible()


def test_every_command_is_here():
    assert LINES.keys() == {command.name for command in COMMANDS.values()}


def through(door, lines):
    """What command lines do: (exit status, standard output, standard error) of each."""

    def entry():
        for words in lines:
            status = main(["dmctl", *words]) if door == "entry" else typer_status(words)
            os.write(1, b"\0")
            os.write(2, f"\0{status}\0".encode())

    ended = in_child(entry)
    assert ended.error == "", ended
    said = ended.err.split(b"\0")
    return list(zip(said[1::2], ended.out.split(b"\0")[:-1], said[::2][: len(lines)], strict=True))


def typer_status(words):
    try:
        app(args=words, prog_name="dmctl")
    except SystemExit as end:
        return end.code
    return 0


def changes(world, setup, before, lines):
    """The two outcomes of each line: what it did, and the state that it left."""
    after = before
    for words in lines:
        outcomes = []
        for door in ("entry", "typer"):
            if after != before:
                world.take_down()
                world.set_up(setup)
            told = through(door, [words])
            after = world.describe()
            outcomes.append((told, after))
        yield outcomes
    # That the entry does what dmsetup does is compared in tests/compat; here, that the last line did something.
    assert after != before


@pytest.mark.parametrize("command", LINES)
def test_both_doors(command, prefix, standing_disks, dmsetup, tmp_path):
    setup, lines = LINES[command]
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    lines = [world.expand(line.split("|") if "|" in line else line.split()) for line in lines]
    try:
        world.set_up(setup)
        before = world.describe()
        if command in READS:
            pairs = list(zip(through("entry", lines), through("typer", lines), strict=True))
            assert world.describe() == before
        else:
            pairs = list(changes(world, setup, before, lines))
    finally:
        world.take_down()
    different = [
        f"{words}\n  entry: {entry}\n  typer: {typer}"
        for words, (entry, typer) in zip(lines, pairs, strict=True)
        if entry != typer
    ]
    assert not different, "\n" + "\n".join(different)


@pytest.mark.parametrize("door", ["entry", "typer"])
def test_cookie(door):
    before = KernelState.now().cookies
    ((status, out, err),) = through(door, [["udevcreatecookie"]])
    assert (status, err) == (b"0", b"")
    assert KernelState.now().cookies - before == {f"{int(out, 16):#x}"}
    assert through(door, [["udevreleasecookie", out.decode().strip()]]) == [(b"0", b"", b"")]
    assert KernelState.now().cookies == before
