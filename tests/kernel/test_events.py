# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl events: what dmsetup and the kernel's targets do to devices is told, each once, in its order."""

import asyncio
import errno
import fcntl
import mmap
import os
import struct
import subprocess
import threading
import time

import pytest

from dmctl.control import CONTROL
from dmctl.errors import UsageError
from dmctl.events import Filter, Watcher
from guests import udevd
from guests.fixtures import dmctl_script
from kernel import thin_pools
from kernel.thin_pools import MIB, dmsetup, write

CREATE, REMOVE, RESUME, LOAD = (0xC138FD00 | number for number in (3, 4, 6, 9))


@pytest.fixture
def watch(prefix):
    """Makes a Watcher of the test's own devices."""
    made = []

    def make(**options):
        wanted = Filter(patterns=(f"{prefix}*",))
        made.append(Watcher(wanted, **options))
        return made[-1]

    yield make
    for watcher in made:
        watcher.__exit__(None, None, None)


def told(watcher, count, seconds=20.0):
    """So many events, and none behind them."""
    found = []
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found += watcher.wait(max(0, end - time.monotonic()))
    return found + watcher.read()


def told_until(watcher, kind, seconds=30.0):
    """All up to an event of this type."""
    found = []
    end = time.monotonic() + seconds
    while kind not in (event.type for event in found):
        assert time.monotonic() < end, found
        found += watcher.wait(1)
    return found


def kinds(events):
    return [(event.type, event.name) for event in events]


def test_the_life_of_a_device(watch, prefix):
    name, other = prefix + "a b", prefix + "c"
    watcher = watch()
    dmsetup("create", name, "--table", "0 2048 zero", "-u", "TEST-" + prefix)
    found = told(watcher, 2)
    assert kinds(found) == [("added", name), ("table", name)]
    assert found[0].uuid == "TEST-" + prefix and found[0].targets == ("zero",)
    assert found[1].facts == {"old_table": [], "table": ["0 2048 zero"]}
    devno = f"{found[0].devno[0]}:{found[0].devno[1]}"
    assert dmsetup("info", "-c", "--noheadings", "-o", "devno", name).strip() == devno

    dmsetup("suspend", name)
    assert kinds(told(watcher, 1)) == [("suspended", name)]
    dmsetup("resume", name)
    found = told(watcher, 1)
    assert kinds(found) == [("resumed", name)] and found[0].facts == {"suspension_seen": True}

    dmsetup("reload", name, "--table", "0 4096 error")
    assert kinds(told(watcher, 1)) == [("loaded", name)]
    dmsetup("resume", name)
    (found,) = told(watcher, 1)
    assert (found.type, found.targets) == ("table", ("error",))
    assert found.facts == {"old_table": ["0 2048 zero"], "table": ["0 4096 error"]}

    dmsetup("reload", name, "--table", "0 8 zero")
    assert kinds(told(watcher, 1)) == [("loaded", name)]
    dmsetup("clear", name)
    assert kinds(told(watcher, 1)) == [("cleared", name)]

    dmsetup("rename", name, other)
    (found,) = told(watcher, 1)
    assert (found.type, found.name, found.facts["old_name"]) == ("renamed", other, name)
    dmsetup("remove", other)
    assert kinds(told(watcher, 1)) == [("removed", other)]
    assert not watcher.wait(1.5)


def test_a_short_suspend_is_told_at_its_end(watch, prefix):
    name = prefix + "a"
    dmsetup("create", name, "--table", "0 8 zero")
    watcher = watch()
    dmsetup("suspend", name)
    dmsetup("resume", name)
    found = told(watcher, 1)
    assert kinds(found)[-1] == ("resumed", name)
    assert found[-1].facts["suspension_seen"] == (len(found) == 2)
    dmsetup("remove", name)


def test_devices_without_a_table(watch, prefix):
    """No uevent tells of them."""
    first, second = prefix + "a", prefix + "b"
    watcher = watch()
    dmsetup("create", first, "--notable")
    assert kinds(told(watcher, 1)) == [("added", first)]
    dmsetup("rename", first, second)
    assert kinds(told(watcher, 1)) == [("renamed", second)]
    dmsetup("load", second, "--table", "0 8 zero")
    assert kinds(told(watcher, 1)) == [("loaded", second)]
    dmsetup("resume", second)
    assert kinds(told(watcher, 1)) == [("table", second)]
    dmsetup("remove", second)
    assert kinds(told(watcher, 1)) == [("removed", second)]


def write_through(node, offset_bytes, data):
    """Raises OSError."""
    with open(node, "r+b", buffering=0) as device:
        os.pwrite(device.fileno(), data, offset_bytes)
        os.fsync(device.fileno())


def request(control, command, name, data=b""):
    """One ioctl, as small as it can be: as fast as devices can be made."""
    numbers = (4, 0, 0, 312 + len(data), 312, int(bool(data)), 0, 0, 0, 0)
    head = struct.pack("=10IQ128s129s7x", *numbers, 0, name.encode(), b"")
    fcntl.ioctl(control, command, bytearray(head + data))


def test_a_thousand_devices_at_full_speed(prefix):
    # struct dm_target_spec: start, length, status, next, type.
    table = struct.pack("=2QiI16s", 0, 8, 0, 0, b"zero") + bytes(8)
    control = os.open(CONTROL, os.O_RDWR)
    everything = Watcher()
    began = time.monotonic()
    with udevd.paused():  # or its dmsetup has devices open
        try:
            for number in range(1000):
                name = f"{prefix}{number}"
                request(control, CREATE, name)
                request(control, LOAD, name, table)
                request(control, RESUME, name)
                request(control, REMOVE, name)
        finally:
            os.close(control)
        took = time.monotonic() - began
    with everything:
        found = told(everything, 2000, 60)
        ours = [event for event in found if event.name.startswith(prefix) or not event.name]
    counts = {kind: sum(event.type == kind for event in ours) for kind in ("added", "removed", "overflow")}
    assert counts == {"added": 1000, "removed": 1000, "overflow": 0}, took


def test_many_devices_that_stay(watch, prefix):
    watcher = watch()
    for number in range(12):
        dmsetup("create", f"{prefix}{number}", "--table", "0 8 zero")
    found = told(watcher, 24)
    wanted = {(kind, f"{prefix}{number}") for number in range(12) for kind in ("added", "table")}
    assert len(found) == 24 and set(kinds(found)) == wanted
    for number in range(12):
        dmsetup("remove", f"{prefix}{number}")
    assert kinds(told(watcher, 12)) == [("removed", f"{prefix}{number}") for number in range(12)]


def test_an_overflow_is_told_and_made_good(prefix):
    dmsetup("create", prefix + "goes", "--table", "0 8 zero")
    for name in ("is", "held"):
        dmsetup("create", prefix + name, "--table", "0 8 zero")
    with Watcher(Filter(patterns=(f"{prefix}*",)), receive_buffer_bytes=2048) as watcher:
        dmsetup("remove", prefix + "goes")
        dmsetup("rename", prefix + "is", prefix + "was")
        dmsetup("suspend", prefix + "held")
        for number in range(20):
            dmsetup("create", f"{prefix}{number}", "--table", "0 8 zero")
        found = told(watcher, 24)
        assert found[0].type == "overflow"
        assert sorted(kinds(found)[1:]) == sorted(
            [("removed", prefix + "goes"), ("renamed", prefix + "was"), ("suspended", prefix + "held")]
            + [("added", f"{prefix}{number}") for number in range(20)]
        )
        for name in (prefix + "was", prefix + "held", *(f"{prefix}{number}" for number in range(20))):
            dmsetup("remove", name)
            assert ("removed", name) in kinds(told(watcher, 1))


def test_a_snapshot_that_overflows(watch, prefix, disk):
    subprocess.run(["modprobe", "-q", "dm-snapshot"], check=False)
    origin, cow = disk(MIB), disk(64 << 10)
    name = prefix + "snap"
    dmsetup("create", name, "--table", f"0 {origin.sectors} snapshot {origin.path} {cow.path} P 8")
    watcher = watch()
    with pytest.raises(OSError):
        write_through(f"/dev/mapper/{name}", 0, os.urandom(128 << 10))
    (found,) = told(watcher, 1)
    assert found.type == "event" and found.facts["event_nr"] > found.facts["old_event_nr"]
    changed = {one["field"]: one["new"] for one in found.facts["changes"]}
    assert changed["condition"] == "invalid"
    assert dmsetup("status", name).split()[3] == "Invalid"
    dmsetup("remove", name)


def test_low_water_of_a_pool(watch, prefix, disk):
    name = prefix + "pool"
    with thin_pools.pool(name, disk, data_bytes=16 * MIB) as (metadata, data):
        dmsetup("suspend", name)
        dmsetup("reload", name, "--table", f"0 {16 * MIB // 512} thin-pool {metadata} {data} 128 128")
        dmsetup("resume", name)
        dmsetup("message", name, "0", "create_thin 1")
        thin_pools.volume(f"{name}-1", name, 1)
        watcher = watch()
        write(f"/dev/mapper/{name}-1", 0, os.urandom(12 * MIB))
        found = [event for event in told(watcher, 1) if event.name == name]
        assert [event.type for event in found] == ["event"]
        assert found[0].targets == ("thin-pool",)
        assert "data_used_blocks" in {one["field"] for one in found[0].facts["changes"]}


def test_a_clone_that_is_complete(watch, prefix, disk, dmctl):
    subprocess.run(["modprobe", "dm-clone"], check=True)
    metadata, destination, source = disk(4 * MIB), disk(4 * MIB), disk(4 * MIB)
    name = prefix + "clone"
    table = f"0 8192 clone {metadata.path} {destination.path} {source.path} 8 1 no_hydration"
    dmsetup("create", name, "--table", table)
    watcher = watch(poll_s=0.2)
    dmsetup("message", name, "0", "enable_hydration")
    found = told_until(watcher, "event")
    told_last = {one["field"]: one["new"] for event in found for one in event.facts.get("changes", ())}
    assert told_last["hydrated_regions"] == 1024
    assert {event.type for event in found} <= {"event", "status"}
    done = subprocess.run(
        [dmctl_script(), "events", name, "--until", "hydrated==total", "--timeout", "20"], check=False
    )
    assert done.returncode == 0
    dmsetup("remove", name)


def test_a_clone_that_gets_nowhere(watch, prefix, disk):
    """The kernel tries again for ever, and tells it by nothing but a line in its log."""
    subprocess.run(["modprobe", "-a", "dm-clone", "dm-dust"], check=True)
    metadata, destination, source = disk(4 * MIB), disk(MIB), disk(MIB)
    dust, name = prefix + "dust", prefix + "clone"
    dmsetup("create", dust, "--table", f"0 {source.sectors} dust {source.path} 0 512")
    dmsetup("message", dust, "0", "addbadblock", "800")
    dmsetup("message", dust, "0", "enable")
    watcher = watch(poll_s=0.2)
    table = f"0 {source.sectors} clone {metadata.path} {destination.path} /dev/mapper/{dust} 8"
    dmsetup("create", name, "--table", table)
    found = told_until(watcher, "stalled")
    dmsetup("message", name, "0", "disable_hydration")
    assert [event.name for event in found if event.type == "stalled"] == [name]
    assert dmsetup("status", name).split()[6] == "255/256"
    dmsetup("remove", name)
    dmsetup("remove", dust)


def test_a_merge_is_polled(watch, prefix, disk):
    subprocess.run(["modprobe", "-a", "dm-snapshot", "dm-delay"], check=True)
    origin, cow = disk(4 * MIB), disk(4 * MIB)
    name, slow = prefix + "merge", prefix + "slow"
    dmsetup("create", slow, "--table", f"0 {origin.sectors} delay {origin.path} 0 0 {origin.path} 0 500")
    dmsetup("create", name, "--table", f"0 {origin.sectors} snapshot /dev/mapper/{slow} {cow.path} P 8")
    for number in range(0, 64, 2):  # one after the other: neighbours are merged at once
        write_through(f"/dev/mapper/{name}", number * 4096, os.urandom(4096))
    watcher = watch(poll_s=0.1)
    dmsetup("reload", name, "--table", f"0 {origin.sectors} snapshot-merge /dev/mapper/{slow} {cow.path} P 8")
    dmsetup("resume", name)
    found = told_until(watcher, "status")
    (change,) = [one for event in found if event.type == "status" for one in event.facts["changes"]][:1]
    assert change["field"] == "used_sectors" and change["new"] < change["old"]
    dmsetup("remove", name)
    dmsetup("remove", slow)


def test_verity_corruption(watch, prefix, disk):
    subprocess.run(["modprobe", "-q", "dm-verity"], check=False)
    data, hashes = disk(MIB), disk(MIB)
    made = thin_pools.run("veritysetup", "format", data.path, hashes.path).decode()
    root_hash = made.partition("Root hash:")[2].split()[0]
    name = prefix + "verity"
    block = 100  # udev reads at the start and the end of a device; the kernel tells of a hundred errors only
    write_through(data.path, block * 4096, b"x")
    thin_pools.run("veritysetup", "open", data.path, name, hashes.path, root_hash)
    thin_pools.run("udevadm", "settle")
    watcher = watch()
    device = os.open(f"/dev/mapper/{name}", os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 4096) as page, pytest.raises(OSError) as raised:
            os.preadv(device, [page], block * 4096)
    finally:
        os.close(device)
    assert raised.value.errno == errno.EIO
    found = told(watcher, 1)
    assert {event.type for event in found} <= {"corrupted", "event"}
    corrupted = [event.facts for event in found if event.type == "corrupted"]
    assert corrupted and all(facts == {"block_type": "data", "block": block} for facts in corrupted)
    thin_pools.run("veritysetup", "close", name)


def test_paths_of_multipath(watch, prefix, disk):
    subprocess.run(["modprobe", "-q", "dm-multipath"], check=True)
    subprocess.run(["modprobe", "-q", "dm-round-robin"], check=False)
    path = disk(MIB)
    name = prefix + "paths"
    dmsetup("create", name, "--table", f"0 {path.sectors} multipath 0 0 1 1 round-robin 0 1 0 {path.devno}")
    watcher = watch()
    watcher._look_at += 60  # what the kernel tells must do
    for message, kind, valid in (("fail_path", "path-failed", 0), ("reinstate_path", "path-reinstated", 1)):
        dmsetup("message", name, "0", f"{message} {path.devno}")
        found = told_until(watcher, "event")
        assert [event.type for event in found] == [kind, "event"]
        assert found[0].facts == {"path": path.devno, "valid_paths": valid}
    dmsetup("remove", name)


def test_mismatches_of_integrity_are_polled(watch, prefix, disk):
    subprocess.run(["modprobe", "-q", "dm-integrity"], check=True)
    below = disk(4 * MIB)
    name = prefix + "tags"
    table = f"0 {{}} integrity {below.path} 0 4 J 1 internal_hash:crc32c"
    dmsetup("create", name, "--table", table.format(1))
    provided = dmsetup("status", name).split()[4]
    dmsetup("remove", name)
    dmsetup("create", name, "--table", table.format(provided))
    watcher = watch(poll_s=0.2)
    with open(f"/dev/mapper/{name}", "rb") as device, pytest.raises(OSError):
        os.pread(device.fileno(), 512, 0)  # there are no tags yet
    found = told(watcher, 1)
    assert found[0].type == "status"
    (change,) = [one for one in found[0].facts["changes"] if one["field"] == "mismatches"]
    assert change["new"] > change["old"]
    dmsetup("remove", name)


def test_nothing_is_lost_before_the_first_read(watch, prefix):
    dmsetup("create", prefix + "a", "--table", "0 8 zero")
    watcher = watch()
    dmsetup("create", prefix + "b", "--table", "0 8 zero")
    dmsetup("remove", prefix + "a")
    time.sleep(0.1)
    assert ("added", prefix + "b") in kinds(watcher.read())
    assert not [event for event in watcher.known.values() if event.name == prefix + "a"]
    dmsetup("remove", prefix + "b")


def test_the_iteration_ends_when_closed(prefix):
    with Watcher() as watcher:
        closing = threading.Timer(0.5, watcher.close)
        closing.start()
        assert [event for event in watcher if event.name.startswith(prefix)] == []
        closing.join()


def test_in_asyncio(prefix):
    async def first(watcher):
        loop = asyncio.get_running_loop()
        seen = loop.create_future()

        def look():
            if found := watcher.read():
                loop.remove_reader(watcher.fileno())
                seen.set_result(found)

        loop.add_reader(watcher.fileno(), look)
        process = await asyncio.create_subprocess_exec("dmsetup", "create", prefix + "a", "--table", "0 8 zero")
        await process.wait()
        return await asyncio.wait_for(seen, 20)

    with Watcher(Filter(names=(prefix + "a",))) as watcher:
        found = asyncio.run(first(watcher))
    assert kinds(found)[0] == ("added", prefix + "a")
    dmsetup("remove", "--retry", prefix + "a")


def test_types(watch):
    with pytest.raises(UsageError, match="no type of event 'gone'"):
        Filter(types=("gone",))
