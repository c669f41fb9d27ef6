# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each thin takes: mapped, of its own, shared. The fields are those of thin_ls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dmctl._thin import lib
from dmctl.thin.metadata import Metadata, Thin
from dmctl.thin.spacemap import References

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SPACE = ("MAPPED", "EXCLUSIVE", "SHARED")
_NUMBERS = ("BLOCKS", "SECTORS", "BYTES")
FIELDS = (
    "DEV",
    *(f"{space}_{number}" for number in _NUMBERS for space in _SPACE),
    *_SPACE,
    "TRANSACTION",
    "CREATE_TIME",
    "SNAP_TIME",
)
"""In the order in which thin_ls names them."""
USUAL_FIELDS = ("DEV", "MAPPED", "CREATE_TIME", "SNAP_TIME")


@dataclass(frozen=True)
class Space:
    """A thin, and in blocks of the pool's data what only it has; None where that was not asked for."""

    thin: Thin
    data_block_sectors: int
    exclusive_blocks: int | None

    def blocks(self, space: str) -> int:
        """Of one of MAPPED, EXCLUSIVE, SHARED."""
        if space == "MAPPED":
            return self.thin.mapped_blocks
        assert self.exclusive_blocks is not None, "the walk for it was not made"
        return self.exclusive_blocks if space == "EXCLUSIVE" else self.thin.mapped_blocks - self.exclusive_blocks

    def value(self, name: str) -> int | str:
        """A field: a number, or a size with its unit."""
        thin = self.thin
        plain = {
            "DEV": thin.thin_id,
            "TRANSACTION": thin.transaction_id,
            "CREATE_TIME": thin.creation_time,
            "SNAP_TIME": thin.snapshot_time,
        }
        if name in plain:
            return plain[name]
        space, _, number = name.partition("_")
        blocks = self.blocks(space)
        sectors = blocks * self.data_block_sectors
        if not number:
            return short_size(sectors * 512)
        return {"BLOCKS": blocks, "SECTORS": sectors, "BYTES": sectors * 512}[number]


def needs_walk(names: tuple[str, ...]) -> bool:
    """Whether one of the fields is only known after all mappings are read."""
    return any(name.startswith(("EXCLUSIVE", "SHARED")) for name in names)


def spaces(metadata: Metadata, *, exclusive: bool = False) -> Iterator[Space]:
    """Of each thin by ascending id. exclusive: read all mappings to tell what is one thin's alone."""
    sectors = metadata.superblock.data_block_sectors
    if not exclusive:
        for thin in metadata.thins.values():
            yield Space(thin, sectors, None)
        return
    reader = metadata.reader
    references = References(reader, _data_blocks(metadata))
    references.thins(metadata.superblock.mappings_root)
    found = references.exclusive(metadata.thins.values())
    for thin in metadata.thins.values():
        yield Space(thin, sectors, found.get(thin, 0))


def _data_blocks(metadata: Metadata) -> int:
    """Of the data, bounded by what the metadata can count. A metadata snapshot does not tell."""
    most = metadata.reader.blocks * lib.DMCTL_THIN_COUNTS_PER_BITMAP
    return min(metadata.superblock.data_map.blocks or most, most)


def short_size(size_bytes: int) -> str:
    """As thin_ls writes a size: four digits at the most, and what is below a thousand rounded to the nearest."""
    number, unit = size_bytes, 0
    rest = 0
    while number > 8192:
        number, rest, unit = number // 1024, number % 1024, unit + 1
    if number < 1024 and rest >= 512:
        number += 1
    return f"{number}{_UNITS[unit]}" if number else "0"
