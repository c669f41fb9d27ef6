# SPDX-License-Identifier: LGPL-2.1-or-later
"""Format: a hash tree over data, its superblock, and parity for both; what is there is valid only when all is done."""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dmctl.errors import DmctlError, UsageError
from dmctl.verity import fec
from dmctl.verity.hashing import HashIOError
from dmctl.verity.image import Image, Progress
from dmctl.verity.places import Extent, Place, opened, refuse_overlap, refuse_too_small
from dmctl.verity.superblock import SIZE_BYTES, Superblock, tree_offset_bytes
from dmctl.verity.tree import Parameters

SALT_BYTES = 32
"""The length of a salt that nobody gave."""


@dataclass(frozen=True, slots=True)
class Choices:
    """How a tree is to be made. Each has veritysetup's default.

    data_blocks: None for all of the data, where the hashes are elsewhere. salt: None for 32 random bytes. uuid: None
    for a random one.
    cut_data: what is left of the data behind the last whole block is not an error, as in veritysetup.
    """

    data_blocks: int | None = None
    data_block_bytes: int = 4096
    hash_block_bytes: int = 4096
    algorithm: str = "sha256"
    salt: bytes | None = None
    hash_type: int = 1
    hash_offset_bytes: int = 0
    superblock: bool = True
    uuid: uuids.UUID | None = None
    fec_path: str | None = None
    fec_offset_bytes: int = 0
    fec_roots: int = 2
    cut_data: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What has been made.

    uuid: None without a superblock. hash_end_bytes: where the tree ends on its device. fec_bytes: of the parity, None
    without it.
    """

    parameters: Parameters
    uuid: uuids.UUID | None
    root_hash: bytes
    hash_end_bytes: int
    fec_bytes: int | None


def make(
    data_path: str,
    hash_path: str,
    choices: Choices,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Made:
    """Make tree, superblock and parity. A file for hashes or parity that does not exist is made.

    An old superblock is gone before anything else is written, and the new one comes last, after all is on the disk: at
    no time does one stand before a tree that is not its own.
    Signatures of other things on the devices are not looked for: see places.signature_at().

    Raises UsageError for what cannot be, DmctlError where something cannot be opened, read or written. What was made
    is removed then; what was there before is left invalid.
    """
    with ExitStack() as stack:
        hashes = stack.enter_context(opened(hash_path, write=True, make=True))
        data = stack.enter_context(opened(data_path))
        parity = None
        if choices.fec_path is not None:
            same = os.path.exists(choices.fec_path) and os.path.samefile(choices.fec_path, hash_path)
            parity = hashes if same else stack.enter_context(opened(choices.fec_path, write=True, make=True))
        plan = _Plan(choices, data, hashes, parity)
        return plan.carry_out(threads, progress)


class _Plan:
    """What is to be written where. Raises UsageError where something is too small or overlaps."""

    def __init__(self, choices: Choices, data: Place, hashes: Place, parity: Place | None):
        self.choices = choices
        self.data, self.hashes, self.parity = data, hashes, parity
        self.parameters = parameters = _parameters(choices, data, hashes)
        tree_offset = tree_offset_bytes(
            choices.hash_offset_bytes, parameters.hash_block_bytes, superblock=choices.superblock
        )
        self.image = Image(parameters, data.direct_fd, hashes.fd, tree_offset)
        self.superblock = Superblock(parameters, choices.uuid or uuids.uuid4()) if choices.superblock else None
        self.raw_superblock = self.superblock.to_bytes() if self.superblock else b""
        self.hash_end_bytes = tree_offset + parameters.tree_bytes
        self.hash_size_bytes = hashes.size_bytes
        if not hashes.is_device:
            self.hash_size_bytes = max(hashes.size_bytes, self.hash_end_bytes)
        data_extent = Extent(data, 0, parameters.data_bytes, "the data")
        hash_length = self.hash_end_bytes - choices.hash_offset_bytes
        hash_extent = Extent(hashes, choices.hash_offset_bytes, hash_length, "the hash tree")
        refuse_too_small(data_extent)
        if hashes.is_device:
            refuse_too_small(hash_extent)
        refuse_overlap([data_extent, hash_extent])
        self.areas: list[fec.Area] = []
        self.layout: fec.Layout | None = None
        if parity is not None:
            self._plan_parity(parity, [data_extent, hash_extent])

    def _plan_parity(self, parity: Place, extents: list[Extent]) -> None:
        block_bytes, offset_bytes = self.parameters.data_block_bytes, self.choices.fec_offset_bytes
        if block_bytes != self.parameters.hash_block_bytes:
            raise UsageError("Error correction needs data blocks and hash blocks of the same size.")
        if offset_bytes < 0 or offset_bytes % block_bytes:
            raise UsageError(f"The FEC offset {offset_bytes} is not a multiple of {block_bytes} bytes.")
        same = parity.identity == self.hashes.identity
        self.areas = message_areas(
            self.image, self.data, self.hashes, self.hash_size_bytes, offset_bytes if same else None
        )
        self.layout = fec.Layout.of(self.areas, roots=self.choices.fec_roots, block_size_bytes=block_bytes)
        extent = Extent(parity, offset_bytes, self.layout.size_bytes, "the parity")
        refuse_overlap([*extents, extent])
        if parity.is_device:
            refuse_too_small(extent)

    def carry_out(self, threads: int | None, progress: Progress | None) -> Made:
        """Write it all."""
        hashes, offset_bytes = self.hashes, self.choices.hash_offset_bytes
        with _writing(hashes.path):
            if self.superblock and os.pread(hashes.fd, SIZE_BYTES, offset_bytes).strip(b"\0"):
                _write(hashes, bytes(SIZE_BYTES), offset_bytes)
                os.fsync(hashes.fd)
            if self.hash_size_bytes > hashes.size_bytes:
                os.ftruncate(hashes.fd, self.hash_size_bytes)
        if self.parity and self.layout:
            root_hash = self._make_tree_and_parity(self.parity, self.layout, threads, progress)
            with _writing(self.parity.path):
                os.fsync(self.parity.fd)
        else:
            root_hash = self.image.make_tree(threads=threads, progress=progress)
        with _writing(hashes.path):
            os.fsync(hashes.fd)
            if self.superblock:
                _write(hashes, self.raw_superblock, offset_bytes)
                os.fsync(hashes.fd)
        return Made(
            self.parameters,
            self.superblock.uuid if self.superblock else None,
            root_hash,
            self.hash_end_bytes,
            self.layout.size_bytes if self.layout else None,
        )

    def _make_tree_and_parity(
        self, parity: Place, layout: fec.Layout, threads: int | None, progress: Progress | None
    ) -> bytes:
        """The data are read once: for their parity, and on the way for the lowest level of the tree.

        Then that of the tree, and of what is behind it, is added. (Not where there is no level, or blocks are huge.)
        """
        data, tree = self.areas

        def encode(areas: list[fec.Area], before: int, **how: Any) -> None:
            fec.encode(
                areas,
                parity.fd,
                self.choices.fec_offset_bytes,
                roots=layout.roots,
                block_size_bytes=layout.block_size_bytes,
                threads=threads,
                progress=progress and (lambda done, blocks: progress(before + done, blocks)),
                **how,
            )

        if not self.parameters.levels or layout.block_size_bytes > fec.MAX_SHOWN_BYTES:
            root_hash = self.image.make_tree(threads=threads, progress=progress)
            encode(self.areas, 0)
            return root_hash
        leaves = self.image.leaves()
        try:
            encode([data, replace(tree, fd=fec.UNREAD)], 0, show=leaves.show)
        except DmctlError as error:
            leaves.raise_failure(error.errno)
            if isinstance(error, fec.FecIOError) and error.area == 0:
                raise HashIOError("data", error.errno, error.offset_bytes) from None
            raise
        root_hash = self.image.make_tree(leaves=False, threads=threads)
        encode([replace(data, fd=fec.UNREAD), tree], self.parameters.data_blocks, add=True)
        return root_hash


def message_areas(
    image: Image, data: Place, hashes: Place, hash_size_bytes: int, parity_offset_bytes: int | None
) -> list[fec.Area]:
    """What the parity is over: the data, the tree, and what is behind it up to the parity or the end of its device.

    parity_offset_bytes: where the parity is on the device of the hashes, None where it is elsewhere.
    """
    block_bytes, start_bytes = image.parameters.data_block_bytes, image.tree_offset_bytes
    end_bytes = hash_size_bytes
    if parity_offset_bytes is not None and parity_offset_bytes > start_bytes:
        end_bytes = min(end_bytes, parity_offset_bytes)
    length_bytes = max(end_bytes - start_bytes, 0) // block_bytes * block_bytes
    return [
        fec.Area(data.fd, 0, image.parameters.data_bytes, data.path),
        fec.Area(hashes.fd, start_bytes, length_bytes, hashes.path),
    ]


def _parameters(choices: Choices, data: Place, hashes: Place) -> Parameters:
    # Checked before it divides.
    block_bytes = Parameters(1, choices.data_block_bytes).data_block_bytes
    blocks = choices.data_blocks
    if blocks is None:
        if data.identity == hashes.identity:
            raise UsageError(
                f"{data.path} is to hold both data and hashes, so --data-blocks must say how much is data."
            )
        blocks, rest = divmod(data.size_bytes, block_bytes)
        if rest and not choices.cut_data:
            raise UsageError(
                f"{data.path} has {data.size_bytes} bytes, which are not whole blocks of {block_bytes} bytes; "
                "--data-blocks says how many of them to use."
            )
        if not blocks:
            raise UsageError(f"{data.path} has not even one data block of {block_bytes} bytes.")
    salt = os.urandom(SALT_BYTES) if choices.salt is None else choices.salt
    return Parameters(blocks, block_bytes, choices.hash_block_bytes, choices.algorithm, salt, choices.hash_type)


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DmctlError(f"{path} cannot be written: {error.strerror}.", errno=error.errno or 0) from None


def _write(place: Place, data: bytes, offset_bytes: int) -> None:
    while data:
        written = os.pwrite(place.fd, data, offset_bytes)
        data, offset_bytes = data[written:], offset_bytes + written
