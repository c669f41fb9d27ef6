# SPDX-License-Identifier: LGPL-2.1-or-later
"""thin-pool: blocks that thin volumes share (drivers/md/dm-thin.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import Arguments, Status, Usage
from dmctl.targets.blocks import MAX_BLOCK_SECTORS, METADATA
from dmctl.targets.words import Words

# In the order in which the kernel prints them.
FLAGS = ("skip_block_zeroing", "ignore_discard", "no_discard_passdown", "read_only", "error_if_no_space")
READ_WRITE, READ_ONLY, OUT_OF_DATA_SPACE = "rw", "ro", "out_of_data_space"
DISCARDS = ("discard_passdown", "no_discard_passdown", "ignore_discard")
NO_SPACE = ("queue_if_no_space", "error_if_no_space")


@dataclass(frozen=True, slots=True)
class ThinPoolArguments(Arguments):
    """METADATA DATA BLOCK_SIZE LOW_WATER [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "thin-pool"

    metadata: str = fields.device(
        "The device that keeps which volume has which block; its first 4 KiB zero for a new one."
    )
    data: str = fields.device("The device that has the blocks.")
    block_sectors: int = fields.number(
        "What is allocated at a time, a multiple of 64 KiB.", unit="sectors", minimum=128, maximum=MAX_BLOCK_SECTORS
    )
    low_water_blocks: int = fields.number(
        "With so many data blocks or fewer free, an event tells.", unit="blocks", default=0
    )
    skip_block_zeroing: bool = fields.flag("New blocks are not zeroed: what was there before can be read.")
    ignore_discard: bool = fields.flag("Discards free nothing.")
    no_discard_passdown: bool = fields.flag("Discards free blocks of the pool, and are not passed to the data device.")
    read_only: bool = fields.flag("Nothing is allocated, and no volume is made or deleted.")
    error_if_no_space: bool = fields.flag(
        "Writes fail at once where no block is free; otherwise they wait, by default for 60 s."
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        metadata, data = words.word("metadata"), words.word("data")
        block, low_water = (words.plus(name) for name in ("block_sectors", "low_water_blocks"))
        found = blocks.flags(words.group("features"), FLAGS) if words.left else {}
        words.rest("ignored")  # as the kernel does
        return cls(metadata, data, block, low_water, **found)

    def to_params(self) -> str:
        features = [name for name in FLAGS if getattr(self, name)]
        words = [self.metadata, self.data, self.block_sectors, self.low_water_blocks, len(features), *features]
        return " ".join(map(str, words))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.data)


@dataclass(frozen=True, slots=True)
class ThinPoolStatus(Status):
    """TRANSACTION_ID USED/TOTAL_METADATA USED/TOTAL_DATA HELD_ROOT MODE DISCARD NO_SPACE NEEDS_CHECK METADATA_LOW_WATER

    Metadata blocks are of 4 KiB, data blocks as the table says.
    """

    target: ClassVar[str] = "thin-pool"

    transaction_id: int | None = fields.number("A number that the pool's manager has set.", default=None)
    metadata_used_blocks: int | None = fields.number(
        "Blocks in use, with those that the kernel keeps back for itself (a tenth, 16 MiB at most).",
        unit="blocks",
        default=None,
    )
    metadata_total_blocks: int | None = fields.number("Blocks of 4 KiB for metadata.", unit="blocks", default=None)
    data_used_blocks: int | None = fields.number("Data blocks in use.", unit="blocks", default=None)
    data_total_blocks: int | None = fields.number("Data blocks.", unit="blocks", default=None)
    held_root_block: int | None = fields.number(
        "Where the metadata snapshot begins; none where there is no snapshot.", default=None
    )
    mode: str | None = fields.word(
        "rw for read and write, ro for read-only, out_of_data_space.",
        choices=(READ_WRITE, READ_ONLY, OUT_OF_DATA_SPACE),
        default=None,
    )
    discard: str | None = fields.word("What becomes of discards.", choices=DISCARDS, default=None)
    no_space: str | None = fields.word("What becomes of writes with no block free.", choices=NO_SPACE, default=None)
    needs_check: bool | None = fields.flag("The metadata must be checked and repaired.", default=None)
    metadata_low_water_blocks: int | None = fields.number(
        "With so many metadata blocks or fewer free, an event tells.", unit="blocks", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        transaction_id = words.number("transaction_id")
        metadata = words.pair(METADATA)
        data = words.pair(("data_used_blocks", "data_total_blocks"))
        held = words.number_or_dash("held_root_block")
        # Each of these came later than those before it.
        mode = _one_of(words, "mode", (READ_WRITE, READ_ONLY, OUT_OF_DATA_SPACE))
        discard = _one_of(words, "discard", DISCARDS) if mode else None
        no_space = _one_of(words, "no_space", NO_SPACE) if discard else None
        needs_check = blocks.needs_check(words) if no_space else None
        low_water = None
        if needs_check is not None and words.peek().isdecimal():
            low_water = words.number("metadata_low_water_blocks")
        return cls(
            transaction_id=transaction_id,
            metadata_used_blocks=metadata[0],
            metadata_total_blocks=metadata[1],
            data_used_blocks=data[0],
            data_total_blocks=data[1],
            held_root_block=held,
            mode=mode,
            discard=discard,
            no_space=no_space,
            needs_check=needs_check,
            metadata_low_water_blocks=low_water,
        )

    def usages(self) -> tuple[Usage, ...]:
        return (
            *blocks.usage("data", self.data_used_blocks, self.data_total_blocks, "blocks"),
            *blocks.usage("metadata", self.metadata_used_blocks, self.metadata_total_blocks, "blocks"),
        )

    def warnings(self) -> tuple[str, ...]:
        return (*blocks.warnings(self), *self._mode_warnings(), *self._space_warnings())

    def _mode_warnings(self) -> tuple[str, ...]:
        found = []
        if self.mode == READ_ONLY:
            found.append("the pool is read-only")
        if self.needs_check:
            found.append("the metadata must be checked and repaired, with the pool removed")
        return tuple(found)

    def _space_warnings(self) -> tuple[str, ...]:
        found = []
        if self.mode == OUT_OF_DATA_SPACE:
            found.append("no data block is free, and a write has needed one")
        elif self.data_total_blocks is not None and self.data_used_blocks == self.data_total_blocks:
            found.append("no data block is free")
        if self.metadata_used_blocks is not None and self.metadata_total_blocks is not None:
            free = self.metadata_total_blocks - self.metadata_used_blocks
            if free <= (self.metadata_low_water_blocks or 0):
                found.append(f"{free} metadata blocks are free" if free > 0 else "no metadata block is free")
        return tuple(found)


def _one_of(words: Words, name: str, choices: tuple[str, ...]) -> str | None:
    return words.word(name) if words.peek() in choices else None
