# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block 0 of a thin pool's metadata, as the kernel's drivers/md/dm-thin-metadata.c has it on disk."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dmctl._thin import ffi, lib
from dmctl.errors import DmctlError, ExitStatus

BLOCK_BYTES = lib.DMCTL_THIN_BLOCK_BYTES
MAGIC = 27022010
MAX_METADATA_BLOCKS = 255 * lib.DMCTL_THIN_COUNTS_PER_BITMAP
"""The one index block of the metadata's own space map points to 255 bitmaps: 15.9 GiB."""

_FORMAT = struct.Struct("<IIQ16sQIIQQ128s128sQQIIQIII")
_SPACE_MAP = struct.Struct("<QQQQ")
_NEEDS_CHECK = 1
_VERSIONS = (1, 2)
# The kernel's limits for a pool's block: 64 KiB to 1 GiB, in multiples of 64 KiB.
_DATA_BLOCK_SECTORS = range(128, 2097152 + 1, 128)


class MetadataError(DmctlError):
    """Metadata that cannot be what it has to be.

    block: number of the metadata block that is wrong; None where it is no single one.
    """

    def __init__(self, message: str, *, block: int | None = None, errno: int = 0):
        super().__init__(message, errno=errno)
        self.block = block

    @property
    def exit_status(self) -> int:
        return super().exit_status if self.errno else ExitStatus.VERIFICATION


@dataclass(frozen=True)
class SpaceMap:
    """Where a space map's parts are (struct disk_sm_root).

    bitmaps_root: a tree of index entries for the data, the one index block for the metadata.
    counts_root: the tree of those counts that two bits cannot hold.
    """

    blocks: int
    allocated_blocks: int
    bitmaps_root: int
    counts_root: int

    @classmethod
    def from_bytes(cls, root: bytes) -> SpaceMap:
        """From the 128 bytes of a superblock."""
        return cls(*_SPACE_MAP.unpack_from(root))


@dataclass(frozen=True)
class Superblock:
    """What block 0 says; a metadata snapshot begins with a copy of it elsewhere.

    time: counts snapshots. transaction_id: the pool's owner moves it.
    held_root: the block of the metadata snapshot, 0 if there is none.
    """

    needs_check: bool
    flags: int
    uuid: bytes
    version: int
    time: int
    transaction_id: int
    held_root: int
    data_map: SpaceMap
    metadata_map: SpaceMap
    mappings_root: int
    details_root: int
    data_block_sectors: int
    metadata_blocks: int

    @classmethod
    def from_bytes(cls, block: bytes, number: int = 0) -> Superblock:
        """From a block of 4096 bytes.

        Raises MetadataError where it is none, is damaged, or has features that are not known.
        """
        (
            checksum,
            flags,
            own_number,
            uuid,
            magic,
            version,
            time,
            transaction_id,
            held_root,
            data_map,
            metadata_map,
            mappings_root,
            details_root,
            data_block_sectors,
            metadata_block_sectors,
            metadata_blocks,
            _compatible,
            _compatible_to_read,
            incompatible,
        ) = _FORMAT.unpack_from(block)
        if magic != MAGIC:
            raise MetadataError(f"This is no thin pool's metadata: block {number} has no superblock.", block=number)
        if checksum != lib.dmctl_thin_checksum(ffi.from_buffer("uint8_t[]", block), lib.DMCTL_THIN_SUPERBLOCK_SEED):
            raise MetadataError(f"The superblock in block {number} is damaged: its checksum is wrong.", block=number)
        for wrong, what in (
            (own_number != number, f"it says that it is block {own_number}"),
            (version not in _VERSIONS, f"its version {version} is not known"),
            (incompatible, f"it has features that are not known (0x{incompatible:x})"),
            (metadata_block_sectors != BLOCK_BYTES // 512, f"its blocks have {metadata_block_sectors} sectors"),
            (data_block_sectors not in _DATA_BLOCK_SECTORS, f"its data blocks have {data_block_sectors} sectors"),
        ):
            if wrong:
                raise MetadataError(f"The superblock in block {number} cannot be used: {what}.", block=number)
        return cls(
            bool(flags & _NEEDS_CHECK),
            flags,
            uuid,
            version,
            time,
            transaction_id,
            held_root,
            SpaceMap.from_bytes(data_map),
            SpaceMap.from_bytes(metadata_map),
            mappings_root,
            details_root,
            data_block_sectors,
            metadata_blocks,
        )
