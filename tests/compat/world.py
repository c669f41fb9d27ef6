# SPDX-License-Identifier: LGPL-2.1-or-later
"""A device-mapper state for a comparison: made and taken down by dmsetup, described by the kernel."""

import os
import re
import subprocess

from guests import ioctl
from guests.loop import clear

# States, as dmsetup command lines. In them and in the lines compared, {p} is the test's name prefix, {l} and {l2} are
# its loop devices, {ro} is a read-only one, {file} and {badfile} are table files.
ONE = [("create", "{p}a", "--table", "0 2048 linear {l} 0")]
TWO = [*ONE, ("create", "{p}b", "-u", "UUID-{p}b", "--table", "0 1024 linear {l} 4096\n1024 8 zero\n1032 8 error")]
STACK = [*TWO, ("create", "{p}c", "--table", "0 1024 striped 2 8 /dev/mapper/{p}a 0 /dev/mapper/{p}b 0")]
BARE = [("create", "{p}n", "--notable")]
LOADED = [*ONE, ("load", "{p}a", "--table", "0 4096 linear {l} 0")]
SUSPENDED = [*ONE, ("suspend", "{p}a")]
READ_ONLY = [("create", "{p}r", "-r", "--table", "0 8 linear {l} 0")]
BLANK = [("create", "{p} b", "--table", "0 8 error")]
CRYPT = [
    (
        "create",
        "{p}k",
        "--table",
        "0 64 crypt aes-xts-plain64 " + "0123456789abcdef" * 4 + " 0 {l} 0",
    )
]


class World:
    """The state that a comparison is about."""

    def __init__(self, prefix, standing_disks, dmsetup, tmp_path):
        self.dmsetup = dmsetup
        *self.loops, read_only = standing_disks
        self.words = {"p": prefix, "l": self.loops[0].path, "l2": self.loops[1].path, "ro": read_only.path}
        for name, text in (("file", "0 8 zero\n8 8 error\n"), ("badfile", "0 8 zero\n\n# x\n8 frob\n")):
            self.words[name] = str(tmp_path / name)
            (tmp_path / name).write_text(text)

    def expand(self, words):
        return [word.format(**self.words) if "{" in word else word for word in words]

    def set_up(self, setup):
        for loop in self.loops:  # what a target has written there is part of the state
            clear(loop)
        for words in setup:
            result = self.dmsetup(*self.expand(words))
            assert result.status == 0, result

    def run(self, tool, line, stdin=b""):
        """Run a line."""
        words = split(line)
        result = tool(*self.expand(words), stdin=stdin.decode().format(**self.words).encode() if stdin else b"")
        if "--noudevsync" in words:  # udev is still at it
            subprocess.run(["udevadm", "settle"], check=True)
        return result

    def describe(self):
        """All that sysfs, the kernel and /dev/mapper tell of the state."""
        nodes = {
            name: (os.lstat(f"/dev/mapper/{name}").st_mode, *os.stat(f"/dev/mapper/{name}")[4:6])
            for name in sorted(os.listdir("/dev/mapper"))
        }
        attributes = ("dm/name", "dm/uuid", "dm/suspended", "ro", "size", "queue/read_ahead_kb")
        sysfs = {
            device: [read(f"/sys/block/{device}/{attribute}") for attribute in attributes]
            + sorted(os.listdir(f"/sys/block/{device}/slaves"))
            for device in sorted(os.listdir("/sys/block"))
            if device.startswith("dm-")
        }
        return nodes, sysfs, ioctl.states()

    def take_down(self):
        """Remove all there is; --force frees what is suspended or stacked."""
        if ioctl.names():  # sysfs does not have the devices without a table
            result = self.dmsetup("remove_all", "--force")
            assert not ioctl.names(), result


def split(line):
    """The words of a line, separated by | if it holds any, else by blanks."""
    return line.split("|") if "|" in line else line.split()


def read(path):
    with open(path) as file:
        return file.read()


def comparable(err):
    """Standard error up to the usage, whose words are dmctl's own, and without the name that getopt puts first."""
    return re.sub(rb"^\S*(dmsetup|dmctl): ", b"PROGRAM: ", err.partition(b"Usage:")[0])


def first_line(err):
    return comparable(err).partition(b"\n")[0]
