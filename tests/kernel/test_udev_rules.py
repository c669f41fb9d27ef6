# SPDX-License-Identifier: LGPL-2.1-or-later
"""The udev rules of Debian's dmsetup with dmctl in its place: the same events, properties and links; cookies end."""

import os
import re
import shutil
import signal
import struct
import sys
from ast import literal_eval
from difflib import unified_diff
from pathlib import Path

import pytest
import pyudev

from dmctl.device import Device
from dmctl.libdm import task as dm
from dmctl.libdm import udev
from dmctl.table import Line
from guests import udevd
from guests.kernel_state import KernelState
from kernel.stand_in import (
    PLACE,
    comparable,
    database,
    dmctl_in_place_of_dmsetup,
    guest_only,
    in_place_of_dmsetup,
    in_time,
    run,
    run_dmctl,
    settle,
)

RULES = Path("/lib/udev/rules.d/55-dm.rules")
RECEIVE_BYTES = 16 << 20
TABLE = "0 1024 linear {l} 0"
# libdevmapper.h: what dm_task_set_cookie() takes and no option of dmsetup gives.
DISABLE_DISK_RULES, DISABLE_OTHER_RULES, LOW_PRIORITY = 0x04, 0x08, 0x10
SWAP = "0 1024 linear {l} 1024"
RUN32 = "abcdefghijklmnopqrstuvwxyzABCDEF"


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """Debian's dmsetup, where no mount hides it."""
    guest_only()
    return shutil.copy(PLACE, tmp_path_factory.mktemp("debian"))


@pytest.fixture(autouse=True, scope="module")
def _nothing_over_dmsetup():
    before = os.stat(PLACE)
    yield
    assert os.path.samestat(os.stat(PLACE), before), "a bind mount over dmsetup was left"


class Events:
    """Events of dm devices: what the kernel has sent, and what udevd passed on when its rules were done."""

    def __init__(self):
        self.cookies = []  # of all events so far, as the kernel sent them
        context = pyudev.Context()
        self._monitors = [pyudev.Monitor.from_netlink(context, source) for source in ("kernel", "udev")]
        for monitor in self._monitors:
            monitor.filter_by("block")
            monitor.set_receive_buffer_size(RECEIVE_BYTES)
            monitor.start()

    def take(self):
        """Properties of every event since the last time, a list a device. Nothing that the kernel sent is missing."""
        settle()
        sent, done = (received(monitor) for monitor in self._monitors)
        assert {event["SEQNUM"] for event in sent} == {event["SEQNUM"] for event in done}
        self.cookies += [event["DM_COOKIE"] for event in sent if "DM_COOKIE" in event]
        events = {}
        for event in sorted(done, key=lambda event: int(event["SEQNUM"])):
            events.setdefault(event["DEVNAME"], []).append(comparable(event))
        return events


def received(monitor):
    events = iter(lambda: monitor.poll(0), None)
    return [dict(event.properties) for event in events if event.sys_name.startswith("dm-")]


def swap_area(disk):
    """A loop device with a swap area for udev to find, not at its start: links to it are the dm device's alone."""
    made = disk(1 << 20)
    header = struct.pack("=3I16s16s", 1, 127, 0, bytes(range(16)), b"the label")  # version, last page, uuid, label
    with open(made.path, "r+b") as blocks:
        blocks.seek(1024 * 512)
        blocks.write(bytes(1024) + header + bytes(4096 - 1024 - len(header) - 10) + b"SWAPSPACE2")
    return made


def trigger(words):
    """Events that come from no request."""
    for action in ("change", "add"):
        run("udevadm", "trigger", f"--action={action}", "--subsystem-match=block", "--sysname-match=dm-*")
        settle()


def flagged(name, flags, table):
    """A create whose cookie has flags that no option of dmsetup sets."""

    def act(words):
        def create():
            with udev.Cookie(0, flags) as cookie, Device(name.format(**words)).task(dm.CREATE) as task:
                line = Line.parse(table.format(**words))
                task.add_target(line.start_sectors, line.length_sectors, line.target, line.params)
                cookie.attach(task)
                task.run()

        assert not in_time(create).error

    return act


def named(names):
    """Create devices of these names and uuids, and remove them: two steps, of several lines."""
    creates = [
        ["create", *(["-u", uuid] if uuid else []), "--table", TABLE, "--", name] for name, uuid in names.items()
    ]
    return [creates, ["remove", "--", *names]]


# Steps of a story: lines of dmsetup, by words where they have blanks in them, or something else to do.
# {p}: the prefix of names, {l}: a loop device.
STORIES = {
    "life": [
        ["create", "{p}a", "--table", SWAP],
        "suspend {p}a",
        trigger,
        "rename {p}a {p}b",
        "resume --readahead 64 {p}b",
        trigger,
        "rename --setuuid {p}b UUID-{p}",
        ["load", "{p}b", "--table", "0 2048 linear {l} 0"],
        "resume {p}b",
        "remove --force {p}b",
    ],
    "bare": ["create {p}a --notable", trigger, "rename {p}a {p}b", "resume {p}b", "remove {p}b"],
    "read-only": [["create", "{p}a", "-r", "--table", TABLE], "remove {p}a"],
    "names": named(
        {
            "{p}\"q'$x;`  b": None,
            "{p}ü%s\\": "a b\"/'%",
            "-{p}": f"LVM-{RUN32}{RUN32}",
            "{p}vg-a--b": f"LVM-{RUN32}{RUN32[::-1]}",
            "{p}vg-pool_tmeta": f"LVM-{RUN32[::-1]}{RUN32}-tmeta",
            "{p}m-part1": "part1-mpath-3600{p}",
            "{p:n<127}": "CRYPT-LUKS2-{p}-k",
        }
    ),
    "blanks in the kernel's name": [
        ["create", "--manglename", "none", "--table", TABLE, "{p} x y z", "-u", f"LVM-{RUN32}{RUN32}"],
        ["remove", "--manglename", "none", "{p} x y z"],
    ],
    "options": [
        ["create", "{p}a", "--noudevrules", "--table", TABLE],
        "suspend {p}a",
        "resume {p}a",
        "remove --noudevrules {p}a",
        ["create", "{p}b", "--noudevsync", "--table", TABLE],
        "remove --noudevsync {p}b",
        ["create", "{p}c", "--verifyudev", "--table", TABLE],
        "remove --retry {p}c",
    ],
    "flags": [
        ["create", "{p}a", "--table", SWAP],
        flagged("{p}b", LOW_PRIORITY, SWAP),
        flagged("{p}c", DISABLE_DISK_RULES, TABLE),
        flagged("{p}d", DISABLE_OTHER_RULES | udev.DISABLE_DM_RULES, TABLE),
        flagged("{p}e", udev.DISABLE_SUBSYSTEM_RULES, TABLE),
        flagged("{p}f", 0xFFA0, TABLE),  # what has no meaning to udev's rules, and no fallback
        trigger,
        "suspend {p}c",
        "resume {p}c",
        "remove --noudevrules --verifyudev {p}d",  # its node is the library's, not udev's
        "remove {p}a {p}b {p}c {p}e {p}f",
    ],
}  # fmt: skip


# Stories of single tests.
MORE = {
    "without waiting": [["create", "--noudevsync", "{p}a", "--table", TABLE], "remove --noudevsync {p}a"],
    "asked for": [
        [["create", "{p}a b", "--table", TABLE], ["create", "{p}b", "-u", f"LVM-{RUN32}{RUN32}", "--table", TABLE]],
        [["suspend", "{p}a b"], ["suspend", "{p}b"]],
        trigger,
        [["remove", "{p}a b"], ["remove", "{p}b"]],
    ],
}


def tell(tool, story, words):
    """Act a story; after every step of it the events that came and what udev knows."""
    cookies = KernelState.now().cookies
    events, told = Events(), []
    for step in (STORIES | MORE)[story]:
        if callable(step):
            step(words)
        else:
            for line in step if isinstance(step[0], list) else [step]:
                tool(*(word.format(**words) for word in (line.split() if isinstance(line, str) else line)))
        told.append((step, events.take(), database()))
    assert KernelState.now().cookies == cookies
    assert not database()[0], "the story leaves devices"
    return told, events.cookies


def with_dmsetup(debian):
    return lambda *words: run(debian, *words)


def lines(told):
    """What was told, a line for each single thing."""
    for number, (step, events, (records, links)) in enumerate(told):
        where = f"{number} {step}"
        for device, properties in ((device, event) for device, each in events.items() for event in enumerate(each)):
            yield from (f"{where}: event {properties[0]} of {device}: {pair}" for pair in properties[1].items())
        for device, (properties, more, watched) in records.items():
            yield from (f"{where}: record of {device}: {pair}" for pair in [*properties.items(), *more, watched])
        yield from (f"{where}: link {pair}" for pair in links.items())


def assert_same(told, expected):
    differences = list(unified_diff(list(lines(expected)), list(lines(told)), "expected", "told", lineterm="", n=0))
    assert told == expected, "\n".join(differences)


@pytest.mark.parametrize("story", STORIES)
def test_same_events_and_properties(story, debian, prefix, disk):
    words = {"p": prefix, "l": swap_area(disk).path}
    expected, _ = tell(with_dmsetup(debian), story, words)
    assert_same(tell(run_dmctl, story, words)[0], expected)
    with dmctl_in_place_of_dmsetup():
        if story == "options":  # LVM, in another file, has more cookies of others
            assert_same(tell(with_dmsetup(debian), story, words)[0], expected)
        assert_same(tell(run_dmctl, story, words)[0], expected)


RECORDER = """#!{python}
import os, sys
from dmctl.cli.main import main
status = main(sys.argv)
with open({log!r}, "a") as log:
    print((sys.argv, status), file=log)
os._exit(status)
"""


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_udev_runs_dmctl(debian, prefix, disk, tmp_path):
    """What udev has run as /sbin/dmsetup is dmctl, under that name, and it succeeded for each cookie."""
    log = tmp_path / "log"
    log.touch()
    recorder = program(tmp_path / "recorder", RECORDER.format(python=sys.executable, log=str(log)))
    with in_place_of_dmsetup(recorder):
        _, cookies = tell(with_dmsetup(debian), "blanks in the kernel's name", {"p": prefix, "l": disk(1 << 20).path})
    changed, removed = cookies
    name = f"{prefix} x y z"
    assert sorted(literal_eval(line) for line in log.read_text().splitlines()) == sorted(
        [
            (["/sbin/dmsetup", "udevflags", changed], 0),
            # From 56-lvm.rules: udev splits what it puts in at blanks, and dmsetup takes two operands.
            (["/sbin/dmsetup", "splitname", *["--nameprefixes", "--noheadings", "--rows"], *name.split(" ")], 1),
            (["/sbin/dmsetup", "udevcomplete", changed], 0),
            (["/sbin/dmsetup", "udevcomplete", removed], 0),
        ]
    )


@pytest.mark.parametrize("fault", ["does nothing", "another flag"])
def test_a_broken_program_is_noticed(fault, debian, prefix, disk, tmp_path):
    """The comparison of this file fails where it has to."""
    words = {"p": prefix, "l": disk(1 << 20).path}
    tool = with_dmsetup(debian)
    expected, _ = tell(tool, "without waiting", words)
    script = "exit 0" if fault == "does nothing" else f'{debian} "$@" | sed s/PRIMARY_SOURCE/SECONDARY_SOURCE/'
    with in_place_of_dmsetup(program(tmp_path / "broken", f"#!/bin/sh\n{script}\n")):
        told, _ = tell(tool, "without waiting", words)
    differences = set(lines(expected)) ^ set(lines(told))
    assert any("DM_UDEV_PRIMARY_SOURCE_FLAG" in line for line in differences)
    assert any("DM_ACTIVATION" in line for line in differences)


@pytest.fixture
def rules_without_sysfs():
    """The rules' way for a kernel without the dm folder in sysfs: they ask dmsetup, first for the name and the uuid."""
    text, found = re.subn('^TEST=="dm", ENV{DM_NAME}=.*\n', "", RULES.read_text(), flags=re.M)
    text, also = re.subn('^TEST!="dm", (IMPORT{program}=".* -o name,uuid),suspended"', r'\1"', text, flags=re.M)
    assert (found, also) == (1, 1)
    override = Path("/run/udev/rules.d") / RULES.name
    override.parent.mkdir(exist_ok=True)
    override.write_text(text)
    udevd.reload()
    yield
    override.unlink()
    udevd.reload()


def test_rules_that_ask_for_names(rules_without_sysfs, debian, prefix, disk):
    words = {"p": prefix, "l": disk(1 << 20).path}
    tool = with_dmsetup(debian)
    expected, _ = tell(tool, "asked for", words)
    names = {event.get("DM_NAME") for _, events, _ in expected for each in events.values() for event in each}
    assert names > {f"{prefix}a b", f"{prefix}b"}
    with dmctl_in_place_of_dmsetup():
        assert_same(tell(tool, "asked for", words)[0], expected)


def test_a_step_that_does_not_end_is_explained(debian):
    """A failure for its time says what ran and which cookies there are."""
    cookie = int(run(debian, "udevcreatecookie"), 16)
    try:
        with pytest.raises(AssertionError, match="does not end") as caught:
            in_time(signal.pause, limit_s=0.2)
    finally:
        run(debian, "udevcomplete_all", "--yes")
    [note] = caught.value.__notes__
    assert re.search(r"^\d+ \(systemd-udevd\) [A-Z] \S+ /lib/systemd/systemd-udevd", note, flags=re.M), note
    assert re.search(f"^ *{cookie} ", note, flags=re.M), note
