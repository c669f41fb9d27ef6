# SPDX-License-Identifier: LGPL-2.1-or-later
"""How often each block is referred to: as the space maps have it, and as the trees do."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dmctl._thin import ffi, lib
from dmctl.thin.blocks import Reader
from dmctl.thin.metadata import Thin
from dmctl.thin.superblock import SpaceMap, Superblock

_PER_BITMAP = lib.DMCTL_THIN_COUNTS_PER_BITMAP
_ENTRY = struct.Struct("<QII")
_INDEX_HEADER_BYTES = 16
_INDEX_ENTRIES = 255
_COUNT = struct.Struct("<I")
_IN_TREE = 3
_SHOWN = 20


class Counts:
    """A count of 32 bits for each of so many blocks, all 0 at first; small ones take little memory."""

    def __init__(self, blocks: int):
        self.blocks = blocks
        self.native: Any = ffi.gc(lib.dmctl_thin_counts_new(blocks), lib.dmctl_thin_counts_free)
        if self.native == ffi.NULL:
            raise MemoryError

    def __getitem__(self, block: int) -> int:
        return lib.dmctl_thin_counts_get(self.native, block)

    def __setitem__(self, block: int, count: int) -> None:
        lib.dmctl_thin_counts_set(self.native, block, count)

    def check(self) -> None:
        """Raises MemoryError where memory did not suffice for a count."""
        if lib.dmctl_thin_counts_error(self.native):
            raise MemoryError


@dataclass(frozen=True)
class Difference:
    """Where a space map says another thing than the trees: the first places as (block, counted, stored).

    blocks: how many there are; too_low of them have fewer references than there are, so that data could be written
    over. The others are leaks: space that nothing uses and nothing can.
    """

    blocks: int
    too_low: int
    first: list[tuple[int, int, int]]


def differences(counted: Counts, stored: Counts) -> Difference:
    found = ffi.new("uint64_t[]", _SHOWN)
    differing, too_low = ffi.new("uint64_t *"), ffi.new("uint64_t *")
    lib.dmctl_thin_compare(counted.native, stored.native, found, _SHOWN, differing, too_low)
    first = ffi.unpack(found, min(differing[0], _SHOWN))
    places = [(block, counted[block], stored[block]) for block in first]
    return Difference(int(differing[0]), int(too_low[0]), places)


class References:
    """References to blocks, as they are counted tree by tree, and with them how much each thin maps."""

    def __init__(self, reader: Reader, data_blocks: int):
        self.reader = reader
        self.metadata = Counts(reader.blocks)
        self.data = Counts(data_blocks)
        # Memory that is taken as it is touched.
        memory = mmap.mmap(-1, 8 * max(reader.blocks, 1))
        self._remembered: Any = ffi.from_buffer("uint64_t[]", memory)

    def block(self, number: int) -> None:
        """One from a superblock, or an index, to a block that is no node."""
        if number < self.metadata.blocks:
            self.metadata[number] += 1

    def nodes(self, root: int, value_bytes: int) -> None:
        """Those to the nodes of a tree."""
        self.reader.run(lib.dmctl_thin_count_nodes, root, value_bytes, self.metadata.native)

    def thins(self, root: int) -> None:
        """Those in the tree of thins, and in all their trees."""
        self.reader.run(lib.dmctl_thin_count, root, self.metadata.native, self.data.native, self._remembered)

    def mapped(self, thins: Iterable[Thin]) -> dict[Thin, int]:
        """How many blocks each of these maps. What thins() has walked is not read again."""
        return self._of_each(thins, lib.dmctl_thin_mapped, self._remembered)

    def exclusive(self, thins: Iterable[Thin]) -> dict[Thin, int]:
        """How many data blocks each of these has that no other one of thins() has."""
        return self._of_each(thins, lib.dmctl_thin_exclusive, self.metadata.native, self.data.native)

    def _of_each(self, thins: Iterable[Thin], function: Callable[..., int], *how: Any) -> dict[Thin, int]:
        """Of those that have a tree."""
        roots = {thin: thin.root for thin in thins if thin.root is not None}
        found = ffi.new("uint64_t[]", len(roots))
        self.reader.run(function, ffi.new("uint64_t[]", list(roots.values())), len(roots), *how, found)
        return dict(zip(roots, ffi.unpack(found, len(roots)), strict=True))


def data_counts(reader: Reader, space_map: SpaceMap, references: References | None = None) -> Counts:
    """What the space map of the data says. Its own blocks are counted in references, where those are given."""
    entries = [
        (index, *entry)
        for keys, values in reader.entries(space_map.bitmaps_root, _ENTRY.size)
        for index, entry in zip(keys, _ENTRY.iter_unpack(values), strict=True)
    ]
    if references:
        references.nodes(space_map.bitmaps_root, _ENTRY.size)
        references.nodes(space_map.counts_root, _COUNT.size)
    return _counts(reader, space_map, entries, references)


def metadata_counts(reader: Reader, space_map: SpaceMap, references: References | None = None) -> Counts:
    """Likewise of the metadata."""
    index = reader.checked(space_map.bitmaps_root, lib.DMCTL_THIN_INDEX_SEED)
    entries = []
    if index is not None:
        bitmaps = -(-space_map.blocks // _PER_BITMAP)
        raw = bytes(ffi.buffer(index, _INDEX_HEADER_BYTES + min(bitmaps, _INDEX_ENTRIES) * _ENTRY.size))
        entries = [(i, *entry) for i, entry in enumerate(_ENTRY.iter_unpack(raw[_INDEX_HEADER_BYTES:]))]
    if references:
        references.block(space_map.bitmaps_root)
        references.nodes(space_map.counts_root, _COUNT.size)
    return _counts(reader, space_map, entries, references)


def superblock_references(references: References, superblock: Superblock) -> None:
    """What a superblock refers to beside its space maps: the thins and what is known of them."""
    references.thins(superblock.mappings_root)
    references.nodes(superblock.details_root, 24)


def _counts(
    reader: Reader, space_map: SpaceMap, entries: list[tuple[int, int, int, int]], references: References | None
) -> Counts:
    """Unpacked. What a damaged bitmap would have said is 0."""
    # A bitmap stands for its own 16320 blocks alone: what is allocated here is bounded by what there is to read.
    counts = Counts(min(space_map.blocks, len(entries) * _PER_BITMAP))
    seen = set()
    for index, bitmap, _free, _none_free_before in entries:
        first = index * _PER_BITMAP
        if first >= counts.blocks:
            continue
        if bitmap in seen:
            reader.damaged(bitmap, lib.DMCTL_THIN_TWICE)
            continue
        seen.add(bitmap)
        if references:
            references.block(bitmap)
        block = reader.checked(bitmap, lib.DMCTL_THIN_BITMAP_SEED)
        if block is not None:
            number = min(_PER_BITMAP, counts.blocks - first)
            lib.dmctl_thin_bitmap(block, counts.native, first, number)
    for block_number, count in _large(reader, space_map.counts_root):
        if block_number < counts.blocks and counts[block_number] == _IN_TREE:
            counts[block_number] = count
    counts.check()
    return counts


def _large(reader: Reader, root: int) -> Iterator[tuple[int, int]]:
    for keys, values in reader.entries(root, _COUNT.size):
        for key, (count,) in zip(keys, _COUNT.iter_unpack(values), strict=True):
            yield key, count
