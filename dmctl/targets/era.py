# SPDX-License-Identifier: LGPL-2.1-or-later
"""era: a device that remembers in which era each block was last written (drivers/md/dm-era-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import Arguments, Status, Usage
from dmctl.targets.blocks import METADATA, U32_MAX
from dmctl.targets.words import Words


@dataclass(frozen=True, slots=True)
class EraArguments(Arguments):
    """METADATA ORIGIN BLOCK_SIZE"""

    target: ClassVar[str] = "era"

    metadata: str = fields.device("The device that keeps the eras; its first 4 KiB zero for a new one.")
    origin: str = fields.device("The device mapped.")
    block_sectors: int = fields.number(
        "What is remembered as one, a multiple of 4 KiB.", unit="sectors", minimum=8, maximum=U32_MAX
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls(words.word("metadata"), words.word("origin"), words.number("block_sectors", bits=32))

    def to_params(self) -> str:
        return f"{self.metadata} {self.origin} {self.block_sectors}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.origin)


@dataclass(frozen=True, slots=True)
class EraStatus(Status):
    """METADATA_BLOCK_SIZE USED/TOTAL_METADATA ERA HELD_ROOT"""

    target: ClassVar[str] = "era"

    metadata_block_sectors: int | None = fields.number("Size of a metadata block.", unit="sectors", default=None)
    metadata_used_blocks: int | None = fields.number("Metadata blocks in use.", unit="blocks", default=None)
    metadata_total_blocks: int | None = fields.number("Metadata blocks.", unit="blocks", default=None)
    era: int | None = fields.number("The current era.", default=None)
    held_root_block: int | None = fields.number(
        "Where the metadata snapshot begins; none where there is no snapshot.", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        block = words.number("metadata_block_sectors")
        metadata = words.pair(METADATA)
        return cls(
            metadata_block_sectors=block,
            metadata_used_blocks=metadata[0],
            metadata_total_blocks=metadata[1],
            era=words.number("era"),
            held_root_block=words.number_or_dash("held_root_block"),
        )

    def usages(self) -> tuple[Usage, ...]:
        return blocks.usage("metadata", self.metadata_used_blocks, self.metadata_total_blocks, "blocks")

    def warnings(self) -> tuple[str, ...]:
        return (*blocks.warnings(self), *blocks.metadata_full(self.usages()))
