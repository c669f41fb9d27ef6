# SPDX-License-Identifier: LGPL-2.1-or-later
"""The superblock before a hash tree, which userspace puts there and the kernel never reads.

Documentation/admin-guide/device-mapper/verity.rst points to where its format is described: cryptsetup's wiki on
DMVerity.
"""

from __future__ import annotations

import struct
import uuid as uuids
from dataclasses import dataclass

from dmctl.errors import DmctlError, UsageError
from dmctl.verity.hashing import MAX_SALT_BYTES
from dmctl.verity.tree import Parameters

SIZE_BYTES = 512
_MAGIC = b"verity\0\0"
_VERSION = 1
# Magic, version, hash type, uuid, algorithm, block sizes of data and hashes, data blocks, size of the salt, salt.
_LAYOUT = struct.Struct("<8sII16s32sIIQH6x256s168x")
# Where nothing is: its offset and length.
_UNUSED = ((82, 6), (344, 168))
_ALGORITHM_AT, _ALGORITHM_BYTES, _SALT_AT = 32, 32, 88


class SuperblockError(DmctlError):
    """What is there is not a superblock, or says what cannot be."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """A tree's parameters, and a uuid that names it."""

    parameters: Parameters
    uuid: uuids.UUID

    @classmethod
    def from_bytes(cls, data: bytes) -> Superblock:
        """Read one from its 512 bytes. Raises SuperblockError, whatever they are."""
        if len(data) < SIZE_BYTES:
            raise SuperblockError(f"There are only {len(data)} bytes where a verity superblock of 512 should be.")
        magic, version, hash_type, uuid, name, data_block, hash_block, blocks, salt_bytes, salt = _LAYOUT.unpack(
            data[:SIZE_BYTES]
        )
        if magic != _MAGIC:
            raise SuperblockError("There is no verity superblock.")
        if version != _VERSION:
            raise SuperblockError(f"The verity superblock is of the unknown version {version}.")
        if salt_bytes > MAX_SALT_BYTES:
            raise SuperblockError(f"The verity superblock says that its salt has {salt_bytes} bytes.")
        try:
            algorithm = name.partition(b"\0")[0].decode("ascii")
            parameters = Parameters(blocks, data_block, hash_block, algorithm, salt[:salt_bytes], hash_type)
        except UnicodeDecodeError:
            raise SuperblockError("The verity superblock names no hash algorithm.") from None
        except UsageError as error:
            raise SuperblockError(f"The verity superblock says what cannot be. {error}") from None
        return cls(parameters, uuids.UUID(bytes=uuid))

    def to_bytes(self) -> bytes:
        """The 512 bytes. Raises UsageError where the algorithm's name is too long for them."""
        parameters = self.parameters
        name = parameters.algorithm.encode("ascii")
        if len(name) >= _ALGORITHM_BYTES:
            raise UsageError(f"The name of hash algorithm {parameters.algorithm} is too long for a superblock.")
        return _LAYOUT.pack(
            _MAGIC,
            _VERSION,
            parameters.hash_type,
            self.uuid.bytes,
            name,
            parameters.data_block_bytes,
            parameters.hash_block_bytes,
            parameters.data_blocks,
            len(parameters.salt),
            parameters.salt,
        )


def stray_bytes(data: bytes) -> list[int]:
    """Offsets of bytes that should be zero and are not, in a superblock that from_bytes() takes."""
    name_end = data.find(b"\0", _ALGORITHM_AT, _ALGORITHM_AT + _ALGORITHM_BYTES)
    salt_end = _SALT_AT + _LAYOUT.unpack(data[:SIZE_BYTES])[8]
    unused = [*_UNUSED, (name_end, _ALGORITHM_AT + _ALGORITHM_BYTES - name_end), (salt_end, _UNUSED[1][0] - salt_end)]
    return sorted(at for start, length in unused for at in range(start, start + length) if data[at])


def tree_offset_bytes(hash_offset_bytes: int, hash_block_bytes: int, *, superblock: bool) -> int:
    """Where the tree begins on its device: in the first whole hash block behind the superblock, if there is one.

    Raises UsageError where the offset cannot be.
    """
    unit = SIZE_BYTES if superblock else hash_block_bytes
    if hash_offset_bytes < 0 or hash_offset_bytes % unit:
        raise UsageError(f"The hash offset {hash_offset_bytes} is not a multiple of {unit} bytes.")
    end = hash_offset_bytes + (SIZE_BYTES if superblock else 0)
    return -(-end // hash_block_bytes) * hash_block_bytes
