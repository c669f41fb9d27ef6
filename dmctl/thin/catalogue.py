# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a pool's volumes are called, and what is bound to each: the catalogue, kept in a thin of the pool itself.

The thin CATALOGUE_ID has two slots, written in turn. A slot is a header and behind it the settings, the rows, and the
messages that lead to it from the slot before. It is the truth if its sequence number is the pool's transaction id: that
commits both at once. Little-endian:

    header     magic 8s, format u32, zero u32, digest 32s, pool uuid 16s, sequence u64, next id u64, settings 16 bytes
               (low-water blocks u64, features u32, zero u32), rows u32, operations u32, payload bytes u64
    row        uuid 16s, origin 16s, created u64, size in sectors u64, thin id u32, flags u32, name length u16,
               blob length u16, name, blob
    operation  kind u8, 3 zeros, thin id u32, origin's thin id u32, 4 zeros

The digest is SHA-256 of all that is used, with zeros in its own place.
"""

from __future__ import annotations

import hashlib
import struct
import uuid as uuids
from dataclasses import dataclass, field, replace

from dmctl.errors import DmctlError, ExitStatus, UsageError

CATALOGUE_ID = 2**24 - 1
"""Of all ids the one that whoever counts up from 0 or 1 comes to last."""
MAX_BLOB_BYTES = 256
MAX_NAME_BYTES = 100
"""The kernel's names have 127 bytes, of which the pool's own and a dash take some."""
FIRST_ID = 1

CREATE, SNAPSHOT, DELETE, RENAME, RESIZE = 1, 2, 3, 4, 5
"""Kinds of operations; the first three are messages to the pool."""

REMOVING = 1
"""Flag of a row: the volume is on its way out; what it holds may be gone already."""

MAGIC = b"DMCTLthn"
FORMAT = 1
_HEADER = struct.Struct("<8sII32s16sQQQIIIIQ")
_ROW = struct.Struct("<16s16sQQIIHH")
_OPERATION = struct.Struct("<B3xII4x")
_DIGEST = slice(16, 48)
VOLUME_BYTES = _ROW.size + MAX_NAME_BYTES + MAX_BLOB_BYTES + _OPERATION.size
"""The most that a volume takes in a slot, with an operation."""


class CatalogueError(DmctlError):
    """A slot that is none, or not whole."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.VERIFICATION


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume. uuid: its own, for ever. thin_id and created, the pool's transaction id when it was made, together tell
    its thin from any other one. origin: uuid of the volume that it was a snapshot of."""

    uuid: uuids.UUID
    name: str
    thin_id: int
    created: int
    size_sectors: int
    origin: uuids.UUID | None = None
    flags: int = 0
    blob: bytes = b""

    @property
    def removing(self) -> bool:
        return bool(self.flags & REMOVING)


@dataclass(frozen=True, slots=True)
class Operation:
    """What is done beside the writing of the slot. origin_id: of a snapshot."""

    kind: int
    thin_id: int
    origin_id: int = 0

    @property
    def message(self) -> str | None:
        """To the pool, if there is one."""
        if self.kind == SNAPSHOT:
            return f"create_snap {self.thin_id} {self.origin_id}"
        return {CREATE: f"create_thin {self.thin_id}", DELETE: f"delete {self.thin_id}"}.get(self.kind)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pool's table says beside its devices: see dmctl.targets.thin_pool. features: their names."""

    low_water_blocks: int = 0
    features: frozenset[str] = frozenset()


_FEATURES = ("skip_block_zeroing", "ignore_discard", "no_discard_passdown", "error_if_no_space")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a slot says. volumes: by uuid."""

    pool_uuid: uuids.UUID
    sequence: int
    next_id: int = FIRST_ID
    settings: Settings = Settings()
    volumes: dict[uuids.UUID, Volume] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()

    def by_name(self, name: str) -> Volume | None:
        return next((volume for volume in self.volumes.values() if volume.name == name), None)

    def after(self, sequence: int, *, next_id: int | None = None) -> Catalogue:
        """The same with this number, and nothing to be done for it."""
        return replace(self, sequence=sequence, next_id=max(self.next_id, next_id or 0), operations=())

    def to_bytes(self) -> bytes:
        """The used part of a slot."""
        rows = b"".join(map(_row, self.volumes.values()))
        operations = b"".join(_OPERATION.pack(one.kind, one.thin_id, one.origin_id) for one in self.operations)
        features = sum(1 << bit for bit, name in enumerate(_FEATURES) if name in self.settings.features)
        payload = rows + operations
        numbers = (len(self.volumes), len(self.operations), len(payload))
        settings = (self.settings.low_water_blocks, features, 0)
        identity = (self.pool_uuid.bytes_le, self.sequence, self.next_id)
        whole = bytearray(_HEADER.pack(MAGIC, FORMAT, 0, bytes(32), *identity, *settings, *numbers) + payload)
        whole[_DIGEST] = hashlib.sha256(whole).digest()
        return bytes(whole)

    @staticmethod
    def size_of(slot: bytes) -> int:
        """How long the used part says that it is; 0 where there is none. Not to be believed before it is checked."""
        if len(slot) < _HEADER.size or slot[:8] != MAGIC:
            return 0
        size: int = _HEADER.unpack_from(slot)[-1]
        return _HEADER.size + size

    @classmethod
    def from_bytes(cls, slot: bytes) -> Catalogue:
        """Raises CatalogueError where it is no slot, is not whole, or of a format that is not known."""
        if len(slot) < _HEADER.size or slot[:8] != MAGIC:
            raise CatalogueError("There is no catalogue.")
        _, form, _, digest, pool, sequence, next_id, low_water, features, _, rows, count, size = _HEADER.unpack_from(
            slot
        )
        if form != FORMAT:
            raise CatalogueError(f"The catalogue's format {form} is not known; a newer dmctl has made it.")
        if size > len(slot) - _HEADER.size or count * _OPERATION.size > size:
            raise CatalogueError("A slot of the catalogue is not whole.")
        whole = bytearray(slot[: _HEADER.size + size])
        whole[_DIGEST] = bytes(32)
        if hashlib.sha256(whole).digest() != digest:
            raise CatalogueError("A slot of the catalogue is not whole.")
        try:
            volumes, operations = _payload(whole, rows, count)
        except (struct.error, ValueError) as error:
            raise CatalogueError(f"A slot of the catalogue cannot be: {error}.") from None
        chosen = frozenset(name for bit, name in enumerate(_FEATURES) if features >> bit & 1)
        settings = Settings(low_water, chosen)
        return cls(uuids.UUID(bytes_le=pool), sequence, next_id, settings, volumes, operations)


def _payload(whole: bytearray, rows: int, count: int) -> tuple[dict[uuids.UUID, Volume], tuple[Operation, ...]]:
    """Rows and operations, which are all that there is. Raises struct.error, ValueError."""
    at = _HEADER.size
    volumes: dict[uuids.UUID, Volume] = {}
    for _ in range(rows):
        volume, at = _volume(whole, at)
        volumes[volume.uuid] = volume
    if at + count * _OPERATION.size != len(whole):
        raise ValueError("its parts are not as long as it says")
    if len({volume.name for volume in volumes.values()}) != rows:
        raise ValueError("two volumes have the same name or uuid")
    return volumes, tuple(Operation(*_OPERATION.unpack_from(whole, at + i * _OPERATION.size)) for i in range(count))


def _row(volume: Volume) -> bytes:
    name = volume.name.encode("utf-8", "surrogateescape")
    origin = volume.origin.bytes_le if volume.origin else bytes(16)
    numbers = (volume.created, volume.size_sectors, volume.thin_id, volume.flags, len(name), len(volume.blob))
    return _ROW.pack(volume.uuid.bytes_le, origin, *numbers) + name + volume.blob


def _volume(payload: bytes | bytearray, at: int) -> tuple[Volume, int]:
    own, origin, created, size_sectors, thin_id, flags, name_bytes, blob_bytes = _ROW.unpack_from(payload, at)
    at += _ROW.size
    name = bytes(payload[at : at + name_bytes]).decode("utf-8", "surrogateescape")
    blob = bytes(payload[at + name_bytes : at + name_bytes + blob_bytes])
    origin_uuid = uuids.UUID(bytes_le=origin) if any(origin) else None
    volume = Volume(uuids.UUID(bytes_le=own), name, thin_id, created, size_sectors, origin_uuid, flags, blob)
    return volume, at + name_bytes + blob_bytes


def slot_bytes(volumes: int, block_bytes: int) -> int:
    """The size of a slot for so many volumes with the largest rows and an operation each, in whole blocks."""
    needed = _HEADER.size + volumes * VOLUME_BYTES
    return -(-needed // block_bytes) * block_bytes


def checked_name(name: str) -> str:
    """A volume's name. Raises UsageError."""
    size = len(name.encode("utf-8", "surrogateescape"))
    why = ""
    if not name:
        why = "it is empty"
    elif size > MAX_NAME_BYTES:
        why = f"it has {size} bytes, and {MAX_NAME_BYTES} are the most"
    elif "/" in name or "\0" in name:
        why = "it has a / or a NUL in it"
    elif name.startswith("."):
        why = "it begins with a dot"
    elif not name.isprintable() and not any("\udc80" <= letter <= "\udcff" for letter in name):
        why = "it has letters in it that cannot be printed"
    if why:
        raise UsageError(f"{name!r} is no name of a volume: {why}.")
    return name


def checked_blob(blob: bytes) -> bytes:
    """Raises UsageError."""
    if len(blob) > MAX_BLOB_BYTES:
        raise UsageError(f"The blob has {len(blob)} bytes, and {MAX_BLOB_BYTES} are the most.")
    return blob
