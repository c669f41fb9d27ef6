# SPDX-License-Identifier: LGPL-2.1-or-later
"""log-writes: a device whose writes are written to a log too (drivers/md/dm-log-writes.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words

DISABLED = "logging_disabled"


@dataclass(frozen=True, slots=True)
class LogWritesArguments(Arguments):
    """DEVICE LOG_DEVICE"""

    target: ClassVar[str] = "log-writes"

    device: str = fields.device("The device mapped.")
    log: str = fields.device("The device that the log is written to, over what is there.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        device, log = words.word("device"), words.word("log")
        words.rest("ignored")  # as the kernel does
        return cls(device, log)

    def to_params(self) -> str:
        return f"{self.device} {self.log}"

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.device)


@dataclass(frozen=True, slots=True)
class LogWritesStatus(Status):
    """ENTRIES SECTOR [logging_disabled]"""

    target: ClassVar[str] = "log-writes"

    entries: int | None = fields.number("How many entries the log has.", default=None)
    last_sector: int | None = fields.number("The last sector of the log that is in use.", default=None)
    logging_disabled: bool | None = fields.flag("Nothing is logged any more, after an error.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        entries, sector = words.number("entries"), words.number("last_sector")
        disabled = words.peek() == DISABLED
        if disabled:
            words.word("logging_disabled")
        return cls(entries=entries, last_sector=sector, logging_disabled=disabled)

    def warnings(self) -> tuple[str, ...]:
        stopped = ("writes are not logged any more: the log is full or failed",) if self.logging_disabled else ()
        return (*Status.warnings(self), *stopped)
