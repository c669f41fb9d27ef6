# SPDX-License-Identifier: LGPL-2.1-or-later
"""A thin pool with a catalogue, opened to change its volumes.

    with Pool.opened("pool") as pool:
        with pool.batch() as batch:
            batch.create("root", 8 * 2**21, blob=b"...")
            batch.snapshot("home", "home-before")

A batch is one change: all of it is there after commit(), or nothing, whatever happens meanwhile. One process at a time
has a pool open.
"""

from __future__ import annotations

import errno
import os
import uuid as uuids
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from dmctl import names, section
from dmctl.device import Device
from dmctl.errors import DeviceError, DmctlError, InUseError, UsageError
from dmctl.lock import FOLDER, locked
from dmctl.thin import kernel, recovery
from dmctl.thin.batch import Batch
from dmctl.thin.catalogue import (
    CATALOGUE_ID,
    DELETE,
    RENAME,
    RESIZE,
    SNAPSHOT,
    Catalogue,
    CatalogueError,
    Volume,
)
from dmctl.thin.metadata import Thin
from dmctl.thin.slots import Slots
from dmctl.units import SECTOR_BYTES

NAMES = f"{FOLDER}/volumes"
"""Names of volumes, a file a pool, for shells to complete: nothing else reads them, and they may be missing or old."""
_TRIES = 100


class ForeignPoolError(DmctlError):
    """A pool without a catalogue of dmctl's, or one that belongs to another manager of volumes."""


class CommitError(DmctlError):
    """The kernel has taken all messages, and what it wrote has not reached the disk: the pool is read-only now."""


class Pool:
    """An active pool, locked. catalogue: the truth. thins: what the metadata had when it was opened, by id.

    notes: sentences about what was put right when it was opened, and what was done otherwise than usual.
    """

    def __init__(self, state: kernel.State, uuid: uuids.UUID, slots: Slots):
        self.state = state
        self.uuid = uuid
        self.slots = slots
        self.notes: list[str] = []
        self.catalogue: Catalogue
        self.thins: dict[int, Thin]

    @property
    def name(self) -> str:
        return self.state.name

    @classmethod
    @contextmanager
    def opened(cls, name: str, *, wait: bool = True) -> Iterator[Self]:
        """The pool of this name, and what was left half done in it put right.

        wait: for another process that has it open; else raises InUseError.
        Raises NotFoundError, UsageError, ForeignPoolError, PoolStateError, MismatchError, MetadataError.
        """
        state = kernel.state(name)
        uuid = own_uuid(state)
        with ExitStack() as stack:
            stack.enter_context(locked(state.uuid, f"the pool {name}", wait=wait))
            pool = cls(state, uuid, stack.enter_context(open_slots(state, uuid)))
            pool._resume_left()
            pool.refresh()
            pool._put_right()
            pool._write_names()
            yield pool

    def refresh(self) -> None:
        """Read state and metadata anew."""
        self.state = kernel.state(self.name)
        self.thins = kernel.read_metadata(self.state).thins

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """A batch, committed at the end of the `with` unless an exception leaves it."""
        batch = Batch(self.catalogue, self.thins)
        yield batch
        self.commit(batch)

    def active_ids(self) -> dict[int, str]:
        """The thins of which there are devices, and their names."""
        return {thin_id: name for name, thin_id, _ in kernel.thin_devices(self.state)}

    def planned(self, batch: Batch, active: dict[int, str]) -> Catalogue:
        """What commit() would make of a batch. active: active_ids(). Raises InUseError, UsageError."""
        wanted = batch.result(active)
        for one in wanted.operations:
            if one.kind == DELETE and one.thin_id in active:
                message = f"{active[one.thin_id]} is active; dmctl thin deactivate makes an end of that."
                raise InUseError(message, errno=errno.EBUSY)
        block_bytes = names.logical_block_bytes(self.state.devno) or SECTOR_BYTES
        for uuid, volume in wanted.volumes.items():
            before = self.catalogue.volumes.get(uuid)
            size_bytes = volume.size_sectors * SECTOR_BYTES
            if size_bytes % block_bytes and (before is None or before.size_sectors != volume.size_sectors):
                message = f"{volume.name} would have {size_bytes} bytes, which are not whole blocks of its disks"
                raise UsageError(f"{message}, {block_bytes} bytes each.")
        return wanted

    def commit(self, batch: Batch, *, flags: section.Flags | None = None) -> list[int]:
        """Make the changes of a batch. For how long each origin was suspended, in nanoseconds.

        flags: how origins that are active are suspended. Without them file systems are frozen and all is flushed; on a
        pool that is out of space, where a flush would wait for space, neither.

        Raises UsageError, PoolStateError, DeviceError, SectionError, MessageError with all undone; CommitError where
        the disk has failed in the midst.
        """
        self.state = kernel.state(self.name)
        self.state.refuse_unless_writable()
        before = self.catalogue
        if self.state.transaction_id != before.sequence:
            raise recovery.MismatchError(f"Another tool has changed the pool {self.name} meanwhile.")
        active = self.active_ids()
        wanted = self.planned(batch, active)
        try:
            self.slots.write(wanted)
            times = self._send(wanted, active, flags)
            self._set_transaction_id(before.sequence)
        except BaseException:
            self._undo(before, wanted)
            raise
        self._verify(wanted.sequence)
        self.catalogue = wanted
        self.refresh()
        self._adjust_devices(wanted)
        self._write_names()
        return times

    def _write_names(self) -> None:
        there = sorted(volume.name for volume in self.catalogue.volumes.values())
        with suppress(OSError):
            os.makedirs(NAMES, mode=0o700, exist_ok=True)
            path = f"{NAMES}/{self.name}"
            with open(f"{path}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
                file.writelines(f"{name}\n" for name in there)
            os.replace(f"{path}.new", path)

    # ---- a commit's steps ----

    def _send(self, wanted: Catalogue, active: dict[int, str], flags: section.Flags | None) -> list[int]:
        """Creates and snapshots, those of active origins in one critical section, and then deletes."""
        suspending = [one for one in wanted.operations if one.kind == SNAPSHOT and one.origin_id in active]
        if flags is None:
            flags = section.Flags()
            if suspending and self.state.full:
                flags = section.Flags(lockfs=False, flush=False)
                self.notes.append("The pool is out of space: snapshots are crash-consistent, without a flush.")
        times: list[int] = []
        device = Device(self.name)
        if suspending:
            origins = [Device(active[origin]) for origin in dict.fromkeys(one.origin_id for one in suspending)]
            messages = [(device, one.message or "") for one in suspending]
            times = section.run(origins, messages, flags=flags)
        for one in wanted.operations:
            if one.message and one not in suspending:
                kernel.message(self.name, one.message)
        return times

    def _set_transaction_id(self, before: int) -> None:
        kernel.message(self.name, f"set_transaction_id {before} {before + 1}")

    def _verify(self, sequence: int) -> None:
        """The kernel answers 0 for a message whose commit has failed (pool_message() in dm-thin.c drops the result)."""
        self.state = kernel.state(self.name)
        try:
            self.state.refuse_unless_writable()
            arrived = kernel.transaction_on_disk(self.state) == sequence
        except DmctlError:
            arrived = False
        if not arrived:
            message = f"The change has not reached the disk: the pool {self.name} has failed or is read-only."
            raise CommitError(f"{message} dmctl thin doctor {self.name} tells what to do.")

    def _undo(self, before: Catalogue, wanted: Catalogue) -> None:
        """After a failure in the midst of a commit: as after a crash at the same place."""
        try:
            self.refresh()
            self.catalogue = before
            self._put_right()
        except recovery.MismatchError:
            # Another tool has moved the transaction id in between. What was made is ours still, and nobody's volume.
            for thin_id in recovery.made_by(wanted, before.sequence, self.thins):
                kernel.message(self.name, f"delete {thin_id}")
        except DmctlError as error:
            self.notes.append(f"It could not be undone now, the next command will try again: {error}")

    # ---- recovery ----

    def _resume_left(self) -> None:
        for one in section.recover():
            what = "resumed" if one.resumed else f"left suspended ({one.why})"
            self.notes.append(f"{one.name}, which a snapshot had left suspended, was {what}.")

    def _put_right(self) -> None:
        """Finish or undo a change that was interrupted; bring devices in line; finish removals."""
        on_disk = kernel.transaction_on_disk(self.state)
        decision = recovery.decide(on_disk, self.slots.read(), self.thins)
        self.catalogue = decision.committed
        if decision.pending is not None:
            self._settle(decision)
        self._adjust_devices(self.catalogue)
        self._finish_removals()

    def _settle(self, decision: recovery.Decision) -> None:
        committed, pending = decision.committed, decision.pending
        assert pending is not None
        self.state.refuse_unless_writable()
        for thin_id in decision.delete_ids:
            kernel.message(self.name, f"delete {thin_id}")
        if decision.forward:
            result = pending
            self.notes.append("A removal that had been interrupted was finished.")
        else:
            # Written although nothing changes: else the slot of what was undone would be there for ever. Its ids are
            # not used again.
            result = committed.after(committed.sequence + 1, next_id=pending.next_id)
            self.slots.write(result)
            self.notes.append("A change that had been interrupted was undone.")
        self._set_transaction_id(committed.sequence)
        self._verify(result.sequence)
        self.catalogue = result
        self.refresh()

    def _finish_removals(self) -> None:
        """Of volumes whose removal was begun: what they hold may be discarded already."""
        begun = [volume.name for volume in self.catalogue.volumes.values() if volume.removing]
        if not begun or self.state.status.mode is None:
            return
        active = self.active_ids()
        batch = Batch(self.catalogue, self.thins)
        finished = []
        for name in begun:
            volume = batch.volume(name, even_removing=True)
            if volume.thin_id in active:
                try:
                    Device(active[volume.thin_id]).remove()
                except DeviceError as error:
                    self.notes.append(f"{name} is to be removed, and in use: {error}")
                    continue
            finished.append(batch.remove(name).name)
        if finished:
            self.commit(batch)
            self.notes.append(f"The removal of {', '.join(finished)}, which had been interrupted, was finished.")

    def _adjust_devices(self, catalogue: Catalogue) -> None:
        """Names and sizes of active volumes that the last change has changed."""
        changed = {one.thin_id: one for one in catalogue.operations if one.kind in (RENAME, RESIZE)}
        if not changed:
            return
        by_id = {volume.thin_id: volume for volume in catalogue.volumes.values()}
        for name, thin_id, size_sectors in list(kernel.thin_devices(self.state)):
            volume = by_id.get(thin_id)
            if volume is None or thin_id not in changed:
                continue
            device = Device(name)
            if size_sectors != volume.size_sectors:
                device.load([kernel.thin_line(self.state, thin_id, volume.size_sectors)])
                device.resume()
            wanted = kernel.device_name(self.name, volume.name)
            if name != wanted and device.info().uuid == kernel.volume_uuid_text(self.uuid, volume.uuid):
                device.rename(wanted)

    # ---- volumes ----

    def volume(self, name: str) -> Volume:
        """Raises NoVolumeError."""
        return Batch(self.catalogue, self.thins).volume(name)

    def activate(self, name: str, *, read_only: bool = False) -> str:
        """The path of the device. One that is active already is left as it is. Raises DeviceError."""
        volume = self.volume(name)
        device = kernel.active(self.uuid, volume)
        if device is None:
            device = kernel.activate(self.state, self.uuid, volume, read_only=read_only)
        return kernel.path_of(device)

    def deactivate(self, name: str, *, deferred: bool = False) -> None:
        """Raises DeviceError: EBUSY where it is in use. One that is not active is left as it is."""
        device = kernel.active(self.uuid, self.volume(name))
        if device is not None:
            device.remove(retry=not deferred, deferred=deferred)


def refuse_foreign(state: kernel.State) -> None:
    """Raises ForeignPoolError for a pool that another manager of volumes has made."""
    for prefix, owner in kernel.FOREIGN_PREFIXES.items():
        if state.uuid.startswith(prefix):
            raise ForeignPoolError(f"The pool {state.name} belongs to {owner}, which manages its volumes.")


def own_uuid(state: kernel.State) -> uuids.UUID:
    """The uuid of a pool that dmctl manages. Raises ForeignPoolError."""
    refuse_foreign(state)
    uuid = kernel.pool_uuid_of(state.uuid)
    if uuid is None:
        message = f"The pool {state.name} has no catalogue of volumes; dmctl thin pool adopt {state.name} makes one."
        raise ForeignPoolError(message)
    return uuid


@contextmanager
def open_slots(state: kernel.State, uuid: uuids.UUID) -> Iterator[Slots]:
    """The catalogue's device, open for nobody else."""
    thin = kernel.read_metadata(state).thins.get(CATALOGUE_ID)
    if thin is None:
        raise CatalogueError(f"The pool {state.name} has no catalogue; dmctl thin pool init {state.name} makes one.")
    size_bytes = thin.mapped_blocks * state.arguments.block_sectors * SECTOR_BYTES
    kernel.activate_catalogue(state, uuid, size_bytes)
    device = Device(kernel.catalogue_device_name(state.name))
    flags = os.O_RDWR | os.O_DIRECT | os.O_DSYNC | os.O_EXCL
    try:
        descriptor = kernel.open_node(device, flags)
    except DmctlError as error:
        if error.errno != errno.EBUSY:
            raise
        raise InUseError(f"Something else has the catalogue of {state.name} open.", errno=errno.EBUSY) from None
    try:
        yield Slots(descriptor)
    finally:
        os.close(descriptor)


def look(name: str) -> tuple[kernel.State, Catalogue, dict[int, Thin]]:
    """A pool's volumes as they are committed, without a lock: nothing is changed, and nobody is waited for.

    Raises NotFoundError, UsageError, ForeignPoolError, CatalogueError, MismatchError, MetadataError.
    """
    state = kernel.state(name)
    uuid = own_uuid(state)
    for _ in range(_TRIES):
        state = kernel.state(name)
        metadata = kernel.read_metadata(state)
        thin = metadata.thins.get(CATALOGUE_ID)
        if thin is None:
            break
        kernel.activate_catalogue(state, uuid, thin.mapped_blocks * state.arguments.block_sectors * SECTOR_BYTES)
        device = Device(kernel.catalogue_device_name(name))
        descriptor = kernel.open_node(device, os.O_RDONLY | os.O_DIRECT)
        try:
            found = Slots(descriptor).read()
        finally:
            os.close(descriptor)
        sequence = metadata.superblock.transaction_id
        committed = next((slot for slot in found if slot and slot.sequence == sequence), None)
        if committed:
            return state, committed, metadata.thins
        if kernel.transaction_on_disk(state) == sequence:
            recovery.decide(sequence, found, metadata.thins)
    raise CatalogueError(f"The pool {name} has no catalogue that can be read; dmctl thin doctor {name} tells more.")
