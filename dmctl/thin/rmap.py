# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which thins have a region of the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dmctl.thin.metadata import Metadata


class Use(NamedTuple):
    """A thin has these data blocks, from data_block on, at virtual_block and on."""

    data_block: int
    thin_id: int
    virtual_block: int
    blocks: int


def uses(metadata: Metadata, regions: Iterable[tuple[int, int]]) -> list[Use]:
    """By data block, and then by thin. regions: first block, and the first one behind."""
    found = []
    for begin, end in _merged(regions):
        for thin in metadata.thins.values():
            if thin.root is None:
                continue
            open_use: Use | None = None
            for run in metadata.reader.runs(thin.root, begin, end):
                # The pool's time parts runs too, and says nothing here.
                if open_use and (open_use.data_block + open_use.blocks, open_use.virtual_block + open_use.blocks) == (
                    run.data_block,
                    run.virtual_block,
                ):
                    open_use = open_use._replace(blocks=open_use.blocks + run.blocks)
                    continue
                if open_use:
                    found.append(open_use)
                open_use = Use(run.data_block, thin.thin_id, run.virtual_block, run.blocks)
            if open_use:
                found.append(open_use)
    return sorted(found)


def _merged(regions: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(regions):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
