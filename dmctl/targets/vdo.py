# SPDX-License-Identifier: LGPL-2.1-or-later
"""vdo: deduplication, compression and thin provisioning (drivers/md/dm-vdo/dm-vdo-target.c)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status, Usage
from dmctl.targets.words import ParamsError, Words

U32_MAX = 2**32 - 1
MAX_THREADS = 100  # MAXIMUM_VDO_THREADS there
SWITCHES = ("on", "off")
# Words of the line: field. In the order of the kernel's documentation.
_THREADS = {
    "ack": "ack",
    "bio": "bio",
    "bioRotationInterval": "bio_rotation",
    "cpu": "cpu",
    "hash": "hash",
    "logical": "logical",
    "physical": "physical",
}
_OTHERS = {"maxDiscard": "max_discard_blocks", "deduplication": "deduplication", "compression": "compression"}
_OPTIONS = _THREADS | _OTHERS
# Versions of the line: numbers of words to leave out after the block size, and after the era length.
_IGNORED = {0: (2, 3), 1: (2, 3), 2: (0, 3), 3: (0, 1), 4: (0, 0)}


@dataclass(frozen=True, slots=True)
class Option(Item):
    """NAME VALUE: an option that the kernel may know. What it does not know it ignores."""

    name: str = fields.word("The option's name.")
    value: int = fields.number("Its value.", maximum=MAX_THREADS)

    def __post_init__(self) -> None:
        Item.__post_init__(self)
        if self.name in _OPTIONS:
            raise ParamsError(f"option: name must not be {self.name!r}.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "NAME,VALUE". Raises ValueError."""
        name, _, value = text.rpartition(",")
        if not value.isdecimal():
            raise ValueError(f"{text!r} is not of the form NAME,VALUE")
        return cls(name, int(value))


@dataclass(frozen=True, slots=True)
class VdoArguments(Arguments):
    """V4 DEVICE BLOCKS MIN_IO CACHE ERA [OPTION VALUE]...; the device must have been formatted with vdoformat."""

    target: ClassVar[str] = "vdo"
    parts: ClassVar[tuple[type[Item], ...]] = (Option,)

    device: str = fields.device("The device that holds data and metadata.")
    # None: the whole device, in a line of the oldest form only.
    physical_blocks: int | None = fields.number(
        "The size of the vdo volume on the device; a block has 4096 bytes.", option="physical-size", unit="blocks"
    )
    min_io_bytes: int = fields.number(
        "The logical block size, 512 or 4096.", unit="bytes", minimum=512, maximum=4096, default=4096
    )
    block_map_cache_blocks: int = fields.number(
        "The size of the block map cache; a block has 4096 bytes.", unit="blocks", maximum=U32_MAX, default=32768
    )
    block_map_era: int = fields.number(
        "How long changed pages of the block map may stay in its cache, commonly at most 16380.",
        maximum=U32_MAX,
        default=16380,
    )
    ack: int | None = fields.number("Threads to complete requests. Default: 1.", maximum=MAX_THREADS, default=None)
    bio: int | None = fields.number(
        "Threads to send requests to the device. Default: 4.", minimum=1, maximum=MAX_THREADS, default=None
    )
    bio_rotation: int | None = fields.number(
        "Requests sent by one bio thread before the next one's turn. Default: 64.",
        minimum=1,
        maximum=1024,
        default=None,
    )
    cpu: int | None = fields.number(
        "Threads to hash and to compress. Default: 1.", minimum=1, maximum=MAX_THREADS, default=None
    )
    hash: int | None = fields.number(
        "Threads to compare data for deduplication. Default: 0.", maximum=MAX_THREADS, default=None
    )
    logical: int | None = fields.number("Threads for logical addresses. Default: 0.", maximum=60, default=None)
    physical: int | None = fields.number("Threads for physical addresses. Default: 0.", maximum=16, default=None)
    max_discard_blocks: int | None = fields.number(
        "The largest discard; a block has 4096 bytes. Default: 1.",
        unit="blocks",
        minimum=1,
        maximum=U32_MAX // 4096,
        default=None,
    )
    deduplication: str | None = fields.word(
        "Whether equal blocks are stored once. Default: on.", choices=SWITCHES, default=None
    )
    compression: str | None = fields.word(
        "Whether blocks are compressed. Default: off.", choices=SWITCHES, default=None
    )
    others: tuple[Option, ...] = fields.items(
        "Another option, which the kernel ignores if it does not know it.",
        item=Option.parse,
        default=(),
        metavar="NAME,VALUE",
    )

    def __post_init__(self) -> None:
        Arguments.__post_init__(self)
        if self.min_io_bytes not in (512, 4096):
            raise ParamsError(f"vdo: min_io_bytes must be 512 or 4096, not {self.min_io_bytes}.")
        if self.physical_blocks is None:  # then the line has no version, and knows less
            if any(getattr(self, name) is not None for name in _OTHERS.values()):
                raise ParamsError(f"vdo: {', '.join(_OTHERS.values())} can be given only with physical_blocks.")
            if any(set("=,") & set(option.name) for option in self.others):
                raise ParamsError("vdo: without physical_blocks, names of others must be without = and comma.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        version = 0
        if words.peek()[:1] == "V" and words.peek()[1:].isdecimal():
            version = words.number_of("version", words.word("version")[1:])
        if version not in _IGNORED:
            words.fail(f"version must be at most {max(_IGNORED)}, not {version}")
        whole = words.left
        device = words.word("device")
        blocks = words.plus("physical_blocks") if version else None
        min_io = words.number("min_io_bytes")
        before, after = _IGNORED[version]
        _ignore(words, before)
        cache, era = words.plus("block_map_cache_blocks"), words.plus("block_map_era")
        _ignore(words, after)
        if version in (0, 1):
            if words.left != 1:
                words.fail(f"a line of version {version} must have {whole - words.left + 1} words, not {whole}")
            options = _threads(words)
        else:
            options = _pairs(words)
        return cls(device, blocks, min_io, cache, era, **options)

    def to_params(self) -> str:
        options = [(word, getattr(self, name)) for word, name in _OPTIONS.items() if getattr(self, name) is not None]
        options += [(option.name, option.value) for option in self.others]
        cache = f"{self.block_map_cache_blocks} {self.block_map_era}"
        if self.physical_blocks is None:
            threads = ",".join(f"{word}={value}" for word, value in options) or "."
            return f"{self.device} {self.min_io_bytes} disabled 0 {cache} off auto - {threads}"
        line = f"V4 {self.device} {self.physical_blocks} {self.min_io_bytes} {cache}"
        return " ".join([line, *(f"{word} {value}" for word, value in options)])


def _ignore(words: Words, count: int) -> None:
    for _ in range(count):
        words.word("ignored")


def _pairs(words: Words) -> dict[str, Any]:
    if words.left % 2:
        words.fail(f"options are names with values, not {words.left} words")
    found = []
    while words.left:
        name = words.word("option")
        words.named(_OPTIONS.get(name, "others"))
        value = words.word(_OPTIONS.get(name, "others"))
        found.append((name, value))
    return _options(words, found)


def _threads(words: Words) -> dict[str, Any]:
    """Lines of version 0 and 1: NAME=VALUE,... or a dot."""
    text = words.word("threads")
    found = []
    for assignment in text.split(",") if text != "." else ():
        name, _, value = assignment.partition("=")
        if name in _OTHERS:
            words.fail(f"{name} is not known in a line of version 0 or 1")
        found.append((name, value))
    return _options(words, found)


def _options(words: Words, found: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Of an option that is given twice the last value counts."""
    options: dict[str, Any] = {}
    others: list[Option] = []
    for name, value in found:
        if name not in _OPTIONS:
            others.append(Option(name, words.plus_of(name, value)))
        elif name in ("deduplication", "compression"):
            options[name] = value
        else:
            options[_OPTIONS[name]] = words.plus_of(name, value)
    return options | {"others": tuple(others)}


@dataclass(frozen=True, slots=True)
class VdoStatus(Status):
    """DEVICE MODE RECOVERY INDEX COMPRESSION USED TOTAL, in blocks of 4096 bytes"""

    target: ClassVar[str] = "vdo"

    device: str | None = fields.device("The device that holds data and metadata.", default=None)
    mode: str | None = fields.word("normal, recovering, or read-only after an error.", default=None)
    recovery: str | None = fields.word("recovering, or - if it is not.", default=None)
    index: str | None = fields.word("The state of the index for deduplication, such as online.", default=None)
    compression: str | None = fields.word("online if blocks are compressed, else offline.", default=None)
    used_blocks: int | None = fields.number("Blocks of 4096 bytes in use.", unit="blocks", default=None)
    total_blocks: int | None = fields.number("All blocks of 4096 bytes.", unit="blocks", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, mode, recovery = words.word("device"), words.word("mode"), words.word("recovery")
        index, compression = words.word("index"), words.word("compression")
        return cls(
            device=device,
            mode=mode,
            recovery=recovery,
            index=index,
            compression=compression,
            used_blocks=words.number("used_blocks"),
            total_blocks=words.number("total_blocks"),
        )

    def usages(self) -> tuple[Usage, ...]:
        if self.used_blocks is None or self.total_blocks is None:
            return ()
        return (Usage("data", self.used_blocks, self.total_blocks, "blocks"),)

    def warnings(self) -> tuple[str, ...]:
        found = list(Status.warnings(self))
        if self.mode == "read-only":
            found.append("it is read-only after an error, data may be lost")
        if "recovering" in (self.mode, self.recovery):
            found.append("it is recovering")
        if self.index == "error":
            found.append("the index has failed: nothing is deduplicated")
        found += ["no block is free" for usage in self.usages() if usage.used >= usage.total]
        return tuple(found)
