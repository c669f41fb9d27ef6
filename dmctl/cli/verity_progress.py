# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far a command of dmctl verity is, on standard error."""

import sys
import time
from collections.abc import Callable


class Shown:
    """Progress on standard error, after half a second: what is over sooner needs none."""

    def __init__(self, wanted: bool | None, what: str):
        self._wanted = sys.stderr.isatty() if wanted is None else wanted
        self._what = what
        self._bar: Callable[[int, int], None] | None = None
        self._end: Callable[[], None] | None = None
        self._begin = 0.0

    def __enter__(self) -> Callable[[int, int], None] | None:
        self._begin = time.monotonic()
        return self._tell if self._wanted else None

    def __exit__(self, *_: object) -> None:
        if self._end:
            self._end()

    def _tell(self, done: int, blocks: int) -> None:
        if self._bar is None:
            if time.monotonic() - self._begin < 0.5:
                return
            self._start()
        assert self._bar
        self._bar(done, blocks)

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn(self._what), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True), transient=True)
        task = bar.add_task(self._what, total=None)
        bar.start()
        self._end = bar.stop
        self._bar = lambda done, blocks: bar.update(task, completed=done, total=blocks)
