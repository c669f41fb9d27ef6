# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log of dm-log-writes (drivers/md/dm-log-writes.c): what was written to a device, in an order that keeps flushes.

Writes are logged when the next flush has completed, before it; writes with FUA, discards and marks at once.
"""

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dmctl.units import SECTOR_BYTES
from guests.loop import Disk
from kernel.thin_pools import dmsetup

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
_MAGIC, _VERSION = 0x6A736677736872, 1
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. offset_bytes and length_bytes: where on the device; data: None of a discard; mark: a mark's text."""

    offset_bytes: int
    length_bytes: int
    flags: int
    data: bytes | None
    mark: str | None

    @property
    def is_write(self) -> bool:
        """Whether it changes the device."""
        return self.length_bytes > 0


@contextmanager
def logged(prefix: str, backing: Disk, log: Disk, metadata_bytes: int) -> Iterator[tuple[str, str]]:
    """Two devices on one that is logged, so that the log has the order of writes to both: metadata and data."""
    total, part = backing.sectors, metadata_bytes // SECTOR_BYTES
    dmsetup("create", prefix + "log", "--table", f"0 {total} log-writes {backing.path} {log.path}")
    try:
        below = f"/dev/mapper/{prefix}log"
        dmsetup("create", prefix + "meta", "--table", f"0 {part} linear {below} 0")
        dmsetup("create", prefix + "data", "--table", f"0 {total - part} linear {below} {part}")
        yield f"/dev/mapper/{prefix}meta", f"/dev/mapper/{prefix}data"
    finally:
        for one in ("data", "meta", "log"):
            subprocess.run(["dmsetup", "remove", "--retry", prefix + one], check=False, capture_output=True)


def entries(log: Path) -> Iterator[Entry]:
    """The requests of a log in order. ValueError: it is no such log."""
    with log.open("rb") as file:
        magic, version, count, sector_bytes = _SUPER.unpack(file.read(_SUPER.size))
        if (magic, version) != (_MAGIC, _VERSION) or sector_bytes % SECTOR_BYTES:
            raise ValueError(f"{log} is not a log of dm-log-writes")
        at = sector_bytes
        for _ in range(count):
            file.seek(at)
            head = file.read(sector_bytes)
            sector, sectors, flags, inline_bytes = _ENTRY.unpack_from(head)
            at += sector_bytes
            length_bytes = sectors * sector_bytes
            data = None
            if not flags & (DISCARD | MARK):
                data = file.read(length_bytes)
                at += length_bytes
            mark = None
            if flags & MARK:
                length_bytes = 0
                mark = head[_ENTRY.size : _ENTRY.size + inline_bytes].rstrip(b"\0").decode()
            yield Entry(sector * sector_bytes, length_bytes, flags, data, mark)
