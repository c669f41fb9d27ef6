# SPDX-License-Identifier: LGPL-2.1-or-later
"""striped: chunks in turn on several devices (drivers/md/dm-stripe.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Leg, Status
from dmctl.targets.words import Words


@dataclass(frozen=True, slots=True)
class StripedArguments(Arguments):
    """#STRIPES CHUNK [DEVICE OFFSET]..."""

    target: ClassVar[str] = "striped"
    parts: ClassVar[tuple[type[Item], ...]] = (Leg,)

    chunk_sectors: int = fields.number("What is on one device before the next one's turn.", unit="sectors", minimum=1)
    stripes: tuple[Leg, ...] = fields.items("The devices, one a stripe.", item=Leg.parse, metavar="DEVICE[,OFFSET]")

    @classmethod
    def _read(cls, words: Words) -> Self:
        count, chunk = words.signed("number of stripes"), words.signed("chunk_sectors")
        if count < 1:
            words.fail("the number of stripes must be at least 1")
        return cls(chunk, words.each(count, "stripe", Leg.read))

    def to_params(self) -> str:
        return " ".join([str(len(self.stripes)), str(self.chunk_sectors), *map(Leg.to_params, self.stripes)])

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        shortest = min(size_sectors(stripe.device) - stripe.offset_sectors for stripe in self.stripes)
        return shortest // self.chunk_sectors * self.chunk_sectors * len(self.stripes)


@dataclass(frozen=True, slots=True)
class StripedStatus(Status):
    """#STRIPES DEVICE... 1 HEALTH: a letter a stripe, A for alive, D for dead after an error of its device."""

    target: ClassVar[str] = "striped"

    devices: tuple[str, ...] | None = fields.items("The devices, one a stripe.", default=None)
    health: str | None = fields.word("A letter a stripe: A alive, D dead after an I/O error.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        devices = words.each(words.number("number of stripes"), "stripe", lambda words: words.word("device"))
        return cls(devices=devices, health=words.group("health").word("health"))

    def warnings(self) -> tuple[str, ...]:
        dead = [device for device, letter in zip(self.devices or (), self.health or "", strict=False) if letter == "D"]
        return (*Status.warnings(self), *(f"stripe {device} has failed" for device in dead))
