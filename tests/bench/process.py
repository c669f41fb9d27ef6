# SPDX-License-Identifier: LGPL-2.1-or-later
"""One process, measured: how long it took, and the most memory that it had.

The memory is told by time(1) (Debian package time), as what wait4() tells is at least that of the process that started
it: what it had before the exec counts.
"""

import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """Elapsed seconds, and the most resident memory in MiB."""

    seconds: float
    mib: float


def run(command: list[str]) -> Sample:
    """Measure a command that reads and writes /dev/null. Ends this program where it fails."""
    measure = shutil.which("time")
    if not measure:
        sys.exit("time (Debian package time) is not there")
    null = os.open(os.devnull, os.O_RDWR)
    with tempfile.NamedTemporaryFile("r") as told:
        words = [measure, "-f", "%M", "-o", told.name, *command]
        begin = time.perf_counter()
        child = os.posix_spawn(
            measure, words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
        )
        status = os.waitpid(child, 0)[1]
        seconds = time.perf_counter() - begin
        os.close(null)
        if status:
            sys.exit(f"{' '.join(command)} failed")
        return Sample(seconds, int(told.read()) / 1024)
