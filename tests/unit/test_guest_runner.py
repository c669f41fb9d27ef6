# SPDX-License-Identifier: LGPL-2.1-or-later
"""`python -m guests`: one command in a guest, and nothing left of the guest in whatever way it ends."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import guests.uml
from guests.base import Guest
from guests.qemu import QemuGuest
from guests.uml import UmlGuest

TESTS = Path(__file__).parents[1]
END_S = 10


def need(guest: Guest) -> None:
    if (reason := guest.unavailable()) is not None:
        (pytest.fail if os.environ.get("DMCTL_REQUIRE_KERNEL") == "1" else pytest.skip)(reason)


@pytest.fixture
def needs_guest() -> None:
    need(UmlGuest())


def start(*args: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        # Tests that run in the background of a shell inherit an ignored SIGINT, and so would what they start.
        ["env", "--default-signal=INT", sys.executable, "-m", "guests", *args],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("guest_kind", "option", "first"),
    [(UmlGuest, "--no-udev", "Run /tmp/dmctl-guest-"), (QemuGuest, "--qemu", "Run /init as init process")],
)
def test_output_and_exit_status(tmp_path: Path, guest_kind: type[Guest], option: str, first: str) -> None:
    need(guest_kind())
    results = tmp_path / "a b, c"
    script = 'printf "\\000\\377\\r\\n"; seq 1 50000; echo "$1" >&2; echo kept >"$2/file"; exit 7'
    with start(option, "--results", str(results), "--", "sh", "-c", script, "-", "it's\n$x", str(results)) as guest:
        out, err = guest.communicate(timeout=60)
    assert err == b"it's\n$x\n"
    assert out == b"\0\377\r\n" + b"".join(b"%d\n" % n for n in range(1, 50001))
    assert guest.returncode == 7
    assert (results / "file").read_text() == "kept\n"
    assert first in (results / "dmesg").read_text()


@pytest.mark.usefixtures("needs_guest")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_guest_ends_with_its_runner(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    with start("--no-udev", "--results", str(tmp_path), "--", "sh", "-c", "echo up; sleep 100") as runner:
        assert runner.stdout is not None and runner.stdout.readline() == b"up\n"
        children = [int(pid) for pid in Path(f"/proc/{runner.pid}/task/{runner.pid}/children").read_text().split()]
        kernels = [pid for pid in children if b"linux.uml" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(kernels) == 1
        folder = next(
            word.partition("=")[2]
            for word in os.fsdecode(Path(f"/proc/{kernels[0]}/cmdline").read_bytes()).split("\0")
            if word.startswith("GUEST_DIR=")
        )
        everything = {*children, *_process_group(kernels[0])}
        assert len(everything) > len(children), "UML's helpers"
        handles = [os.pidfd_open(pid) for pid in everything]
        runner.send_signal(sent)
        try:
            assert runner.wait(END_S) == status
            assert _all_end(handles), f"still running of {everything}"
        finally:
            for handle in handles:
                os.close(handle)
    assert not Path(folder).exists()


@pytest.mark.parametrize(
    ("free_mib", "noexec", "expected"),
    [
        ({"/dev/shm": 4096, "/tmp": 4096}, set(), None),
        # A container's default.
        ({"/dev/shm": 64, "/tmp": 4096}, set(), None),
        ({"/dev/shm": 4096, "/tmp": 4096}, {"/dev/shm"}, None),
        ({"/dev/shm": 64, "/tmp": 4096}, {"/tmp"}, "/dev/shm: 64 MiB free; /tmp: mounted noexec"),
    ],
)
def test_memory_folder(
    monkeypatch: pytest.MonkeyPatch, free_mib: dict[str, int], noexec: set[str], expected: str | None
) -> None:
    def statvfs(path: str) -> os.statvfs_result:
        flags = os.ST_NOEXEC if path in noexec else 0
        return os.statvfs_result((4096, 4096, 0, 0, free_mib.get(path, 0) * 256, 0, 0, 0, flags, 255))

    monkeypatch.setattr(guests.uml.os, "statvfs", statvfs)
    monkeypatch.delenv("TMPDIR", raising=False)
    reason = UmlGuest().unavailable()
    if expected is None:
        assert reason is None or "missing" in reason
    else:
        assert reason is not None and (expected in reason or "missing" in reason)


def _process_group(group: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(stat.parts[-2]))
    return members


def _all_end(handles: Sequence[int]) -> bool:
    deadline = time.monotonic() + END_S
    for handle in handles:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return False
    return True
