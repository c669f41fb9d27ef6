# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a dm-verity hash tree is made of and where its levels are (drivers/md/dm-verity-target.c, verity_ctr())."""

from __future__ import annotations

from dataclasses import dataclass

from dmctl.errors import UsageError
from dmctl.verity.hashing import MAX_BLOCK_BYTES, MAX_SALT_BYTES, MIN_BLOCK_BYTES, Algorithm, Hasher

# Less than an offset can be, so that rounding up to a block, and a block behind the end, do not overflow.
MAX_BYTES = 2**63 - 2**20


@dataclass(frozen=True, slots=True)
class LevelPlace:
    """The hash blocks of one level, counted from the tree's first block; they hold the digests of `digests` blocks."""

    first_block: int
    blocks: int
    digests: int


@dataclass(frozen=True, slots=True)
class Parameters:
    """All that a root hash depends on beside the data.

    hash_type: 1, or 0 for that of old Chrome OS. salt: 0 to 256 bytes. Blocks are powers of two, 512 bytes to 512 KiB.

    Raises UsageError where the tree could not be: unknown algorithm, wrong block size, no data, more than 2**63 bytes.
    """

    data_blocks: int
    data_block_bytes: int = 4096
    hash_block_bytes: int = 4096
    algorithm: str = "sha256"
    salt: bytes = b""
    hash_type: int = 1

    def __post_init__(self) -> None:
        for what, size_bytes in (("data", self.data_block_bytes), ("hash", self.hash_block_bytes)):
            if not MIN_BLOCK_BYTES <= size_bytes <= MAX_BLOCK_BYTES or size_bytes & (size_bytes - 1):
                raise UsageError(f"The {what} block size {size_bytes} is not a power of two from 512 to 524288 bytes.")
        if self.hash_type not in (0, 1):
            raise UsageError(f"Hash type {self.hash_type} is neither 0 nor 1.")
        if len(self.salt) > MAX_SALT_BYTES:
            raise UsageError(f"A salt of {len(self.salt)} bytes is over {MAX_SALT_BYTES} bytes.")
        if self.data_blocks < 1:
            raise UsageError("There must be at least one data block.")
        if self.data_blocks > MAX_BYTES // self.data_block_bytes:
            raise UsageError(f"{self.data_blocks} blocks of {self.data_block_bytes} bytes are more than a device has.")
        if self.hash_blocks > MAX_BYTES // self.hash_block_bytes:
            raise UsageError(f"The hashes of {self.data_blocks} blocks are more than a device has.")

    @property
    def digests_per_block(self) -> int:
        """How many digests a hash block holds: a power of two."""
        return Algorithm.named(self.algorithm).digests_per_block(self.hash_block_bytes)

    @property
    def levels(self) -> tuple[LevelPlace, ...]:
        """The levels from the leaves, which hold the digests of the data, to the top, which is one block.

        They lie the other way round, the top first. There is none where there is only one data block, whose digest is
        the root hash.
        """
        found = []
        digests = self.data_blocks
        while digests > 1:
            blocks = -(-digests // self.digests_per_block)
            found.append((blocks, digests))
            digests = blocks
        places, first_block = [], 0
        for blocks, digests in reversed(found):
            places.append(LevelPlace(first_block, blocks, digests))
            first_block += blocks
        return tuple(reversed(places))

    @property
    def hash_blocks(self) -> int:
        """All blocks of the tree."""
        return sum(level.blocks for level in self.levels)

    @property
    def data_bytes(self) -> int:
        """The data that the tree is over."""
        return self.data_blocks * self.data_block_bytes

    @property
    def tree_bytes(self) -> int:
        """The tree, without a superblock."""
        return self.hash_blocks * self.hash_block_bytes

    def hasher(self) -> Hasher:
        """What computes the digests."""
        return Hasher(self.algorithm, self.salt, self.hash_type)


def parse_root_hash(text: str, algorithm: str) -> bytes:
    """The root hash from its hexadecimal digits. Raises UsageError if it is none of this algorithm's."""
    wanted = Algorithm.named(algorithm).digest_bytes
    digits = text.strip()
    if len(digits) != 2 * wanted or not digits.isascii() or not digits.isalnum():
        raise UsageError(f"The root hash must be {2 * wanted} hexadecimal digits, as {algorithm} has.")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise UsageError("The root hash has something else than hexadecimal digits.") from None
