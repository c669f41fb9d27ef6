# SPDX-License-Identifier: LGPL-2.1-or-later
"""Superblocks as disks may have them: nothing but typed errors, and no memory for what they claim."""

import os
import resource
import struct
import uuid as uuids
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmctl.errors import UsageError
from dmctl.verity.existing import open_existing
from dmctl.verity.hashing import algorithms
from dmctl.verity.superblock import SIZE_BYTES, Superblock, SuperblockError, stray_bytes
from dmctl.verity.tree import MAX_BYTES, Parameters

SIZES = st.sampled_from([1 << shift for shift in range(9, 20)])
WORDS = st.one_of(SIZES, st.integers(0, 2**32 - 1))
NUMBERS = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**32, 2**51, 2**63, 2**64 - 1]))
GOOD = Superblock(Parameters(300, salt=bytes(range(1, 33))), uuids.UUID(int=1)).to_bytes()


@given(st.integers(1, 2**40), SIZES, SIZES, st.sampled_from(algorithms()), st.binary(max_size=256), st.integers(0, 1))
def test_round_trip(blocks, data_block, hash_block, algorithm, salt, hash_type):
    parameters = Parameters(blocks, data_block, hash_block, algorithm, salt, hash_type)
    superblock = Superblock(parameters, uuids.uuid4())
    raw = superblock.to_bytes()
    assert len(raw) == SIZE_BYTES and Superblock.from_bytes(raw) == superblock and stray_bytes(raw) == []
    # As the kernel's verity_ctr() counts: the levels end with one block, and do not overlap.
    levels = parameters.levels
    assert not levels or levels[-1].blocks == 1
    assert sum(level.blocks for level in levels) == parameters.hash_blocks
    assert all(upper.first_block + upper.blocks == lower.first_block for lower, upper in pairwise(levels))


@given(st.binary(max_size=600))
def test_garbage(data):
    with pytest.raises(SuperblockError):
        Superblock.from_bytes(data)


@given(st.dictionaries(st.integers(0, SIZE_BYTES - 1), st.integers(0, 255), min_size=1))
def test_damaged(changes):
    raw = bytearray(GOOD)
    for at, value in changes.items():
        raw[at] = value
    with suppress(SuperblockError):
        superblock = Superblock.from_bytes(bytes(raw))
        assert superblock.parameters.data_bytes <= MAX_BYTES
        assert all(raw[at] for at in stray_bytes(bytes(raw)))


@given(NUMBERS, WORDS, WORDS, st.one_of(st.integers(0, 256), st.integers(0, 2**16 - 1)))
def test_claims(tmp_path_factory, blocks, data_block, hash_block, salt_bytes):
    """Huge numbers are refused by what the device has, or as what cannot be."""
    folder = tmp_path_factory.getbasetemp()
    raw = bytearray(GOOD)
    struct.pack_into("<IIQH", raw, 64, data_block, hash_block, blocks, salt_bytes)
    (folder / "claims").write_bytes(raw + bytes(8192))
    (folder / "data").write_bytes(bytes(8192))
    with suppress(SuperblockError, UsageError), open_existing(str(folder / "data"), str(folder / "claims")) as there:
        parameters = there.image.parameters
        assert parameters.data_bytes <= 8192 and there.image.tree_offset_bytes + parameters.tree_bytes <= 512 + 8192


def test_no_memory_for_claims(tmp_path):
    """A sparse file as large as is claimed: what is read is one block."""
    raw = bytearray(GOOD)
    struct.pack_into("<Q", raw, 72, 1 << 28)  # 1 TiB of data, 8 GiB of tree
    for name, size in (("hash", 10 << 30), ("data", 1 << 40)):
        (tmp_path / name).write_bytes(raw if name == "hash" else b"")
        os.truncate(tmp_path / name, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_existing(str(tmp_path / "data"), str(tmp_path / "hash")) as there:
        assert there.image.parameters.hash_blocks == sum(1 << 28 >> 7 * level for level in (1, 2, 3, 4))
        assert not there.image.top_is(bytes(32))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (16 << 10)
