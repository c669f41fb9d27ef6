# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's reports: info -c, splitname, and the choice of devices by -S."""

import time

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.run import report as report_failure
from dmctl.cli.compat.switches import Request
from dmctl.errors import DmctlError
from dmctl.libdm import report
from dmctl.libdm.report import Report, split_lvm_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dmctl.cli.compat.stats_fields import Interval, Units
    from dmctl.counters import Sample
    from dmctl.device import Device
    from dmctl.info import Info
    from dmctl.libdm.report import Fields, Value
    from dmctl.libdm.stats import Stats
    from dmctl.libdm.task import Task
    from dmctl.libdm.tree import Tree

_INFO_FIELDS = "name,major,minor,attr,open,segments,events,uuid"
_SPLITNAME_FIELDS = "vg_name,lv_name,lv_layer"


class Columns:
    """The report of a command line. chosen, if given, is called with the name of each selected device instead of
    printing rows."""

    def __init__(self, request: Request, command: str, chosen: "Callable[[str], None] | None"):
        self._request = request
        self._chosen = chosen
        self._tree: Tree | None = None
        self._units: Units | None = None
        self.interval: Interval | None = None
        self._samples: dict[tuple[int, int], Sample] = {}
        kinds, fields = _defaults(request, command)
        if request.has("options"):
            wanted = request.texts["options"]
            if "help" in wanted:
                request.counts.pop("count", None)
                request.counts.pop("interval", None)
            fields = f"{fields},{wanted[1:]}" if wanted.startswith("+") else wanted
        if request.has("sort") and command in ("status", "table"):
            raise Failed("--sort is not yet supported with status and table.")
        self._report = Report(
            kinds,
            fields,
            separator=request.texts.get("separator", ":" if request.has("noheadings") else " "),
            flags=self._flags(),
            sort_keys=request.texts.get("sort", ""),
            selection=request.texts.get("select"),
            names_as_headings=request.headings == "full",
        )
        if self._report.kinds & report.TREE:
            self._build_tree()
        if request.has("nameprefixes"):
            self._report.set_prefix("dm_")
        if self._report.kinds & (report.STATS | report.REGION):
            from dmctl.cli.compat import stats_fields

            self.interval = stats_fields.Interval(request.numbers.get("interval", 1))

    def _flags(self) -> int:
        request = self._request
        # 1.02.185 takes --unbuffered and does nothing by it.
        unbuffered = request.has("unbuffered") and not request.as_dmsetup and not request.has("sort")
        flags = 0 if unbuffered else report.BUFFERED
        if not (request.has("noheadings") or request.has("nameprefixes") or request.has("separator")):
            flags |= report.ALIGNED
        without_headings = request.has("noheadings") or request.headings == "none"
        if not (without_headings or "help" in request.texts.get("options", "")):
            flags |= report.HEADINGS
        for option, flag in (
            ("nameprefixes", report.NAME_PREFIXES),
            ("unquoted", report.UNQUOTED),
            ("rows", report.ROWS),
        ):
            if request.has(option):
                flags |= flag
        return flags

    def _build_tree(self) -> None:
        from dmctl.cli.compat.common import options
        from dmctl.device import list_devices
        from dmctl.libdm.tree import Tree

        entries = list_devices(options(self._request))
        if not entries:
            stream.write("No devices found\n")
        self._tree = Tree(entry.devno for entry in entries)

    def add_device(self, device: "Device") -> None:
        """Take a device, as info does."""
        from dmctl.info import Info
        from dmctl.libdm import task as dm

        with device.task(dm.INFO) as task:
            device.options.apply(task)
            task.run()
            info = Info(task)
            row = _Row(device, task, info, self._report.kinds, self._tree)
            if self._report.kinds & (report.STATS | report.REGION):
                self._add_statistics(info.devno, row)
                return
            selected = self._report.add(row.value, task=task, show=self._chosen is None)
        if selected and self._chosen is not None:
            self._chosen(info.name)

    def _add_statistics(self, devno: tuple[int, int], row: "_Row") -> None:
        """Take the statistics objects of a device; none is no failure."""
        from dmctl.cli.compat import stats_fields
        from dmctl.libdm import stats as dm_stats

        request, interval = self._request, self.interval
        assert interval is not None
        if self._units is None:
            self._units = stats_fields.Units(request.texts.get("units", "h" if request.command == "stats" else "s"))
        program = "" if request.has("allprograms") else request.texts.get("programid", dm_stats.PROGRAM)
        what = stats_fields.objects(request)
        with dm_stats.Stats() as stats:
            stats.bind_devno(devno)
            counters: dm_stats.Stats | Sample = stats
            if self._report.kinds & report.STATS:
                if request.as_dmsetup:
                    if not stats.populate(program):
                        return
                else:
                    counters = self._sample(stats, devno, program)
                interval.counters_were_read()
                counters.set_interval(interval.nanoseconds)
            else:
                stats.refresh(program)
            if not stats.region_count or (what == dm_stats.WALK_GROUPS and not stats.group_count):
                return
            row.statistics = stats_fields.StatsRow(request, stats, counters, self._units, interval).value
            for _ in stats.walk(what):
                self._report.add(row.value, task=row.task)

    def _sample(self, stats: "Stats", devno: tuple[int, int], program: str) -> "Sample":
        """The counters of a device without clearing them, against those of the interval before."""
        from dmctl.counters import Sample

        stats.refresh(program)
        self._samples[devno] = Sample(stats, self._samples.get(devno), clear=self._request.has("clear"))
        return self._samples[devno]

    def add_name(self, name: str, subsystem: str) -> None:
        """Take a name without a device, as splitname does."""
        parts = ("", "", "") if subsystem != "LVM" else split_lvm_name(name)
        self._report.add(dict(zip(_NAME_FIELDS, (subsystem, *parts), strict=True)).__getitem__, kinds=report.NAME)

    def output(self) -> None:
        """Print what has been taken."""
        if self._request.numbers.get("count") != 1 and not self._report.is_empty():
            self._report.print_headings()
        self._report.output()


def _defaults(request: Request, command: str) -> tuple[int, str]:
    """The kinds of fields that a command's report begins with, and its fields without -o."""
    if command == "splitname":
        return report.NAME, _SPLITNAME_FIELDS
    if command == "stats":
        from dmctl.cli.compat.stats_fields import default_fields

        return report.REGION | (0 if request.subcommand == "list" else report.STATS), default_fields(request)
    return 0, _INFO_FIELDS


_NAME_FIELDS = ("subsystem", "vg_name", "lv_name", "lv_layer")


class _Row:
    """The fields of one device, each computed when it is asked for."""

    def __init__(self, device: "Device", task: "Task", info: "Info", kinds: int, tree: "Tree | None"):
        self.task = task
        self.info = info
        self._tree = tree
        self.statistics: Fields | None = None
        self._node = tree.find(info.devno) if tree else None
        if tree and self._node is None:
            raise Failed(f"Cannot find node {info.devno[0]}:{info.devno[1]}.")
        self.deps: list[tuple[int, int]] = []
        if kinds & report.DEPS:
            try:
                self.deps = _plain(device, info).deps()[0]
            except DmctlError as error:
                if not getattr(error, "logged", False):
                    stream.error(str(error))
                raise Failed(f"Cannot get deps for {info.devno[0]}:{info.devno[1]}.") from None

    def value(self, field: str) -> "Value":
        """A field by the name it has in dmsetup's -o."""
        if field in _NAME_FIELDS:
            return self._name_part(field)
        if field in ("devs_used", "names_using_dev", "devnos_using_dev", "device_ref_count"):
            return self._relation(field)
        if field in _VALUES:
            return _VALUES[field](self)
        assert self.statistics is not None
        return self.statistics(field)

    def _name_part(self, field: str) -> str:
        # As dmsetup has it: what stands before the first hyphen of the uuid, nothing if there is none.
        subsystem = self.info.uuid.partition("-")[0] if "-" in self.info.uuid else ""
        if field == "subsystem":
            return subsystem
        if subsystem != "LVM":
            return ""
        return split_lvm_name(self.info.name)[_NAME_FIELDS.index(field) - 1]

    def _relation(self, field: str) -> str | int:
        assert self._tree is not None and self._node is not None
        if field == "device_ref_count":
            return self._tree.child_count(self._node, inverted=True)
        nodes = self._tree.children(self._node, inverted=field != "devs_used")
        if field == "devnos_using_dev":
            return ",".join(f"{node.devno[0]}:{node.devno[1]}" for node in nodes if node.devno != (0, 0))
        return ",".join(node.name for node in nodes if node.name)


def _plain(device: "Device", info: "Info") -> "Device":
    from dmctl.device import Device

    return Device(devno=info.devno, options=device.options)


def _block_name(devno: tuple[int, int]) -> str:
    name = libdm.device_name(*devno, kernel_name=True)
    if name is None:
        raise Failed(f"Could not resolve block device name for {devno[0]}:{devno[1]}.")
    return name


# What libdm.report does not read from the request itself. Made anew for each field, it took longer than the fields.
_VALUES: "dict[str, Callable[[_Row], str | int]]" = {
    "mangled_name": lambda row: row.task.other_form(uuid=False, mangled=True),
    "unmangled_name": lambda row: row.task.other_form(uuid=False, mangled=False),
    "mangled_uuid": lambda row: row.task.other_form(uuid=True, mangled=True),
    "unmangled_uuid": lambda row: row.task.other_form(uuid=True, mangled=False),
    "read_ahead": lambda row: row.task.read_ahead() or 0,
    "blkdevname": lambda row: _block_name(row.info.devno),
    "device_count": lambda row: len(row.deps),
    "devnos_used": lambda row: ",".join(f"{major}:{minor}" for major, minor in row.deps),
    "blkdevs_used": lambda row: ",".join(_block_name(devno) for devno in row.deps),
}


def print_fields(request: Request) -> None:
    """The list of all fields, as -o help prints it, whatever else was asked for, or what is wrong with -S."""
    request.counts.pop("sort", None)
    request.counts["options"] = 1
    request.texts |= {"options": "help", "sort": ""}
    try:
        Columns(request, "help", None)
    except DmctlError as error:
        report_failure(request, error)
    request.columns = None


class Clock:
    """The time between two reports (--interval, one second without it)."""

    def __init__(self, request: Request):
        self._seconds = request.numbers.get("interval", 1)
        self._next = time.monotonic() + self._seconds

    def wait(self) -> None:
        """Wait for the next interval to begin; say so where some have gone by unused."""
        now = time.monotonic()
        missed = int((now - self._next) // self._seconds) if now > self._next else 0
        if missed:
            stream.error(f"WARNING: Try increasing --interval ({missed} missed timer events).")
            self._next += missed * self._seconds
        time.sleep(max(0.0, self._next - now))
        self._next += self._seconds


def splitname(request: Request, operands: list[str], multiple: bool) -> None:
    """splitname NAME [SUBSYSTEM]"""
    assert request.columns is not None
    request.columns.add_name(operands[0], operands[1] if len(operands) == 2 else "LVM")
