# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much metadata a pool needs."""

from __future__ import annotations

_MAPPINGS_PER_LEAF = 126
"""Of 252 that fit: a tree that grows at random has its leaves half full."""
_SECTORS_PER_BLOCK = 8
LEAST_SECTORS = 2 * 2048
"""2 MiB; below it a pool of one disk's size is full of metadata before it is full of data."""


def metadata_sectors(data_block_sectors: int, pool_sectors: int, max_thins: int) -> int:
    """What thin_metadata_size says: a superblock, a block a thin, and leaves for all blocks of the data."""
    leaves = pool_sectors // data_block_sectors // _MAPPINGS_PER_LEAF
    return (1 + max_thins + leaves) * _SECTORS_PER_BLOCK
