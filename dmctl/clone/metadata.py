# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which regions a clone's destination has, from its metadata, without the kernel (drivers/md/dm-clone-metadata.c).

Blocks of 4096 bytes, little-endian. Block 0 is the superblock; it points to a tree whose values are the blocks of an
array of 64-bit words (persistent-data/dm-array.c): a bit a region, set where the region is hydrated.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from dmctl._thin import ffi, lib
from dmctl.errors import DmctlError, NotFoundError
from dmctl.thin.blocks import Reader
from dmctl.thin.superblock import BLOCK_BYTES, MetadataError
from dmctl.units import SECTOR_BYTES

MAGIC = 0x8AF27F64
VERSION = 1
REGION_SECTORS = tuple(1 << power for power in range(3, 22))
"""The sizes that a region can have: powers of two from 4 KiB to 1 GiB."""
MOST_REGIONS = 1 << 31

_SUPERBLOCK_SEED, _ARRAY_SEED = 257649492, 595846735  # SUPERBLOCK_CSUM_XOR, dm-array.c's CSUM_XOR
_SUPERBLOCK = struct.Struct("<IIQ16sQI128sQQQ")
_ARRAY = struct.Struct("<IIIIQ")  # struct array_block: checksum, most and number of entries, their bytes, own number
_WORD_BYTES, _WORD_REGIONS = 8, 64
WORDS_PER_BLOCK = (BLOCK_BYTES - _ARRAY.size) // _WORD_BYTES
REGIONS_PER_BLOCK = WORDS_PER_BLOCK * _WORD_REGIONS
_STRETCHES = re.compile(rb"\x00+|\xff+|[^\x00\xff]", re.DOTALL)
_ROUNDS = 20


class Range(NamedTuple):
    """Neighbouring regions."""

    first: int
    regions: int


@dataclass(frozen=True, slots=True)
class Superblock:
    """Block 0: what is cloned in which regions, and where the bits are. target_sectors: size of the clone."""

    region_sectors: int
    target_sectors: int
    bitset_root: int

    @property
    def regions(self) -> int:
        """How many there are, the last perhaps smaller than the others."""
        return -(-self.target_sectors // self.region_sectors)

    @classmethod
    def from_bytes(cls, block: bytes) -> Superblock:
        """Raises MetadataError."""
        checksum, _, number, _, magic, version, _, region, target, root = _SUPERBLOCK.unpack_from(block)
        why = ""
        if not any(block):
            why = "it is zero: no clone has used this yet"
        elif magic != MAGIC:
            why = "its magic number is another one: this is no clone's metadata"
        elif checksum != _checksum(block, _SUPERBLOCK_SEED):
            why = "its checksum is wrong"
        elif version != VERSION:
            why = f"its version is {version}, and only {VERSION} is known"
        elif number or region not in REGION_SECTORS or not 0 < -(-target // region) <= MOST_REGIONS:
            why = f"it says what cannot be: block {number}, regions of {region} sectors, a clone of {target} sectors"
        if why:
            raise MetadataError(f"metadata block 0: {why}", block=0)
        return cls(region, target, root)


@dataclass(frozen=True, slots=True)
class Bitmap:
    """Which regions are hydrated: bit by bit, the lowest of each byte first; none is set beyond the last region."""

    superblock: Superblock
    bits: bytes

    @property
    def hydrated(self) -> int:
        """How many regions are."""
        return int.from_bytes(self.bits, "little").bit_count()

    def ranges(self, *, hydrated: bool) -> Iterator[Range]:
        """The regions that are, or that are not, as ranges."""
        first = end = 0
        for start, stop, bit in self._runs():
            if bit != hydrated:
                continue
            if start != end:
                if end > first:
                    yield Range(first, end - first)
                first = start
            end = stop
        if end > first:
            yield Range(first, end - first)

    def _runs(self) -> Iterator[tuple[int, int, bool]]:
        """Stretches of equal bits, not always the longest."""
        regions = self.superblock.regions
        for stretch in _STRETCHES.finditer(self.bits):
            start, byte = stretch.start() * 8, self.bits[stretch.start()]
            if byte in (0, 0xFF):
                yield start, min(stretch.end() * 8, regions), byte == 0xFF
                continue
            for bit in range(start, min(start + 8, regions)):
                yield bit, bit + 1, bool(byte >> (bit - start) & 1)

    def bytes_of(self, found: Range) -> tuple[int, int]:
        """Where a range begins and ends, in bytes of the clone."""
        region = self.superblock.region_sectors * SECTOR_BYTES
        whole = self.superblock.target_sectors * SECTOR_BYTES
        return found.first * region, min((found.first + found.regions) * region, whole)


def read(path: str) -> Bitmap:
    """What a file or device holds; of a live clone, what it has committed.

    Past the page cache, below which the kernel writes. A clone may go on meanwhile: bits are only ever set, so a
    mixture of two of its states is between them, and one whose blocks do not fit together is read again.
    Raises NotFoundError, MetadataError, DmctlError with errno.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise NotFoundError(f"{path} does not exist.", errno=error.errno or 0) from None
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    with Reader(path, direct=stat.S_ISBLK(status.st_mode)) as reader:
        before = reader.raw(0)
        for _ in range(_ROUNDS):
            try:
                return _read(reader, Superblock.from_bytes(before))
            except MetadataError as error:
                after = reader.raw(0)
                if after == before:
                    raise MetadataError(f"{path}: {error}.", block=error.block) from None
                before = after
        raise MetadataError(f"{path} changed each of the {_ROUNDS} times that it was read.")


def read_superblock(path: str) -> Superblock | None:
    """Block 0; None where it is zero, as before a clone's first use. Raises as read() does."""
    with Reader(path, direct=stat.S_ISBLK(os.stat(path).st_mode)) as reader:
        block = reader.raw(0)
    if not any(block):
        return None
    try:
        return Superblock.from_bytes(block)
    except MetadataError as error:
        raise MetadataError(f"{path}: {error}.", block=0) from None


def _read(reader: Reader, superblock: Superblock) -> Bitmap:
    known = reader.damage_count
    blocks = reader.numbers(superblock.bitset_root)
    if damages := reader.damages(known):
        raise MetadataError(str(damages[0]), block=damages[0].block)
    words = -(-superblock.regions // _WORD_REGIONS)
    if sorted(blocks) != list(range(-(-words // WORDS_PER_BLOCK))):
        why = f"its tree has not the blocks of {superblock.regions} regions"
        raise MetadataError(f"metadata block {superblock.bitset_root}: {why}", block=superblock.bitset_root)
    bits = bytearray()
    for index in range(len(blocks)):
        bits += _words(reader, blocks[index], min(words - index * WORDS_PER_BLOCK, WORDS_PER_BLOCK))
    return Bitmap(superblock, _without_the_rest(bytes(bits), superblock))


def _words(reader: Reader, number: int, words: int) -> bytes:
    """The words of a block of the array."""
    why = "its number is beyond the metadata"
    if number < reader.blocks:
        block = reader.raw(number)
        checksum, most, entries, entry_bytes, own = _ARRAY.unpack_from(block)
        if checksum != _checksum(block, _ARRAY_SEED):
            why = "its checksum is wrong"
        elif own != number:
            why = "it says that it is another block"
        elif (most, entries, entry_bytes) != (WORDS_PER_BLOCK, words, _WORD_BYTES):
            why = f"it has not the {words} words that belong there"
        else:
            return block[_ARRAY.size : _ARRAY.size + words * _WORD_BYTES]
    raise MetadataError(f"metadata block {number}: {why}", block=number)


def _without_the_rest(bits: bytes, superblock: Superblock) -> bytes:
    """Raises MetadataError where a bit beyond the last region is set."""
    used, beyond = divmod(superblock.regions, 8)
    last = bits[used] >> beyond if beyond else 0
    if last or any(bits[used + bool(beyond) :]):
        raise MetadataError(f"a region beyond the last, {superblock.regions - 1}, is set")
    return bits[: used + bool(beyond)]


def _checksum(block: bytes, seed: int) -> int:
    return lib.dmctl_thin_checksum(ffi.from_buffer("uint8_t[]", block), seed)
