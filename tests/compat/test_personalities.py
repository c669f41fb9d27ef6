# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl by the name of dmlosetup, against dmsetup by that name; and what only dmctl by its own name has."""

import subprocess

import pytest

from compat.world import ONE, STACK, World, comparable, first_line
from guests.fixtures import Result

LOSETUP_LINES = [
    "",
    "-d",
    "-a",
    "-e",
    "-f",
    "-f loop9",
    "-Z loop9",
    "--delete loop9",
    "-o",
    "frob",
    "loop9",
    "loop9 /nope",
    "loop9 {file}",
    "loop9 {file} more",
    "-v loop9 {file}",
    "-v -v -d loop9",
    "-o 4096 loop9 {l}",
    "-o -512 loop9 {file}",
    "-f {file} loop9",
    "-d loop9",
    "-d /dev/mapper/{p}a",
    "/dev/mapper/{p}a {file}",
    "/dev/nope {file}",
    "/etc/hosts {file}",
    "loop9 -- {file}",
]


@pytest.mark.parametrize("name", ["losetup", "dmlosetup"])
def test_losetup(name, prefix, standing_disks, dmsetup, dmctl_as, tmp_path):
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    theirs = tmp_path / name
    theirs.symlink_to("/sbin/dmsetup")

    def reference(*words, stdin=b""):
        done = subprocess.run([theirs, *words], input=stdin, capture_output=True, check=False, env={"LC_ALL": "C"})
        return Result(done.returncode, done.stdout, done.stderr)

    different = []
    for line in LOSETUP_LINES if name == "losetup" else LOSETUP_LINES[::3]:  # the two are one
        results = []
        for tool in (reference, lambda *words, **more: dmctl_as(name, *words, **more)):
            world.set_up(ONE)
            try:
                result = world.run(tool, line)
                # getopt names the program by its path.
                error = comparable(result.err).replace(b"PROGRAM: ", b"").rpartition(str(tmp_path).encode())[2]
                results.append((result.status, result.out, error.partition(f"{name}: ".encode())[2] or error))
                results[-1] += (world.describe(),)
            finally:
                world.take_down()
        if results[0] != results[1]:
            different.append(f"{line}\n  theirs: {results[0][:3]}\n  own: {results[1][:3]}")
    assert not different, "\n" + "\n".join(different)


@pytest.fixture
def stack(prefix, standing_disks, dmsetup, tmp_path):
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    world.set_up(STACK)
    yield world
    world.take_down()


@pytest.mark.parametrize("words", [["--headings", "full"], ["--headings=2"]])
def test_headings_by_the_fields_names(stack, dmctl, dmsetup, words):
    fields = "name,blkdevname,open,devnos_used,device_ref_count"
    own = dmctl("info", "-c", "-o", fields, *words).text.splitlines()
    theirs = dmsetup("info", "-c", "-o", fields).text.splitlines()
    assert own[0].split() == fields.split(",")
    assert [line.split() for line in own[1:]] == [line.split() for line in theirs[1:]]
    assert len({len(line) for line in own}) == 1  # aligned, the long names too


def test_no_headings_but_columns(stack, dmctl, dmsetup):
    words = ("info", "-c", "-o", "name,uuid,open")
    theirs = dmsetup(*words).out.splitlines()
    assert dmctl(*words, "--headings", "none").out.splitlines() == theirs[1:]
    assert dmctl(*words, "--headings=abbrev").out.splitlines() == theirs


@pytest.mark.parametrize("words", [["--headings"], ["--headings", "frob"], ["--headings="]])
def test_unknown_headings(stack, dmctl, dmctl_as, words):
    result = dmctl("info", "-c", *words)
    assert (result.status, result.out) == (2, b"")
    assert result.err == f'dmctl: --headings must be none, abbrev or full, not "{"".join(words[1:])}".\n'.encode()
    assert first_line(dmctl_as("dmsetup", "info", "-c", *words).err) == b"PROGRAM: unrecognized option '" + (
        words[0].encode() + b"'"
    )


def test_unbuffered_rows_are_the_buffered_ones(stack, dmctl, dmctl_as, dmsetup):
    words = ("info", "-c", "-o", "names_using_dev,name,open")
    theirs = dmsetup(*words).out
    own = dmctl(*words, "--unbuffered").out
    assert [line.split() for line in own.splitlines()] == [line.split() for line in theirs.splitlines()]
    assert own != theirs  # no column is wider than its heading wants
    assert dmctl(*words, "--unbuffered", "-O", "-name").out == dmsetup(*words, "-O", "-name").out
    assert dmctl_as("dmsetup", *words, "--unbuffered").out == theirs == dmsetup(*words, "--unbuffered").out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ls --tree -o inv", b"Tree options not recognised: inv."),
        ("ls --tree -o compact,utf8,rw", b"Tree options not recognised: utf8,rw."),
        ("ls --tree -o devno", b"Tree options not recognised: devno."),
        ("ls -o blk", b"Option not recognised: blk."),
        ("deps -o dev", b"Option not recognised: dev."),
    ],
)
def test_only_whole_options(stack, dmctl, line, message):
    result = dmctl(*line.split())
    assert (result.status, result.out, result.err) == (1, b"", message + b"\nCouldn't process command line.\n")


def test_one_line_for_all_tries(stack, dmctl, dmsetup):
    device = stack.words["p"] + "a"
    theirs = dmsetup("remove", "--retry", device)
    own = dmctl("remove", "--retry", device)
    assert theirs.err.count(b"Device or resource busy") == 25
    assert own.err.count(b"Device or resource busy") == 1
    assert (own.status, own.out, first_line(own.err)) == (theirs.status, theirs.out, first_line(theirs.err))


def test_places_of_debug_lines(stack, dmctl, dmctl_as):
    assert b"ioctl/libdm-iface.c:" in dmctl("info", "-vvvv", stack.words["p"] + "a").out
    assert b"ioctl/libdm-iface.c:" not in dmctl("info", "-vvv", stack.words["p"] + "a").out
    assert b"ioctl/libdm-iface.c:" not in dmctl_as("dmsetup", "info", "-vvvv", stack.words["p"] + "a").out
