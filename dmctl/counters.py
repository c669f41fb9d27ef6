# SPDX-License-Identifier: LGPL-2.1-or-later
"""The counters of a device's statistics regions, read without clearing them, and the rates between two readings.

libdevmapper's own way to read them, dm_stats_populate(), sets them to zero for everybody else who counts.
"""

from dmctl.libdm.stats import AREA, GROUP, PERCENT, RANGES, SUFFIXES, VALUES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl.libdm.stats import Stats

# Places in the kernel's line, behind START+LENGTH (message @stats_print, drivers/md/dm-stats.c).
READS, READS_MERGED, READ_SECTORS, READ_TIME, WRITES, WRITES_MERGED, WRITE_SECTORS, WRITE_TIME = range(8)
IN_PROGRESS, IO_TIME, WEIGHTED_TIME, ALL_READ_TIME, ALL_WRITE_TIME, COUNTERS = range(8, 14)
_TIMES = (READ_TIME, WRITE_TIME, IO_TIME, WEIGHTED_TIME, ALL_READ_TIME, ALL_WRITE_TIME)
_NS_A_MS, _NS_A_SECOND = 1_000_000, 1_000_000_000
_UNBOUNDED = 0xFFFFFFFFFFFFFFFF

# Least widths of what stands in a histogram.
_BOUND_WIDTH, _BOUND_WIDTH_WITHOUT_UNIT, _VALUE_WIDTH = 6, 10, 6


class Area:
    """The counters of one area: COUNTERS numbers, times in nanoseconds, and the bins of its histogram."""

    __slots__ = ("bins", "counters")

    def __init__(self, counters: list[int], bins: list[int]):
        self.counters = counters
        self.bins = bins

    @classmethod
    def parse(cls, line: str, *, precise: bool) -> "Area":
        """A line of @stats_print: START+LENGTH, the counters, and with a histogram its bins joined by colons."""
        words = line.split()[1:]
        counters = [int(word) for word in words[:COUNTERS]]
        if not precise:
            for place in _TIMES:
                counters[place] *= _NS_A_MS
        bins = [int(word) for word in words[COUNTERS].split(":")] if len(words) > COUNTERS else []
        return cls(counters, bins)

    def since(self, earlier: "Area") -> "Area":
        """What has been counted since an earlier reading; all of it where somebody has cleared the region since."""
        if any(now < then for now, then in zip(self._growing(), earlier._growing(), strict=True)):
            return self
        counters = [now - then for now, then in zip(self.counters, earlier.counters, strict=True)]
        counters[IN_PROGRESS] = self.counters[IN_PROGRESS]
        return Area(counters, [now - then for now, then in zip(self.bins, earlier.bins, strict=True)])

    def _growing(self) -> list[int]:
        return self.counters[:IN_PROGRESS] + self.counters[IO_TIME:] + self.bins


class Sample:
    """One reading of a device's regions, and the answers about the object that its `stats` stands on.

    clear: set the counters to zero after reading, as dmstats does. set_interval() says what time a rate is about.
    """

    def __init__(self, stats: "Stats", earlier: "Sample | None", *, clear: bool):
        self._stats = stats
        self._interval = _NS_A_SECOND
        self._read: dict[int, list[Area]] = {}
        self._regions: dict[int, list[Area]] = {}
        for region in stats.regions():
            precise = stats.precise
            lines = stats.print_region(region, clear=clear).splitlines()
            areas = self._read[region] = [Area.parse(line, precise=precise) for line in lines]
            before = earlier._read.get(region, []) if earlier and not clear else []
            comparable = len(before) == len(areas) and all(
                len(one.bins) == len(other.bins) for one, other in zip(before, areas, strict=True)
            )
            self._regions[region] = (
                [now.since(then) for now, then in zip(areas, before, strict=True)] if comparable else areas
            )

    def set_interval(self, nanoseconds: int) -> None:
        """The time between the two readings."""
        self._interval = nanoseconds

    def _members(self) -> list[int]:
        """The regions that the object consists of."""
        stats = self._stats
        return expand(stats.group_members(stats.group)) if stats.kind == GROUP else [stats.current_region]

    def _areas(self) -> list[Area]:
        stats = self._stats
        if stats.kind == AREA:
            return [self._regions[stats.current_region][stats.current_area]]
        return [area for region in self._members() for area in self._regions.get(region, ())]

    def counter(self, number: int) -> int:
        """A counter of the object: the sum over its areas."""
        return sum(area.counters[number] for area in self._areas())

    def per_second(self, number: int) -> float:
        """A counter's rate."""
        return self.counter(number) * _NS_A_SECOND / self._interval

    def _ratio(self, over: tuple[int, ...], under: tuple[int, ...]) -> float:
        below = sum(self.counter(number) for number in under)
        return sum(self.counter(number) for number in over) / below if below else 0.0

    def metric(self, number: int) -> float:
        """A metric by its number in libdevmapper's dm_stats_metric_t; times in nanoseconds, sizes in sectors."""
        rates = (READS_MERGED, WRITES_MERGED, READS, WRITES, READ_SECTORS, WRITE_SECTORS)
        if number < len(rates):
            return self.per_second(rates[number])
        requests = (READS, WRITES)
        return (
            self._ratio((READ_SECTORS, WRITE_SECTORS), requests),
            self.counter(WEIGHTED_TIME) / self._interval,
            self._ratio((READ_TIME, WRITE_TIME), requests),
            self._ratio((READ_TIME,), (READS,)),
            self._ratio((WRITE_TIME,), (WRITES,)),
            self._ratio((IO_TIME,), requests),
            self.per_second(READS) + self.per_second(WRITES),
        )[number - len(rates)]

    def utilization(self) -> int:
        """In millionths of a per cent."""
        return to_millionths(min(self.counter(IO_TIME), self._interval) / self._interval)

    def histogram(self, style: int, width: int = 0) -> str:
        """The histogram as libdevmapper writes it; "" without one. width: -1 for no padding."""
        if not style & (VALUES | PERCENT):
            return self._stats.histogram(style, width)
        bounds = self._stats.bin_bounds(self._members()[0])
        areas = [area.bins for area in self._areas() if len(area.bins) == len(bounds)]
        if not bounds or not areas:
            return ""
        counts = [sum(bins) for bins in zip(*areas, strict=True)]
        return write_histogram(bounds, counts, style, width)


def expand(regions: str) -> list[int]:
    """The numbers in a list such as "0-3,5"."""
    numbers: list[int] = []
    for part in regions.split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def write_histogram(bounds: list[tuple[int, int]], counts: list[int], style: int, width: int) -> str:
    """Values or percentages of the bins, with their bounds where `style` wants them, as dm_histogram_to_string()."""
    padded = width >= 0
    separator = ":" if not padded else "," if style & RANGES else ""
    pieces = []
    for (lower, upper), count in zip(bounds, counts, strict=True):
        room = _VALUE_WIDTH if padded else 0
        bound = ""
        if style & RANGES:
            least = (_BOUND_WIDTH if style & SUFFIXES else _BOUND_WIDTH_WITHOUT_UNIT) if padded else 0
            bound = _bound_text(lower, upper, style, least) + ":"
            room = max(0, room - (len(bound) - (least + 1))) if padded else 0
        value = f"{_percent(count, sum(counts)):{room}.2f}%" if style & PERCENT else f"{count:{room}}"
        pieces.append(bound + value)
    return separator.join(pieces)


def _bound_text(lower: int, upper: int, style: int, least: int) -> str:
    low, high = (_time_text(bound, with_unit=bool(style & SUFFIXES)) for bound in (lower, upper))
    if style & RANGES != RANGES:
        return low.rjust(least)
    return f">{low}".rjust(least) if upper == _UNBOUNDED else f"{low}-{high}"


def _time_text(nanoseconds: int, *, with_unit: bool) -> str:
    """In the greatest unit that leaves a whole number."""
    if with_unit:
        for unit, length in (("s", _NS_A_SECOND), ("ms", _NS_A_MS), ("us", 1000)):
            if nanoseconds % length == 0:
                return f"{nanoseconds // length}{unit}"
    return f"{nanoseconds}ns" if with_unit else str(nanoseconds)


def _percent(part: int, whole: int) -> float:
    return to_millionths(part / whole) / 1_000_000 if whole else 0.0


def to_millionths(share: float) -> int:
    """A share of 1 in millionths of a per cent, where only nothing is 0 and only all of it 100 per cent."""
    if 0 < share < 1:
        return min(max(int(100_000_000 * share), 1), 99_999_999)
    return 100_000_000 if share else 0
