# SPDX-License-Identifier: LGPL-2.1-or-later
"""switch: regions, each on one of several paths to the same data (drivers/md/dm-switch.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Leg, Status
from dmctl.targets.words import ParamsError, Words

U32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class SwitchArguments(Arguments):
    """#PATHS REGION 0 [DEVICE OFFSET]...; regions take the paths in turn until messages say otherwise."""

    target: ClassVar[str] = "switch"
    parts: ClassVar[tuple[type[Item], ...]] = (Leg,)

    region_sectors: int = fields.number("The size of a region.", unit="sectors", minimum=1, maximum=U32_MAX)
    paths: tuple[Leg, ...] = fields.items("The devices, one a path.", item=Leg.parse, metavar="DEVICE[,OFFSET]")

    def __post_init__(self) -> None:
        Arguments.__post_init__(self)
        if not self.paths:
            raise ParamsError("switch: paths must be at least one.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        count, region = words.number("number of paths", bits=32), words.number("region_sectors", bits=32)
        options = words.number("number of options", bits=32)
        if options:
            words.fail(f"the number of options must be 0, as no kernel knows one, not {options}")
        return cls(
            region, words.each(count, "path", lambda words: Leg(words.word("device"), words.plus("offset_sectors")))
        )

    def to_params(self) -> str:
        return " ".join([str(len(self.paths)), str(self.region_sectors), "0", *map(Leg.to_params, self.paths)])

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return min(size_sectors(path.device) - path.offset_sectors for path in self.paths)


@dataclass(frozen=True, slots=True)
class SwitchStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "switch"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
