# SPDX-License-Identifier: LGPL-2.1-or-later
"""zoned: zoned drives that can be written anywhere (drivers/md/dm-zoned-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status, Usage
from dmctl.targets.words import ParamsError, Words


@dataclass(frozen=True, slots=True)
class Drive(Item):
    """DEVICE"""

    device: str = fields.device("The device.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "DEVICE". Raises ValueError."""
        return cls(text)

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(words.word("device"))


@dataclass(frozen=True, slots=True)
class ZonedArguments(Arguments):
    """DEVICE...; several from Linux 5.8 on. They must have been formatted with dmzadm."""

    target: ClassVar[str] = "zoned"
    parts: ClassVar[tuple[type[Item], ...]] = (Drive,)

    drives: tuple[Drive, ...] = fields.items(
        "One zoned drive, or first a regular one as their cache and then the zoned ones.",
        item=Drive.parse,
        metavar="DEVICE",
    )

    def __post_init__(self) -> None:
        Arguments.__post_init__(self)
        if not self.drives:
            raise ParamsError("zoned: drives must be at least one.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls(words.each(words.left, "drive", Drive.read))

    def to_params(self) -> str:
        return " ".join(drive.device for drive in self.drives)

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        # The kernel makes it shorter, by the zones that it keeps for itself.
        return sum(size_sectors(drive.device) for drive in self.drives)


@dataclass(frozen=True, slots=True)
class DriveZones(Item):
    """FREE/TOTAL random FREE/TOTAL sequential: the zones of one zoned drive."""

    free_random_zones: int = fields.number("Zones to be written anywhere that are free.", unit="zones")
    random_zones: int = fields.number("Zones to be written anywhere.", unit="zones")
    free_sequential_zones: int = fields.number("Zones to be written in order that are free.", unit="zones")
    sequential_zones: int = fields.number("Zones to be written in order.", unit="zones")

    @classmethod
    def read(cls, words: Words) -> Self:
        free_random, random = words.pair(("free_random_zones", "random_zones"))
        words.word("random", ("random",))
        free_sequential, sequential = words.pair(("free_sequential_zones", "sequential_zones"))
        words.word("sequential", ("sequential",))
        return cls(free_random, random, free_sequential, sequential)


@dataclass(frozen=True, slots=True)
class ZonedStatus(Status):
    """ZONES zones [FREE/TOTAL cache] [FREE/TOTAL random FREE/TOTAL sequential]...; nothing before version 1.1.0."""

    target: ClassVar[str] = "zoned"
    parts: ClassVar[tuple[type[Item], ...]] = (DriveZones,)

    zones: int | None = fields.number("All zones, those that hold metadata too.", unit="zones", default=None)
    free_cache_zones: int | None = fields.number(
        "Zones of the regular drive that are free.", unit="zones", default=None
    )
    cache_zones: int | None = fields.number("Zones of the regular drive.", unit="zones", default=None)
    drives: tuple[DriveZones, ...] | None = fields.items("The zones of each zoned drive.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        if words.peek(1) != "zones":  # Linux 5.4 to 5.7 print nothing
            return cls()
        zones = words.number("zones")
        words.word("zones")
        free_cache = cache = None
        if words.peek(1) == "cache":
            free_cache, cache = words.pair(("free_cache_zones", "cache_zones"))
            words.word("cache")
        drives: list[DriveZones] = []
        while words.peek(1) == "random":
            words.about = f"drive {len(drives) + 1}"
            drives.append(DriveZones.read(words))
        words.about = ""
        return cls(zones=zones, free_cache_zones=free_cache, cache_zones=cache, drives=tuple(drives))

    def usages(self) -> tuple[Usage, ...]:
        drives = self.drives or ()
        kinds = [
            ("cache", self.free_cache_zones or 0, self.cache_zones or 0),
            ("random", sum(one.free_random_zones for one in drives), sum(one.random_zones for one in drives)),
            (
                "sequential",
                sum(one.free_sequential_zones for one in drives),
                sum(one.sequential_zones for one in drives),
            ),
        ]
        return tuple(Usage(what, total - free, total, "zones") for what, free, total in kinds if total)

    def warnings(self) -> tuple[str, ...]:
        full = {usage.what for usage in self.usages() if usage.used >= usage.total}
        # Random writes go to cache zones, or where there are none to random ones, until these are reclaimed.
        buffers = "cache" if self.cache_zones else "random"
        waits = (f"no {buffers} zone is free: writes wait for others to be reclaimed",) if buffers in full else ()
        return (*Status.warnings(self), *waits)
