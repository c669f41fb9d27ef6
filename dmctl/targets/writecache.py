# SPDX-License-Identifier: LGPL-2.1-or-later
"""writecache: writes go to a fast device first (drivers/md/dm-writecache.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import Arguments, Status, Usage
from dmctl.targets.blocks import U32_MAX
from dmctl.targets.words import Words

# The kernel's word: the field's name; in the order in which the kernel prints them.
NUMBERS = {
    "start_sector": "start_sectors",
    "high_watermark": "high_watermark_percent",
    "low_watermark": "low_watermark_percent",
    "writeback_jobs": "writeback_jobs",
    "autocommit_blocks": "autocommit_blocks",
    "autocommit_time": "autocommit_time_ms",
    "max_age": "max_age_ms",
    "pause_writeback": "pause_writeback_ms",
}
FUA = {"fua": "on", "nofua": "off"}
FLAGS = ("cleaner", "metadata_only")
COUNTERS = (
    *("reads", "read_hits", "writes", "write_hits_uncommitted", "write_hits_committed"),
    *("writes_around", "writes_allocate", "writes_blocked_on_freelist", "flushes", "discards"),
)


@dataclass(frozen=True, slots=True)
class WritecacheArguments(Arguments):
    """s|p ORIGIN CACHE BLOCK_SIZE #OPTIONS [OPTION...]

    Version 1.3 of the target (Linux 5.10) prints max_age without counting it: here it is read all the same.
    """

    target: ClassVar[str] = "writecache"

    kind: str = fields.word("Of the cache: s for a disk, p for persistent memory.", choices=("s", "p"))
    origin: str = fields.device("The slow device.")
    cache: str = fields.device("The fast device; its first 4 KiB zero for a new cache.")
    block_bytes: int = fields.number(
        "What is cached at a time: 512 to the size of a page, best 4096.", unit="bytes", minimum=512, maximum=U32_MAX
    )
    start_sectors: int | None = fields.number(
        "Where the cache begins on its device (default 0).", unit="sectors", default=None
    )
    high_watermark_percent: int | None = fields.number(
        "How full the cache is before writing back begins (default 50).", unit="percent", maximum=100, default=None
    )
    low_watermark_percent: int | None = fields.number(
        "How full the cache still is when writing back ends (default 45).", unit="percent", maximum=100, default=None
    )
    writeback_jobs: int | None = fields.number(
        "How many blocks are written back at once (default: any number).", maximum=U32_MAX, default=None
    )
    autocommit_blocks: int | None = fields.number(
        "So many blocks written without a flush are committed (default 65536, for persistent memory 64).",
        option="autocommit-size",
        unit="blocks",
        maximum=U32_MAX,
        default=None,
    )
    autocommit_time_ms: int | None = fields.number(
        "For so long blocks without a flush are not committed (default 1000).",
        unit="ms",
        maximum=3600000,
        default=None,
    )
    max_age_ms: int | None = fields.since(
        "1.2.0",
        fields.number(
            "A block is written back when it is so old (default: never for that).",
            unit="ms",
            maximum=86400000,
            default=None,
        ),
    )
    cleaner: bool = fields.since("1.2.0", fields.flag("Writes go around the cache, and what is in it is written back."))
    fua: str | None = fields.word(
        "Whether writing back from persistent memory is with FUA (on, the default) or flushes afterwards (off).",
        choices=("on", "off"),
        default=None,
    )
    metadata_only: bool = fields.since("1.5.0", fields.flag("Only metadata of file systems are cached."))
    pause_writeback_ms: int | None = fields.since(
        "1.5.0",
        fields.number(
            "For so long after the origin was last used nothing is written back (default 3000).",
            unit="ms",
            maximum=60000,
            default=None,
        ),
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        kind = words.word("kind").lower()
        origin, cache = words.word("origin"), words.word("cache")
        block = words.number("block_bytes", bits=32)
        found = _read_options(words)
        words.rest("ignored")  # as the kernel does
        return cls(kind, origin, cache, block, **found)

    def to_params(self) -> str:
        options: list[object] = []
        for word, name in NUMBERS.items():
            if word == "pause_writeback":
                options += self._words()
            if getattr(self, name) is not None:
                options += [word, getattr(self, name)]
        words = [self.kind, self.origin, self.cache, self.block_bytes, len(options), *options]
        return " ".join(map(str, words))

    def _words(self) -> list[str]:
        found = ["cleaner"] if self.cleaner else []
        found += [word for word, value in FUA.items() if value == self.fua]
        return [*found, "metadata_only"] if self.metadata_only else found

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.origin)


def _read_options(words: Words) -> dict[str, Any]:
    count = words.number("number of options", bits=32)
    if count > words.left:
        words.fail(f"{count} options are announced, but {words.left} words follow")
    beyond = words.left - count
    if beyond == 2 and any(words.peek(ahead).lower() == "max_age" for ahead in range(words.left)):
        beyond = 0
    found: dict[str, Any] = {}
    while words.left > beyond:
        option = words.word("option").lower()
        if option in NUMBERS:
            found[NUMBERS[option]] = words.number(NUMBERS[option], bits=64 if option == "start_sector" else 32)
        elif option in FLAGS:
            words.named(option)
            found[option] = True
        elif option in FUA:
            words.named("fua")
            found["fua"] = FUA[option]
        else:
            words.fail(f"option {words.show(option)} is not known")
    if words.left < beyond:
        words.fail(f"the value of {option} is not among the {count} options")
    return found


@dataclass(frozen=True, slots=True)
class WritecacheStatus(Status):
    """ERROR TOTAL FREE WRITEBACK, and from Linux 5.15 on ten counters.

    The counters were of requests at first, and are of blocks in Linux 6.1.
    """

    target: ClassVar[str] = "writecache"

    error: int | None = fields.number("0, or another number after an I/O error.", default=None)
    total_blocks: int | None = fields.number("Blocks of the cache.", unit="blocks", default=None)
    free_blocks: int | None = fields.number("Blocks of the cache that are free.", unit="blocks", default=None)
    writeback_blocks: int | None = fields.number("Blocks being written back now.", unit="blocks", default=None)
    reads: int | None = fields.number("Reads.", default=None)
    read_hits: int | None = fields.number("Reads from the cache.", default=None)
    writes: int | None = fields.number("Writes.", default=None)
    write_hits_uncommitted: int | None = fields.number("Writes over a block not yet committed.", default=None)
    write_hits_committed: int | None = fields.number("Writes over a block already committed.", default=None)
    writes_around: int | None = fields.number("Writes that went to the origin.", default=None)
    writes_allocate: int | None = fields.number("Writes that took a new block.", default=None)
    writes_blocked_on_freelist: int | None = fields.number("Writes that waited for a free block.", default=None)
    flushes: int | None = fields.number("Flushes.", default=None)
    discards: int | None = fields.number("Discards.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        text = words.word("error")
        error = words.number_of("error", text.removeprefix("-"))
        found: dict[str, Any] = {
            name: words.number(name) for name in ("total_blocks", "free_blocks", "writeback_blocks")
        }
        counted = all(words.peek(ahead).isdecimal() for ahead in range(len(COUNTERS)))
        found |= {name: words.number(name) for name in COUNTERS} if counted else {}
        return cls(error=-error if text.startswith("-") else error, **found)

    def usages(self) -> tuple[Usage, ...]:
        if self.total_blocks is None or self.free_blocks is None:
            return ()
        return (Usage("cache", self.total_blocks - self.free_blocks, self.total_blocks, "blocks"),)

    def warnings(self) -> tuple[str, ...]:
        return (*blocks.warnings(self), *(["an I/O error has stopped the cache"] if self.error else []))
