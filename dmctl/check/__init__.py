# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a table, found before the kernel is asked.

An "error" is what the kernel refuses for certain when the table is loaded or resumed: the rules of
drivers/md/dm-table.c are here, those of the targets in dmctl.check.shapes. A "warning" is legal, but hardly meant. No
finding is no promise.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from dmctl import units
from dmctl.check.arguments import ERROR, SECTOR_BYTES, WARNING, Area, Arguments, DeviceFacts
from dmctl.check.shapes import read_arguments
from dmctl.table import Line, Table

__all__ = ["ERROR", "WARNING", "DeviceFacts", "Finding", "check", "device_facts", "format_findings"]

# The kernel counts a device's bytes in a signed 64-bit number.
MAX_LENGTH_SECTORS = (2**63 - 1) // SECTOR_BYTES
MAX_TARGET_NAME_BYTES = 15  # DM_MAX_TYPE_NAME of include/uapi/linux/dm-ioctl.h is 16, with the NUL

_SINGLETONS = ("multipath", "thin-pool")
_IMMUTABLE = "verity"  # and those two

# Drivers that make a device when it is opened for the first time, by their names in /proc/devices.
_MAKE_DEVICES = ("fd", "loop", "md", "mdp", "ramdisk")
_UNKNOWN = DeviceFacts(0)
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in a table.

    line: number of the line in the text, from 1 (of a table that was not parsed, in its format()). column and
    end_column: the word in question, its first character, from 1, and the one after its last. severity: "error" or
    "warning". code: what it is, in words that do not change. message: one sentence, never with a key in it.
    """

    line: int
    column: int
    end_column: int
    severity: str
    code: str
    message: str


def device_facts(name: str) -> DeviceFacts | None:
    """The facts of a block device of this machine, by major:minor or path, from sysfs; None if there is none.

    The size is 0 where the kernel may find a device that cannot be looked at from here.
    """
    major, _, minor = name.partition(":")
    if major and minor and _DIGITS.issuperset(major + minor):
        try:
            return _sysfs_facts(*units.parse_devno(name))
        except ValueError:
            return None
    try:
        status = os.stat(name)
    except PermissionError:
        return _UNKNOWN
    except (OSError, ValueError):
        status = None
    if status is not None and stat.S_ISBLK(status.st_mode):
        return _sysfs_facts(os.major(status.st_rdev), os.minor(status.st_rdev))
    return _root_option_facts(name)


def check(
    table: Table,
    *,
    targets: Container[str] | None = None,
    loadable: Callable[[str], bool] | None = None,
    device: Callable[[str], DeviceFacts | None] | None = device_facts,
) -> list[Finding]:
    """What is wrong with `table`, in the order of its lines and columns.

    targets: names of the targets that the kernel has now; without them their names are not looked at. loadable: whether
    the kernel could load a target that it does not have; without it such a target is only a warning.
    device: the facts of a device argument (major:minor or a path), None if there is no such block device; by default
    those of this machine. With None instead of a function no device is looked at.
    """
    if not table.lines:
        return [Finding(1, 1, 1, ERROR, "empty-table", "The table has no lines.")]
    findings: list[Finding] = []
    read: list[tuple[int, Arguments | None]] = []
    end_sectors = 0
    for index, line in enumerate(table, 1):
        number = index if line.line_number is None else line.line_number
        findings += _place(line, number, end_sectors, first=index == 1)
        end_sectors = line.end_sectors
        findings += _target(line, number, targets, loadable, alone=len(table) == 1)
        args = read_arguments(line, device)
        read.append((number, args))
        if args is not None:
            if args.limits_known:
                _check_areas(args)
            findings += (
                Finding(number, p.word.column, p.word.end_column, p.severity, p.code, p.message) for p in args.problems
            )
    findings += _mixed(table, read)
    if not any(finding.severity == ERROR for finding in findings):
        findings += _aligned_lines(read)
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def format_findings(findings: Iterable[Finding], source: str) -> str:
    """The findings as a compiler prints them, `SOURCE:LINE:COLUMN: error: MESSAGE`, each with its line end."""
    return "".join(f"{source}:{f.line}:{f.column}: {f.severity}: {f.message}\n" for f in findings)


def _finding(line: Line, number: int, word: int, code: str, message: str, *, severity: str = ERROR) -> Finding:
    """A finding about the start (word 0), length, target or parameters of a line."""
    column, end_column = line.spans[word]
    return Finding(number, column, end_column, severity, code, message)


def _place(line: Line, number: int, expected_sectors: int, *, first: bool) -> Iterable[Finding]:
    start, length = line.start_sectors, line.length_sectors
    if start != expected_sectors:
        if first:
            yield _finding(line, number, 0, "not-at-zero", f"The table must start at sector 0, not {start}.")
        elif start > expected_sectors:
            message = f"Sectors {expected_sectors} to {start - 1} before this line are not mapped."
            yield _finding(line, number, 0, "gap", message)
        else:
            message = f"The line starts at sector {start}, but the one before it ends at {expected_sectors}."
            yield _finding(line, number, 0, "overlap", message)
    if not length:
        yield _finding(line, number, 1, "zero-length", "The length must not be 0.")
    elif line.end_sectors > MAX_LENGTH_SECTORS:
        message = (
            f"The line ends at sector {line.end_sectors}, beyond the largest device, {MAX_LENGTH_SECTORS} sectors."
        )
        yield _finding(line, number, 1, "too-large", message)


def _target(
    line: Line,
    number: int,
    targets: Container[str] | None,
    loadable: Callable[[str], bool] | None,
    *,
    alone: bool,
) -> Iterable[Finding]:
    name = line.target
    # libdm refuses a long name before the kernel sees it.
    if len(os.fsencode(name)) > MAX_TARGET_NAME_BYTES:
        # Not quoted: with a word too few before it a key stands here.
        message = f"The target's name is longer than {MAX_TARGET_NAME_BYTES} bytes."
        yield _finding(line, number, 2, "target-name-too-long", message)
    elif targets is not None and name not in targets:
        if loadable is None:
            message = f"Target {name!r} is not in the kernel, which may be able to load it."
            yield _finding(line, number, 2, "target-not-loaded", message, severity=WARNING)
        elif not loadable(name):
            yield _finding(line, number, 2, "unknown-target", f"The kernel has no target {name!r}.")
    if name in _SINGLETONS and not alone:
        yield _finding(line, number, 2, "must-be-alone", f"A {name} line must be the table's only one.")


def _mixed(table: Table, read: list[tuple[int, Arguments | None]]) -> Iterable[Finding]:
    """A verity line may be beside others of its kind only (and from 6.12 on beside none)."""
    if any(line.target != _IMMUTABLE for line in table):
        for line, (number, _) in zip(table, read, strict=True):
            if line.target == _IMMUTABLE:
                message = f"A {_IMMUTABLE} line cannot be mixed with lines of other targets."
                yield _finding(line, number, 2, "must-be-alone", message)


def _check_areas(args: Arguments) -> None:
    """device_area_is_invalid() of drivers/md/dm-table.c; what it finds is noted among the line's problems."""
    block_sectors = _line_block_bytes(args, args.block_bytes) // SECTOR_BYTES
    for area in args.areas:
        facts = area.device.facts
        # The kernel does not look at a device without a size, and we do not know those without facts.
        if facts is None or not facts.size_sectors:
            continue
        place, device = _area_place(args, area), args.show(area.device.word)
        if area.start_sectors + area.length_sectors > facts.size_sectors:
            message = f"device {device} has {facts.size_sectors} sectors, too few for {area.length_sectors} {place}"
            args.note(area.device.word, "device-too-small", message)
        elif area.start_sectors % block_sectors:
            message = f"the start of {device} {place} must be a multiple of {block_sectors} sectors, the block size"
            args.note(area.device.word, "misaligned-start", message)
        elif area.length_sectors % block_sectors:
            message = f"the {area.length_sectors} sectors of {device} must be a multiple of its block, {block_sectors}"
            args.note(area.device.word, "misaligned-length", message)


def _area_place(args: Arguments, area: Area) -> str:
    # The offset of a target with keys is as little quoted as its other words.
    return "from its offset on" if args.keeps_secrets else f"from sector {area.start_sectors} on"


def _line_block_bytes(args: Arguments, own_bytes: int = SECTOR_BYTES) -> int:
    """The logical block size of a line: the largest of its devices', or the target's own."""
    facts = (area.device.facts for area in args.areas)
    return max(own_bytes, *(fact.logical_block_bytes for fact in facts if fact is not None), SECTOR_BYTES)


def _aligned_lines(read: list[tuple[int, Arguments | None]]) -> Iterable[Finding]:
    """validate_hardware_logical_block_alignment() of drivers/md/dm-table.c: lines end where blocks do.

    A block of the whole device's size that begins in one line and ends in another must be divisible for the latter.
    """
    if any(args is None or not _devices_known(args) for _, args in read):
        return
    lines = [(number, args) for number, args in read if args is not None]
    block_sectors = max(_line_block_bytes(args, args.block_bytes) for _, args in lines) // SECTOR_BYTES
    end_sectors = remaining_sectors = 0
    number, args = lines[0]
    for number, args in lines:  # noqa: B007 - the last line is to blame for what remains
        own_sectors = _line_block_bytes(args) // SECTOR_BYTES
        if remaining_sectors < args.line.length_sectors and remaining_sectors % own_sectors:
            break
        end_sectors = (end_sectors + args.line.length_sectors) % block_sectors
        remaining_sectors = -end_sectors % block_sectors
    if remaining_sectors:
        message = f"The line is not aligned to the table's logical blocks of {block_sectors} sectors."
        yield _finding(args.line, number, 1, "misaligned-line", message)


def _devices_known(args: Arguments) -> bool:
    facts = [area.device.facts for area in args.areas]
    return args.limits_known and all(fact is not None and fact.size_sectors for fact in facts)


def _root_option_facts(name: str) -> DeviceFacts | None:
    """What kernels before 6.5 make of a name that is no path: they go on to the forms of the root= option.

    These are a disk without a node in /dev, a partition by its label or UUID, and a number in hexadecimal. Where there
    is such a device, it depends on the kernel whether it is found.
    """
    if name.startswith("/dev/"):
        disk = name.removeprefix("/dev/").replace("/", "!")
        return _UNKNOWN if os.path.exists(f"/sys/class/block/{disk}") else None
    if name.startswith(("PARTUUID=", "PARTLABEL=")):
        return _UNKNOWN
    major, _, rest = name.partition(":")
    minor, colon, _ = rest.partition(":")
    if colon and major and minor and _DIGITS.issuperset(major + minor):  # major:minor:offset
        return _UNKNOWN
    digits = name[2:] if name.startswith(("0x", "0X")) else name
    if not digits or not _HEX_DIGITS.issuperset(digits):
        return None
    number = int(digits[-8:], 16)
    # new_decode_dev() of include/linux/kdev_t.h
    facts = _sysfs_facts((number & 0xFFF00) >> 8, (number & 0xFF) | (number >> 12 & 0xFFF00))
    return None if facts is None else _UNKNOWN


def _sysfs_facts(major: int, minor: int) -> DeviceFacts | None:
    folder = f"/sys/dev/block/{major}:{minor}"
    size = _sysfs_number(f"{folder}/size")
    if size is None:
        return None if _absent(major) else _UNKNOWN
    # A partition has its disk's queue.
    block = _sysfs_number(f"{folder}/queue/logical_block_size") or _sysfs_number(
        f"{folder}/../queue/logical_block_size"
    )
    return DeviceFacts(size, block or SECTOR_BYTES, bool(_sysfs_number(f"{folder}/ro")))


def _sysfs_number(path: str) -> int | None:
    try:
        with open(path, "rb") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _absent(major: int) -> bool:
    """Whether a device with this major number that sysfs does not have is not there either when it is opened."""
    if not major:
        return True  # no driver has it
    if not os.path.isdir("/sys/dev/block"):
        return False
    try:
        with open("/proc/devices", encoding="ascii") as file:
            lines = file.read().partition("Block devices:")[2].splitlines()
        names = [words[1] for words in map(str.split, lines) if len(words) == 2 and words[0] == str(major)]
        if names:
            return not any(name in _MAKE_DEVICES for name in names)
        # Without a driver the kernel has modprobe look for one by the numbers.
        with open(f"/lib/modules/{os.uname().release}/modules.alias", encoding="ascii", errors="replace") as file:
            return not any(line.startswith((f"alias block-major-{major}-", "alias block-major-*")) for line in file)
    except OSError:
        return False
