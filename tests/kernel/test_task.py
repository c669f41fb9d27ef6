# SPDX-License-Identifier: LGPL-2.1-or-later
"""Task's setters, each by what it does to the kernel, and the lines that libdevmapper logs of them."""

import fcntl
import os
import struct
import time

import pytest

from dmctl import libdm
from dmctl.errors import DeviceError
from dmctl.libdm import task as dm
from dmctl.libdm import udev
from dmctl.libdm.task import Task

HDIO_GETGEO = 0x0301  # linux/hdreg.h: struct hd_geometry {heads, sectors: u8; cylinders: u16; start: unsigned long}


@pytest.fixture
def log():
    """Everything that libdevmapper logs."""
    records = []
    libdm.on_log(records.append)
    yield records
    libdm.on_log(None)


@pytest.fixture
def zero(prefix, dmsetup):
    """A device of 1024 sectors of zeros; its name."""
    name = prefix + "z"
    assert dmsetup("create", name, "--table", "0 1024 zero").status == 0
    yield name
    assert dmsetup("remove", name).status == 0


def test_suppress_identical_reload(zero, dmsetup):
    for length, inactive in ((1024, b"LIVE\n"), (512, b"LIVE & INACTIVE\n")):
        with Task(dm.RELOAD) as task:
            task.set_name(zero)
            task.add_target(0, length, "zero", "")
            task.suppress_identical_reload()
            task.run()
        assert b"Tables present:    " + inactive in dmsetup("info", zero).out


def test_geometry(zero):
    with Task(dm.SET_GEOMETRY) as task:
        task.set_name(zero)
        task.set_geometry("2", "4", "128", "0")
        task.run()
    with open(f"/dev/mapper/{zero}", "rb") as device:
        heads, sectors, cylinders, start = struct.unpack("BBHxxxxL", fcntl.ioctl(device, HDIO_GETGEO, bytes(16)))
    assert (cylinders, heads, sectors, start) == (2, 4, 128, 0)


def test_ima_measurement(prefix, disk, dmsetup):
    name = prefix + "l"
    assert dmsetup("create", name, "--table", f"0 1024 linear {disk(1 << 20).path} 8").status == 0
    with Task(dm.STATUS) as task:
        task.set_name(name)
        task.ima_measurement()
        task.run()
        lines = list(task.targets())
    assert "target_name=linear" in lines[0][3]
    assert dmsetup("measure", name).text == f"0 1024 linear {lines[0][3]}\n"
    assert dmsetup("remove", name).status == 0


def test_retry_remove_waits_for_the_last_user(prefix, dmsetup):
    name = prefix + "z"
    assert dmsetup("create", name, "--table", "0 1024 zero").status == 0
    with open(f"/dev/mapper/{name}", "rb"):
        pid = os.fork()
        if pid == 0:  # the open file is the child's too, for half a second
            time.sleep(0.5)
            os._exit(0)
    with Task(dm.REMOVE) as task, udev.Cookie() as cookie:
        task.set_name(name)
        task.retry_remove()
        cookie.attach(task)
        task.run()
    os.waitpid(pid, 0)
    assert b"does not exist" in dmsetup("info", name).err


def test_deferred_remove(zero, dmsetup):
    with open(f"/dev/mapper/{zero}", "rb"), Task(dm.REMOVE) as task:
        task.set_name(zero)
        task.deferred_remove()
        task.run()
        assert b"DEFERRED REMOVE" in dmsetup("info", zero).out
        assert dmsetup("message", zero, "0", "@cancel_deferred_remove").status == 0


def test_keys_are_wiped(prefix, disk, log):
    """libdevmapper names the flag in the debug line of the request that carries it."""
    from dmctl.device import Device
    from dmctl.table import Line

    key = "0123456789abcdef" * 4
    device = Device(prefix + "k")
    device.create([Line(0, 64, "crypt", f"aes-xts-plain64 {key} 0 {disk(1 << 20).path} 0")])
    try:
        assert any("dm reload" in record.text and " securedata " in record.text for record in log)
        log.clear()
        assert key in device.table()[0][0].params
        assert any("dm table" in record.text and " securedata " in record.text for record in log)
        assert not any(key in record.text for record in log)
    finally:
        device.remove()


def test_timestamps(zero, dmctl):
    shown = dmctl("-vvv", "info", zero).text
    stamps = [line for line in shown.splitlines() if line.startswith("Timestamp: ")]
    assert stamps[0] == "Timestamp:       0.000000000 seconds"
    assert len(stamps) == 2
    assert 0 < float(stamps[1].split()[1]) < 10


def test_records_have_levels(zero, log):
    with Task(dm.INFO) as task:
        task.set_name(zero)
        task.run()
    assert {record.level for record in log} == {libdm.LEVEL_DEBUG}
    assert all(record.file and record.line for record in log)
    with pytest.raises(DeviceError, match="failed: No such device or address"), Task(dm.TABLE) as task:
        task.set_name(zero + "nope")
        task.run()
    errors = [record for record in log if record.level == libdm.LEVEL_ERROR]
    assert [record.text for record in errors] == [
        f"device-mapper: table ioctl on {zero}nope  failed: No such device or address"
    ]
    assert errors[0].to_stderr


def test_debug_line_per_flag(zero, log):
    """Flags that only libdevmapper's debug line tells of."""
    with Task(dm.STATUS) as task:
        task.set_name(zero)
        task.no_flush()
        task.no_open_count()
        task.query_inactive_table()
        task.enable_checks()
        task.skip_lockfs()
        task.run()
    line = next(record.text for record in log if record.text.startswith("dm status"))
    for flag in ("noopencount", "noflush", "skiplockfs", "inactive", "enablechecks"):
        assert flag in line
