# SPDX-License-Identifier: LGPL-2.1-or-later
"""ebs: a device with smaller logical blocks than the one below (drivers/md/dm-ebs-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words

MAX_SECTORS = 2**15  # the largest power of two in the kernel's unsigned short


@dataclass(frozen=True, slots=True)
class EbsArguments(Arguments):
    """DEVICE OFFSET EMULATED [UNDERLYING]"""

    target: ClassVar[str] = "ebs"

    device: str = fields.device("The device mapped.")
    emulated_sectors: int = fields.number(
        "The logical block size to show, a power of two and no more than a page.",
        unit="sectors",
        minimum=1,
        maximum=MAX_SECTORS,
    )
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)
    underlying_sectors: int | None = fields.number(
        "The block size to use on the device, a power of two. Default: its logical block size.",
        unit="sectors",
        minimum=1,
        maximum=MAX_SECTORS,
        default=None,
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, offset = words.word("device"), words.number("offset_sectors")
        emulated = words.number("emulated_sectors", bits=16)
        return cls(device, emulated, offset, words.number("underlying_sectors", bits=16) if words.left else None)

    def to_params(self) -> str:
        underlying = "" if self.underlying_sectors is None else f" {self.underlying_sectors}"
        return f"{self.device} {self.offset_sectors} {self.emulated_sectors}{underlying}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device) - self.offset_sectors


@dataclass(frozen=True, slots=True)
class EbsStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "ebs"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
