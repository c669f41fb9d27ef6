# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which thins a pool has, read from its metadata: of a pool that is down, and of a live one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dmctl.errors import ExitStatus
from dmctl.thin.blocks import Damage, Reader
from dmctl.thin.superblock import MetadataError, Superblock

_DETAILS = struct.Struct("<QQII")
# A pool commits about once a second, and this read takes a millisecond: a hundred in vain mean something else.
_ROUNDS = 100


class BusyMetadataError(MetadataError):
    """The metadata changed whenever they were read."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.BUSY


@dataclass(frozen=True)
class Thin:
    """What the metadata say of a thin; its size is nowhere in them.

    transaction_id: of the pool, when the thin was made; with the id it tells one thin from any later one.
    creation_time, snapshot_time: of the pool's count of snapshots; a mapping older than snapshot_time may be shared.
    root: of its tree of mappings; None where that is missing.
    """

    thin_id: int
    mapped_blocks: int
    transaction_id: int
    creation_time: int
    snapshot_time: int
    root: int | None


@dataclass(frozen=True)
class Metadata:
    """A superblock, the thins behind it by id, and the blocks that are damaged. reader: for what is deeper."""

    reader: Reader
    superblock: Superblock
    thins: dict[int, Thin]
    damages: list[Damage]

    @property
    def path(self) -> str:
        return self.reader.path

    def refuse_damaged(self) -> None:
        """Raises MetadataError where there are damages: thins may be missing that there are."""
        if self.damages:
            raise MetadataError(f"{self.path}: {self.damages[0]}.", block=self.damages[0].block)


@contextmanager
def opened(path: str, *, held: bool = False, block: int | None = None, direct: bool = False) -> Iterator[Metadata]:
    """The metadata in a file or device that nothing writes to; or, of a live pool, its metadata snapshot.

    held: the metadata snapshot, wherever the superblock has it. block: the one in this block.
    direct: past the page cache; a live pool's device is read in no other way.
    Raises MetadataError where there is no sound superblock, or no metadata snapshot.
    """
    with Reader(path, direct=direct) as reader:
        superblock = Superblock.from_bytes(reader.raw(0))
        if held or block is not None:
            superblock = _held(reader, superblock, block)
        yield _read(reader, superblock)


def held_superblock(reader: Reader, superblock: Superblock) -> Superblock:
    """The metadata snapshot's, whose trees do not change. Raises MetadataError where there is none."""
    return _held(reader, superblock, None)


@contextmanager
def opened_live(path: str) -> Iterator[Metadata]:
    """Those of a live pool, without a metadata snapshot: as they were on the disk at one moment.

    Blocks that a superblock on the disk reaches are written over only after a later one is there. So where block 0 is
    the same before and after, what was read between belongs together. Trees of mappings are not read here, and by the
    time they are may have changed: those are for the metadata snapshot.
    Raises BusyMetadataError where the pool is written to so fast that none of many tries came out.
    """
    with Reader(path, direct=True) as reader:
        before = reader.raw(0)
        for _ in range(_ROUNDS):
            known = reader.damage_count
            metadata = _read(reader, Superblock.from_bytes(before), known)
            after = reader.raw(0)
            if after == before:
                yield metadata
                return
            before = after
        raise BusyMetadataError(f"The metadata on {path} changed each of the {_ROUNDS} times they were read.")


def _held(reader: Reader, superblock: Superblock, block: int | None) -> Superblock:
    number = superblock.held_root if block is None else block
    if not number:
        raise MetadataError(f"{reader.path} has no metadata snapshot.")
    return Superblock.from_bytes(reader.raw(number), number)


def _read(reader: Reader, superblock: Superblock, known_damages: int = 0) -> Metadata:
    reader.limit(min(reader.blocks, superblock.metadata_map.blocks or reader.blocks))
    roots = reader.numbers(superblock.mappings_root)
    thins = {}
    for keys, values in reader.entries(superblock.details_root, _DETAILS.size):
        for thin_id, details in zip(keys, _DETAILS.iter_unpack(values), strict=True):
            mapped, transaction_id, created, snapshot = details
            root = roots.pop(thin_id, None)
            thins[thin_id] = Thin(thin_id, mapped, transaction_id, created, snapshot, root)
    damages = reader.damages(known_damages)
    if not damages:
        # Each is in both trees, or in none.
        where = superblock.mappings_root
        damages = [
            Damage(where, f"it has no mappings of thin {thin.thin_id}") for thin in thins.values() if thin.root is None
        ]
        damages += [
            Damage(superblock.details_root, f"it lacks thin {thin_id}, which has mappings") for thin_id in roots
        ]
    return Metadata(reader, superblock, thins, damages)
