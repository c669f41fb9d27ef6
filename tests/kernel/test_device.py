# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python API, in this process, judged by dmsetup and sysfs."""

import errno
import os
import select
import signal
from pathlib import Path

import pytest

from dmctl import libdm
from dmctl.device import Device, Options, list_devices, remove_all
from dmctl.errors import DeviceError
from dmctl.table import Line
from kernel.child import LIMIT_MS, in_child

DISK_BYTES = 8 << 20
ZERO = [Line(0, 8, "zero", "")]


@pytest.fixture
def names(prefix, dmsetup):
    """names(name): the full name of a device that is removed at the end, if it is there."""
    used = {}

    def full(name="a"):
        used[prefix + name] = None
        return prefix + name

    yield full
    listed = dmsetup("ls").text
    for name in reversed(used):
        if f"{name}\t" in listed:
            assert dmsetup("remove", "--force", name).status == 0


@pytest.fixture
def under(disk):
    return disk(DISK_BYTES)


def linear(disk, length=2048, start=0):
    return [Line(0, length, "linear", f"{disk.path} {start}")]


def sysfs(info):
    return Path(f"/sys/dev/block/{info.devno[0]}:{info.devno[1]}")


def read(path):
    return path.read_text().removesuffix("\n")


def test_life(names, under, dmsetup):
    name, other = names("a"), names("b")
    device = Device(name)
    info = device.create(linear(under), uuid="UUID-life", want_info=True)
    assert dmsetup("table", name).text == f"0 2048 linear {under.devno} 0\n"
    assert Path("/dev/mapper", name).is_block_device()
    assert (read(sysfs(info) / "dm/name"), read(sysfs(info) / "dm/uuid")) == (name, "UUID-life")
    assert read(sysfs(info) / "size") == "2048"

    device.load(linear(under, 4096))
    assert dmsetup("table", "--inactive", name).text == f"0 4096 linear {under.devno} 0\n"
    device.clear()
    assert dmsetup("table", "--inactive", name).text == "\n"
    device.load(linear(under, 4096))
    device.suspend()
    assert (read(sysfs(info) / "dm/suspended"), read(sysfs(info) / "size")) == ("1", "2048")
    device.resume()
    assert (read(sysfs(info) / "dm/suspended"), read(sysfs(info) / "size")) == ("0", "4096")
    assert device.length_sectors() == 4096

    device.rename(other)
    assert read(sysfs(info) / "dm/name") == other
    assert not Path("/dev/mapper", name).exists() and Path("/dev/mapper", other).exists()
    device = Device(uuid="UUID-life")
    device.wipe(device.length_sectors())
    assert dmsetup("table", other).text == "0 4096 error \n"
    Device(devno=info.devno).remove()
    assert dmsetup("ls").out == b"No devices found\n"
    assert not Path("/dev/mapper", other).exists() and not sysfs(info).exists()


def test_create_options(names, under, dmsetup):
    name = names()
    plain = {"uid": 1, "gid": 2, "mode": 0o640}
    device = Device(name, options=Options(no_udev_rules=True, library_fallback=True))
    device.create(linear(under), read_only=True, major=254, minor=77, read_ahead=(512, 0), **plain)
    status = os.stat(f"/dev/mapper/{name}")
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == (254, 77)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1, 2, 0o640)
    assert read(Path("/sys/dev/block/254:77/ro")) == "1"
    assert read(Path("/sys/dev/block/254:77/queue/read_ahead_kb")) == "256"
    device.remove()
    assert not os.path.exists(f"/dev/mapper/{name}")


@pytest.mark.parametrize("lines", [None, []])
def test_create_without_a_table(lines, names, dmsetup):
    name = names()
    device = Device(name)
    assert in_child(lambda: device.create(lines)) == ("", b"", b"")  # nobody would complete a cookie
    assert b"Tables present:    None" in dmsetup("info", name).out
    device.set_uuid("late")
    assert b"UUID: late" in dmsetup("info", name).out
    device.load(ZERO)
    device.resume()
    assert dmsetup("table", name).text == "0 8 zero \n"
    assert Path("/dev/mapper", name).exists()


def test_reading(names, under, dmsetup):
    low, top = Device(names("low")), Device(names("top"))
    low.create(linear(under), uuid="UUID-low")
    top.create([Line(0, 1024, "striped", f"2 8 /dev/mapper/{low.name} 0 {under.path} 4096")])
    top.load(ZERO)
    top.suspend()
    fields = "name,uuid,major,minor,open,events,segments,read_ahead,suspended,readonly,tables_loaded"
    for device in (low, top):
        info = device.info(read_ahead=True)
        told = dmsetup("info", "-c", "--noheadings", "--separator", "|", "-o", fields, device.name)
        state = (("Active", "Suspended")[info.suspended], ("Writeable", "Read-only")[info.read_only])
        tables = {(True, False): "Live", (True, True): "Both"}[info.live_table, info.inactive_table]
        assert told.text.rstrip("\n").split("|") == [
            *(info.name, info.uuid, *map(str, info.devno), str(info.open_count), str(info.event_nr)),
            *(str(info.target_count), str(info.read_ahead_sectors), *state, tables),
        ]
        for command, read_lines in (("table", device.table), ("status", device.status)):
            lines, found = read_lines()
            assert "".join(f"{line.format()}\n" for line in lines) == dmsetup(command, device.name).text
            assert found.devno == info.devno
        pairs, _ = device.deps()
        words = "".join(f" ({major}, {minor})" for major, minor in pairs)
        assert dmsetup("deps", device.name).text == f"{len(pairs)} dependencies\t:{words}\n"
    inactive = Device(top.name, options=Options(inactive=True))
    assert [line.format() for line in inactive.table()[0]] == ["0 8 zero "]
    assert inactive.deps()[0] == []
    told = dmsetup("info", "-c", "--noheadings", "--separator", "|", "-o", "name,major,minor").text
    expected = [line.split("|") for line in told.splitlines()]
    listed = list_devices()
    assert [[entry.name, *map(str, entry.devno)] for entry in listed] == [words[:3] for words in expected]


def test_keys_are_read(names, under, dmsetup):
    key = "0123456789abcdef" * 2
    device = Device(names())
    device.create([Line(0, 64, "crypt", f"aes-cbc-essiv:sha256 {key} 0 {under.path} 0")])
    (line,), _ = device.table()
    assert key in line.params and line.format() + "\n" == dmsetup("table", "--showkeys", device.name).text


def test_message(names, under, dmsetup):
    device = Device(names())
    device.create(linear(under))
    assert device.message(0, "@stats_create 0+64 /1") == "0"
    assert dmsetup("message", device.name, "0", "@stats_list").text == "0: 0+64 64 - -\n"
    assert device.message(0, "@stats_delete 0") is None
    assert device.message(0, "@stats_list") == dmsetup("message", device.name, "0", "@stats_list").text == ""
    with pytest.raises(DeviceError) as caught:
        device.message(0, "hello")
    assert (caught.value.errno, caught.value.verb) == (errno.EINVAL, "message")


def test_wait(names, dmsetup):
    before, after = names("before"), names("after")
    device = Device(before)
    device.create(ZERO)
    assert dmsetup("rename", before, after).status == 0  # event 1
    assert dmsetup("rename", after, before).status == 0  # event 2
    for other in (0, 1, 3):  # differs already
        ended = in_child(lambda other=other: print(device.wait(other, want_info=True).event_nr))
        assert ended == ("", b"2\n", b"")

    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write_end, b"%d" % device.wait(2, want_info=True).event_nr)
        finally:
            os._exit(0)
    try:
        poll = select.poll()
        poll.register(read_end, select.POLLIN)
        assert not poll.poll(300)
        assert dmsetup("rename", before, after).status == 0
        assert poll.poll(LIMIT_MS) and os.read(read_end, 10) == b"3"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(read_end)
        os.close(write_end)


def test_remove_all(names, dmsetup):
    if not Path("/run/guest").is_dir():
        pytest.skip("would remove the devices of a real machine")
    held, other = names("held"), names("other")
    for name in (held, other):
        Device(name).create(ZERO)
    with open(f"/dev/mapper/{held}", "rb"):
        remove_all()
        assert [line.split("\t")[0] for line in dmsetup("ls").text.splitlines()] == [held]
        Device(held).remove(deferred=True)
        assert b"DEFERRED REMOVE" in dmsetup("info", held).out
    assert dmsetup("ls").out == b"No devices found\n"
    libdm.make_nodes()


@pytest.fixture
def requests():
    """Lines that libdevmapper logs of each request, with the flags it sends to the kernel."""
    lines = []
    libdm.on_log(lambda record: lines.append(record.text) if record.text.startswith("dm ") else None)
    yield lines
    libdm.on_log(None)


def test_options_reach_the_kernel(names, requests):
    name = names()
    options = Options(no_flush=True, skip_lockfs=True, no_open_count=True, inactive=True)
    Device(name).create(ZERO)
    plain, optional = Device(name), Device(name, options=options)
    for device, words in ((plain, "opencount flush"), (optional, "noopencount noflush")):
        requests.clear()
        device.suspend()
        device.resume()
        device.status()
        device.load(ZERO, read_only=device is optional)
        sent = {line.split()[1]: line.partition("[ ")[2].partition("]")[0].split() for line in requests}
        assert set(words.split()) <= set(sent["suspend"]) & set(sent["status"])
        assert ("skiplockfs" in sent["suspend"]) == (device is optional)
        assert ("inactive" in sent["status"]) == (device is optional)
        assert ("readonly" in sent["reload"]) == (device is optional)
