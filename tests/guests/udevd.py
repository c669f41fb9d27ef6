# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's udevd, told by signals what to do.

Not by `udevadm control`: of a hundred such messages systemd 252 drops one, and udevadm says 0 all the same. udevd asks
for its sender's credentials after it has accepted the connection; a message that is sent in between has none.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def pid() -> int:
    """The daemon, not one of its workers: they have the same name, but not process 1 as their parent."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        if name == "systemd-udevd" and rest.split()[1] == "1":
            return int(stat.parts[-2])
    raise LookupError("/run/udev/control exists and no systemd-udevd runs")


def reload() -> None:
    """Have it read its rules anew, before any event to come."""
    os.kill(pid(), signal.SIGHUP)
    settle()


@contextmanager
def paused() -> Iterator[None]:
    """For the length of the `with` it runs, as others see it, and does nothing."""
    settle()
    stopped = pid()
    os.kill(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(stopped, signal.SIGCONT)


def settle() -> None:
    """Wait until it has worked off its events."""
    subprocess.run(["udevadm", "settle"], check=True)
