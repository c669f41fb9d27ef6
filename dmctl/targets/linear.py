# SPDX-License-Identifier: LGPL-2.1-or-later
"""linear: a stretch of one device (drivers/md/dm-linear.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words


@dataclass(frozen=True, slots=True)
class LinearArguments(Arguments):
    """DEVICE OFFSET"""

    target: ClassVar[str] = "linear"

    device: str = fields.device("The device mapped.")
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls(words.word("device"), words.number("offset_sectors"))

    def to_params(self) -> str:
        return f"{self.device} {self.offset_sectors}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device) - self.offset_sectors


@dataclass(frozen=True, slots=True)
class LinearStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "linear"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
