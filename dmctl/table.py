# SPDX-License-Identifier: LGPL-2.1-or-later
"""Device-mapper tables as text: the lines of `dmsetup create`, what `dmsetup table` prints, and the concise format.

    >>> Table.parse("0 2048 linear 7:0 0").lines[0].length_sectors
    2048

Text is read exactly as leniently as dmsetup 1.02.185 reads it (dm-tools/dmsetup.c, libdm), whose glibc sscanf() lets
"+8", "0-1" and "0 8zero" through; whether the result makes sense is for Table.check() and the kernel to say. Bytes
that are no text come and go as Python's surrogate escapes. Numbers of sectors are 512-byte sectors.
"""

import os

from dmctl.errors import DmctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from re import Match
    from typing import NoReturn

    from dmctl.check import DeviceFacts, Finding

_BLANKS = " \t\n\v\f\r"
_DIGITS = "0123456789"
_SIGNS = ("+", "-")
_ULLONG_MAX = 2**64 - 1
_LONG_MAX = 2**63 - 1
_TARGETS_WITH_NAMED_KEYS = {"integrity": ("internal_hash:", "journal_crypt:", "journal_mac:")}

# name, uuid, minor, flags and the first table line: the place of the last is where a comma stops ending fields.
_CONCISE_FIELDS = ("name", "uuid", "minor", "flags", "table")
_TABLE_FIELD = 4


def _this_machine(name: str) -> "DeviceFacts | None":
    from dmctl.check import device_facts

    return device_facts(name)


class TableFormatError(DmctlError):
    """A table line that is not `START LENGTH TARGET [PARAMETERS]`; its text is dmsetup's message.

    line_number: 1 for the first line of the text. source: what the text was called, as in dmsetup's message: a file's
    name, "on stdin", or "" for the command line. The line itself is left out: it may hold a key.
    """

    def __init__(self, line_number: int, source: str):
        super().__init__(f"Invalid format on line {line_number} of table {source}.")
        self.line_number = line_number
        self.source = source


class ConciseFormatError(DmctlError):
    """A concise specification that dmsetup refuses.

    messages: the lines that dmsetup prints about it, in order; the text of the exception is the first.
    fields: what was read of the device in question: name, uuid, minor, flags, table; None for a field not reached.
    Without show_keys, parse_concise() puts zeros in both in the place of what may be a key.
    """

    def __init__(self, message: str, fields: tuple[str | None, ...], *, show_fields: bool = True):
        super().__init__(message)
        self.fields = fields
        self.messages: tuple[str, ...] = (message,)
        if show_fields:
            # "(null)" is what glibc's printf makes of a field that is not there.
            shown = (f"{name}: {value if value is not None else '(null)'}" for name, value in _named(fields))
            count = sum(field is not None for field in fields)
            self.messages += (f"Parsed {count} fields: {' '.join(shown)}",)


class Line:
    """One line of a table: `length_sectors` sectors from `start_sectors` on are mapped by `target` as `params` say.

    Immutable; equal when these four are. Both numbers are 512-byte sectors, 0 to 2**64-1.

    line_number and spans tell where a parsed line stood: its number in the text, from 1, and for start, length, target
    and parameters the column of the first character, from 1, and the column after the last. Of a line that was not
    parsed the number is None, and the spans are those in format().
    """

    __slots__ = ("_spans", "length_sectors", "line_number", "params", "start_sectors", "target")

    start_sectors: int
    length_sectors: int
    target: str
    params: str
    line_number: int | None

    def __init__(self, start_sectors: int, length_sectors: int, target: str, params: str = ""):
        _set(self, "start_sectors", start_sectors)
        _set(self, "length_sectors", length_sectors)
        _set(self, "target", target)
        _set(self, "params", params)
        _set(self, "line_number", None)
        _set(self, "_spans", None)

    @classmethod
    def parse(cls, text: str, *, line_number: int = 1, source: str = "") -> "Line | None":
        """The line that `text` holds, or None for a blank one or a comment. Raises TableFormatError."""
        # C text ends at its first NUL; then dmsetup trims, so that blanks in `end` only come from a cut-off comment.
        stripped = text.partition("\0")[0].rstrip(_BLANKS)
        first = _skip_blanks(stripped, 0)
        if first == len(stripped) or stripped[first] == "#":
            return None
        start = _scan_number(stripped, first)
        length = start and _scan_number(stripped, start[1])
        if not start or not length:
            raise TableFormatError(line_number, source)
        type_begin = _skip_blanks(stripped, length[1])
        type_end = type_begin
        while type_end < len(stripped) and stripped[type_end] not in _BLANKS:
            type_end += 1
        if type_begin == type_end:
            raise TableFormatError(line_number, source)
        params_begin = _skip_blanks(stripped, type_end)
        params = stripped[params_begin:].partition("#")[0]

        line = cls(start[0], length[0], stripped[type_begin:type_end], params)
        _set(line, "line_number", line_number)
        ends = (first, start[1], _skip_blanks(stripped, start[1]), length[1], type_begin, type_end, params_begin)
        columns = [end + 1 for end in (*ends, params_begin + len(params))]
        _set(line, "_spans", tuple(zip(columns[::2], columns[1::2], strict=True)))
        return line

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Columns of start, length, target and parameters: first, from 1, and the one after the last."""
        if self._spans is not None:
            return self._spans
        spans = []
        column = 1
        for word in (str(self.start_sectors), str(self.length_sectors), self.target, self.params):
            spans.append((column, column + len(word)))
            column += len(word) + 1
        return tuple(spans)

    _spans: tuple[tuple[int, int], ...] | None

    @property
    def end_sectors(self) -> int:
        """The sector after the last one."""
        return self.start_sectors + self.length_sectors

    def shift(self, sectors: int) -> "Line":
        """The same line `sectors` further on in its table (further ahead if negative)."""
        return Line(self.start_sectors + sectors, self.length_sectors, self.target, self.params)

    def hide_keys(self) -> "Line":
        """The same line as `dmsetup table` shows it without --showkeys."""
        params = params_without_secrets(self.target, self.params)
        return self if params == self.params else Line(self.start_sectors, self.length_sectors, self.target, params)

    def format(self) -> str:
        """The line as `dmsetup table --showkeys` prints it: a blank follows the target even without parameters."""
        return f"{self.start_sectors} {self.length_sectors} {self.target} {self.params}"

    def __setattr__(self, name: str, value: object) -> "NoReturn":
        raise AttributeError(f"a table line's {name} cannot be changed")

    def __delattr__(self, name: str) -> "NoReturn":
        raise AttributeError(f"a table line's {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Line) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        params = params_without_secrets(self.target, self.params)
        return f"Line({self.start_sectors}, {self.length_sectors}, {self.target!r}, {params!r})"

    def __reduce__(self) -> "tuple[type[Line], tuple[int, int, str, str]]":
        return Line, self._key()

    def _key(self) -> tuple[int, int, str, str]:
        return self.start_sectors, self.length_sectors, self.target, self.params


class Table:
    """An immutable sequence of lines, in the order in which the kernel is given them."""

    __slots__ = ("lines",)

    lines: tuple[Line, ...]

    def __init__(self, lines: "Iterable[Line]" = ()):
        _set(self, "lines", tuple(lines))

    @classmethod
    def parse(cls, text: str, *, source: str = "") -> "Table":
        """The table in `text`, read as dmsetup reads a file (lines end at "\\n" only).

        `source` is what messages call it: a file's name, "on stdin", or "" for --table. Raises TableFormatError at the
        first line that dmsetup would refuse.
        """
        numbered = enumerate(text.split("\n"), 1)
        lines = (Line.parse(line, line_number=number, source=source) for number, line in numbered)
        return cls(line for line in lines if line is not None)

    @classmethod
    def concat(cls, *tables: "Table") -> "Table":
        """The tables one after the other, each moved to the end of the one before."""
        lines: list[Line] = []
        for table in tables:
            end_sectors = lines[-1].end_sectors if lines else 0
            lines += (line.shift(end_sectors) if end_sectors else line for line in table)
        return cls(lines)

    @property
    def length_sectors(self) -> int:
        """Size of a device with this table, as the kernel reckons it: the end of the last line."""
        return self.lines[-1].end_sectors if self.lines else 0

    def hide_keys(self) -> "Table":
        """The same table as `dmsetup table` shows it without --showkeys."""
        return Table(line.hide_keys() for line in self.lines)

    def format(self) -> str:
        """The lines as `dmsetup table --showkeys` prints them, each with its line end."""
        return "".join(f"{line.format()}\n" for line in self.lines)

    def check(
        self,
        *,
        targets: "Container[str] | None" = None,
        loadable: "Callable[[str], bool] | None" = None,
        device: "Callable[[str], DeviceFacts | None] | None" = _this_machine,
    ) -> "list[Finding]":
        """What is wrong with this table, before the kernel is asked; see dmctl.check.check()."""
        from dmctl.check import check

        return check(self, targets=targets, loadable=loadable, device=device)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> "Line":
        return self.lines[index]

    def __iter__(self) -> "Iterator[Line]":
        return iter(self.lines)

    def __setattr__(self, name: str, value: object) -> "NoReturn":
        raise AttributeError(f"a table's {name} cannot be changed")

    def __delattr__(self, name: str) -> "NoReturn":
        raise AttributeError(f"a table's {name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return self.lines == other.lines if isinstance(other, Table) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.lines)

    def __repr__(self) -> str:
        return f"Table({list(self.lines)!r})"

    def __reduce__(self) -> "tuple[type[Table], tuple[tuple[Line, ...]]]":
        return Table, (self.lines,)


class ConciseDevice:
    """One device of the concise format, `NAME,UUID,MINOR,FLAGS,TABLE[,TABLE...]`.

    uuid: "" for none. minor: None for any. read_only: None when the flags are empty, which dmsetup takes as "rw".
    table_text: the lines of its table; `table` reads them, so that a bad line shows up when the table is wanted and not
    before the device's name was tried, as with dmsetup. A Table that was given is kept as it is.
    """

    __slots__ = ("_table", "minor", "name", "read_only", "table_text", "uuid")

    def __init__(
        self,
        name: str,
        uuid: str = "",
        minor: int | None = None,
        read_only: bool | None = None,
        table: Table | str = "",
    ):
        self.name = name
        self.uuid = uuid
        self.minor = minor
        self.read_only = read_only
        self._table = None if isinstance(table, str) else table
        self.table_text = table if isinstance(table, str) else table.format()

    @property
    def table(self) -> "Table":
        """Its table. Raises TableFormatError, with the empty source that dmsetup names."""
        return Table.parse(self.table_text) if self._table is None else self._table

    def format(self) -> str:
        """The device as `dmsetup table --concise --showkeys` prints it, on one line without its end."""
        flags = {None: "", True: "ro", False: "rw"}[self.read_only]
        minor = "" if self.minor is None else str(self.minor)
        head = f"{_quote(self.name)},{_quote(self.uuid)},{minor},{flags}"
        # As there, a target's name is not quoted, and a device without a table has no fifth field.
        lines = (f",{n.start_sectors} {n.length_sectors} {n.target} {_quote(n.params)}" for n in self.table)
        return head + "".join(lines)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConciseDevice):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__ if name != "_table")

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ConciseDevice({self.name!r}, {self.uuid!r}, {self.minor}, {self.read_only})"


def format_concise(devices: "Iterable[ConciseDevice]") -> str:
    """The devices as one line of `dmsetup table --concise`, without the line's end."""
    return ";".join(device.format() for device in devices)


def parse_concise(text: str, *, show_keys: bool = False) -> "Iterator[ConciseDevice]":
    """The devices of a concise specification, one by one, as `dmsetup create --concise` comes upon them.

    dmsetup creates each device before it reads on, so the devices before a mistake exist when it is found: an iterator
    can do the same. Raises ConciseFormatError. show_keys: whether that has what dmsetup prints, keys and all.
    """
    text = text.partition("\0")[0]
    secretive = None if show_keys else text
    fields = [""]
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\":
            if at == len(text):
                raise _concise_error(
                    "Backslash must be followed by another character at end of string.", fields, secretive
                )
            fields[-1] += text[at]
            at += 1
        elif char == "," and len(fields) <= _TABLE_FIELD:
            fields.append("")
            at = _skip_blanks(text, at)
        elif char == ",":
            fields[-1] += "\n"
        elif char == ";" or at == len(text):
            if char != ";":
                fields[-1] += char
            if len(fields) != len(_CONCISE_FIELDS):
                raise _concise_error("Five comma-separated fields are required for each device", fields, secretive)
            yield _concise_device(fields, secretive)
            fields = [""]
            at = _skip_blanks(text, at)
        else:
            fields[-1] += char
    # Also when all fields are there, but the text ends in a comma or an escaped character: dmsetup takes neither.
    if len(fields) > 1 or fields[0]:
        message = "Incomplete entry: five comma-separated fields are required for each device"
        raise _concise_error(message, fields, secretive)


def params_without_secrets(target: str, params: str) -> str:
    """`params` with the keys of crypt and integrity targets overwritten by zeros, as `dmsetup table` shows them.

    A crypt key that is a reference into the kernel's keyring (it starts with ":") stays. One zero stands for each byte.
    """
    if target == "crypt":
        cipher, blank, rest = params.partition(" ")
        key, next_blank, others = rest.partition(" ")
        return params if key.startswith(":") else f"{cipher}{blank}{_zeros(key)}{next_blank}{others}"
    for option in _TARGETS_WITH_NAMED_KEYS.get(target, ()):
        before, found, value = params.partition(option)
        # The key is what follows a second colon of the same word.
        word, blank, others = value.partition(" ")
        algorithm, colon, key = word.partition(":")
        params = f"{before}{found}{algorithm}{colon}{_zeros(key)}{blank}{others}"
    return params


_set = object.__setattr__


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANKS:
        at += 1
    return at


def _scan_number(text: str, at: int) -> tuple[int, int] | None:
    """What sscanf's %llu reads at `at`, blanks skipped: the number and where it ends, or None.

    As strtoull() has it: a minus sign wraps the number around, and one over 2**64-1 of either sign is 2**64-1.
    """
    begin = _skip_blanks(text, at)
    digits = begin + 1 if text.startswith(_SIGNS, begin) else begin
    end = digits
    while end < len(text) and text[end] in _DIGITS:
        end += 1
    if end == digits:
        return None
    magnitude = _bounded(text[digits:end], _ULLONG_MAX)
    if text[begin] == "-" and magnitude is not None:
        magnitude = -magnitude % (_ULLONG_MAX + 1)
    return (_ULLONG_MAX if magnitude is None else magnitude), end


def _bounded(digits: str, maximum: int) -> int | None:
    """The number, or None over `maximum`; int() alone refuses thousands of digits."""
    digits = digits.lstrip("0")
    number = int(digits or "0") if len(digits) <= len(str(maximum)) else maximum + 1
    return number if number <= maximum else None


def _atoi(text: str) -> int:
    """What glibc's atoi() makes of `text`: strtol(), cut to 32 bits."""
    begin = _skip_blanks(text, 0)
    digits = begin + 1 if text.startswith(_SIGNS, begin) else begin
    end = digits
    while end < len(text) and text[end] in _DIGITS:
        end += 1
    negative = text.startswith("-", begin)
    limit = _LONG_MAX + negative
    number = _bounded(text[digits:end], limit)
    if number is None:
        number = limit
    number = (-number if negative else number) & 0xFFFFFFFF
    return number - (number >> 31 << 32)


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")


def _zeros(key: str) -> str:
    return "0" * len(os.fsencode(key))


def _named(fields: tuple[str | None, ...]) -> "Iterator[tuple[str, str | None]]":
    return zip(_CONCISE_FIELDS, fields, strict=True)


def _concise_error(message: str, fields: list[str], secretive: str | None) -> ConciseFormatError:
    missing = [None] * (len(_CONCISE_FIELDS) - len(fields))
    return ConciseFormatError(message, (*_without_keys(fields, secretive), *missing))


def _without_keys(fields: list[str], whole: str | None) -> list[str]:
    """The fields of the whole text with zeros in the place of what may be a key, which a mistake may have put anywhere;
    as they are where there is no text.
    """
    if whole is None:
        return fields
    import re

    # Where the names of targets or options have come through, a shorter piece may be a part of a key.
    named = re.search(r"crypt|integrity|internal_hash|journal_mac", whole)
    digits = r"()([0-9a-fA-F]{8,})" if named else r"()([0-9a-fA-F]{16,})"
    hidden = []
    for field in fields:
        text = re.sub(r"(\bcrypt\s+\S+\s+)(?!:)(\S+)", _with_zeros, field)
        text = re.sub(r"((?:internal_hash|journal_crypt|journal_mac):[^:\s]*:)(\S+)", _with_zeros, text)
        hidden.append(re.sub(digits, _with_zeros, text))
    return hidden


def _with_zeros(found: "Match[str]") -> str:
    return found[1] + _zeros(found[2])


def _concise_device(fields: list[str], secretive: str | None) -> ConciseDevice:
    name, uuid, minor, flags, table = fields
    if flags not in ("", "ro", "rw"):
        fields = _without_keys(fields, secretive)
        message = f"Invalid flags parameter '{fields[3]}' must be 'ro' or 'rw' or empty."
        raise ConciseFormatError(message, tuple(fields), show_fields=False)
    read_only = flags == "ro" if flags else None
    return ConciseDevice(name, uuid, _atoi(minor) if minor else None, read_only, table)
