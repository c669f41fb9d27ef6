# SPDX-License-Identifier: LGPL-2.1-or-later
"""Typed arguments and status of targets that keep copies or choose between paths, judged by the kernel."""

import mmap
import os
import struct
import time
from pathlib import Path

import pytest

from dmctl.table import Table
from dmctl.targets import parse_params, parse_status
from dmctl.targets.base import Leg
from dmctl.targets.mirror import MirrorArguments
from dmctl.targets.multipath import MultipathArguments, PriorityGroup
from dmctl.targets.multipath import Path as Way
from dmctl.targets.raid import RaidArguments, RaidDevice
from dmctl.targets.snapshot import SnapshotArguments, SnapshotMergeArguments, SnapshotOriginArguments
from unit.targets.refused_raid import REFUSED

MIB = 1 << 20
SECTOR = 512
MERGE_LIMIT_S = 20
ENV = {"DM_DISABLE_UDEV": "1"}  # libdevmapper makes the nodes
# udevd opens a device whenever it was written to or a path has failed, and what it has open cannot be removed.
pytestmark = pytest.mark.usefixtures("no_udev")


def node(device):
    return f"/dev/mapper/{device}"


def devno(device):
    number = os.stat(node(device)).st_rdev
    return f"{os.major(number)}:{os.minor(number)}"


def transfer(path, offset_sectors, data=None, length=4096):
    """Read, or write `data`, past the page cache. Raises OSError."""
    buffer = mmap.mmap(-1, len(data) if data else length)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    try:
        if data:
            buffer.write(data)
            assert os.pwrite(fd, buffer, offset_sectors * SECTOR) == len(data)
            return data
        assert os.preadv(fd, [buffer], offset_sectors * SECTOR) == length
        return buffer.read()
    finally:
        os.close(fd)


class World:
    """Devices of a test, removed at its end."""

    def __init__(self, dmsetup, prefix):
        self._dmsetup = dmsetup
        self._prefix = prefix
        self._made = []

    def run(self, *args, stdin=""):
        done = self._dmsetup(*args, stdin=stdin.encode(), env=ENV)
        assert done.status == 0, done
        return done.text

    def refused(self, line):
        """Whether the kernel takes no such device. One that it has not refused is left to the check of leftovers."""
        return self._dmsetup("create", f"{self._prefix}refused", stdin=line.encode(), env=ENV).status == 1

    def create(self, label, arguments, length_sectors):
        name = self._prefix + label
        self.run("create", name, stdin=arguments.line(0, length_sectors).format())
        self._made.append(name)
        return name

    def remove(self, name):
        self.run("remove", name)
        self._made.remove(name)

    def close(self):
        for name in reversed(self._made[:]):
            self.remove(name)

    def line(self, name, *options):
        (line,) = Table.parse(self.run("table", "--showkeys", *options, name))
        return line

    def arguments(self, name):
        line = self.line(name)
        return parse_params(line.target, line.params)

    def reloaded(self, name):
        """The arguments of a table that comes back the same after it is parsed, formatted and loaded."""
        line = self.line(name)
        made = parse_params(line.target, line.params)
        self.run("load", name, stdin=made.line(0, line.length_sectors).format())
        again = self.line(name, "--inactive")
        self.run("clear", name)
        assert again.format().rstrip() == line.format().rstrip()
        return made

    def status(self, name):
        _, _, target, *params = self.run("status", name).rstrip("\n").split(" ", 3)
        made = parse_status(target, *params)
        assert made.state == "ok" and made.extra == ()
        return made

    def idle(self, name):
        """The status of a raid set once it does nothing. It makes an event whenever it is done with something."""
        while True:
            events = self.run("info", "-c", "--noheadings", "-o", "events", name).strip()
            status = self.status(name)
            if status.sync_action == "idle":
                return status
            self.run("wait", name, events)


@pytest.fixture
def world(dmsetup, prefix):
    made = World(dmsetup, prefix)
    yield made
    made.close()


def header_and_exceptions(cow, chunk_sectors):
    """Of a store on disk: magic, valid, version and chunk size (dm-snap-persistent.c); old chunks of the first area."""
    header = struct.unpack("<4I", transfer(cow.path, 0)[:16])
    area = transfer(cow.path, chunk_sectors, length=chunk_sectors * SECTOR)
    pairs = [pair for pair in struct.iter_unpack("<2Q", area) if pair[1]]
    return header, {old for old, _ in pairs}


def test_snapshot(world, disk):
    for kind, chunk, features, metadata in (
        ("P", 0, {}, 64),
        ("PO", 8, {"discard_zeroes_cow": True}, 16),
        ("N", 16, {"discard_zeroes_cow": True, "discard_passdown_origin": True}, 0),
    ):
        _check_snapshot(world, disk(2 * MIB), disk(MIB), kind, chunk, features, metadata)
    for kind, condition in ("P", "invalid"), ("PO", "overflow"):
        _check_full_snapshot(world, disk(2 * MIB), disk(64 << 10), kind, condition)
    _check_merge(world, disk(2 * MIB), disk(MIB))


def _check_snapshot(world, origin, cow, kind, chunk, features, metadata):
    made = SnapshotArguments(origin.devno, cow.devno, kind, chunk, **features)
    length = made.default_length_sectors({origin.devno: origin.sectors}.__getitem__)
    assert length == 4096
    # The default of the kernel for a new store is 16 KiB.
    whole = SnapshotArguments(origin.devno, cow.devno, kind, chunk or 32, **features)
    base = world.create("origin", SnapshotOriginArguments(origin.devno), length)
    assert world.reloaded(base) == SnapshotOriginArguments(origin.devno)
    assert world.status(base).usages() == ()
    name = world.create("snap", made, length)
    assert world.arguments(name) == whole
    # A table that waits to take over another's store has no chunk size yet.
    line = world.line(name)
    world.run("load", name, stdin=whole.line(0, length).format())
    assert world.line(name, "--inactive").params == line.params.replace(f" {kind} {chunk or 32}", f" {kind} 0")
    assert parse_params("snapshot", world.line(name, "--inactive").params).chunk_sectors == 0
    world.run("suspend", base)
    world.run("resume", name)
    world.run("resume", base)
    assert world.line(name).params == line.params
    status = world.status(name)
    numbers = status.used_sectors, status.total_sectors, status.metadata_sectors
    assert (*numbers, status.condition) == (metadata, 2048, metadata, "valid")

    # One chunk by a write to the snapshot, two by writes to its origin.
    step = chunk or 32
    for device, at in ((name, 5), (base, 0), (base, 7), (base, 7)):
        transfer(node(device), at * step, b"new " * 1024)
    status = world.status(name)
    assert status.used_sectors - status.metadata_sectors == 3 * step
    (usage,) = status.usages()
    assert (usage.used, usage.total, status.warnings()) == (metadata + 3 * step, cow.sectors, ())
    if metadata:
        assert header_and_exceptions(cow, step) == ((0x70416E53, 1, 1, step), {5, 0, 7})
    world.close()


def _check_full_snapshot(world, origin, cow, kind, condition):
    name = world.create("snap", SnapshotArguments(origin.devno, cow.devno, kind, 32), 4096)
    for at in (0, 32):  # of four chunks, two are metadata
        transfer(node(name), at, b"x" * 16384)
    status = world.status(name)
    assert (status.used_sectors, status.total_sectors, status.condition) == (128, 128, "valid")
    with pytest.raises(OSError):
        transfer(node(name), 64, b"x" * 16384)
    status = world.status(name)
    assert (status.condition, status.used_sectors) == (condition, None)
    assert len(status.warnings()) == 1 and not status.usages()
    world.close()
    # An overflow costs nothing of what was written before, and the store is still valid.
    assert struct.unpack("<2I", transfer(cow.path, 0)[:8]) == (0x70416E53, condition == "overflow")


def _check_merge(world, origin, cow):
    name = world.create("snap", SnapshotArguments(origin.devno, cow.devno, "PO", 16), 4096)
    for at in (0, 160, 4080):
        transfer(node(name), at, b"new " * 2048)
    assert world.status(name).used_sectors == 32 + 3 * 16
    world.remove(name)
    made = SnapshotMergeArguments(origin.devno, cow.devno, "PO", 16, discard_zeroes_cow=True)
    name = world.create("merge", made, 4096)
    assert world.arguments(name) == made
    # The kernel makes no event at the end of a merge.
    limit = time.monotonic() + MERGE_LIMIT_S
    while not world.status(name).merged:
        assert time.monotonic() < limit
    status = world.status(name)
    assert (status.used_sectors, status.total_sectors, status.metadata_sectors) == (32, 2048, 32)
    assert all(transfer(origin.path, at, length=8192) == b"new " * 2048 for at in (0, 160, 4080))


def test_mirror(world, disk):
    disks = [disk(2 * MIB) for _ in range(3)]
    size = {one.devno: one.sectors for one in disks}.__getitem__
    first, second, log = disks
    transfer(first.path, 1000, b"old " * 1024)
    made = MirrorArguments((Leg(first.devno), Leg(second.devno, 64)), log="disk", log_device=log.devno,
                           region_sectors=128, sync="sync", handle_errors=True)  # fmt: skip
    length = made.default_length_sectors(size)
    assert length == 4096 - 64 and world.refused(made.line(0, length + 1).format())
    name = world.create("disk", made, length)
    assert world.reloaded(name) == made
    # The mirror makes its first event when it is in sync.
    world.run("wait", name, "0")
    status = world.status(name)
    assert (status.devices, status.health) == ((first.devno, second.devno), "AA")
    assert (status.in_sync_regions, status.regions) == (32, 32)
    assert (status.log, status.log_device, status.log_health) == ("disk", log.devno, "A")
    assert transfer(second.path, 1064) == b"old " * 1024
    assert status.warnings() == ()
    world.remove(name)

    # A mirror that fails: its device becomes an error target.
    under = world.create("under", SnapshotOriginArguments(second.devno), 2048)
    legs = (Leg(first.devno), Leg(devno(under)), Leg(log.devno, 8))
    made = MirrorArguments(legs, region_sectors=256, sync="nosync", handle_errors=True, keep_log=True)
    name = world.create("core", made, 2048)
    assert world.reloaded(name) == made
    status = world.status(name)
    assert (status.in_sync_regions, status.regions, status.log, status.log_device) == (8, 8, "core", None)
    world.run("load", under, "--table", "0 2048 error")
    world.run("suspend", "--noflush", under)
    world.run("resume", under)
    transfer(node(name), 0, b"new " * 1024)
    status = world.status(name)
    assert (status.health, status.warnings()) == ("ADA", (f"a write to mirror {devno(under)} has failed",))
    read = [transfer(one.path, at) for one, at in zip(disks, (0, 0, 8), strict=True)]
    assert read == [b"new " * 1024, bytes(4096), b"new " * 1024]
    world.remove(name)

    made = MirrorArguments(legs[::2], region_sectors=2048)
    assert world.reloaded(world.create("plain", made, 2048)) == made


RAID = [
    RaidArguments(
        "raid1", (), sync="nosync", daemon_sleep_ms=500, min_recovery_rate_kib_s=20, max_recovery_rate_kib_s=100000,
        write_mostly=(1,), region_sectors=1024,
    ),
    RaidArguments("raid1", (), rebuild=(1,)),
    RaidArguments("raid0", (), 64),
    RaidArguments("raid4", (), 8, data_offset_sectors=0),
    RaidArguments("raid5_ls", (), 64, sync="sync", stripe_cache=512, region_sectors=512),
    RaidArguments("raid6_zr", (), 16, min_recovery_rate_kib_s=1),
    RaidArguments("raid10", (), 64),
    RaidArguments("raid10", (), 32, raid10_copies=3, raid10_format="offset"),
    RaidArguments("raid10", (), 32, raid10_copies=2, raid10_format="far", raid10_use_near_sets=True),
]  # fmt: skip
LENGTHS = {
    "raid1": lambda n, size, chunk: size,
    "raid0": lambda n, size, chunk: n * (size // chunk * chunk),
    "raid4": lambda n, size, chunk: (n - 1) * (size // chunk * chunk),
    "raid5_ls": lambda n, size, chunk: (n - 1) * (size // chunk * chunk),
    "raid6_zr": lambda n, size, chunk: (n - 2) * (size // chunk * chunk),
}


def test_raid(world, disk):
    data = [disk(2 * MIB + (16 << 10) + number * 8192) for number in range(4)]
    metadata = [disk(MIB) for _ in range(4)]
    for made in RAID:
        for one in metadata:  # another set's superblocks
            transfer(one.path, 0, bytes(4096))
        count = 2 if made.raid_type == "raid1" else 4
        _check_raid(world, data[:count], metadata[:count], made)


def _check_raid(world, data, metadata, made):
    count = len(data)
    fields = {name: getattr(made, name) for name in made.specs()}
    size = {one.devno: one.sectors for one in data}.__getitem__
    devices = tuple(RaidDevice(one.devno, two.devno) for one, two in zip(data, metadata, strict=True))
    made = RaidArguments(**(fields | {"raid_devices": devices}))
    length = made.default_length_sectors(size)
    if made.raid_type in LENGTHS:
        assert length == LENGTHS[made.raid_type](count, data[0].sectors, made.chunk_sectors)
    # A few chunks more are more than the smallest device has.
    assert world.refused(made.line(0, length + 12 * max(made.chunk_sectors, 1)).format())
    name = world.create("set", made, length)
    if made.raid10_use_near_sets:
        # The kernel counts the word, but does not print it, so that its own table cannot be loaded.
        assert world.line(name).params.split()[1] == "6" and "near_sets" not in world.line(name).params
        assert world.arguments(name) == made
    else:
        assert world.reloaded(name) == made
    status = world.idle(name)
    shown = {"raid10": {"far": "raid10_far", "offset": "raid10_offset"}}.get(made.raid_type, {})
    assert status.raid_type == shown.get(made.raid10_format, made.raid_type)
    assert (status.device_count, status.health) == (count, "A" * count)
    assert status.done_sectors == status.total_sectors > 0
    assert (status.mismatches_sectors, status.data_offset_sectors, status.journal_health) == (0, 0, "-")
    assert int(Path(f"/sys/dev/block/{devno(name)}/size").read_text()) == length
    world.close()


def test_raid_in_trouble(world, disk):
    data, metadata = [disk(2 * MIB) for _ in range(3)], [disk(MIB) for _ in range(3)]
    devices = tuple(RaidDevice(one.devno, two.devno) for one, two in zip(data, metadata, strict=True))
    name = world.create("missing", RaidArguments("raid1", (RaidDevice(data[0].devno), RaidDevice())), 4096)
    assert world.reloaded(name).raid_devices == (RaidDevice(data[0].devno), RaidDevice())
    status = world.idle(name)
    assert (status.health, status.warnings()) == ("A-", ("device 1 is missing",))
    world.remove(name)

    # The kernel takes half of max_write_behind, and prints that half.
    made = RaidArguments("raid1", devices[:2], write_mostly=(1,), max_write_behind=100)
    name = world.create("mirror", made, 4096)
    assert world.arguments(name) == RaidArguments("raid1", devices[:2], write_mostly=(1,), max_write_behind=50)
    world.idle(name)
    transfer(data[1].path, 800, b"bad " * 1024)
    world.run("message", name, "0", "check")
    status = world.idle(name)
    # md counts in what it reads at a time, 64 KiB.
    assert status.mismatches_sectors == 128
    assert status.warnings() == ("128 sectors differ between devices",)
    world.run("message", name, "0", "frozen")
    assert world.status(name).sync_action == "frozen"
    assert "synchronisation is halted" in world.status(name).warnings()
    world.remove(name)

    for one in metadata:  # another set's superblocks
        transfer(one.path, 0, bytes(4096))
    journal = disk(8 * MIB)
    made = RaidArguments("raid5_la", devices, 64, journal_device=journal.devno, journal_mode="writeback")
    name = world.create("journal", made, 2048)
    assert world.reloaded(name) == made
    assert world.idle(name).journal_health == "a"
    # For a set that grows the size is that of the devices it has had.
    assert RaidArguments("raid5_la", devices, 64, delta_disks=1).default_length_sectors(lambda name: 4096) is None


def test_multipath(world, disk):
    disks = [disk(MIB) for _ in range(3)]
    first, second, third = (one.devno for one in disks)
    groups = (
        PriorityGroup("queue-length", (Way(first, ("1",)), Way(second, ("1",)))),
        PriorityGroup("service-time", (Way(third, ("1", "4")),)),
    )
    made = MultipathArguments(groups, queue_if_no_path=True, pg_init_retries=50, pg_init_delay_ms=100)
    length = made.default_length_sectors({one.devno: one.sectors for one in disks}.__getitem__)
    assert length == 2048 and world.refused(made.line(0, length + 1).format())
    name = world.create("rq", made, length)
    assert world.reloaded(name) == made
    deps = world.run("deps", name).partition(": ")[2]
    assert set(made.devices()) == {pair.strip("()\n").replace(", ", ":") for pair in deps.split(") (")}

    transfer(node(name), 0)
    status = world.status(name)
    assert (status.queueing, status.pg_init_count, status.group_number) == (0, 0, 1)
    assert [group.group_state for group in status.groups] == ["A", "E"]
    assert [path.device for group in status.groups for path in group.paths] == [first, second, third]
    assert [path.selector_words for group in status.groups for path in group.paths] == [("0",), ("0",), ("0", "4")]
    assert status.warnings() == ()
    for message in (f"fail_path {second}", f"reinstate_path {second}", f"fail_path {second}", "disable_group 2"):
        world.run("message", name, "0", *message.split())
    transfer(node(name), 0)
    status = world.status(name)
    paths = [(path.path_state, path.failures) for group in status.groups for path in group.paths]
    assert paths == [("A", 0), ("F", 2), ("A", 0)]
    assert [group.group_state for group in status.groups] == ["A", "D"]
    assert status.warnings() == (f"path {second} has failed", "path group 2 is disabled")
    for device in (first, third):
        world.run("message", name, "0", "fail_path", device)
    assert "no path works" in world.status(name).warnings()
    world.remove(name)

    # Where bios are handled, an attached hardware handler is always kept; a repeat count of round-robin is always 1.
    groups = (PriorityGroup("round-robin", (Way(first, ("1000",)), Way(second, ("1",)))),)
    name = world.create("bio", MultipathArguments(groups, queue_mode="bio"), 1024)
    shown = (PriorityGroup("round-robin", (Way(first, ("1",)), Way(second, ("1",)))),)
    assert world.reloaded(name) == MultipathArguments(shown, queue_mode="bio", retain_attached_hw_handler=True)
    assert world.status(name).groups[0].paths[0].selector_words == ()
    # Paths without arguments get the selector's own.
    groups = (PriorityGroup("service-time", (Way(first), Way(third))),)
    name = world.create("bare", MultipathArguments(groups), 1024)
    assert world.reloaded(name).groups[0].paths == (Way(first, ("1", "1")), Way(third, ("1", "1")))
    name = world.create("none", MultipathArguments(()), 1024)
    assert world.reloaded(name) == MultipathArguments(())
    assert (world.status(name).groups, world.status(name).group_number) == ((), 0)


def test_refused(world, disk):
    first, second = disk(MIB), disk(MIB)
    for target, text, _ in REFUSED:
        params = text.replace("8:0", first.devno).replace("8:16", second.devno)
        assert world.refused(f"0 2048 {target} {params}"), text
