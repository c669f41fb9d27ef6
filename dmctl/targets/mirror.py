# SPDX-License-Identifier: LGPL-2.1-or-later
"""mirror: the same data on several devices (drivers/md/dm-raid1.c), and a log of what differs (drivers/md/dm-log.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Leg, Status, Usage
from dmctl.targets.words import Words

U32_MAX = 2**32 - 1

_LEG_WARNINGS = {
    "D": "a write to mirror {} has failed",
    "F": "a flush of mirror {} has failed",
    "R": "a read from mirror {} has failed",
    "S": "mirror {} could not be brought in sync",
    "U": "mirror {} has failed",
}
_LOG_WARNINGS = {
    "D": "the log device has failed",
    "F": "a flush of the log device has failed",
    "COM_FAILURE": "the log's daemon does not answer",
}


@dataclass(frozen=True, slots=True)
class MirrorArguments(Arguments):
    """LOG #ARGUMENTS ARGUMENT... #MIRRORS [DEVICE OFFSET]... [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "mirror"
    parts: ClassVar[tuple[type[Item], ...]] = (Leg,)

    mirrors: tuple[Leg, ...] = fields.items(
        "The devices; the first is read from until the others are in sync.", item=Leg.parse, metavar="DEVICE[,OFFSET]"
    )
    log: str = fields.word(
        "Where what differs is noted: core (in memory), disk, or userspace (by a daemon).", default="core"
    )
    log_device: str | None = fields.device("The device of a disk log.", default=None)
    region_sectors: int | None = fields.number(
        "How much the log notes at a time, a power of two; core and disk logs need it.",
        unit="sectors",
        minimum=2,
        maximum=U32_MAX,
        default=None,
    )
    sync: str | None = fields.word(
        "sync: all is copied first; nosync: all is taken to be the same. By default the log on disk tells.",
        choices=("sync", "nosync"),
        default=None,
    )
    log_arguments: tuple[str, ...] = fields.items(
        "Arguments of a userspace log, its UUID first, or of one not known here.", default=(), metavar="WORD"
    )
    handle_errors: bool = fields.flag("A mirror that fails is left out; without it errors of writes are passed over.")
    keep_log: bool = fields.flag("Writes go on in case the log fails; needs handle_errors.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        log = words.word("log")
        found = _read_log(log, words.group("log arguments"))
        mirrors = words.each(words.number("number of mirrors", bits=32), "mirror", Leg.read)
        features = words.group("features") if words.left else None
        while features and features.left:
            feature = features.word("feature", ("handle_errors", "keep_log"))
            features.named(feature)
            found[feature] = True
        return cls(mirrors, log, **found)

    def to_params(self) -> str:
        known = (self.log_device, self.region_sectors, self.sync)
        log = [*(str(word) for word in known if word is not None), *self.log_arguments]
        mirrors = map(Leg.to_params, self.mirrors)
        features = [name for name in ("handle_errors", "keep_log") if getattr(self, name)]
        words = [self.log, str(len(log)), *log, str(len(self.mirrors)), *mirrors]
        return " ".join(words + ([str(len(features)), *features] if features else []))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return min((size_sectors(leg.device) - leg.offset_sectors for leg in self.mirrors), default=None)


def _read_log(log: str, words: Words) -> dict[str, Any]:
    if log not in ("core", "disk"):
        return {"log_arguments": words.rest("log_arguments")}
    found: dict[str, Any] = {}
    if log == "disk":
        found["log_device"] = words.word("log_device")
    found["region_sectors"] = words.number("region_sectors", bits=32)
    if words.left:
        found["sync"] = words.word("sync", ("sync", "nosync"))
    words.end()
    return found


@dataclass(frozen=True, slots=True)
class MirrorStatus(Status):
    """#MIRRORS DEVICE... IN_SYNC/REGIONS 1 HEALTH #WORDS LOG [WORD...]"""

    target: ClassVar[str] = "mirror"

    devices: tuple[str, ...] | None = fields.items("The devices.", default=None)
    in_sync_regions: int | None = fields.number("Regions that are the same on all of them.", default=None)
    regions: int | None = fields.number("All regions.", default=None)
    health: str | None = fields.word(
        "A letter a device: A alive; after an error D of a write, F of a flush, R of a read, S while it was "
        "brought in sync, U of an unknown kind.",
        default=None,
    )
    log: str | None = fields.word("The kind of log.", default=None)
    log_device: str | None = fields.word("The log's device.", default=None)
    log_health: str | None = fields.word("A alive, D failed, F failed in a flush.", default=None)
    log_words: tuple[str, ...] = fields.items("What else the log says.", default=())

    @classmethod
    def _read(cls, words: Words) -> Self:
        devices = words.each(words.number("number of mirrors"), "mirror", lambda words: words.word("devices"))
        in_sync, regions = words.pair(("in_sync_regions", "regions"))
        health = words.group("health").word("health")
        found: dict[str, Any] = {}
        # A userspace log that cannot ask its daemon prints its name before the count, or nothing.
        if words.peek(2) == "COM_FAILURE":
            found["log"] = words.word("log")
            found["log_health"] = words.group("log words").word("log_health")
        elif words.peek().isdecimal():
            log = words.group("log words")
            for name in ("log", "log_device", "log_health"):
                if log.left:
                    found[name] = log.word(name)
            found["log_words"] = log.rest("log_words")
        return cls(devices=devices, in_sync_regions=in_sync, regions=regions, health=health, **found)

    def usages(self) -> tuple[Usage, ...]:
        if self.in_sync_regions is None or self.regions is None:
            return ()
        return (Usage("sync", self.in_sync_regions, self.regions, "regions", progress=True),)

    def warnings(self) -> tuple[str, ...]:
        legs = zip(self.devices or (), self.health or "", strict=False)
        failed = [_LEG_WARNINGS[letter].format(device) for device, letter in legs if letter in _LEG_WARNINGS]
        log = [_LOG_WARNINGS[self.log_health]] if self.log_health in _LOG_WARNINGS else []
        return (*Status.warnings(self), *failed, *log)
