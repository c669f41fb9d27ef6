# SPDX-License-Identifier: LGPL-2.1-or-later
"""dust: a device some of whose blocks cannot be read until they are written (drivers/md/dm-dust.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words

BYPASS, FAIL_READS = "bypass", "fail_read_on_bad_block"
LOGGING = ("verbose", "quiet")
MAX_BLOCK_BYTES = 2**30  # DUST_MAX_BLKSZ_SECTORS there


@dataclass(frozen=True, slots=True)
class DustArguments(Arguments):
    """DEVICE OFFSET BLOCK_SIZE; which blocks are bad is said by messages."""

    target: ClassVar[str] = "dust"

    device: str = fields.device("The device mapped.")
    block_bytes: int = fields.number(
        "The size of a bad block, a power of two.", unit="bytes", minimum=512, maximum=MAX_BLOCK_BYTES
    )
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, offset = words.word("device"), words.number("offset_sectors")
        return cls(device, words.plus("block_bytes"), offset)

    def to_params(self) -> str:
        return f"{self.device} {self.offset_sectors} {self.block_bytes}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device) - self.offset_sectors


@dataclass(frozen=True, slots=True)
class DustStatus(Status):
    """DEVICE bypass|fail_read_on_bad_block [verbose|quiet]"""

    target: ClassVar[str] = "dust"

    device: str | None = fields.device("The device mapped.", default=None)
    reads: str | None = fields.word(
        "Whether reads of bad blocks fail, or all requests are passed on.", choices=(BYPASS, FAIL_READS), default=None
    )
    logging: str | None = fields.word(
        "Whether the kernel logs what becomes of bad blocks.", choices=LOGGING, default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, reads = words.word("device"), words.word("reads", (BYPASS, FAIL_READS))
        return cls(device=device, reads=reads, logging=words.word("logging") if words.peek() in LOGGING else None)
