# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests that need no kernel, in a process of their own beside the guests: of two processors none is then idle."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from guests.base import Guest, GuestResult, tail
from guests.process import TICK_S, kill_group


class Beside(Guest):
    """No guest: a process on this machine."""

    def unavailable(self) -> str | None:
        return None

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
        """As Guest.run() says, but with the environment of this process; output goes to files in `results` only."""
        end = time.monotonic() + timeout_s
        timed_out = False
        with (results / "stdout").open("wb") as out, (results / "stderr").open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                while process.poll() is None and not timed_out:
                    time.sleep(TICK_S)
                    if tick is not None:
                        tick()
                    timed_out = time.monotonic() > end
            finally:
                kill_group(process)
        if tick is not None:
            tick()
        status = None if timed_out or process.returncode < 0 else process.returncode
        return GuestResult(exit_status=status, timed_out=timed_out, console_tail=tail(results / "stderr"), dmesg=None)
