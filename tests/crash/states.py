# SPDX-License-Identifier: LGPL-2.1-or-later
"""The states in which a crash may leave a device: each prefix of its log, and what a volatile cache may add or lose.

What was flushed is there, and so is what was written with FUA; of the other writes since the last flush any may be
missing, and one may be torn at the edge of a sector.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crash.log_writes import FLUSH, FUA, Entry
from dmctl.units import SECTOR_BYTES


@dataclass(frozen=True, slots=True)
class State:
    """One state. marks: those that had been logged, in order. kind: prefix, subset or torn."""

    kind: str
    position: int
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the device that has a file of its own, as a linear mapping would show it."""

    start_bytes: int
    length_bytes: int
    fd: int


class Image:
    """The device as files, one a region; what is written can be taken back."""

    def __init__(self, regions: Sequence[Region]):
        self._regions = regions

    def apply(self, entry: Entry, sectors: Sequence[bool] | None = None) -> list[tuple[int, int, bytes]]:
        """Write what the entry writes, or of its sectors the chosen ones; returns what undo() needs.

        A discard is taken as zeros, which is what a loop device makes of it.
        """
        undo = []
        data = entry.data if entry.data is not None else bytes(entry.length_bytes)
        for region in self._regions:
            begin = max(entry.offset_bytes, region.start_bytes)
            end = min(entry.offset_bytes + entry.length_bytes, region.start_bytes + region.length_bytes)
            for at in range(begin, end, SECTOR_BYTES if sectors else max(end - begin, 1)):
                inside = at - entry.offset_bytes
                if sectors and not sectors[inside // SECTOR_BYTES]:
                    continue
                piece = data[inside : inside + (SECTOR_BYTES if sectors else end - begin)]
                offset = at - region.start_bytes
                undo.append((region.fd, offset, os.pread(region.fd, len(piece), offset)))
                os.pwrite(region.fd, piece, offset)
        return undo

    @staticmethod
    def undo(changes: list[tuple[int, int, bytes]]) -> None:
        """Take back what apply() has done; of several, the latest first."""
        for fd, offset, data in reversed(changes):
            os.pwrite(fd, data, offset)


def crash_states(
    log: Sequence[Entry], image: Image, chance: random.Random, *, subsets: int = 1, torn: int = 1
) -> Iterator[State]:
    """Each state in turn; while it is yielded the image has it. At first the image is what was there before the log.

    subsets, torn: how many states of these kinds are taken at each position at which there are unflushed writes.
    """
    marks: list[str] = []
    unflushed: list[Entry] = []
    written: list[tuple[int, int, bytes]] = []
    for position, entry in enumerate(log, 1):
        if entry.mark is not None:
            marks.append(entry.mark)
            continue
        if entry.flags & FLUSH:  # what came before it is on the disk before it begins itself
            unflushed, written = [], []
        if not entry.is_write:
            continue
        written += image.apply(entry)
        unflushed.append(entry)
        yield State("prefix", position, tuple(marks))
        volatile = [index for index, write in enumerate(unflushed) if not write.flags & FUA]
        if not volatile:
            continue
        image.undo(written)
        for number in range(subsets + torn):
            kept = {index for index in volatile if chance.random() < 0.5}
            broken = chance.choice(volatile) if number >= subsets else None
            changes: list[tuple[int, int, bytes]] = []
            for index, write in enumerate(unflushed):
                if index == broken:
                    pieces = [chance.random() < 0.5 for _ in range(write.length_bytes // SECTOR_BYTES)]
                    changes += image.apply(write, pieces)
                elif index in kept or write.flags & FUA:
                    changes += image.apply(write)
            yield State("subset" if broken is None else "torn", position, tuple(marks))
            image.undo(changes)
        written = [change for write in unflushed for change in image.apply(write)]


def crash_state(log: Sequence[Entry], image: Image, position: int, chance: random.Random) -> State:
    """One state, after so many entries, made from what was there before; each unflushed write may be missing."""
    marks, last_flush = [], 0
    for number, entry in enumerate(log[:position]):
        if entry.mark is not None:
            marks.append(entry.mark)
        if entry.flags & FLUSH:
            last_flush = number
    for number, entry in enumerate(log[:position]):
        if entry.is_write and (number < last_flush or entry.flags & FUA or chance.random() < 0.5):
            image.apply(entry)
    return State("subset", position, tuple(marks))
