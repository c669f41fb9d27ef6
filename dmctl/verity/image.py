# SPDX-License-Identifier: LGPL-2.1-or-later
"""A hash tree and its data: the tree made, and both compared with a root hash."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmctl.verity.hashing import Hasher, HashIOError, Leaves, Level, hash_blocks, verify_blocks
from dmctl.verity.tree import Parameters

# How many blocks are looked at between two reports of damage: a bit for each is kept.
_BLOCKS_AT_ONCE = 1 << 20

Progress = Callable[[int, int], None]
"""Called some times a second with the blocks done and all blocks, data and hashes. What it raises ends the work."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Neighbouring blocks that are not what the hashes above them say.

    where: "data"; "hash", a block of the tree; "padding", a block of the tree that its own hash is right for, but with
    something else than zeros where no digest is; "unknown", data below a bad block of the tree, which nothing can be
    said of. (Of a superblock's bytes Existing.stray_bytes tells.)
    first_block: of the data, or of the tree. offset_bytes: in the file or device, as length_bytes.
    """

    where: str
    first_block: int
    blocks: int
    offset_bytes: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Image:
    """Data and a tree over them, open: descriptors of files or block devices.

    tree_offset_bytes: where the tree begins on its device; a superblock is before that. The data begin at 0.
    """

    parameters: Parameters
    data_fd: int
    hash_fd: int
    tree_offset_bytes: int

    def leaves(self) -> Leaves:
        """What writes the lowest level of the tree as the data are read for something else."""
        return Leaves(self.parameters.hasher(), self._level(0))

    def make_tree(self, *, leaves: bool = True, threads: int | None = None, progress: Progress | None = None) -> bytes:
        """Write the tree and return its root hash. Nothing is synced.

        leaves: False where the lowest level is there.

        Raises HashIOError, KeyboardInterrupt and what progress raises; there is a part of a tree then.
        """
        hasher, done = self.parameters.hasher(), 0
        for number in range(0 if leaves else 1, len(self.parameters.levels)):
            level = self._level(number)
            told = _shifted(progress, done, self._all_blocks)
            done += hash_blocks(hasher, level, threads=threads, progress=told).blocks
        return self._top_digest(hasher)

    def damages(
        self, root_hash: bytes, *, threads: int | None = None, progress: Progress | None = None
    ) -> Iterator[Damage]:
        """Compare everything with a root hash, from there downwards, and tell what is wrong, in that order.

        Below a block of the tree that is wrong itself nothing is known of other blocks: of the data, that is told.
        The top block is wrong also where the root hash is another tree's; then nothing else is looked at.
        The work is done as the iterator is advanced.
        """
        parameters, hasher = self.parameters, self.parameters.hasher()
        top = len(parameters.levels) - 1
        if not self.top_is(root_hash):
            yield self._damage("hash" if top >= 0 else "data", top, 0, 1)
            if top >= 0:
                yield self._damage("unknown", -1, 0, parameters.data_blocks)
            return
        done = 0
        bad_parents = b"\0"
        for number in reversed(range(len(parameters.levels))):
            level = self._level(number)
            bad = bytearray(-(-level.blocks // 8))
            for first in range(0, level.blocks, _BLOCKS_AT_ONCE):
                blocks = min(_BLOCKS_AT_ONCE, level.blocks - first)
                told = _shifted(progress, done, self._all_blocks)
                wrong, padding = _verified(hasher, level, first, blocks, (threads, told))
                done += blocks
                yield from self._padding(number, first // parameters.digests_per_block, padding, bad_parents)
                unknown = self._below(bad_parents, first, blocks)
                known = _without(wrong, unknown) if unknown else wrong
                for start, count in _runs(known):
                    yield self._damage("data" if number == 0 else "hash", number - 1, first + start, count)
                if unknown:
                    wrong = _either(wrong, unknown)
                    if number == 0:
                        for start, count in _runs(unknown):
                            yield self._damage("unknown", -1, first + start, count)
                bad[first // 8 : first // 8 + len(wrong)] = wrong
            bad_parents = bytes(bad)

    def first_from_below(self) -> Damage | None:
        """The first block whose digest is not what the tree says, levels compared from the data upwards; None for none.

        So veritysetup looks: whether the digests are right is a matter of the next level. That the top fits the root
        hash is not asked.
        """
        hasher, per_block = self.parameters.hasher(), self.parameters.digests_per_block
        for number in range(len(self.parameters.levels)):
            level = self._level(number)
            for first in range(0, level.blocks, _BLOCKS_AT_ONCE):
                blocks = min(_BLOCKS_AT_ONCE, level.blocks - first)
                wrong, padding = (
                    next(_runs(bits), None) for bits in _verified(hasher, level, first, blocks, (None, None))
                )
                if padding and (wrong is None or wrong[0] >= (padding[0] + 1) * per_block):
                    return self._damage("padding", number, first // per_block + padding[0], 1)
                if wrong:
                    return self._damage("data" if number == 0 else "hash", number - 1, first + wrong[0], 1)
        return None

    @property
    def _all_blocks(self) -> int:
        return sum(level.digests for level in self.parameters.levels)

    def offset_bytes(self, level: int, block: int) -> int:
        """Where a block of a level is on its device; of the data for level -1."""
        if level < 0:
            return block * self.parameters.data_block_bytes
        return self.tree_offset_bytes + (self.parameters.levels[level].first_block + block) * self._block_bytes(level)

    def _block_bytes(self, level: int) -> int:
        return self.parameters.data_block_bytes if level < 0 else self.parameters.hash_block_bytes

    def _level(self, number: int) -> Level:
        """The digests of a level, and the blocks that they are of: those of the level below, or the data."""
        place = self.parameters.levels[number]
        return Level(
            self.data_fd if number == 0 else self.hash_fd,
            self.offset_bytes(number - 1, 0),
            self._block_bytes(number - 1),
            place.digests,
            self.hash_fd,
            self.offset_bytes(number, 0),
            self._block_bytes(number),
        )

    def _top_digest(self, hasher: Hasher) -> bytes:
        """That of the top block, or of the only data block."""
        top = len(self.parameters.levels) - 1
        fd = self.data_fd if top < 0 else self.hash_fd
        memory = bytearray(self.parameters.hash_block_bytes)
        source = Level(
            fd, self.offset_bytes(top, 0), self._block_bytes(top), 1, memory, 0, self.parameters.hash_block_bytes
        )
        hash_blocks(hasher, source, threads=1)
        return bytes(memory[: hasher.algorithm.digest_bytes])

    def top_is(self, root_hash: bytes) -> bool:
        """Whether the top block, or the only data block, fits a root hash; one that cannot be read does not."""
        try:
            return self._top_digest(self.parameters.hasher()) == root_hash
        except HashIOError as error:
            if error.errno != errno.EIO:
                raise
            return False

    def digest_of(self, level: int, block: int, root_hash: bytes) -> bytes:
        """What the tree, or for the top block the root hash, says of a block of a level; of the data for level -1.

        Raises OSError.
        """
        if level == len(self.parameters.levels) - 1:
            return root_hash
        hasher = self.parameters.hasher()
        hash_block, slot = divmod(block, self.parameters.digests_per_block)
        at = self.offset_bytes(level + 1, hash_block) + slot * hasher.slot_bytes
        return os.pread(self.hash_fd, hasher.algorithm.digest_bytes, at)

    def level_of(self, tree_block: int) -> tuple[int, int]:
        """The level that a block of the tree is in, and its number there."""
        for number, level in enumerate(self.parameters.levels):
            if level.first_block <= tree_block < level.first_block + level.blocks:
                return number, tree_block - level.first_block
        raise ValueError(f"the tree has no block {tree_block}")

    def _damage(self, where: str, level: int, first: int, blocks: int) -> Damage:
        before = 0 if level < 0 else self.parameters.levels[level].first_block
        return Damage(where, before + first, blocks, self.offset_bytes(level, first), blocks * self._block_bytes(level))

    def _padding(self, level: int, first: int, bits: bytearray, known_bad: bytes) -> Iterator[Damage]:
        """Wrong padding in blocks of a level, but not in those that are known to be wrong."""
        for start, blocks in _runs(bits):
            for block in range(first + start, first + start + blocks):
                if not known_bad[block // 8] >> block % 8 & 1:
                    yield self._damage("padding", level, block, 1)

    def _below(self, bad_parents: bytes, first: int, blocks: int) -> bytearray | None:
        """A bit for each of these blocks whose digest is in a bad block; None if there is none."""
        if not any(bad_parents):
            return None
        per_block = self.parameters.digests_per_block
        found = bytearray(-(-blocks // 8))
        for start, count in _runs(bad_parents):
            from_block = max(start * per_block, first) - first
            to_block = min((start + count) * per_block, first + blocks) - first
            if from_block < to_block:
                _set(found, from_block, to_block)
        return found


def _shifted(progress: Progress | None, before: int, all_blocks: int) -> Progress | None:
    """Progress of a part, told as that of the whole."""
    return progress and (lambda done, _bytes: progress(before + done, all_blocks))


def _verified(
    hasher: Hasher, level: Level, first: int, blocks: int, more: tuple[int | None, Progress | None]
) -> tuple[bytearray, bytearray]:
    """The bits of verify_blocks() for the blocks that are wrong, and for wrong padding; unreadable blocks are wrong."""
    threads, progress = more
    try:
        found = verify_blocks(hasher, level, first_block=first, blocks=blocks, threads=threads, progress=progress)
    except HashIOError as error:
        if error.errno != errno.EIO:
            raise
    else:
        return found.bad_blocks, found.bad_padding
    if blocks == 1:
        return bytearray(b"\1"), bytearray(b"\0")
    # What is read at once is larger than a block: halved until the one is found.
    half = 1 << (blocks - 1).bit_length() - 1
    wrong, padding = _verified(hasher, level, first, half, more)
    others, others_padding = _verified(hasher, level, first + half, blocks - half, more)
    per_block = hasher.algorithm.digests_per_block(level.hash_block_bytes)
    return (
        _joined(wrong, others, half, blocks),
        _joined(
            padding,
            others_padding,
            (first + half) // per_block - first // per_block,
            (first + blocks - 1) // per_block - first // per_block + 1,
        ),
    )


def _joined(bits: bytearray, others: bytearray, at: int, length: int) -> bytearray:
    """Bits, and others from bit `at` on, as many as `length` in all."""
    return bytearray((_number(bits) | _number(others) << at).to_bytes(-(-length // 8), "little"))


def _runs(bits: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """First number and length of each run of set bits, lowest bit of a byte first; runs over bytes are joined."""
    start = end = -1
    for match in re.finditer(rb"\xff+|[^\0]", bits, re.DOTALL):
        if match[0][0] == 0xFF:
            parts = [(8 * match.start(), 8 * match.end())]
        else:
            at = 8 * match.start()
            parts = [(at + bit, at + bit + 1) for bit in range(8) if match[0][0] >> bit & 1]
        for first, behind in parts:
            if first == end:
                end = behind
                continue
            if end > start:
                yield start, end - start
            start, end = first, behind
    if end > start:
        yield start, end - start


def _set(bits: bytearray, start: int, end: int) -> None:
    """Set the bits from start up to end."""
    first, last = -(-start // 8), end // 8
    if first > last:
        bits[last] |= (1 << end % 8) - (1 << start % 8)
        return
    bits[first:last] = b"\xff" * (last - first)
    if start % 8:
        bits[first - 1] |= 0xFF & -(1 << start % 8)
    if end % 8:
        bits[last] |= (1 << end % 8) - 1


def _number(bits: bytearray) -> int:
    return int.from_bytes(bits, "little")


def _without(bits: bytearray, others: bytearray) -> bytearray:
    return bytearray((_number(bits) & ~_number(others)).to_bytes(len(bits), "little"))


def _either(bits: bytearray, others: bytearray) -> bytearray:
    return bytearray((_number(bits) | _number(others)).to_bytes(len(bits), "little"))
