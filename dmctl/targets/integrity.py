# SPDX-License-Identifier: LGPL-2.1-or-later
"""integrity: a device with a tag for each of its blocks, to be checked when it is read (drivers/md/dm-integrity.c)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status, Usage, check_values
from dmctl.targets.words import ParamsError, Words
from dmctl.units import SECTOR_BYTES

U32_MAX = 2**32 - 1

# Option of the line: its field. All in the order of dm_integrity_status().
_NUMBERS_FIRST = {"block_size": "block_size_bytes"}
_FLAGS_FIRST = ("recalculate", "reset_recalculate", "allow_discards", "allow_discards_keyed")
_NUMBERS = {
    "journal_sectors": "journal_sectors",
    "interleave_sectors": "interleave_sectors",
    "buffer_sectors": "buffer_sectors",
    "journal_watermark": "journal_watermark_percent",
    "commit_time": "commit_time_ms",
    "sectors_per_bit": "sectors_per_bit",
    "bitmap_flush_interval": "bitmap_flush_interval_ms",
}
_FLAGS = ("fix_padding", "fix_hmac", "legacy_recalculate")
_ALGORITHMS = ("internal_hash", "journal_crypt", "journal_mac")


def _u32(help: str, *, unit: str = "", maximum: int = U32_MAX) -> Any:
    return fields.number(help, unit=unit, maximum=maximum, default=None)


@dataclass(frozen=True, slots=True)
class IntegrityArguments(Arguments):
    """DEVICE OFFSET TAG_SIZE|- MODE #OPTIONS [OPTION...]

    Without a meta_device the greatest length of a line is in the superblock, which the kernel makes where it finds
    zeros. Load a line of one block for that.
    """

    target: ClassVar[str] = "integrity"

    device: str = fields.device("The device that holds the data, and the tags unless there is a meta_device.")
    offset_sectors: int = fields.number(
        "What is left alone at the start of the device that holds the tags.", unit="sectors"
    )
    mode: str = fields.word(
        "J: data and tags go to a journal first. B: a bitmap says where they may differ after a crash. "
        "D: they are written as they come. I: tags are kept by the device itself (since target version 1.12.0). "
        "R: read only, tags unchecked, to save data.",
        choices=("J", "B", "D", "R", "I"),
    )
    tag_size_bytes: int | None = fields.number(
        "The size of a block's tag; by default that of internal_hash.",
        unit="bytes",
        minimum=1,
        maximum=U32_MAX,
        default=None,
    )
    meta_device: str | None = fields.device(
        "The device that holds tags and journal, if not the first one.", default=None
    )
    block_size_bytes: int | None = fields.number(
        "The block that has a tag; 512 by default.", unit="bytes", minimum=512, maximum=4096, default=None
    )
    recalculate: bool = fields.since(
        "1.2.0", fields.flag("Tags are made for what is on the device, in the background.")
    )
    reset_recalculate: bool = fields.since("1.8.0", fields.flag("All tags are made anew, whatever there is now."))
    allow_discards: bool = fields.since("1.6.0", fields.flag("Discards go down to the device."))
    # Linux 6.12.117, whose target has the version of Linux 6.18's, which has no such option.
    allow_discards_keyed: bool = fields.since(
        "1.14.0", fields.flag("Discards go down to the device where tags have a key, too."), told=False
    )
    journal_sectors: int | None = _u32("The size of the journal, when formatting.", unit="sectors")
    interleave_sectors: int | None = _u32(
        "How much data follows each stretch of tags, when formatting; rounded down to a power of two.", unit="sectors"
    )
    buffer_sectors: int | None = _u32("The size of a read or write of tags; 128 by default.", unit="sectors")
    journal_watermark_percent: int | None = _u32(
        "How full the journal gets before it is written back; 50 by default.", unit="percent", maximum=100
    )
    commit_time_ms: int | None = _u32("After how long the journal is written; 10000 by default.", unit="ms")
    sectors_per_bit: int | None = fields.since(
        "1.3.0",
        fields.number("What one bit of mode B's bitmap stands for.", option="bit-size", unit="sectors", default=None),
    )
    bitmap_flush_interval_ms: int | None = fields.since(
        "1.3.0", _u32("After how long tags are written in mode B.", unit="ms")
    )
    fix_padding: bool = fields.since("1.4.0", fields.flag("Less room is lost between tags and data, when formatting."))
    fix_hmac: bool = fields.since(
        "1.7.0", fields.flag("Tags and journal with a key are better protected, when formatting.")
    )
    legacy_recalculate: bool = fields.flag("Tags with a key may be recalculated, although that is not safe.")
    internal_hash: str | None = fields.word(
        "How tags are made here, as in crc32c or hmac(sha256); without it the device above gives them.", default=None
    )
    internal_hash_key: str | None = fields.key("The key of internal_hash in hexadecimal digits.")
    journal_crypt: str | None = fields.word("How the journal is encrypted, as in ctr(aes).", default=None)
    journal_crypt_key: str | None = fields.key("The key of journal_crypt in hexadecimal digits.")
    journal_mac: str | None = fields.word(
        "How sector numbers in the journal are protected, as in hmac(sha256).", default=None
    )
    journal_mac_key: str | None = fields.key("The key of journal_mac in hexadecimal digits.")

    def __post_init__(self) -> None:
        check_values(self, self.target)
        for name in _ALGORITHMS:
            algorithm, key = getattr(self, name), getattr(self, f"{name}_key")
            # The line has them in one word. It is not quoted: somebody may have written the key there.
            if algorithm and ":" in algorithm:
                raise ParamsError(f"integrity: {name} must be without a colon; its key is {name}_key.")
            if key is not None and algorithm is None:
                raise ParamsError(f"integrity: {name}_key needs {name}.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, offset = words.word("device"), words.number("offset_sectors")
        tag_size = words.number_or_dash("tag_size_bytes", bits=32)
        modes = next(spec.choices for name, spec in cls.specs().items() if name == "mode")
        mode = words.word("mode", modes)
        options = words.group("options")
        found: dict[str, Any] = {}
        number = 0
        while options.left:
            number += 1
            found |= _option(options, number)
        words.rest("ignored")  # as the kernel does
        return cls(device, offset, mode, tag_size, **found)

    def to_params(self) -> str:
        options = [f"meta_device:{self.meta_device}"] if self.meta_device is not None else []
        options += self._numbers(_NUMBERS_FIRST)
        options += [name for name in _FLAGS_FIRST if getattr(self, name)]
        options += self._numbers(_NUMBERS)
        options += [name for name in _FLAGS if getattr(self, name)]
        for name in _ALGORITHMS:
            algorithm, key = getattr(self, name), getattr(self, f"{name}_key")
            if algorithm is not None:
                options.append(":".join([name, algorithm] if key is None else [name, algorithm, key]))
        tag_size = "-" if self.tag_size_bytes is None else self.tag_size_bytes
        return " ".join(map(str, [self.device, self.offset_sectors, tag_size, self.mode, len(options), *options]))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        if self.meta_device is None:
            return None
        block = (self.block_size_bytes or SECTOR_BYTES) // SECTOR_BYTES
        return size_sectors(self.device) // block * block

    def _numbers(self, options: dict[str, str]) -> list[str]:
        values = ((option, getattr(self, field)) for option, field in options.items())
        return [f"{option}:{value}" for option, value in values if value is not None]


def _option(words: Words, number: int) -> dict[str, Any]:
    """The fields of the next option. No message quotes it: it may be a misplaced key."""
    text = words.word("option")
    name, colon, value = text.partition(":")
    if text in (*_FLAGS_FIRST, *_FLAGS):
        words.named(text)
        return {text: True}
    if name == "meta_device" and value:
        words.named(name)
        return {name: value}
    if field := (_NUMBERS_FIRST | _NUMBERS).get(name):
        words.named(field)
        return {field: words.number_of(name, value, bits=64 if name == "sectors_per_bit" else 32)}
    if name in _ALGORITHMS and value:
        words.named(name)
        algorithm, colon, key = value.partition(":")
        words.hide(len(key))
        if not algorithm:
            words.fail(f"{name} has no algorithm")
        return {name: algorithm, f"{name}_key": key if colon else None}
    words.fail(f"option {number} is not known")


@dataclass(frozen=True, slots=True)
class IntegrityStatus(Status):
    """MISMATCHES PROVIDED RECALCULATED|-"""

    target: ClassVar[str] = "integrity"

    mismatches: int | None = fields.number("How often a tag did not fit its block.", default=None)
    provided_sectors: int | None = fields.number("How much data there is room for.", unit="sectors", default=None)
    recalculated_sectors: int | None = fields.number(
        "Up to where tags have been made for old data; the provided sectors when all are.",
        unit="sectors",
        default=None,
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        made = cls(mismatches=words.number("mismatches"))
        if words.at_number():
            made = dataclasses.replace(made, provided_sectors=words.number("provided_sectors"))
            if words.peek() == "-" or words.at_number():
                made = dataclasses.replace(made, recalculated_sectors=words.number_or_dash("recalculated_sectors"))
        return made

    @property
    def recalculating(self) -> bool:
        """Whether there is old data whose tags have not been made yet."""
        return self.recalculated_sectors is not None and self.recalculated_sectors < (self.provided_sectors or 0)

    def usages(self) -> tuple[Usage, ...]:
        if self.recalculated_sectors is None or self.provided_sectors is None:
            return ()
        return (Usage("recalculated", self.recalculated_sectors, self.provided_sectors, "sectors", progress=True),)

    def warnings(self) -> tuple[str, ...]:
        found = list(Status.warnings(self))
        if self.mismatches:
            found.append(f"{self.mismatches} times a tag did not fit its block")
        if self.recalculating:
            found.append(f"tags are being made, data from sector {self.recalculated_sectors} on is not protected yet")
        return tuple(found)
