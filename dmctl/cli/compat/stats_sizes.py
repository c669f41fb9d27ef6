# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers and sizes of dmstats' options, with C's arithmetic where dmstats has no check."""

from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.switches import Request
from dmctl.libdm.stats import unit_factor

_SECTOR = 512
_UINT64 = 0x10000000000000000


def region_number(request: Request, option: str) -> int:
    """The number of --regionid or --groupid; a negative one counts from the end of 64 bits."""
    number = request.numbers.get(option, 0)
    if not request.as_dmsetup and option in request.texts and not request.texts[option].isdecimal():
        raise Failed(f'--{option} must be a number, not "{request.texts[option]}".')
    return number % _UINT64


def _size(request: Request, option: str) -> int:
    """Bytes of --start, --length or --areasize: sectors without a unit."""
    text = request.texts[option]
    rest = text.lstrip(" \t\n\v\f\r")
    digits = rest[1:] if rest[:1] in ("+", "-") else rest
    end = 0
    while end < len(digits) and digits[end] in "0123456789":
        end += 1
    if not end:
        raise Failed(f'Invalid {option} argument: "{text}"')
    number = min(int(digits[:end]), _UINT64 - 1)
    number = -number if rest.startswith("-") else number
    unit = digits[end:]
    factor = _SECTOR if not unit else unit_factor(unit)[0]
    if not request.as_dmsetup and (not factor or not 0 <= number * factor < _UINT64):
        raise Failed(f'Invalid {option} argument: "{text}"')
    return number * (factor or 1) % _UINT64


def sectors(request: Request, option: str) -> int:
    """Sectors of --start or --length, 0 without it."""
    return _size(request, option) // _SECTOR if request.has(option) else 0


def areas_step(request: Request) -> int:
    """Sectors of an area, or minus the number of areas."""
    if request.has("areasize") and (size := _size(request, "areasize")):
        signed = size - _UINT64 if size >= _UINT64 // 2 else size
        return -(-signed // _SECTOR) if signed < 0 else signed // _SECTOR
    areas = request.numbers.get("areas", 0)
    if not request.as_dmsetup and request.has("areas") and areas < 1:
        raise Failed(f'--areas must be at least 1, not "{request.texts["areas"]}".')
    return -(areas or 1)


def area_count(length: int, step: int) -> int:
    """How many areas a region of this length has."""
    if not step or not length:
        return 1
    return -step if step < 0 else -(-length // step)
