# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where metadata are: in a file, on a device, under a live pool; and how each may be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dmctl.errors import DmctlError, InUseError, UsageError
from dmctl.thin import metadata
from dmctl.thin.metadata import Metadata
from dmctl.thin.superblock import Superblock

# dmctl.thin.live asks the kernel, by libraries that a file does not need: it is imported where there is a device.


@contextmanager
def consistent(source: str, *, deep: bool, snapshot: bool = False) -> Iterator[Metadata]:
    """The metadata of a pool by its name, or in a file or on a device; of a live pool as they are at one moment.

    deep: mappings are going to be read. Of a live pool that takes a metadata snapshot, which is made, and let go of on
    every way out. snapshot: use the metadata snapshot that somebody has made, and leave it there.
    Raises NotFoundError, UsageError where it is no pool, MetadataError; InUseError where a snapshot is held already.
    """
    pool, path = find(source)
    if pool is None or snapshot:
        with metadata.opened(path, held=snapshot, direct=pool is not None) as there:
            yield there
    elif not deep:
        with metadata.opened_live(path) as there:
            yield there
    else:
        from dmctl.thin.live import held_snapshot

        with held_snapshot(pool), metadata.opened(path, held=True, direct=True) as there:
            # A metadata snapshot has no space maps, and so does not tell how large the data is.
            data_map = Superblock.from_bytes(there.reader.raw(0)).data_map
            yield replace(there, superblock=replace(there.superblock, data_map=data_map))


def offline(source: str) -> str:
    """The path of metadata that nothing writes to. Raises InUseError where a live pool does."""
    pool, path = find(source)
    if pool is not None:
        why = f"{path} is the metadata of the live pool {pool}, which changes it: --metadata-snap reads its snapshot."
        raise InUseError(why if source != pool else f"The pool {pool} is live: --metadata-snap reads its snapshot.")
    return path


def find(source: str) -> tuple[str | None, str]:
    """The live pool, if there is one, and the path of its metadata, from the name of a pool or a path."""
    if "/" in source or os.path.exists(source):
        return _pool_on(source), source
    from dmctl import names
    from dmctl.thin.live import metadata_device

    return source, names.node(metadata_device(source))


def _pool_on(path: str) -> str | None:
    """The live pool whose metadata is on this device; None where there is none, or it is a file."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    except ValueError:
        raise UsageError("This is no name of a file.") from None
    if not stat.S_ISBLK(status.st_mode):
        return None
    from dmctl.thin.live import pool_on

    return pool_on((os.major(status.st_rdev), os.minor(status.st_rdev)))
