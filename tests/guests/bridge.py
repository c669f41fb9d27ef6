# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's end of a test session that goes on in guests: start them, replay their reports as they arrive."""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from guests.base import Guest, GuestResult, GuestUnavailable, tail
from guests.beside import Beside
from guests.uml import UmlGuest

TESTS = Path(__file__).parents[1]
# Files in the results folder; guests.inside has the other end.
NODE_IDS = "node-ids.json"
REPORTS = "reports.jsonl"
PASSED_ON = ("PATH", "LANG", "CI")
PASSED_ON_PREFIXES = ("DMCTL_", "LC_", "HYPOTHESIS_")
# A guest's boot, pytest's collection there, and what a test takes after its time is over.
_SPARE_S = 60.0


# A guest for fewer would spend its time on booting.
_LEAST_TESTS = 40
# These take minutes each. First, and by themselves: else all would wait for one of them in the end.
_SLOW = (
    "test_change.py",
    "test_udev_rules.py",
    "test_doors.py",
    "test_section.py",
    "test_lvm.py",
    "test_thin_crash.py",
    "test_thin_interrupted.py",
    "test_thin_pool.py",
    "test_clone_watch.py",
)


Batch = tuple[Guest, list[pytest.Item]]


def run_in_guests(session: pytest.Session, work: list[Batch], at_once: int) -> None:
    """Run tests in new guests, so many at once; their reports reach the session's hooks as if they had run here.

    work: each kind of guest with its tests. The tests of a file stay together. Each guest gets some files, and when it
    has ended the next guest the next.
    """
    with ExitStack() as stack:
        kept: Path | None = session.config.getoption("--guest-results")
        if kept is None:
            results = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dmctl-results-")))
        else:
            results = kept.absolute()
        batches = work if at_once == 1 else list(_batches(work))
        if len(batches) == 1:
            guest, items = batches[0]
            _run_in_guest(session, items, guest, results, threading.Lock(), threading.Event())
        else:
            if (terminal := session.config.pluginmanager.get_plugin("terminalreporter")) is not None:
                terminal.showfspath = False  # else the files' names would take turns, with a dot between them
            _Workers(session, batches, results).run(min(at_once, len(batches)))


def _batches(work: list[Batch]) -> Iterator[Batch]:
    work = list(work)
    if work and isinstance(work[0][0], Beside):
        yield work.pop(0)
    for guest, items in work:
        for name in _SLOW:
            if batch := [item for item in items if item.path.name == name]:
                yield guest, batch
    for guest, items in work:
        batch = []
        for item in items:
            if item.path.name in _SLOW:
                continue
            if len(batch) >= _LEAST_TESTS and item.path != batch[-1].path:
                yield guest, batch
                batch = []
            batch.append(item)
        if batch:
            yield guest, batch


class _Stopped(Exception):
    """Another guest's tests have ended the session."""


class _Silent(Exception):
    """A test has not ended, nor failed when its time was over: the guest hangs, or a process that nothing ends."""


class _Workers:
    """Threads that run a guest each, and call pytest's hooks by turns."""

    def __init__(self, session: pytest.Session, batches: list[Batch], results: Path) -> None:
        self._session = session
        self._batches = enumerate(batches)
        self._results = results
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._endings: list[BaseException] = []

    def run(self, count: int) -> None:
        """Return when all batches have run; raise what has ended the session before."""
        processors = sorted(os.sched_getaffinity(0))
        threads = [
            threading.Thread(target=self._work, args=(processors[number % len(processors)],)) for number in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:  # ^C too
            self._stop.set()
            for thread in threads:
                thread.join()
        if self._endings:
            raise self._endings[0]

    def _work(self, processor: int) -> None:
        while True:
            with self._turn:
                number, batch = next(self._batches, (0, None))
            if batch is None or self._stop.is_set():
                return
            guest, items = batch
            if isinstance(guest, UmlGuest):
                guest = replace(guest, processor=processor)
            try:
                folder = self._results / f"guest-{number}"
                _run_in_guest(self._session, items, guest, folder, self._turn, self._stop)
            except _Stopped:
                return
            except BaseException as ending:
                self._endings.append(ending)
                self._stop.set()
                return


def _run_in_guest(
    session: pytest.Session,
    items: list[pytest.Item],
    guest: Guest,
    results: Path,
    turn: threading.Lock,
    stop: threading.Event,
) -> None:
    """Run `items` in one new guest. Hooks are called while `turn` is held; `stop` ends the guest."""
    config = session.config
    results.mkdir(parents=True, exist_ok=True)
    # By file: node ids are many, and hold any character there is.
    (results / NODE_IDS).write_text(json.dumps([item.nodeid for item in items]))
    (results / REPORTS).write_bytes(b"")
    replay = Replay(session, items, results / REPORTS)
    timeout_s: float = config.getoption("--guest-timeout")
    silence_s: float = config.getoption("--test-timeout") + _SPARE_S

    def tick() -> None:
        with turn:
            if stop.is_set():
                raise _Stopped
            replay.tick()
            if time.monotonic() > replay.heard + silence_s:
                raise _Silent

    try:
        result = guest.run(
            _pytest_command(config, items, results, "none" if isinstance(guest, Beside) else "host"),
            results,
            timeout_s=timeout_s,
            env=_environment(),
            cwd=config.invocation_params.dir,
            tick=tick,
        )
    except GuestUnavailable as error:
        with turn:
            replay.fail_unfinished(f"the guest could not start: {error}", "")
        return
    except _Silent:
        with turn:
            replay.fail_unfinished(f"guest killed, silent for {silence_s:g} s", _left_in(results))
        return
    with turn:
        replay.fail_unfinished(_what_ended(result, timeout_s), _left_in(results))
    if replay.unfinished == 0 and result.exit_status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise pytest.UsageError(f"pytest in the guest ended with {result.exit_status}\n{tail(results / 'stdout')}")


class Replay:
    """Reads the lines the guest writes and calls the hooks that its tests would have called here."""

    def __init__(self, session: pytest.Session, items: list[pytest.Item], source: Path) -> None:
        self.unfinished = 0
        self.heard = time.monotonic()
        """When the last report came."""
        self._session = session
        self._pending = {item.nodeid: item for item in items}
        self._phases: dict[str, set[str]] = {}
        self._source = source
        self._offset = 0

    def tick(self) -> None:
        """Replay what has arrived. Raises, and so ends the guest, when the session is to stop (-x, --maxfail)."""
        with self._source.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rpartition(b"\n")[0]
        if not whole:
            return
        self._offset += len(whole) + 1
        self.heard = time.monotonic()
        for line in whole.split(b"\n"):
            self._replay(json.loads(line))

    def _replay(self, event: dict[str, Any]) -> None:
        hook = self._session.config.hook
        match event["event"]:
            case "start":
                self._phases[event["nodeid"]] = set()
                hook.pytest_runtest_logstart(nodeid=event["nodeid"], location=tuple(event["location"]))
            case "report":
                report = hook.pytest_report_from_serializable(config=self._session.config, data=event["data"])
                # JSON has no tuples, and pytest tells a skip by one.
                report.location = tuple(report.location)
                if isinstance(report.longrepr, list):
                    report.longrepr = tuple(report.longrepr)
                report.user_properties = [tuple(pair) for pair in report.user_properties]
                self._phases[report.nodeid].add(report.when)
                self._item_hook(report.nodeid).pytest_runtest_logreport(report=report)
            case "finish":
                hook.pytest_runtest_logfinish(nodeid=event["nodeid"], location=tuple(event["location"]))
                self._pending.pop(event["nodeid"], None)
                self._stop_if_asked()

    def fail_unfinished(self, what: str, details: str) -> None:
        """Fail each test whose end was not reported; the details go with the one that ran, or else the first."""
        self.unfinished = len(self._pending)
        running = [nodeid for nodeid in self._pending if nodeid in self._phases]
        blamed = running[0] if running else next(iter(self._pending), None)
        for nodeid, item in list(self._pending.items()):
            if nodeid == blamed:
                text = f"{what}\n{details}".rstrip()
            else:
                text = f"not run: {what}" + (f" (during {blamed})" if running else "")
            if nodeid not in self._phases:
                item.ihook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
            report = pytest.TestReport(
                nodeid=nodeid,
                location=item.location,
                keywords=dict.fromkeys(item.keywords, 1),
                outcome="failed",
                longrepr=text,
                # A test that has its result already fails by its teardown, which is what was cut off.
                when="teardown" if "call" in self._phases.get(nodeid, ()) else "call",
            )
            item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=nodeid, location=item.location)
            self._stop_if_asked()

    def _item_hook(self, nodeid: str) -> Any:
        item = self._pending.get(nodeid)
        return self._session.config.hook if item is None else item.ihook

    def _stop_if_asked(self) -> None:
        # As pytest's own loop does after each test.
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)


def _what_ended(result: GuestResult, timeout_s: float) -> str:
    if result.timed_out:
        return f"guest killed after {timeout_s:g} s"
    if result.exit_status is None:
        return "guest died"
    return f"pytest in the guest ended with {result.exit_status} before this test"


def _left_in(results: Path) -> str:
    parts = {"console": ("console",), "output": ("stdout", "stderr")}
    told = {part: "".join(tail(results / name) for name in names) for part, names in parts.items()}
    return "\n".join(f"Its {part}:\n{text}" for part, text in told.items() if text)


def _pytest_command(config: pytest.Config, items: list[pytest.Item], results: Path, kernel: str) -> list[str]:
    option = config.option
    command = [
        sys.executable,
        "-P",
        "-c",
        # Not by the environment, which the tests pass on; and pytest looks for what -p names before it reads its ini.
        f"import sys; sys.path.insert(0, {str(TESTS)!r}); import pytest; sys.exit(pytest.main())",
        f"--kernel={kernel}",
        f"--rootdir={config.rootpath}",
        f"--tb={option.tbstyle}",
    ]
    for plugin in ("guests.plugin", "guests.fixtures", "guests.inside", "no:cacheprovider"):
        command += ["-p", plugin]
    if config.inipath is not None:
        command += ["-c", str(config.inipath)]
    # What shapes a report is decided where the report is made.
    command += ["-v"] * option.verbose
    command += ["--showlocals"] * option.showlocals
    command += ["--runxfail"] * option.runxfail
    command += [f"--override-ini={setting}" for setting in option.override_ini or ()]
    command += [f"-W{warning}" for warning in option.pythonwarnings or ()]
    command += [f"--test-timeout={config.getoption('--test-timeout'):g}"]
    return [*command, f"--bridge={results}", *sorted({str(item.path) for item in items})]


def _environment() -> dict[str, str]:
    env = {
        name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    }
    return env | {
        "HOME": "/tmp",
        "PYTHONPATH": str(TESTS),
        # The root is read-only, and whatever is on a tmpfs is forgotten at the end.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",  # the installed dmctl, not the source tree beside us
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    }
