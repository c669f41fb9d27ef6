# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which regions of a source cannot be copied. The kernel does not stop at them: it tries again for ever, and tells of
them only that there are some ("Known issues" of its dm-clone document)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dmctl.clone.hydration import counts
from dmctl.clone.live import Live
from dmctl.units import SECTOR_BYTES

_LEAST_S = 2.0
_TRIES = 2
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Stall:
    """What has stopped a clone. ranges: bytes of the source that could not be copied, from the first to before the
    second number.

    answered: whether all copies under way came back; if not, nothing is known of which fail, and ranges are all that is
    not copied yet.
    """

    ranges: tuple[tuple[int, int], ...]
    answered: bool

    @property
    def bytes(self) -> int:
        return sum(end - start for start, end in self.ranges)


def isolate(live: Live, *, seconds: float) -> Stall:
    """Stop the copying, after it has been tried region by region what can be copied by itself.

    A batch with one bad region fails as a whole, so most of what is left may be good. seconds: how long to wait at most
    for something to be copied. Nothing is copied in the background when this returns, or raises: hydrate() starts that
    again. Raises DeviceError, CloneError, MetadataError.
    """
    status = live.status()
    try:
        live.hydrate(False)
        if answered := live.settled(seconds):
            live.tune(threshold=1, batch=1)
            live.hydrate(True)
            _wait_until_tried(live, seconds)
    finally:
        live.hydrate(False)
        live.tune(threshold=status.hydration_threshold_regions, batch=status.hydration_batch_size_regions)
    answered = live.settled(seconds) and answered
    bitmap = live.bitmap()
    return Stall(tuple(bitmap.bytes_of(found) for found in bitmap.ranges(hydrated=False)), answered)


def _wait_until_tried(live: Live, seconds: float) -> None:
    """Until each region that is left was read twice since one came out well, or nothing has for so long."""
    hydrated = -1
    moved_at = read = 0.0
    while True:
        status = live.status()
        now = time.monotonic()
        if status.hydrated_regions != hydrated:
            hydrated, moved_at = status.hydrated_regions or 0, now
            read = counts(live.source).read_sectors
        left = (status.total_regions or 0) - hydrated
        if not left or now - moved_at > max(seconds, _LEAST_S):
            return
        tried = counts(live.source).read_sectors - read >= _TRIES * left * (status.region_sectors or 0)
        if tried and now - moved_at > _LEAST_S:
            return
        time.sleep(_POLL_S)


def describe(found: tuple[int, int]) -> str:
    """A range for people: "bytes 1048576 to 1081343 (32 KiB from sector 2048)"."""
    from dmctl.units import format_size

    start, end = found
    return f"bytes {start} to {end - 1} ({format_size(end - start)} from sector {start // SECTOR_BYTES})"
