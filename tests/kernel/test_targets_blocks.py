# SPDX-License-Identifier: LGPL-2.1-or-later
"""Targets with metadata of their own: typed arguments that the kernel takes, and its tables and status read again.

The numbers of a status are compared with what was written, with what is on the disks, and with what
thin-provisioning-tools find there.
"""

import mmap
import os
import re
import struct
import subprocess
from collections.abc import Callable

import pytest

from dmctl.table import Line
from dmctl.targets import ParamsError, parse_params, parse_status
from dmctl.targets.base import Arguments, Status
from dmctl.targets.cache import CacheArguments, CacheStatus, PolicyOption
from dmctl.targets.clone import CloneArguments, CloneStatus
from dmctl.targets.era import EraArguments, EraStatus
from dmctl.targets.linear import LinearArguments
from dmctl.targets.thin import ThinArguments, ThinStatus
from dmctl.targets.thin_pool import ThinPoolArguments, ThinPoolStatus
from dmctl.targets.writecache import WritecacheArguments, WritecacheStatus
from guests.fixtures import Command
from guests.loop import Disk

MIB = 1 << 20
# No udevd, which reads from every new device: what is counted here are the tests' own requests.
pytestmark = pytest.mark.usefixtures("no_udev")


class Maker:
    """Makes devices with dmsetup, and removes them in the end."""

    def __init__(self, dmsetup: Command, prefix: str):
        self._dmsetup = dmsetup
        self._prefix = prefix
        self.names: list[str] = []

    def run(self, *args: str) -> str:
        done = self._dmsetup(*args, env={"DM_DISABLE_UDEV": "1"})  # libdevmapper makes the nodes, and removes them
        assert done.status == 0, done
        return done.text

    def make(self, name: str, line: Line) -> str:
        """A device of one line; its name."""
        self.run("create", self._prefix + name, "--table", line.format())
        self.names.append(self._prefix + name)
        return self.names[-1]

    def remove(self, name: str) -> None:
        self.run("remove", name)
        self.names.remove(name)

    def load(self, name: str, line: Line) -> None:
        """Put another line in the place of the present one; metadata are read only after they were written."""
        # By dmsetup: libdevmapper remembers for the life of a process that there was no udevd.
        self.run("suspend", name)
        self.run("load", name, "--table", line.format())
        self.run("resume", name)

    def devno(self, name: str) -> str:
        return self.run("info", "-c", "--noheadings", "--separator", ":", "-o", "major,minor", name).strip()

    def params(self, name: str) -> str:
        return self.run("table", "--showkeys", name).rstrip("\n").split(" ", 3)[3]

    def status(self, name: str) -> Status:
        _, _, target, text = self.run("status", name).rstrip("\n").split(" ", 3)
        return parse_status(target, text)

    def check_table(self, name: str, arguments: Arguments, length_sectors: int) -> None:
        """The kernel's table is these arguments, and remains the same text when it is read, written and loaded."""
        text = self.params(name)
        read = parse_params(arguments.target, text)
        assert read == arguments, text
        self.load(name, read.line(0, length_sectors))
        assert self.params(name) == text

    def check_all(self, name: str, several: list[Arguments], length_sectors: int) -> None:
        """A device of the first arguments, then of each of the others; it has the last ones in the end."""
        for number, arguments in enumerate(several):
            line = arguments.line(0, length_sectors)
            if number:
                self.load(self._prefix + name, line)
            else:
                self.make(name, line)
            self.check_table(self._prefix + name, arguments, length_sectors)


@pytest.fixture
def maker(dmsetup, prefix, disk):
    """After `disk`, so that its devices go before the disks do."""
    made = Maker(dmsetup, prefix)
    yield made
    for name in reversed(made.names):
        made.run("remove", name)


def direct(path: str, offset: int, size: int, *, write: bool) -> None:
    """One request of this size, past the page cache."""
    buffer = mmap.mmap(-1, size)
    buffer.write(b"x" * size)
    descriptor = os.open(path, os.O_DIRECT | os.O_RDWR)
    try:
        done = os.pwritev(descriptor, [buffer], offset) if write else os.preadv(descriptor, [buffer], offset)
        assert done == size
    finally:
        os.close(descriptor)


def on_disk(disk: Disk, layout: str, offset: int = 0) -> tuple[int, ...]:
    with disk.backing.open("rb") as file:
        file.seek(offset)
        return struct.unpack(layout, file.read(struct.calcsize(layout)))


def dump(tool: str, disk: Disk) -> str:
    return subprocess.run([tool, disk.path], check=True, capture_output=True, text=True).stdout


def forget(disk: Disk) -> None:
    """Zero what a target takes for its superblock."""
    with open(disk.path, "r+b") as file:
        file.write(bytes(2 * 4096))


def test_thin(maker: Maker, disk: Callable[..., Disk]) -> None:
    metadata, data, origin = disk(4 * MIB), disk(MIB), disk(MIB)
    below = maker.make("meta", LinearArguments(metadata.devno).line(0, metadata.sectors))
    meta = maker.devno(below)
    plain = ThinPoolArguments(meta, data.devno, 128)
    # Whether discards are ignored cannot be changed later.
    maker.check_all("pool", [ThinPoolArguments(meta, data.devno, 128, 5, ignore_discard=True)], data.sectors)
    maker.remove(maker.names[-1])
    several: list[Arguments] = [
        plain,
        ThinPoolArguments(meta, data.devno, 128, 5, no_discard_passdown=True),
        ThinPoolArguments(meta, data.devno, 128, low_water_blocks=3, skip_block_zeroing=True, error_if_no_space=True),
    ]
    assert plain.default_length_sectors({data.devno: data.sectors}.__getitem__) == data.sectors
    maker.check_all("pool", several, data.sectors)
    pool = maker.names[-1]
    devno = maker.devno(pool)
    maker.run("message", pool, "0", "create_thin 5")
    maker.check_all("thin", [ThinArguments(devno, 5), ThinArguments(devno, 5, origin.devno)], 2 * data.sectors)
    thin = maker.names[-1]
    assert maker.status(thin) == ThinStatus(mapped_sectors=0, highest_sector=None)
    for block in (1, 3):
        direct(f"/dev/mapper/{thin}", block * 65536, 65536, write=True)
    assert maker.status(thin) == ThinStatus(mapped_sectors=2 * 128, highest_sector=4 * 128 - 1)

    maker.run("message", pool, "0", "set_transaction_id 0 7")
    maker.run("message", pool, "0", "reserve_metadata_snap")
    status = maker.status(pool)
    # struct thin_disk_superblock: transaction and the held root at 48; the space maps, whose first two numbers are
    # of all blocks and of those in use.
    transaction, held = on_disk(metadata, "<QQ", 48)
    data_total, data_used = on_disk(metadata, "<QQ", 64)
    metadata_total, metadata_used = on_disk(metadata, "<QQ", 192)
    kept_back = metadata_total // 10
    assert status == ThinPoolStatus(
        transaction_id=transaction,
        metadata_used_blocks=metadata_used + kept_back,
        metadata_total_blocks=metadata_total,
        data_used_blocks=data_used,
        data_total_blocks=data_total,
        held_root_block=held,
        mode="rw",
        discard="discard_passdown",
        no_space="error_if_no_space",
        needs_check=False,
        metadata_low_water_blocks=metadata_total // 4,
    )
    assert (transaction, data_used, data_total) == (7, 2, data.sectors // 128)
    assert metadata_total == metadata.sectors // 8
    assert status.warnings() == ()

    with pytest.raises(OSError):
        for block in range(data.sectors // 128 + 1):
            direct(f"/dev/mapper/{thin}", block * 65536, 65536, write=True)
    status = maker.status(pool)
    assert isinstance(status, ThinPoolStatus) and status.mode == "out_of_data_space"
    assert status.data_used_blocks == status.data_total_blocks and status.warnings()

    maker.load(below, Line(0, metadata.sectors, "error", ""))
    maker.run("message", pool, "0", "create_thin 6")  # the kernel does not tell that its commit has failed
    for name in (pool, thin):
        status = maker.status(name)
        assert status.state == "fail" and status.usages() == () and status.warnings()
    with pytest.raises(ParamsError, match="failed"):
        parse_params("thin", maker.params(thin))
    for name in (thin, pool, below):
        maker.remove(name)
    found = dump("thin_dump", metadata)
    assert re.search(r'transaction="7".* data_block_size="128" nr_data_blocks="16"', found)
    assert re.search(r'<device dev_id="5" mapped_blocks="16"', found)


def test_cache(maker: Maker, disk: Callable[..., Disk]) -> None:
    metadata, fast, origin = disk(4 * MIB), disk(MIB), disk(4 * MIB)
    devices = (metadata.devno, fast.devno, origin.devno)
    plain = CacheArguments(*devices, 64)
    assert plain.default_length_sectors({origin.devno: origin.sectors}.__getitem__) == origin.sectors
    tuned = CacheArguments(*devices, 64, policy="smq", migration_threshold_sectors=4096)
    maker.check_all("cache", [plain, tuned], origin.sectors)
    cache = maker.names[-1]
    # Whole blocks, which go to the cache without being read before.
    for block in range(4, 9):
        direct(f"/dev/mapper/{cache}", block * 32768, 32768, write=True)
    for block in (5, 6, 100):
        direct(f"/dev/mapper/{cache}", block * 32768, 32768, write=False)
    # Suspended: nothing is written back between this and the dump.
    maker.run("suspend", cache)
    status = maker.status(cache)
    # struct cache_disk_superblock: the space map's root, of all blocks and of those in use.
    metadata_total, metadata_used = on_disk(metadata, "<QQ", 64)
    maker.remove(cache)
    found = dump("cache_dump", metadata)
    assert len(re.findall("<mapping ", found)) == 5
    assert status == CacheStatus(
        metadata_block_sectors=8,
        metadata_used_blocks=metadata_used,
        metadata_total_blocks=metadata_total,
        block_sectors=64,
        cache_used_blocks=5,
        cache_total_blocks=fast.sectors // 64,
        read_hits=2,
        read_misses=1,
        write_hits=0,
        write_misses=0,
        demotions=0,
        promotions=5,
        dirty_blocks=found.count('dirty="true"'),
        mode="writeback",
        metadata2=False,
        no_discard_passdown=False,
        migration_threshold_sectors=4096,
        policy="smq",
        policy_options=(),
        metadata_mode="rw",
        needs_check=False,
    )

    forget(metadata)
    options = (PolicyOption("random_threshold", "3"), PolicyOption("sequential_threshold", "4"))
    several: list[Arguments] = [
        CacheArguments(*devices, 128, "writethrough", metadata2=True, policy="mq", policy_options=options),
        CacheArguments(*devices, 128, metadata2=True, no_discard_passdown=True, policy="cleaner"),
        CacheArguments(*devices, 128, "passthrough", True, True, "mq", 100, options),
    ]
    maker.check_all("cache", several, origin.sectors)
    direct(f"/dev/mapper/{cache}", 0, 65536, write=True)
    again = maker.status(cache)
    assert isinstance(again, CacheStatus)
    assert (again.mode, again.metadata2, again.no_discard_passdown) == ("passthrough", True, True)
    assert (again.write_misses, again.migration_threshold_sectors, again.policy) == (1, 100, "mq")
    assert again.policy_options and len(again.policy_options) == 5 and not again.extra


def test_writecache(maker: Maker, disk: Callable[..., Disk]) -> None:
    fast, origin = disk(MIB), disk(MIB)
    below = maker.make("fast", LinearArguments(fast.devno).line(0, fast.sectors))
    devno = maker.devno(below)
    plain = WritecacheArguments("s", origin.devno, devno, 4096)
    assert plain.default_length_sectors({origin.devno: origin.sectors}.__getitem__) == origin.sectors
    watermarks = WritecacheArguments(
        *("s", origin.devno, devno, 4096),
        high_watermark_percent=60,
        low_watermark_percent=40,
        writeback_jobs=4,
        autocommit_blocks=32,
        autocommit_time_ms=500,
        max_age_ms=3600000,
        pause_writeback_ms=100,
    )
    cleaner = WritecacheArguments("s", origin.devno, devno, 4096, cleaner=True, metadata_only=True)
    maker.check_all("cache", [watermarks, cleaner, plain], origin.sectors)
    cache = maker.names[-1]
    for block in (3, 4, 9, 4):
        direct(f"/dev/mapper/{cache}", block * 4096, 4096, write=True)
    direct(f"/dev/mapper/{cache}", 20 * 4096, 2 * 4096, write=True)  # counted as two
    for block in (3, 50):
        direct(f"/dev/mapper/{cache}", block * 4096, 4096, write=False)
    # struct wc_memory_superblock: magic number, version, block size, padding, number of blocks.
    total = on_disk(fast, "<4IQ")[4]
    assert maker.status(cache) == WritecacheStatus(
        error=0,
        total_blocks=total,
        free_blocks=total - 5,
        writeback_blocks=0,
        reads=2,
        read_hits=1,
        writes=6,
        write_hits_uncommitted=1,
        write_hits_committed=0,
        writes_around=0,
        writes_allocate=5,
        writes_blocked_on_freelist=0,
        flushes=0,
        discards=0,
    )

    maker.load(below, Line(0, fast.sectors, "error", ""))
    with pytest.raises(OSError):
        descriptor = os.open(f"/dev/mapper/{cache}", os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    status = maker.status(cache)
    assert isinstance(status, WritecacheStatus) and status.error and status.warnings()
    maker.remove(cache)
    maker.remove(below)

    forget(fast)
    start = WritecacheArguments("s", origin.devno, fast.devno, 512, start_sectors=8, max_age_ms=1000)
    maker.check_all("cache", [start], origin.sectors)
    assert on_disk(fast, "<3I", 8 * 512)[2] == 512


def test_era(maker: Maker, disk: Callable[..., Disk]) -> None:
    metadata, origin = disk(2 * MIB), disk(MIB)
    arguments = EraArguments(metadata.devno, origin.devno, 8)
    assert arguments.default_length_sectors({origin.devno: origin.sectors}.__getitem__) == origin.sectors
    maker.check_all("era", [arguments], origin.sectors)
    era = maker.names[-1]
    before = maker.status(era)
    assert isinstance(before, EraStatus) and before.held_root_block is None and before.era
    direct(f"/dev/mapper/{era}", 4096, 4096, write=True)
    maker.run("message", era, "0", "checkpoint")
    maker.run("message", era, "0", "take_metadata_snap")
    # Asking makes the kernel commit, and what was freed before is counted until then.
    maker.status(era)
    status = maker.status(era)
    # struct superblock_disk of dm-era-target.c: the space map's root; then the sizes of data and metadata blocks, the
    # number of blocks and the era; and behind three other roots the metadata snapshot.
    metadata_total, metadata_used = on_disk(metadata, "<QQ", 44)
    _, metadata_block, _, current = on_disk(metadata, "<4I", 172)
    held = on_disk(metadata, "<Q", 216)[0]
    maker.remove(era)
    assert status == EraStatus(
        metadata_block_sectors=metadata_block,
        metadata_used_blocks=metadata_used,
        metadata_total_blocks=metadata_total,
        era=current,
        held_root_block=held,
    )
    assert held and metadata_total == metadata.sectors // 8 and current > before.era
    assert f'current_era="{current}"' in dump("era_dump", metadata)


def test_clone(maker: Maker, disk: Callable[..., Disk]) -> None:
    metadata, destination, source = disk(2 * MIB), disk(MIB), disk(MIB)
    content = bytes(range(256)) * (MIB // 256)
    with open(source.path, "r+b") as file:
        file.write(content)
    devices = (metadata.devno, destination.devno, source.devno)
    plain = CloneArguments(*devices, 8, no_hydration=True)
    assert plain.default_length_sectors({source.devno: source.sectors}.__getitem__) == source.sectors
    tuned = CloneArguments(*devices, 8, True, True, 16, 4)
    partly = CloneArguments(*devices, 8, no_hydration=True, hydration_batch_size_regions=3)
    maker.check_all("clone", [plain, tuned, partly], source.sectors)
    clone = maker.names[-1]
    for region in (2, 7):
        direct(f"/dev/mapper/{clone}", region * 4096, 4096, write=True)
    status = maker.status(clone)
    # struct superblock_disk of dm-clone-metadata.c: the space map's root.
    metadata_total, metadata_used = on_disk(metadata, "<QQ", 44)
    assert metadata_total == metadata.sectors // 8
    assert status == CloneStatus(
        metadata_block_sectors=8,
        metadata_used_blocks=metadata_used,
        metadata_total_blocks=metadata_total,
        region_sectors=8,
        hydrated_regions=2,
        total_regions=source.sectors // 8,
        hydrating_regions=0,
        no_hydration=True,
        no_discard_passdown=False,
        hydration_threshold_regions=1,
        hydration_batch_size_regions=3,
        mode="rw",
    )
    assert status.warnings()
    event = maker.run("info", "-c", "--noheadings", "-o", "events", clone).strip()
    maker.run("message", clone, "0", "enable_hydration")
    maker.run("wait", clone, event)
    status = maker.status(clone)
    assert isinstance(status, CloneStatus) and status.hydrated_regions == status.total_regions
    assert status.no_hydration is False and status.warnings() == ()
    with open(destination.path, "rb") as file:
        copied = file.read()
    for region in (2, 7):
        content = content[: region * 4096] + b"x" * 4096 + content[(region + 1) * 4096 :]
    assert copied == content
    maker.check_table(clone, partly, source.sectors)
