# SPDX-License-Identifier: LGPL-2.1-or-later
"""One pytest session over host and guest: whole sessions over small test files, most of which start a guest."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import guests.uml
from guests.uml import UmlGuest

TESTS = Path(__file__).parents[1]
HEADER = "import os, subprocess, time\nimport pytest\nkernel = pytest.mark.kernel\n"


class Session:
    """A finished inner session: pytest's exit status and text, and the outcome of each test in its junit file."""

    def __init__(self, folder: Path, source: str, *options: str, require_kernel: bool = False) -> None:
        (folder / "test_inner.py").write_text(HEADER + source)
        env = {name: value for name, value in os.environ.items() if name != "DMCTL_REQUIRE_KERNEL"}
        env |= {"PYTHONPATH": str(TESTS)} | ({"DMCTL_REQUIRE_KERNEL": "1"} if require_kernel else {})
        plugins = ("-p", "guests.plugin", "-p", "guests.fixtures")
        command = [sys.executable, "-m", "pytest", *plugins, "--rootdir=.", "-v", "--junit-xml=junit.xml", *options]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
        self.status = done.returncode
        self.output = done.stdout + done.stderr
        self.cases: dict[str, dict[str, str]] = {}
        # A test that another guest's failure has cut off has no name there.
        for case in ET.parse(folder / "junit.xml").iterfind(".//testcase[@name]"):
            details = self.cases.setdefault(case.attrib["name"], {})
            for child in case:
                details[child.tag] = child.attrib.get("message", "") + (child.text or "")


@pytest.fixture
def needs_guest() -> None:
    if (reason := UmlGuest().unavailable()) is not None:
        (pytest.fail if os.environ.get("DMCTL_REQUIRE_KERNEL") == "1" else pytest.skip)(reason)


@pytest.mark.usefixtures("needs_guest")
def test_reports_leaks_and_death(tmp_path: Path) -> None:
    session = Session(
        tmp_path,
        r"""
@kernel
def test_passes(record_property):
    record_property("made", "in the guest")
    assert os.uname().machine and os.path.exists("/run/guest")

def test_host_first():
    assert not os.path.exists("/run/guest")

@kernel
@pytest.mark.parametrize("text", ["a b", "x[y]::z", "é'\"\\", "", "n\nl"])
def test_odd(text):
    pass

@kernel
def test_skips():
    pytest.skip("for a reason")

@kernel
@pytest.mark.xfail(strict=True)
def test_xfails():
    assert False

@kernel
def test_fails():
    print("captured words")
    subprocess.run(["dmsetup", "create", "bad", "--table", "0 8 linear nothing 0"])
    assert 1 == 2

@kernel
def test_leaks_device(disk):
    made = disk(1 << 20)
    subprocess.run(["dmsetup", "create", "left-below", "--table", f"0 8 linear {made.devno} 0"], check=True)
    subprocess.run(["dmsetup", "create", "left-above", "--table", "0 8 linear /dev/mapper/left-below 0"], check=True)
    subprocess.run(["dmsetup", "create", "left-empty", "--notable"], check=True)

@kernel
def test_leaks_loop_and_cookie(tmp_path):
    (tmp_path / "file").write_bytes(bytes(4096))
    subprocess.run(["losetup", "-f", tmp_path / "file"], check=True)
    subprocess.run(["dmsetup", "udevcreatecookie"], check=True)

@kernel
def test_starts_clean(dmsetup):
    assert dmsetup("ls").text == "No devices found\n"
    assert len(open("/proc/sysvipc/sem").readlines()) == 1

@kernel
def test_dies():
    print("about to die")
    with open("/proc/sysrq-trigger", "w") as trigger:
        trigger.write("c")
    time.sleep(30)

@kernel
def test_never_begun():
    pass
""",
    )
    cases = session.cases
    assert session.status == 1
    assert list(cases)[:2] == ["test_host_first", "test_passes"], "host tests come first"
    assert set(cases["test_passes"]) == {"properties"}
    odd = [name for name in cases if name.startswith("test_odd")]
    assert len(odd) == 5 and all(cases[name] == {} for name in odd), session.output
    assert "for a reason" in cases["test_skips"]["skipped"]
    assert set(cases["test_xfails"]) == {"skipped"}
    assert "assert 1 == 2" in cases["test_fails"]["failure"]
    assert "captured words" in cases["test_fails"].get("system-out", "") + session.output
    assert "linear: Device lookup failed" in session.output
    leak = cases["test_leaks_device"]["error"]
    assert "device left-above, device left-below, device left-empty, loop device /dev/loop" in leak
    assert "cannot be removed" not in leak
    leak = cases["test_leaks_loop_and_cookie"]["error"]
    assert "loop device /dev/loop" in leak and "udev cookie 0xd4d" in leak and "cannot be removed" not in leak
    assert cases["test_starts_clean"] == {}
    assert "guest died" in cases["test_dies"]["failure"]
    assert "sysrq triggered crash" in cases["test_dies"]["failure"], "the console's tail"
    assert "not run: guest died (during " in cases["test_never_begun"]["failure"]
    assert "3 failed, 10 passed, 1 skipped, 1 xfailed, 2 errors" in session.output


@pytest.mark.usefixtures("needs_guest")
def test_required_kernel_and_session_end_check(tmp_path: Path) -> None:
    source = """
@pytest.fixture(scope="module")
def wide():
    yield
    subprocess.run(["dmsetup", "create", "left-wide", "--table", "0 8 error"], check=True)

@kernel
def test_skips():
    pytest.skip("for a reason")

@kernel
def test_wide(wide):
    pass
"""
    session = Session(tmp_path, source, require_kernel=True)
    assert session.status == 1
    assert "DMCTL_REQUIRE_KERNEL=1" in session.cases["test_skips"]["failure"]
    assert "for a reason" in session.cases["test_skips"]["failure"]
    assert "left behind by this session: device left-wide" in session.cases["test_wide"]["error"]
    assert "1 failed, 1 passed, 1 error" in session.output


@pytest.mark.usefixtures("needs_guest")
def test_stop_at_first_failure_and_selection(tmp_path: Path) -> None:
    source = """
@kernel
def test_deselected():
    pass

@kernel
def test_fails():
    assert False

@kernel
def test_never_begun():
    time.sleep(60)
"""
    session = Session(tmp_path, source, "-x", "-k", "not deselected")
    assert session.status == 1
    assert "1 failed, 1 deselected" in session.output
    assert "stopping after 1 failures" in session.output
    assert set(session.cases["test_fails"]) == {"failure"}
    assert "failure" not in session.cases.get("test_never_begun", {})


@pytest.mark.usefixtures("needs_guest")
def test_time_limit_of_a_test(tmp_path: Path) -> None:
    source = """
@kernel
def test_waits():
    time.sleep(60)

@kernel
def test_passes():
    pass
"""
    session = Session(tmp_path, source, "--test-timeout=4")
    assert session.status == 1
    waits = session.cases["test_waits"]["failure"]
    assert "does not end in 4 s" in waits and "time.sleep(60)" in waits
    assert "--test-timeout=4" in waits and "systemd-udevd --daemon" in waits, "what runs"
    assert session.cases["test_passes"] == {}


@pytest.mark.usefixtures("needs_guest")
def test_time_limit_of_the_guest(tmp_path: Path) -> None:
    session = Session(tmp_path, "@kernel\ndef test_hangs():\n    time.sleep(60)\n", "--guest-timeout=7")
    assert session.status == 1
    assert "guest killed after 7 s" in session.cases["test_hangs"]["failure"]


SKIPPED = """
@kernel
def test_kernel(disk):
    assert False

def test_host():
    pass
"""


def test_without_kernel(tmp_path: Path) -> None:
    session = Session(tmp_path, SKIPPED, "--kernel=none")
    assert session.status == 0
    assert "--kernel=none" in session.cases["test_kernel"]["skipped"]
    assert session.cases["test_host"] == {}


def test_without_kernel_where_required(tmp_path: Path) -> None:
    session = Session(tmp_path, SKIPPED, "--kernel=none", require_kernel=True)
    assert session.status == 1
    assert "--kernel=none" in session.cases["test_kernel"]["error"]
    assert session.cases["test_host"] == {}


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(guests.uml, "_NEEDED", ((tmp_path / "absent", "user-mode-linux"),))
    reason = UmlGuest().unavailable()
    assert reason is not None and "Debian package user-mode-linux" in reason


TWO_FILES = r"""
@kernel
@pytest.mark.parametrize("number", range(70))
def test_{name}(number, record_property):
    record_property("kernel", open("/proc/sys/kernel/random/boot_id").read().strip())
    assert (number, "{name}") != (5, "inner")
    if (number, "{name}") == (7, "dies"):
        os._exit(3)
"""


@pytest.mark.usefixtures("needs_guest")
def test_two_guests_at_once(tmp_path: Path) -> None:
    for name in ("other", "dies"):
        (tmp_path / f"test_{name}.py").write_text(HEADER + TWO_FILES.replace("{name}", name))
    session = Session(tmp_path, TWO_FILES.replace("{name}", "inner"), "--guests=2")
    assert len(session.cases) == 210
    failed = {name for name, details in session.cases.items() if "failure" in details}
    assert failed == {"test_inner[5]", *(f"test_dies[{number}]" for number in range(7, 70))}
    kernels = {
        case.attrib["name"].partition("[")[0]: property_.attrib["value"]
        for case in ET.parse(tmp_path / "junit.xml").iter("testcase")
        for property_ in case.iter("property")
    }
    assert len(set(kernels.values())) == 3


@pytest.mark.usefixtures("needs_guest")
def test_first_failure_ends_both_guests(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(HEADER + TWO_FILES.replace("{name}", "other") + "    time.sleep(0.2)\n")
    session = Session(tmp_path, TWO_FILES.replace("{name}", "inner"), "--guests=2", "-x")
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert len(session.cases) < 76
    assert "stopping after 1 failures" in session.output
