# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program in the place of Debian's dmsetup, for udev's rules, LVM and whoever else calls /sbin/dmsetup."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from guests.fixtures import dmctl_script
from guests.kernel_state import DMSETUP
from kernel.child import in_child

PLACE = Path(DMSETUP).resolve()
LIMIT_S = 60


def guest_only():
    if not Path("/run/guest").is_dir():
        pytest.skip("would replace the dmsetup of a real machine")


@contextmanager
def in_place_of_dmsetup(program):
    """For the length of the `with` /sbin/dmsetup is this program: a bind mount, so that its name stays dmsetup."""
    guest_only()
    subprocess.run(["mount", "--bind", program, PLACE], check=True)
    try:
        assert PLACE.samefile(program)
        yield
    finally:
        settle()  # a program that still runs would keep the mount busy
        subprocess.run(["umount", PLACE], check=True)
        assert not PLACE.samefile(program)


@contextmanager
def dmctl_in_place_of_dmsetup():
    with in_place_of_dmsetup(dmctl_script()):
        yield


def settle():
    """Wait until udevd has nothing more to do."""
    subprocess.run(["udevadm", "settle"], check=True)


def run(program, *words):
    """The standard output of a program that must succeed."""
    done = subprocess.run([program, *words], capture_output=True, timeout=LIMIT_S, check=False, text=True)
    assert done.returncode == 0, (program, words, done)
    return done.stdout


def run_dmctl(*words):
    """The same of dmctl called as dmsetup, without the time of a start."""

    def act():
        from dmctl.cli.main import main

        assert main(["dmsetup", *words]) == 0

    ended = in_child(act)
    assert not ended.error, (words, ended)
    return ended.out.decode()
