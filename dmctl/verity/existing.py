# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tree that is there: found by its superblock, or by its parameters where it has none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dmctl.errors import DmctlError, UsageError
from dmctl.verity.image import Image
from dmctl.verity.places import Extent, Place, opened, refuse_overlap, refuse_too_small
from dmctl.verity.superblock import SIZE_BYTES, Superblock, SuperblockError, stray_bytes, tree_offset_bytes
from dmctl.verity.tree import Parameters


@dataclass(frozen=True, slots=True)
class Existing:
    """Data and tree, open, and large enough for what the parameters say. superblock: None where it has none."""

    image: Image
    data: Place
    hashes: Place
    superblock: Superblock | None
    stray_bytes: tuple[int, ...] = ()
    """Offsets on the hash device of bytes of the superblock that should be zero."""


def read_superblock(path: str, hash_offset_bytes: int = 0) -> tuple[Superblock, int]:
    """The superblock on a device, and where the tree begins. Raises SuperblockError, or DmctlError with errno."""
    with opened(path) as place:
        superblock, _ = _superblock(place, hash_offset_bytes)
    return superblock, _tree_offset(superblock.parameters, hash_offset_bytes, superblock=True)


@contextmanager
def open_existing(
    data_path: str,
    hash_path: str,
    *,
    hash_offset_bytes: int = 0,
    parameters: Parameters | None = None,
    write: bool = False,
) -> Iterator[Existing]:
    """Open data and tree for the length of a `with`.

    parameters: of a tree without a superblock. write: both are going to be written, so neither may be in use.

    Raises SuperblockError; UsageError where a device is too small or both overlap; DmctlError with errno.
    """
    # Where both are on one device, only the first can claim it.
    same = os.path.exists(data_path) and os.path.exists(hash_path) and os.path.samefile(data_path, hash_path)
    with opened(hash_path, write=write) as hashes, opened(data_path, write=write and not same) as own:
        data = hashes if same else own
        superblock: Superblock | None = None
        stray: list[int] = []
        if parameters is None:
            superblock, stray = _superblock(hashes, hash_offset_bytes)
            parameters = superblock.parameters
        start = _tree_offset(parameters, hash_offset_bytes, superblock=superblock is not None)
        data_extent = Extent(data, 0, parameters.data_bytes, "the data")
        hash_extent = Extent(hashes, start, parameters.tree_bytes, "the hash tree")
        refuse_overlap([data_extent, hash_extent])
        for extent in (data_extent, hash_extent):
            refuse_too_small(extent)
        yield Existing(Image(parameters, data.direct_fd, hashes.fd, start), data, hashes, superblock, tuple(stray))


def _tree_offset(parameters: Parameters, hash_offset_bytes: int, *, superblock: bool) -> int:
    return tree_offset_bytes(hash_offset_bytes, parameters.hash_block_bytes, superblock=superblock)


def _superblock(place: Place, offset_bytes: int) -> tuple[Superblock, list[int]]:
    if offset_bytes < 0 or offset_bytes % SIZE_BYTES:
        raise UsageError(f"The hash offset {offset_bytes} is not a multiple of {SIZE_BYTES} bytes.")
    try:
        raw = os.pread(place.fd, SIZE_BYTES, offset_bytes)
    except OSError as error:
        raise DmctlError(f"{place.path} cannot be read: {error.strerror}.", errno=error.errno or 0) from None
    try:
        found = Superblock.from_bytes(raw)
    except SuperblockError as error:
        raise SuperblockError(f"{place.path}, byte {offset_bytes}: {error}") from None
    return found, [offset_bytes + at for at in stray_bytes(raw)]
