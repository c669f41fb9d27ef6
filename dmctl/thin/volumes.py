# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pool's volumes with what they take, of a pool that is active, and of one that is down."""

from __future__ import annotations

from dataclasses import dataclass

from dmctl.thin import slots
from dmctl.thin.catalogue import CATALOGUE_ID, Catalogue, CatalogueError, Volume
from dmctl.thin.listing import Space, spaces
from dmctl.thin.metadata import Metadata, Thin, opened
from dmctl.thin.pool import look
from dmctl.thin.recovery import MismatchError, match
from dmctl.thin.sources import consistent


@dataclass(frozen=True, slots=True)
class Entry:
    """volume: None for a thin that is none. space: None for a volume whose thin is gone."""

    volume: Volume | None
    space: Space | None

    @property
    def thin_id(self) -> int:
        if self.volume:
            return self.volume.thin_id
        assert self.space is not None
        return self.space.thin.thin_id


def of_pool(name: str, *, exclusive: bool = False) -> tuple[Catalogue, list[Entry]]:
    """Of an active pool, without a lock. exclusive: also what each has to itself. Raises as look() does."""
    _, catalogue, _ = look(name)
    with consistent(name, deep=exclusive) as metadata:
        return catalogue, _entries(catalogue, metadata, exclusive)


def of_devices(metadata_path: str, data_path: str, *, exclusive: bool = False) -> tuple[Catalogue, list[Entry]]:
    """Of a pool that is down, from its devices. Raises CatalogueError, MismatchError, MetadataError."""
    transaction_id, found = slots.offline(metadata_path, data_path)
    if not any(found):
        raise CatalogueError(f"{data_path} has no catalogue of the pool on {metadata_path}: are they of one pool?")
    catalogue = next((slot for slot in found if slot and slot.sequence == transaction_id), None)
    if catalogue is None:
        raise MismatchError(f"The transaction id of the pool on {metadata_path} is that of no catalogue.")
    with opened(metadata_path) as metadata:
        return catalogue, _entries(catalogue, metadata, exclusive)


def _entries(catalogue: Catalogue, metadata: Metadata, exclusive: bool) -> list[Entry]:
    metadata.refuse_damaged()
    by_id = {space.thin.thin_id: space for space in spaces(metadata, exclusive=exclusive)}
    thins: dict[int, Thin] = {thin_id: space.thin for thin_id, space in by_id.items()}
    matched = match(catalogue.volumes.values(), thins, CATALOGUE_ID)
    entries = [Entry(volume, by_id[volume.thin_id]) for volume in matched.kept]
    entries += [Entry(volume, None) for volume in matched.lost]
    entries += [Entry(None, by_id[thin.thin_id]) for thin in matched.orphans]
    return sorted(entries, key=lambda entry: entry.thin_id)
