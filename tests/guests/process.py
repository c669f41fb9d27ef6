# SPDX-License-Identifier: LGPL-2.1-or-later
"""What guests that are processes of this machine share: the job they run, their time limit, their end."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

TICK_S = 0.05
SHUTDOWN_S = 20.0
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Waits for the end of the pipe on its standard input, which only comes when the runner was killed.
WATCHDOG = 'read -r line; kill -s KILL -- "-$1"; rm -rf -- "$2"'


def write_job(job: Path, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
    """Write the command as a script, for a shell cannot read an argument list from a file with every byte intact."""
    variables = [f"{name}={value}" for name, value in env.items()]
    job.write_text(
        f"#!/bin/sh\ncd {shlex.quote(str(cwd))} || exit 126\nexec env -i {shlex.join([*variables, *command])}\n"
    )
    job.chmod(0o755)


class Limit:
    """The time that a guest has for its command, and after that for its shutdown."""

    def __init__(self, results: Path, timeout_s: float) -> None:
        self._results = results
        self._deadline = time.monotonic() + timeout_s
        self.timed_out = False
        """Whether the command's time has passed; false where only the shutdown took too long."""
        self._shutting_down = False

    def is_over(self) -> bool:
        """Whether the guest is to be killed now."""
        if not self._shutting_down and (self._results / "exit-status").exists():
            # The command is done and was in time: what follows has a limit of its own.
            self._shutting_down = True
            self._deadline = time.monotonic() + SHUTDOWN_S
        over = time.monotonic() > self._deadline
        self.timed_out = over and not self._shutting_down
        return over


@contextmanager
def watchdog(group: int, folder: Path) -> Iterator[None]:
    """Let the guest end with this process even when that is killed.

    PR_SET_PDEATHSIG would not do: it ends the first of UML's processes only, and its helpers live on.
    """
    with subprocess.Popen(
        ["sh", "-c", WATCHDOG, "sh", str(group), str(folder)], stdin=subprocess.PIPE, start_new_session=True
    ) as shell:
        try:
            yield
        finally:
            shell.kill()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    with suppress(ProcessLookupError):  # ended by itself, with all of its helpers
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def exit_status_in(results: Path) -> int | None:
    """The status that the guest's init has written; None where it came not so far."""
    try:
        return int((results / "exit-status").read_text())
    except FileNotFoundError:
        return None
