# SPDX-License-Identifier: LGPL-2.1-or-later
"""Live pools: which one a device belongs to, and its metadata snapshot."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dmctl import holders
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, InUseError, NotFoundError, UsageError
from dmctl.units import parse_devno

if TYPE_CHECKING:
    from dmctl.targets.thin_pool import ThinPoolArguments


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


def pool_on(devno: tuple[int, int]) -> str | None:
    """The live pool whose metadata is on this device; None where there is none."""
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
