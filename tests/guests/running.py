# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs, and what it waits for: for the message of a test that does not end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest


def snapshot() -> str:
    """The processes, udev's cookies with their values, and whether udevd has events."""
    busy = "has" if Path("/run/udev/queue").exists() else "does not have"
    return "\n".join([*_processes(), Path("/proc/sysvipc/sem").read_text(), f"udevd {busy} events."])


def _processes() -> Iterator[str]:
    """A line for each process: number, name, state, where in the kernel it waits, command line."""
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            stat, place = (folder / "stat").read_text(), (folder / "wchan").read_text()
            words = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        name, state = stat[: stat.rindex(")") + 1], stat[stat.rindex(")") + 2]
        if words:  # else a thread of the kernel's
            yield f"{name} {state} {place} {words}"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Fail the test that still runs after so long, with what there is to know. By SIGALRM: a thread would be one too
    many for tests that fork."""

    def end(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"does not end in {seconds:g} s\n{snapshot()}")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
