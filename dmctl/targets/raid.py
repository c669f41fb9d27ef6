# SPDX-License-Identifier: LGPL-2.1-or-later
"""raid: levels 0, 1, 4, 5, 6 and 10 by the kernel's md drivers (drivers/md/dm-raid.c)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status, Usage
from dmctl.targets.words import Words

INT_MAX = 2**31 - 1
MAX_DELTA_DISKS = 251  # MAX_RAID_DEVICES there without the two that a set has at least

RAID_TYPES = (
    *("raid0", "raid1", "raid10", "raid10_near", "raid10_far", "raid10_offset", "raid4"),
    *("raid5_n", "raid5_ls", "raid5_rs", "raid5_la", "raid5_ra"),
    *("raid6_zr", "raid6_nr", "raid6_nc", "raid6_n_6", "raid6_ls_6", "raid6_rs_6", "raid6_la_6", "raid6_ra_6"),
)
_PARITY_DEVICES = {"raid4": 1, "raid5": 1, "raid6": 2}

# Parameter: its field, in the kernel's order. The words "sync" and "nosync" come before these.
_NUMBERS = {
    "daemon_sleep": "daemon_sleep_ms",
    "min_recovery_rate": "min_recovery_rate_kib_s",
    "max_recovery_rate": "max_recovery_rate_kib_s",
    "max_write_behind": "max_write_behind",
    "stripe_cache": "stripe_cache",
    "region_size": "region_sectors",
    "raid10_copies": "raid10_copies",
    "delta_disks": "delta_disks",
    "data_offset": "data_offset_sectors",
}
_WORDS = {"raid10_format": "raid10_format", "journal_mode": "journal_mode"}
_LISTS = {"rebuild": "rebuild", "write_mostly": "write_mostly"}
_NEAR_SETS = "raid10_use_near_sets"
_ORDER = (
    *("rebuild", "daemon_sleep", "min_recovery_rate", "max_recovery_rate", "write_mostly", "max_write_behind"),
    *("stripe_cache", "region_size", "raid10_copies", "raid10_format", "delta_disks", "data_offset"),
    *("journal_dev", "journal_mode"),
)


@dataclass(frozen=True, slots=True)
class RaidDevice(Item):
    """METADATA DATA, each "-" for none; without both the device is missing."""

    data: str | None = fields.device("The device of the data; none for a device that is missing.", default=None)
    metadata: str | None = fields.device("The device of its superblock and bitmap.", default=None)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "[METADATA,]DATA", "-" for none."""
        metadata, _, data = text.rpartition(",")
        return cls(_or_none(data), _or_none(metadata))

    @classmethod
    def read(cls, words: Words) -> Self:
        metadata = words.word("metadata")
        return cls(_or_none(words.word("data")), _or_none(metadata))

    def to_params(self) -> str:
        return f"{self.metadata or '-'} {self.data or '-'}"


def _or_none(word: str) -> str | None:
    return None if word in ("", "-") else word


@dataclass(frozen=True, slots=True)
class RaidArguments(Arguments):
    """TYPE #PARAMETERS CHUNK [PARAMETER...] #DEVICES [METADATA|- DATA|-]..."""

    target: ClassVar[str] = "raid"
    parts: ClassVar[tuple[type[Item], ...]] = (RaidDevice,)

    raid_type: str = fields.word("The level and the layout of parity.", choices=RAID_TYPES)
    raid_devices: tuple[RaidDevice, ...] = fields.items(
        "The devices; - for one that is missing.", item=RaidDevice.parse, metavar="[METADATA,]DATA"
    )
    chunk_sectors: int = fields.number(
        "What is on one device before the next one's turn, a power of two; raid1 has none.",
        unit="sectors",
        maximum=INT_MAX,
        default=0,
    )
    sync: str | None = fields.word(
        "sync: the redundancy is made anew; nosync: it is taken to be right. By default the superblocks tell.",
        choices=("sync", "nosync"),
        default=None,
    )
    rebuild: tuple[int, ...] = fields.items(
        "Devices whose contents are made anew, the first being 0.", item=int, default=(), metavar="NUMBER"
    )
    daemon_sleep_ms: int | None = fields.number(
        "How often bits of the bitmap are cleared.", unit="ms", maximum=INT_MAX, default=None
    )
    min_recovery_rate_kib_s: int | None = fields.number(
        "How fast each device is brought in sync at least.", unit="KiB/s", maximum=INT_MAX, default=None
    )
    max_recovery_rate_kib_s: int | None = fields.number(
        "How fast each device is brought in sync at most.", unit="KiB/s", maximum=INT_MAX, default=None
    )
    write_mostly: tuple[int, ...] = fields.items(
        "Devices of raid1 that are read only where no other is left, the first being 0.",
        item=int,
        default=(),
        metavar="NUMBER",
    )
    # The kernel takes half of it, and its table has that half: Linux 5.4 to 6.12.
    max_write_behind: int | None = fields.number(
        "How many writes to write-mostly devices of raid1 may be behind, doubled; a table has the half of it.",
        maximum=INT_MAX,
        default=None,
    )
    stripe_cache: int | None = fields.number(
        "Entries of the stripe cache of raid4, 5 and 6, by default 256; a table has how many there are.",
        maximum=INT_MAX,
        default=None,
    )
    region_sectors: int | None = fields.number(
        "How much a bit of the bitmap stands for, a power of two; by default 4M or what a large set needs.",
        unit="sectors",
        maximum=INT_MAX,
        default=None,
    )
    raid10_copies: int | None = fields.since(
        "1.3.0",
        fields.number(
            "On how many devices of raid10 everything is, by default 2.", minimum=2, maximum=253, default=None
        ),
    )
    raid10_format: str | None = fields.since(
        "1.3.0",
        fields.word(
            "How raid10 lays out its copies, by default near.", choices=("near", "far", "offset"), default=None
        ),
    )
    raid10_use_near_sets: bool = fields.flag("The copies of raid10 far and offset stay in groups of devices.")
    delta_disks: int | None = fields.since(
        "1.9.0",
        fields.number(
            "How many devices the set gains, or loses if negative.",
            minimum=-MAX_DELTA_DISKS,
            maximum=MAX_DELTA_DISKS,
            default=None,
        ),
    )
    data_offset_sectors: int | None = fields.since(
        "1.9.0",
        fields.number("Where data begin on each device, for a reshape.", unit="sectors", maximum=INT_MAX, default=None),
    )
    journal_device: str | None = fields.since("1.10.0", fields.device("A journal for raid4, 5 and 6.", default=None))
    journal_mode: str | None = fields.since(
        "1.11.1",
        fields.word(
            "Whether the journal holds writes back; by default writethrough.",
            choices=("writethrough", "writeback"),
            default=None,
        ),
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        raid_type = words.word("raid_type").lower()
        count, left = words.number("number of parameters", bits=32), words.left
        found: dict[str, Any] = {"chunk_sectors": words.signed("chunk_sectors")}
        while words.left and not words.peek().isdecimal():
            _read_parameter(words, found)
        found |= _surplus(words, raid_type, found, count - (left - words.left))
        devices = words.each(words.number("number of devices", bits=32), "device", RaidDevice.read)
        words.rest("ignored")  # as the kernel does
        return cls(raid_type, devices, **found)

    def to_params(self) -> str:
        parameters = [self.chunk_sectors, *([self.sync] if self.sync else [])]
        for name in _ORDER:
            if name in _LISTS:
                for value in getattr(self, _LISTS[name]):
                    parameters += [name, value]
            else:
                value = getattr(self, _NUMBERS.get(name) or _WORDS.get(name) or "journal_device")
                parameters += [name, value] if value is not None else []
        if self.raid10_use_near_sets:
            parameters.append(_NEAR_SETS)
        devices = map(RaidDevice.to_params, self.raid_devices)
        return " ".join(map(str, [self.raid_type, len(parameters), *parameters, len(self.raid_devices), *devices]))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        sizes = [size_sectors(device.data) for device in self.raid_devices if device.data]
        count = len(self.raid_devices) - _PARITY_DEVICES.get(self.raid_type[:5], 0)
        if not sizes or count < 1 or self.delta_disks:
            return None
        usable = min(sizes) - (self.data_offset_sectors or 0)
        if self.raid_type == "raid1":
            return usable
        if not self.chunk_sectors:
            return None
        chunks = usable // self.chunk_sectors
        if not self.raid_type.startswith("raid10"):
            return chunks * self.chunk_sectors * count
        copies = self.raid10_copies or 2
        # Each device must have a whole number of sectors, and in the far layout as much for each copy.
        chunks -= chunks % (copies if self.raid10_format == "far" else copies // math.gcd(copies, count))
        return chunks * self.chunk_sectors * count // copies


def _read_parameter(words: Words, found: dict[str, Any]) -> None:
    name = words.word("parameter").lower()
    value: Any
    if name in ("sync", "nosync"):
        field, value = "sync", name
    elif name == _NEAR_SETS:
        field, value = name, True
    elif name == "journal_dev":
        field, value = "journal_device", words.word("journal_device")
    elif name in _WORDS:
        field, value = _WORDS[name], words.word(_WORDS[name]).lower()
    elif name in _NUMBERS:
        field, value = _NUMBERS[name], words.signed(_NUMBERS[name])
    elif name in _LISTS:
        field = _LISTS[name]
        value = (*found.pop(field, ()), words.signed(field))
    else:
        words.fail(f"parameter {name!r} is not known")
    if field in found:
        words.fail(f"{name} is given twice or with its opposite")
    found[field] = value


def _surplus(words: Words, raid_type: str, found: dict[str, Any], surplus: int) -> dict[str, Any]:
    """What a number of parameters tells that is not the number of their words, as in some kernels' own tables.

    raid10_use_near_sets is counted, but not printed, by all up to Linux 6.12 at least. Before version 1.15.1 of the
    target one pair too many is counted for rebuild, and one for write_mostly.
    """
    old = 2 * sum(name in found for name in _LISTS.values())
    if surplus in (0, old):
        return {}
    if surplus in (1, old + 1) and raid_type.startswith("raid10") and _NEAR_SETS not in found:
        return {_NEAR_SETS: True}
    words.fail(f"the number of parameters is {'more' if surplus > 0 else 'less'} than there are")


@dataclass(frozen=True, slots=True)
class RaidStatus(Status):
    """TYPE #DEVICES HEALTH DONE/TOTAL ACTION MISMATCHES DATA_OFFSET JOURNAL"""

    target: ClassVar[str] = "raid"

    raid_type: str | None = fields.word("The level and the layout of parity.", default=None)
    device_count: int | None = fields.number("Number of devices.", default=None)
    health: str | None = fields.word(
        "A letter a device: A alive, a alive but not in sync, D failed, - missing.", default=None
    )
    done_sectors: int | None = fields.number(
        "How much of each device is in sync, or done of the action.", unit="sectors", default=None
    )
    total_sectors: int | None = fields.number("All of a device.", unit="sectors", default=None)
    sync_action: str | None = fields.word(
        "What is being done: idle, frozen, resync, recover, check, repair or reshape.", default=None
    )
    mismatches_sectors: int | None = fields.number(
        "How much the last check found to differ.", unit="sectors", default=None
    )
    data_offset_sectors: int | None = fields.number("Where data begin on each device.", unit="sectors", default=None)
    journal_health: str | None = fields.word(
        "Of the journal: A alive and writethrough, a alive and writeback, D failed, - none.", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        if not words.left:  # of a set whose layout the kernel cannot name
            return cls()
        raid_type, count, health = words.word("raid_type"), words.number("device_count"), words.word("health")
        done, total = words.pair(("done_sectors", "total_sectors"))
        found: dict[str, Any] = {
            "sync_action": words.word("sync_action"),
            "mismatches_sectors": words.number("mismatches_sectors"),
        }
        if words.peek().isdecimal():  # 1.9.0
            found["data_offset_sectors"] = words.number("data_offset_sectors")
            if words.peek() in ("A", "a", "D", "-"):  # 1.10.0
                found["journal_health"] = words.word("journal_health")
        return cls(
            raid_type=raid_type,
            device_count=count,
            health=health,
            done_sectors=done,
            total_sectors=total,
            **found,
        )

    def usages(self) -> tuple[Usage, ...]:
        if self.done_sectors is None or self.total_sectors is None:
            return ()
        return (Usage("sync", self.done_sectors, self.total_sectors, "sectors", progress=True),)

    def warnings(self) -> tuple[str, ...]:
        found = list(Status.warnings(self))
        words = {"D": "has failed", "-": "is missing"} | ({"a": "is not in sync"} if self.sync_action == "idle" else {})
        found += [f"device {at} {words[letter]}" for at, letter in enumerate(self.health or "") if letter in words]
        if self.journal_health == "D":
            found.append("the journal has failed")
        if self.sync_action == "frozen":
            found.append("synchronisation is halted")
        if self.mismatches_sectors:
            found.append(f"{self.mismatches_sectors} sectors differ between devices")
        return tuple(found)
