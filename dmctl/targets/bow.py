# SPDX-License-Identifier: LGPL-2.1-or-later
"""bow: a device that can be put back to what it was, in Android's kernels only (drivers/md/dm-bow.c there)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status
from dmctl.targets.words import Words

_MULTIPLE_SECTORS = 8


@dataclass(frozen=True, slots=True)
class BowArguments(Arguments):
    """DEVICE [#FEATURES FEATURE...]

    The kernel's own table is no such line, but a map of the device: BowMap.
    """

    target: ClassVar[str] = "bow"

    device: str = fields.device("The device mapped.")
    block_size_bytes: int | None = fields.number(
        "What is backed up as one piece; by default the device's logical block.",
        unit="bytes",
        minimum=512,
        maximum=4096,
        default=None,
    )

    @classmethod
    def form(cls, params: str) -> type[Arguments]:
        first = cls._cursor(params).peek()
        return BowMap if first.endswith(":") and not first.startswith("/") else cls

    @classmethod
    def _read(cls, words: Words) -> Self:
        device = words.word("device")
        features = words.group("features") if words.left else None
        block_size: int | None = None
        while features and features.left:
            text = features.word("block_size_bytes")
            name, _, value = text.partition(":")
            if name != "block_size":
                words.fail(f"feature {text!r} is not known")
            block_size = features.number_of(name, value)
        words.rest("ignored")  # as the kernel does
        return cls(device, block_size)

    def to_params(self) -> str:
        return self.device if self.block_size_bytes is None else f"{self.device} 1 block_size:{self.block_size_bytes}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device) // _MULTIPLE_SECTORS * _MULTIPLE_SECTORS


@dataclass(frozen=True, slots=True)
class BowRange(Item):
    """KIND: SECTOR, a stretch of the device, up to the next one's first sector.

    kind: "Unchanged", "Free" (discarded), "Changed", "Backup" (of what was changed), "Sector0" (which holds the log),
    "Sector0_current" (what sector 0 would hold), and "Top", which is the device's end.
    """

    kind: str = fields.word("What is there.")
    first_sector: int = fields.number("Where it begins.", unit="sectors")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "KIND:SECTOR". Raises ValueError."""
        kind, _, sector = text.partition(":")
        if not sector.isdecimal():
            raise ValueError(f"{text!r} is not of the form KIND:SECTOR")
        return cls(kind, int(sector))


@dataclass(frozen=True, slots=True)
class BowMap(Arguments):
    """KIND: SECTOR a line, and words after "ERROR:" where the kernel finds its map wrong."""

    target: ClassVar[str] = "bow"
    loadable: ClassVar[bool] = False
    parts: ClassVar[tuple[type[Item], ...]] = (BowRange,)

    ranges: tuple[BowRange, ...] = fields.items("The stretches of the device.", item=BowRange.parse)
    error: tuple[str, ...] = fields.items("The words that say what is wrong with the map.", default=())

    @classmethod
    def _read(cls, words: Words) -> Self:
        ranges: list[BowRange] = []
        error: tuple[str, ...] = ()
        while words.left:
            text = words.word("kind")
            kind = text.removesuffix(":")
            if kind == "ERROR":
                words.named("error")
                error = words.rest("error")
            elif kind == text:
                words.fail(f"{text!r} is no kind of a range")
            else:
                ranges.append(BowRange(kind, words.number("first_sector")))
        return cls(tuple(ranges), error)

    def to_params(self) -> str:
        lines = [f"{one.kind}: {one.first_sector}\n" for one in self.ranges]
        return "".join(lines) + (f"\nERROR: {' '.join(self.error)}" if self.error else "")

    def sectors(self, kind: str) -> int:
        """How much of the device is of a kind."""
        ends: list[Any] = [one.first_sector for one in self.ranges[1:]]
        return sum(end - one.first_sector for one, end in zip(self.ranges, ends, strict=False) if one.kind == kind)


@dataclass(frozen=True, slots=True)
class BowStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "bow"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
