# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forward error correction of dm-verity: parity of the data and the hash tree, and what bad blocks should hold.

The code is RS(255, 255 - roots) over GF(256), as in the kernel's drivers/md/dm-verity-fec.c and in veritysetup, whose
files come out byte for byte. It reaches over a message: the data, the hash area and what follows that on its device,
one behind the other. What is computed is in dmctl/_native/fec.h.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dmctl._fec import ffi, lib
from dmctl.errors import DmctlError, UsageError

ROOTS = range(2, 25)
"""What DM_VERITY_FEC_MIN_RSN and DM_VERITY_FEC_MAX_RSN of drivers/md/dm-verity-fec.h allow."""
BLOCK_SIZES_BYTES = tuple(1 << shift for shift in range(9, 20))
"""What a superblock may say; the kernel wants no more than a page."""

UNREAD = -1

MAX_SHOWN_BYTES = lib.DMCTL_FEC_WINDOW
"""The largest block that encode() shows whole."""

SYMBOLS = 255
_MAX_BYTES = 2**63 - 1
_BLKGETSIZE64 = 0x80081272
_POLL_SECONDS = 0.05

_PATHS = {
    "portable": lib.DMCTL_FEC_PORTABLE,
    "avx2": lib.DMCTL_FEC_AVX2,
    "gfni": lib.DMCTL_FEC_GFNI,
    "gfni512": lib.DMCTL_FEC_GFNI512,
}
"""Ways to multiply, the slowest first. The environment variable DMCTL_FEC chooses one for all that is computed."""


class FecIOError(DmctlError):
    """Reading the message, or reading or writing the parity, failed.

    area: which of the areas, from 0; None for the parity.
    offset_bytes: where in the file or device.
    errno: EIO also where the file has become shorter than the area.
    """

    def __init__(self, message: str, *, errno: int, area: int | None, offset_bytes: int):
        super().__init__(message, errno=errno)
        self.area = area
        self.offset_bytes = offset_bytes


@dataclass(frozen=True)
class Area:
    """A part of the message: from offset_bytes of an open file or block device on, length_bytes (whole blocks).

    name: for messages of errors. The file's position may be moved: that is how holes are found.
    fd: UNREAD in encode() for a part that is not looked at, as if it were zeros.
    """

    fd: int
    offset_bytes: int
    length_bytes: int
    name: str = "the message"


@dataclass(frozen=True)
class Layout:
    """Where the code has what: fec_blocks blocks of message, and parity of `roots` bytes to each codeword.

    Raises UsageError where one of the three numbers is none that dm-verity knows.
    """

    fec_blocks: int
    roots: int
    block_size_bytes: int

    def __post_init__(self) -> None:
        if self.roots not in ROOTS:
            raise UsageError(f"roots: {self.roots} is not between {ROOTS[0]} and {ROOTS[-1]}.")
        if self.block_size_bytes not in BLOCK_SIZES_BYTES:
            raise UsageError(f"block_size_bytes: {self.block_size_bytes} is no power of two from 512 to 524288.")
        if self.fec_blocks <= 0:
            raise UsageError(f"fec_blocks: {self.fec_blocks} is no number of blocks that could be encoded.")
        # Rounded up, the message is up to 253 blocks longer; parity is the shorter of the two.
        if (self.fec_blocks + SYMBOLS) * self.block_size_bytes > _MAX_BYTES:
            raise UsageError(f"fec_blocks: {self.fec_blocks} blocks are more bytes than a file can have.")

    @classmethod
    def of(cls, areas: Iterable[Area], *, roots: int, block_size_bytes: int) -> Layout:
        """That of a message of these areas. Raises UsageError also where an area is not whole blocks in a file."""
        layout = cls(1, roots, block_size_bytes)
        length_bytes = 0
        for area in areas:
            if area.offset_bytes < 0 or area.length_bytes < 0:
                raise UsageError(f"areas: offset or length of {area.name} is negative.")
            if area.length_bytes % layout.block_size_bytes:
                raise UsageError(
                    f"areas: {area.length_bytes} bytes of {area.name} are not whole blocks of {block_size_bytes} bytes."
                )
            if area.offset_bytes + area.length_bytes > _MAX_BYTES:
                raise UsageError(f"areas: the end of {area.name} is beyond what a file can have.")
            length_bytes += area.length_bytes
        return cls(length_bytes // block_size_bytes, roots, block_size_bytes)

    @property
    def rows(self) -> int:
        """Symbols of message in a codeword: 255 - roots."""
        return SYMBOLS - self.roots

    @property
    def rounds(self) -> int:
        """Groups of block_size_bytes codewords; neighbouring blocks of the message are in different ones."""
        return -(-self.fec_blocks // self.rows)

    @property
    def size_bytes(self) -> int:
        """All parity, from its offset on."""
        return self.rounds * self.roots * self.block_size_bytes

    def place_of(self, block: int) -> tuple[int, int]:
        """Round and row of a block of the message: blocks of one round share codewords, a row is one symbol of them."""
        return block % self.rounds, block // self.rounds


class Verdict:
    """How a candidate was found, and what that is worth before its hash has been looked at."""

    CONSISTENT = "consistent"
    """The parity that was not needed agrees."""
    UNCHECKED = "unchecked"
    """All parity was needed: with anything else damaged, this is wrong."""
    INCONSISTENT = "inconsistent"
    """Something that nobody called bad is damaged, too: parity, or a block. blind=True may find what."""
    BLIND = "blind"
    """Errors were looked for in every codeword, and found."""
    LOST = "lost"
    """Too much is damaged; there are no data."""


_VERDICTS = {
    lib.DMCTL_FEC_CONSISTENT: Verdict.CONSISTENT,
    lib.DMCTL_FEC_UNCHECKED: Verdict.UNCHECKED,
    lib.DMCTL_FEC_INCONSISTENT: Verdict.INCONSISTENT,
    lib.DMCTL_FEC_BLIND: Verdict.BLIND,
    lib.DMCTL_FEC_LOST: Verdict.LOST,
}


@dataclass(frozen=True)
class Candidate:
    """What a bad block of the message should hold, as far as parity can tell: only its hash decides.

    block: its number in the message. data: None where there is no telling.
    verdict: one of Verdict's. suspects: other blocks in whose codewords errors were found (blind only).
    parity_suspect: errors were found in the parity itself (blind only).
    """

    block: int
    data: bytes | None
    verdict: str
    suspects: tuple[int, ...] = ()
    parity_suspect: bool = False


Progress = Callable[[int, int], None]
"""Called about every 50 ms with the blocks that are done and all blocks; what it raises ends the work."""


def paths() -> list[str]:
    """The ways to multiply that this processor has and that have passed a check, the fastest last."""
    return [name for name, number in _PATHS.items() if lib.dmctl_fec_usable(number)]


def encode(
    areas: Sequence[Area],
    fec_fd: int,
    fec_offset_bytes: int = 0,
    *,
    roots: int = 2,
    block_size_bytes: int = 4096,
    threads: int | None = None,
    progress: Progress | None = None,
    show: tuple[int, int] | None = None,
    add: bool = False,
) -> Layout:
    """Write the parity of a message to fec_fd, from fec_offset_bytes on; nothing before or behind it is touched.

    show: addresses of a dmctl_fec_show and its context, to which each block of the first area is shown: what else is
    to be done with the data need not read them again. Of blocks of MAX_SHOWN_BYTES and less.
    add: the parity that is there is that of the parts that are UNREAD now.

    threads: None for one a processor that this process may use. A thread takes 8 MiB at the most.
    On ^C, or when progress raises, this ends within 100 ms, and what has been written by then stays.

    Raises UsageError for arguments that cannot be, FecIOError, and DmctlError where there is no memory.
    """
    layout = Layout.of(areas, roots=roots, block_size_bytes=block_size_bytes)
    job = _job(areas, fec_fd, fec_offset_bytes, layout, threads)
    _no_overlap(areas, fec_fd, fec_offset_bytes, layout)
    job.struct.add = add
    if show is not None:
        if block_size_bytes > MAX_SHOWN_BYTES:
            raise UsageError(f"show: blocks of {block_size_bytes} bytes are not shown.")
        job.struct.show, job.struct.show_context = (
            ffi.cast("dmctl_fec_show *", show[0]),
            ffi.cast("void *", show[1]),
        )
    _run(lambda: lib.dmctl_fec_encode(job.struct), job, layout, progress)
    return layout


def repair_blocks(
    areas: Sequence[Area],
    fec_fd: int,
    fec_offset_bytes: int,
    bad: Iterable[int],
    *,
    roots: int = 2,
    block_size_bytes: int = 4096,
    blind: bool = False,
    threads: int | None = None,
) -> Iterator[Candidate]:
    """What the blocks with these numbers in the message should hold; nothing is written.

    A candidate for each, by rounds. Up to `roots` bad blocks of one round have data, for what is in a bad block is
    never looked at; what is in all other blocks is believed. blind: where that does not come out, errors are
    looked for in each codeword, and for this the bad blocks are read, too: it finds damage in parity and in blocks that
    are not called bad, and blocks of which little is damaged.

    The work is done as the iterator is advanced, so the caller may write a block that has passed its hash before asking
    for the next. At a time it holds about 8 MiB of candidates, and for each thread 5 MiB, or 80 blocks where these
    are more. ^C ends it within 100 ms.

    Where a candidate's hash is wrong, blind=True is worth another try with the blocks of its round; but a candidate
    that is "unchecked" and has the right hash may be spoilt by it, for then parity looks wrong where it is not.

    Raises UsageError at once for arguments that cannot be; later FecIOError: a caller may add the block that cannot
    be read to the bad ones.
    """
    layout = Layout.of(areas, roots=roots, block_size_bytes=block_size_bytes)
    job = _job(areas, fec_fd, fec_offset_bytes, layout, threads)
    if (size_bytes := _size_bytes(fec_fd, "fec_fd")) - fec_offset_bytes < layout.size_bytes:
        raise UsageError(
            f"fec_fd: {size_bytes} bytes are too few for {layout.size_bytes} bytes of parity at {fec_offset_bytes}."
        )
    places = set()
    for block in bad:
        if not 0 <= block < layout.fec_blocks:
            raise UsageError(f"bad: there is no block {block} among {layout.fec_blocks}.")
        round_, row = layout.place_of(block)
        places.add(round_ << 8 | row)  # a third of a tuple's memory: there may be millions
    return _candidates(job, layout, sorted(places), blind)


class _Job:
    """The struct, and what it points at."""

    def __init__(self, areas: Sequence[Area]):
        self.areas = areas
        self.array = ffi.new("struct dmctl_fec_area[]", [(a.fd, a.offset_bytes, a.length_bytes) for a in areas])
        self.struct = ffi.new("struct dmctl_fec_job *")
        self.struct.areas = self.array
        self.struct.area_count = len(areas)


def _job(areas: Sequence[Area], fec_fd: int, fec_offset_bytes: int, layout: Layout, threads: int | None) -> _Job:
    if threads is not None and not 1 <= threads <= 1024:
        raise UsageError(f"threads: {threads} is not between 1 and 1024.")
    if fec_offset_bytes < 0 or fec_offset_bytes + layout.size_bytes > _MAX_BYTES:
        raise UsageError(f"fec_offset_bytes: no file has {layout.size_bytes} bytes at {fec_offset_bytes}.")
    for area in areas:
        if area.fd == UNREAD:
            continue
        size_bytes = _size_bytes(area.fd, "areas")
        if area.offset_bytes + area.length_bytes > size_bytes:
            raise UsageError(
                f"areas: {area.name} has {size_bytes} bytes, too few for {area.length_bytes} at {area.offset_bytes}."
            )
    job = _Job(areas)
    job.struct.fec_fd = fec_fd
    job.struct.fec_offset = fec_offset_bytes
    job.struct.block_size = layout.block_size_bytes
    job.struct.roots = layout.roots
    job.struct.threads = threads or len(os.sched_getaffinity(0))
    job.struct.path = _path()
    return job


def _path() -> int:
    usable = paths()
    name = os.environ.get("DMCTL_FEC") or usable[-1]
    if name not in usable:
        raise UsageError(f"DMCTL_FEC: {name!r} is none of {', '.join(usable)}, which this machine has.")
    return _PATHS[name]


def _size_bytes(fd: int, argument: str) -> int:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    if stat.S_ISBLK(status.st_mode):
        size: int = struct.unpack("Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0]
        return size
    raise UsageError(f"{argument}: file descriptor {fd} is neither a file nor a block device.")


def _no_overlap(areas: Iterable[Area], fec_fd: int, fec_offset_bytes: int, layout: Layout) -> None:
    file = _identity(fec_fd)
    for area in areas:
        if area.fd == UNREAD or _identity(area.fd) != file:
            continue
        if (
            area.offset_bytes < fec_offset_bytes + layout.size_bytes
            and fec_offset_bytes < area.offset_bytes + area.length_bytes
        ):
            raise UsageError(f"fec_offset_bytes: parity at {fec_offset_bytes} would overwrite {area.name}.")


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    # Two nodes of one device are the same.
    return (0, status.st_rdev) if stat.S_ISBLK(status.st_mode) else (status.st_dev, status.st_ino)


def _run(call: Callable[[], int], job: _Job, layout: Layout, progress: Progress | None) -> None:
    """Call into C in another thread, so that this one gets signals, and raise what the job says."""
    ended = threading.Event()
    results = []

    def work() -> None:
        try:
            results.append(call())
        finally:
            ended.set()

    worker = threading.Thread(target=work, name="dmctl-fec")
    job.struct.cancel = 0
    try:
        worker.start()
        while not ended.wait(_POLL_SECONDS):
            if progress:
                progress(job.struct.done_bytes // layout.block_size_bytes, layout.fec_blocks)
    finally:
        # Where all went well this comes too late to matter. A second ^C has to wait: the caller may close the files.
        job.struct.cancel = 1
        while worker.is_alive():
            try:
                worker.join()
            except KeyboardInterrupt:
                pass
    if error := results[0]:
        _raise(error, job)
    if progress:
        progress(job.struct.done_bytes // layout.block_size_bytes, layout.fec_blocks)


def _raise(error: int, job: _Job) -> None:
    failed, offset_bytes = job.struct.failed_area, job.struct.failed_offset
    if failed == lib.DMCTL_FEC_NOWHERE:
        raise DmctlError(f"Error correction: {os.strerror(error)}.", errno=error)
    area = None if failed == lib.DMCTL_FEC_AT_PARITY else failed
    name = "the parity" if area is None else job.areas[area].name
    reason = "the file ends there" if job.struct.failed_short else os.strerror(error)
    raise FecIOError(
        f"Error correction, at byte {offset_bytes} of {name}: {reason}.",
        errno=error,
        area=area,
        offset_bytes=offset_bytes,
    )


# What a thread works on at a time, and what it makes; a block at the least. What all make before any is returned.
_WINDOW_BYTES = 65536
_OUTPUT_BYTES = 1 << 20
_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class _Window:
    first_round: int
    round_count: int
    rows: tuple[int, ...]


def _windows(layout: Layout, places: list[int]) -> Iterator[_Window]:
    """Neighbouring rounds with bad blocks in the same rows are one: they are read in one go."""
    first, count = 0, 0
    rows: tuple[int, ...] = ()
    for number, group in itertools.groupby(places, key=lambda place: place >> 8):
        own = tuple(place & 0xFF for place in group)
        most_bytes = min(_WINDOW_BYTES, _OUTPUT_BYTES // len(own))
        if own == rows and number == first + count and (count + 1) * layout.block_size_bytes <= most_bytes:
            count += 1
            continue
        if count:
            yield _Window(first, count, rows)
        first, count, rows = number, 1, own
    if count:
        yield _Window(first, count, rows)


def _candidates(job: _Job, layout: Layout, places: list[int], blind: bool) -> Iterator[Candidate]:
    batch: list[_Window] = []
    batch_bytes = 0
    for window in _windows(layout, places):
        if len(window.rows) > layout.roots and not blind:
            for row in window.rows:
                for number in range(window.first_round, window.first_round + window.round_count):
                    yield Candidate(row * layout.rounds + number, None, Verdict.LOST)
            continue
        batch.append(window)
        batch_bytes += len(window.rows) * window.round_count * layout.block_size_bytes
        if len(batch) >= 4 * job.struct.threads or batch_bytes >= _BATCH_BYTES:
            yield from _decode(job, layout, batch, blind)
            batch, batch_bytes = [], 0
    if batch:
        yield from _decode(job, layout, batch, blind)


def _decode(job: _Job, layout: Layout, batch: list[_Window], blind: bool) -> list[Candidate]:
    array = ffi.new("struct dmctl_fec_window[]", len(batch))
    kept: list[tuple[Any, ...]] = []
    for struct_, window in zip(array, batch, strict=True):
        rows = ffi.new("uint8_t[]", bytes(window.rows))
        output = ffi.new("uint8_t[]", len(window.rows) * window.round_count * layout.block_size_bytes)
        verdicts = ffi.new("uint8_t[]", window.round_count)
        suspects = ffi.new("uint8_t[]", window.round_count * SYMBOLS)
        kept.append((rows, output, verdicts, suspects))
        struct_.first_round, struct_.round_count = window.first_round, window.round_count
        struct_.bad, struct_.bad_count = rows, len(window.rows)
        struct_.output, struct_.verdicts, struct_.suspects = output, verdicts, suspects
    _run(lambda: lib.dmctl_fec_decode(job.struct, array, len(batch), blind), job, layout, None)
    return [
        candidate
        for window, (_, *results) in zip(batch, kept, strict=True)
        for candidate in _of_window(layout, window, *map(ffi.buffer, results))
    ]


def _of_window(layout: Layout, window: _Window, output: Any, verdicts: Any, suspects: Any) -> Iterator[Candidate]:
    size = layout.block_size_bytes
    for round_ in range(window.round_count):
        number = window.first_round + round_
        verdict = _VERDICTS[verdicts[round_][0]]
        found = suspects[round_ * SYMBOLS : (round_ + 1) * SYMBOLS]
        others = tuple(row * layout.rounds + number for row in range(layout.rows) if found[row])
        for i, row in enumerate(window.rows):
            start = (i * window.round_count + round_) * size
            data = None if verdict == Verdict.LOST else output[start : start + size]
            yield Candidate(row * layout.rounds + number, data, verdict, others, any(found[layout.rows :]))
