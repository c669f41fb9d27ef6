# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that are run at events: a few at a time, in the events' order, while the events are read on."""

from __future__ import annotations

import json
import os
import queue
import shlex
import subprocess
import threading

from dmctl.cli import stream
from dmctl.errors import UsageError
from dmctl.events import Event


class Hooks:
    """Runs a command for each event, with what is known of it in the environment.

    DMCTL_EVENT, DMCTL_NAME, DMCTL_UUID, DMCTL_MAJOR, DMCTL_MINOR, DMCTL_TARGETS (with commas), each fact of the event
    that is a number or a text as DMCTL_ and its name in upper case, and all of it as DMCTL_JSON.
    """

    def __init__(self, command: str, *, shell: bool, jobs: int):
        try:
            self._words = ["/bin/sh", "-c", command] if shell else shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec: {error}.") from None
        if not self._words:
            raise UsageError("--exec: there is no command.")
        self._command = command
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._failed = False
        # Daemons: an interrupt ends dmctl without waiting for what runs.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    def start(self, event: Event) -> None:
        """Run the command for it as soon as one of the jobs is free."""
        self._waiting.put(event)

    def finish(self) -> bool:
        """Wait for all that were started; whether one has failed."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        return self._failed

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                done = subprocess.run(self._words, stdin=subprocess.DEVNULL, env=_environment(event), check=False)
            except OSError as error:
                told = f"cannot be run: {error.strerror}"
            else:
                if not done.returncode:
                    continue
                told = f"ended with {done.returncode}" if done.returncode > 0 else f"died of signal {-done.returncode}"
            self._failed = True
            stream.error(f"dmctl: {self._command!r}, for {event.type} of {event.name!r}, {told}.")


def _environment(event: Event) -> dict[str, str]:
    facts = {name.upper(): str(value) for name, value in event.facts.items() if isinstance(value, str | int)}
    return {
        **os.environ,
        **{f"DMCTL_{name}": value for name, value in facts.items()},
        "DMCTL_EVENT": event.type,
        "DMCTL_NAME": event.name,
        "DMCTL_UUID": event.uuid,
        "DMCTL_MAJOR": str(event.devno[0]),
        "DMCTL_MINOR": str(event.devno[1]),
        "DMCTL_TARGETS": ",".join(event.targets),
        "DMCTL_JSON": json.dumps(event.to_dict()),
    }
