# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counters of /sys/block/NAME/stat, the rates between two readings, and how dmctl top sorts and prints them."""

import itertools
from dataclasses import replace

import pytest

from dmctl.cli import top
from dmctl.counters import Area
from dmctl.rates import Counts, Rates, Reading, Region, between, regions_between

S = 10**9
MS = 10**6
# Documentation/block/stat.rst: Linux before 4.18, before 5.5, and since.
STATS = {
    11: "    2048       16    16384     1024     4096       32    65536    12288        3     5000   13312",
    15: "    2048       16    16384     1024     4096       32    65536    12288        3     5000   13312 9 8 7 6",
    17: "    2048       16    16384     1024     4096       32    65536    12288        3     5000   13312 9 8 7 6 5 4",
}
COUNTS = Counts(2048, 16384, 1024 * MS, 4096, 65536, 12288 * MS, 5000 * MS, 3)


@pytest.mark.parametrize("words", STATS)
def test_stat(words):
    assert len(STATS[words].split()) == words
    assert Counts.parse(STATS[words] + "\n") == replace(COUNTS, discard_sectors=7 if words > 11 else 0)


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d e f g h i j k"])
def test_what_is_no_stat(text):
    with pytest.raises(ValueError):
        Counts.parse(text)


def reading(counts, at_ns=0, name="a", sequence="7", in_flight=(0, 0), regions=None):
    return Reading(name, "dm-0", (254, 0), ("dm-0", sequence), at_ns, counts, *in_flight, regions or {})


def test_between():
    later = Counts(2058, 16464, 1044 * MS, 4100, 65568, 12488 * MS, 5250 * MS, 1)
    rates = between(reading(COUNTS, 5 * S), reading(later, 7 * S), 0)
    assert rates == Rates(2 * S, Counts(10, 80, 20 * MS, 4, 32, 200 * MS, 250 * MS, 1))
    assert rates.per_second(rates.counts.reads) == 5
    assert (rates.read_bytes_per_second, rates.write_bytes_per_second) == (20480, 8192)
    assert (rates.read_latency_ns, rates.write_latency_ns) == (2 * MS, 50 * MS)
    assert rates.utilisation == 0.125


def test_nothing_between():
    rates = between(reading(COUNTS, S), reading(COUNTS, S), 0)
    assert rates.counts == Counts(in_flight=3)
    assert rates.read_latency_ns is None
    assert rates.utilisation == 0


@pytest.mark.parametrize(
    ("counts", "latency"),
    [(Counts(reads=2, read_ns=10), 5), (Counts(read_ns=30), 10), (Counts(), None), (Counts(reads=1), 0)],
)
def test_latency(counts, latency):
    """Requests that were counted in an interval before, when they began."""
    rates = between(reading(Counts(), in_flight=(4, 9)), reading(counts, in_flight=(1, 9)), 0)
    assert (rates.read_latency_ns, rates.write_latency_ns) == (latency, None)


def test_device_made_meanwhile():
    """All that it counts is of this interval, which began at 3 s."""
    assert between(None, reading(COUNTS, 5 * S), 3 * S) == Rates(2 * S, COUNTS)


def test_counters_that_go_back():
    """They have begun anew."""
    assert Counts(1, 8, MS).since(COUNTS) == Counts(1, 8, MS)
    assert Counts(9999, 8).since(COUNTS) == Counts(9999, 8)


def test_time_wraps_at_32_bits():
    before = Counts(reads=5, read_ns=(2**32 - 10) * MS, write_ns=7 * MS, busy_ns=2**32 * MS - MS)
    assert Counts(reads=6, read_ns=5 * MS, write_ns=6 * MS, busy_ns=0).since(before) == Counts(
        reads=1, read_ns=15 * MS, write_ns=0, busy_ns=MS
    )


def test_regions_between():
    one, two = Region(0, "dmstats", 0, 64), Region(1, "other", 64, 64)
    then = {one: [Area([1, 0, 8, MS, 2, 0, 16, MS, 0, MS, 0, 0, 0], [])] * 2}
    now = {key: [Area([2, 0, 16, 3 * MS, 2, 0, 16, MS, 1, 2 * MS, 0, 0, 0], [])] * 2 for key in (one, two)}
    found = regions_between(reading(COUNTS, regions=then), reading(COUNTS, regions=now), S)
    assert found == {
        one: Rates(S, Counts(2, 16, 4 * MS, 0, 0, 0, 2 * MS, 2)),
        two: Rates(S, Counts(4, 32, 6 * MS, 4, 32, 2 * MS, 4 * MS, 2)),
    }


def row(name, counts, in_flight=(0, 0)):
    return top.Row(reading(counts, name=name, in_flight=in_flight), Rates(S, counts), {})


ROWS = [
    row("c", Counts(reads=1, writes=9, read_ns=5, busy_ns=3), (1, 0)),
    row("a", Counts(reads=2, writes=9, write_ns=900, busy_ns=2), (0, 2)),
    row("b", Counts(reads=3, writes=5, busy_ns=1)),
]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("name", "abc"),
        ("reads", "bac"),
        ("writes", "acb"),
        ("latency", "acb"),
        ("in-flight", "acb"),
        ("utilisation", "cab"),
    ],
)
def test_order(field, names):
    for rows in itertools.permutations(ROWS):
        assert "".join(row.reading.name for row in top.Order(field).sort(list(rows))) == names
    backwards = top.Order(field, reverse=True).sort(ROWS)
    key = {"name": "cba", "writes": "bac"}.get(field, names[::-1])  # equals stay in the order of names
    assert "".join(row.reading.name for row in backwards) == key


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1023.96, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1023.94 * 1024, "1023.9 KiB"),
        (1023.96 * 1024, "1.0 MiB"),
        (3.25 * 2**40, "3.2 TiB"),
        (5000 * 2**40, "5000.0 TiB"),
    ],
)
def test_size(number, text):
    assert top._size(number) == text


def test_lines():
    rows = [
        row("x" * 40, COUNTS),
        top.Row(reading(Counts(in_flight=2), name="\x1b[2J\udcff日本", in_flight=(1, 1)), None, {}),
    ]
    wide = list(top._lines(rows, None))
    assert wide[1].split() == ["x" * 40, "2048.0", "4096.0", "8.0", "MiB", "32.0", "MiB", "0.50", "3.00", "0", "100.0"]
    assert wide[2].split() == ["\\x1b[2J\\xff日本", *"------", "2", "-"]
    narrow = list(top._lines(rows, 80))
    assert [len(line) for line in narrow[:2]] == [80, 80]
    assert narrow[1].startswith("x" * 14 + " ")


@pytest.mark.parametrize("size", [(80, 24), (80, 4), (10, 24), (1, 1), (300, 100)])
def test_page_fits(size):
    rows = [row(f"device{number}", COUNTS) for number in range(40)]
    page = top._page(rows, top.Order("name"), top.Scroll(), "every 1 s", size)
    assert len(page) <= size[1]
    plain = [line.replace("\x1b[7m", "").replace("\x1b[0m", "") for line in page]
    assert max(map(len, plain)) <= size[0]
    if size == (80, 24):
        assert plain[-1].startswith("21 more lines: 0 above, 21 below")


def test_clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(top.time, "monotonic", lambda: now[0])
    clock = top.Clock(0.5)
    times = []
    for late in (0, 0.4, 0.1, 0, 1.2, 0):
        times.append(clock.next())
        now[0] = times[-1] + late
    # What takes long moves nothing; after 1.2 s two times have gone by.
    assert times == pytest.approx([100.5, 101.0, 101.5, 102.0, 102.5, 104.0])
