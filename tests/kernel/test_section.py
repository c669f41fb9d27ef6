# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever happens in a critical section, no device stays suspended."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dmctl import section
from dmctl._section import lib
from dmctl.device import Device
from dmctl.errors import DeviceError
from kernel.thin_pools import dmsetup, pool, run, stop, volume, write

KILL, HANG, TERM = lib.DMCTL_SECTION_KILL, lib.DMCTL_SECTION_HANG, lib.DMCTL_SECTION_TERM
NO_SPACE_TIMEOUT = "/sys/module/dm_thin_pool/parameters/no_space_timeout"
# Two devices and two messages: before, after each suspend, after each message, after each resume.
STEPS = range(2 + 1 + 2 + 2)
CHILD = """
import sys
from dmctl import section
from dmctl.device import Device
pool, step, what, timeout = sys.argv[1], *map(int, sys.argv[2:5])
devices = [Device(f"{pool}-{number}") for number in (1, 2)]
messages = [(Device(pool), f"create_snap {number + 10} {number}") for number in (1, 2)]
section.run(devices, messages, timeout_seconds=timeout, _test=(step, what))
"""


@pytest.fixture
def thins(prefix, disk):
    """A pool with two active volumes, POOL-1 and POOL-2."""
    name = prefix + "pool"
    with pool(name, disk) as (metadata, _):
        for number in (1, 2):
            dmsetup("message", name, "0", f"create_thin {number}")
            volume(f"{name}-{number}", name, number)
            write(f"/dev/mapper/{name}-{number}", 0, os.urandom(65536))
        yield name, metadata


def child(name, step, what, timeout=20):
    words = [sys.executable, "-c", CHILD, name, str(step), str(what), str(timeout)]
    return subprocess.run(words, capture_output=True, check=False)


def guardians_are_done():
    """A guardian has its section's file locked until it ends."""
    for name in os.listdir(section.INTENTS):
        with open(f"{section.INTENTS}/{name}", "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def suspended(name):
    return [device for device in (name, f"{name}-1", f"{name}-2") if "SUSPENDED" in dmsetup("info", device)]


def ids(name, metadata):
    dmsetup("message", name, "0", "reserve_metadata_snap")
    listed = run("thin_ls", "-m", "--no-headers", "-o", "DEV", metadata).split()
    dmsetup("message", name, "0", "release_metadata_snap")
    return {int(one) for one in listed}


def snapshots_at(step):
    """The messages come after both suspends."""
    return {11, 12} if step >= 4 else {11} if step == 3 else set()


@pytest.mark.parametrize("step", STEPS)
def test_killed(thins, step):
    name, metadata = thins
    assert child(name, step, KILL).returncode == -signal.SIGKILL
    guardians_are_done()
    assert not suspended(name)
    assert ids(name, metadata) - {1, 2} == snapshots_at(step)
    assert section.recover() == [] and not os.listdir(section.INTENTS)


@pytest.mark.parametrize("step", STEPS)
def test_hanging(thins, step):
    """The guardian kills what takes too long, and only then resumes."""
    name, metadata = thins
    assert child(name, step, HANG, timeout=1).returncode == -signal.SIGKILL
    guardians_are_done()
    assert not suspended(name)
    assert ids(name, metadata) - {1, 2} == snapshots_at(step)
    section.recover()


@pytest.mark.parametrize("step", STEPS)
def test_terminated(thins, step):
    """A signal waits until all is done."""
    name, metadata = thins
    assert child(name, step, TERM).returncode == -signal.SIGTERM
    guardians_are_done()
    assert not suspended(name)
    assert ids(name, metadata) == {1, 2, 11, 12}
    section.recover()


def test_both_killed(thins, dmsetup):
    """What the guardian cannot do any more is done by whoever comes next."""
    name, _ = thins
    words = [sys.executable, "-c", CHILD, name, "2", str(HANG), "20"]
    with subprocess.Popen(words) as main:
        while len(suspended(name)) < 2:
            assert main.poll() is None
        children = f"/proc/{main.pid}/task/{main.pid}/children"
        with open(children, encoding="ascii") as file:
            (guardian,) = map(int, file.read().split())
        assert section.recover() == [] and len(suspended(name)) == 2  # it is under way
        os.kill(guardian, signal.SIGKILL)
        main.kill()
    assert len(suspended(name)) == 2
    assert [(one.name, one.resumed) for one in section.recover()] == [(f"{name}-2", True), (f"{name}-1", True)]
    assert not suspended(name) and not os.listdir(section.INTENTS)


def test_recover_leaves_what_is_not_the_sections(thins):
    """Another device by the same number, or one with a new table, stays as it is."""
    name, _ = thins
    words = [sys.executable, "-c", CHILD, name, "2", str(HANG), "20"]
    with subprocess.Popen(words) as main:
        while len(suspended(name)) < 2:
            assert main.poll() is None
        with open(f"/proc/{main.pid}/task/{main.pid}/children", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
        main.kill()
    dmsetup("load", f"{name}-1", "--table", "0 40960 error")
    dmsetup("rename", f"{name}-2", f"{name}-22")
    done = section.recover()
    assert [(one.name, one.resumed) for one in done] == [(f"{name}-1", False)]
    dmsetup("clear", f"{name}-1")
    for device in (f"{name}-1", f"{name}-22"):
        dmsetup("resume", device)


def test_sound(thins):
    name, metadata = thins
    devices = [Device(f"{name}-{number}") for number in (1, 2)]
    messages = [(Device(name), f"create_snap {number + 10} {number}") for number in (1, 2)]
    times = section.run(devices, messages)
    assert ids(name, metadata) == {1, 2, 11, 12} and not suspended(name)
    assert len(times) == 2 and all(times)
    assert not os.listdir(section.INTENTS)
    # Nothing is left: no child, and the memory is not locked any more.
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with open("/proc/self/status", encoding="ascii") as file:
        assert "VmLck:\t       0 kB" in file.read()


def test_a_message_that_fails(thins):
    name, metadata = thins
    messages = [
        (Device(name), "create_snap 11 1"),
        (Device(name), "create_snap 1 2"),
        (Device(name), "create_snap 12 2"),
    ]
    with pytest.raises(section.MessageError, match="create_snap 1 2") as caught:
        section.run([Device(f"{name}-1")], messages)
    assert caught.value.index == 1
    assert not suspended(name) and ids(name, metadata) == {1, 2, 11}


@pytest.mark.parametrize("way", ["suspended", "loaded"])
def test_refused(thins, way):
    """A device that somebody else is at is left alone, and so are those before it."""
    name, _ = thins
    if way == "suspended":
        dmsetup("suspend", f"{name}-2")
    else:
        dmsetup("load", f"{name}-2", "--table", "0 40960 error")
    with pytest.raises(section.SectionError, match=f"{name}-2 "):
        section.run([Device(f"{name}-1"), Device(f"{name}-2")], [])
    assert suspended(name) == ([f"{name}-2"] if way == "suspended" else [])
    if way == "suspended":
        dmsetup("resume", f"{name}-2")
    else:
        dmsetup("clear", f"{name}-2")


def test_swap_is_refused(thins, tmp_path):
    name, _ = thins
    node = f"/dev/mapper/{name}-1"
    run("mkswap", node)
    run("swapon", node)
    try:
        with pytest.raises(section.SectionError, match="swap"):
            section.run([Device(f"{name}-1")], [])
    finally:
        run("swapoff", node)
    section.run([Device(f"{name}-1")], [])


def test_a_device_that_is_not_there(prefix):
    with pytest.raises(DeviceError):
        section.run([Device(prefix + "none")], [])


def test_group(thins):
    """Python inside; an exception there resumes too."""
    name, _ = thins
    devices = [Device(f"{name}-{number}") for number in (1, 2)]
    infos = []
    with pytest.raises(ZeroDivisionError), section.suspended_group(devices):
        infos = [device.info().suspended for device in devices]
        raise ZeroDivisionError
    assert infos == [True, True] and not suspended(name)


def test_interrupt_in_a_group_comes_when_it_is_over(thins):
    name, _ = thins
    seen = []
    with pytest.raises(KeyboardInterrupt), section.suspended_group([Device(f"{name}-1")]):
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(Device(f"{name}-1").info().suspended)
    assert seen == [True] and not suspended(name)


def test_full_pool(prefix, disk):
    """Writes wait for space; without a flush the suspend does not wait for them."""
    name = prefix + "full"
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    before = Path(NO_SPACE_TIMEOUT).read_text()
    Path(NO_SPACE_TIMEOUT).write_text("10")
    try:
        with pool(name, disk, data_bytes=1 << 20) as (metadata, _):
            dmsetup("message", name, "0", "create_thin 1")
            volume(f"{name}-1", name, 1)
            words = ["dd", "if=/dev/urandom", f"of=/dev/mapper/{name}-1", "bs=64k", "count=20", "oflag=direct"]
            with subprocess.Popen(words, stderr=subprocess.DEVNULL) as filling:
                while "out_of_data_space" not in dmsetup("status", "--noflush", name):
                    assert filling.poll() is None
                how = section.Flags(lockfs=False, flush=False)
                (nanoseconds,) = section.run([Device(f"{name}-1")], [(Device(name), "create_snap 2 1")], flags=how)
                assert filling.poll() is None  # it waits still
            assert nanoseconds < 5e9 and "ACTIVE" in dmsetup("info", f"{name}-1")
            stop(name)
            run("thin_check", metadata)
            assert run("thin_ls", "--no-headers", "-o", "DEV", metadata).split() == [b"1", b"2"]
    finally:
        Path(NO_SPACE_TIMEOUT).write_text(before)


def test_mounted_file_system(thins, tmp_path):
    """Snapshots of an ext4 that is written to: each is clean, without a replay; the process killed in one of them."""
    name, metadata = thins
    node = f"/dev/mapper/{name}-1"
    run("mkfs.ext4", "-q", "-F", node)
    (tmp_path / "mnt").mkdir()
    run("mount", node, tmp_path / "mnt")
    stopped = threading.Event()

    def busy():
        number = 0
        while not stopped.is_set():
            (tmp_path / "mnt" / f"file{number % 20}").write_bytes(os.urandom(5000))
            number += 1

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        for snapshot in (21, 22, 23):
            section.run([Device(f"{name}-1")], [(Device(name), f"create_snap {snapshot} 1")])
        for step in (2, 4):
            assert child(name, step, KILL).returncode == -signal.SIGKILL
            guardians_are_done()
            assert not suspended(name)
            section.recover()
    finally:
        stopped.set()
        writer.join()
        run("umount", tmp_path / "mnt")
    run("e2fsck", "-fn", node)
    for snapshot in (21, 22, 23):
        volume(f"{name}-s", name, snapshot)
        assert b"needs_recovery" not in run("dumpe2fs", "-h", f"/dev/mapper/{name}-s")
        run("e2fsck", "-fn", f"/dev/mapper/{name}-s")
        dmsetup("remove", "--retry", f"{name}-s")
    stop(name)
    run("thin_check", metadata)
