# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checked blocks and trees of a thin pool's metadata (dmctl/_native/thin.h)."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EBADMSG, ECANCELED
from typing import Any, NamedTuple

from dmctl._thin import ffi, lib
from dmctl.errors import DmctlError
from dmctl.thin.superblock import BLOCK_BYTES, MAX_METADATA_BLOCKS, MetadataError

_WRONG = {
    lib.DMCTL_THIN_OUTSIDE: "its number is beyond the metadata",
    lib.DMCTL_THIN_CHECKSUM: "its checksum is wrong",
    lib.DMCTL_THIN_NUMBER: "it says that it is another block",
    lib.DMCTL_THIN_SHAPE: "it is no node of such a tree",
    lib.DMCTL_THIN_KEYS: "its keys are out of order",
    lib.DMCTL_THIN_DEPTH: "the tree does not end there",
    lib.DMCTL_THIN_VALUE: "it points beyond the data",
    lib.DMCTL_THIN_TWICE: "it stands in two places",
}
_POLL_SECONDS = 0.05
_RUNS = 4096
_ENTRIES = 16 * lib.DMCTL_THIN_MAX_ENTRIES
_NUMBER = struct.Struct("<Q")


@dataclass(frozen=True)
class Damage:
    """A block that is not what it should be. what: the end of a sentence that begins with the block.

    thin_id: the thin whose mappings it had; None where that is not known, or it is not a thin's.
    """

    block: int
    what: str
    thin_id: int | None = None

    def __str__(self) -> str:
        of = "" if self.thin_id is None else f" (mappings of thin {self.thin_id})"
        return f"metadata block {self.block}{of}: {self.what}"


class Run(NamedTuple):
    """Neighbouring virtual blocks that are mapped to neighbouring data blocks, at the same time of the pool."""

    virtual_block: int
    data_block: int
    blocks: int
    time: int


class Reader:
    """Reads and checks blocks of an open file or device; `with` it, as it holds the descriptor for its life.

    direct: past the page cache, as a live pool's device must be read, which the kernel writes below that cache.
    What is damaged is left out of what the methods return, and is found in damages afterwards.
    """

    def __init__(self, path: str, *, direct: bool = False):
        flags = os.O_RDONLY | os.O_CLOEXEC | (os.O_DIRECT if direct else 0)
        try:
            self._fd = os.open(path, flags)
        except OSError as error:
            raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
        self.path = path
        try:
            size_bytes = os.lseek(self._fd, 0, os.SEEK_END)
        except OSError as error:
            os.close(self._fd)
            raise DmctlError(f"{path} is no file or block device.", errno=error.errno or 0) from None
        self._reader = ffi.new("struct dmctl_thin_reader *")
        self._reader.fd = self._fd
        self._reader.thin = -1
        self.limit(size_bytes // BLOCK_BYTES)
        self._block = ffi.gc(lib.dmctl_thin_new_block(), lib.dmctl_thin_free)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def blocks(self) -> int:
        """Blocks that there are."""
        return int(self._reader.blocks)

    def limit(self, blocks: int) -> None:
        """Read no block from this number on."""
        self._reader.blocks = min(blocks, MAX_METADATA_BLOCKS)

    @property
    def damage_count(self) -> int:
        return int(self._reader.damage_count)

    def damages(self, since: int = 0) -> list[Damage]:
        """What was found, without the first `since` ones; of very many only those that came first."""
        kept = min(self.damage_count, lib.DMCTL_THIN_MAX_DAMAGES)
        return [_damage(self._reader.damages[number]) for number in range(since, kept)]

    def damaged(self, block: int, what: int) -> None:
        """Note a damage that the caller has found."""
        if self.damage_count < lib.DMCTL_THIN_MAX_DAMAGES:
            self._reader.damages[self.damage_count] = {"block": block, "thin": -1, "what": what}
        self._reader.damage_count += 1

    def raw(self, number: int) -> bytes:
        """A block as it is, unchecked. Raises MetadataError where it cannot be read."""
        try:
            # Its own buffer is aligned, as a direct read needs it.
            got = os.preadv(self._fd, [ffi.buffer(self._block, BLOCK_BYTES)], number * BLOCK_BYTES)
        except OSError as error:
            why = f"{self.path}: metadata block {number} cannot be read: {error.strerror}."
            raise MetadataError(why, block=number, errno=error.errno or 0) from None
        if got < BLOCK_BYTES:
            raise MetadataError(f"{self.path} ends before metadata block {number}.", block=number)
        return bytes(ffi.buffer(self._block, BLOCK_BYTES))

    def checked(self, number: int, seed: int) -> Any | None:
        """A block that is no node, valid until the next call; None where it is damaged."""
        error = lib.dmctl_thin_read_block(self._reader, number, seed, self._block)
        if error and error != EBADMSG:
            raise _failed(error)
        return None if error else self._block

    def entries(self, root: int, value_bytes: int) -> Iterator[tuple[list[int], bytes]]:
        """A tree, piece by piece: keys, and their values one behind the other."""
        keys = ffi.new("uint64_t[]", _ENTRIES)
        values = ffi.new("uint8_t[]", _ENTRIES * value_bytes)
        start, more, found = ffi.new("uint64_t *"), ffi.new("int *", 1), ffi.new("size_t *")
        while more[0]:
            self.run(lib.dmctl_thin_list, root, value_bytes, start, more, keys, values, _ENTRIES, found)
            yield ffi.unpack(keys, found[0]), bytes(ffi.buffer(values, found[0] * value_bytes))

    def numbers(self, root: int) -> dict[int, int]:
        """A tree with 64-bit values."""
        pieces = self.entries(root, 8)
        return {
            key: value
            for keys, values in pieces
            for key, (value,) in zip(keys, _NUMBER.iter_unpack(values), strict=True)
        }

    def runs(self, root: int, data_from: int = 0, data_to: int = 1 << 40) -> Iterator[Run]:
        """The mappings of a thin, those to data blocks from data_from to before data_to."""
        numbers = ffi.new("uint64_t[]", _RUNS * lib.DMCTL_THIN_RUN_NUMBERS)
        start, more, found = ffi.new("uint64_t *"), ffi.new("int *", 1), ffi.new("size_t *")
        pending: Run | None = None
        while more[0]:
            self.run(lib.dmctl_thin_runs, root, data_from, data_to, start, more, numbers, _RUNS, found)
            flat = ffi.unpack(numbers, found[0] * lib.DMCTL_THIN_RUN_NUMBERS)
            for run in map(Run, flat[::4], flat[1::4], flat[2::4], flat[3::4]):
                # Where the buffer was full, a run may have been cut in two.
                if pending and run[:2] == (pending[0] + pending[2], pending[1] + pending[2]) and run[3] == pending[3]:
                    pending = pending._replace(blocks=pending.blocks + run.blocks)
                    continue
                if pending:
                    yield pending
                pending = run
        if pending:
            yield pending

    @property
    def blocks_read(self) -> int:
        """How many there were until now."""
        return int(self._reader.blocks_read)

    def run(self, function: Callable[..., int], *arguments: Any) -> None:
        """Call a function of dmctl._thin, behind this reader, in a thread of its own, so that ^C ends it.

        Raises DmctlError where memory does not suffice.
        """
        outcome: list[int] = []
        worker = threading.Thread(target=lambda: outcome.append(function(self._reader, *arguments)))
        worker.start()
        try:
            while worker.is_alive():
                worker.join(_POLL_SECONDS)
        except BaseException:
            self._reader.cancel = 1
            worker.join()
            self._reader.cancel = 0
            raise
        if outcome[0]:
            raise _failed(outcome[0])

    def run_briefly(self, function: Callable[..., int], *arguments: Any) -> None:
        """Likewise in this thread: for what takes some milliseconds, so that ^C can wait for its end."""
        if error := function(self._reader, *arguments):
            raise _failed(error)


def _damage(damage: Any) -> Damage:
    thin_id = None if damage.thin < 0 else int(damage.thin)
    if damage.what == lib.DMCTL_THIN_UNREADABLE:
        reason = os.strerror(damage.error) if damage.error else "the device ends before it"
        return Damage(int(damage.block), f"it cannot be read ({reason})", thin_id)
    return Damage(int(damage.block), _WRONG[damage.what], thin_id)


def _failed(error: int) -> BaseException:
    if error == ECANCELED:
        return KeyboardInterrupt()
    return DmctlError("There is not enough memory.", errno=error)
