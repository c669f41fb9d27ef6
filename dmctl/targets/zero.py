# SPDX-License-Identifier: LGPL-2.1-or-later
"""zero: reads give zeros, writes are dropped (drivers/md/dm-zero.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words


@dataclass(frozen=True, slots=True)
class ZeroArguments(Arguments):
    """None."""

    target: ClassVar[str] = "zero"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()

    def to_params(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class ZeroStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "zero"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
