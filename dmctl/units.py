# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sizes and device numbers as text and as integers.

This is for dmctl's own commands and for table parameters.  dmsetup-compatible options (dmstats --start and the like)
go through libdevmapper's own unit parser instead, where upper-case letters are powers of 1000; here "64K" and "64k"
are both 65536 bytes, as with lsblk, and powers of 1000 have to be asked for with a B ("64kB").
"""

from __future__ import annotations

import os

SECTOR_BYTES = 512
"""The sector of every device-mapper table and of every *_sectors name, whatever the disk's own block size."""

MAX_SIZE_BYTES = 2**64 - 1
MAX_MAJOR = 2**12 - 1
"""Largest major number of Linux: MINORBITS in include/linux/kdev_t.h leaves 12 bits of 32."""
MAX_MINOR = 2**20 - 1

_PREFIXES = "kmgtpe"
_DIGITS = frozenset("0123456789")
# A fraction of d digits, the last not 0, gives whole bytes only if 2**d or 5**d divides the factor; 1024**6 is 2**60.
_MAX_FRACTION_DIGITS = 60

_FACTORS = {"b": 1, "s": SECTOR_BYTES}
for _power, _prefix in enumerate(_PREFIXES, 1):
    _FACTORS[_prefix] = _FACTORS[_prefix + "ib"] = 1024**_power
    _FACTORS[_prefix + "b"] = 1000**_power


def parse_size(text: str, *, default_unit: str) -> int:
    """The bytes that a text such as "8s", "64K", "1.5GiB", "10 GB" or "4096" stands for.

    Units, in either case: b bytes; s sectors of 512 bytes; k m g t p e and KiB MiB GiB TiB PiB EiB powers of 1024;
    kB MB GB TB PB EB powers of 1000.  A bare number is in default_unit, one of these.  One decimal fraction is
    allowed if the result is a whole number of bytes.

    Raises ValueError, with one sentence to show, if the text is not such a size or is over 2**64-1 bytes.
    """
    stripped = text.strip()
    if not stripped:
        raise ValueError("A size is empty.")
    if stripped.startswith("-"):
        raise ValueError(f"Size {text!r} is negative.")
    end = 0
    while end < len(stripped) and (stripped[end] in _DIGITS or stripped[end] == "."):
        end += 1
    whole, point, fraction = stripped[:end].partition(".")
    if not whole or (point and not fraction) or "." in fraction:
        raise ValueError(f"Size {text!r} does not start with a number such as 8 or 1.5.")
    unit = stripped[end:].lstrip() or default_unit
    # isascii: the Kelvin sign's lower case is a plain k.
    factor = _FACTORS.get(unit.lower()) if unit.isascii() else None
    if factor is None:
        raise ValueError(f"Size {text!r} has the unknown unit {unit!r} instead of b, s, K, M, G, T, P, E, KiB or kB.")

    # The lengths are looked at first: int() of thousands of digits is refused by Python in words of its own.
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if len(whole) > len(str(MAX_SIZE_BYTES)):
        raise ValueError(f"Size {text!r} is over {MAX_SIZE_BYTES} bytes.")
    size_bytes, remainder = 0, 1
    if len(fraction) <= _MAX_FRACTION_DIGITS:
        size_bytes, remainder = divmod(int((whole + fraction) or "0") * factor, int("1" + "0" * len(fraction)))
    if remainder:
        raise ValueError(f"Size {text!r} is not a whole number of bytes.")
    if size_bytes > MAX_SIZE_BYTES:
        raise ValueError(f"Size {text!r} is over {MAX_SIZE_BYTES} bytes.")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """A size in bytes for people: "512 B", "1.5 GiB", "~1.33 TiB".

    The unit is the largest power of 1024 not above the size.  Without "~" the text is exact, has two decimals at
    most and no zeros at their end, and parse_size() gives the same number back.  With "~" it is the nearest size with
    two decimals, both shown.

    Raises ValueError if the size is negative.
    """
    if size_bytes < 0:
        raise ValueError(f"A size of {size_bytes} bytes is negative.")
    if size_bytes < 1024:
        return f"{size_bytes} B"
    power = min((size_bytes.bit_length() - 1) // 10, len(_PREFIXES))
    factor = 1024**power
    hundredths, remainder = divmod(size_bytes * 100, factor)
    if remainder:
        hundredths += 2 * remainder >= factor
        if hundredths == 1024 * 100 and power < len(_PREFIXES):
            hundredths, power = 100, power + 1
    number = f"{hundredths // 100}.{hundredths % 100:02}"
    unit = f"{_PREFIXES[power - 1].upper()}iB"
    return f"~{number} {unit}" if remainder else f"{number.rstrip('0').rstrip('.')} {unit}"


def sectors(size_bytes: int) -> int:
    """A size in bytes as 512-byte sectors.  Raises ValueError if it is negative or not a whole number of them."""
    if size_bytes < 0:
        raise ValueError(f"A size of {size_bytes} bytes is negative.")
    count, rest = divmod(size_bytes, SECTOR_BYTES)
    if rest:
        raise ValueError(f"A size of {size_bytes} bytes is not a whole number of {SECTOR_BYTES}-byte sectors.")
    return count


def parse_devno(text: str) -> tuple[int, int]:
    """(major, minor) from "254:3", the form of tables and of sysfs `dev` files (blanks around it are ignored).

    Raises ValueError if the text is anything else or a number is beyond Linux's 12-bit major, 20-bit minor.
    """
    major, _, minor = text.strip().partition(":")
    if not (major and minor and _DIGITS.issuperset(major) and _DIGITS.issuperset(minor)):
        raise ValueError(f"Device number {text!r} is not of the form MAJOR:MINOR.")
    # As in parse_size(): keep int() away from thousands of digits.
    return _checked(int(major.lstrip("0")[:8] or "0"), int(minor.lstrip("0")[:8] or "0"), text)


def format_devno(major: int, minor: int) -> str:
    """The text "254:3" of a major and a minor number; ValueError if one is out of the bounds of parse_devno()."""
    text = f"{major}:{minor}"
    _checked(major, minor, text)
    return text


def devno_to_dev_t(major: int, minor: int) -> int:
    """The dev_t (as in st_rdev) of a major and a minor number; ValueError if one is out of bounds."""
    _checked(major, minor, f"{major}:{minor}")
    return os.makedev(major, minor)


def dev_t_to_devno(dev: int) -> tuple[int, int]:
    """(major, minor) of a dev_t such as st_rdev; ValueError if it is not one that Linux can give."""
    if not 0 <= dev < 2**64:
        raise ValueError(f"Device number {dev} is not a dev_t.")
    return _checked(os.major(dev), os.minor(dev), str(dev))


def _checked(major: int, minor: int, text: str) -> tuple[int, int]:
    if not 0 <= major <= MAX_MAJOR:
        raise ValueError(f"Device number {text!r} has a major number outside 0 to {MAX_MAJOR}.")
    if not 0 <= minor <= MAX_MINOR:
        raise ValueError(f"Device number {text!r} has a minor number outside 0 to {MAX_MINOR}.")
    return major, minor
