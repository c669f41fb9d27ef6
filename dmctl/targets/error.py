# SPDX-License-Identifier: LGPL-2.1-or-later
"""error: every request fails (drivers/md/dm-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Leg, Status
from dmctl.targets.words import Words


@dataclass(frozen=True, slots=True)
class ErrorArguments(Arguments):
    """[DEVICE OFFSET]; no kernel prints them in a table, those before 6.7 ignore them."""

    target: ClassVar[str] = "error"
    parts: ClassVar[tuple[type[Item], ...]] = (Leg,)

    device: Leg | None = fields.since(
        "1.7.0",
        fields.item(
            "The device whose limits and zones are taken on; older ones ignore it.",
            item=Leg.parse,
            default=None,
            metavar="DEVICE[,OFFSET]",
        ),
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        # Linux 6.7 and newer, which refuse other pairs of words; all else is ignored by every kernel.
        if words.left == 2 and words.peek(1).isdecimal():
            return cls(Leg.read(words))
        words.rest("ignored")
        return cls()

    def to_params(self) -> str:
        return self.device.to_params() if self.device else ""

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device.device) - self.device.offset_sectors if self.device else None


@dataclass(frozen=True, slots=True)
class ErrorStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "error"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
