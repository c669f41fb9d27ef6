# SPDX-License-Identifier: LGPL-2.1-or-later
"""Typed arguments and status of targets that map without metadata of their own: the kernel takes, prints and does them.

Devices are made by dmsetup; what they do is judged by the files below the loop devices, sysfs and the log's own format.
"""

import errno
import mmap
import os
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dmctl.table import Table
from dmctl.targets import TARGETS, parse_params, parse_status
from dmctl.targets.base import Leg
from dmctl.targets.delay import DelayArguments, Way
from dmctl.targets.dust import DustArguments
from dmctl.targets.error import ErrorArguments
from dmctl.targets.flakey import CorruptByte, FlakeyArguments
from dmctl.targets.linear import LinearArguments
from dmctl.targets.log_writes import LogWritesArguments
from dmctl.targets.striped import StripedArguments
from dmctl.targets.switch import SwitchArguments
from dmctl.targets.unstriped import UnstripedArguments
from dmctl.targets.zero import ZeroArguments

MIB = 1 << 20
SECTOR = 512
OURS = {"linear", "striped", "flakey", "zero", "error", "delay", "dust", "unstriped", "switch", "log-writes"}
MODULES = ("dm-delay", "dm-dust", "dm-flakey", "dm-log-writes", "dm-switch", "dm-unstripe", "dm-zero")
# Without udev, which would read from devices where every request counts, libdevmapper makes the nodes.
ENV = {"DM_DISABLE_UDEV": "1"}
# A request that is to be seen waiting waits until a suspend lets it go.
FOREVER_MS = 60_000
DEADLINE_S = 30


class Mapped:
    """A device with one line, made by dmsetup."""

    def __init__(self, dmsetup, name):
        self.name, self.path, self._dmsetup = name, Path("/dev/mapper", name), dmsetup

    def run(self, *words):
        """Run a dmsetup command about the device; what it prints."""
        command, *rest = words
        done = self._dmsetup(command, self.name, *rest, env=ENV)
        assert done.status == 0, done
        return done.text

    def resume(self, arguments, length):
        """Put a line of these arguments in the place of the one that is there."""
        self.run("load", "--table", arguments.line(0, length).format())
        self.run("resume")
        return self

    def status(self):
        (line,) = Table.parse(self.run("status"))
        return parse_status(line.target, line.params)

    @property
    def devno(self):
        rdev = self.path.stat().st_rdev
        return f"{os.major(rdev)}:{os.minor(rdev)}"

    def read(self, start, sectors=1):
        with _opened(self.path, os.O_RDONLY) as fd:
            memory = mmap.mmap(-1, sectors * SECTOR)
            assert os.preadv(fd, [memory], start * SECTOR) == sectors * SECTOR
            return memory[:]

    def write(self, start, data, *, sync=False):
        with _opened(self.path, os.O_WRONLY) as fd:
            memory = mmap.mmap(-1, len(data))
            memory[:] = data
            assert os.pwritev(fd, [memory], start * SECTOR) == len(data)
            if sync:
                os.fsync(fd)

    def fails(self, what, *args):
        """Whether a read or write ends with an I/O error."""
        try:
            what(*args)
        except OSError as error:
            assert error.errno == errno.EIO
            return True
        return False


class _opened:
    """A file descriptor past the page cache, for the length of a block."""

    def __init__(self, path, flags):
        self._fd = os.open(path, flags | os.O_DIRECT)

    def __enter__(self):
        return self._fd

    def __exit__(self, *exc):
        os.close(self._fd)


@pytest.fixture
def device(no_udev, dmsetup, prefix):
    """device(): a device without a table; removed at the end, the last one first."""
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=True)
    made = []

    def make():
        mapped = Mapped(dmsetup, f"{prefix}{len(made)}")
        mapped.run("create", "--notable")
        made.append(mapped)
        return mapped

    yield make
    for mapped in reversed(made):
        mapped.run("remove", "--retry")


def content(letter, sectors, start=0):
    """Sectors each of which says whose it is and which."""
    return b"".join(b"%c%07d" % (letter, number) * (SECTOR // 8) for number in range(start, start + sectors))


@pytest.fixture
def disks(disk):
    """Three disks of 1, 1 and 2 MiB, full of content() of a, b and c."""
    made = [disk(MIB), disk(MIB), disk(2 * MIB)]
    for letter, one in zip(b"abc", made, strict=True):
        one.backing.write_bytes(content(letter, one.sectors))
    return made


def below(disk, start, sectors=1):
    """What a disk has, past everything that was mapped."""
    with disk.backing.open("rb") as file:
        file.seek(start * SECTOR)
        return file.read(sectors * SECTOR)


def wait_for(condition):
    """Wait for what a thread of the kernel does at its own time; the last value of condition()."""
    until = time.monotonic() + DEADLINE_S
    while not (value := condition()) and time.monotonic() < until:
        pass
    return value


def arguments_of(a, b, c):
    """Arguments, and by what the kernel must refuse a longer line, None where that is not looked at."""
    legs = (Leg(a, 0), Leg(b, 8), Leg(c, 384))
    features = {"drop_writes": True, "corrupt_byte": CorruptByte(32, "r", 1, 0)}
    most = CorruptByte(4294967295, "r", 255, 4294967295)
    return [
        (LinearArguments(a), None),
        (LinearArguments(c, 1024), 1),
        (StripedArguments(8, legs), 24),
        (StripedArguments(128, legs[:1]), None),
        (FlakeyArguments(a, 0, 5, 1), None),
        (FlakeyArguments(a, 8, 0, 4294967295, drop_writes=True), 1),
        (FlakeyArguments(a, 8, 5, 1, error_writes=True, corrupt_byte=most), None),
        (FlakeyArguments(a, 8, 5, 1, corrupt_byte=CorruptByte(1, "w", 0, 32)), None),
        (FlakeyArguments(a, 8, 5, 1, **features), None),
        (ZeroArguments(), None),
        (ErrorArguments(), None),
        (DelayArguments(a, 10), None),
        (DelayArguments(a, 10, 8, Way(c, 16, 4294967295)), None),
        (DelayArguments(a, 0, 8, Way(b, 16, 20), Way(c, 0, 0)), 1),
        (DustArguments(a, 512), None),
        (DustArguments(a, 65536, 8), 1),
        (UnstripedArguments(2, 8, 1, a), None),
        (UnstripedArguments(3, 128, 2, c, 8), None),
        (UnstripedArguments(4294967295, 8, 4294967290, a), None),  # printed as negative numbers
        (SwitchArguments(8, legs), 1),
        (SwitchArguments(4294967295, legs[1:2]), None),
        (LogWritesArguments(a, b), 1),
    ]


def test_tables(disks, dmsetup, prefix):
    def load(table):
        assert (done := dmsetup("load", name, stdin=table.encode(), env=ENV)).status == 0, done
        return dmsetup("table", "--inactive", "--showkeys", name, env=ENV).text

    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=True)
    name, sizes = f"{prefix}t", {disk.devno: disk.sectors for disk in disks}
    given = arguments_of(*sizes)
    lengths = [arguments.default_length_sectors(sizes.__getitem__) or 8 for arguments, _ in given]
    table, start = "", 0
    for (arguments, _), length in zip(given, lengths, strict=True):
        table += arguments.line(start, length).format() + "\n"
        start += length
    assert dmsetup("create", name, "--notable", env=ENV).status == 0
    try:
        shown = load(table)
        lines = Table.parse(shown)
        again = [parse_params(line.target, line.params) for line in lines]
        assert again == [arguments for arguments, _ in given]
        pairs = zip(again, lines, strict=True)
        formatted = [made.line(line.start_sectors, line.length_sectors).format() for made, line in pairs]
        assert load("\n".join(formatted)) == shown
        (line,) = Table.parse(load(LinearArguments(disks[0].path, 8).line(0, 8).format()))
        assert parse_params("linear", line.params) == LinearArguments(disks[0].devno, 8)
    finally:
        dmsetup("remove", name, env=ENV)
    # The default lengths are the longest that there are.
    for (arguments, step), length in zip(given, lengths, strict=True):
        if step:
            line = arguments.line(0, length + step).format()
            assert dmsetup("create", name, "--table", line, env=ENV).status == 1, line
    # The rest of this group is not in the guest's kernel, and other tests have the other targets.
    assert {arguments.target for arguments, _ in given} == OURS <= set(TARGETS)
    assert {line.split()[0] for line in dmsetup("targets").text.splitlines()} >= OURS


def test_mapping(device, disks):
    a, b, c = disks
    mapped = device()
    mapped.resume(LinearArguments(a.devno, 24), 64)
    assert mapped.read(3, 2) == content(ord("a"), 2, 27)
    mapped.resume(ZeroArguments(), 64)
    mapped.write(0, b"x" * SECTOR)
    assert mapped.read(0, 8) == bytes(8 * SECTOR)
    assert mapped.status().state == "ok"
    mapped.resume(ErrorArguments(), 64)
    assert mapped.fails(mapped.read, 0)

    mapped.resume(SwitchArguments(16, (Leg(a.devno), Leg(b.devno, 8), Leg(c.devno, 384))), 256)
    for region, (disk, offset) in enumerate([(a, 0), (b, 8), (c, 384), (a, 0)]):
        assert mapped.read(16 * region, 16) == below(disk, offset + 16 * region, 16)
    mapped.run("message", "0", "set_region_mappings", "0:2")
    assert mapped.read(0, 16) == below(c, 384, 16)
    assert mapped.status().state == "ok"


def test_striped(device, disks):
    a, b, _ = disks
    broken, striped, one = device(), device(), device()
    broken.resume(LinearArguments(b.devno), b.sectors)
    made = StripedArguments(8, (Leg(a.devno), Leg(broken.devno, 16)))
    length = made.default_length_sectors({a.devno: a.sectors, broken.devno: b.sectors}.__getitem__)
    assert length == 2 * (b.sectors - 16)
    striped.resume(made, length)
    assert striped.read(0, 24) == below(a, 0, 8) + below(b, 16, 8) + below(a, 8, 8)

    # What unstriped shows of a stripe is the disk's, from its first sector to the last that is striped.
    for stripe, disk, offset in ((0, a, 0), (1, b, 16)):
        part = UnstripedArguments(2, 8, stripe, striped.devno)
        size = part.default_length_sectors(lambda _: length)
        assert size == b.sectors - 16
        one.resume(part, size)
        assert one.read(0, size) == below(disk, offset, size)
        assert one.status().state == "ok"

    status = striped.status()
    assert (status.devices, status.health, status.warnings()) == ((a.devno, broken.devno), "AA", ())
    broken.resume(ErrorArguments(), b.sectors)
    assert striped.fails(striped.read, 8)
    status = striped.status()
    assert (status.health, status.warnings()) == ("AD", (f"stripe {broken.devno} has failed",))


def test_failing(device, disks):
    disk, mapped = disks[0], device()
    new = content(ord("n"), 2)

    def down(**features):
        mapped.resume(FlakeyArguments(disk.devno, 8, 0, 60, **features), 64)

    mapped.resume(FlakeyArguments(disk.devno, 8, 60, 1), 64)
    assert mapped.read(2) == below(disk, 10)
    down()
    assert mapped.fails(mapped.read, 0) and mapped.fails(mapped.write, 0, new)
    down(error_writes=True)
    assert mapped.read(2) == below(disk, 10) and mapped.fails(mapped.write, 0, new)
    down(drop_writes=True)
    mapped.write(0, new)
    assert mapped.read(0, 2) == below(disk, 8, 2) == content(ord("a"), 2, 8)
    # Only writes: reads are left alone by kernels before 6.15, whatever corrupt_bio_byte says.
    down(corrupt_byte=CorruptByte(514, "w", 7, 0))
    mapped.write(0, new)
    assert below(disk, 8, 2) == new[:513] + b"\7" + new[514:] == mapped.read(0, 2)

    disk = disks[2]
    mapped.resume(DustArguments(disk.devno, 1024, 8), 64)
    assert (mapped.status().device, mapped.status().reads) == (disk.devno, "bypass")
    assert mapped.status().logging == "verbose"
    # The target counts bad blocks from the start of the device below.
    mapped.run("message", "0", "addbadblock", "5")
    assert mapped.read(2, 2) == below(disk, 10, 2)
    mapped.run("message", "0", "enable")
    mapped.run("message", "0", "quiet")
    status = mapped.status()
    assert (status.reads, status.logging) == ("fail_read_on_bad_block", "quiet")
    assert mapped.read(0, 2) == below(disk, 8, 2)
    assert mapped.fails(mapped.read, 2, 1) and mapped.fails(mapped.read, 3, 1)
    mapped.write(2, content(ord("n"), 2))
    assert mapped.read(2, 2) == content(ord("n"), 2)


def test_delay(device, disks):
    a, b, c = disks
    mapped = device()
    made = DelayArguments(a.devno, FOREVER_MS, 8, Way(b.devno, 16, FOREVER_MS), Way(c.devno, 0, FOREVER_MS))
    mapped.resume(made, 64)
    assert mapped.status().to_dict() == {"state": "ok", "extra": [], "reads": 0, "writes": 0, "flushes": 0}
    done = []

    def flush():
        with _opened(mapped.path, os.O_WRONLY) as fd:
            os.fsync(fd)

    new = content(ord("n"), 1)
    tasks = [
        lambda: done.append(mapped.read(3)),
        lambda: mapped.write(3, new),
        lambda: mapped.write(4, new),
        flush,
    ]
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    status = wait_for(lambda: (now := mapped.status()).reads + now.writes + now.flushes == 4 and now)
    # A suspend lets the requests go, and those that came later wait for the resume.
    mapped.run("suspend")
    mapped.run("resume")
    for thread in threads:
        thread.join(DEADLINE_S)
    assert status and (status.reads, status.writes, status.flushes) == (1, 2, 1)
    assert done == [below(a, 11)] == [content(ord("a"), 1, 11)]
    assert below(b, 19) == new and mapped.status().writes == 0

    mapped.resume(DelayArguments(a.devno, 30), 64)
    before = time.monotonic()
    assert mapped.read(0) == below(a, 0)
    assert time.monotonic() - before >= 0.02  # ticks of 10 ms


def entries_of(disk):
    """Of the log on a disk: the number of its entries, and the last sector of each (struct log_write_entry)."""
    data = disk.backing.read_bytes()
    magic, version, count, sector_bytes = struct.unpack_from("<QQQI", data)
    assert (magic, version, sector_bytes) == (0x6A736677736872, 1, SECTOR)
    ends, at = [], 1
    for _ in range(count):
        _, sectors, flags, _ = struct.unpack_from("<QQQQ", data, at * SECTOR)
        at += 1 + (0 if flags & 4 else sectors)
        ends.append(at - 1)
    return count, ends


def test_log_writes(device, disks, disk):
    a, log, _ = disks
    mapped = device()
    made = LogWritesArguments(a.devno, log.devno)
    length = made.default_length_sectors({a.devno: a.sectors, log.devno: 0}.__getitem__)
    mapped.resume(made, length)
    status = mapped.status()
    assert (status.entries, status.last_sector, status.logging_disabled) == (0, 0, False)
    for start in (0, 8, 64):
        mapped.write(start, content(ord("n"), 8))
    mapped.write(72, content(ord("n"), 1), sync=True)
    status = wait_for(lambda: (now := mapped.status()).entries == 5 and now)  # the flush is one
    assert status and not status.logging_disabled and status.warnings() == ()
    mapped.run("message", "0", "mark", "here")
    assert wait_for(lambda: mapped.status().entries == 6)
    mapped.resume(ZeroArguments(), 8)  # which ends the log with one more mark, and waits for it
    count, ends = entries_of(log)
    assert (count, ends[4]) == (7, status.last_sector)

    small = disk(64 << 10)
    mapped.resume(LogWritesArguments(a.devno, small.devno), a.sectors)
    mapped.write(0, content(ord("n"), 256), sync=True)
    status = wait_for(lambda: (now := mapped.status()).logging_disabled and now)
    assert status and status.entries == 0 and len(status.warnings()) == 1
