# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ground the kernel tests stand on: the guest itself and the fixtures."""

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from guests.fixtures import Command
from guests.kernel_state import KernelState, clean_up, left_since
from guests.loop import Disk

MIB = 1 << 20


def test_root_is_read_only() -> None:
    with pytest.raises(OSError) as caught:
        Path(__file__).with_suffix(".written").touch()
    assert caught.value.errno == errno.EROFS


def test_temporary_folder_is_not_the_hosts(tmp_path: Path) -> None:
    mounts = dict(line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines())
    assert mounts["/tmp"] == "tmpfs"
    (tmp_path / "file").write_text("x")


def test_linear_over_disk(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    under = disk(8 * MIB)
    name = prefix + "linear"
    created = dmsetup("create", name, "--table", f"0 {under.sectors} linear {under.devno} 0")
    assert created.status == 0, created
    # udev made the link: libdevmapper leaves that to it and waits for the cookie.
    assert Path("/dev/mapper", name).is_symlink()
    assert dmsetup("table", name).text == f"0 16384 linear {under.devno} 0\n"
    removed = dmsetup("remove", name)
    assert removed.status == 0, removed
    assert not Path("/dev/mapper", name).exists()


@pytest.mark.parametrize(("sector_size", "read_only"), [(512, False), (4096, False), (512, True)])
def test_disk(disk: Callable[..., Disk], sector_size: int, read_only: bool) -> None:
    made = disk(MIB, sector_size=sector_size, read_only=read_only)
    sysfs = Path("/sys/dev/block", made.devno)
    assert sysfs.resolve().name == Path(made.path).name
    assert int((sysfs / "size").read_text()) == made.sectors == 2048
    assert int((sysfs / "queue/logical_block_size").read_text()) == sector_size
    assert int((sysfs / "ro").read_text()) == read_only


def test_more_disks_than_loop_devices_at_start(disk: Callable[..., Disk]) -> None:
    assert len({disk(MIB).path for _ in range(12)}) == 12


def test_target_module_is_loaded_on_demand(
    disk: Callable[..., Disk], dmsetup: Command, prefix: str, kernel_log: Callable[[], list[str]]
) -> None:
    subprocess.run(["modprobe", "-r", "dm-thin-pool"], check=True)  # another test may have loaded it
    assert "thin-pool" not in dmsetup("targets").text
    metadata, data = disk(4 * MIB), disk(64 * MIB)
    name = prefix + "pool"
    table = f"0 {data.sectors} thin-pool {metadata.devno} {data.devno} 128 0"
    created = dmsetup("create", name, "--table", table)
    assert created.status == 0, (created, kernel_log())
    assert "thin-pool" in dmsetup("targets").text
    assert dmsetup("remove", name).status == 0


def test_kernel_log(dmsetup: Command, prefix: str, kernel_log: Callable[[], list[str]]) -> None:
    assert kernel_log() == []
    assert dmsetup("create", prefix + "bad", "--table", "0 8 linear nothing 0").status == 1
    assert any("linear: Device lookup failed" in message for message in kernel_log())


@pytest.mark.usefixtures("no_udev")
def test_without_udev(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    assert not Path("/run/udev/control").exists()
    name = prefix + "plain"
    under = disk(MIB)
    # dmsetup leaves the node to udev, running or not, unless told to verify.
    create = ("create", name, "--verifyudev", "--table", f"0 {under.sectors} linear {under.devno} 0")
    created = dmsetup(*create)
    assert created.status == 0, created
    node = Path("/dev/mapper", name)
    # libdevmapper made a node of its own.
    assert node.is_block_device() and not node.is_symlink()
    assert dmsetup("remove", "--verifyudev", name).status == 0
    assert not node.exists()


def test_udev_is_back(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    """After the test before this one."""
    name = prefix + "linear"
    under = disk(MIB)
    created = dmsetup("create", name, "--table", f"0 {under.sectors} linear {under.devno} 0")
    assert created.status == 0, created
    assert os.readlink(Path("/dev/mapper", name)).startswith("../dm-")
    assert dmsetup("remove", name).status == 0


def test_nodes_without_a_device_are_noticed(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    def path(name: str) -> Path:
        return Path("/dev/mapper", prefix + name)

    under = disk(MIB)
    table = ("--table", f"0 {under.sectors} linear {under.devno} 0")
    before = KernelState.now()
    # A node that udev did not make, and so does not remove.
    assert dmsetup("create", "--noudevrules", "--verifyudev", prefix + "gone", *table).status == 0
    assert path("gone").is_block_device() and not path("gone").is_symlink()
    assert not left_since(before).nodes
    path("kept").hardlink_to(path("gone"))
    assert dmsetup("remove", "--noudevrules", "--verifyudev", prefix + "gone").status == 0
    assert not path("gone").exists()
    path("dangling").symlink_to("../dm-999")
    path("other").symlink_to(under.path)
    path("file").touch()
    names = ("dangling", "file", "kept", "other")
    left = left_since(before)
    assert left == KernelState(frozenset(), frozenset(), frozenset(), frozenset(str(path(name)) for name in names))
    assert str(left) == ", ".join(f"node without a device {path(name)}" for name in names)
    # A device that is there, as its link is, stays.
    assert dmsetup("create", prefix + "stays", *table).status == 0
    assert clean_up(left) == ""
    assert path("stays").is_block_device()
    assert dmsetup("remove", prefix + "stays").status == 0
    assert KernelState.now() == before
