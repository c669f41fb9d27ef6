# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fields of statistics reports, and which of them dmstats shows by itself."""

import struct
import time

from dmctl.cli.compat.switches import Request
from dmctl.libdm import stats as dm_stats
from dmctl.libdm.stats import LOWER_BOUNDS, PERCENT, RANGES, SUFFIXES, VALUES, Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dmctl.counters import Sample
    from dmctl.libdm.report import Value

_COUNTERS = (
    "read_count",
    "reads_merged_count",
    "read_sector_count",
    "read_time",
    "write_count",
    "writes_merged_count",
    "write_sector_count",
    "write_time",
    "in_progress_count",
    "io_ticks",
    "queue_ticks",
    "read_ticks",
    "write_ticks",
)
_RATES = ("reads_merged_per_sec", "writes_merged_per_sec", "reads_per_sec", "writes_per_sec")
_SIZES = ("read_size_per_sec", "write_size_per_sec", "avg_request_size")
_TIMES = ("await", "read_await", "write_await", "service_time")
# In the order of libdevmapper's dm_stats_metric_t, which ends with the utilization.
_METRICS = (*_RATES, *_SIZES, "queue_size", *_TIMES, "throughput")
_HISTOGRAMS = {
    "hist_count": VALUES,
    "hist_count_bounds": VALUES | LOWER_BOUNDS,
    "hist_count_ranges": VALUES | RANGES,
    "hist_percent": VALUES | PERCENT,
    "hist_percent_bounds": VALUES | PERCENT | LOWER_BOUNDS,
    "hist_percent_ranges": VALUES | PERCENT | RANGES,
    "hist_bounds": LOWER_BOUNDS,
    "hist_ranges": RANGES,
}
_KINDS = {dm_stats.NOTHING: "all", dm_stats.AREA: "area", dm_stats.REGION: "region", dm_stats.GROUP: "group"}
_MILLION = 1_000_000
_NS_A_MS, _NS_A_SECOND = 1_000_000, 1_000_000_000

_OBJECT = "statsname,group_id,region_id,obj_type"
_AREA = "area_id,area_start,area_len"
_REGION = f"{_OBJECT},region_start,region_len,area_count,area_len"
_REGION_AND_AREA = f"{_OBJECT},region_start,region_len,area_count,{_AREA}"
_READS = "read_count,reads_merged_count,read_sector_count,read_time,read_ticks"
_WRITES = "write_count,writes_merged_count,write_sector_count,write_time,write_ticks"
_ALL_METRICS = (
    "reads_merged_per_sec,writes_merged_per_sec,reads_per_sec,writes_per_sec,read_size_per_sec,write_size_per_sec,"
    "avg_request_size,queue_size,util,await,read_await,write_await"
)


def default_fields(request: Request) -> str:
    """The fields of a statistics command without -o."""
    if request.subcommand == "list":
        more = "hist_bins,hist_bounds" if request.has("histogram") else "program_id"
        return f"{_REGION_AND_AREA if request.verbosity else _REGION},{more}"
    if request.has("histogram"):
        return f"{_REGION},util,await,{'hist_percent_bounds' if request.has('relative') else 'hist_count_bounds'}"
    if request.has("raw"):
        return f"{_OBJECT},{_AREA},{_READS},{_WRITES},in_progress_count,io_ticks,queue_ticks"
    return f"{_OBJECT},{_AREA},{_ALL_METRICS}"


def objects(request: Request) -> int:
    """What the rows of the report are about: WALK_* of dmctl.libdm.stats."""
    if request.command != "stats":
        return 0
    what = request.has("area") * dm_stats.WALK_AREAS
    what |= request.has("region") * dm_stats.WALK_REGIONS
    what |= request.has("group") * dm_stats.WALK_GROUPS
    if request.subcommand == "report" and not what:
        return dm_stats.WALK_ALL | dm_stats.SKIP_SINGLE_AREA
    if request.subcommand == "list" and request.verbosity:
        return dm_stats.WALK_ALL | dm_stats.SKIP_SINGLE_AREA
    return what or dm_stats.WALK_REGIONS | dm_stats.WALK_GROUPS


class Units:
    """How sizes are printed. Raises ValueError for what is no unit."""

    def __init__(self, units: str):
        self._factor, self._letter = dm_stats.unit_factor(units)
        if not self._factor:
            raise ValueError(units)

    def text(self, sectors: int) -> str:
        return dm_stats.size_text(sectors, self._factor, self._letter, suffix=False)


class Interval:
    """The time that rates are about: the configured one at first, then what has passed between two readings."""

    def __init__(self, seconds: int):
        self.nanoseconds = seconds * _NS_A_SECOND
        self._read_at: int | None = None
        self._begun = True

    def begin(self) -> None:
        """The next reading is the first of a new interval."""
        self._begun = True

    def counters_were_read(self) -> None:
        """To be called right after the kernel has answered."""
        now = time.monotonic_ns()
        if self._begun:
            if self._read_at is not None:
                self.nanoseconds = now - self._read_at
            self._read_at = now
            self._begun = False


class StatsRow:
    """The fields of the object that `stats` stands on, each computed when it is asked for.

    counters: what answers for counters and metrics, `stats` itself or a Sample of its device.
    """

    def __init__(self, request: Request, stats: Stats, counters: "Stats | Sample", units: Units, interval: Interval):
        self._as_dmsetup = request.as_dmsetup
        self._width = -1 if request.has("noheadings") else 0
        self._suffixes = 0 if request.has("notimesuffix") else SUFFIXES
        self._stats = stats
        self._counters = counters
        self._units = units
        self._interval = interval

    def value(self, field: str) -> "Value":
        """A field by the name it has in -o."""
        stats = self._stats
        if field in _COUNTERS:
            return self._counters.counter(_COUNTERS.index(field))
        if field in _METRICS:
            return self._metric(field, self._counters.metric(_METRICS.index(field)))
        if field in _HISTOGRAMS:
            return self._counters.histogram(_HISTOGRAMS[field] | self._suffixes, self._width)
        values: dict[str, Callable[[], Value]] = {
            "util": self._utilization,
            "interval_ns": lambda: self._interval.nanoseconds,
            "interval": self._interval_in_seconds,
            "region_id": self._region,
            "region_start": lambda: self._size(stats.region_start),
            "region_len": lambda: self._size(stats.region_length),
            "area_id": lambda: 0 if stats.kind == dm_stats.GROUP else stats.current_area,
            "area_start": lambda: self._size(stats.area_start),
            "area_len": lambda: self._size(stats.area_length),
            "area_offset": lambda: self._size(stats.area_offset),
            "area_count": lambda: stats.area_count,
            "group_id": lambda: stats.group if stats.has_group(stats.group) else ("-", stats.group),
            "program_id": lambda: stats.program,
            "user_data": lambda: stats.user_data,
            "precise": lambda: self._word(int(stats.precise)),
            "hist_bins": lambda: self._word(stats.bin_count),
            "stats_name": lambda: stats.alias,
            "obj_type": lambda: _KINDS[stats.kind],
        }
        return values[field]()

    def _metric(self, field: str, value: float) -> "Value":
        if field in _SIZES:
            return self._units.text(int(value)), self._key(value)
        if field in _TIMES:
            value /= _NS_A_MS
        return f"{value:.2f}", self._key(value)

    def _utilization(self) -> "Value":
        share = self._counters.utilization()
        return dm_stats.percent_text(share), share if self._as_dmsetup else share // _MILLION

    def _interval_in_seconds(self) -> "Value":
        seconds = self._interval.nanoseconds / _NS_A_SECOND
        return f"{seconds:2.6f}", self._key(seconds)

    def _region(self) -> "Value":
        if self._stats.kind == dm_stats.GROUP:
            return self._stats.group_members(self._stats.group), self._stats.group
        return self._stats.current_region

    def _size(self, sectors: int) -> "Value":
        return self._units.text(sectors), _bits(sectors)

    def _key(self, value: float) -> int:
        """What a number is sorted and selected by. dmsetup hands a double over where libdevmapper wants an integer."""
        return _bits(value) if self._as_dmsetup else int(value)

    def _word(self, number: int) -> "Value":
        """The number of a field of text, for which dmsetup keeps no text to select by."""
        return number if self._as_dmsetup else str(number)


def _bits(value: float) -> int:
    """The bits of a double, which libdevmapper sorts sizes by."""
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])
