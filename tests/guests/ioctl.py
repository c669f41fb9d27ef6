# SPDX-License-Identifier: LGPL-2.1-or-later
"""What device-mapper itself says of its devices, asked without libdevmapper and without a process a question.

Numbers and layouts are those of include/uapi/linux/dm-ioctl.h.
"""

import fcntl
import os
import struct
from typing import NamedTuple

_CONTROL = "/dev/mapper/control"
_VERSION = (4, 0, 0)
# struct dm_ioctl: version, data_size, data_start, target_count, open_count, flags, event_nr, padding, dev, name, uuid.
_HEADER = struct.Struct("=3IIIIiIIIQ128s129s7x")
_NAME = struct.Struct("=QI")  # struct dm_name_list: dev, next
_TARGET = struct.Struct("=QQiI16s")  # struct dm_target_spec: sector_start, length, status, next, target_type
_BUFFER_BYTES = 1 << 16
_LIST, _INFO, _STATUS = 2, 7, 12
_TABLE_FLAG, _BUFFER_FULL_FLAG, _INACTIVE_FLAG = 1 << 4, 1 << 8, 1 << 12


class State(NamedTuple):
    """A device: its number, the flags of DM_DEV_STATUS, its counts, uuid, and its tables as (start, length, target,
    parameters), live and inactive."""

    dev: int
    flags: int
    open_count: int
    target_count: int
    event_nr: int
    uuid: bytes
    live: list[tuple[int, int, bytes, bytes]]
    inactive: list[tuple[int, int, bytes, bytes]]


def names() -> list[bytes]:
    """All devices by the kernel's names, sorted."""
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return sorted(_names(control))
    finally:
        os.close(control)


def states() -> dict[bytes, State]:
    """All devices."""
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return {name: _state(control, name) for name in sorted(_names(control))}
    finally:
        os.close(control)


def _ask(control: int, number: int, name: bytes = b"", flags: int = 0) -> tuple[tuple[int, ...], bytes, bytes]:
    """The numbers of the answer's header from data_size on, its uuid, and its data."""
    buffer = bytearray(_BUFFER_BYTES)
    _HEADER.pack_into(buffer, 0, *_VERSION, len(buffer), _HEADER.size, 0, 0, flags, 0, 0, 0, name, b"")
    fcntl.ioctl(control, 3 << 30 | _HEADER.size << 16 | 0xFD << 8 | number, buffer)
    *numbers, _, uuid = _HEADER.unpack_from(buffer)
    if numbers[7] & _BUFFER_FULL_FLAG:
        raise OverflowError(f"what is told of {name!r} does not fit in {len(buffer)} bytes")
    return tuple(numbers[3:]), uuid.rstrip(b"\0"), bytes(buffer[numbers[4] : numbers[3]])


def _names(control: int) -> list[bytes]:
    data = _ask(control, _LIST)[2]
    found: list[bytes] = []
    place = 0
    while place < len(data):
        device, step = _NAME.unpack_from(data, place)
        if not device:
            break
        found.append(_text(data, place + _NAME.size))
        place += step or len(data)
    return found


def _state(control: int, name: bytes) -> State:
    (_, _, target_count, open_count, flags, event_nr, _, dev), uuid, _ = _ask(control, _INFO, name)
    return State(
        dev,
        flags,
        open_count,
        target_count,
        event_nr,
        uuid,
        _table(control, name, 0),
        _table(control, name, _INACTIVE_FLAG),
    )


def _table(control: int, name: bytes, which: int) -> list[tuple[int, int, bytes, bytes]]:
    header, _, data = _ask(control, _STATUS, name, _TABLE_FLAG | which)
    lines, place = [], 0
    for _ in range(header[2]):
        start, length, _, following, target = _TARGET.unpack_from(data, place)
        lines.append((start, length, target.rstrip(b"\0"), _text(data, place + _TARGET.size)))
        place = following
    return lines


def _text(data: bytes, place: int) -> bytes:
    return data[place : data.index(b"\0", place)]
