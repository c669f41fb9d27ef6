# SPDX-License-Identifier: LGPL-2.1-or-later
"""I/O rates of dm devices, from the counters in /sys/block/dm-N and from statistics regions.

Nothing is cleared. What is in /sys everybody may read; regions are read by requests to the kernel, which need root.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from dmctl import counters as c
from dmctl import units
from dmctl.errors import DmctlError, ExitStatus
from dmctl.libdm.stats import ALL_PROGRAMS, Stats

_BLOCK = "/sys/block"
_NS_A_MS, _NS_A_SECOND = 1_000_000, 1_000_000_000
# Documentation/block/stat.rst: 11 words at first, 15 with discards (Linux 4.18), 17 with flushes (5.5).
_LEAST_WORDS = 11
_DISCARD_SECTORS = 13
_TICKS = 2**32  # the kernel prints its milliseconds as unsigned int


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters of a device or a region, or what was added to them. in_flight: at this moment."""

    reads: int = 0
    read_sectors: int = 0
    read_ns: int = 0
    writes: int = 0
    write_sectors: int = 0
    write_ns: int = 0
    busy_ns: int = 0
    in_flight: int = 0
    discard_sectors: int = 0

    @classmethod
    def of(cls, devno: tuple[int, int]) -> Counts:
        """Of any block device, as /sys has them. Raises OSError, ValueError."""
        with open(f"/sys/dev/block/{devno[0]}:{devno[1]}/stat", encoding="ascii") as file:
            return cls.parse(file.read())

    @classmethod
    def parse(cls, stat: str) -> Counts:
        """/sys/block/NAME/stat. ValueError where it is not one."""
        words = [int(word) for word in stat.split()]
        if len(words) < _LEAST_WORDS:
            raise ValueError(f"{len(words)} words are no block device's counters.")
        return cls(
            reads=words[0],
            read_sectors=words[2],
            read_ns=words[3] * _NS_A_MS,
            writes=words[4],
            write_sectors=words[6],
            write_ns=words[7] * _NS_A_MS,
            in_flight=words[8],
            busy_ns=words[9] * _NS_A_MS,
            discard_sectors=words[_DISCARD_SECTORS] if len(words) > _DISCARD_SECTORS else 0,
        )

    @classmethod
    def of_areas(cls, areas: Iterable[c.Area]) -> Counts:
        """The sum over the areas of a statistics region."""
        sums = [sum(column) for column in zip(*(area.counters for area in areas), strict=True)]
        if not sums:
            return cls()
        return cls(
            reads=sums[c.READS],
            read_sectors=sums[c.READ_SECTORS],
            read_ns=sums[c.READ_TIME],
            writes=sums[c.WRITES],
            write_sectors=sums[c.WRITE_SECTORS],
            write_ns=sums[c.WRITE_TIME],
            in_flight=sums[c.IN_PROGRESS],
            busy_ns=sums[c.IO_TIME],
        )

    def since(self, earlier: Counts) -> Counts:
        """What was added since an earlier reading; all of it where a count of requests or sectors has gone back."""
        counts = ("reads", "read_sectors", "writes", "write_sectors", "discard_sectors")
        if any(getattr(self, name) < getattr(earlier, name) for name in counts):
            earlier = Counts()
        added = {name: getattr(self, name) - getattr(earlier, name) for name in counts}
        times = {name: _time_since(getattr(self, name), getattr(earlier, name)) for name in _TIMES}
        return Counts(**added, **times, in_flight=self.in_flight)


_TIMES = ("read_ns", "write_ns", "busy_ns")


def _time_since(now: int, then: int) -> int:
    """Time wraps after 49 days of it, or goes back a little when it is read while it is counted."""
    wrapped = (now - then) % (_TICKS * _NS_A_MS)
    return now - then if now >= then else wrapped if wrapped < _TICKS * _NS_A_MS // 2 else 0


@dataclass(frozen=True, slots=True)
class Region:
    """A statistics region: its number, program and place. It is another one where any of these differs."""

    number: int
    program: str
    start_sectors: int
    length_sectors: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters of one device at a moment. identity: differs between devices that had the same number in turn."""

    name: str
    kernel_name: str
    devno: tuple[int, int]
    identity: tuple[str, str]
    at_ns: int
    counts: Counts
    in_flight_reads: int
    in_flight_writes: int
    regions: dict[Region, list[c.Area]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened in an interval.

    gone_reads, gone_writes: by how many fewer requests are in flight. Linux counted those of most dm devices when they
    begin, but their time when they end, before "block: count 'ios' and 'sectors' when io is done for bio-based device"
    (6.4); where none has begun, these are the ones whose time was counted.
    """

    interval_ns: int
    counts: Counts
    gone_reads: int = 0
    gone_writes: int = 0

    def per_second(self, number: int) -> float:
        """A rate of one of the counts."""
        return number * _NS_A_SECOND / self.interval_ns

    @property
    def read_bytes_per_second(self) -> float:
        return self.per_second(self.counts.read_sectors * units.SECTOR_BYTES)

    @property
    def write_bytes_per_second(self) -> float:
        return self.per_second(self.counts.write_sectors * units.SECTOR_BYTES)

    @property
    def read_latency_ns(self) -> float | None:
        """Average time of a read; None where none has ended."""
        return _average(self.counts.read_ns, self.counts.reads, self.gone_reads)

    @property
    def write_latency_ns(self) -> float | None:
        """Average time of a write; None where none has ended."""
        return _average(self.counts.write_ns, self.counts.writes, self.gone_writes)

    @property
    def utilisation(self) -> float:
        """The part of the time in which there was something to do, 0 to 1."""
        return min(1.0, self.counts.busy_ns / self.interval_ns)


def _average(time_ns: int, counted: int, gone: int) -> float | None:
    ended = counted or (max(1, gone) if time_ns else 0)
    return time_ns / ended if ended else None


class Sampler:
    """Reads all dm devices again and again. regions: read statistics regions too, where the caller may."""

    def __init__(self, *, regions: bool = True):
        self._regions = regions

    def read(self) -> list[Reading]:
        """All devices, by name. One that goes while it is read is left out."""
        readings = []
        for kernel_name in os.listdir(_BLOCK):
            if kernel_name.startswith("dm-"):
                try:
                    readings.append(self._read(kernel_name))
                except (OSError, ValueError):
                    continue
        return sorted(readings, key=lambda reading: reading.name)

    def _read(self, kernel_name: str) -> Reading:
        folder = f"{_BLOCK}/{kernel_name}"
        reads, writes = _text(f"{folder}/inflight").split()
        at_ns, counts = time.monotonic_ns(), Counts.parse(_text(f"{folder}/stat"))
        devno = units.parse_devno(_text(f"{folder}/dev"))
        return Reading(
            name=_text(f"{folder}/dm/name").removesuffix("\n"),
            kernel_name=kernel_name,
            devno=devno,
            identity=(kernel_name, _sequence(folder)),
            at_ns=at_ns,
            counts=counts,
            in_flight_reads=int(reads),
            in_flight_writes=int(writes),
            regions=self._read_regions(devno, int(_text(f"{folder}/size"))) if self._regions else {},
        )

    def _read_regions(self, devno: tuple[int, int], size_sectors: int) -> dict[Region, list[c.Area]]:
        """The regions that do not cover the whole device: those that do count what /sys counts."""
        found = {}
        try:
            with Stats() as stats:
                stats.bind_devno(devno)
                stats.refresh(ALL_PROGRAMS)
                for number in stats.regions():
                    region = Region(number, stats.program, stats.region_start, stats.region_length)
                    if (region.start_sectors, region.length_sectors) != (0, size_sectors):
                        precise = stats.precise
                        lines = stats.print_region(number).splitlines()
                        found[region] = [c.Area.parse(line, precise=precise) for line in lines]
        except DmctlError as error:  # the device is gone, or this may not be asked
            self._regions = error.exit_status != ExitStatus.PERMISSION
        return found


def between(earlier: Reading | None, later: Reading, start_ns: int) -> Rates:
    """What a device did between two readings of all devices.

    earlier: its reading in the first, None where it was not there: then it has been made since, and all that it counts
    is of this interval, which began at start_ns.
    """
    if earlier is None:
        return Rates(max(1, later.at_ns - start_ns), later.counts)
    return Rates(
        max(1, later.at_ns - earlier.at_ns),
        later.counts.since(earlier.counts),
        gone_reads=max(0, earlier.in_flight_reads - later.in_flight_reads),
        gone_writes=max(0, earlier.in_flight_writes - later.in_flight_writes),
    )


def regions_between(earlier: Reading | None, later: Reading, interval_ns: int) -> dict[Region, Rates]:
    """The same of its statistics regions."""
    before = earlier.regions if earlier else {}
    found = {}
    for region, areas in later.regions.items():
        then = before.get(region, [])
        if len(then) == len(areas) and all(len(a.bins) == len(b.bins) for a, b in zip(then, areas, strict=True)):
            added = [now.since(at_first) for now, at_first in zip(areas, then, strict=True)]
        else:
            added = areas
        found[region] = Rates(interval_ns, Counts.of_areas(added))
    return found


def _sequence(folder: str) -> str:
    """What tells two devices of the same number apart: the kernel's count of disks (Linux 5.15), or its folder."""
    try:
        return _text(f"{folder}/diskseq")
    except OSError:
        return f"inode {os.stat(folder).st_ino}"


def _text(path: str) -> str:
    with open(path, "rb") as file:
        return os.fsdecode(file.read())
