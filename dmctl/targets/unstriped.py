# SPDX-License-Identifier: LGPL-2.1-or-later
"""unstriped: what a striped device has on one of its stripes (drivers/md/dm-unstripe.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words

U32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class UnstripedArguments(Arguments):
    """#STRIPES CHUNK STRIPE DEVICE OFFSET"""

    target: ClassVar[str] = "unstriped"

    stripes: int = fields.number("How many stripes the device has.", minimum=1, maximum=U32_MAX)
    chunk_sectors: int = fields.number(
        "What is on one stripe before the next one's turn.", unit="sectors", minimum=1, maximum=U32_MAX
    )
    stripe: int = fields.number("Which stripe, the first being 0.", maximum=U32_MAX)
    device: str = fields.device("The striped device.")
    offset_sectors: int = fields.number("Where on the device the stripes begin.", unit="sectors", default=0)

    @classmethod
    def _read(cls, words: Words) -> Self:
        stripes, chunk = _unsigned(words, "stripes"), words.plus("chunk_sectors")
        stripe = _unsigned(words, "stripe")
        return cls(stripes, chunk, stripe, words.word("device"), words.number("offset_sectors"))

    def to_params(self) -> str:
        return f"{self.stripes} {self.chunk_sectors} {self.stripe} {self.device} {self.offset_sectors}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        rows = (size_sectors(self.device) - self.offset_sectors) // (self.stripes * self.chunk_sectors)
        return rows * self.chunk_sectors


def _unsigned(words: Words, name: str) -> int:
    """A number that the kernel reads as %u and prints as %d."""
    text = words.word(name)
    if not text.startswith("-"):
        return words.plus_of(name, text)
    return 2**32 - words.plus_of(name, text[1:])


@dataclass(frozen=True, slots=True)
class UnstripedStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "unstriped"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
