# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wrong blocks of data and hash tree put right by their parity, where their hashes agree with what comes out.

Which blocks are wrong is known from the hashes, which doubles what parity can put right; and a block is written only
when its hash is that of the tree above, which has been verified or put right before it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from dmctl.errors import DmctlError, UsageError
from dmctl.verity import fec
from dmctl.verity.existing import Existing
from dmctl.verity.image import Image, Progress
from dmctl.verity.make import message_areas
from dmctl.verity.places import Extent, Place, refuse_overlap, refuse_too_small

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Parity:
    """Parity of data and tree: where it is, and how many bytes of it there are in 255."""

    place: Place
    offset_bytes: int
    roots: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wrong block. where: "data" or "hash". block: of the data, or of the tree.

    offset_bytes: on its device.
    """

    where: str
    block: int
    offset_bytes: int
    repaired: bool


def repair(
    there: Existing,
    parity: Parity,
    root_hash: bytes,
    *,
    dry_run: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Put right what can be, and tell of each block that was wrong what became of it; what cannot be comes last.

    Data and hashes must be open for writing, unless dry_run: then nothing is written to them, but all is found out.
    Blocks that cannot be read count as wrong. At any moment each block on the disks is what it was or what it should
    be.

    Raises UsageError where the parity cannot be this tree's, FecIOError, HashIOError, DmctlError with errno.
    """
    with ExitStack() as stack:
        work = _Work(there, parity, root_hash, threads)
        if dry_run:
            work.copy_tree(stack)
        while True:
            wrong = work.wrong(progress)
            repaired = []
            for blind in (False, True):
                repaired_now = set()
                for block in work.repaired(wrong, blind=blind):
                    repaired_now.add(block)
                    repaired.append(block)
                    yield work.outcome(block, repaired=True)
                wrong = [block for block in wrong if block not in repaired_now]
            if not repaired:
                yield from (work.outcome(block, repaired=False) for block in wrong)
                return
            # Before it is read again: a disk that takes no writes says so only now.
            work.sync()


class _Work:
    def __init__(self, there: Existing, parity: Parity, root_hash: bytes, threads: int | None):
        self.image: Image = there.image
        self.there, self.parity, self.root_hash, self.threads = there, parity, root_hash, threads
        self.hasher = self.image.parameters.hasher()
        self.block_bytes = self.image.parameters.data_block_bytes
        if self.block_bytes != self.image.parameters.hash_block_bytes:
            raise UsageError("There is no error correction where data blocks and hash blocks differ in size.")
        same = parity.place.identity == there.hashes.identity
        self.areas = message_areas(
            self.image,
            there.data,
            there.hashes,
            there.hashes.size_bytes,
            parity.offset_bytes if same else None,
        )
        layout = fec.Layout.of(self.areas, roots=parity.roots, block_size_bytes=self.block_bytes)
        extent = Extent(parity.place, parity.offset_bytes, layout.size_bytes, "the parity")
        refuse_too_small(extent)
        refuse_overlap(
            [
                Extent(there.data, 0, self.image.parameters.data_bytes, "the data"),
                Extent(there.hashes, self.image.tree_offset_bytes, self.image.parameters.tree_bytes, "the hash tree"),
                extent,
            ]
        )
        # Of a dry run: what the data would be, by blocks, and a file of these.
        self._patches: dict[int, int] = {}
        self._patch_fd: int | None = None

    def copy_tree(self, stack: ExitStack) -> None:
        """From now on work on a copy of the tree, and keep the blocks of the data elsewhere."""
        # The stack closes them.
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        patches = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        start, length = self.image.tree_offset_bytes, self.image.parameters.tree_bytes
        for at in range(0, length, _COPY_BYTES):
            os.pwrite(copy.fileno(), self._readable(start + at, min(_COPY_BYTES, length - at)), at)
        rest = self.areas[1]
        self.areas = [
            self.areas[0],
            fec.Area(copy.fileno(), 0, length, rest.name),
            replace(rest, offset_bytes=start + length, length_bytes=rest.length_bytes - length),
        ]
        self.image = replace(self.image, hash_fd=copy.fileno(), tree_offset_bytes=0)
        self._patch_fd = patches.fileno()

    def _readable(self, offset_bytes: int, length_bytes: int) -> bytes:
        """Of the hashes' device; zeros for what cannot be read, which no hash agrees with."""
        fd = self.there.image.hash_fd
        try:
            return os.pread(fd, length_bytes, offset_bytes)
        except OSError:
            if length_bytes <= self.block_bytes:
                return bytes(length_bytes)
        parts = range(0, length_bytes, self.block_bytes)
        return b"".join(self._readable(offset_bytes + at, self.block_bytes) for at in parts)

    def wrong(self, progress: Progress | None) -> list[int]:
        """The blocks of the message that the hashes say are wrong, and have not been put right."""
        found: list[int] = []
        before = self.image.parameters.data_blocks
        for damage in self.image.damages(self.root_hash, threads=self.threads, progress=progress):
            if damage.where in ("data", "hash"):
                first = damage.first_block + (before if damage.where == "hash" else 0)
                found += [block for block in range(first, first + damage.blocks) if block not in self._patches]
        return found

    def repaired(self, wrong: list[int], *, blind: bool) -> Iterator[int]:
        """Put right what can be of these blocks; the numbers of those."""
        candidates = fec.repair_blocks(
            self._areas(),
            self.parity.place.fd,
            self.parity.offset_bytes,
            wrong,
            roots=self.parity.roots,
            block_size_bytes=self.block_bytes,
            blind=blind,
            threads=self.threads,
        )
        for candidate in candidates:
            if candidate.data is not None and self.hasher.digest(candidate.data) == self._digest(candidate.block):
                self._write(candidate.block, candidate.data)
                yield candidate.block

    def _place(self, block: int) -> tuple[int, int]:
        """Level and number there of a block of the message."""
        before = self.image.parameters.data_blocks
        return (-1, block) if block < before else self.image.level_of(block - before)

    def _digest(self, block: int) -> bytes:
        try:
            return self.image.digest_of(*self._place(block), self.root_hash)
        except OSError as error:
            raise DmctlError(f"The hashes cannot be read: {error.strerror}.", errno=error.errno or 0) from None

    def _write(self, block: int, data: bytes) -> None:
        level, number = self._place(block)
        fd = self.there.data.fd if level < 0 else self.image.hash_fd
        at = self.image.offset_bytes(level, number)
        if level < 0 and self._patch_fd is not None:
            fd, at = self._patch_fd, len(self._patches) * self.block_bytes
            self._patches[block] = at
        try:
            while data:
                written = os.pwrite(fd, data, at)
                data, at = data[written:], at + written
        except OSError as error:
            raise DmctlError(
                f"A block that was put right cannot be written: {error.strerror}.", errno=error.errno or 0
            ) from None

    def _areas(self) -> list[fec.Area]:
        """The message, with the blocks of a dry run in their places."""
        if not self._patches or self._patch_fd is None:
            return self.areas
        data, size = self.areas[0], self.block_bytes
        found, behind = [], 0
        for block, at in sorted(self._patches.items()):
            found.append(replace(data, offset_bytes=behind * size, length_bytes=(block - behind) * size))
            found.append(fec.Area(self._patch_fd, at, size, data.name))
            behind = block + 1
        blocks = self.image.parameters.data_blocks
        found.append(replace(data, offset_bytes=behind * size, length_bytes=(blocks - behind) * size))
        return [area for area in found if area.length_bytes] + self.areas[1:]

    def outcome(self, block: int, *, repaired: bool) -> Outcome:
        """What is told of a block of the message."""
        level, number = self._place(block)
        image = self.there.image  # not the copy: where it is on the disk
        where = "data" if level < 0 else "hash"
        before = 0 if level < 0 else image.parameters.levels[level].first_block
        return Outcome(where, before + number, image.offset_bytes(level, number), repaired)

    def sync(self) -> None:
        """Bring what was written to the disks."""
        try:
            for place in (self.there.data, self.there.hashes):
                if self._patch_fd is None:
                    os.fsync(place.fd)
        except OSError as error:
            raise DmctlError(f"{place.path} cannot be written: {error.strerror}.", errno=error.errno or 0) from None
