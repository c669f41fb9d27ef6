# SPDX-License-Identifier: LGPL-2.1-or-later
"""clone: a copy that can be used at once, and is made meanwhile (drivers/md/dm-clone-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import FAIL, OK, Arguments, Status, Usage
from dmctl.targets.blocks import MAX_BLOCK_SECTORS, METADATA, U32_MAX
from dmctl.targets.words import Words

FLAGS = ("no_hydration", "no_discard_passdown")
# The kernel's word: the field's name.
TUNABLES = {
    "hydration_threshold": "hydration_threshold_regions",
    "hydration_batch_size": "hydration_batch_size_regions",
}
READ_WRITE, READ_ONLY = "rw", "ro"


@dataclass(frozen=True, slots=True)
class CloneArguments(Arguments):
    """METADATA DESTINATION SOURCE REGION_SIZE [#FEATURES [FEATURE...] [#CORE [KEY VALUE...]]]"""

    target: ClassVar[str] = "clone"

    metadata: str = fields.device("The device that keeps what is copied; its first 4 KiB zero for a new one.")
    destination: str = fields.device("The device copied to.")
    source: str = fields.device("The device copied from, which must not change.")
    region_sectors: int = fields.number(
        "What is copied at a time, a power of two from 4 KiB on.", unit="sectors", minimum=8, maximum=MAX_BLOCK_SECTORS
    )
    no_hydration: bool = fields.flag("Nothing is copied in the background until a message starts it.")
    no_discard_passdown: bool = fields.flag("Discards are not passed to the destination.")
    hydration_threshold_regions: int | None = fields.number(
        "How many regions are copied at once in the background (default 1).",
        unit="regions",
        maximum=U32_MAX,
        default=None,
    )
    hydration_batch_size_regions: int | None = fields.number(
        "How many regions that follow each other are copied as one (default 1).",
        unit="regions",
        maximum=U32_MAX,
        default=None,
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        metadata, destination, source = (words.word(name) for name in ("metadata", "destination", "source"))
        region = words.number("region_sectors", bits=32)
        found: dict[str, Any] = {}
        if words.left:
            found |= blocks.flags(words.group("features"), FLAGS)
        if words.left:
            core = words.group("core arguments")
            while core.left:
                key = core.word("core argument").lower()
                if key not in TUNABLES:
                    core.fail(f"core argument {core.show(key)} is not known")
                found[TUNABLES[key]] = core.plus(TUNABLES[key])
        words.rest("ignored")  # as the kernel does
        return cls(metadata, destination, source, region, **found)

    def to_params(self) -> str:
        features = [name for name in FLAGS if getattr(self, name)]
        core = []
        for key, name in TUNABLES.items():
            if getattr(self, name) is not None:
                core += [key, getattr(self, name)]
        words = [self.metadata, self.destination, self.source, self.region_sectors]
        if features or core:
            words += [len(features), *features]
        if core:
            words += [len(core), *core]
        return " ".join(map(str, words))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.source)


@dataclass(frozen=True, slots=True)
class CloneStatus(Status):
    """METADATA_BLOCK_SIZE USED/TOTAL_METADATA REGION_SIZE HYDRATED/TOTAL HYDRATING #FEATURES FEATURE... #CORE
    KEY VALUE... MODE

    Where it fails while the kernel gets its status, "Fail" stands for the mode, and the other fields are known.
    """

    target: ClassVar[str] = "clone"

    metadata_block_sectors: int | None = fields.number("Size of a metadata block.", unit="sectors", default=None)
    metadata_used_blocks: int | None = fields.number("Metadata blocks in use.", unit="blocks", default=None)
    metadata_total_blocks: int | None = fields.number("Metadata blocks.", unit="blocks", default=None)
    region_sectors: int | None = fields.number("Size of a region.", unit="sectors", default=None)
    hydrated_regions: int | None = fields.number("Regions that the destination has.", unit="regions", default=None)
    total_regions: int | None = fields.number("All regions.", unit="regions", default=None)
    hydrating_regions: int | None = fields.number("Regions being copied now.", unit="regions", default=None)
    no_hydration: bool | None = fields.flag("Nothing is copied in the background.", default=None)
    no_discard_passdown: bool | None = fields.flag("Discards are not passed to the destination.", default=None)
    hydration_threshold_regions: int | None = fields.number(
        "How many regions are copied at once in the background.", unit="regions", default=None
    )
    hydration_batch_size_regions: int | None = fields.number(
        "How many regions that follow each other are copied as one.", unit="regions", default=None
    )
    mode: str | None = fields.word(
        "Of the metadata: rw for read and write, ro for read-only.", choices=(READ_WRITE, READ_ONLY), default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        metadata_block = words.number("metadata_block_sectors")
        metadata = words.pair(METADATA)
        region = words.number("region_sectors")
        hydrated, total = words.pair(("hydrated_regions", "total_regions"))
        hydrating = words.number("hydrating_regions")
        found, unknown = blocks.status_flags(words.group("features"), FLAGS)
        tunables, more = blocks.status_numbers(words.group("core arguments"), TUNABLES)
        mode = words.word("mode", (READ_WRITE, READ_ONLY, "Fail"))
        return cls(
            state=FAIL if mode == "Fail" else OK,
            extra=(*unknown, *more),
            metadata_block_sectors=metadata_block,
            metadata_used_blocks=metadata[0],
            metadata_total_blocks=metadata[1],
            region_sectors=region,
            hydrated_regions=hydrated,
            total_regions=total,
            hydrating_regions=hydrating,
            mode=None if mode == "Fail" else mode,
            **found,
            **tunables,
        )

    def usages(self) -> tuple[Usage, ...]:
        return (
            *blocks.usage("hydrated", self.hydrated_regions, self.total_regions, "regions", progress=True),
            *self._metadata(),
        )

    def _metadata(self) -> tuple[Usage, ...]:
        return blocks.usage("metadata", self.metadata_used_blocks, self.metadata_total_blocks, "blocks")

    def warnings(self) -> tuple[str, ...]:
        found = []
        if self.mode == READ_ONLY:
            found.append("the metadata are read-only: what is copied is not remembered")
        if self.no_hydration and self.hydrated_regions != self.total_regions:
            found.append("nothing is copied in the background")
        return (*blocks.warnings(self), *found, *blocks.metadata_full(self._metadata()))
