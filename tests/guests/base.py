# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every guest offers: run one command on a real kernel and bring back what it left."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

TAIL_BYTES = 4000


class GuestUnavailable(Exception):
    """This machine cannot start the guest; the message says what to install or change."""


@dataclass(frozen=True, slots=True)
class GuestResult:
    """How a guest ended. Files named here lie in the results folder."""

    exit_status: int | None
    """The command's exit status as a shell gives it; None when the guest ended before the command did."""
    timed_out: bool
    console_tail: str
    """The last lines of the guest's console, where a kernel panic is found."""
    dmesg: Path | None
    """The kernel log; None when the guest ended without its shutdown."""


class Guest(ABC):
    """A kind of guest. An object holds settings only: every run() boots anew and leaves nothing running."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why this machine cannot start the guest (what to install), or None when it can."""

    @abstractmethod
    def run(
        self,
        command: Sequence[str],
        results: Path,
        *,
        timeout_s: float,
        env: Mapping[str, str],
        cwd: Path,
        stdout: BinaryIO | None = None,
        stderr: BinaryIO | None = None,
        tick: Callable[[], None] | None = None,
    ) -> GuestResult:
        """Run `command` in a new guest and wait for its end.

        The root file system is the host's, read-only; only `results` (an existing folder, at the same path in the
        guest) is written through to the host. The command's output is copied to `stdout` and `stderr` as it comes,
        by default to files of these names in `results`. `env` is the whole environment. `tick` is called some
        times a second while the guest runs and once after its end. Raises GuestUnavailable.
        """


def tail(path: Path, limit_bytes: int = TAIL_BYTES) -> str:
    """The last whole lines of a text file, at most `limit_bytes`; empty when there is no such file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ""
    if len(data) > limit_bytes:
        data = data[-limit_bytes:].partition(b"\n")[2]
    return data.decode(errors="replace").replace("\r\n", "\n")
