# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crash states of a small made-up log, against the set of all that a device may hold, worked out by hand."""

import os
import random
from collections import defaultdict

import pytest

from crash.log_writes import FLUSH, FUA, Entry
from crash.states import Image, Region, crash_states

SECTOR = 512


def write(sector, text, flags=0):
    """A write of as many sectors as the text has letters."""
    data = b"".join(bytes([ord(letter)]) * SECTOR for letter in text)
    return Entry(sector * SECTOR, len(data), flags, data, None)


FLUSHED = Entry(0, 0, FLUSH, None, None)
LOG = [
    write(0, "a"),
    write(1, "bb"),
    FLUSHED,
    Entry(0, 0, 8, None, "first"),
    write(0, "c"),
    write(1, "dd"),
    write(3, "e", FUA),
    Entry(0, 0, 8, None, "second"),
    write(0, "f", FLUSH | FUA),
]


@pytest.fixture
def files(tmp_path):
    """Two files of two sectors each, as one device."""
    fds = [os.open(tmp_path / name, os.O_RDWR | os.O_CREAT) for name in "xy"]
    for fd in fds:
        os.truncate(fd, 2 * SECTOR)
    yield [Region(number * 2 * SECTOR, 2 * SECTOR, fd) for number, fd in enumerate(fds)]
    for fd in fds:
        os.close(fd)


def letters(regions):
    """What the device holds, a letter a sector; a mixed sector fails."""
    raw = b"".join(os.pread(region.fd, region.length_bytes, 0) for region in regions)
    sectors = [set(raw[at : at + SECTOR]) for at in range(0, len(raw), SECTOR)]
    assert all(len(values) == 1 for values in sectors)
    return "".join(chr(value) if value else "." for (value,) in sectors)


def test_states_are_those_that_may_be(files):
    found = defaultdict(set)
    for state in crash_states(LOG, Image(files), random.Random(1), subsets=40, torn=40):
        found[state.position, state.kind].add(letters(files))
        assert state.marks == ("first", "second")[: (state.position > 4) + (state.position > 8)]
    assert letters(files) == "fdde"
    prefixes = {position: states for (position, kind), states in found.items() if kind == "prefix"}
    assert prefixes == {1: {"a..."}, 2: {"abb."}, 5: {"cbb."}, 6: {"cdd."}, 7: {"cdde"}, 9: {"fdde"}}
    assert found[2, "subset"] == {"....", "a...", ".bb.", "abb."}
    assert found[2, "torn"] == {f"{a}{b}{c}." for a in "a." for b in "b." for c in "b."}
    # What was flushed stays, and what was written with FUA is there.
    assert found[7, "subset"] == {"abbe", "cbbe", "adde", "cdde"}
    assert (9, "subset") not in found


def test_a_discard_leaves_zeros(files):
    log = [write(0, "aaaa"), FLUSHED, Entry(SECTOR, 2 * SECTOR, 4, None, None)]
    states = [letters(files) for _ in crash_states(log, Image(files), random.Random(1), subsets=0, torn=0)]
    assert states == ["aaaa", "a..a"]
