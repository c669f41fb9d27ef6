# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who keeps a device busy: `holders`, and what a refused removal says, against the tools that tell of one kind each."""

import array
import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# So that a child need not import them.
import dmctl.cli.app
import dmctl.cli.build
import dmctl.cli.check
import dmctl.cli.explain
import dmctl.cli.holders
import dmctl.cli.links
import dmctl.cli.top  # noqa: F401
from dmctl.cli import main as entry
from dmctl.cli.compat import change
from guests.loop import attach, detach
from kernel.child import in_child

MIB = 1 << 20
SECTORS = 16 * MIB // 512
BUSY = "device-mapper: remove ioctl on {}  failed: Device or resource busy"
UDEVD = ("systemd-udevd", "(udev-worker)")


def tool(*words):
    """What another program says."""
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def call_all(*lines, user=0):
    """Command lines of dmctl, or of dmsetup if that is a line's first word: (status, output, error output) of each.

    All in one child: a fork of this process is slow in user-mode Linux. user: for the last line, when all modules have
    been loaded, which others than root may be unable to read.
    """

    def run():
        for words in lines:
            if user and words is lines[-1]:
                os.setgroups([])
                os.setresuid(user, user, user)
            status = entry.main(list(words))
            os.write(1, b"\0")
            os.write(2, f"\0{status}\0".encode())

    ended = in_child(run)
    assert ended.error == "", ended
    err, out = os.fsdecode(ended.err).split("\0"), os.fsdecode(ended.out).split("\0")
    return list(zip(map(int, err[1::2]), out[:-1], err[::2][: len(lines)], strict=True))


def call(*words):
    return call_all(words)[0]


def from_json(result, *, unseen=0):
    """The holders as JSON has them, without udev's workers: those come and go."""
    status, out, _err = result
    assert status == 0, result
    document = json.loads(out)
    assert document.pop("output_version") == {"command": "holders", "vers_major": 1, "vers_minor": 0}
    (one,) = document["devices"]
    assert unseen or one["unseen_processes"] == 0
    assert f"/dev/{one['kernel_name']}" == os.path.realpath(f"/dev/mapper/{one['name']}")
    return [holder for holder in one["holders"] if holder["name"] not in UDEVD]


@pytest.fixture
def base(disk, dmsetup, prefix):
    """A device of 16 MiB."""
    name = prefix + "base"
    assert dmsetup("create", name, "--table", f"0 {SECTORS} linear {disk(16 * MIB).path} 0").status == 0
    yield name
    subprocess.run(["udevadm", "settle"], check=True)
    assert dmsetup("remove", "--retry", name).status == 0


def make_file_system(base):
    subprocess.run(["mkfs.ext4", "-q", f"/dev/mapper/{base}"], check=True)
    subprocess.run(["udevadm", "settle"], check=True)


@contextmanager
def above(base, folder, dmsetup):
    assert dmsetup("create", f"{base}-top", "--table", f"0 8 linear /dev/mapper/{base} 0").status == 0
    try:
        kernel_name = os.path.basename(os.path.realpath(f"/dev/mapper/{base}-top"))
        assert os.listdir(f"/sys/class/block/{os.path.basename(os.path.realpath(f'/dev/mapper/{base}'))}/holders") == [
            kernel_name
        ]
        assert f"{base}-top ({dmsetup('ls', '--tree').text.split(f'{base}-top (')[1].split(')')[0]})\n └─{base} " in (
            dmsetup("ls", "--tree", "-o", "utf").text
        )
        yield "dm", f"{base}-top", kernel_name, None, f"dm device {base}-top"
    finally:
        dmsetup("remove", "--retry", f"{base}-top")


@contextmanager
def mounted(base, folder, dmsetup):
    make_file_system(base)
    point = folder / "mount point"
    point.mkdir()
    subprocess.run(["mount", "-o", "ro", f"/dev/mapper/{base}", point], check=True)
    try:
        assert tool("findmnt", "-n", "-o", "TARGET", "--source", f"/dev/mapper/{base}") == f"{point}\n"
        yield "mount", str(point), "ext4, read-only", None, f"mount {point}"
    finally:
        subprocess.run(["umount", point], check=True)


@contextmanager
def mounted_elsewhere(base, folder, dmsetup):
    make_file_system(base)
    command = 'mount "$0" /mnt && echo mounted && read -r line'
    words = ["unshare", "-m", "--propagation", "private", "sh", "-c", command, f"/dev/mapper/{base}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"mounted\n"
        assert tool("findmnt", "-n", "-o", "TARGET", "--source", f"/dev/mapper/{base}") == ""
        there = tool("nsenter", "-m", "-t", str(process.pid), *("findmnt", "-n", "-o", "TARGET,FSTYPE", "/mnt"))
        assert there.split() == ["/mnt", "ext4"]
        detail = f"ext4, in the mount namespace of process {process.pid}"
        yield "mount", "/mnt", detail, process.pid, f"mount /mnt ({detail})"
        process.stdin.close()


@contextmanager
def swapped_on(base, folder, dmsetup):
    subprocess.run(["mkswap", f"/dev/mapper/{base}"], check=True, capture_output=True)
    subprocess.run(["swapon", f"/dev/mapper/{base}"], check=True)
    try:
        (path,) = tool("swapon", "--show=NAME", "--noheadings", "--raw").split()
        assert os.path.realpath(path) == os.path.realpath(f"/dev/mapper/{base}")
        yield "swap", path, "0 B of ~16.00 MiB used", None, f"swap {path}"
    finally:
        subprocess.run(["swapoff", f"/dev/mapper/{base}"], check=True)


@contextmanager
def under_loop(base, folder, dmsetup):
    node = Path(os.path.realpath(f"/dev/mapper/{base}"))
    loop = attach(node)
    try:
        assert tool("losetup", "-n", "-O", "NAME,BACK-FILE").split().count(str(node)) == 1
        name = os.path.basename(loop.path)
        yield "loop", name, str(node), None, f"loop {name}"
    finally:
        detach(loop)


@contextmanager
def opened(base, folder, dmsetup):
    """By a process, through a node of another name, among files that are not the device."""
    node = folder / "node"
    os.mknod(node, 0o600 | 0o060000, os.stat(f"/dev/mapper/{base}").st_rdev)
    with (
        open(node, "rb") as device,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[device.fileno()]) as cat,
    ):
        number = device.fileno()
        device.close()
        told = tool("lsof", "-Fpf", node)
        assert told == f"p{cat.pid}\nf{number}\n"
        yield "process", "cat", f"fd {number}", cat.pid, f"process {cat.pid} (cat)"
        cat.stdin.close()
    node.unlink()


@contextmanager
def mapped(base, folder, dmsetup):
    """Mapped into memory and closed: neither lsof nor fuser names it."""
    ready, told = os.pipe()
    go_on, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        device = os.open(f"/dev/mapper/{base}", os.O_RDONLY)
        memory = mmap.mmap(device, mmap.PAGESIZE, prot=mmap.PROT_READ)
        os.closerange(device, device + 9)  # Python keeps a copy of it
        os.write(told, b".")
        os.read(go_on, 1)
        memory.close()
        os._exit(0)
    os.read(ready, 1)
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        yield "process", name, "mapped", pid, f"process {pid} ({name})"
    finally:
        for descriptor in (ready, told, go_on, end):
            os.close(descriptor)
        os.waitpid(pid, 0)


@contextmanager
def in_flight(base, folder, dmsetup):
    """Its descriptor is in a message that nobody has received: no process has it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        device = os.open(f"/dev/mapper/{base}", os.O_RDONLY)
        rights = array.array("i", [device])
        ours.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(device)
        assert dmsetup("info", "-c", "--noheadings", "-o", "open", base).text == "1\n"
        detail = "open count 1; nothing in /proc or /sys tells of whom"
        yield "other", "kernel", detail, None, f"kernel ({detail})"


WAYS = (above, mounted, mounted_elsewhere, swapped_on, under_loop, opened, mapped, in_flight)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_held(way, base, tmp_path, dmsetup):
    subprocess.run(["udevadm", "settle"], check=True)
    with way(base, tmp_path, dmsetup) as (kind, name, detail, pid, line):
        document, columns, *removals, as_dmsetup = call_all(
            ["dmctl", "holders", "--json", base],
            ["dmctl", "holders", base],
            ["dmctl", "remove", base],
            ["dmctl", "remove", "-S", f"name={base}"],
            ["dmsetup", "remove", base],
        )
        theirs = dmsetup("remove", base)
        listed = from_json(document)
        assert [(one["kind"], one["name"], one["detail"], one["pid"]) for one in listed] == [(kind, name, detail, pid)]
        if kind in ("dm", "loop"):
            rdev = os.stat(f"/dev/{detail if kind == 'dm' else name}").st_rdev
            assert (listed[0]["major"], listed[0]["minor"]) == (os.major(rdev), os.minor(rdev))
    status, out, err = columns
    assert (status, err) == (0, "")
    shown = f"{pid} {name}" if kind == "process" else name
    assert out.split("\n")[0].split() == ["KIND", "NAME", "DETAIL"]
    assert [word.strip() for word in out.split("\n")[1].split("  ") if word] == [kind, shown, detail]
    for status, out, err in removals:
        told = [text for text in err.split("\n")[:-1] if not any(udevd in text for udevd in UDEVD)]
        assert (status, out, told) == (1, "", [BUSY.format(base), f"dmctl: held by {line}", "Command failed."])
    assert as_dmsetup == (theirs.status, theirs.text, os.fsdecode(theirs.err))
    assert as_dmsetup[2] == f"{BUSY.format(base)}\nCommand failed.\n"


def test_all_at_once(base, tmp_path, dmsetup):
    """The devices in the order of the command line."""
    with ExitStack() as stack:
        for way in (above, under_loop, opened):
            stack.enter_context(way(base, tmp_path, dmsetup))
        document, (status, out, _err) = call_all(
            ["dmctl", "holders", "--json", base], ["dmctl", "holders", f"{base}-top", f"/dev/mapper/{base}", "254:0"]
        )
        assert [holder["kind"] for holder in from_json(document)] == ["dm", "loop", "process"]
        assert status == 0
        assert [line.split()[:2] for line in out.split("\n")[:3]] == [
            ["DEVICE", "KIND"],
            [f"{base}-top", "nobody"],
            [f"/dev/mapper/{base}", "dm"],
        ]


def test_ten_at_most(base, tmp_path):
    make_file_system(base)
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        for number in range(12):
            point = tmp_path / f"{number}"
            point.mkdir()
            assert libc.mount(f"/dev/mapper/{base}".encode(), bytes(point), b"ext4", 0, None) == 0, ctypes.get_errno()
            stack.callback(libc.umount, bytes(point))
        lines = call("dmctl", "remove", base)[2].split("\n")
    assert lines[:2] == [BUSY.format(base), f"dmctl: held by mount {tmp_path}/0"]
    assert lines[10:] == [f"dmctl: held by mount {tmp_path}/9", "dmctl: and by 2 more", "Command failed.", ""]


def test_nobody(base):
    """A descriptor of O_PATH holds nothing."""
    subprocess.run(["udevadm", "settle"], check=True)
    path = os.open(f"/dev/mapper/{base}", os.O_PATH)
    try:
        assert call("dmctl", "holders", base) == (0, "nobody\n", "")
    finally:
        os.close(path)


def test_without_being_root(base, tmp_path, dmsetup):
    """What sysfs tells is told, and that processes could not be looked at."""
    with above(base, tmp_path, dmsetup):
        others = tool("pgrep", "-c", "-v", "-P", "2")
        line = ["dmctl", "holders", "--json", base]
        told = call_all(line, [*line], user=1000)[1]
        listed = from_json(told, unseen=True)
    assert [(holder["kind"], holder["name"]) for holder in listed] == [("dm", f"{base}-top")]
    count = json.loads(told[1])["devices"][0]["unseen_processes"]
    assert told[2] == f"dmctl: {count} processes cannot be looked into without being root; they may hold it too.\n"
    # All but kernel threads; a few processes of udev come and go.
    assert abs(count - int(others)) <= 5


def test_no_such_device():
    texts = {
        "nope": "There is no device 'nope'.",
        "254:4711": "There is no device '254:4711'.",
        "/dev/nope": "/dev/nope: No such file or directory.",
        "/dev/null": "/dev/null is not a block device.",
        "": "There is no device ''.",
    }
    told = call_all(*(["dmctl", "holders", device] for device in texts))
    assert told == [(3, "", f"dmctl: {text}\n") for text in texts.values()]


def test_suspended(base, tmp_path, dmsetup):
    """Nothing is read that may be on the device, or whose readers may wait for it."""
    with above(base, tmp_path, dmsetup):
        dmsetup("suspend", base)
        try:
            status, out, err = call("dmctl", "remove", base)
        finally:
            dmsetup("resume", base)
    told = "dmctl: the device is suspended, so who holds it is not looked for"
    assert (status, out, err) == (1, "", f"{BUSY.format(base)}\n{told}\nCommand failed.\n")


def forget_holders():
    for name in ("dmctl.holders", "dmctl.cli.compat.busy", "dmctl.cli.holders"):
        sys.modules.pop(name, None)
    vars(sys.modules["dmctl.cli.compat"]).pop("busy", None)


def test_force(base, tmp_path, dmsetup):
    """What is needed to look for holders is loaded before the table is wiped: dmctl itself may be on the device."""
    wipe = change._wipe

    def run():
        forget_holders()
        change._wipe = lambda *words: sys.stdout.write(f"{'dmctl.cli.compat.busy' in sys.modules} ") and wipe(*words)
        entry.main(["dmctl", "remove", "--force", base])

    with above(base, tmp_path, dmsetup):
        ended = in_child(run)
        assert os.fsdecode(ended.err) == f"{BUSY.format(base)}\ndmctl: held by dm device {base}-top\nCommand failed.\n"
        assert (ended.error, ended.out) == ("", b"True ")
        assert dmsetup("table", base).text == f"0 {SECTORS} error \n"


def test_nothing_is_loaded_where_it_succeeds(prefix, dmsetup):
    for letter in "abc":
        assert dmsetup("create", prefix + letter, "--table", "0 8 zero").status == 0

    def run():
        forget_holders()
        for letter, option in zip("abc", ("-v", "--force", "--retry"), strict=True):
            entry.main(["dmctl", "remove", option, prefix + letter])
        sys.stdout.write(" ".join({"dmctl.holders", "dmctl.cli.compat.busy"} & set(sys.modules)))

    subprocess.run(["udevadm", "settle"], check=True)
    assert in_child(run) == ("", b"", b"")
