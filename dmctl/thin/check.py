# SPDX-License-Identifier: LGPL-2.1-or-later
"""Is a pool's metadata sound? Each block that is reached is checked, and each reference is counted."""

from __future__ import annotations

from dataclasses import dataclass, field

from dmctl._thin import lib
from dmctl.thin.blocks import Damage
from dmctl.thin.metadata import Metadata, Thin, held_superblock
from dmctl.thin.spacemap import (
    Counts,
    Difference,
    References,
    data_counts,
    differences,
    metadata_counts,
    superblock_references,
)
from dmctl.thin.superblock import MetadataError


@dataclass(frozen=True)
class Report:
    """What was found. Leaks cost space; all else may cost data.

    damages: blocks that are not what they should be; whatever is behind them was not looked at.
    more_damages: how many were found beyond those.
    wrong_counts: thins whose details tell another number of mapped blocks than there are, with that number.
    data, metadata: where the space maps differ from the trees; None where damages leave nothing to compare with.
    """

    damages: list[Damage]
    more_damages: int = 0
    wrong_counts: list[tuple[Thin, int]] = field(default_factory=list)
    data: Difference | None = None
    metadata: Difference | None = None

    @property
    def leaks(self) -> int:
        """Blocks that are taken and that nothing uses."""
        return sum(found.blocks - found.too_low for found in (self.data, self.metadata) if found)

    @property
    def sound(self) -> bool:
        """Nothing that may cost data."""
        low = any(found.too_low for found in (self.data, self.metadata) if found)
        return not (self.damages or self.wrong_counts or low)


def check(metadata: Metadata, *, mappings: bool = True) -> Report:
    """Of metadata that nothing writes to. mappings: else only the superblock and which thins there are.

    A metadata snapshot is counted with them.
    """
    reader, superblock = metadata.reader, metadata.superblock
    if not mappings:
        return _report(metadata)
    # Its own parts are counted as they are read: a space map has counts for itself.
    references = References(reader, 0)
    stored_data = data_counts(reader, superblock.data_map, references)
    stored_metadata = metadata_counts(reader, superblock.metadata_map, references)
    references.data = Counts(stored_data.blocks)
    references.block(0)
    superblock_references(references, superblock)
    if superblock.held_root:
        references.block(superblock.held_root)
        try:
            superblock_references(references, held_superblock(reader, superblock))
        except MetadataError as error:
            return _report(metadata, Damage(superblock.held_root, str(error)))
    for space_map, stored in ((superblock.data_map, stored_data), (superblock.metadata_map, stored_metadata)):
        if stored.blocks < space_map.blocks and not reader.damage_count:
            return _report(metadata, Damage(space_map.bitmaps_root, f"it has no counts from {stored.blocks} on"))
    if metadata.damages or reader.damage_count:
        return _report(metadata)
    return Report(
        [],
        wrong_counts=_wrong_counts(metadata, references),
        data=differences(references.data, stored_data),
        metadata=differences(references.metadata, stored_metadata),
    )


def check_trees(metadata: Metadata) -> Report:
    """Of a metadata snapshot alone: every block below it. Its space maps are not there, so that nothing is counted."""
    reader = metadata.reader
    references = References(reader, reader.blocks * lib.DMCTL_THIN_COUNTS_PER_BITMAP)
    superblock_references(references, metadata.superblock)
    report = _report(metadata)
    wrong = [] if report.damages else _wrong_counts(metadata, references)
    return Report(report.damages, report.more_damages, wrong)


def _report(metadata: Metadata, *more: Damage) -> Report:
    found = metadata.reader.damages()
    listed = list(dict.fromkeys([*found, *metadata.damages, *more]))
    return Report(listed, more_damages=metadata.reader.damage_count - len(found))


def _wrong_counts(metadata: Metadata, references: References) -> list[tuple[Thin, int]]:
    mapped = references.mapped(metadata.thins.values())
    return [(thin, blocks) for thin, blocks in mapped.items() if blocks != thin.mapped_blocks]
