# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where metadata are: in a file, on a device, under a live pool; and how each may be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from dmctl import holders, names
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, DmctlError, InUseError, NotFoundError, UsageError
from dmctl.thin import metadata
from dmctl.thin.metadata import Metadata
from dmctl.thin.superblock import Superblock
from dmctl.units import parse_devno

if TYPE_CHECKING:
    from dmctl.targets.thin_pool import ThinPoolArguments


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
        return pool_on(source), source
    return source, names.node(metadata_device(source))


def metadata_device(pool: str) -> tuple[int, int]:
    """(major, minor) of the metadata of a live pool. Raises NotFoundError, UsageError where it is no pool."""
    return _devno(pool_arguments(pool).metadata)


def pool_arguments(pool: str) -> ThinPoolArguments:
    """A live pool's table. Raises NotFoundError, UsageError where it is no pool."""
    try:
        lines, _ = Device(pool, options=Options(no_flush=True)).table()
    except NotFoundError as error:
        raise NotFoundError(f"There is no device {pool}.", errno=error.errno, device=pool) from None
    except DeviceError as error:
        if error.errno != errno.ENXIO:
            raise
        raise NotFoundError(f"There is no device {pool}.", errno=error.errno, device=pool) from None
    if [line.target for line in lines] != ["thin-pool"]:
        raise UsageError(f"{pool} is not a thin pool.")
    from dmctl.targets.thin_pool import ThinPoolArguments  # costs more than all of a list of thins in a file

    return ThinPoolArguments.parse_params(lines[0].params)


def pool_on(path: str) -> str | None:
    """The live pool whose metadata is on this device; None where there is none, or it is a file."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    except ValueError:
        raise UsageError("This is no name of a file.") from None
    if not stat.S_ISBLK(status.st_mode):
        return None
    devno = (os.major(status.st_rdev), os.minor(status.st_rdev))
    for holder in holders.above(devno):
        try:
            if metadata_device(holder.name) == devno:
                return holder.name
        except (UsageError, NotFoundError):
            continue  # something else stands on it, or does no more
    return None


@contextmanager
def held_snapshot(pool: str) -> Iterator[None]:
    """Of a live pool's metadata, made and let go of again. A pool has one at most, and nobody knows whose it is."""
    device = Device(pool)
    try:
        device.message(0, "reserve_metadata_snap")
    except DeviceError as error:
        if error.errno != errno.EBUSY:
            raise
        why = f"Somebody else holds the metadata snapshot of {pool}. --metadata-snap reads that one."
        raise InUseError(why, errno=errno.EBUSY) from None
    try:
        yield
    finally:
        device.message(0, "release_metadata_snap")


def _devno(text: str) -> tuple[int, int]:
    try:
        return parse_devno(text)
    except ValueError:
        status = os.stat(text)
        return os.major(status.st_rdev), os.minor(status.st_rdev)
