# SPDX-License-Identifier: LGPL-2.1-or-later
"""delay: requests are passed on after a while, of each kind to a device of its own (drivers/md/dm-delay.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl import units
from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status
from dmctl.targets.words import ParamsError, Words

U32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Way(Item):
    """DEVICE OFFSET DELAY: where requests of one kind go, and when."""

    device: str = fields.device("The device.")
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors")
    delay_ms: int = fields.number("For how long requests wait.", unit="ms", maximum=U32_MAX)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "DEVICE,OFFSET,DELAY", the offset a size such as 1M or 2048s, the delay in ms. Raises ValueError."""
        device, *numbers = text.rsplit(",", 2)
        if len(numbers) != 2 or not numbers[1].isdecimal():
            raise ValueError(f"{text!r} is not of the form DEVICE,OFFSET,DELAY")
        return cls(device, units.sectors(units.parse_size(numbers[0], default_unit="s")), int(numbers[1]))

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(words.word("device"), words.number("offset_sectors"), words.number("delay_ms", bits=32))

    def to_params(self) -> str:
        return f"{self.device} {self.offset_sectors} {self.delay_ms}"


@dataclass(frozen=True, slots=True)
class DelayArguments(Arguments):
    """DEVICE OFFSET DELAY [DEVICE OFFSET DELAY [DEVICE OFFSET DELAY]]: for reads, for writes, for flushes."""

    target: ClassVar[str] = "delay"
    parts: ClassVar[tuple[type[Item], ...]] = (Way,)

    device: str = fields.device("The device mapped.")
    delay_ms: int = fields.number("For how long requests wait.", unit="ms", maximum=U32_MAX)
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)
    write: Way | None = fields.item(
        "Where writes go instead, after how many milliseconds.",
        item=Way.parse,
        default=None,
        metavar="DEVICE,OFFSET,DELAY",
    )
    flush: Way | None = fields.item(
        "Where flushes go instead of where writes go; only with write.",
        item=Way.parse,
        default=None,
        metavar="DEVICE,OFFSET,DELAY",
    )

    def __post_init__(self) -> None:
        Arguments.__post_init__(self)
        if self.flush and not self.write:  # no line says that
            raise ParamsError("delay: flush can be given only with write.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        first = Way.read(words)
        ways = []
        for what in ("write", "flush"):
            if words.left:
                words.about = what
                ways.append(Way.read(words))
        return cls(first.device, first.delay_ms, first.offset_sectors, *ways)

    def to_params(self) -> str:
        ways = (Way(self.device, self.offset_sectors, self.delay_ms), self.write, self.flush)
        return " ".join(way.to_params() for way in ways if way)

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        ways = (Way(self.device, self.offset_sectors, 0), self.write, self.flush)
        return min(size_sectors(way.device) - way.offset_sectors for way in ways if way)


@dataclass(frozen=True, slots=True)
class DelayStatus(Status):
    """READS WRITES [FLUSHES]: how many requests wait; flushes from target version 1.2.0 on."""

    target: ClassVar[str] = "delay"

    reads: int | None = fields.number("How many reads wait.", default=None)
    writes: int | None = fields.number("How many writes wait.", default=None)
    flushes: int | None = fields.number("How many flushes wait.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        reads, writes = words.number("reads"), words.number("writes")
        return cls(reads=reads, writes=writes, flushes=words.number("flushes") if words.peek().isdecimal() else None)
