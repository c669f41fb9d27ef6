# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program in the place of Debian's dmsetup, for udev's rules, LVM and whoever else calls it; what udev then knows."""

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from guests.fixtures import dmctl_script
from guests.kernel_state import DMSETUP
from guests.running import snapshot
from guests.udevd import settle
from kernel.child import in_child

PLACE = Path(DMSETUP).resolve()
LIMIT_S = 60
LINKS = ("/dev/mapper", "/dev/disk")
# What numbers an event or a device, or tells the time. Of a cookie, the lower half does.
NUMBERS = ("SEQNUM", "USEC_INITIALIZED", "DISKSEQ")
LISTS = {"DEVLINKS": " ", "TAGS": ":", "CURRENT_TAGS": ":"}


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

    ended = in_time(act)
    assert not ended.error, (words, ended)
    return ended.out.decode()


def in_time(act, limit_s=LIMIT_S):
    """Do in a child something that waits for udev, which starts up to three programs for it; all of them dmctl where
    it has the place of dmsetup. A failure says what still ran, and the cookies with their values."""
    try:
        return in_child(act, limit_ms=int(limit_s * 1000))
    except AssertionError as error:
        error.add_note(snapshot())
        raise


def comparable(properties):
    kept = {name: value for name, value in properties.items() if name not in NUMBERS}
    for name in kept.keys() & LISTS.keys():  # udev keeps them in hash tables
        kept[name] = sorted(kept[name].split(LISTS[name]))
    if "DM_COOKIE" in kept:
        kept["DM_COOKIE"] = f"flags {int(kept['DM_COOKIE']) >> 16:#x}"
    return kept


def database(*folders):
    """udev's record of each dm device, and the links that it has made (in these folders too)."""
    devices = sorted(Path("/sys/block").glob("dm-*"))
    told = run("udevadm", "info", "--query=property", *devices) if devices else ""
    properties = [
        dict(line.split("=", 1) for line in part.splitlines())
        for part in re.split("^(?=DEVPATH=)", told, flags=re.M)[1:]
    ]
    assert [one["DEVNAME"] for one in properties] == [f"/dev/{device.name}" for device in devices]
    records = {device.name: (comparable(one), *rest(device)) for device, one in zip(devices, properties, strict=True)}
    links = {
        os.path.join(folder, name): os.readlink(os.path.join(folder, name))
        for top in (*LINKS, *folders)
        for folder, _, names in os.walk(top)
        for name in names
        if os.path.islink(os.path.join(folder, name)) and "/by-diskseq" not in folder
    }
    return records, dict(sorted(links.items()))


def rest(device):
    """What `udevadm info` leaves out: priorities of links, tags; whether udevd watches the device."""
    number = "b" + (device / "dev").read_text().strip()
    lines = Path("/run/udev/data", number).read_text().splitlines()
    return sorted(line for line in lines if line[:2] not in ("I:", "E:")), os.path.lexists(f"/run/udev/watch/{number}")
