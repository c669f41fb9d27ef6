# SPDX-License-Identifier: LGPL-2.1-or-later
"""cache: blocks of a slow device kept on a fast one (drivers/md/dm-cache-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import Arguments, Item, Status, Usage, check_values
from dmctl.targets.blocks import MAX_BLOCK_SECTORS, METADATA
from dmctl.targets.words import ParamsError, Words

MODES = ("writeback", "writethrough", "passthrough")
FLAGS = ("metadata2", "no_discard_passdown")
THRESHOLD = "migration_threshold"
READ_WRITE, READ_ONLY = "rw", "ro"


@dataclass(frozen=True, slots=True)
class PolicyOption(Item):
    """KEY VALUE: what the policy makes of it is its own matter."""

    key: str = fields.word("Its name.")
    value: str = fields.word("Its value.")

    def __post_init__(self) -> None:
        check_values(self, "cache")
        if self.key.lower() == THRESHOLD:
            raise ParamsError(f"cache: {THRESHOLD} is no option of the policy, but of the cache.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "KEY=VALUE". Raises ValueError."""
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not of the form KEY=VALUE")
        return cls(key, value)

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(words.word("key"), words.word("value"))


@dataclass(frozen=True, slots=True)
class CacheArguments(Arguments):
    """METADATA CACHE ORIGIN BLOCK_SIZE #FEATURES [FEATURE...] POLICY #ARGUMENTS [KEY VALUE...]

    The kernel prints what was loaded: without a mode it is writeback.
    """

    target: ClassVar[str] = "cache"
    parts: ClassVar[tuple[type[Item], ...]] = (PolicyOption,)

    metadata: str = fields.device("The device that keeps what is in the cache; its first 4 KiB zero for a new one.")
    cache: str = fields.device("The fast device.")
    origin: str = fields.device("The slow device.")
    block_sectors: int = fields.number(
        "What is cached at a time, a multiple of 32 KiB.", unit="sectors", minimum=64, maximum=MAX_BLOCK_SECTORS
    )
    mode: str = fields.word(
        "writeback (default): writes go to the cache, and later to the origin; writethrough: to both at once; "
        "passthrough: to the origin only, and reads come from there.",
        choices=MODES,
        default="writeback",
    )
    metadata2: bool = fields.flag("New metadata are of the second format, which is faster to shut down.")
    no_discard_passdown: bool = fields.flag("Discards are not passed to the origin.")
    policy: str = fields.word(
        "What decides which blocks are cached: smq (the kernel's default), or cleaner, which empties the cache.",
        default="default",
    )
    migration_threshold_sectors: int | None = fields.number(
        "How much may be moved to and from the cache at once (default 1 MiB).", unit="sectors", default=None
    )
    policy_options: tuple[PolicyOption, ...] = fields.items(
        "Options of the policy.", item=PolicyOption.parse, default=(), metavar="KEY=VALUE"
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        metadata, cache, origin = (words.word(name) for name in ("metadata", "cache", "origin"))
        block = words.plus("block_sectors")
        features = words.group("features")
        found: dict[str, Any] = {}
        while features.left:
            feature = features.word("feature").lower()
            if feature in MODES:
                features.named("mode")
                found["mode"] = feature
            elif feature in FLAGS:
                features.named(feature)
                found[feature] = True
            else:
                features.fail(f"feature {features.show(feature)} is not known")
        found["policy"] = words.word("policy")
        threshold, found["policy_options"] = _read_policy(words.group("policy arguments"))
        words.rest("ignored")  # as the kernel does
        return cls(metadata, cache, origin, block, migration_threshold_sectors=threshold, **found)

    def to_params(self) -> str:
        features = [flag for flag in FLAGS if getattr(self, flag)]
        policy: list[object] = []
        if self.migration_threshold_sectors is not None:
            policy += [THRESHOLD, self.migration_threshold_sectors]
        for option in self.policy_options:
            policy += [option.key, option.value]
        words = [self.metadata, self.cache, self.origin, self.block_sectors, len(features) + 1, self.mode, *features]
        return " ".join(map(str, [*words, self.policy, len(policy), *policy]))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.origin)


def _read_policy(words: Words) -> tuple[int | None, tuple[PolicyOption, ...]]:
    threshold, options = None, []
    while words.left:
        if words.peek().lower() == THRESHOLD:
            words.word("policy argument")
            threshold = words.plus("migration_threshold_sectors")
        else:
            options.append(PolicyOption.read(words))
    return threshold, tuple(options)


@dataclass(frozen=True, slots=True)
class CacheStatus(Status):
    """METADATA_BLOCK_SIZE USED/TOTAL_METADATA BLOCK_SIZE USED/TOTAL_CACHE READ_HITS READ_MISSES WRITE_HITS WRITE_MISSES
    DEMOTIONS PROMOTIONS DIRTY #FEATURES FEATURE... #CORE KEY VALUE... POLICY #ARGUMENTS KEY VALUE... METADATA_MODE
    NEEDS_CHECK
    """

    target: ClassVar[str] = "cache"
    parts: ClassVar[tuple[type[Item], ...]] = (PolicyOption,)

    metadata_block_sectors: int | None = fields.number("Size of a metadata block.", unit="sectors", default=None)
    metadata_used_blocks: int | None = fields.number("Metadata blocks in use.", unit="blocks", default=None)
    metadata_total_blocks: int | None = fields.number("Metadata blocks.", unit="blocks", default=None)
    block_sectors: int | None = fields.number("Size of a block of the cache.", unit="sectors", default=None)
    cache_used_blocks: int | None = fields.number("Blocks of the origin in the cache.", unit="blocks", default=None)
    cache_total_blocks: int | None = fields.number("Blocks that the cache can have.", unit="blocks", default=None)
    read_hits: int | None = fields.number("Reads from the cache.", default=None)
    read_misses: int | None = fields.number("Reads from the origin.", default=None)
    write_hits: int | None = fields.number("Writes to the cache.", default=None)
    write_misses: int | None = fields.number("Writes to the origin.", default=None)
    demotions: int | None = fields.number("Blocks that have left the cache.", default=None)
    promotions: int | None = fields.number("Blocks that have come into the cache.", default=None)
    dirty_blocks: int | None = fields.number(
        "Blocks of the cache that the origin does not have yet.", unit="blocks", default=None
    )
    mode: str | None = fields.word("writeback, writethrough or passthrough.", choices=MODES, default=None)
    metadata2: bool | None = fields.flag("The metadata are of the second format.", default=None)
    no_discard_passdown: bool | None = fields.flag("Discards are not passed to the origin.", default=None)
    migration_threshold_sectors: int | None = fields.number(
        "How much may be moved to and from the cache at once.", unit="sectors", default=None
    )
    policy: str | None = fields.word("The policy by its own name.", default=None)
    policy_options: tuple[PolicyOption, ...] | None = fields.items(
        "Options of the policy.", item=PolicyOption.parse, default=None
    )
    metadata_mode: str | None = fields.word(
        "rw for read and write, ro for read-only.", choices=(READ_WRITE, READ_ONLY), default=None
    )
    needs_check: bool | None = fields.flag("The metadata must be checked and repaired.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        found: dict[str, Any] = {"metadata_block_sectors": words.number("metadata_block_sectors")}
        found |= zip(METADATA, words.pair(METADATA), strict=True)
        found["block_sectors"] = words.number("block_sectors")
        cached = ("cache_used_blocks", "cache_total_blocks")
        found |= zip(cached, words.pair(cached), strict=True)
        counters = ("read_hits", "read_misses", "write_hits", "write_misses", "demotions", "promotions", "dirty_blocks")
        found |= {name: words.number(name) for name in counters}
        modes, unknown = _read_features(words.group("features"))
        core, more = blocks.status_numbers(words.group("core arguments"), {THRESHOLD: "migration_threshold_sectors"})
        found["policy"] = words.word("policy")
        arguments = words.group("policy arguments")
        found["policy_options"] = arguments.each(arguments.left // 2, "policy argument", PolicyOption.read)
        arguments.end()
        found["metadata_mode"] = words.word("metadata_mode", (READ_WRITE, READ_ONLY))
        found["needs_check"] = blocks.needs_check(words)
        return cls(**found, **modes, **core, extra=(*unknown, *more))

    def usages(self) -> tuple[Usage, ...]:
        return (
            *blocks.usage("cache", self.cache_used_blocks, self.cache_total_blocks, "blocks"),
            *self._metadata(),
        )

    def _metadata(self) -> tuple[Usage, ...]:
        return blocks.usage("metadata", self.metadata_used_blocks, self.metadata_total_blocks, "blocks")

    def warnings(self) -> tuple[str, ...]:
        found = []
        if self.metadata_mode == READ_ONLY:
            found.append("the metadata are read-only")
        if self.needs_check:
            found.append("the metadata must be checked and repaired, with the cache removed")
        return (*blocks.warnings(self), *found, *blocks.metadata_full(self._metadata()))


def _read_features(words: Words) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The features of a status by their fields, and those that are not known."""
    found: dict[str, Any] = dict.fromkeys(FLAGS, False)
    unknown = []
    while words.left:
        if words.peek() in MODES:
            found["mode"] = words.word("mode")
        elif words.peek() in FLAGS:
            found[words.peek()] = True
            words.word(words.peek())
        else:
            unknown.append(words.word("extra"))
    return found, tuple(unknown)
