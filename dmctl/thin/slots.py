# SPDX-License-Identifier: LGPL-2.1-or-later
"""The catalogue's two slots on the disk: through the catalogue's own device, or where the metadata say that it is."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from dmctl.errors import DmctlError
from dmctl.thin.catalogue import CATALOGUE_ID, Catalogue, CatalogueError
from dmctl.thin.metadata import opened
from dmctl.units import SECTOR_BYTES

_ALIGNMENT = 4096


class Slots:
    """Two places of equal size in an open device; which is whose is told by the sequence number's last bit.

    Read and written past the page cache; what is written is on the disk when write() returns.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self.slot_bytes = os.lseek(descriptor, 0, os.SEEK_END) // 2

    def read(self) -> list[Catalogue | None]:
        """Both; None for one that is none, or not whole."""
        return [_parsed(self._read(number)) for number in range(2)]

    def write(self, catalogue: Catalogue) -> None:
        """Into the slot of its sequence number. Raises DmctlError where it does not fit, or the disk fails."""
        content = catalogue.to_bytes()
        if len(content) > self.slot_bytes:
            message = f"The catalogue is full: {len(catalogue.volumes)} volumes need more than {self.slot_bytes} bytes."
            raise DmctlError(message)
        with _aligned(len(content)) as buffer:
            buffer[: len(content)] = content
            at = catalogue.sequence % 2 * self.slot_bytes
            try:
                written = os.pwrite(self._descriptor, buffer, at)
            except OSError as error:
                raise _failed("written", error) from None
        if written < len(content):
            raise DmctlError("The catalogue could not be written as a whole.")

    def provision(self, block_bytes: int) -> None:
        """Write something into each block of the pool, so that none needs to be found when the pool is full."""
        with _aligned(_ALIGNMENT) as zeros:
            try:
                for at in range(0, 2 * self.slot_bytes, block_bytes):
                    os.pwrite(self._descriptor, zeros, at)
            except OSError as error:
                raise _failed("written", error) from None

    def _read(self, number: int) -> bytes:
        """What is used of it, as far as its header can be believed."""
        first = self._pread(number * self.slot_bytes, _ALIGNMENT)
        size = Catalogue.size_of(first)
        if size <= len(first):
            return first
        return self._pread(number * self.slot_bytes, min(size, self.slot_bytes))

    def _pread(self, at: int, size: int) -> bytes:
        with _aligned(size) as buffer:
            try:
                got = os.preadv(self._descriptor, [buffer], at)
            except OSError as error:
                raise _failed("read", error) from None
            return bytes(buffer[:got])


def _failed(what: str, error: OSError) -> DmctlError:
    return DmctlError(f"The catalogue cannot be {what}: {error.strerror}.", errno=error.errno or 0)


@contextmanager
def _aligned(size: int) -> Iterator[mmap.mmap]:
    """Zeros at the begin of a page, in whole blocks."""
    with mmap.mmap(-1, -(-size // _ALIGNMENT) * _ALIGNMENT) as buffer:
        yield buffer


def _parsed(slot: bytes) -> Catalogue | None:
    try:
        return Catalogue.from_bytes(slot)
    except CatalogueError:
        return None


def offline(metadata_path: str, data_path: str) -> tuple[int, list[Catalogue | None]]:
    """The transaction id, and the slots, of a pool that is down: from its devices.

    Raises MetadataError; CatalogueError where the pool has none; DmctlError where the data cannot be read.
    """
    try:
        with open(data_path, "rb") as data:
            return _offline(metadata_path, data)
    except OSError as error:
        raise DmctlError(f"{data_path} cannot be read: {error.strerror}.", errno=error.errno or 0) from None


def _offline(metadata_path: str, data: BinaryIO) -> tuple[int, list[Catalogue | None]]:
    with opened(metadata_path) as metadata:
        thin = metadata.thins.get(CATALOGUE_ID)
        if thin is None or thin.root is None:
            raise CatalogueError(
                f"The pool on {metadata_path} has no catalogue: dmctl has not made it, or not to the end."
            )
        block_bytes = metadata.superblock.data_block_sectors * SECTOR_BYTES
        runs = list(metadata.reader.runs(thin.root))
        half = thin.mapped_blocks * block_bytes // 2

        def read(at: int, size: int) -> bytes:
            pieces = []
            for run in runs:
                begin, end = run.virtual_block * block_bytes, (run.virtual_block + run.blocks) * block_bytes
                if begin < at + size and end > at:
                    start, stop = max(begin, at), min(end, at + size)
                    data.seek(run.data_block * block_bytes + start - begin)
                    pieces.append(data.read(stop - start))
            return b"".join(pieces)

        found = []
        for number in range(2):
            size = Catalogue.size_of(read(number * half, _ALIGNMENT))
            found.append(_parsed(read(number * half, min(max(size, _ALIGNMENT), half))))
        return metadata.superblock.transaction_id, found
