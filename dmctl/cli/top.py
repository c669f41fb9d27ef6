# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl top: what the dm devices are doing."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.cells import cell_len, set_cell_size

from dmctl import units
from dmctl.cli import screen, stream
from dmctl.errors import UsageError
from dmctl.holders import find
from dmctl.rates import Rates, Reading, Region, Sampler, between, regions_between

_LONGEST_INTERVAL_S = 86_400.0
_NS_A_MS = 1_000_000
# What to sort by, and the key for it; the key in upper case, and --reverse, turn the order round.
_SORT_KEYS = {"n": "name", "r": "reads", "w": "writes", "l": "latency", "i": "in-flight", "u": "utilisation"}
SORT_FIELDS = tuple(_SORT_KEYS.values())
_HEADINGS = ("NAME", "r/s", "w/s", "read/s", "write/s", "r ms", "w ms", "infl", "util%")
_WIDTHS = (0, 7, 7, 10, 10, 7, 7, 5, 5)
_SORTED_HEADINGS = {"name": (0,), "reads": (1,), "writes": (2,), "latency": (5, 6), "in-flight": (7,)}
_SORTED_HEADINGS["utilisation"] = (8,)
_LEAST_NAME_WIDTH = 12
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_NEXT_UNIT = 1023.95  # from here on it would be printed as 1024.0
_HEAD_LINES = 4  # title, keys, a blank line, headings
_HELP = "n name  r reads  w writes  l latency  i in flight  u util  A-Z: reversed  q quit"


@dataclass(frozen=True, slots=True)
class Row:
    """A device and what it did; rates is None before there are two readings."""

    reading: Reading
    rates: Rates | None
    regions: dict[Region, Rates]


@dataclass(slots=True)
class Order:
    """What rows are sorted by: numbers with the greatest first, names from a to z, unless reversed."""

    field: str
    reverse: bool = False

    def sort(self, rows: list[Row]) -> list[Row]:
        rows = sorted(rows, key=lambda row: row.reading.name, reverse=self.field == "name" and self.reverse)
        if self.field != "name":
            rows.sort(key=self._number, reverse=not self.reverse)
        return rows

    def _number(self, row: Row) -> float:
        reading, rates = row.reading, row.rates
        if self.field == "in-flight":
            return reading.in_flight_reads + reading.in_flight_writes
        if rates is None:
            return 0
        return {
            "reads": rates.per_second(rates.counts.reads),
            "writes": rates.per_second(rates.counts.writes),
            "latency": max(rates.read_latency_ns or 0, rates.write_latency_ns or 0),
            "utilisation": rates.utilisation,
        }[self.field]


@dataclass(slots=True)
class Scroll:
    """Which of the lines below the headings is the first one shown, and how many there was room for."""

    first: int = 0
    room: int = 1

    def move(self, key: str) -> None:
        """What a key does."""
        self.first += {
            screen.UP: -1,
            "k": -1,
            screen.DOWN: 1,
            "j": 1,
            screen.PAGE_UP: -self.room,
            screen.PAGE_DOWN: self.room,
            screen.FIRST: -self.first,
            screen.LAST: sys.maxsize,  # no further than there are lines
        }.get(key, 0)

    def shown(self, lines: list[str], room: int) -> list[str]:
        """Those for which there is room, and a line about the others if there are any."""
        self.room = max(1, room if len(lines) <= room else room - 1)
        self.first = max(0, min(self.first, len(lines) - self.room))
        if len(lines) <= room:
            return lines
        shown = lines[self.first : self.first + self.room] if room > 1 else []
        above, below = self.first, len(lines) - self.first - len(shown)
        return [*shown, f"{above + below} more lines: {above} above, {below} below; j k PageUp PageDown"]


class Samples:
    """Readings of the devices that are asked for, and what happened between one and the next."""

    def __init__(self, names: list[str]):
        self._names = {_kernel_spelling(name) for name in names}
        self._sampler = Sampler()
        self._earlier: dict[tuple[str, str], Reading] = {}
        self._at_ns = 0

    def next(self) -> list[Row]:
        """Read once more."""
        start_ns, self._at_ns = self._at_ns, time.monotonic_ns()
        rows = []
        readings = self._sampler.read()
        for reading in readings:
            if self._names and reading.name not in self._names:
                continue
            earlier = self._earlier.get(reading.identity)
            rates = between(earlier, reading, start_ns) if start_ns else None
            regions = regions_between(earlier, reading, rates.interval_ns) if rates else {}
            rows.append(Row(reading, rates, regions))
        self._earlier = {reading.identity: reading for reading in readings}
        return rows


def _kernel_spelling(name: str) -> str:
    """The name by which the kernel has a device that is given in any form; NotFoundError where there is none."""
    devno = find(name)
    try:
        with open(f"/sys/dev/block/{devno[0]}:{devno[1]}/dm/name", "rb") as file:
            return file.read().decode("utf-8", "surrogateescape").removesuffix("\n")
    except OSError:
        raise UsageError(f"{name} is not a dm device.") from None


class Clock:
    """Times at equal distances from the start, however long what happens between them takes."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._next = time.monotonic()

    def next(self) -> float:
        """The next of them, as of time.monotonic(); those that went by unused are left out."""
        missed = max(0, math.floor((time.monotonic() - self._next) / self._seconds))
        self._next += (missed + 1) * self._seconds
        return self._next


def top(  # noqa: PLR0917 - typer takes them by name
    interval: Annotated[float, typer.Argument(metavar="[INTERVAL]", help="Seconds between two readings.")] = 1.0,
    count: Annotated[int | None, typer.Argument(metavar="[COUNT]", help="End after so many intervals.")] = None,
    sort: Annotated[str, typer.Option("--sort", "-O", metavar="FIELD", help="|".join(SORT_FIELDS))] = "name",
    reverse: Annotated[bool, typer.Option("--reverse", help="Sort the other way round.")] = False,
    device: Annotated[
        list[str] | None, typer.Option("--device", metavar="DEVICE", help="Only this device; may be repeated.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, an object on a line of its own each time.")
    ] = False,
) -> None:
    """Show what the dm devices are doing: requests, bytes, average latency, requests in flight, utilisation.

    On a terminal, a display that is drawn anew at each interval; keys sort it, q ends it, j, k, the arrows, PageUp and
    PageDown scroll it where there are more devices than lines. Else, lines at each interval.
    Statistics regions that are a part of a device have a line of their own below it. No counter is cleared.
    """
    if not 0 < interval <= _LONGEST_INTERVAL_S:
        raise UsageError(f"INTERVAL must be more than 0 and at most {_LONGEST_INTERVAL_S:.0f} seconds.")
    if count is not None and count < 1:
        raise UsageError("COUNT must be 1 or more.")
    if sort not in SORT_FIELDS:
        raise UsageError(f"--sort takes {', '.join(SORT_FIELDS)}, not {sort!r}.")
    samples, order, clock = Samples(device or []), Order(sort, reverse), Clock(interval)
    if screen.usable() and not as_json:
        _run_on_screen(samples, order, clock, f"every {interval:g} s", count)
    else:
        _run_in_lines(samples, order, clock, count, as_json=as_json)


def _run_in_lines(samples: Samples, order: Order, clock: Clock, count: int | None, *, as_json: bool) -> None:
    samples.next()
    done = 0
    while done != count:
        time.sleep(max(0.0, clock.next() - time.monotonic()))
        rows = order.sort(samples.next())
        if as_json:
            stream.write(_json_line(rows))
        else:
            stream.write("\n" * bool(done) + "".join(f"{line.rstrip()}\n" for line in _lines(rows, None)))
        if stream.flush():  # main() says what it is, if it is not the reader's end
            return
        done += 1


def _run_on_screen(samples: Samples, order: Order, clock: Clock, title: str, count: int | None) -> None:
    rows = samples.next()
    scroll = Scroll()
    done = 0
    with screen.Screen() as terminal:
        while True:
            if not terminal.draw(_page(rows, order, scroll, title, terminal.size())):
                return
            try:
                for key in terminal.keys(clock.next()):
                    if key == "q":
                        return
                    if key.lower() in _SORT_KEYS:
                        order.field, order.reverse = _SORT_KEYS[key.lower()], key.isupper()
                    scroll.move(key)
                    if not terminal.draw(_page(rows, order, scroll, title, terminal.size())):
                        return
            except EOFError:
                return
            if done + 1 == count:
                return
            rows = samples.next()
            done += 1


def _page(rows: list[Row], order: Order, scroll: Scroll, title: str, size: tuple[int, int]) -> list[str]:
    """As much as the terminal has room for."""
    columns, height = size
    devices = "1 device" if len(rows) == 1 else f"{len(rows)} devices"
    lines = [f"dmctl top  {time.strftime('%H:%M:%S')}  {devices}, {title}", _HELP, ""]
    lines += _lines(order.sort(rows), columns)
    lines[_HEAD_LINES:] = scroll.shown(lines[_HEAD_LINES:], height - _HEAD_LINES)
    lines = [_cut(line, columns) for line in lines[:height]]
    if len(lines) >= _HEAD_LINES:
        lines[_HEAD_LINES - 1] = _mark(lines[_HEAD_LINES - 1], order)
    return lines


def _mark(headings: str, order: Order) -> str:
    """The headings with that of the order in reverse video; what is cut off is not marked."""
    for place in reversed(_SORTED_HEADINGS[order.field]):
        start = headings.find(_HEADINGS[place])
        if start >= 0:
            end = start + len(_HEADINGS[place])
            headings = headings[:start] + screen.marked(headings[start:end]) + headings[end:]
    return headings


def _lines(rows: list[Row], columns: int | None) -> Iterator[str]:
    """The table, headings first. columns: of the terminal; names give way where it is too narrow."""
    cells: list[tuple[str, ...]] = [_HEADINGS]
    for row in rows:
        in_flight = row.reading.in_flight_reads + row.reading.in_flight_writes
        cells.append((_printable(row.reading.name), *_cells(row.rates, in_flight)))
        for region, rates in row.regions.items():
            start, length = (
                units.format_size(sectors * units.SECTOR_BYTES)
                for sectors in (region.start_sectors, region.length_sectors)
            )
            name = f"  region {region.number}: {length} from {start}"
            cells.append((name, *_cells(rates, rates.counts.in_flight)))
    others = sum(_WIDTHS) + len(_WIDTHS) - 1
    name_width = max(_LEAST_NAME_WIDTH, *(cell_len(line[0]) for line in cells))
    if columns is not None:
        name_width = min(name_width, max(_LEAST_NAME_WIDTH, columns - others))
    for line in cells:
        numbers = (cell.rjust(width) for cell, width in zip(line[1:], _WIDTHS[1:], strict=True))
        yield " ".join((set_cell_size(line[0], name_width), *numbers))


def _cells(rates: Rates | None, in_flight: int) -> tuple[str, ...]:
    if rates is None:
        return ("-",) * 6 + (str(in_flight), "-")
    return (
        f"{rates.per_second(rates.counts.reads):.1f}",
        f"{rates.per_second(rates.counts.writes):.1f}",
        _size(rates.read_bytes_per_second),
        _size(rates.write_bytes_per_second),
        _latency(rates.read_latency_ns),
        _latency(rates.write_latency_ns),
        str(in_flight),
        f"{100 * rates.utilisation:.1f}",
    )


def _size(number: float) -> str:
    """Bytes with their unit, one digit behind the point."""
    power = 0
    while number >= _NEXT_UNIT and power < len(_UNITS) - 1:
        number, power = number / 1024, power + 1
    return f"{number:.1f} {_UNITS[power]}" if power else f"{number:.0f} B"


def _latency(nanoseconds: float | None) -> str:
    return "-" if nanoseconds is None else f"{nanoseconds / _NS_A_MS:.2f}"


def _printable(name: str) -> str:
    """A name that cannot move the cursor: what is not printable stands as the kernel's mangled names have it."""
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter) & 0xFF:02x}" for letter in name)


def _cut(line: str, columns: int) -> str:
    return line if cell_len(line) <= columns else set_cell_size(line, columns)


def _json_line(rows: list[Row]) -> str:
    version = {"command": "top", "vers_major": 1, "vers_minor": 0}
    devices = []
    for row in rows:
        reading = row.reading
        regions = [
            {
                "region_id": region.number,
                "program_id": region.program,
                "start_sectors": region.start_sectors,
                "length_sectors": region.length_sectors,
                "in_flight": rates.counts.in_flight,
                **_members(rates),
            }
            for region, rates in row.regions.items()
        ]
        devices.append(
            {
                "name": reading.name,
                "kernel_name": reading.kernel_name,
                "major": reading.devno[0],
                "minor": reading.devno[1],
                "in_flight_reads": reading.in_flight_reads,
                "in_flight_writes": reading.in_flight_writes,
                **(_members(row.rates) if row.rates else {}),
                "regions": regions,
            }
        )
    time_ns = time.time_ns()
    return json.dumps({"output_version": version, "time_ns": time_ns, "devices": devices}) + "\n"


def _members(rates: Rates) -> dict[str, Any]:
    """What happened, and for those who want no arithmetic the rates; integers all."""
    counts = rates.counts
    return {
        "interval_ns": rates.interval_ns,
        "reads": counts.reads,
        "read_sectors": counts.read_sectors,
        "read_time_ns": counts.read_ns,
        "writes": counts.writes,
        "write_sectors": counts.write_sectors,
        "write_time_ns": counts.write_ns,
        "busy_time_ns": counts.busy_ns,
        "reads_per_second": round(rates.per_second(counts.reads)),
        "writes_per_second": round(rates.per_second(counts.writes)),
        "read_bytes_per_second": round(rates.read_bytes_per_second),
        "write_bytes_per_second": round(rates.write_bytes_per_second),
        "read_latency_ns": None if rates.read_latency_ns is None else round(rates.read_latency_ns),
        "write_latency_ns": None if rates.write_latency_ns is None else round(rates.write_latency_ns),
        "utilisation_percent": round(100 * rates.utilisation),
    }
