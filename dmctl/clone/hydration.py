# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far a clone is, how fast, and what holds it up; and a rate for it.

Only status without a flush is asked for, as one with a flush is a commit of the metadata.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Self

from dmctl.clone.live import Live
from dmctl.control import KernelLog
from dmctl.errors import DeviceError
from dmctl.event_poll import EventPoll
from dmctl.names import Devno
from dmctl.rates import Counts
from dmctl.targets.base import OK
from dmctl.targets.clone import READ_ONLY as METADATA_READ_ONLY
from dmctl.targets.clone import CloneStatus
from dmctl.units import SECTOR_BYTES

HYDRATING, PAUSED, STARVED, STALLED = "hydrating", "paused", "starved", "stalled"
READ_ONLY, FAILED, DONE = "read-only", "failed", "done"
STATES = {
    HYDRATING: "Regions are being copied.",
    PAUSED: "Nothing is copied in the background: by clone pause, or a threshold of 0.",
    STARVED: "Nothing is copied for a while, because others use the device; the kernel lets them go first.",
    STALLED: "Nothing is copied, though the kernel tries: the source or the destination fails, or does not answer.",
    READ_ONLY: "The metadata cannot be written any more, so the kernel does not remember what is copied.",
    FAILED: "The metadata cannot be used any more.",
    DONE: "The destination has everything: dmctl clone finish.",
}
ENDS = (READ_ONLY, FAILED, DONE)

_QUIET_S = 2.0  # the kernel looks for something to copy at least once a second (COMMIT_PERIOD)
_UNANSWERED_S = 10.0  # a copy of 1 MiB over a slow line takes its time
_AVERAGE_S = 10.0
_RATE_TICK_S, _RATE_HELD_S = 0.01, 0.05
_RATE_BURST_S = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """A clone at one moment. state: of STATES. rate: bytes a second, averaged over some ten seconds.

    quiet_s: how long nothing has been copied that should have been.
    """

    state: str
    status: CloneStatus
    rate: float
    quiet_s: float

    @property
    def total_regions(self) -> int:
        return self.status.total_regions or 0

    @property
    def hydrated_regions(self) -> int:
        return self.status.hydrated_regions or 0

    @property
    def left_bytes(self) -> int:
        return (self.total_regions - self.hydrated_regions) * (self.status.region_sectors or 0) * SECTOR_BYTES

    @property
    def eta_s(self) -> float | None:
        """When it will have everything, at this rate; None where it would never."""
        return self.left_bytes / self.rate if self.state == HYDRATING and self.rate >= 1 else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        region = (self.status.region_sectors or 0) * SECTOR_BYTES
        return {
            "state": self.state,
            "hydrated_regions": self.status.hydrated_regions,
            "total_regions": self.status.total_regions,
            "hydrating_regions": self.status.hydrating_regions,
            "region_bytes": region,
            "bytes_per_second": round(self.rate),
            "eta_seconds": None if self.eta_s is None else math.ceil(self.eta_s),
            "quiet_seconds": round(self.quiet_s, 1),
            "hydration_threshold_regions": self.status.hydration_threshold_regions,
            "hydration_batch_size_regions": self.status.hydration_batch_size_regions,
            "metadata_used_blocks": self.status.metadata_used_blocks,
            "metadata_total_blocks": self.status.metadata_total_blocks,
        }


class Watch:
    """Looks at a clone again and again: `with Watch(live) as watch: for progress in watch: ...`.

    interval_s: how often; at events, such as the end of it, at once. rate: so many bytes a second are copied at most,
    for as long as the `with` lasts, by switching the kernel's threshold off and on.
    Raises DmctlError where there is no device-mapper to ask; a look raises CloneError where the clone has gone.
    """

    def __init__(self, live: Live, *, interval_s: float = 1.0, rate: int | None = None):
        self.live = live
        self._interval_s = interval_s
        self._governor = Governor(live, rate) if rate else None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._events = self._stack.enter_context(EventPoll())
        self._log = self._stack.enter_context(KernelLog())
        if self._governor:
            self._stack.callback(self._governor.release)
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[Progress]:
        while True:
            self._events.arm()
            yield self.look()
            self._wait()

    def forget(self) -> None:
        """What was before does not count: somebody has changed what is copied, and how."""
        self._log.lines()
        self._begin()

    def _begin(self) -> None:
        self._hydrated = -1
        self._rate = 0.0
        self._at = self._moved_at = time.monotonic()
        self._failed = False
        self._source, self._own = counts(self.live.source), counts(self.live.devno)

    def look(self) -> Progress:
        """How it is now."""
        status = self.live.status()
        now = time.monotonic()
        marker = f"clone: {self.live.devno[0]}:{self.live.devno[1]}: hydration failed"
        self._failed |= any(marker in line for line in self._log.lines())
        hydrated = status.hydrated_regions or 0
        moved = hydrated - self._hydrated if self._hydrated >= 0 else 0
        if moved or self._hydrated < 0:
            self._moved_at, self._failed = now, False
            self._source, self._own = counts(self.live.source), counts(self.live.devno)
        self._average(moved * (status.region_sectors or 0) * SECTOR_BYTES, now)
        self._hydrated, self._at = hydrated, now
        state = self._state(status, now)
        if state == PAUSED:
            self._moved_at, self._failed = now, False
        return Progress(state, status, self._rate, now - self._moved_at)

    def _average(self, moved_bytes: int, now: float) -> None:
        took = now - self._at
        if took <= 0:
            return
        share = 1 - math.exp(-took / _AVERAGE_S)
        if not self._rate:  # the first is as good as any
            share = 1.0
        self._rate += share * (moved_bytes / took - self._rate)

    def _state(self, status: CloneStatus, now: float) -> str:
        if status.state != OK:
            state = FAILED
        elif status.mode == METADATA_READ_ONLY:
            state = READ_ONLY
        elif status.hydrated_regions == status.total_regions and not status.hydrating_regions:
            state = DONE
        elif status.no_hydration or not (status.hydration_threshold_regions or self._governor):
            state = PAUSED
        elif now - self._moved_at < _QUIET_S or (self._governor and self._governor.held):
            state = HYDRATING
        else:
            state = self._why_quiet(status, now - self._moved_at)
        return state

    def _why_quiet(self, status: CloneStatus, quiet_s: float) -> str:
        """Why nothing is copied: copies that fail, copies that do not come back, or others' requests."""
        source = counts(self.live.source).since(self._source)
        own = counts(self.live.devno).since(self._own)
        tried = source.read_sectors > own.read_sectors + own.write_sectors
        unanswered = quiet_s > _UNANSWERED_S and status.hydrating_regions and not source.read_sectors
        if self._failed or tried or unanswered:
            return STALLED
        return STARVED if own.read_sectors or own.write_sectors or own.in_flight else HYDRATING

    def _wait(self) -> None:
        end = time.monotonic() + self._interval_s
        while (left := end - time.monotonic()) > 0:
            step = min(left, self._governor.pause_s) if self._governor else left
            if self._events.wait(step + 0.0005):
                return
            if self._governor:
                self._governor.tick()


class Governor:
    """Keeps what is copied below a rate, by the kernel's threshold: 0 where it has been too much."""

    def __init__(self, live: Live, rate: int):
        self._live = live
        self._rate = rate
        status = live.status()
        self._threshold = status.hydration_threshold_regions or 1
        self._region_bytes = (status.region_sectors or 0) * SECTOR_BYTES
        self._hydrated = status.hydrated_regions or 0
        self._at = time.monotonic()
        self._budget_bytes = 0.0
        self.held = False

    @property
    def pause_s(self) -> float:
        """When to look again: soon while copies are made, else when as much as was too much would have been copied."""
        return min(max(-self._budget_bytes / self._rate, _RATE_TICK_S), _RATE_HELD_S) if self.held else _RATE_TICK_S

    def tick(self) -> None:
        """Look how much has been copied since the last time, and hold it back or let it go on."""
        now = time.monotonic()
        hydrated = self._live.status().hydrated_regions or 0
        copied = (hydrated - self._hydrated) * self._region_bytes
        self._budget_bytes += (now - self._at) * self._rate - copied
        self._budget_bytes = min(self._budget_bytes, _RATE_BURST_S * self._rate)
        self._hydrated, self._at = hydrated, now
        held = self._budget_bytes < 0
        if held != self.held:
            self._live.tune(threshold=0 if held else self._threshold)
            self.held = held

    def release(self) -> None:
        """Let the kernel copy as before, if it is still there."""
        with suppress(DeviceError):
            self._live.tune(threshold=self._threshold)


def counts(devno: Devno) -> Counts:
    """What was done to a block device; zeros where the kernel does not tell."""
    try:
        return Counts.of(devno)
    except (OSError, ValueError):
        return Counts()
