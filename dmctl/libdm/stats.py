# SPDX-License-Identifier: LGPL-2.1-or-later
"""Regions, areas and groups of I/O statistics: libdevmapper's dm_stats.

Kernel: drivers/md/dm-stats.c, Documentation/admin-guide/device-mapper/statistics.rst. Starts and lengths are sectors.
"""

from dmctl._libdm import ffi, lib
from dmctl.errors import DeviceError
from dmctl.libdm import check, drain_log, to_bytes, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, Self

PROGRAM = "dmstats"
ALL_PROGRAMS = ""
NO_GROUP = 0xFFFFFFFFFFFFFFFF
_CURRENT: int = lib.DM_STATS_REGION_CURRENT  # the same number for areas

WALK_AREAS: int = lib.DM_STATS_WALK_AREA
WALK_REGIONS: int = lib.DM_STATS_WALK_REGION
WALK_GROUPS: int = lib.DM_STATS_WALK_GROUP
WALK_ALL: int = lib.DM_STATS_WALK_ALL
SKIP_SINGLE_AREA: int = lib.DM_STATS_WALK_SKIP_SINGLE_AREA

NOTHING, AREA, REGION, GROUP = (
    lib.DM_STATS_OBJECT_TYPE_NONE,
    lib.DM_STATS_OBJECT_TYPE_AREA,
    lib.DM_STATS_OBJECT_TYPE_REGION,
    lib.DM_STATS_OBJECT_TYPE_GROUP,
)

FOLLOW_INODE, FOLLOW_PATH, FOLLOW_NONE = (
    lib.DM_FILEMAPD_FOLLOW_INODE,
    lib.DM_FILEMAPD_FOLLOW_PATH,
    lib.DM_FILEMAPD_FOLLOW_NONE,
)

# How a histogram is written.
VALUES, PERCENT, LOWER_BOUNDS, RANGES, SUFFIXES = (
    lib.DM_HISTOGRAM_VALUES,
    lib.DM_HISTOGRAM_PERCENT,
    lib.DM_HISTOGRAM_BOUNDS_LOWER,
    lib.DM_HISTOGRAM_BOUNDS_RANGE,
    lib.DM_HISTOGRAM_SUFFIX,
)


class Bounds:
    """Upper bounds of a latency histogram, as in "10ms,20ms,1s"; numbers without a unit are nanoseconds."""

    __slots__ = ("handle",)

    def __init__(self, text: str):
        self.handle = lib.dm_histogram_bounds_from_string(to_bytes(text))
        check(bool(self.handle))
        self.handle = ffi.gc(self.handle, lib.dm_histogram_bounds_destroy)


class Stats:
    """The statistics of one device: a handle that is bound to it, filled by refresh() or populate(), and walked.

    Everything that fails raises DeviceError, after libdevmapper has logged why.
    """

    __slots__ = ("_handle",)

    def __init__(self, program: str = PROGRAM):
        self._handle = lib.dm_stats_create(to_bytes(program))
        check(bool(self._handle))

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        lib.dm_stats_destroy(self._handle)
        drain_log()

    def bind_name(self, name: str) -> None:
        check(lib.dm_stats_bind_name(self._handle, to_bytes(name)))

    def bind_uuid(self, uuid: str) -> None:
        check(lib.dm_stats_bind_uuid(self._handle, to_bytes(uuid)))

    def bind_devno(self, devno: tuple[int, int]) -> None:
        check(lib.dm_stats_bind_devno(self._handle, *devno))

    def bind_file(self, descriptor: int) -> None:
        """Bind to the device that holds an open file."""
        check(lib.dm_stats_bind_from_fd(self._handle, descriptor))

    def use_no_program(self) -> None:
        """Make regions that belong to no program."""
        check(lib.dm_stats_set_program_id(self._handle, 1, ffi.NULL))

    def refresh(self, program: str | None = None) -> None:
        """Read the regions and groups, without counters. None: of the handle's program; ALL_PROGRAMS: of every one."""
        check(lib.dm_stats_list(self._handle, _optional(program)))

    def populate(self, program: str | None = None) -> bool:
        """Read the regions with their counters, which the kernel clears by it. False: there are none, or it failed."""
        found = lib.dm_stats_populate(self._handle, _optional(program), lib.DM_STATS_REGIONS_ALL)
        drain_log()
        return bool(found)

    @property
    def region_count(self) -> int:
        return int(lib.dm_stats_get_nr_regions(self._handle))

    @property
    def group_count(self) -> int:
        return int(lib.dm_stats_get_nr_groups(self._handle))

    def has_region(self, region: int) -> bool:
        return bool(lib.dm_stats_region_present(self._handle, region))

    def has_group(self, group: int) -> bool:
        return bool(lib.dm_stats_group_present(self._handle, group))

    def regions(self) -> "Iterator[int]":
        """The numbers of the regions."""
        if not self.region_count:  # libdevmapper 1.02.185 would walk through a null pointer
            return
        lib.dm_stats_walk_init(self._handle, WALK_REGIONS)
        lib.dm_stats_walk_start(self._handle)
        while not lib.dm_stats_walk_end(self._handle):
            yield self.current_region
            lib.dm_stats_walk_next_region(self._handle)

    def walk(self, what: int) -> "Iterator[int]":
        """Stand on each object in turn, what: WALK_*; yields its kind. libdevmapper stands on the first before it
        asks whether there is any."""
        if not self.region_count:
            return
        lib.dm_stats_walk_init(self._handle, what)
        drain_log()
        lib.dm_stats_walk_start(self._handle)
        while True:
            yield self.kind
            lib.dm_stats_walk_next(self._handle)
            if lib.dm_stats_walk_end(self._handle):
                return

    # Of the object that walk() stands on.

    @property
    def kind(self) -> int:
        """AREA, REGION or GROUP."""
        return int(lib.dm_stats_current_object_type(self._handle))

    @property
    def current_region(self) -> int:
        return int(lib.dm_stats_get_current_region(self._handle))

    @property
    def current_area(self) -> int:
        return int(lib.dm_stats_get_current_area(self._handle))

    @property
    def group(self) -> int:
        """The group that the region is in, or NO_GROUP."""
        return int(lib.dm_stats_get_group_id(self._handle, self.current_region))

    @property
    def alias(self) -> str:
        """The group's alias, or the device's name."""
        name = lib.dm_stats_get_alias(self._handle, _CURRENT)
        check(bool(name))
        return to_text(name)

    @property
    def program(self) -> str:
        return _text(lib.dm_stats_get_current_region_program_id(self._handle))

    @property
    def user_data(self) -> str:
        return _text(lib.dm_stats_get_current_region_aux_data(self._handle))

    @property
    def precise(self) -> bool:
        """Whether times are counted in nanoseconds, not milliseconds."""
        return bool(lib.dm_stats_get_current_region_precise_timestamps(self._handle))

    @property
    def region_start(self) -> int:
        return _number(lib.dm_stats_get_current_region_start, self._handle)

    @property
    def region_length(self) -> int:
        return _number(lib.dm_stats_get_current_region_len, self._handle)

    @property
    def area_start(self) -> int:
        return _number(lib.dm_stats_get_current_area_start, self._handle)

    @property
    def area_offset(self) -> int:
        return _number(lib.dm_stats_get_current_area_offset, self._handle)

    @property
    def area_length(self) -> int:
        return _number(lib.dm_stats_get_current_area_len, self._handle)

    @property
    def area_count(self) -> int:
        count = lib.dm_stats_get_region_nr_areas(self._handle, self.current_region)
        check(bool(count))
        return int(count)

    def set_interval(self, nanoseconds: int) -> None:
        """The time that the counters are taken to be about."""
        lib.dm_stats_set_sampling_interval_ns(self._handle, nanoseconds)

    def counter(self, number: int) -> int:
        """A counter by its place in the kernel's line, from 0; times in nanoseconds."""
        return int(lib.dm_stats_get_counter(self._handle, number, _CURRENT, _CURRENT))

    def metric(self, number: int) -> float:
        """A metric by its number in dm_stats_metric_t."""
        value = ffi.new("double *")
        check(lib.dm_stats_get_metric(self._handle, number, _CURRENT, _CURRENT, value))
        return float(value[0])

    def utilization(self) -> int:
        """In millionths of a per cent."""
        value = ffi.new("int32_t *")
        check(lib.dm_stats_get_utilization(self._handle, value, _CURRENT, _CURRENT))
        return int(value[0])

    @property
    def bin_count(self) -> int:
        """How many bins the region's histogram has, 0 without one."""
        return int(lib.dm_stats_get_region_nr_histogram_bins(self._handle, _CURRENT))

    def bin_bounds(self, region: int) -> list[tuple[int, int]]:
        """Lower and upper bound, in nanoseconds, of each bin of a region's histogram; empty without one."""
        histogram = lib.dm_stats_get_histogram(self._handle, region, 0)
        drain_log()
        count = lib.dm_stats_get_region_nr_histogram_bins(self._handle, region) if histogram else 0
        return [
            (lib.dm_histogram_get_bin_lower(histogram, bin), lib.dm_histogram_get_bin_upper(histogram, bin))
            for bin in range(count)
        ]

    def histogram(self, style: int, width: int = 0) -> str:
        """The histogram as libdevmapper writes it; "" without one. width: of a value, -1 for no padding."""
        histogram = lib.dm_stats_get_histogram(self._handle, _CURRENT, _CURRENT)
        if not histogram:
            drain_log()
            return ""
        text = lib.dm_histogram_to_string(histogram, -1, width, style)
        check(bool(text))
        return to_text(text)

    # Requests.

    def create_region(  # noqa: PLR0917 - libdevmapper's own arguments
        self, start: int, length: int, step: int, precise: bool, bounds: Bounds | None, program: str, user_data: str
    ) -> int:
        """Make a region, and return its number. step: sectors of an area, or minus the number of areas."""
        region = ffi.new("uint64_t *")
        check(
            lib.dm_stats_create_region(
                self._handle,
                region,
                start,
                length,
                step,
                precise,
                bounds.handle if bounds else ffi.NULL,
                to_bytes(program),
                to_bytes(user_data),
            )
        )
        return int(region[0])

    def delete_region(self, region: int) -> None:
        check(lib.dm_stats_delete_region(self._handle, region))

    def clear_region(self, region: int) -> None:
        check(lib.dm_stats_clear_region(self._handle, region))

    def print_region(self, region: int, *, clear: bool = False) -> str:
        """The kernel's lines of a region, one an area."""
        buffer = lib.dm_stats_print_region(self._handle, region, 0, 0, clear)
        check(bool(buffer))
        text = to_text(buffer)
        lib.dm_stats_buffer_destroy(self._handle, buffer)
        return text

    def create_group(self, regions: str, alias: str | None) -> int:
        """Group regions, given as in "0-3,5", and return the group's number. Refresh before."""
        _check_alias(alias)
        group = ffi.new("uint64_t *")
        check(lib.dm_stats_create_group(self._handle, to_bytes(regions), _optional(alias), group))
        return int(group[0])

    def delete_group(self, group: int, *, regions: bool) -> None:
        """Remove a group, and its regions if wanted. Refresh before."""
        check(lib.dm_stats_delete_group(self._handle, group, regions))

    def group_members(self, group: int) -> str:
        """The regions of a group, as in "0-3,5"."""
        buffer = ffi.new("char **")
        check(lib.dm_stats_get_group_descriptor(self._handle, group, buffer))
        return to_text(buffer[0])

    def group_alias(self, group: int) -> str | None:
        """The alias of a group, or the device's name; None where there is no such group."""
        if not self.has_group(group):
            return None
        name = lib.dm_stats_get_alias(self._handle, group)  # of its first region, which has the same number
        drain_log()
        return to_text(name) if name else None

    def create_file_regions(
        self, descriptor: int, *, group: bool, precise: bool, bounds: Bounds | None, alias: str | None
    ) -> list[int]:
        """Make a region for each extent of an open file, and return their numbers."""
        _check_alias(alias)
        return _region_list(
            lib.dm_stats_create_regions_from_fd(
                self._handle, descriptor, group, precise, bounds.handle if bounds else ffi.NULL, _optional(alias)
            )
        )

    def update_file_regions(self, descriptor: int, group: int) -> list[int]:
        """Make the regions of a group follow an open file, and return their numbers."""
        return _region_list(lib.dm_stats_update_regions_from_fd(self._handle, descriptor, group))


def _check_alias(alias: str | None) -> None:
    """Refuse what libdevmapper 1.02.185 aborts on: when the kernel refuses its message, it frees memory twice."""
    if alias is not None and any(letter.isspace() for letter in alias):
        raise DeviceError("The alias of a group cannot contain blanks.")


def supports_precise() -> bool:
    """Whether the kernel's driver can count nanoseconds, and latency histograms."""
    supported = lib.dm_stats_driver_supports_precise()
    drain_log()
    return bool(supported)


def follow_mode(text: str) -> int:
    """FOLLOW_INODE or FOLLOW_PATH by its name; FOLLOW_NONE, and a line in the log, for another word."""
    mode = lib.dm_filemapd_mode_from_string(to_bytes(text))
    drain_log()
    return int(mode)


def unit_factor(units: str) -> tuple[int, str]:
    """Bytes of a unit, and its letter; 0 for what is none."""
    letter = ffi.new("char *")
    factor = lib.dm_units_to_factor(to_bytes(units), letter, 0, ffi.NULL)
    drain_log()
    return int(factor), letter[0].decode("latin-1")


def size_text(sectors: int, factor: int, letter: str, *, suffix: bool) -> str:
    """A size as dmstats prints it."""
    pool = lib.dm_pool_create(b"size", 64)
    text = lib.dm_size_to_string(pool, sectors, letter.encode("latin-1"), 1, factor, suffix, lib.DM_SIZE_UNIT)
    try:
        check(bool(text))
        return to_text(text)
    finally:
        lib.dm_pool_destroy(pool)


def percent_text(millionths: int) -> str:
    """A percentage as libdevmapper prints it, two digits behind the point."""
    return f"{lib.dm_percent_to_round_float(millionths, 2):.2f}"


def _optional(text: str | None) -> "Any":
    return ffi.NULL if text is None else to_bytes(text)


def _text(pointer: "Any") -> str:
    check(bool(pointer))
    return to_text(pointer)


def _number(get: "Any", handle: "Any") -> int:
    value = ffi.new("uint64_t *")
    check(get(handle, value))
    return int(value[0])


def _region_list(regions: "Any") -> list[int]:
    check(bool(regions))
    numbers: list[int] = []
    while regions[len(numbers)] != NO_GROUP:
        numbers.append(int(regions[len(numbers)]))
    lib.free(regions)
    return numbers
