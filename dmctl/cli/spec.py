# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one table of dmsetup's commands and options (1.02.185): parser, help, completions and man page read it.

Plain tuples, because every dmsetup-compatible command loads this module. The sentences are dmctl's own.
"""

from dmctl.cli.getopt import NO_ARGUMENT, REQUIRED_ARGUMENT

SHORT_OPTIONS = "cCfG:hj:m:M:no:O:rS:u:U:vy"


class Option:
    """One option: long name, short letters, the name of its argument ("" for none) and what it does."""

    __slots__ = ("argument", "help", "long", "short")

    def __init__(self, long: str, short: str, argument: str, text: str):
        self.long = long
        self.short = short
        self.argument = argument
        self.help = text


# In the order in which dmsetup declares them: an ambiguous abbreviation lists its candidates in this order.
OPTIONS = [
    Option(*row)
    for row in (
        ("readonly", "r", "", "make the table read-only"),
        ("alias", "", "NAME", "name of a group of statistics regions"),
        ("alldevices", "", "", "statistics of every device"),
        ("allprograms", "", "", "statistics regions of every program id"),
        ("allregions", "", "", "every statistics region"),
        ("area", "", "", "show areas"),
        ("areas", "", "COUNT", "divide a region into this many areas"),
        ("areasize", "", "SIZE", "divide a region into areas of this size"),
        ("bounds", "", "BOUNDS", "upper bounds of a latency histogram"),
        ("checks", "", "", "have libdevmapper check the order of requests"),
        ("clear", "", "", "clear the counters that are printed"),
        ("columns", "cC", "", "print columns instead of text"),
        ("concise", "", "", "use the one-line format of all devices"),
        ("count", "", "COUNT", "repeat a report this often; 0 for ever"),
        ("deferred", "", "", "remove the device when its last user closes it"),
        ("select", "S", "SELECTION", "only the devices or rows that match"),
        ("exec", "", "COMMAND", "run a command for each device, its node's path as last argument"),
        ("filemap", "", "", "make a statistics region for each extent of a file"),
        ("follow", "", "HOW", "how a file map follows its file: inode or path"),
        ("force", "f", "", "put an error target in place of the table first, or do not flush"),
        ("foreground", "", "", "keep the file map monitor in the foreground"),
        ("gid", "G", "GID", "group of the node that libdevmapper makes"),
        ("group", "", "", "show groups"),
        ("groupid", "", "ID", "a statistics group"),
        ("help", "h", "", "show this help"),
        ("histogram", "", "", "show latency histograms"),
        ("inactive", "", "", "use the inactive table instead of the live one"),
        ("interval", "", "SECONDS", "time between two reports"),
        ("length", "", "SIZE", "length of a statistics region"),
        ("manglename", "", "MODE", "how odd characters in names are written: auto, hex or none"),
        ("major", "j", "MAJOR", "major number of the device"),
        ("minor", "m", "MINOR", "minor number of the device"),
        ("mode", "M", "OCTAL", "permissions of the node that libdevmapper makes"),
        ("nameprefixes", "", "", "print DM_FIELD='value' pairs"),
        ("nogroup", "", "", "do not group the regions that are made"),
        ("noflush", "", "", "do not flush outstanding I/O, or do not commit metadata for a status"),
        ("noheadings", "", "", "leave out the line of headings"),
        ("nolockfs", "", "", "do not freeze the file system on the device"),
        ("noopencount", "", "", "do not ask for the open count"),
        ("nosuffix", "", "", "print sizes without their unit"),
        ("notable", "n", "", "make the device without a table"),
        ("notimesuffix", "", "", "print times without their unit"),
        ("udevcookie", "", "COOKIE", "make the request part of a udev transaction"),
        ("nomonitor", "", "", "do not start the file map monitor"),
        ("noudevrules", "", "", "have udev leave the device alone; the node is made only with --verifyudev"),
        ("noudevsync", "", "", "do not wait for udev"),
        ("options", "o", "LIST", "what to show: fields, or how devices are named"),
        ("precise", "", "", "count nanoseconds instead of milliseconds"),
        ("programid", "", "ID", "owner of a statistics region"),
        ("raw", "", "", "print counters instead of rates"),
        ("readahead", "", "SECTORS", "read-ahead: [+]SECTORS, auto or none"),
        ("region", "", "", "show regions"),
        ("regions", "", "IDS", "a list of statistics regions"),
        ("regionid", "", "ID", "a statistics region"),
        ("relative", "", "", "print histograms in per cent"),
        ("retry", "", "", "try again for some seconds while the device is busy"),
        ("rows", "", "", "print one line a field"),
        ("segments", "", "", "one statistics region for each line of the table"),
        ("separator", "", "TEXT", "what stands between two columns"),
        ("setuuid", "", "", "set the uuid instead of the name"),
        ("showkeys", "", "", "print the keys of crypt and integrity tables"),
        ("sort", "O", "FIELDS", "sort a report by these fields, - before a field for descending"),
        ("start", "", "SIZE", "start of a statistics region"),
        ("table", "", "TABLE", "the table itself, lines separated by newlines"),
        ("target", "", "TYPE", "only devices or lines of this target"),
        ("tree", "", "", "show the devices as a tree"),
        ("uid", "U", "UID", "owner of the node that libdevmapper makes"),
        ("units", "", "UNITS", "units of sizes"),
        ("uuid", "u", "UUID", "the device's uuid"),
        ("unbuffered", "", "", "print each row of a report when it is known"),
        ("unquoted", "", "", "leave out the quotes of --nameprefixes"),
        ("userdata", "", "TEXT", "text to keep with a statistics region"),
        ("verbose", "", "IGNORED", "as -v, but with an argument that is ignored"),
        ("verifyudev", "", "", "have libdevmapper check and mend what udev makes"),
        ("version", "", "", "print the versions of libdevmapper and of the kernel's driver"),
        ("yes", "y", "", "answer yes to every question"),
        ("addnodeonresume", "", "", "make the node when the device is resumed"),
        ("addnodeoncreate", "", "", "make the node when the device is created"),
    )
]
VERBOSE_HELP = "say more; twice for libdevmapper's debug lines, three times with times, four times with their places"

LONG_OPTIONS = tuple(
    (option.long, REQUIRED_ARGUMENT if option.argument else NO_ARGUMENT, option.long) for option in OPTIONS
)
# -v has no long name that means the same: --verbose wants an argument.
KEY_OF_SHORT = {letter: option.long for option in OPTIONS for letter in option.short} | {"v": "verbose"}

SELECTABLE = 2


class Command:
    """One command: operand bounds (maximum -1: any number), whether it repeats over operands (SELECTABLE: -S picks
    them too), "module:function" below dmctl.cli.compat ("" for a command of stats), usage, summary, the options that it
    takes in the long names' own words, and whether it has JSON."""

    __slots__ = ("handler", "json", "maximum", "minimum", "name", "options", "repeat", "summary", "usage")

    def __init__(  # noqa: PLR0917 - called once a row of the table below
        self,
        name: str,
        bounds: tuple[int, int],
        repeat: int,
        handler: str,
        usage: str,
        summary: str,
        options: str = "",
        *,
        json: bool = False,
    ):
        self.name = name
        self.minimum, self.maximum = bounds
        self.repeat = repeat
        self.handler = handler
        self.usage = usage
        self.summary = summary
        self.options = options
        self.json = json


_DEVICE = "uuid major minor "
_COMMON = "noopencount inactive checks "
_UDEV = "udevcookie noudevrules noudevsync verifyudev "

COMMANDS = {
    command.name: command
    for command in (
        Command("help", (0, 0), 0, "kernel:show_help", "", "Print the usage of all commands.", "columns"),
        Command(
            "create",
            (0, 2),
            0,
            "change:create",
            "NAME [TABLE_FILE]",
            "Make a device, load its table (from --table, a file or standard input) and resume it.",
            "table notable concise readonly uuid major minor uid gid mode readahead addnodeonresume addnodeoncreate "
            + _COMMON
            + _UDEV,
        ),
        Command(
            "remove",
            (0, -1),
            SELECTABLE,
            "change:remove",
            "DEVICE...",
            "Remove devices.",
            "force retry deferred select " + _DEVICE + _COMMON + _UDEV,
        ),
        Command(
            "remove_all",
            (0, 0),
            0,
            "change:remove_all",
            "",
            "Remove every device that is not in use.",
            "force deferred " + _COMMON,
        ),
        Command(
            "suspend",
            (0, -1),
            SELECTABLE,
            "change:suspend",
            "DEVICE...",
            "Flush and hold back I/O.",
            "noflush nolockfs select " + _DEVICE + _COMMON,
        ),
        Command(
            "resume",
            (0, -1),
            SELECTABLE,
            "change:resume",
            "DEVICE...",
            "Make a loaded table live and let I/O go on.",
            "noflush nolockfs readahead addnodeonresume addnodeoncreate select " + _DEVICE + _COMMON + _UDEV,
        ),
        Command(
            "load",
            (0, 2),
            0,
            "change:load",
            "DEVICE [TABLE_FILE]",
            "Load a table into the inactive slot (from --table, a file or standard input).",
            "table readonly " + _DEVICE + _COMMON,
        ),
        Command(
            "clear",
            (0, -1),
            SELECTABLE,
            "change:clear",
            "DEVICE...",
            "Drop the inactive table.",
            "select " + _DEVICE + _COMMON,
        ),
        Command(
            "reload",
            (0, 2),
            0,
            "change:load",
            "DEVICE [TABLE_FILE]",
            "The same as load.",
            "table readonly " + _DEVICE + _COMMON,
        ),
        Command(
            "wipe_table",
            (0, -1),
            SELECTABLE,
            "change:wipe_table",
            "DEVICE...",
            "Put an error target of the same size in place of the table.",
            "force noflush nolockfs readonly select " + _COMMON + _UDEV,
        ),
        Command(
            "rename",
            (1, 2),
            0,
            "change:rename",
            "DEVICE NEW_NAME | --setuuid DEVICE UUID",
            "Rename a device, or give it its uuid.",
            "setuuid " + _DEVICE + _COMMON + _UDEV,
        ),
        Command(
            "measure",
            (0, -1),
            SELECTABLE,
            "show:measure",
            "[DEVICE...]",
            "Print what the kernel measures of the tables for IMA.",
            "select target " + _DEVICE + _COMMON,
        ),
        Command(
            "message",
            (2, -1),
            0,
            "change:message",
            "DEVICE SECTOR WORD...",
            "Send a message to the target at SECTOR.",
            _DEVICE + _COMMON,
        ),
        Command(
            "ls",
            (0, 0),
            0,
            "show:ls",
            "",
            "List the devices.",
            "options target exec tree checks",
            json=True,
        ),
        Command(
            "info",
            (0, -1),
            1,
            "show:info",
            "[DEVICE...]",
            "Print state, tables, open count, event number and numbers of devices.",
            "columns options sort select noheadings separator nameprefixes unquoted rows unbuffered count interval "
            + _DEVICE
            + _COMMON,
            json=True,
        ),
        Command(
            "deps",
            (0, -1),
            SELECTABLE,
            "show:deps",
            "[DEVICE...]",
            "Print the block devices that the tables refer to.",
            "options select " + _DEVICE + _COMMON,
            json=True,
        ),
        Command(
            "stats",
            (1, -1),
            1,
            "stats:stats",
            "COMMAND [DEVICE...]",
            "Make, print and remove regions of I/O statistics, as dmstats does.",
        ),
        Command(
            "status",
            (0, -1),
            SELECTABLE,
            "show:status",
            "[DEVICE...]",
            "Print the targets' status.",
            "target noflush exec select " + _DEVICE + _COMMON,
            json=True,
        ),
        Command(
            "table",
            (0, -1),
            SELECTABLE,
            "show:table",
            "[DEVICE...]",
            "Print the tables, keys hidden.",
            "target concise showkeys noflush exec select " + _DEVICE + _COMMON,
            json=True,
        ),
        Command(
            "wait",
            (0, 2),
            0,
            "change:wait",
            "DEVICE [EVENT_NR]",
            "Wait until the event counter is no longer EVENT_NR (0).",
            "noflush " + _DEVICE + _COMMON,
        ),
        Command("mknodes", (0, -1), 1, "kernel:mknodes", "[DEVICE...]", "Make the nodes in /dev/mapper anew."),
        Command(
            "mangle",
            (0, -1),
            1,
            "change:mangle",
            "[DEVICE...]",
            "Rename devices whose names udev cannot have.",
            "manglename",
        ),
        Command("udevcreatecookie", (0, 0), 0, "cookies:create", "", "Begin a udev transaction and print its cookie."),
        Command(
            "udevreleasecookie", (0, 1), 0, "cookies:release", "[COOKIE]", "Wait for a udev transaction and end it."
        ),
        Command("udevflags", (1, 1), 0, "cookies:flags", "COOKIE", "Print the flags in a cookie, for udev rules."),
        Command("udevcomplete", (1, 1), 0, "cookies:complete", "COOKIE", "Say that udev has finished, for udev rules."),
        Command(
            "udevcomplete_all",
            (0, 1),
            0,
            "cookies:complete_all",
            "[MINUTES]",
            "Remove the cookies that were left behind.",
            "yes",
        ),
        Command("udevcookies", (0, 0), 0, "cookies:list_all", "", "List the cookies there are."),
        Command(
            "target-version",
            (1, -1),
            1,
            "kernel:target_version",
            "TARGET...",
            "Print the version of targets, loading their modules.",
            "",
            json=True,
        ),
        Command("targets", (0, 0), 0, "kernel:targets", "", "List the targets that are loaded.", "checks", json=True),
        Command("version", (0, 0), 0, "kernel:version", "", "Print the versions of library and driver.", json=True),
        Command(
            "setgeometry",
            (5, 5),
            0,
            "change:setgeometry",
            "DEVICE CYL HEAD SECT START",
            "Set the geometry of a device.",
        ),
        Command(
            "splitname",
            (1, 2),
            0,
            "columns:splitname",
            "NAME [SUBSYSTEM]",
            "Split an LVM device name into its parts.",
            "options noheadings separator nameprefixes unquoted rows unbuffered",
        ),
    )
}

_REPORT = "options sort select noheadings nameprefixes unquoted rows separator units nosuffix unbuffered count interval"
_REGIONS = "allregions regionid "
_PROGRAMS = "allprograms programid "
_MONITOR = "nomonitor follow foreground "

# The subcommands of stats.
STATS_COMMANDS = {
    command.name: command
    for command in (
        Command("help", (0, -1), 1, "", "", "Print the usage of all subcommands, and the fields of reports."),
        Command(
            "clear",
            (0, -1),
            1,
            "",
            "[DEVICE...]",
            "Set the counters of regions to zero.",
            _REGIONS + _DEVICE,
        ),
        Command(
            "create",
            (0, -1),
            1,
            "",
            "DEVICE... | --alldevices | --filemap FILE",
            "Make regions: of the whole device, of a part of it, of each segment or of each extent of a file.",
            "start length areas areasize segments bounds precise programid userdata alias nogroup alldevices filemap "
            + _MONITOR
            + "force "
            + _DEVICE,
        ),
        Command(
            "delete",
            (0, -1),
            1,
            "",
            "DEVICE... | --alldevices",
            "Remove regions, or a group with its regions.",
            _REGIONS + "groupid " + _PROGRAMS + "alldevices " + _DEVICE,
        ),
        Command(
            "group",
            (0, -1),
            1,
            "",
            "DEVICE... | --alldevices",
            "Make a group of regions, whose counters are then also shown as one.",
            "regions alias alldevices " + _DEVICE,
        ),
        Command(
            "list",
            (0, -1),
            1,
            "",
            "[DEVICE...]",
            "List regions and groups; with -v areas too.",
            "histogram area region group " + _PROGRAMS + _REPORT + " " + _DEVICE,
        ),
        Command(
            "print",
            (0, -1),
            1,
            "",
            "[DEVICE...]",
            "Print the kernel's counters of regions as they are.",
            _REGIONS + "clear " + _DEVICE,
        ),
        Command(
            "report",
            (0, -1),
            1,
            "",
            "[DEVICE...]",
            "Report rates and times of areas, regions and groups.",
            "raw histogram relative notimesuffix area region group clear " + _PROGRAMS + _REPORT + " " + _DEVICE,
        ),
        Command(
            "ungroup",
            (0, -1),
            1,
            "",
            "DEVICE... | --alldevices",
            "Remove a group; its regions stay.",
            "groupid alldevices " + _DEVICE,
        ),
        Command(
            "update_filemap",
            (0, 1),
            0,
            "",
            "FILE",
            "Make the regions of a group follow the extents of its file.",
            "groupid programid " + _MONITOR,
        ),
        Command("version", (0, 0), 0, "", "", "Print the versions of library and driver."),
    )
}
