# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl build --create for every target of the guest's kernel: its table is what was meant, and dmctl reads it.

The lengths expected are reckoned here from the sizes of the disks, by the rules of each target.
"""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from compat.batch import Line, of_dmctl

# The commands too: before the forks, which would each import them again.
from dmctl.cli import app, build, explain  # noqa: F401
from dmctl.cli.main import main
from dmctl.table import Table
from dmctl.targets import TARGETS, parse_params
from kernel.child import in_child

MIB = 1 << 20
DISK_SECTORS = 8 * 2048
KEY = "9f86d081884c7d659a2feaa0c55ad015"
# No other kernel module is in the guest for them.
ABSENT = {"bow", "ebs", "vdo", "zoned"}
MODULES = (
    *("dm-cache-smq", "dm-clone", "dm-crypt", "dm-delay", "dm-dust", "dm-era", "dm-flakey", "dm-integrity"),
    *("dm-log-writes", "dm-mirror", "dm-queue-length", "dm-raid", "dm-round-robin", "dm-snapshot", "dm-switch"),
    *("dm-thin-pool", "dm-unstripe", "dm-verity", "dm-writecache", "aes", "cbc", "crc32c", "sha256_generic"),
)


# Name: words, the sectors that the device must have. {a} to {o} are disks of 8 MiB, others are devices.
PLAIN = {
    "linear": ("linear {a} --offset 1M", DISK_SECTORS - 2048),
    "several": ("zero --size 1M --then error --size 8 --then linear {a} --offset 1M --size 64K", 2048 + 8 + 128),
    "striped": ("striped 64K {a} {b},1M", 2 * (DISK_SECTORS - 2048)),
    "unstriped": ("unstriped 2 64K 1 {striped}", DISK_SECTORS - 2048),
    "delay": ("delay {a} 0 --offset 64K --write {b},1M,0", DISK_SECTORS - 2048),
    "flakey": ("flakey {a} 1M 60 0 --drop-writes", DISK_SECTORS - 2048),
    "dust": ("dust {a} 4K", DISK_SECTORS),
    "switch": ("switch 64K {a} {b}", DISK_SECTORS),
    "log": ("log-writes {a} {c}", DISK_SECTORS),
    "paths": ("multipath round-robin,{d} queue-length,{e} --initial-group 1", DISK_SECTORS),
    "mirror": ("mirror {f} {g} --log core --region 64K --sync nosync", DISK_SECTORS),
    "raid": ("raid raid1 {h} {i} --sync nosync", DISK_SECTORS),
    "origin": ("snapshot-origin {j}", DISK_SECTORS),
    "snapshot": ("snapshot {j} {k} --chunk 8K", DISK_SECTORS),
    "merge": ("snapshot-merge {l} {m} --chunk 8K", DISK_SECTORS),
}
BLOCKS = {
    "pool": ("thin-pool {a} {b} 64K --low-water 8", DISK_SECTORS),
    "thin": ("thin {pool} 5 --size 1G", 2 * MIB),
    "cache": ("cache {c} {d} {e} 32K", DISK_SECTORS),
    "era": ("era {f} {g} 4K", DISK_SECTORS),
    "clone": ("clone {h} {i} {j} 4K --no-hydration", DISK_SECTORS),
    "fast": ("writecache s {k} {l} 4K", DISK_SECTORS),
    "crypt": (f"crypt aes-cbc-plain64 {KEY} {{m}} --offset 1M --allow-discards", DISK_SECTORS - 2048),
    "tags": ("integrity {n} 0 D --internal-hash crc32c --meta-device {o}", DISK_SECTORS),
}
WORLDS = {"plain": PLAIN, "blocks": BLOCKS}
KEYWORDS = {"parameter", "option", "feature", "core argument"}
# For dmsetup where there is no udevd: it is to remove the nodes.
ENV = {"DM_DISABLE_UDEV": "1"}


@pytest.fixture(scope="module", autouse=True)
def _modules():
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=False)


def dmctl(*lines):
    """Command lines of dmctl, all in one fork of this process: their results."""
    return [one for (one,) in of_dmctl([Line(tuple(words)) for words in lines], ("dmctl",))]


@pytest.fixture
def run(dmsetup):
    """run(*words): what dmsetup prints; it must succeed."""

    def call(*words):
        done = dmsetup(*words, env=ENV)
        assert done.status == 0, done
        return done.text

    return call


@pytest.fixture
def made(run, disk):
    """The names of the devices to be removed in the end, the last one first. After `disk`: they go before the disks."""
    names = []
    yield names
    if names:
        run("remove", *reversed(names))


def tables(run, names):
    """Device: its table with keys."""
    shown = {name: "" for name in names}
    for line in run("table", "--showkeys", *names).splitlines():
        name, _, text = line.partition(": ")
        shown[name] += f"{text}\n"
    return shown


def sectors(name):
    return int(
        Path("/sys/block", os.path.basename(os.path.realpath(f"/dev/mapper/{name}"))).joinpath("size").read_text()
    )


def size_of(path):
    rdev = os.stat(path).st_rdev
    return int(Path(f"/sys/dev/block/{os.major(rdev)}:{os.minor(rdev)}/size").read_text())


def check_devices(run, made):
    """What the kernel has of the devices is read, written and taken again; dmctl decodes and explains it."""
    shown = tables(run, made)
    for name, text in shown.items():
        read = [(parse_params(line.target, line.params), line) for line in Table.parse(text)]
        again = Table(one.line(line.start_sectors, line.length_sectors) for one, line in read)
        if read[0][1].target == "snapshot-merge":  # the kernel has one of an origin, and does not take its table again
            assert again.format() == text
            continue
        # By dmsetup: libdevmapper remembers for the life of a process that there was no udevd.
        run("suspend", name)
        run("load", name, "--table", again.format())
        run("resume", name)
    assert tables(run, made) == shown
    status, *told = dmctl(["status", "--json", *made], ["explain", *made], ["explain", "--json", *made])
    for one in (status, *told):
        assert (one.status, one.err) == (0, b""), one
    states = {one["name"]: one["lines"] for one in json.loads(status.out)["devices"]}
    assert list(states) == made
    assert all(
        line["state"] is not None and line["state"]["state"] == "ok" for lines in states.values() for line in lines
    )
    lines = [line for one in json.loads(told[1].out)["devices"] for line in one["lines"]]
    assert all(line["errors"] == [] and line["status"] is not None for line in lines)
    assert len(lines) == sum(map(len, states.values()))
    for text in shown.values():
        for line in Table.parse(text):
            explained = lines.pop(0)
            assert explained["target"] == line.target
            # Each word of the line and its meaning; of keys only the zeros.
            words = [KEY if row["name"] == "key" else row["value"] for row in explained["params"]]
            assert words == line.params.split()
            unknown = {row["name"] for row in explained["params"] if not row["meaning"]}
            # Words that say what the next one is, and counts, are no field.
            assert {name for name in unknown if "number of" not in name} <= KEYWORDS
    assert KEY.encode() not in told[0].out + told[1].out + status.out


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.usefixtures("no_udev")  # which would read from the devices
def test_every_target(world, run, disk, prefix, made):
    names = {letter: disk(8 * MIB).path for letter in "abcdefghijklmno"}
    lines = []
    for name, (words, _) in WORLDS[world].items():
        names[name] = f"/dev/mapper/{prefix}{name}"
        # A thin volume is made in its pool by a message.
        if name == "thin":
            lines.append(["message", prefix + "pool", "0", "create_thin", "5"])
        lines.append(["build", "--create", prefix + name, *words.format(**names).split()])
    told = dmctl(*lines)
    made += [line[2] for line in lines if line[0] == "build"]
    assert [(one.status, one.out, one.err) for one in told] == [(0, b"", b"")] * len(lines)
    assert {name: size_of(names[name]) for name in WORLDS[world]} == {
        name: expected for name, (_, expected) in WORLDS[world].items()
    }
    check_devices(run, made)


def test_every_target_is_here(run):
    words = " ".join(words for world in WORLDS.values() for words, _ in world.values()).replace("--then", "").split()
    assert set(TARGETS) - ABSENT == (set(words) & set(TARGETS)) | {"verity"}
    # Also of those that the kernel has now.
    assert {line.split()[0] for line in run("targets").splitlines()} - {"mirror", "multipath", "raid"} <= set(TARGETS)


def test_verity(run, disk, prefix, made):
    data, hashes = disk(8 * 4096), disk(8192)
    with open(data.path, "r+b") as file:
        file.write(b"x" * 4096)
    salt = bytes.fromhex(KEY)
    tree = b"".join(
        hashlib.sha256(salt + data.backing.read_bytes()[at : at + 4096]).digest() for at in range(0, 8 * 4096, 4096)
    )
    with open(hashes.path, "r+b") as file:
        file.write(tree.ljust(4096, b"\0"))
    root = hashlib.sha256(salt + tree.ljust(4096, b"\0")).hexdigest()
    words = f"verity 1 {data.path} {hashes.path} 4K 4K 8 0 sha256 {root} --salt {KEY} --on-corruption restart".split()
    (done,) = dmctl(["build", *words, "--readonly", "--create", prefix + "v", "--json"])
    made.append(prefix + "v")
    assert (done.status, done.err) == (0, b"")
    document = json.loads(done.out)
    assert document["name"] == prefix + "v"
    assert document["lines"][0]["arguments"]["root_digest"] == root
    assert Path(f"/dev/mapper/{prefix}v").read_bytes() == data.backing.read_bytes()
    assert run("table", prefix + "v").split()[:3] == ["0", "64", "verity"]


def test_options_of_the_device(run, disk, prefix, made):
    path = disk(MIB).path
    odd = f"{prefix}a name"
    (done,) = dmctl(["build", "linear", path, "--create", odd, "--uuid", f"UUID-{prefix}", "--readonly"])
    assert (done.status, done.out, done.err) == (0, b"", b"")
    made.append(odd)
    fields = run(
        "info", "-c", "--noheadings", "--separator", "|", "-o", "name,uuid,readonly,suspended,tables_loaded", odd
    )
    assert fields == f"{odd}|UUID-{prefix}|Read-only|Active|Live\n"
    told = dmctl(
        ["build", "linear", path, "--create", odd],
        ["build", "linear", path, "--create", f"{prefix}other", "--uuid", f"UUID-{prefix}"],
        ["explain", odd],
    )
    assert [one.status for one in told] == [5, 5, 0]
    assert all(b"\n" not in one.err.split(b"\nkernel: ")[0].rstrip(b"\n") and one.out == b"" for one in told[:2])
    assert told[2].out.startswith(f"{odd}: linear, 1 MiB".encode()) and b"/dev/loop" in told[2].out
    assert run("ls").count("\n") == 1


# Words and the exit status. {d} is a disk of 1 MiB, {p} the prefix.
REFUSED = {
    "linear {d} --size 2M --create {p}x": (2, "linear: "),
    "linear {d} --offset 1M --create {p}x": (2, "linear: nothing of the device is left from that offset on."),
    "linear /nonexistent --size 8 --create {p}x": (2, "'/nonexistent' is not a block device"),
    "zero --size 8 --then linear {d} --size 2M --create {p}x": (2, "line 2, linear: "),
    "frob {d} --create {p}x": (2, "There is no target 'frob'"),
    # Only the kernel knows these.
    f"crypt nosuch-cbc-plain64 {KEY} {{d}} --create {{p}}x": (3, "reload ioctl on {p}x"),
    f"crypt aes-cbc-plain64 {KEY[:-2]} {{d}} --create {{p}}x": (1, "reload ioctl on {p}x"),
    "thin {d} 1 --size 8 --create {p}x": (1, "reload ioctl on {p}x"),
    "zero --size 8 --create {p}a/b": (1, 'Name "{p}a/b" invalid. It contains "/".'),
    "zero --size 8 --create {p}" + "x" * 130: (1, "too long."),
}


def test_refused(run, disk, prefix):
    words = {"d": disk(MIB).path, "p": prefix}
    told = dmctl(
        *(["build", *line.format(**words).split()] for line in REFUSED),
        ["build", "zero", "--size", "8", "--create", ""],
    )
    expected = [*REFUSED.values(), (1, "")]
    for line, one, (status, text) in zip([*REFUSED, "no name"], told, expected, strict=True):
        assert (one.status, one.out) == (status, b""), (line, one)
        assert text.format(**words) in os.fsdecode(one.err) and one.err.startswith(b"dmctl: "), (line, one)
        assert KEY[:8].encode() not in one.err, one
    assert told[5].err.count(b"kernel: ")
    assert run("ls") == "No devices found\n"


def test_without_the_right_to(disk, prefix, run):
    def as_nobody():
        main(["dmctl", "build", "zero", "--size", "8"])  # what is imported on the way may be in somebody's home
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        os.write(2, f"{main(['dmctl', 'build', 'zero', '--size', '8', '--create', prefix + 'x'])}\n".encode())
        main(["dmctl", "build", "linear", "7:0", "--size", "8"])

    ended = in_child(as_nobody)
    assert ended.error == ""
    *message, status = ended.err.decode().splitlines()
    assert status == "4" and "Permission denied" in message[0], ended
    assert ended.out == b"0 8 zero \n0 8 linear 7:0 0\n"  # without a device no right is needed
    assert run("ls") == "No devices found\n"
