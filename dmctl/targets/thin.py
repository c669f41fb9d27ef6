# SPDX-License-Identifier: LGPL-2.1-or-later
"""thin: a volume of a thin pool (drivers/md/dm-thin.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import blocks, fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words

MAX_DEVICE_ID = 2**24 - 1  # MAX_DEV_ID there


@dataclass(frozen=True, slots=True)
class ThinArguments(Arguments):
    """POOL DEVICE_ID [EXTERNAL_ORIGIN]

    While its pool has failed, the kernel prints "Fail" in the place of all of these.
    """

    target: ClassVar[str] = "thin"

    pool: str = fields.device("The thin pool.")
    device_id: int = fields.number("The volume's number in the pool.", maximum=MAX_DEVICE_ID)
    external_origin: str | None = fields.device(
        "A device that is read, and never written, where the volume has no blocks of its own.", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        if words.left == 1 and words.peek() in ("Fail", "-"):
            words.fail("the pool has failed, so that the kernel does not tell the arguments")
        pool, device_id = words.word("pool"), words.plus("device_id")
        return cls(pool, device_id, words.word("external_origin") if words.left else None)

    def to_params(self) -> str:
        origin = [self.external_origin] if self.external_origin else []
        return " ".join([self.pool, str(self.device_id), *origin])


@dataclass(frozen=True, slots=True)
class ThinStatus(Status):
    """MAPPED HIGHEST, both in sectors; "-" alone for a volume that is not open."""

    target: ClassVar[str] = "thin"

    mapped_sectors: int | None = fields.number("How much of it has blocks in the pool.", unit="sectors", default=None)
    highest_sector: int | None = fields.number(
        "The last sector that has a block in the pool; none where nothing has.", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        mapped = words.number_or_dash("mapped_sectors")
        return cls(mapped_sectors=mapped, highest_sector=None if mapped is None else _highest(words))

    def warnings(self) -> tuple[str, ...]:
        return blocks.warnings(self)


def _highest(words: Words) -> int | None:
    return words.number_or_dash("highest_sector")
