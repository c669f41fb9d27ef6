# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl top against what was read and written, and against /proc/diskstats."""

import json
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dmctl.cli.app
import dmctl.cli.top
from dmctl.cli import main as entry
from dmctl.rates import Sampler, between
from guests.fixtures import dmctl_script
from kernel.child import in_child

MIB = 1 << 20
COLUMNS = ["NAME", "r/s", "w/s", "read/s", "write/s", "r", "ms", "w", "ms", "infl", "util%"]


class Lines:
    """dmctl top --json in a fork, its lines one by one."""

    def __init__(self, *words):
        end, out = os.pipe()
        self._file = open(end, "rb")  # noqa: SIM115
        self._time_ns = 0
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.dup2(out, 1)
                sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
                signal.signal(signal.SIGINT, signal.default_int_handler)
                os._exit(entry.main(["dmctl", "top", "--json", *words]))
            finally:
                os._exit(99)
        os.close(out)

    def next(self):
        document = json.loads(self._file.readline())
        assert document.pop("output_version") == {"command": "top", "vers_major": 1, "vers_minor": 0}
        self._time_ns = document["time_ns"]
        return {device["name"]: device for device in document["devices"]}

    def up_to_now(self):
        """All lines up to one that was read from the kernel from now on; earlier ones may wait in the pipe."""
        now, lines = time.time_ns(), []
        while self._time_ns <= now:
            lines.append(self.next())
        return [*lines, self.next()]

    def end(self, number=signal.SIGTERM):
        os.kill(self.pid, number)
        self._file.close()
        pid, self.pid = self.pid, 0
        return os.waitpid(pid, 0)[1]


@pytest.fixture
def lines():
    """lines(*words): dmctl top --json, ended with the test."""
    started = []

    def start(*words):
        started.append(Lines(*words))
        return started[-1]

    yield start
    for one in started:
        if one.pid:
            one.end(signal.SIGKILL)


def diskstats(path):
    """reads, sectors read, ms, writes, sectors written, ms of a device."""
    name = os.path.basename(os.path.realpath(path))
    with open("/proc/diskstats") as lines:
        (words,) = [line.split() for line in lines if line.split()[2] == name]
    reads, _, read_sectors, read_ms, writes, _, write_sectors, write_ms = map(int, words[3:11])
    return reads, read_sectors, read_ms * 10**6, writes, write_sectors, write_ms * 10**6


MEMBERS = ("reads", "read_sectors", "read_time_ns", "writes", "write_sectors", "write_time_ns")


def created(dmsetup, name, table):
    """The path of a new device that udev has done with."""
    assert dmsetup("create", name, "--table", table).status == 0
    subprocess.run(["udevadm", "settle"], check=True)
    return f"/dev/mapper/{name}"


@pytest.fixture
def remove(dmsetup):
    names = []
    yield names.append
    subprocess.run(["udevadm", "settle"], check=True)
    for name in reversed(names):
        assert dmsetup("remove", "--retry", name).status == 0


def test_what_was_written(prefix, disk, dmsetup, remove, lines):
    """Sums over the intervals, of the device and of a region that is a part of it; no counter is cleared."""
    name = prefix + "a"
    path = created(dmsetup, name, f"0 {16 * MIB // 512} linear {disk(16 * MIB).path} 0")
    remove(name)
    assert dmsetup("stats", "create", name, "--start", "0", "--length", "4m").status == 0
    assert dmsetup("stats", "create", name).status == 0  # tells nothing that the device does not
    before = diskstats(path)
    top = lines("0.3", "--device", name)
    node = os.open(path, os.O_RDWR | os.O_DIRECT)  # open until the end: udev reads a device that was written and closed
    try:
        seen = [top.next()]
        with mmap.mmap(-1, MIB) as block:
            for number in range(8):
                assert os.pwrite(node, block, number * MIB) == MIB
            for number in range(5):
                assert os.preadv(node, [memoryview(block)[:4096]], number * 4096) == 4096
        after = diskstats(path)
        seen += top.up_to_now()
        kept = dmsetup("message", name, "0", "@stats_print 0").text.split()
        assert top.end() == signal.SIGTERM
    finally:
        os.close(node)
    added = tuple(now - then for now, then in zip(after, before, strict=True))
    assert (added[1], added[4]) == (5 * 8, 8 * MIB // 512)
    assert {tuple(devices) for devices in seen} == {(name,)}
    assert tuple(sum(devices[name][member] for devices in seen) for member in MEMBERS) == added
    for devices in seen:
        device = devices[name]
        seconds = device["interval_ns"] / 10**9
        assert device["write_bytes_per_second"] == pytest.approx(device["write_sectors"] * 512 / seconds, abs=1)
        assert device["reads_per_second"] == pytest.approx(device["reads"] / seconds, abs=0.51)
        if device["write_time_ns"] and device["writes"]:
            assert device["write_latency_ns"] == round(device["write_time_ns"] / device["writes"])
            assert device["utilisation_percent"] == min(100, round(device["busy_time_ns"] / seconds / 10**7))
        ((region),) = device["regions"]
        assert (region["region_id"], region["start_sectors"], region["length_sectors"]) == (0, 0, 4 * MIB // 512)
    regions = [devices[name]["regions"][0] for devices in seen]
    assert sum(region["write_sectors"] for region in regions) == 4 * MIB // 512
    assert sum(region["reads"] for region in regions) == 5
    assert (kept[1], kept[7]) == ("5", str(4 * MIB // 512))


def test_latency_and_in_flight(prefix, disk, dmsetup, remove, lines):
    """A write to a device above a suspended one is in flight until that is resumed."""
    below, name = prefix + "below", prefix + "above"
    created(dmsetup, below, f"0 2048 linear {disk(MIB).path} 0")
    remove(below)
    path = created(dmsetup, name, f"0 2048 linear /dev/mapper/{below} 0")
    remove(name)
    top = lines("0.1", "--device", name)
    node = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        assert dmsetup("suspend", below).status == 0
        writer = os.fork()
        if writer == 0:
            with mmap.mmap(-1, 4096) as block:
                os.pwrite(node, block, 0)
            os._exit(0)
        try:
            while not top.next()[name]["in_flight_writes"]:
                pass
            seen_ns = time.monotonic_ns()
            kernel_name = os.path.basename(os.path.realpath(path))
            assert Path(f"/sys/block/{kernel_name}/inflight").read_text().split() == ["0", "1"]
            held = top.up_to_now()
        finally:
            held_ns = time.monotonic_ns() - seen_ns
            assert dmsetup("resume", below).status == 0
        os.waitpid(writer, 0)
        ended = top.up_to_now()
    finally:
        os.close(node)
    assert {devices[name]["in_flight_writes"] for devices in held} == {1}
    assert {devices[name]["write_latency_ns"] for devices in held} == {None}
    # Before Linux 6.4 the write itself has been counted when it began.
    (done,) = [devices[name] for devices in ended if devices[name]["write_time_ns"]]
    assert done["write_latency_ns"] == done["write_time_ns"] >= held_ns - 20 * 10**6  # the kernel counts ticks
    assert (ended[-1][name]["in_flight_writes"], ended[-1][name]["in_flight_reads"]) == (0, 0)


def test_devices_come_and_go(prefix, dmsetup, lines):
    created(dmsetup, prefix + "a", "0 8 zero")
    top = lines("0.1")
    assert {*top.next()} == {prefix + "a"}
    created(dmsetup, prefix + "b", "0 8 zero")
    assert {*top.up_to_now()[-1]} == {prefix + "a", prefix + "b"}
    assert dmsetup("rename", prefix + "a", prefix + "c").status == 0
    assert dmsetup("remove", prefix + "b").status == 0
    assert {*top.up_to_now()[-1]} == {prefix + "c"}
    assert dmsetup("remove", prefix + "c").status == 0
    assert top.up_to_now()[-1] == {}
    assert top.end(signal.SIGINT) == signal.SIGINT


def test_another_device_of_the_same_name_and_number(prefix, dmsetup):
    """Its counters are its own, though they are greater than those of the one before."""
    name = prefix + "a"

    def make_and_read(times):
        path = created(dmsetup, name, "0 2048 zero")
        node = os.open(path, os.O_RDONLY | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as block:
            for _ in range(times):
                os.preadv(node, [block], 0)
        os.close(node)
        return next(reading for reading in Sampler().read() if reading.name == name)

    one = make_and_read(3)
    assert dmsetup("remove", name).status == 0
    samples = dmctl.cli.top.Samples([])
    two = make_and_read(50)
    assert (two.devno, two.identity[0]) == (one.devno, one.identity[0])
    assert two.identity != one.identity
    assert two.counts.reads > one.counts.reads
    samples._earlier, samples._at_ns = {one.identity: one}, one.at_ns
    (row,) = samples.next()
    assert row.rates.counts.reads == diskstats(f"/dev/mapper/{name}")[0]
    # The same device again: only what came after.
    (row,) = samples.next()
    assert row.rates.counts.reads == 0
    assert between(two, two, 0).counts.reads == 0
    assert dmsetup("remove", name).status == 0


def test_lines(prefix, dmsetup):
    created(dmsetup, prefix + "a", "0 2048 zero")
    started = time.monotonic()
    ended = in_child(lambda: entry.main(["dmctl", "top", "0.2", "3", "--sort", "reads"]))
    assert time.monotonic() - started >= 0.6
    assert (ended.error, ended.err) == ("", b"")
    blocks = ended.out.decode().removesuffix("\n").split("\n\n")
    assert [block.split("\n")[0].split() for block in blocks] == [COLUMNS] * 3
    assert [block.split("\n")[1].split()[0] for block in blocks] == [prefix + "a"] * 3
    assert dmsetup("remove", prefix + "a").status == 0


def test_without_any_device():
    ended = in_child(lambda: entry.main(["dmctl", "top", "0.01", "1"]))
    assert (ended.error, ended.out.split(), ended.err) == ("", [word.encode() for word in COLUMNS], b"")


def test_refused():
    refusals = [
        (["0"], 2, "INTERVAL must be more than 0 and at most 86400 seconds."),
        (["nan"], 2, "INTERVAL must be more than 0 and at most 86400 seconds."),
        (["1", "0"], 2, "COUNT must be 1 or more."),
        (["--sort", "x"], 2, "--sort takes name, reads, writes, latency, in-flight, utilisation, not 'x'."),
        (["--device", "nope"], 3, "There is no device 'nope'."),
        (["--device", "/dev/loop0"], 2, "/dev/loop0 is not a dm device."),
    ]

    def run():
        for words, _, _ in refusals:
            os.write(2, f"{entry.main(['dmctl', 'top', *words])}\n".encode())

    ended = in_child(run)
    assert (ended.error, ended.out) == ("", b"")
    assert ended.err.decode() == "".join(f"dmctl: {text}\n{status}\n" for _, status, text in refusals)


def test_reader_goes():
    """Each block comes at once, and the end of the reader is the end."""
    process = subprocess.Popen([dmctl_script(), "top", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline().split() == [word.encode() for word in COLUMNS]
    process.stdout.close()
    try:
        assert process.wait(30) == -signal.SIGPIPE
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [dmctl_script(), "top", "0.05"], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"dmctl: cannot write to standard output: No space left on device\n",
    )
