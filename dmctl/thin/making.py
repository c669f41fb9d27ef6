# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pools made, opened, closed, adopted, grown, and put in line again with a catalogue that does not fit."""

from __future__ import annotations

import errno
import os
import uuid as uuids
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from dmctl import names
from dmctl.device import Device, Options
from dmctl.disk import Disk, refuse_name
from dmctl.errors import DeviceError, DmctlError, UsageError
from dmctl.lock import locked
from dmctl.table import Line
from dmctl.targets.thin_pool import ThinPoolArguments
from dmctl.thin import kernel, recovery, slots
from dmctl.thin.catalogue import (
    CATALOGUE_ID,
    FIRST_ID,
    VOLUME_BYTES,
    Catalogue,
    CatalogueError,
    Settings,
    Volume,
    checked_name,
    slot_bytes,
)
from dmctl.thin.metadata import Thin, opened
from dmctl.thin.pool import NAMES, ForeignPoolError, Pool, open_slots, own_uuid, refuse_foreign
from dmctl.thin.sizes import MAX_USEFUL_SECTORS, metadata_sectors
from dmctl.thin.sources import consistent
from dmctl.thin.superblock import BLOCK_BYTES, MetadataError
from dmctl.units import SECTOR_BYTES, format_size, parse_devno

MOST_VOLUMES = 10000
_FEWEST_VOLUMES = 16
# Of a small pool: a quarter of the metadata for the volumes as such, a block of 8 sectors each; 1/32 of the data for a
# slot of the catalogue.
_METADATA_SHARE = 4 * 8
_CATALOGUE_SHARE = 32
LEAST_BLOCK_SECTORS = 128
MOST_BLOCK_SECTORS = 1 << 21


def _disk(path: str, what: str) -> Disk:
    """Raises UsageError, DmctlError, ForeignPoolError."""
    found = Disk.at(path, what)
    _refuse_foreign(path, found.devno)
    return found


def _refuse_foreign(path: str, devno: tuple[int, int]) -> None:
    try:
        uuid = Device(devno=devno).info().uuid
    except DeviceError:
        return  # no device of the device-mapper
    for prefix, owner in kernel.FOREIGN_PREFIXES.items():
        if uuid.startswith(prefix) and uuid.endswith(("_tmeta", "_tdata", "-tmeta", "-tdata")):
            raise ForeignPoolError(f"{path} is part of a pool that belongs to {owner}.")


@dataclass(frozen=True, slots=True)
class Plan:
    """A pool as it is going to be made."""

    name: str
    metadata: Disk
    data: Disk
    block_sectors: int
    settings: Settings
    volumes: int

    @property
    def line(self) -> Line:
        return pool_line(self.metadata, self.data, self.block_sectors, self.settings)

    @property
    def slot_bytes(self) -> int:
        return slot_bytes(self.volumes, self.block_sectors * SECTOR_BYTES)


def plan(
    name: str,
    metadata_path: str,
    data_path: str,
    *,
    block_sectors: int | None = None,
    volumes: int | None = None,
) -> Plan:
    """Check all that can be checked before anything is written. The settings are the usual ones.

    block_sectors: else the smallest block for which the metadata device is large enough. volumes: how many can be
    made; else MOST_VOLUMES, or what a small pool has room for.
    Raises UsageError, DmctlError.
    """
    refuse_name(name)
    metadata, data = _disk(metadata_path, "--metadata"), _disk(data_path, "--data")
    if metadata.devno == data.devno:
        raise UsageError("--metadata and --data are the same device.")
    if volumes is None:
        fitting = (data.size_sectors * SECTOR_BYTES // _CATALOGUE_SHARE - slot_bytes(0, 1)) // VOLUME_BYTES
        volumes = max(min(MOST_VOLUMES, metadata.size_sectors // _METADATA_SHARE, fitting), _FEWEST_VOLUMES)
    chosen = block_sectors or _fitting_block(metadata, data, volumes)
    if chosen % LEAST_BLOCK_SECTORS or not LEAST_BLOCK_SECTORS <= chosen <= MOST_BLOCK_SECTORS:
        raise UsageError(f"--block-size: {format_size(chosen * SECTOR_BYTES)} is no multiple of 64 KiB up to 1 GiB.")
    needed = min(metadata_sectors(chosen, data.size_sectors, volumes), MAX_USEFUL_SECTORS)
    if metadata.size_sectors < needed:
        message = f"--metadata: {metadata.path} has {format_size(metadata.size_sectors * SECTOR_BYTES)}, and blocks of"
        message += f" {format_size(chosen * SECTOR_BYTES)} for {volumes} volumes need {format_size(needed * 512)}."
        raise UsageError(f"{message} A larger --block-size, or fewer --max-volumes, need less.")
    made = Plan(name, metadata, data, chosen, Settings(), volumes)
    if made.slot_bytes * 2 > data.size_sectors * SECTOR_BYTES // 2:
        message = f"--data: {data.path} is too small: the catalogue of {volumes} volumes alone takes"
        raise UsageError(f"{message} {format_size(made.slot_bytes * 2)}. --max-volumes makes it smaller.")
    return made


def _fitting_block(metadata: Disk, data: Disk, volumes: int) -> int:
    block = LEAST_BLOCK_SECTORS
    while block < MOST_BLOCK_SECTORS and metadata_sectors(block, data.size_sectors, volumes) > metadata.size_sectors:
        block *= 2
    return block


def pool_line(metadata: Disk, data: Disk, block_sectors: int, settings: Settings) -> Line:
    """The table, over all whole blocks of the data."""
    features = dict.fromkeys(settings.features, True)
    low_water = settings.low_water_blocks
    arguments = ThinPoolArguments(str(metadata), str(data), block_sectors, low_water, **features)
    return Line(0, data.size_sectors // block_sectors * block_sectors, "thin-pool", arguments.to_params())


def has_metadata(disk: Disk) -> bool:
    """Whether there is anything in its first block, where the superblock is."""
    with open(disk.path, "rb") as file:
        return any(file.read(BLOCK_BYTES))


def create(made: Plan) -> uuids.UUID:
    """Make the pool, and its catalogue. What was in the metadata device is lost. The pool's uuid.

    Raises DeviceError; nothing is left active then.
    """
    uuid = uuids.uuid4()
    with locked(f"devices-{made.metadata.devno[0]}-{made.metadata.devno[1]}", f"the pool {made.name}"):
        made.metadata.wipe(BLOCK_BYTES)  # the kernel then makes a new superblock
        device = Device(made.name)
        device.create([made.line], uuid=kernel.pool_uuid_text(uuid))
        try:
            _initialise(made.name, uuid, made.slot_bytes, Catalogue(uuid, 0, settings=made.settings))
        except BaseException:
            kernel.remove_catalogue_device(made.name)
            device.remove(retry=True)
            raise
    return uuid


def _initial_messages(state: kernel.State, thin_ids: Collection[int]) -> tuple[str, ...]:
    """What makes the catalogue's thin, a new one, and commits it."""
    before = state.transaction_id
    delete = [f"delete {CATALOGUE_ID}"] if CATALOGUE_ID in thin_ids else []
    return (*delete, f"create_thin {CATALOGUE_ID}", f"set_transaction_id {before} {before + 1}")


def _initialise(name: str, uuid: uuids.UUID, size_bytes: int, catalogue: Catalogue) -> None:
    """The catalogue's thin, all of it provisioned, and a first slot, by the pool's next transaction id."""
    state = kernel.state(name)
    state.refuse_unless_writable()
    *make, commit = _initial_messages(state, kernel.read_metadata(state).thins)
    if len(make) > 1:
        kernel.remove_catalogue_device(name)
    for text in make:
        kernel.message(name, text)
    kernel.activate_catalogue(state, uuid, 2 * size_bytes)
    descriptor = kernel.open_node(
        Device(kernel.catalogue_device_name(name)), os.O_RDWR | os.O_DIRECT | os.O_DSYNC | os.O_EXCL
    )
    try:
        places = slots.Slots(descriptor)
        places.provision(state.arguments.block_sectors * SECTOR_BYTES)
        places.write(replace(catalogue, sequence=state.transaction_id + 1))
        kernel.message(name, commit)
    finally:
        os.close(descriptor)


def existing(name: str, metadata_path: str, data_path: str) -> tuple[Line, uuids.UUID]:
    """The table of a pool that is on these devices, and its uuid. Nothing is made active.

    Raises MetadataError, CatalogueError, UsageError, DmctlError.
    """
    refuse_name(name)
    metadata, data = _disk(metadata_path, "--metadata"), _disk(data_path, "--data")
    with opened(metadata_path) as there:
        superblock, damages = there.superblock, there.damages
    if superblock.needs_check:
        message = f"The metadata on {metadata_path} need a check: dmctl thin check {metadata_path}, and then"
        raise kernel.PoolStateError(f"{message} thin_check --clear-needs-check-flag.")
    if damages:
        message = f"{metadata_path}: {damages[0]}. thin_repair, onto another device, may help."
        raise MetadataError(message, block=damages[0].block)
    if superblock.data_map.blocks * superblock.data_block_sectors > data.size_sectors:
        raise UsageError(f"--data: {data_path} is smaller than the pool's data: it is another pool's, or not whole.")
    _, found = slots.offline(metadata_path, data_path)
    catalogue = max((slot for slot in found if slot), key=lambda slot: slot.sequence, default=None)
    if catalogue is None:
        raise CatalogueError(f"{data_path} has no catalogue of the pool on {metadata_path}: are they of one pool?")
    return pool_line(metadata, data, superblock.data_block_sectors, catalogue.settings), catalogue.pool_uuid


def open_pool(name: str, metadata_path: str, data_path: str) -> list[str]:
    """Make an existing pool active, and put right what was interrupted. Notes about that.

    Raises as existing() does, and DeviceError; nothing is left active then.
    """
    line, uuid = existing(name, metadata_path, data_path)
    device = Device(name)
    device.create([line], uuid=kernel.pool_uuid_text(uuid))
    try:
        with Pool.opened(name) as pool:
            return pool.notes
    except recovery.MismatchError as error:
        return [f"{error} Its volumes are listed only; dmctl thin pool reconcile {name} makes them usable."]
    except BaseException:
        kernel.remove_catalogue_device(name)
        device.remove(retry=True)
        raise


def close_pool(name: str, *, deactivate: bool = False) -> None:
    """Make a pool inactive. deactivate: its volumes, too. Raises DmctlError with EBUSY where one is active."""
    state = kernel.state(name)
    refuse_foreign(state)
    with locked(state.uuid or name, f"the pool {name}"):
        there = [device for device, thin_id, _ in kernel.thin_devices(state) if thin_id != CATALOGUE_ID]
        if there and not deactivate:
            message = f"{len(there)} volumes of {name} are active, {there[0]} among them; --deactivate ends that."
            raise DmctlError(message, errno=errno.EBUSY)
        for one in there:
            Device(one).remove(retry=True)
        kernel.remove_catalogue_device(name)
        Device(name).remove(retry=True)
        with suppress(FileNotFoundError):
            os.unlink(f"{NAMES}/{name}")


def resize_pool(name: str, *, dry_run: bool = False) -> tuple[int, Line]:
    """Take all of a data device, and of a metadata device, that have grown. Sectors before, and the new table.

    dry_run: only tell. Raises UsageError where the data device has become smaller.
    """
    state = kernel.state(name)
    refuse_foreign(state)
    with locked(state.uuid or name, f"the pool {name}"):
        data = names.size_sectors(parse_devno(state.arguments.data)) or 0
        wanted = data // state.arguments.block_sectors * state.arguments.block_sectors
        if wanted < state.size_sectors:
            message = f"The data device has {format_size(data * 512)}, less than the pool: a pool cannot shrink."
            raise UsageError(message)
        line = Line(0, wanted, "thin-pool", state.arguments.to_params())
        if not dry_run:
            device = Device(name, options=Options(no_flush=True, skip_lockfs=True))
            device.load([line])
            # The kernel reads the size of the metadata device anew, too. Without a flush, which would wait on a full
            # pool.
            device.resume()
        return state.size_sectors, line


# ---- pools that have no catalogue, or one that does not fit ----


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of thins and rows: volumes that there are now, rows that had no thin any more, and thins left out.

    messages: what the pool was sent, beside the writing of the catalogue.
    """

    volumes: tuple[Volume, ...]
    messages: tuple[str, ...]
    lost: tuple[Volume, ...] = ()
    orphans: tuple[Thin, ...] = ()


def adopt(name: str, *, volumes: int | None = None, only_empty: bool = False, dry_run: bool = False) -> Adopted:
    """Make a catalogue in an active pool that has none; its thins become volumes thin-ID.

    Their sizes are those of their devices, if they have any, else up to the last block that is mapped.
    dry_run: only tell what would be. only_empty: refuse a pool that has thins. Raises ForeignPoolError, UsageError.
    """
    state = kernel.state(name)
    if state.uuid:
        uuid = kernel.pool_uuid_of(state.uuid)
        if uuid is None:
            owner = next(
                (who for prefix, who in kernel.FOREIGN_PREFIXES.items() if state.uuid.startswith(prefix)), None
            )
            raise ForeignPoolError(f"The pool {name} belongs to {owner or 'somebody else'} (uuid {state.uuid}).")
    else:
        uuid = uuids.uuid4()
    with locked(kernel.pool_uuid_text(uuid), f"the pool {name}"):
        metadata = kernel.read_metadata(state)
        if _readable(state, uuid):
            raise UsageError(f"The pool {name} has a catalogue already.")
        thins = [thin for thin_id, thin in metadata.thins.items() if thin_id != CATALOGUE_ID]
        if only_empty and (thins or state.transaction_id):
            raise UsageError(f"The pool {name} is in use already: dmctl thin pool adopt takes what is in it.")
        found = {one.uuid: one for one in _adopted(state, thins)}
        if volumes is None:
            fitting = state.size_sectors * SECTOR_BYTES // _CATALOGUE_SHARE // VOLUME_BYTES
            volumes = max(min(MOST_VOLUMES, fitting), _FEWEST_VOLUMES)
        size_bytes = slot_bytes(max(volumes, 2 * len(found)), state.arguments.block_sectors * SECTOR_BYTES)
        adopted = Adopted(tuple(found.values()), _initial_messages(state, metadata.thins))
        if dry_run:
            return adopted
        if not state.uuid:
            Device(name).set_uuid(kernel.pool_uuid_text(uuid))
        highest = max((thin.thin_id for thin in thins), default=FIRST_ID - 1)
        settings = _settings(state.arguments)
        _initialise(name, uuid, size_bytes, Catalogue(uuid, 0, highest + 1, settings, found))
        for device, thin_id, _ in list(kernel.thin_devices(kernel.state(name))):
            volume = next((one for one in found.values() if one.thin_id == thin_id), None)
            if volume and not Device(device).info().uuid:
                Device(device).set_uuid(kernel.volume_uuid_text(uuid, volume.uuid))
    return adopted


def _settings(arguments: ThinPoolArguments) -> Settings:
    names_of = ("skip_block_zeroing", "ignore_discard", "no_discard_passdown", "error_if_no_space")
    return Settings(arguments.low_water_blocks, frozenset(one for one in names_of if getattr(arguments, one)))


def _readable(state: kernel.State, uuid: uuids.UUID) -> bool:
    if kernel.pool_uuid_of(state.uuid) is None:
        return False
    try:
        with open_slots(state, uuid) as places:
            return any(places.read())
    except CatalogueError:
        return False


def _adopted(state: kernel.State, thins: list[Thin]) -> Iterator[Volume]:
    active = {thin_id: (device, sectors) for device, thin_id, sectors in kernel.thin_devices(state)}
    prefix = f"{state.name}-"
    with consistent(state.name, deep=True) as metadata:
        for thin in thins:
            name = f"thin-{thin.thin_id}"
            size_sectors = state.arguments.block_sectors
            if thin.thin_id in active:
                device, size_sectors = active[thin.thin_id]
                name = device.removeprefix(prefix)
            elif (there := metadata.thins.get(thin.thin_id)) and there.root is not None:
                last = 0
                for run in metadata.reader.runs(there.root):
                    last = run.virtual_block + run.blocks
                size_sectors = max(last, 1) * state.arguments.block_sectors
            yield Volume(uuids.uuid4(), checked_name(name), thin.thin_id, thin.transaction_id, size_sectors)


def reconcile(name: str, *, adopt_orphans: bool = False, dry_run: bool = False) -> Adopted:
    """Fit the catalogue to the pool's thins again, after another tool has moved the transaction id.

    Rows whose thin is there, by its id and the transaction id of its making, are kept; those without one are dropped.
    adopt_orphans: thins without a row become volumes thin-ID. dry_run: only tell what would be.
    Raises as Pool.opened() does.
    """
    state = kernel.state(name)
    uuid = own_uuid(state)
    with locked(state.uuid, f"the pool {name}"), open_slots(state, uuid) as places:
        state.refuse_unless_writable()
        thins = kernel.read_metadata(state).thins
        found = [slot for slot in places.read() if slot]
        if not found:
            raise CatalogueError(f"The catalogue of {name} is lost: dmctl thin pool adopt {name} makes a new one.")
        latest = max(found, key=lambda slot: slot.sequence)
        matched = recovery.match(latest.volumes.values(), thins, CATALOGUE_ID)
        volumes = {volume.uuid: volume for volume in matched.kept}
        orphans = matched.orphans
        if adopt_orphans:
            volumes |= {volume.uuid: volume for volume in _adopted(state, list(orphans))}
            orphans = ()
        before = state.transaction_id
        sequence = max([before, *(slot.sequence for slot in found)]) + 1
        next_id = max([slot.next_id for slot in found] + [one + 1 for one in thins if one != CATALOGUE_ID])
        commit = f"set_transaction_id {before} {sequence}"
        if not dry_run:
            places.write(replace(latest.after(sequence, next_id=next_id), volumes=volumes))
            kernel.message(name, commit)
    return Adopted(tuple(volumes.values()), (commit,), matched.lost, orphans)
