# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much metadata a pool needs."""

from __future__ import annotations

from dmctl.thin.superblock import MAX_METADATA_BLOCKS

_MAPPINGS_PER_LEAF = 126
"""Of 252 that fit: a tree that grows at random has its leaves half full."""
_SECTORS_PER_BLOCK = 8
MAX_USEFUL_SECTORS = MAX_METADATA_BLOCKS * _SECTORS_PER_BLOCK
"""The kernel uses no more of a metadata device."""


def metadata_sectors(data_block_sectors: int, pool_sectors: int, max_thins: int) -> int:
    """What thin_metadata_size says: a superblock, a block a thin, and leaves for all blocks of the data."""
    leaves = pool_sectors // data_block_sectors // _MAPPINGS_PER_LEAF
    return (1 + max_thins + leaves) * _SECTORS_PER_BLOCK
