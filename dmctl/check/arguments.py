# SPDX-License-Identifier: LGPL-2.1-or-later
"""The arguments of one table line, read as the kernel's constructors read them, with every mistake noted.

What is a number, a group or a device here is what drivers/md/dm-table.c (dm_split_args, dm_read_arg, dm_read_arg_group,
dm_get_device), lib/vsprintf.c and lib/kstrtox.c take for one; which arguments a target has is in shapes.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmctl.table import Line

ERROR = "error"
WARNING = "warning"
UINT_MAX = 2**32 - 1
SECTOR_BYTES = 512

# The kernel's isspace() knows Latin-1, so the byte 0xa0 separates words even inside a UTF-8 character.
_KERNEL_BLANKS = frozenset(b" \t\n\v\f\r\xa0")
_DIGITS = frozenset("0123456789")
# Of these only words that look like a device are quoted: where an argument is missing, the key stands in its place.
_TARGETS_WITH_KEYS = ("crypt", "integrity")


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What the checks must know of a block device. A size of 0 stands for unknown; the kernel skips its checks too."""

    size_sectors: int
    logical_block_bytes: int = SECTOR_BYTES
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the line and its place: first column, from 1, and the column after the last."""

    text: str
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in one word of a line. `message` is one sentence and never holds a key."""

    word: Word
    severity: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device argument; `facts` is None when there is no such device or devices are not looked at."""

    word: Word
    facts: DeviceFacts | None


@dataclass(frozen=True, slots=True)
class Area:
    """Sectors of a device that the target tells device-mapper it maps (its iterate_devices function)."""

    device: Device
    start_sectors: int
    length_sectors: int


class Refused(Exception):
    """The constructor would have given up here; the problem is already noted."""


class Arguments:
    """A cursor over the arguments of a line.

    problems: what was found. areas: what device-mapper will be told is mapped. block_bytes: the logical block size that
    the target itself asks for (its io_hints function). limits_known: areas and block_bytes are all that it asks for.
    """

    def __init__(self, line: Line, usage: str, device: Callable[[str], DeviceFacts | None] | None):
        self.line = line
        self.usage = usage
        self.problems: list[Problem] = []
        self.areas: list[Area] = []
        self.block_bytes = SECTOR_BYTES
        self.limits_known = True
        self.keeps_secrets = line.target in _TARGETS_WITH_KEYS
        self._device = device
        self._at = 0
        spans = line.spans
        self.length = Word(str(line.length_sectors), *spans[1])
        self.target = Word(line.target, *spans[2])
        self.words = list(split_words(line.params, spans[3][0]))

    # Mistakes

    def note(self, word: Word, code: str, message: str, severity: str = ERROR) -> None:
        """Note a mistake that does not keep the following arguments from being understood."""
        self.problems.append(Problem(word, severity, code, f"{self.line.target}: {message}."))

    def refuse(self, word: Word, code: str, message: str) -> Refused:
        """Note a mistake; the caller raises what this returns."""
        self.note(word, code, message)
        return Refused()

    def show(self, word: Word) -> str:
        """The word quoted for a message, or a stand-in where it might be a key."""
        major, _, minor = word.text.partition(":")
        device_number = 0 < len(major) <= 4 and 0 < len(minor) <= 7 and _DIGITS.issuperset(major + minor)
        if self.keeps_secrets and not device_number and not word.text.startswith("/dev/"):
            return "the word given"
        return repr(word.text)

    # Counts

    @property
    def left(self) -> int:
        """Number of arguments not yet read."""
        return len(self.words) - self._at

    def count(self, *allowed: int) -> None:
        """The line must have one of these numbers of arguments."""
        given = len(self.words)
        if given not in allowed:
            surplus = self.words[max(allowed)] if given > max(allowed) else self.target
            numbers = " or ".join(str(number) for number in allowed)
            raise self.refuse(surplus, "argument-count", f"takes {numbers} arguments ({self.usage}), not {given}")

    def at_least(self, minimum: int) -> None:
        """The line must have this number of arguments; what follows them may be read or, by the kernel, ignored."""
        given = len(self.words)
        if given < minimum:
            message = f"takes at least {minimum} arguments ({self.usage}), not {given}"
            raise self.refuse(self.target, "argument-count", message)

    def follow(self, needed: int, what: str) -> None:
        """So many words must follow for `what`."""
        if self.left < needed:
            raise self.refuse(self.target, "argument-count", f"{what} need {needed} words, but {self.left} follow")

    def end(self, what: str) -> None:
        """No word may be left."""
        if self.left:
            raise self.refuse(self.words[self._at], "argument-count", f"{self.left} words too many follow the {what}")

    # Reading

    def word(self, what: str) -> Word:
        """The next argument as it is."""
        if not self.left:
            raise self.refuse(self.target, "argument-count", f"{what} is missing ({self.usage})")
        self._at += 1
        return self.words[self._at - 1]

    def number(
        self, what: str, *, bits: int = 32, strict: bool = False, minimum: int = 0, maximum: int | None = None
    ) -> int:
        """The next argument as a decimal number.

        strict: as kstrtouint() and its like read it: a plus sign may lead, and a number over `bits` bits is refused.
        Otherwise as sscanf() does, which cuts the number to its lowest `bits` bits.
        """
        return self.number_of(what, self.word(what), bits=bits, strict=strict, minimum=minimum, maximum=maximum)

    def number_of(
        self,
        what: str,
        word: Word,
        text: str | None = None,
        *,
        bits: int = 32,
        strict: bool = False,
        minimum: int = 0,
        maximum: int | None = None,
    ) -> int:
        """number() of a word already read, or of a part of it."""
        text = word.text if text is None else text
        digits = text[1:] if strict and text.startswith("+") else text
        if not digits or not _DIGITS.issuperset(digits):
            raise self.refuse(word, "not-a-number", f"{what} must be a decimal number, not {self.show(word)}")
        value = 0
        for digit in digits:  # as the kernel counts, and int() refuses thousands of digits
            value = (value * 10 + int(digit)) % 2**bits
        if str(value) != (digits.lstrip("0") or "0"):
            if strict:
                raise self.refuse(word, "out-of-range", f"{what} must be below 2**{bits}, not {self.show(word)}")
            message = f"{what} {self.show(word)} is over {bits} bits, and the kernel takes only its lowest {bits}"
            self.note(word, "number-cut", message, WARNING)
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
            raise self.refuse(word, "out-of-range", f"{what} must be {bounds}, not {self.show(word)}")
        return value

    def sector(self, what: str) -> int:
        """The next argument as a sector of a device, as sscanf("%llu%c") reads it."""
        return self.number(what, bits=64)

    def device(self, what: str, *, written: bool = False) -> Device:
        """The next argument as a block device. written: the constructor itself may write to it."""
        return self.device_of(what, self.word(what), written=written)

    def device_of(self, what: str, word: Word, *, written: bool = False) -> Device:
        """device() of a word already read."""
        if self._device is None:
            return Device(word, None)
        facts = self._device(word.text)
        shown = self.show(word)
        if facts is None:
            self.note(word, "no-device", f"{what} {shown} is not a block device that exists")
        elif not facts.size_sectors:
            message = f"{what} {shown} could not be looked at or has no size yet, so its use is not checked"
            self.note(word, "device-unknown", message, WARNING)
        elif written and facts.read_only:
            self.note(word, "device-read-only", f"{what} {shown} is read-only, and the target writes to it", WARNING)
        return Device(word, facts)

    def group(self, what: str, *, maximum: int | None = None, optional: bool = False) -> list[Word]:
        """A count and that many words. With `optional`, no words at all if the line ends here."""
        if optional and not self.left:
            return []
        word = self.word(f"the number of {what}")
        count = self.number_of(f"the number of {what}", word, maximum=maximum)
        if count > self.left:
            message = f"{count} {what} are announced, but {self.left} words follow"
            raise self.refuse(word, "argument-count", message)
        self._at += count
        return self.words[self._at - count : self._at]

    def options(
        self, words: list[Word], known: tuple[str, ...], what: str, *, case: bool = False, closed: bool = False
    ) -> list[str]:
        """The options among the words, in the kernel's spelling.

        case: the kernel minds upper and lower case. closed: it has known the same ones for many years, so that another
        one is an error.
        """
        found = []
        for word in words:
            text = word.text if case else word.text.lower()
            if text in known:
                found.append(text)
            elif closed:
                message = f"{what} must be one of {', '.join(known)}, not {self.show(word)}"
                raise self.refuse(word, "unknown-option", message)
            else:
                self.note(word, "unknown-option", f"{what} {self.show(word)} is not known here", WARNING)
        return found

    # Relations

    def power_of_two(self, what: str, word: Word, size: int) -> None:
        """`size`, which `word` says, must be a power of two."""
        if size & (size - 1):
            raise self.refuse(word, "block-size", f"{what} must be a power of two, not {size}")

    def multiple(self, what: str, word: Word, size: int, of: int) -> None:
        """`size`, which `word` says, must be a multiple of `of`."""
        if size % of:
            raise self.refuse(word, "block-size", f"{what} must be a multiple of {of}, not {size}")

    def length_divisible(self, length_sectors: int, by: int, what: str) -> None:
        """The line's length, or what is made of it, must be a multiple of `by`."""
        if length_sectors % by:
            message = f"the length {self.line.length_sectors} must be a multiple of {what}"
            raise self.refuse(self.length, "bad-length", message)

    def blocks_fit(self, what: str, word: Word, block_bytes: int, *devices: Device) -> None:
        """A block that `word` says must be a multiple of the devices' logical blocks."""
        for device in devices:
            if device.facts and block_bytes % device.facts.logical_block_bytes:
                message = (
                    f"{what} must be a multiple of the logical block size, {device.facts.logical_block_bytes} bytes, "
                    f"of {self.show(device.word)}, not {block_bytes} bytes"
                )
                raise self.refuse(word, "block-size", message)

    def differ(self, what: str, word: Word, other_what: str, other: Word) -> None:
        """Two words must not be the same text."""
        if word.text == other.text:
            raise self.refuse(word, "same-device", f"{what} {self.show(word)} is the {other_what} too")

    # What the kernel is told

    def maps(self, device: Device, start_sectors: int = 0, length_sectors: int | None = None) -> None:
        """Note an area, by default from the device's first sector on and as long as the line."""
        length = self.line.length_sectors if length_sectors is None else length_sectors
        self.areas.append(Area(device, start_sectors, length))

    def maps_whole(self, device: Device) -> None:
        """Note that the target names the whole of a device, whatever its size."""
        self.maps(device, 0, device.facts.size_sectors if device.facts else 0)


def split_words(params: str, column: int) -> Iterator[Word]:
    """The words that the kernel will see in `params`, which begin in `column`.

    libdm doubles each backslash and the kernel halves it again, so one quotes nothing here.
    """
    data = bytearray()
    columns = []
    for at, char in enumerate(params, column):
        encoded = os.fsencode(char)
        data += encoded
        columns += [at] * len(encoded)
    begin = None
    for at, byte in enumerate(bytes(data) + b" "):
        if byte in _KERNEL_BLANKS:
            if begin is not None:
                text = os.fsdecode(bytes(data[begin:at]))
                yield Word(text, columns[begin], columns[at - 1] + 1)
                begin = None
        elif begin is None:
            begin = at
