# SPDX-License-Identifier: LGPL-2.1-or-later
"""Changes of a pool's volumes, gathered to be made as one."""

from __future__ import annotations

import errno
import uuid as uuids
from collections.abc import Collection
from dataclasses import replace

from dmctl.errors import DmctlError, UsageError
from dmctl.thin.catalogue import (
    CATALOGUE_ID,
    CREATE,
    DELETE,
    REMOVING,
    RENAME,
    RESIZE,
    SNAPSHOT,
    Catalogue,
    Operation,
    Volume,
    checked_blob,
    checked_name,
)


class NoVolumeError(DmctlError):
    """There is no volume by this name."""

    def __init__(self, message: str):
        super().__init__(message, errno=errno.ENOENT)


class Batch:
    """Changes of a catalogue, in order; nothing of them is done until a Pool commits them.

    taken_ids: of all thins in the pool, whosever they are. Each method raises UsageError for what cannot be,
    NoVolumeError for a volume that is not there, DmctlError with EEXIST for a name that is taken.
    """

    def __init__(self, catalogue: Catalogue, taken_ids: Collection[int]):
        self._before = catalogue
        self._taken = taken_ids
        self._next_id = catalogue.next_id
        self._volumes = dict(catalogue.volumes)
        self._names = {volume.name: volume.uuid for volume in catalogue.volumes.values()}
        self._made: list[Operation] = []
        self._deleted: list[Operation] = []
        self._other: list[Operation] = []

    def create(self, name: str, size_sectors: int, blob: bytes = b"") -> Volume:
        """An empty volume."""
        return self._new(name, size_sectors, None, blob)

    def snapshot(self, origin: str, name: str, *, blob: bytes | None = None) -> Volume:
        """A volume with what the origin has at the moment of the commit. blob: else the origin's."""
        of = self.volume(origin)
        return self._new(name, of.size_sectors, of, of.blob if blob is None else blob)

    def remove(self, name: str) -> Volume:
        """The volume, and what it holds."""
        volume = self.volume(name, even_removing=True)
        del self._volumes[volume.uuid]
        del self._names[name]
        new = next((one for one in self._made if one.thin_id == volume.thin_id), None)
        if new and not any(one.origin_id == volume.thin_id for one in self._made):
            self._made.remove(new)
        elif new or volume.thin_id in self._taken:  # else it is gone already
            self._deleted.append(Operation(DELETE, volume.thin_id))
        return volume

    def begin_removal(self, name: str) -> Volume:
        """Mark a volume, so that it is removed to the end whatever happens."""
        volume = self.volume(name)
        return self._put(replace(volume, flags=volume.flags | REMOVING))

    def rename(self, name: str, new_name: str) -> Volume:
        volume = self.volume(name)
        self._refuse_taken(new_name)
        del self._names[name]
        self._names[new_name] = volume.uuid
        self._other.append(Operation(RENAME, volume.thin_id))
        return self._put(replace(volume, name=new_name))

    def resize(self, name: str, size_sectors: int) -> Volume:
        volume = self.volume(name)
        self._other.append(Operation(RESIZE, volume.thin_id))
        return self._put(replace(volume, size_sectors=_checked_size(size_sectors)))

    def set_blob(self, name: str, blob: bytes) -> Volume:
        return self._put(replace(self.volume(name), blob=checked_blob(blob)))

    def volume(self, name: str, *, even_removing: bool = False) -> Volume:
        """As the changes so far leave it."""
        if name not in self._names:
            raise NoVolumeError(f"There is no volume {name}.")
        volume = self._volumes[self._names[name]]
        if volume.removing and not even_removing:
            raise NoVolumeError(f"The volume {name} is being removed.")
        return volume

    def result(self, active_ids: Collection[int]) -> Catalogue:
        """The catalogue after all changes. active_ids: thins that somebody may write to meanwhile.

        Of several snapshots of such a one only the first is made of it, and the others of that first one: they hold
        the same, and the origin need not be suspended for them.
        """
        first_of: dict[int, int] = {}
        made = []
        for one in self._made:
            origin = one.origin_id
            if one.kind == SNAPSHOT and origin in active_ids:
                if origin in first_of:
                    one = replace(one, origin_id=first_of[origin])  # noqa: PLW2901
                else:
                    first_of[origin] = one.thin_id
            made.append(one)
        return replace(
            self._before,
            sequence=self._before.sequence + 1,
            next_id=self._next_id,
            volumes=self._volumes,
            operations=(*made, *self._deleted, *self._other),
        )

    def _new(self, name: str, size_sectors: int, origin: Volume | None, blob: bytes) -> Volume:
        self._refuse_taken(name)
        volume = Volume(
            uuids.uuid4(),
            name,
            self._new_id(),
            self._before.sequence,
            _checked_size(size_sectors),
            origin.uuid if origin else None,
            0,
            checked_blob(blob),
        )
        kind = SNAPSHOT if origin else CREATE
        self._made.append(Operation(kind, volume.thin_id, origin.thin_id if origin else 0))
        self._names[name] = volume.uuid
        return self._put(volume)

    def _new_id(self) -> int:
        """One that there never was; thins that others have made are passed over."""
        while self._next_id in self._taken:
            self._next_id += 1
        if self._next_id >= CATALOGUE_ID:
            raise DmctlError("All ids of this pool have been used; none is used twice.")
        self._next_id += 1
        return self._next_id - 1

    def _put(self, volume: Volume) -> Volume:
        self._volumes[volume.uuid] = volume
        return volume

    def _refuse_taken(self, name: str) -> None:
        if checked_name(name) in self._names:
            raise DmctlError(f"There is a volume {name} already.", errno=errno.EEXIST)


def _checked_size(size_sectors: int) -> int:
    if not 0 < size_sectors < 1 << 54:
        raise UsageError(f"A volume cannot have {size_sectors} sectors.")
    return size_sectors
