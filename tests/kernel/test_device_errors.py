# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the Python API raises, what a failure leaves behind, and how a `with device.suspended():` ends."""

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from dmctl import libdm
from dmctl.device import Device
from dmctl.errors import DeviceError, ExitStatus, NotFoundError
from dmctl.table import Line
from kernel.child import in_child

DISK_BYTES = 1 << 20
ZERO = [Line(0, 8, "zero", "")]


@pytest.fixture
def device(prefix, dmsetup):
    """A device, made and removed by dmsetup."""
    name = prefix + "a"
    assert dmsetup("create", name, "-u", "UUID-" + name, "--table", "0 8 zero").status == 0
    yield Device(name)
    if name in dmsetup("ls").text:
        assert dmsetup("remove", "--force", name).status == 0


def state(device):
    """sysfs has it of a device: suspended or not."""
    for name in Path("/sys/block").glob("dm-*/dm/name"):
        if name.read_text() == f"{device.name}\n":
            return {"0": "running", "1": "suspended"}[name.with_name("suspended").read_text().strip()]
    return "gone"


def raised(action):
    with pytest.raises(DeviceError) as caught:
        action()
    return caught.value


def kernel_said(kernel_log):
    return tuple(line.removeprefix("device-mapper: ") for line in kernel_log() if line.startswith("device-mapper: "))


MISSING = {
    "info": lambda device: device.info(),
    "status": lambda device: device.status(),
    "table": lambda device: device.table(),
    "deps": lambda device: device.deps(),
    "suspend": lambda device: device.suspend(),
    "resume": lambda device: device.resume(),
    "clear": lambda device: device.clear(),
    "reload": lambda device: device.load(ZERO),
    "remove": lambda device: device.remove(),
    "rename": lambda device: device.rename("dmctl-new"),
    "message": lambda device: device.message(0, "x"),
    "waitevent": lambda device: device.wait(),
}


@pytest.mark.parametrize("verb", MISSING)
def test_no_such_device(verb, prefix):
    error = raised(lambda: MISSING[verb](Device(prefix + "nope")))
    assert (error.errno, error.verb, error.device) == (errno.ENXIO, verb, prefix + "nope")
    assert error.exit_status == ExitStatus.NOT_FOUND
    assert isinstance(error, NotFoundError) or verb not in ("info", "status")
    assert prefix in str(error) or "does not exist" in str(error)


def test_no_such_uuid_or_number(prefix):
    for device, called in ((Device(uuid="UUID-nope"), "UUID-nope"), (Device(devno=(254, 999)), "254:999")):
        error = raised(device.suspend)
        assert (error.errno, error.verb, error.device) == (errno.ENXIO, "suspend", called)
    assert "No device specified" in str(raised(Device().suspend))


def test_busy(device, dmsetup, kernel_log):
    with open(f"/dev/mapper/{device.name}", "rb"):
        error = raised(device.remove)
        assert (error.errno, error.verb, error.device) == (errno.EBUSY, "remove", device.name)
        assert error.exit_status == ExitStatus.BUSY
        assert str(error).endswith(f"failed: {os.strerror(errno.EBUSY)}")
        assert error.reason == kernel_said(kernel_log)
    assert dmsetup("table", device.name).text == "0 8 zero \n"


def test_name_and_uuid_are_taken(device, prefix, dmsetup, kernel_log):
    other = Device(prefix + "b")
    before = dmsetup("ls").out
    for action, called in ((lambda: Device(device.name).create(ZERO), device.name),
                           (lambda: other.create(ZERO, uuid="UUID-" + device.name), other.name)):  # fmt: skip
        error = raised(action)
        assert (error.errno, error.verb, error.device) == (errno.EBUSY, "create", called)
        assert dmsetup("ls").out == before
    other.create(ZERO)
    try:
        for action in (lambda: other.rename(device.name), lambda: other.set_uuid("UUID-" + device.name)):
            seen = len(kernel_said(kernel_log))
            error = raised(action)
            assert (error.errno, error.verb, error.device) == (errno.EBUSY, "rename", other.name)
            assert error.reason and error.reason == kernel_said(kernel_log)[seen:]
            assert "one that already exists" in error.reason[0]
        error = raised(lambda: device.set_uuid("another"))
        assert (error.errno, error.verb) == (errno.EINVAL, "rename")
    finally:
        other.remove()


BAD = {
    "gap": ([Line(0, 8, "zero", ""), Line(16, 8, "zero", "")], "Gap in table"),
    "unknown target": ([Line(0, 8, "frobnicate", "")], "unknown target type"),
    "argument count": ([Line(0, 8, "linear", "{disk}")], "linear: Invalid argument count"),
    "no such disk": ([Line(0, 8, "linear", "/dev/nope 0")], "linear: Device lookup failed"),
    "too small": ([Line(0, 4096, "linear", "{disk} 0")], "too small for target"),
    "behind its end": ([Line(0, 8, "linear", "{disk} 999999")], "too small for target"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_table(what, prefix, disk, dmsetup, kernel_log):
    lines, reason = BAD[what]
    path = disk(DISK_BYTES).path
    text = "\n".join(line.format() for line in lines).format(disk=path)
    lines = [line for words in text.split("\n") if (line := Line.parse(words))]
    # The same table is for dmsetup what the kernel's errno is in words.
    expected = dmsetup("create", prefix + "a", "--table", text)
    seen = len(kernel_said(kernel_log))
    error = raised(lambda: Device(prefix + "a").create(lines))
    assert f"{error}\n".encode() == expected.err.partition(b"Command failed.")[0]
    assert str(error).endswith(os.strerror(error.errno)) and error.errno
    assert (error.verb, error.device) == ("reload", prefix + "a")
    assert error.reason == kernel_said(kernel_log)[seen:] != ()
    assert any(reason in line for line in error.reason)
    # Nothing is left of it, in the kernel or in /dev.
    assert dmsetup("ls").out == b"No devices found\n"
    assert not [node for node in os.listdir("/dev/mapper") if node.startswith(prefix)]


def test_bad_table_loaded(device, dmsetup):
    error = raised(lambda: device.load([Line(0, 8, "linear", "/dev/nope 0")]))
    assert (error.verb, error.device) == ("reload", device.name) and error.reason
    assert dmsetup("table", "--inactive", device.name).text == "\n"
    assert dmsetup("table", device.name).text == "0 8 zero \n"
    libdm.want_kernel_reasons(False)
    try:
        assert raised(lambda: device.load([Line(0, 8, "linear", "/dev/nope 0")])).reason == ()
    finally:
        libdm.want_kernel_reasons(True)


def test_read_only_disk(prefix, disk, dmsetup):
    """Kernels differ in whether a table that writes is refused there: as dmsetup finds it, so do we."""
    under = disk(DISK_BYTES, read_only=True)
    name = prefix + "a"
    outcomes = []
    for create in (
        lambda: dmsetup("create", name, "--table", f"0 8 linear {under.path} 0").err,
        lambda: Device(name).create([Line(0, 8, "linear", f"{under.path} 0")]),
    ):
        try:
            said = create() or b""
        except DeviceError as error:
            said = f"{error}\nCommand failed.\n".encode()
            assert error.errno in (errno.EACCES, errno.EROFS, errno.EPERM)
        table = dmsetup("table", name).out
        if table:
            with open(f"/dev/mapper/{name}", "wb", buffering=0) as node, pytest.raises(OSError):
                node.write(bytes(4096))
                os.fsync(node.fileno())
            assert dmsetup("remove", name).status == 0
        outcomes.append((said, table))
    assert outcomes[0] == outcomes[1]


def test_names(prefix, dmsetup):
    longest = prefix.ljust(127, "n")
    device = Device(longest)
    device.create(ZERO)
    assert dmsetup("ls").text == f"{longest}\t(254:0)\n"
    device.remove()
    for action in (
        lambda: Device(longest + "n").create(ZERO),
        lambda: Device(longest + "n").info(),
        lambda: Device(prefix + "a\0b").create(ZERO),
        lambda: Device(prefix + "a").create(ZERO, uuid="u\0"),
        lambda: Device(prefix + "a").create([Line(0, 8, "linear", "x\0y")]),
        lambda: Device(prefix + "a/b").create(ZERO),
    ):
        error = raised(action)
        assert error.errno == 0 and len(str(error)) > 10
    assert dmsetup("ls").out == b"No devices found\n"


def suspended_while(device, body):
    """`with device.suspended():` around a body, in a process of its own; nothing may be said on standard error."""

    def action():
        with device.suspended() as same:
            assert same is device and state(device) == "suspended"
            body()

    ended = in_child(action)
    assert ended.err == b"", ended.err.decode()
    return ended.error


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise LookupError


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda: None, ""),
        (fail, "LookupError"),
        (interrupt, "KeyboardInterrupt"),
        (lambda: os.kill(os.getpid(), signal.SIGINT), "KeyboardInterrupt"),
        (sys.exit, "SystemExit"),
    ],
    ids=["normal", "exception", "KeyboardInterrupt", "SIGINT", "SystemExit"],
)
def test_suspended_is_resumed(body, error, device):
    assert suspended_while(device, body) == error
    assert state(device) == "running"


def test_suspended_already(device, dmsetup):
    assert dmsetup("suspend", device.name).status == 0
    assert suspended_while(device, lambda: None) == ""
    assert suspended_while(device, fail) == "LookupError"
    assert state(device) == "suspended"
    assert dmsetup("resume", device.name).status == 0

    def nested():
        with device.suspended():
            pass
        assert state(device) == "suspended"

    assert suspended_while(device, nested) == ""
    assert state(device) == "running"


def test_suspended_and_resumed_inside(device):
    assert suspended_while(device, device.resume) == ""
    assert state(device) == "running"


def test_suspended_and_removed_inside(device):
    assert suspended_while(device, device.remove) == "DeviceError"
    assert state(device) == "gone"


def test_suspended_for_a_new_table(device, dmsetup):
    assert suspended_while(device, lambda: device.load([Line(0, 16, "error", "")])) == ""
    assert dmsetup("table", device.name).text == "0 16 error \n"


def test_suspended_without_a_device(prefix):
    ended = in_child(lambda: Device(prefix + "nope").suspended().__enter__())
    assert (ended.error, ended.err) == ("NotFoundError", b"")
