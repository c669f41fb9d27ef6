# SPDX-License-Identifier: LGPL-2.1-or-later
"""How two thins of a pool differ, in what is mapped; what is in the blocks is not read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dmctl.thin.blocks import Reader, Run
from dmctl.thin.metadata import Thin

KINDS = ("same", "different", "left_only", "right_only")


@dataclass(frozen=True)
class Stretch:
    """A range of virtual blocks. left, right: the data block that each has its first block in; None: not mapped."""

    kind: str
    begin: int
    blocks: int
    left: int | None
    right: int | None

    def continued_by(self, other: Stretch) -> bool:
        """Whether the other one only goes on with this one."""
        return (
            self.kind == other.kind
            and self.begin + self.blocks == other.begin
            and all(a is None or a + self.blocks == b for a, b in ((self.left, other.left), (self.right, other.right)))
        )


def delta(reader: Reader, left: Thin, right: Thin, *, below_block: int | None = None) -> Iterator[Stretch]:
    """Ascending, longest possible stretches. below_block: the volume's end; what is mapped behind it is left out."""
    pending: Stretch | None = None
    for stretch in _pieces(_Cut(reader, left, below_block), _Cut(reader, right, below_block)):
        if pending and pending.continued_by(stretch):
            pending = Stretch(pending.kind, pending.begin, pending.blocks + stretch.blocks, pending.left, pending.right)
            continue
        if pending:
            yield pending
        pending = stretch
    if pending:
        yield pending


def plain(stretches: Iterator[Stretch]) -> Iterator[tuple[str, int, int]]:
    """Kind, begin and length alone, neighbours of one kind in one."""
    pending: tuple[str, int, int] | None = None
    for stretch in stretches:
        if pending and (pending[0], pending[1] + pending[2]) == (stretch.kind, stretch.begin):
            pending = (pending[0], pending[1], pending[2] + stretch.blocks)
            continue
        if pending:
            yield pending
        pending = (stretch.kind, stretch.begin, stretch.blocks)
    if pending:
        yield pending


class _Cut:
    """A thin's runs, from which pieces are cut off at the front. run: what is left of the first; None at the end."""

    def __init__(self, reader: Reader, thin: Thin, below_block: int | None):
        self._runs = reader.runs(thin.root) if thin.root is not None else iter(())
        self._below = below_block
        self.run: Run | None = None
        self._next()

    def _next(self) -> None:
        run = next(self._runs, None)
        if run and self._below is not None:
            blocks = min(run.blocks, self._below - run.virtual_block)
            run = run._replace(blocks=blocks) if blocks > 0 else None
        self.run = run

    def cut(self, blocks: int) -> int:
        """The data block in which what is cut off begins."""
        run = self.run
        assert run is not None
        if blocks == run.blocks:
            self._next()
        else:
            self.run = Run(run.virtual_block + blocks, run.data_block + blocks, run.blocks - blocks, run.time)
        return run.data_block


def _pieces(left: _Cut, right: _Cut) -> Iterator[Stretch]:
    while left.run or right.run:
        if left.run and right.run and left.run.virtual_block == right.run.virtual_block:
            blocks = min(left.run.blocks, right.run.blocks)
            begin = left.run.virtual_block
            kind = "same" if left.run.data_block == right.run.data_block else "different"
            yield Stretch(kind, begin, blocks, left.cut(blocks), right.cut(blocks))
            continue
        only_left = bool(left.run and (not right.run or left.run.virtual_block < right.run.virtual_block))
        first, other = (left, right) if only_left else (right, left)
        assert first.run is not None
        begin, blocks = first.run.virtual_block, first.run.blocks
        if other.run:
            blocks = min(blocks, other.run.virtual_block - begin)
        data = first.cut(blocks)
        if only_left:
            yield Stretch("left_only", begin, blocks, data, None)
        else:
            yield Stretch("right_only", begin, blocks, None, data)
