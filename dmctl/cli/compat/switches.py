# SPDX-License-Identifier: LGPL-2.1-or-later
"""A dmsetup command line taken apart: options with dmsetup's own conversions, then the command and its operands."""

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.getopt import Getopt, GetoptError
from dmctl.cli.spec import KEY_OF_SHORT, LONG_OPTIONS, SHORT_OPTIONS
from dmctl.libdm import task as dm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl.cli.compat.columns import Columns
    from dmctl.cli.compat.forest import Style

_ATOI = ("areas", "gid", "groupid", "major", "minor", "regionid", "uid")
_MANGLING = {"none": libdm.MANGLING_NONE, "auto": libdm.MANGLING_AUTO, "hex": libdm.MANGLING_HEX}
_UINT32_MAX = 0xFFFFFFFF
_UINT64_MAX = 0xFFFFFFFFFFFFFFFF
_LONG_MAX = 0x7FFFFFFFFFFFFFFF
_BLANKS = " \t\n\v\f\r"


class CommandLineError(Exception):
    """The command line cannot be processed; the text, if any, is the line that says why."""


class Request:
    """A command line: how often each option came, the values, the command's name and its operands.

    as_dmsetup: called under dmsetup's name, so nothing is printed that dmsetup would not print.
    json, debug, headings (none, abbrev or full): dmctl's own options.
    gathered: what a JSON answer consists of, until it is printed.
    concise_written: whether a line of --concise has been begun.
    columns: the report that the command line asks for, once it is begun.
    subcommand: what `stats` is to do. is_dmstats: called under dmstats's name.
    style: how ls --tree draws.
    cookie: number of the udev transaction to join, 0 for none. device_names: devno, blkdevname or devname.
    """

    __slots__ = (
        "as_dmsetup",
        "columns",
        "command",
        "concise_written",
        "cookie",
        "counts",
        "debug",
        "device_names",
        "gathered",
        "headings",
        "is_dmstats",
        "json",
        "numbers",
        "operands",
        "own_dev_dir",
        "program",
        "read_ahead",
        "style",
        "subcommand",
        "texts",
    )

    def __init__(self, program: str, *, as_dmsetup: bool, json: bool = False, debug: bool = False):
        self.program = program
        self.as_dmsetup = as_dmsetup
        self.json = json
        self.debug = debug
        self.headings = "abbrev"
        self.counts: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.read_ahead: tuple[int, int] | None = None
        self.cookie = 0
        self.own_dev_dir = False
        self.is_dmstats = False
        self.command: str | None = None
        self.subcommand = ""
        self.operands: list[str] = []
        self.device_names = "devno"
        self.columns: Columns | None = None
        self.concise_written = False
        self.style: Style | None = None
        self.gathered: list[dict[str, object]] = []

    def has(self, option: str) -> bool:
        return option in self.counts

    @property
    def verbosity(self) -> int:
        return self.counts.get("verbose", 0)

    def parse(self, words: list[str]) -> None:
        """Take the words behind the program's name. CommandLineError where dmsetup would give up."""
        parser = Getopt(words, SHORT_OPTIONS, LONG_OPTIONS, self.program)
        try:
            for key, value in parser:
                self._take(KEY_OF_SHORT.get(key, key), value or "")
        except GetoptError as error:
            raise CommandLineError(str(error)) from None
        self.operands = list(parser.operands)
        if self.has("major") != self.has("minor"):
            raise CommandLineError("Please specify both major number and minor number.")
        if self.has("table") and self.has("notable"):
            raise CommandLineError("--table and --notable are incompatible.")
        if self.has("addnodeonresume") and self.has("addnodeoncreate"):
            raise CommandLineError("--addnodeonresume and --addnodeoncreate are incompatible.")
        if self.operands and (self.operands[0] == "stats" or not self.is_dmstats):
            self.command = self.operands.pop(0)
        elif self.operands:
            self.command = "stats"

    def parse_devmap_name(self, words: list[str]) -> None:
        """Take the words behind the name devmap_name, MAJOR MINOR or MAJOR:MINOR: info -c of that device's name."""
        if len(words) == 2:
            numbers = [atoi(word) for word in words]
        elif len(words) == 1 and (scanned := scan_numbers(words[0])):
            numbers = list(scanned)
        else:
            stream.error("Usage: devmap_name MAJOR MINOR | MAJOR:MINOR\n")
            raise CommandLineError("")
        self.numbers = dict(zip(("major", "minor"), numbers, strict=True))
        self.texts = {"options": "name"}
        self.counts = dict.fromkeys(("major", "minor", "options", "columns", "noheadings"), 1)
        self.command = "info"

    def _take(self, option: str, value: str) -> None:
        self.counts[option] = self.counts.get(option, 0) + 1
        self.texts[option] = value
        if option in _ATOI:
            self.numbers[option] = atoi(value)
        elif option == "count":
            self.numbers[option] = atoi(value)
            if self.numbers[option] < 0:
                raise CommandLineError("Count must be zero or greater.")
        elif option == "interval":
            self.numbers[option] = atoi(value)
            if self.numbers[option] <= 0:
                raise CommandLineError("Interval must be a positive integer.")
        elif option == "udevcookie":
            self.cookie = cookie_value(value)
        elif option == "mode":
            self.numbers[option] = _octal_mode(value)
        elif option == "readahead":
            self._take_read_ahead(value)
        elif option == "manglename":
            mode = _MANGLING.get(value.lower())
            if mode is None:
                raise CommandLineError("Unknown name mangling mode.")
            libdm.set_name_mangling(mode)

    def _take_read_ahead(self, value: str) -> None:
        if value.lower() == "auto":
            self.read_ahead = (dm.READ_AHEAD_AUTO, self.read_ahead[1] if self.read_ahead else 0)
        elif value.lower() == "none":
            self.read_ahead = (dm.READ_AHEAD_NONE, self.read_ahead[1] if self.read_ahead else 0)
        else:
            flags = self.read_ahead[1] if self.read_ahead else 0
            if value.lstrip(_BLANKS).startswith("+"):
                flags = dm.READ_AHEAD_MINIMUM
            sectors = atoi(value)
            if sectors < -1:
                raise CommandLineError(f"Negative read ahead value ({sectors}) is not understood.")
            self.read_ahead = (sectors, flags)


def atoi(text: str) -> int:
    """C's atoi() of the GNU library: leading blanks, a sign, digits; anything else is 0; kept in 32 bits."""
    return _to_int(_strtol(text, _LONG_MAX))


def _to_int(number: int) -> int:
    """What a C int keeps of a number."""
    return (number + 0x80000000) % 0x100000000 - 0x80000000


def _strtol(text: str, most: int) -> int:
    rest = text.lstrip(_BLANKS)
    negative = rest.startswith("-")
    if rest[:1] in ("+", "-"):
        rest = rest[1:]
    end = 0
    while end < len(rest) and rest[end] in "0123456789":
        end += 1
    number = min(int(rest[:end] or "0"), most + negative)
    return -number if negative else number


def scan_numbers(text: str) -> tuple[int, int] | None:
    """sscanf(text, "%i:%i"): two numbers in any base of C with a colon between, whatever follows."""
    first = _scan_any_base(text)
    second = _scan_any_base(first[1][1:]) if first and first[1].startswith(":") else None
    return (first[0], second[0]) if first and second else None


def _scan_any_base(text: str) -> tuple[int, str] | None:
    """A number as sscanf's %i takes it, in 32 bits, and what follows it."""
    rest = text.lstrip(_BLANKS)
    negative = rest.startswith("-")
    if rest[:1] in ("+", "-"):
        rest = rest[1:]
    base, allowed = 10, "0123456789"
    if rest[:2].lower() == "0x" and rest[2:3] in tuple("0123456789abcdefABCDEF"):
        base, allowed, rest = 16, "0123456789abcdefABCDEF", rest[2:]
    elif rest.startswith("0"):
        base, allowed = 8, "01234567"
    end = 0
    while end < len(rest) and rest[end] in allowed:
        end += 1
    if not end:
        return None
    number = min(int(rest[:end], base), _LONG_MAX + negative)
    number = -number if negative else number
    return _to_int(number), rest[end:]


def scan_unsigned(text: str) -> int | None:
    """sscanf(text, "%u"): a number at the beginning, kept in 32 bits; None where there is none."""
    rest = text.lstrip(_BLANKS)
    digits = rest[1:] if rest[:1] in ("+", "-") else rest
    if digits[:1] not in tuple("0123456789"):
        return None
    return _strtol(text, _UINT64_MAX) & _UINT32_MAX


def parse_sector(text: str) -> int:
    """strtoull(text, 10), all of it; CommandLineError where dmsetup says that the sector is invalid."""
    rest = text.lstrip(_BLANKS)
    negative = rest.startswith("-")
    digits = rest[1:] if rest[:1] in ("+", "-") else rest
    if not digits or digits.strip("0123456789") or int(digits) > _UINT64_MAX:
        raise CommandLineError("Invalid sector.")
    return -int(digits) & _UINT64_MAX if negative else int(digits)


def cookie_value(text: str) -> int:
    """A cookie in any base of C; 0, and a line on standard error, where it is none."""
    rest = text.lstrip(_BLANKS)
    negative = rest.startswith("-")
    digits = rest[1:] if rest[:1] in ("+", "-") else rest
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[:1] == "0" else 10
    allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567" if base == 8 else "0123456789"
    digits = digits[2:] if base == 16 else digits
    value = 0 if not digits or digits.strip(allowed) else int(digits, base)
    if negative and value <= _UINT64_MAX:
        value = -value & _UINT64_MAX
    if not 0 < value <= _UINT32_MAX:
        stream.error("Incorrect cookie value.")
        return 0
    return value


def _octal_mode(text: str) -> int:
    rest = text.lstrip(_BLANKS)
    digits = rest[1:] if rest[:1] in ("+", "-") else rest
    mode = 0 if digits.strip("01234567") else int(digits or "0", 8)
    negative = rest.startswith("-")
    too_great = mode > _LONG_MAX + negative
    mode = _to_int(-mode if negative else mode)
    if too_great or not mode:
        why = "Numerical result out of range" if too_great else ""
        raise CommandLineError(f"Invalid argument for --mode: {text}. {why}")
    return mode
