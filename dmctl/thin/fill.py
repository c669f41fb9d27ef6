# SPDX-License-Identifier: LGPL-2.1-or-later
"""How full a pool is: of the metadata, what the kernel keeps back for itself is neither used nor to be had."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from dmctl.thin.kernel import State

_RESERVE_MOST_BLOCKS = 4096  # 16 MiB: METADATA_RESERVE of set_metadata_reserve() in dm-thin-metadata.c
_RESERVE_SHARE = 10


@dataclass(frozen=True, slots=True)
class Fill:
    """Blocks in use and in all; zeros for a pool that has failed. Metadata without the reserve."""

    data_used_blocks: int
    data_total_blocks: int
    metadata_used_blocks: int
    metadata_total_blocks: int

    @classmethod
    def of(cls, state: State) -> Fill:
        status = state.status
        total = status.metadata_total_blocks or 0
        reserve = min(total // _RESERVE_SHARE, _RESERVE_MOST_BLOCKS)
        used = max((status.metadata_used_blocks or 0) - reserve, 0)
        return cls(status.data_used_blocks or 0, status.data_total_blocks or 0, used, total - reserve)

    @property
    def data_percent(self) -> float:
        return _percent(self.data_used_blocks, self.data_total_blocks)

    @property
    def metadata_percent(self) -> float:
        return _percent(self.metadata_used_blocks, self.metadata_total_blocks)

    def to_dict(self) -> dict[str, int | float]:
        """For JSON."""
        shares = {"data_percent": round(self.data_percent, 2), "metadata_percent": round(self.metadata_percent, 2)}
        return {**asdict(self), **shares}


def _percent(used: int, total: int) -> float:
    return 100 * used / total if total else 0.0
