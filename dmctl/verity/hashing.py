# SPDX-License-Identifier: LGPL-2.1-or-later
"""Digests of blocks as dm-verity wants them: a level of a hash tree at a time, on all processors.

The work is done in C, without the interpreter's lock: see dmctl/_native/hash.h. While it is under way this thread
looks after progress and interrupts. The environment variable DMCTL_HASH forces one of the ways to compute a digest
that paths() lists.
"""

import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmctl._hash import ffi, lib
from dmctl.errors import DmctlError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl._hash import CData

MIN_BLOCK_BYTES: int = lib.DMCTL_HASH_MIN_BLOCK
MAX_BLOCK_BYTES: int = lib.DMCTL_HASH_MAX_BLOCK
MAX_SALT_BYTES: int = lib.DMCTL_HASH_MAX_SALT

# How often progress is told. A ^C is seen after as long at the most.
_POLL_SECONDS = 0.05
# Less than this is done sooner than a thread would have been started.
_SMALL_BYTES = 1 << 20

# Of the range that is under way: blocks done, and bytes read (not those of holes).
Progress = Callable[[int, int], None]
# A descriptor (a block device's may be O_DIRECT; the position of a regular file's moves), or memory.
Place = int | bytes | bytearray | memoryview


class HashIOError(DmctlError):
    """A read or write failed, or a file or device ends before it should (errno 0).

    side: "data" for the blocks that are hashed, "hash" for their digests. offset_bytes: where.
    """

    def __init__(self, side: str, errno: int, offset_bytes: int, *, writing: bool = False):
        what = "data" if side == "data" else "hash blocks"
        if errno:
            verb = "Writing" if writing else "Reading"
            message = f"{verb} the {what} at byte {offset_bytes} failed: {os.strerror(errno)}."
        else:
            message = f"The {what} end before byte {offset_bytes}, where there should be more."
        super().__init__(message, errno=errno)
        self.side = side
        self.offset_bytes = offset_bytes


def algorithms() -> tuple[str, ...]:
    """The algorithms that can be computed here, as the kernel spells them."""
    return tuple(_strings(lib.dmctl_hash_algorithm))


def paths(algorithm: str) -> tuple[str, ...]:
    """The ways in which this processor can compute an algorithm, fastest first: "avx512", "shani", "avx2", "evp"."""
    name = Algorithm.named(algorithm).name.encode()
    return tuple(_strings(lambda index: lib.dmctl_hash_path(name, index)))


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A hash algorithm under the kernel's name for it."""

    name: str
    digest_bytes: int

    @classmethod
    def named(cls, name: str) -> "Algorithm":
        """UsageError: it is not known, or OpenSSL has it not."""
        # The C string would end at a NUL.
        known = name.isascii() and "\0" not in name
        digest_bytes = lib.dmctl_hash_digest_bytes(name.encode("ascii")) if known else 0
        if not digest_bytes:
            raise UsageError(f"Hash algorithm {name!r} is not one of {', '.join(algorithms())}.")
        return cls(name, digest_bytes)

    def slot_bytes(self, hash_type: int) -> int:
        """The room for a digest in a hash block: with type 1 a power of two."""
        return self.digest_bytes if hash_type == 0 else 1 << (self.digest_bytes - 1).bit_length()

    def digests_per_block(self, hash_block_bytes: int) -> int:
        """The digests in a hash block, always a power of two; 0 where not even one fits."""
        whole = hash_block_bytes // self.digest_bytes
        return 1 << (whole.bit_length() - 1) if whole else 0


class Hasher:
    """An algorithm with its salt and the tree's hash type: 1 is H(salt ‖ block), 0 is H(block ‖ salt).

    UsageError: the algorithm is unknown, the salt is too long, the type is another, or DMCTL_HASH asks for what
    cannot be done here.
    """

    def __init__(self, algorithm: Algorithm | str, salt: bytes = b"", hash_type: int = 1):
        self.algorithm = algorithm if isinstance(algorithm, Algorithm) else Algorithm.named(algorithm)
        self.salt = bytes(salt)
        self.hash_type = hash_type
        if len(self.salt) > MAX_SALT_BYTES:
            raise UsageError(f"A salt of {len(self.salt)} bytes is over {MAX_SALT_BYTES} bytes.")
        if hash_type not in (0, 1):
            raise UsageError(f"Hash type {hash_type} is neither 0 nor 1.")
        name, path = self.algorithm.name, _forced_path(self.algorithm)
        native = lib.dmctl_hash_new(name.encode(), path.encode(), self.salt, len(self.salt), hash_type)
        if not native:
            raise DmctlError(f"OpenSSL cannot compute {name}: {os.strerror(ffi.errno)}.", errno=ffi.errno)
        self._native = ffi.gc(native, lib.dmctl_hash_free)

    @property
    def path(self) -> str:
        """The way in which this processor computes it: one of paths()."""
        return ffi.string(lib.dmctl_hash_path_of(self._native)).decode()

    @property
    def slot_bytes(self) -> int:
        """The room for a digest in a hash block."""
        return self.algorithm.slot_bytes(self.hash_type)

    def digest(self, data: bytes | bytearray | memoryview) -> bytes:
        """The salted digest of one block, of whatever length."""
        digest = bytearray(self.algorithm.digest_bytes)
        _check(lib.dmctl_hash_digest(self._native, _memory(data), len(data), _memory(digest, writable=True)))
        return bytes(digest)

    def digests(self, data: bytes | bytearray | memoryview, block_bytes: int) -> bytes:
        """The salted digests of whole blocks in memory, one after the other, computed by this thread.

        ValueError: the data are not whole blocks, or a block is not whole 512 bytes.
        """
        if block_bytes < MIN_BLOCK_BYTES or block_bytes % MIN_BLOCK_BYTES or len(data) % block_bytes:
            raise ValueError(f"{len(data)} bytes are not whole blocks of {block_bytes} bytes")
        blocks = len(data) // block_bytes
        found = bytearray(blocks * self.algorithm.digest_bytes)
        out = _memory(found, writable=True)
        _check(lib.dmctl_hash_memory(self._native, _memory(data), block_bytes, blocks, out))
        return bytes(found)


def digest(algorithm: str, salt: bytes, hash_type: int, data: bytes | bytearray | memoryview) -> bytes:
    """The salted digest of one block. Raises as Hasher does."""
    return Hasher(algorithm, salt, hash_type).digest(data)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a tree: where its blocks are, and where the hash blocks are that hold their digests.

    Offsets are those of block 0 and of hash block 0 of the level, in memory too. Hash blocks in memory must be
    writable for hash_blocks(). Block sizes are powers of two of 512 bytes to 512 KiB.
    """

    source: Place
    source_offset_bytes: int
    block_bytes: int
    blocks: int
    destination: Place
    destination_offset_bytes: int
    hash_block_bytes: int

    def hash_block_count(self, hasher: Hasher) -> int:
        """How many hash blocks hold the digests of the level."""
        return -(-self.blocks // hasher.algorithm.digests_per_block(self.hash_block_bytes))


@dataclass(frozen=True, slots=True)
class Work:
    """What was done: blocks of the range, and bytes read of them, which are fewer where there are holes."""

    blocks: int
    bytes_read: int


@dataclass(frozen=True)
class Verified:
    """What verify_blocks() found in a range; a bit for each block, lowest bit of a byte first.

    bad_blocks: from first_block on, the digest is not that of the block.
    bad_padding: from first_hash_block on, what is beside the digests in the hash block is not zero.
    """

    blocks: int
    bytes_read: int
    first_block: int
    bad_blocks: bytearray
    bad_block_count: int
    first_hash_block: int
    bad_padding: bytearray
    bad_padding_count: int

    def __bool__(self) -> bool:
        """Whether all is as it should be."""
        return not self.bad_block_count and not self.bad_padding_count

    def bad_block_numbers(self) -> Iterator[int]:
        """The blocks of the level whose digests differ, in order."""
        return _bits(self.bad_blocks, self.first_block)

    def bad_padding_numbers(self) -> Iterator[int]:
        """The hash blocks of the level whose padding is not zero, in order."""
        return _bits(self.bad_padding, self.first_hash_block)


def hash_blocks(
    hasher: Hasher,
    level: Level,
    *,
    first_block: int = 0,
    blocks: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Work:
    """Write the digests of the blocks of a level, or of a range of them, into its hash blocks.

    A range begins with a whole hash block, and ends with one or with the level. Hash blocks are written whole, with
    zeros where there is no digest.
    threads: as many as this process may use processors, if not said.
    progress: called by this thread, some times a second. What it raises ends the work.
    HashIOError: a read or a write failed. KeyboardInterrupt comes out after the work has ended.
    """
    task = _Task(hasher, level, first_block, blocks, threads, verify=False)
    task.run(progress)
    return Work(task.job.blocks_done, task.job.bytes_read)


def verify_blocks(
    hasher: Hasher,
    level: Level,
    *,
    first_block: int = 0,
    blocks: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Compare the digests of the blocks of a level, or of any range of them, with those in its hash blocks.

    Arguments and exceptions are those of hash_blocks(). The result has a bit for each block, so a huge level is better
    done in ranges.
    """
    task = _Task(hasher, level, first_block, blocks, threads, verify=True)
    task.run(progress)
    job = task.job
    return Verified(
        blocks=job.blocks_done,
        bytes_read=job.bytes_read,
        first_block=first_block,
        bad_blocks=task.bad_blocks,
        bad_block_count=job.bad_block_count,
        first_hash_block=first_block // job.digests_per_block,
        bad_padding=task.bad_padding,
        bad_padding_count=job.bad_padding_count,
    )


class Leaves:
    """Writes the digests of a whole level while something else reads its blocks and shows them: fec.encode(show=…).

    Neither the source of the level nor a destination in memory is used. Exceptions are those of hash_blocks().
    """

    def __init__(self, hasher: Hasher, level: Level):
        self._task = _Task(hasher, level, 0, None, None, verify=False)
        native = lib.dmctl_hash_leaves_new(hasher._native, self._task.job)
        if not native:
            raise DmctlError(f"Hashing failed: {os.strerror(ffi.errno)}.", errno=ffi.errno)
        self._native = ffi.gc(native, lib.dmctl_hash_leaves_free)

    @property
    def show(self) -> tuple[int, int]:
        """Addresses of dmctl_hash_leaves_show() and of what it works on, which is gone with this object."""
        function = ffi.addressof(lib, "dmctl_hash_leaves_show")
        return int(ffi.cast("uintptr_t", function)), int(ffi.cast("uintptr_t", self._native))

    def raise_failure(self, errno: int) -> None:
        """Raise HashIOError where a digest could not be written; errno is what the reader was told."""
        job = self._task.job
        if job.error_side == lib.DMCTL_HASH_DESTINATION:
            raise HashIOError("hash", errno, job.error_offset_bytes, writing=True)


class _Task:
    """A call of dmctl_hash_run() and the memory that it works with."""

    status: int = lib.DMCTL_HASH_DONE
    started = False
    finished = False

    def __init__(
        self,
        hasher: Hasher,
        level: Level,
        first_block: int,
        blocks: int | None,
        threads: int | None,
        *,
        verify: bool,
    ):
        self.hasher = hasher
        self._ended = allocate_lock()
        self._ended.acquire()
        blocks = level.blocks - first_block if blocks is None else blocks
        per_block = hasher.algorithm.digests_per_block(level.hash_block_bytes)
        _check_range(hasher, level, first_block, blocks, verify=verify)
        self.job = job = ffi.new("struct dmctl_hash_job *")
        job.source_offset_bytes = level.source_offset_bytes
        job.block_bytes = level.block_bytes
        job.level_blocks = level.blocks
        job.first_block = first_block
        job.blocks = blocks
        job.destination_offset_bytes = level.destination_offset_bytes
        job.hash_block_bytes = level.hash_block_bytes
        job.slot_bytes = hasher.slot_bytes
        job.digests_per_block = per_block
        job.verify = verify
        job.threads = max(1, len(os.sched_getaffinity(0)) if threads is None else threads)
        # cffi does not keep alive what a struct points to.
        self._kept: list[CData] = []
        hash_blocks_end = -(-(first_block + blocks) // per_block) * level.hash_block_bytes
        job.source_fd, job.source = self._place(
            level.source, level.source_offset_bytes + (first_block + blocks) * level.block_bytes, writable=False
        )
        job.destination_fd, job.destination = self._place(
            level.destination, level.destination_offset_bytes + hash_blocks_end, writable=not verify
        )
        self.bad_blocks = bytearray(-(-blocks // 8) if verify else 0)
        hash_blocks_touched = -(-(first_block + blocks) // per_block) - first_block // per_block
        self.bad_padding = bytearray(-(-hash_blocks_touched // 8) if verify else 0)
        job.bad_blocks = self._keep(self.bad_blocks, writable=True)
        job.bad_padding = self._keep(self.bad_padding, writable=True)

    def run(self, progress: Progress | None) -> None:
        """Let it run. On every way out, also by an exception, it has ended."""
        if not self.job.blocks:
            return
        if self.job.blocks * self.job.block_bytes <= _SMALL_BYTES:
            self._call()
        else:
            self._poll(progress)
        if progress is not None and self.status == lib.DMCTL_HASH_DONE:
            progress(self.job.blocks_done, self.job.bytes_read)
        if self.status == lib.DMCTL_HASH_FAILED:
            raise self._failure()

    def _call(self) -> None:
        self.status = lib.dmctl_hash_run(self.hasher._native, self.job)

    # A thread of `threading` cannot be waited for here: join() takes one for ended if a signal comes at a bad moment.
    def _poll(self, progress: Progress | None) -> None:
        try:
            start_new_thread(self._work, ())
            while not self.finished:
                self._ended.acquire(timeout=_POLL_SECONDS)
                if progress is not None and not self.finished:
                    progress(self.job.blocks_done, self.job.bytes_read)
        except BaseException:
            self.job.cancel = 1
            while self.started and not self.finished:
                try:
                    self._ended.acquire(timeout=_POLL_SECONDS)
                except BaseException:  # the first one is on its way already
                    continue
            raise

    def _work(self) -> None:
        """The thread. It sees that it is cancelled, or is seen to have started."""
        self.started = True
        try:
            if not self.job.cancel:
                self._call()
        finally:
            self.finished = True
            self._ended.release()

    def _failure(self) -> DmctlError:
        side, errno, offset_bytes = self.job.error_side, self.job.error_errno, self.job.error_offset_bytes
        if side == lib.DMCTL_HASH_NO_SIDE:
            return DmctlError(f"Hashing failed: {os.strerror(errno)}.", errno=errno)
        if side == lib.DMCTL_HASH_SOURCE:
            return HashIOError("data", errno, offset_bytes)
        return HashIOError("hash", errno, offset_bytes, writing=not self.job.verify)

    def _place(self, place: Place, needed_bytes: int, *, writable: bool) -> tuple[int, "CData"]:
        if isinstance(place, int):
            if place < 0:
                raise ValueError(f"{place} is not a file descriptor")
            return place, ffi.NULL
        if len(memoryview(place).cast("B")) < needed_bytes:
            raise ValueError(f"{len(place)} bytes of memory are less than the {needed_bytes} bytes that are used")
        return -1, self._keep(place, writable=writable)

    def _keep(self, memory: bytes | bytearray | memoryview, *, writable: bool) -> "CData":
        self._kept.append(_memory(memory, writable=writable))
        return self._kept[-1]


def _check_range(hasher: Hasher, level: Level, first_block: int, blocks: int, *, verify: bool) -> None:
    for block_bytes in (level.block_bytes, level.hash_block_bytes):
        if not MIN_BLOCK_BYTES <= block_bytes <= MAX_BLOCK_BYTES or block_bytes & (block_bytes - 1):
            raise ValueError(f"a block of {block_bytes} bytes")
    if not 0 <= first_block <= first_block + blocks <= level.blocks:
        raise ValueError(f"blocks {first_block} to {first_block + blocks} of a level of {level.blocks}")
    if min(level.source_offset_bytes, level.destination_offset_bytes) < 0:
        raise ValueError("an offset is negative")
    hash_bytes = level.hash_block_count(hasher) * level.hash_block_bytes
    for end in (
        level.source_offset_bytes + level.blocks * level.block_bytes,
        level.destination_offset_bytes + hash_bytes,
    ):
        # A little less than an offset can be, so that rounding cannot overflow.
        if end > (1 << 63) - (1 << 20):
            raise ValueError(f"a level that ends at byte {end}")
    per_block = hasher.algorithm.digests_per_block(level.hash_block_bytes)
    end_block = first_block + blocks
    if not verify and (first_block % per_block or (end_block % per_block and end_block != level.blocks)):
        raise ValueError(f"blocks {first_block} to {end_block} are not whole hash blocks of {per_block} digests")


def _forced_path(algorithm: Algorithm) -> str:
    path = os.environ.get("DMCTL_HASH", "")
    if path and path not in (possible := paths(algorithm.name)):
        raise UsageError(f"DMCTL_HASH is {path!r}, but {algorithm.name} is computed here by {' or '.join(possible)}.")
    return path


def _memory(memory: bytes | bytearray | memoryview, *, writable: bool = False) -> "CData":
    return ffi.from_buffer("uint8_t[]", memory, require_writable=writable)


def _check(errno: int) -> None:
    if errno:
        raise DmctlError(f"Hashing failed: {os.strerror(errno)}.", errno=errno)


def _strings(function: Callable[[int], "CData"]) -> Iterator[str]:
    index = 0
    while text := function(index):
        yield ffi.string(text).decode()
        index += 1


def _bits(bits: bytearray, first: int) -> Iterator[int]:
    for index, byte in enumerate(bits):
        if byte:
            yield from (first + 8 * index + bit for bit in range(8) if byte >> bit & 1)
