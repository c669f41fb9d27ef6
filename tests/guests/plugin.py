# SPDX-License-Identifier: LGPL-2.1-or-later
"""pytest on the host and in guests as one session: tests marked `kernel` run in guests, after the others.

Those in tests/qemu need what only the kernel of the QEMU guest has; the others run in the guest that --kernel names.

The same plugin is loaded in the guest, where it is told `--kernel=host` and has nothing to hand over.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from guests.base import Guest
from guests.beside import Beside
from guests.qemu import QemuGuest
from guests.uml import UmlGuest

TESTS = Path(__file__).parents[1]
# Marked by their place: a test forgotten here would make devices on the machine of whoever runs pytest.
QEMU_FOLDER = TESTS / "qemu"
KERNEL_FOLDERS = (TESTS / "kernel", TESTS / "compat", QEMU_FOLDER)
# So many tests that need no kernel run beside the guests, in a process of their own.
_BESIDE = 100
GUESTS: dict[str, type[Guest]] = {"uml": UmlGuest, "qemu": QemuGuest}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kernel", "tests on a real device-mapper")
    group.addoption(
        "--kernel",
        choices=[*GUESTS, "host", "none"],
        default="uml",
        help="where tests marked `kernel` run: a user-mode Linux guest (default; those of tests/qemu in QEMU), QEMU, "
        "this machine (as root), nowhere",
    )
    group.addoption("--guest-timeout", type=float, default=1500.0, metavar="S", help="kill a guest after S seconds")
    group.addoption(
        "--test-timeout", type=float, default=400.0, metavar="S", help="fail a test in a guest after S seconds"
    )
    group.addoption(
        "--guests",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="how many guests run at once, each with some of the files (default: 2, or 1 on a single processor)",
    )
    group.addoption("--guest-results", type=Path, metavar="DIR", help="keep the guests' consoles, output and dmesg")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kernel: needs a real device-mapper; runs in the guest (see --kernel)")
    if config.getoption("--kernel") == "host" and (reason := _host_refused()) is not None:
        raise pytest.UsageError(f"--kernel=host: {reason}")


def is_kernel_test(item: pytest.Item) -> bool:
    """Whether this test needs the kernel's device-mapper."""
    return item.get_closest_marker("kernel") is not None


def pytest_itemcollected(item: pytest.Item) -> None:
    if any(item.path.is_relative_to(folder) for folder in KERNEL_FOLDERS):
        item.add_marker("kernel")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kernel = config.getoption("--kernel")
    if kernel == "host":
        return
    for guest, guest_items in _work(config, items):
        reason = "--kernel=none" if guest is None else guest.unavailable()
        if reason is not None:
            for item in guest_items:
                item.add_marker(pytest.mark.skip(reason=reason))


def _work(config: pytest.Config, items: list[pytest.Item]) -> list[tuple[Guest | None, list[pytest.Item]]]:
    """The kernel tests by guest, those that take longest to boot first; None where there is to be none."""
    kernel = config.getoption("--kernel")
    found: dict[str, list[pytest.Item]] = {"qemu": [], kernel: []}
    for item in filter(is_kernel_test, items):
        in_qemu = kernel in GUESTS and item.path.is_relative_to(QEMU_FOLDER)
        found["qemu" if in_qemu else kernel].append(item)
    return [(GUESTS[name]() if name in GUESTS else None, chosen) for name, chosen in found.items() if chosen]


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    config, items = session.config, session.items
    if config.getoption("--kernel") == "host" or config.option.collectonly:
        return (yield)
    # What has no guest is here to be skipped.
    work = [(guest, some) for guest, some in _work(config, items) if guest is not None and guest.unavailable() is None]
    in_guests = {item for _, some in work for item in some}
    others = [item for item in items if item not in in_guests]
    if work and len(others) >= _BESIDE and config.getoption("--guests") > 1 and not _shows_the_process(config):
        work.insert(0, (Beside(), others))
        others = []
    session.items = others
    try:
        result = yield
    finally:
        session.items = items
    if work:
        # Only now: the guest does not import this.
        from guests.bridge import run_in_guests

        run_in_guests(session, work, config.getoption("--guests"))
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and is_kernel_test(item) and _kernel_required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"a kernel test may not be skipped here (DMCTL_REQUIRE_KERNEL=1): {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skips itself whole never gets to have a marked test."""
    report = yield
    in_kernel_folder = any(collector.path.is_relative_to(folder) for folder in KERNEL_FOLDERS)
    if report.skipped and in_kernel_folder and _kernel_required():
        report.outcome = "failed"
        report.longrepr = f"kernel tests may not be skipped here (DMCTL_REQUIRE_KERNEL=1): {report.longrepr}"
    return report


def _shows_the_process(config: pytest.Config) -> bool:
    """Whether what a test does is seen as it runs, or not all of its reports are wanted: -s, --pdb, -x."""
    option = config.option
    return bool(option.capture == "no" or option.usepdb or option.trace or option.maxfail)


def _kernel_required() -> bool:
    return os.environ.get("DMCTL_REQUIRE_KERNEL") == "1"


def _host_refused() -> str | None:
    if os.geteuid() != 0:
        return "not root"
    try:
        # The node may be there without a driver behind it: libdevmapper makes it.
        os.close(os.open("/dev/mapper/control", os.O_RDWR))
    except OSError as error:
        return f"no device-mapper (modprobe dm-mod): {error}"
    return None
