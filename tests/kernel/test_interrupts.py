# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals at the worst moments: no udev semaphore stays, no device stays suspended, and what stays can be removed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from guests import udevd
from guests.fixtures import dmctl_script
from guests.kernel_state import KernelState

DM_DEV_SUSPEND, DM_TABLE_LOAD = 6, 9  # include/uapi/linux/dm-ioctl.h; a resume is a suspend with another flag
TABLE = "0 8 zero"


def cookies():
    return KernelState.now().cookies


def until(condition, what, seconds=20):
    """Wait for a state that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never saw {what}"
        time.sleep(0.02)


@pytest.fixture
def stuck_udev():
    """udevd runs, but finishes no event: a cookie stays as it is."""
    with udevd.paused():
        yield
    udevd.settle()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_during_a_cookie_wait(number, prefix, start, stuck_udev, dmsetup):
    before = cookies()
    process = start("create", prefix + "a", "--table", TABLE)
    until(lambda: cookies() - before, "a cookie")
    until(lambda: b"LIVE" in dmsetup("info", prefix + "a").out, "the live table")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -number
    assert (out, err) == (b"", b"")
    assert cookies() == before
    assert dmsetup("table", prefix + "a").out == b"0 8 zero \n"
    assert dmsetup("remove", "--noudevsync", prefix + "a").status == 0


def test_interrupted_remove_has_removed(prefix, start, stuck_udev, dmsetup):
    before = cookies()
    assert dmsetup("create", "--noudevsync", prefix + "a", "--table", TABLE).status == 0
    process = start("remove", prefix + "a")
    until(lambda: b"does not exist" in dmsetup("info", prefix + "a").err, "the removal")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert cookies() == before


@pytest.mark.parametrize("socket_stays", [False, True])
def test_udevd_ends_during_a_cookie_wait(socket_stays, prefix, start, no_udev, dmsetup):
    """A udevd that dies is not waited for. Here one that never was: a socket makes it look as if it ran."""
    control, queue = Path("/run/udev/control"), Path("/run/udev/queue")
    before = cookies()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(control))
    queue.touch()  # it is at work
    process = start("create", prefix + "a", "--table", TABLE)
    until(lambda: b"LIVE" in dmsetup("info", prefix + "a").out, "the live table")
    assert cookies() - before
    if not socket_stays:
        control.unlink()
    queue.unlink()
    out, err = process.communicate(timeout=20)
    control.unlink(missing_ok=True)
    assert process.returncode == 0
    assert (out, err) == (b"", b"udevd is gone; making the device nodes without it.\n")
    assert os.stat(f"/dev/mapper/{prefix}a").st_rdev == os.stat("/dev/dm-0").st_rdev
    assert cookies() == before
    assert dmsetup("remove", "--verifyudev", prefix + "a").status == 0


def test_udevd_does_not_answer_for_a_while(prefix, start, dmsetup):
    """It is waited for: the event is still to come."""
    before = cookies()
    with udevd.paused():
        process = start("create", prefix + "a", "--table", TABLE)
        asked = "udevadm\0control\0--ping\0"
        until(lambda: any(asked in words for words in command_lines()), "the question whether it is there")
    assert (*process.communicate(timeout=20), process.returncode) == (b"", b"", 0)
    assert os.readlink(f"/dev/mapper/{prefix}a") == "../dm-0", "made by udevd"
    assert cookies() == before
    assert dmsetup("remove", prefix + "a").status == 0


def command_lines():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield path.read_text()


@pytest.fixture
def killed_workers():
    """A worker of udevd that has an event with a cookie is killed: its rules never come to complete it."""
    rules = Path("/run/udev/rules.d/00-kill.rules")
    rules.parent.mkdir(exist_ok=True)
    rules.write_text("""ENV{DM_COOKIE}=="?*", PROGRAM="/bin/sh -c 'kill -KILL $$PPID'"\n""")
    udevd.reload()
    yield
    rules.unlink()
    udevd.reload()


@pytest.mark.parametrize("why", ["event lost", "another IPC namespace"])
def test_nobody_completes_a_cookie(why, prefix, request, dmsetup):
    """Nor ever will: the nodes are made and removed here. In a container, which sees the host's udevd, udev has made
    them, and has no semaphore to tell so."""
    program = [dmctl_script()]
    if why == "event lost":
        request.getfixturevalue("killed_workers")
    else:
        program = ["unshare", "--ipc", *program]
    before = cookies()
    for words in (("create", prefix + "a", "--table", TABLE), ("remove", prefix + "a")):
        done = subprocess.run([*program, *words], capture_output=True, timeout=30, check=True)
        assert done.stdout == b""
        assert re.fullmatch(
            rb"udevd has no event left and has not completed cookie 0xd4d[0-9a-f]{4}; "
            rb"making the device nodes without it\.\n",
            done.stderr,
        )
        assert cookies() == before
        nodes = [node for node in os.listdir("/dev/mapper") if node.startswith(prefix)]
        if words[0] == "create":
            assert nodes == [prefix + "a"]
            assert os.stat(f"/dev/mapper/{prefix}a").st_rdev == os.stat("/dev/dm-0").st_rdev
        else:
            assert not nodes
    assert dmsetup("ls").out == b"No devices found\n"


def test_no_udevd(prefix, no_udev, dmctl, dmsetup):
    created = dmctl("-vv", "create", prefix + "a", "--table", TABLE)
    assert created.status == 0
    assert created.out.count(b"Udev is not running. Not using udev synchronisation code.\n") == 1
    assert os.stat(f"/dev/mapper/{prefix}a").st_rdev == os.stat("/dev/dm-0").st_rdev
    assert dmctl("rename", prefix + "a", prefix + "b").status == 0
    assert [node for node in os.listdir("/dev/mapper") if node.startswith(prefix)] == [prefix + "b"]
    quiet = dmctl("remove", prefix + "b")
    assert (quiet.status, quiet.out, quiet.err) == (0, b"", b"")
    assert not [node for node in os.listdir("/dev/mapper") if node.startswith(prefix)]
    assert dmsetup("ls").out == b"No devices found\n"


def test_interrupted_wait(prefix, start, dmsetup):
    assert dmsetup("create", prefix + "a", "--table", TABLE).status == 0
    process = start("wait", prefix + "a")
    waiting = Path(f"/proc/{process.pid}/wchan")
    stat = Path(f"/proc/{process.pid}/stat")
    until(lambda: stat.read_text().split()[2] == "S" and open_control(process.pid), f"the wait ({waiting})")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (-signal.SIGINT, b"", b"")
    assert dmsetup("remove", prefix + "a").status == 0


def open_control(pid):
    """Whether a process has the device-mapper's control node open."""
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{folder}/{fd}") == "/dev/mapper/control" for fd in os.listdir(folder))
    except OSError:
        return False


@pytest.fixture(scope="session")
def hook(tmp_path_factory):
    """Environment that makes dmctl get a signal at a device-mapper request."""
    library = tmp_path_factory.mktemp("hook") / "ioctl_hook.so"
    source = Path(__file__).with_name("ioctl_hook.c")
    subprocess.run(["gcc", "-Wall", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    def environment(request, number, *, after=False):
        env = {"LD_PRELOAD": str(library), "HOOK_REQUEST": str(request), "HOOK_SIGNAL": str(int(number))}
        return env | ({"HOOK_AFTER": "1"} if after else {})

    return environment


LEFT_BY_KILL = {
    "before the load": (DM_TABLE_LOAD, False, b"Tables present:    None"),
    "after the load": (DM_TABLE_LOAD, True, b"Tables present:    INACTIVE"),
    "before the resume": (DM_DEV_SUSPEND, False, b"Tables present:    INACTIVE"),
    "after the resume": (DM_DEV_SUSPEND, True, b"Tables present:    LIVE"),
}


@pytest.mark.parametrize("moment", LEFT_BY_KILL)
def test_kill_during_create(moment, prefix, hook, dmctl, dmsetup):
    """What the man page says of kill -9: a device and a cookie may stay, and can be removed."""
    request, after, tables = LEFT_BY_KILL[moment]
    before = cookies()
    killed = dmctl("create", prefix + "a", "--table", TABLE, env=hook(request, signal.SIGKILL, after=after))
    assert killed.status == -signal.SIGKILL
    assert tables in dmsetup("info", prefix + "a").out
    assert len(cookies() - before) == 1
    subprocess.run(["udevadm", "settle"], check=True)
    removed = dmctl("remove", prefix + "a")
    assert (removed.status, removed.err) == (0, b"")
    assert dmsetup("udevcomplete_all", "-y").status == 0
    assert cookies() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", LEFT_BY_KILL)
def test_signal_during_create_comes_after_it(moment, number, prefix, hook, dmctl, dmsetup):
    """A signal that can be caught does not part the requests of a create: the device is whole, the cookie gone."""
    request, after, _tables = LEFT_BY_KILL[moment]
    before = cookies()
    ended = dmctl("create", prefix + "a", "--table", TABLE, env=hook(request, number, after=after))
    assert (ended.status, ended.out, ended.err) == (-number, b"", b"")
    assert cookies() == before
    subprocess.run(["udevadm", "settle"], check=True)
    assert dmsetup("table", prefix + "a").out == b"0 8 zero \n"
    assert dmsetup("remove", prefix + "a").status == 0


def within(frame, function):
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def interrupt_everywhere(act, checks):
    """Run act() once for every line of dmctl's library it goes through, with a ^C at that line; then checks().

    Returns how many lines there were. The last run is the one that nothing interrupts.
    """
    moment = 0
    while True:
        moment += 1
        left = moment

        def trace(frame, event, argument):
            nonlocal left
            name = frame.f_globals.get("__name__", "")
            # A second ^C, in what cleans up after the first, is another matter.
            if not name.startswith("dmctl.") or within(frame, "__del__"):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        interrupted = False
        sys.settrace(trace)
        try:
            act()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(None)
        checks(moment)
        if not interrupted:
            return moment


def test_no_cookie_stays_wherever_the_interrupt_comes(prefix, dmsetup):
    from dmctl.device import Device

    assert dmsetup("create", prefix + "a", "--table", TABLE).status == 0
    before = cookies()
    device = Device(prefix + "a")

    def no_cookie(moment):
        assert cookies() == before, f"after an interrupt at line {moment}"

    # Resuming what runs makes a cookie, and libdevmapper completes it: no uevent comes of it.
    assert interrupt_everywhere(device.resume, no_cookie) > 40
    assert dmsetup("remove", prefix + "a").status == 0


def test_never_suspended_wherever_the_interrupt_comes(prefix, dmsetup):
    from dmctl.device import Device

    assert dmsetup("create", prefix + "a", "--table", TABLE).status == 0
    suspended = Path("/sys/block/dm-0/dm/suspended")
    device = Device(prefix + "a")
    seen = []

    def act():
        with device.suspended():
            seen.append(suspended.read_text())

    def not_suspended(moment):
        assert suspended.read_text() == "0\n", f"after an interrupt at line {moment}"

    assert interrupt_everywhere(act, not_suspended) > 60
    assert set(seen) == {"1\n"}
    assert dmsetup("remove", prefix + "a").status == 0
