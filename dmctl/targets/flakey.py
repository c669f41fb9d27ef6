# SPDX-License-Identifier: LGPL-2.1-or-later
"""flakey: a device that works for a while and then fails for a while (drivers/md/dm-flakey.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status
from dmctl.targets.words import Words

U32_MAX = 2**32 - 1
PROBABILITY_BASE = 10**9  # PROBABILITY_BASE there


@dataclass(frozen=True, slots=True)
class CorruptByte(Item):
    """corrupt_bio_byte BYTE r|w VALUE FLAGS: a byte is overwritten in each request of a direction."""

    byte: int = fields.number("Which byte of the request, the first being 1.", minimum=1, maximum=U32_MAX)
    direction: str = fields.word("r for reads, w for writes.", choices=("r", "w"))
    value: int = fields.number("What is written there.", maximum=255)
    flags: int = fields.number("Only requests that have all of these flags, REQ_… of the kernel.", maximum=U32_MAX)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "BYTE,r|w,VALUE[,FLAGS]". Raises ValueError."""
        words = text.split(",")
        if not 3 <= len(words) <= 4 or not all(word.isdecimal() for word in words[:1] + words[2:]):
            raise ValueError(f"{text!r} is not of the form BYTE,r|w,VALUE[,FLAGS]")
        return cls(int(words[0]), words[1], int(words[2]), int(words[3]) if len(words) == 4 else 0)

    @classmethod
    def read(cls, words: Words) -> Self:
        byte = words.number("byte", bits=32)
        return cls(
            byte, words.word("direction").lower(), words.number("value", bits=32), words.number("flags", bits=32)
        )

    def to_params(self) -> str:
        return f"{self.byte} {self.direction} {self.value} {self.flags}"


@dataclass(frozen=True, slots=True)
class FlakeyArguments(Arguments):
    """DEVICE OFFSET UP DOWN [#FEATURES FEATURE...]; without a feature all requests fail while it is down."""

    target: ClassVar[str] = "flakey"
    parts: ClassVar[tuple[type[Item], ...]] = (CorruptByte,)

    device: str = fields.device("The device mapped.")
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors")
    up_s: int = fields.number("For how long it works.", unit="s", maximum=U32_MAX)
    down_s: int = fields.number("For how long it fails after that.", unit="s", maximum=U32_MAX)
    error_reads: bool = fields.since("1.5.0", fields.flag("Reads fail while it is down."), told=False)
    drop_writes: bool = fields.flag("Writes are dropped while it is down, and succeed.")
    error_writes: bool = fields.flag("Writes fail while it is down.")
    corrupt_byte: CorruptByte | None = fields.item(
        "A byte of each request is overwritten while it is down.",
        item=CorruptByte.parse,
        default=None,
        metavar="BYTE,r|w,VALUE[,FLAGS]",
    )
    random_read_corrupt: int | None = fields.since(
        "1.5.0",
        fields.number(
            f"How many of {PROBABILITY_BASE} bytes read are made random while it is down.",
            maximum=PROBABILITY_BASE,
            default=None,
        ),
        told=False,
    )
    random_write_corrupt: int | None = fields.since(
        "1.5.0",
        fields.number(
            f"How many of {PROBABILITY_BASE} bytes written are made random while it is down.",
            maximum=PROBABILITY_BASE,
            default=None,
        ),
        told=False,
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, offset = words.word("device"), words.number("offset_sectors")
        up, down = words.number("up_s", bits=32), words.number("down_s", bits=32)
        features = words.group("features") if words.left else None
        found: dict[str, Any] = {}
        while features and features.left:
            feature = features.word("feature").lower()
            if feature == "corrupt_bio_byte":
                features.named("corrupt_byte")
                found["corrupt_byte"] = CorruptByte.read(features)
            elif feature in ("error_reads", "drop_writes", "error_writes"):
                features.named(feature)
                found[feature] = True
            elif feature in ("random_read_corrupt", "random_write_corrupt"):
                found[feature] = features.number(feature, bits=32)
            else:
                words.fail(f"feature {feature!r} is not known")
        words.rest("ignored")  # as the kernel does
        return cls(device, offset, up, down, **found)

    def to_params(self) -> str:
        features = [name for name in ("error_reads", "drop_writes", "error_writes") if getattr(self, name)]
        if self.corrupt_byte:
            features += f"corrupt_bio_byte {self.corrupt_byte.to_params()}".split()
        for name in ("random_read_corrupt", "random_write_corrupt"):
            if getattr(self, name) is not None:
                features += [name, str(getattr(self, name))]
        words = [self.device, self.offset_sectors, self.up_s, self.down_s, len(features), *features]
        return " ".join(map(str, words))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device) - self.offset_sectors


@dataclass(frozen=True, slots=True)
class FlakeyStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "flakey"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
