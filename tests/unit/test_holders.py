# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl.holders over files as the kernel writes them, some of kernels and devices that no test machine has."""

import os

import pytest

from dmctl import holders
from dmctl.holders import Holder, Mount, parse_mountinfo

LINES = rb"""36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 35 254:3 / /mnt/a\040b\011c\012d\134e\043 rw - ext4 /dev/mapper/x\134x20y rw
41 35 254:3 / /mnt/e\303\244\377 ro shared:5 master:1 unbindable - xfs /dev/dm-3 rw,logdev=/dev/dm-4,rtdev=/dev/d\0405
42 35 0:41 /@home /home rw shared:7 - btrfs /dev/dm-5 ro,subvol=/@home
43 35 0:42 / /mnt/empty rw -  tmpfs rw
44 35 0:43 / /mnt/none rw - tmpfs  rw
this is no line
45 35 x:y / /bad rw - ext4 /dev/dm-5 rw
"""


def test_mountinfo():
    assert parse_mountinfo(LINES) == [
        Mount((98, 0), "/mnt2", "ext3", "/dev/root", "/mnt1"),
        Mount((254, 3), "/mnt/a b\tc\nd\\e#", "ext4", "/dev/mapper/x\\x20y"),
        Mount(
            (254, 3),
            os.fsdecode("/mnt/eä".encode() + b"\xff"),
            "xfs",
            "/dev/dm-3",
            read_only=True,
            others=("/dev/dm-4", "/dev/d 5"),
        ),
        Mount((0, 41), "/home", "btrfs", "/dev/dm-5", "/@home", read_only=True),
        Mount((0, 42), "/mnt/empty", "", "tmpfs"),
        Mount((0, 43), "/mnt/none", "tmpfs", ""),
    ]


class Tree:
    """A /sys and a /proc of our own, and nodes in /dev that are none."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, path, text=""):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    nodes = {f"/dev/dm-{number}": (254, number) for number in range(9)} | {"/dev/mapper/a b": (254, 8)}
    monkeypatch.setattr(holders, "_SYS", f"{tmp_path}/sys")
    monkeypatch.setattr(holders, "_PROC", f"{tmp_path}/proc")
    monkeypatch.setattr(holders, "_node_devno", nodes.get)
    return Tree(tmp_path)


def test_devices_of_a_mount(tree):
    """btrfs has a device number of its own, and names one of its devices; XFS has its log elsewhere."""
    tree.write("proc/self/mountinfo", LINES.decode("latin-1"))
    tree.write("sys/fs/btrfs/1234/devices/dm-5/dev", "254:5\n")
    tree.write("sys/fs/btrfs/1234/devices/dm-6/dev", "254:6\n")
    tree.write("sys/fs/btrfs/5678/devices/dm-7/dev", "254:7\n")
    tree.write("sys/fs/btrfs/features/skinny_metadata", "1\n")
    found = holders.mounts()
    points = {devno: [mount.filesystem for mount in mounts] for devno, mounts in found.items()}
    assert points == {
        (98, 0): ["ext3"],
        (254, 3): ["ext4", "xfs"],
        (254, 4): ["xfs"],
        (254, 5): ["btrfs"],
        (254, 6): ["btrfs"],
    }


def test_swaps(tree):
    tree.write(
        "proc/swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/mapper/a\\040b                      partition\t1048572\t\t512\t\t-2\n"
        "/dev/dm-1\\040(deleted) partition 8 0 5\n"
        "/swapfile file 1048572 0 -3\n",
    )
    assert holders.swaps() == {
        (254, 8): holders.Swap("/dev/mapper/a b", 1048572 << 10, 512 << 10, -2),
        (254, 1): holders.Swap("/dev/dm-1 (deleted)", 8 << 10, 0, 5),
    }


def test_above(tree):
    start = "sys/dev/block/254:1"
    for name, devno in (("dm-3", "254:3"), ("md0", "9:0"), ("bcache0", "252:0")):
        tree.write(f"{start}/holders/{name}/dev", f"{devno}\n")
    tree.write(f"{start}/holders/dm-3/dm/name", "a\\x20b\n")
    tree.write(f"{start}/holders/md0/md/level", "raid1\n")
    tree.write(f"{start}/dm-1p1/partition", "1\n")
    tree.write(f"{start}/dm-1p1/dev", "259:1\n")
    for number, path in enumerate(("/dev/dm-1", "/dev/dm-1 (deleted)", "/dev/dm-2", "/file")):
        tree.write(f"sys/block/loop{number}/loop/backing_file", f"{path}\n")
        tree.write(f"sys/block/loop{number}/dev", f"7:{number}\n")
    tree.write("sys/block/zram0/backing_dev", "/dev/dm-1\n")
    tree.write("sys/block/zram1/backing_dev", "none\n")
    assert holders.above((254, 1)) == [
        Holder("other", "bcache0", "block device", devno=(252, 0)),
        Holder("dm", "a b", "dm-3", devno=(254, 3)),
        Holder("md", "md0", "raid1", devno=(9, 0)),
        Holder("other", "dm-1p1", "partition", devno=(259, 1)),
        Holder("loop", "loop0", "/dev/dm-1", devno=(7, 0)),
        Holder("loop", "loop1", "/dev/dm-1 (deleted)", devno=(7, 1)),
        Holder("other", "zram0", "/dev/dm-1"),
    ]
    assert holders.above((254, 2)) == [Holder("loop", "loop2", "/dev/dm-2", devno=(7, 2))]
    assert holders.above((254, 7)) == []


def test_mounts_elsewhere(tree):
    """Each mount point of other namespaces once, however many namespaces have it."""
    mine = b"40 35 254:3 / /mnt rw - ext4 /dev/dm-3 rw\n"
    both = mine + b"41 35 254:3 / /data ro - ext4 /dev/dm-3 rw\n"
    for pid, namespace, mountinfo in (
        ("1", 1, mine),
        ("20", 2, both),
        ("21", 2, both),
        ("30", 3, both),
        ("40", 4, b""),
    ):
        tree.write(f"proc/{pid}/mountinfo", mountinfo.decode())
        tree.write(f"proc/{pid}/maps")
        (tree.folder / f"proc/{pid}/fd").mkdir()
        (tree.folder / f"proc/{pid}/ns").mkdir()
        (tree.folder / f"proc/{pid}/ns/mnt").symlink_to(f"mnt:[{namespace}]")
    (tree.folder / "proc/self").symlink_to("1")
    found = holders.holders((254, 3))
    assert found == [
        Holder("mount", "/mnt", "ext4"),
        Holder("mount", "/data", "ext4, read-only, in the mount namespace of process 20 and of 1 more", 20),
        Holder("mount", "/mnt", "ext4, in the mount namespace of process 20 and of 1 more", 20),
    ]
    assert [str(holder) for holder in found[:2]] == [
        "mount /mnt",
        "mount /data (ext4, read-only, in the mount namespace of process 20 and of 1 more)",
    ]
    assert found.unseen_processes == 0


def test_remote_files_are_not_looked_at(tree, monkeypatch):
    """The server may be gone."""
    tree.write("proc/1/mountinfo", "40 35 0:50 / /net rw - nfs4 server:/x rw\n41 35 0:51 / /run rw - tmpfs none rw\n")
    tree.write("proc/1/maps", "00400000-00401000 r-xp 00000000 00:32 17                         /net/program\n")
    (tree.folder / "proc/self").symlink_to("1")
    (tree.folder / "proc/1/ns").mkdir()
    (tree.folder / "proc/1/ns/mnt").symlink_to("mnt:[1]")
    links = {"fd/3": "/net/file", "fd/4": "/run/file", "map_files/400000-401000": "/net/program"}
    for link, target in links.items():
        (tree.folder / "proc/1" / link).parent.mkdir(exist_ok=True)
        (tree.folder / "proc/1" / link).symlink_to(target)
    looked_at = []
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: looked_at.append(os.path.basename(path)) or real(path, **more))
    assert holders.holders((254, 3)) == []
    assert "4" in looked_at
    assert not {"3", "400000-401000"} & set(looked_at)
