# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pool as the kernel has it: its state, its messages, its volumes' devices."""

from __future__ import annotations

import errno
import os
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass

from dmctl import holders, names
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, DmctlError
from dmctl.info import Info
from dmctl.libdm import task as dm
from dmctl.table import Line
from dmctl.targets.thin import ThinArguments
from dmctl.targets.thin_pool import OUT_OF_DATA_SPACE, READ_WRITE, ThinPoolArguments, ThinPoolStatus
from dmctl.thin.blocks import Reader
from dmctl.thin.catalogue import CATALOGUE_ID, Volume
from dmctl.thin.live import pool_arguments
from dmctl.thin.metadata import Metadata, opened_live
from dmctl.thin.superblock import Superblock
from dmctl.units import SECTOR_BYTES, parse_devno

UUID_PREFIX = "DMCTL-"
FOREIGN_PREFIXES = {"LVM-": "LVM", "stratis-": "Stratis"}
_QUIET = Options(no_flush=True)


class PoolStateError(DmctlError):
    """The pool takes no changes now: read-only, failed, or to be checked."""


@dataclass(frozen=True, slots=True)
class State:
    """A pool's table and status, read without a flush: that would be a commit."""

    name: str
    uuid: str
    devno: tuple[int, int]
    size_sectors: int
    arguments: ThinPoolArguments
    status: ThinPoolStatus

    @property
    def transaction_id(self) -> int:
        """As the kernel has it in memory."""
        if self.status.transaction_id is None:
            raise PoolStateError(f"The pool {self.name} has failed: dmctl thin doctor {self.name} tells more.")
        return self.status.transaction_id

    @property
    def full(self) -> bool:
        """Whether writes wait for space, so that a flush would wait with them."""
        return self.status.mode == OUT_OF_DATA_SPACE

    def refuse_unless_writable(self) -> None:
        """Raises PoolStateError. Out of data space is no hindrance: messages are carried out then, too."""
        why = ""
        if self.status.transaction_id is None:
            why = "has failed"
        elif self.status.needs_check:
            why = "needs a check of its metadata"
        elif self.status.mode not in (READ_WRITE, OUT_OF_DATA_SPACE):
            why = "is read-only"
        if why:
            raise PoolStateError(f"The pool {self.name} {why}: dmctl thin doctor {self.name} tells what to do.")


def state(name: str) -> State:
    """Raises NotFoundError, UsageError where it is no pool."""
    arguments = pool_arguments(name)
    device = Device(name, options=_QUIET)
    lines, info = device.status()
    status = ThinPoolStatus.parse_status(lines[0].params)
    return State(info.name, info.uuid, info.devno, lines[0].length_sectors, arguments, status)


def metadata_path(of: State) -> str:
    """The node of the pool's metadata."""
    return names.block_node(parse_devno(of.arguments.metadata))


def read_metadata(of: State) -> Metadata:
    """Which thins there are, on the disk, at this moment. Its reader is closed: mappings cannot be read.

    Raises MetadataError where a block is damaged: a thin that cannot be read must not be taken for one that is gone.
    """
    with opened_live(metadata_path(of)) as metadata:
        metadata.refuse_damaged()
        return metadata


def transaction_on_disk(of: State) -> int:
    """What block 0 says, past the page cache. Raises MetadataError."""
    with Reader(metadata_path(of), direct=True) as reader:
        return Superblock.from_bytes(reader.raw(0)).transaction_id


def message(pool: str, text: str) -> None:
    """Raises DeviceError."""
    Device(pool).message(0, text)


# ---- devices of volumes ----


def pool_uuid_text(pool: uuids.UUID) -> str:
    """The dm uuid of a pool."""
    return f"{UUID_PREFIX}{pool.hex}-pool"


def pool_uuid_of(dm_uuid: str) -> uuids.UUID | None:
    """The pool's, from its dm uuid; None where it is not one of dmctl's."""
    prefix, _, rest = dm_uuid.partition("-")
    digits, _, what = rest.partition("-")
    if f"{prefix}-" != UUID_PREFIX or what != "pool":
        return None
    try:
        return uuids.UUID(hex=digits)
    except ValueError:
        return None


def volume_uuid_text(pool: uuids.UUID, volume: uuids.UUID) -> str:
    return f"{UUID_PREFIX}{pool.hex}-{volume.hex}"


def catalogue_uuid_text(pool: uuids.UUID) -> str:
    return f"{UUID_PREFIX}{pool.hex}-catalogue"


def device_name(pool: str, volume: str) -> str:
    """Of an active volume, below /dev/mapper."""
    return f"{pool}-{volume}"


def catalogue_device_name(pool: str) -> str:
    """No volume can have it: their names do not begin with a dot."""
    return f"{pool}-.catalogue"


def active(pool: uuids.UUID, volume: Volume) -> Device | None:
    """The device of a volume, if it has one."""
    info = _info(Device(uuid=volume_uuid_text(pool, volume.uuid)))
    return Device(info.name) if info else None


def _info(device: Device) -> Info | None:
    """None where there is no such device."""
    try:
        return device.info()
    except DeviceError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def activate(pool: State, pool_uuid: uuids.UUID, volume: Volume, *, read_only: bool = False) -> Device:
    """The device. Raises DeviceError; EEXIST and EBUSY where there is such a one."""
    line = thin_line(pool, volume.thin_id, volume.size_sectors)
    uuid = volume_uuid_text(pool_uuid, volume.uuid)
    device = Device(device_name(pool.name, volume.name))
    device.create([line], uuid=uuid, read_only=read_only)
    return device


def thin_line(pool: State, thin_id: int, size_sectors: int) -> Line:
    major, minor = pool.devno
    return Line(0, size_sectors, "thin", ThinArguments(f"{major}:{minor}", thin_id).to_params())


def activate_catalogue(pool: State, pool_uuid: uuids.UUID, size_bytes: int) -> None:
    """Where it is not active yet. Nobody's rules look at it: it is no volume."""
    device = Device(catalogue_device_name(pool.name), options=Options(no_udev_rules=True))
    if _info(device):
        return
    line = thin_line(pool, CATALOGUE_ID, size_bytes // SECTOR_BYTES)
    device.create([line], uuid=catalogue_uuid_text(pool_uuid))


def remove_catalogue_device(pool: str) -> None:
    """Where it is active."""
    device = Device(catalogue_device_name(pool), options=Options(no_udev_rules=True))
    if _info(device):
        device.remove(retry=True)


def path_of(device: Device) -> str:
    """Below /dev/mapper, where letters such as blanks are written in another way."""
    with device.task(dm.INFO) as task:
        device.options.apply(task)
        task.run()
        return f"/dev/mapper/{task.other_form(uuid=False, mangled=True)}"


def node_of(device: Device) -> str:
    """A path by which a device can be opened, whether or not udev has made its usual one."""
    return names.block_node(device.info().devno)


def open_node(device: Device, flags: int) -> int:
    """A descriptor. Raises DmctlError with errno."""
    path = node_of(device)
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None


def thin_devices(pool: State) -> Iterable[tuple[str, int, int]]:
    """Name, thin id and sectors of each active device of the pool, whoever has made it."""
    for holder in holders.above(pool.devno):
        if holder.kind != "dm":
            continue
        try:
            lines, _ = Device(holder.name, options=_QUIET).table()
        except DeviceError:
            continue
        if [line.target for line in lines] == ["thin"]:
            arguments = ThinArguments.parse_params(lines[0].params)
            yield holder.name, arguments.device_id, lines[0].length_sectors
