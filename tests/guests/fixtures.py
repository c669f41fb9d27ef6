# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the kernel tests, and the check that a test leaves nothing behind."""

import itertools
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from guests import udevd
from guests.kernel_state import DMSETUP, KernelLog, KernelState, clean_up, left_since
from guests.loop import Disk, attach, detach, in_folder
from guests.plugin import is_kernel_test
from guests.uml import UDEVD

DAEMON_STOP_MS = 10_000
_LOG = pytest.StashKey[KernelLog]()
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. Reads well in a failed assertion."""

    status: int
    out: bytes
    err: bytes

    def __str__(self) -> str:
        return f"exit {self.status}\nout: {self.out!r}\nerr: {self.err!r}"

    @property
    def text(self) -> str:
        """The standard output, decoded."""
        return os.fsdecode(self.out)


Command = Callable[..., Result]


def _run(program: str | Path, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None,
         timeout: float = 30) -> Result:  # fmt: skip
    """`env` is added to a plain environment in the C locale, so that two programs can be compared."""
    plain = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    done = subprocess.run(
        [program, *args], input=stdin, env=plain | dict(env or {}), timeout=timeout, capture_output=True, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def dmsetup() -> Command:
    """dmsetup(*args, stdin=b"", env=None, timeout=30): run Debian's dmsetup."""

    def run(*args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 30) -> Result:
        return _run(DMSETUP, *args, stdin=stdin, env=env, timeout=timeout)

    return run


@pytest.fixture
def dmctl() -> Command:
    """dmctl(*args, stdin=b"", env=None, timeout=30): run the dmctl of this Python environment."""

    def run(*args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 30) -> Result:
        return _run(dmctl_script(), *args, stdin=stdin, env=env, timeout=timeout)

    return run


@pytest.fixture
def dmctl_as(tmp_path: Path) -> Command:
    """dmctl_as(name, *args, …): run dmctl under another name, as a link to it would."""

    def run(
        name: str, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 30
    ) -> Result:
        folder = tmp_path / "dmctl-links"
        folder.mkdir(exist_ok=True)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(dmctl_script())
        return _run(link, *args, stdin=stdin, env=env, timeout=timeout)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """start(*args): dmctl in the background, its output in pipes; what still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def run(*args: str) -> "subprocess.Popen[bytes]":
        pipe = subprocess.PIPE
        process = subprocess.Popen([dmctl_script(), *args], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def dmctl_script() -> Path:
    """The dmctl command beside this Python, as pip installs it."""
    return Path(sys.executable).with_name("dmctl")


@pytest.fixture
def prefix() -> str:
    """Begins the name of every device this test makes."""
    return f"dmt{os.getpid()}x{next(_numbers)}-"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Disk]]:
    """disk(size_bytes, *, sector_size=512, read_only=False): a loop device over a new sparse file, freed at the end."""
    disks: list[Disk] = []
    files: list[Path] = []

    def make(size_bytes: int, *, sector_size: int = 512, read_only: bool = False) -> Disk:
        backing = tmp_path / f"disk{len(disks)}"
        with backing.open("xb") as file:
            file.truncate(size_bytes)
        files.append(backing)
        disks.append(attach(backing, sector_size=sector_size, read_only=read_only))
        return disks[-1]

    yield make
    for made in disks:
        detach(made)
    for backing in files:  # pytest keeps its folders, and the guest's tmpfs is small
        backing.unlink()


@pytest.fixture(scope="session")
def standing_disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Disk, Disk, Disk]]:
    """Two loop devices of 8 MiB and a read-only one, the same for all tests that ask for them: udev looks at each loop
    device that comes and goes, which takes longer than a small test."""
    with in_folder(tmp_path_factory.mktemp("standing")) as make:
        yield make(8 << 20), make(8 << 20), make(8 << 20, read_only=True)


@pytest.fixture
def no_udev() -> Iterator[None]:
    """For the length of the test there is no udevd. libdevmapper tells by /run/udev/control, and remembers it for the
    life of the process: what makes, resumes or removes devices through it belongs into a child."""
    if not Path("/run/guest").is_dir():
        pytest.skip("would stop the udevd of a real machine")
    if not (control := Path("/run/udev/control")).exists():
        yield
        return
    udevd.settle()
    pid = udevd.pid()
    ended = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(ended, signal.SIGTERM)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        if not poll.poll(DAEMON_STOP_MS):
            raise TimeoutError(f"udevd (process {pid}) does not end")
    finally:
        os.close(ended)
    control.unlink(missing_ok=True)
    try:
        yield
    finally:
        subprocess.run([UDEVD, "--daemon"], check=True, stderr=subprocess.DEVNULL)
        udevd.settle()


@pytest.fixture
def kernel_log(request: pytest.FixtureRequest) -> Callable[[], list[str]]:
    """kernel_log(): the messages the kernel has logged since the test began."""
    log: KernelLog = request.node.stash[_LOG]
    return log.messages


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_by_the_session(pytestconfig: pytest.Config) -> Iterator[None]:
    """Catches what fixtures of a wider scope leave behind; reported with the last test."""
    if pytestconfig.getoption("--kernel") != "host":
        yield
        return
    before = KernelState.now()
    yield
    _fail_if_left(before, "this session")


@pytest.fixture(autouse=True)
def _nothing_left_by_the_test(request: pytest.FixtureRequest) -> Iterator[None]:
    if not is_kernel_test(request.node):
        yield
        return
    log = KernelLog()
    request.node.stash[_LOG] = log
    before = KernelState.now()
    yield
    _fail_if_left(before, "this test")


def _fail_if_left(before: KernelState, who: str) -> None:
    if left := left_since(before):
        stuck = clean_up(left)
        pytest.fail(f"left behind by {who}: {left}" + (f"; cannot be removed: {stuck}" if stuck else ""), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    log = item.stash.get(_LOG, None)
    if log is not None:
        if report.failed and (messages := log.messages()):
            report.sections.append(("Kernel log", "\n".join(messages)))
        if report.when == "teardown":
            log.close()
    return report
