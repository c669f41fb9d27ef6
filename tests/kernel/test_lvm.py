# SPDX-License-Identifier: LGPL-2.1-or-later
"""LVM, and udev's rules for it, with dmctl in the place of dmsetup."""

import os
import re
import shutil
import subprocess
from difflib import unified_diff
from pathlib import Path

import pytest

from kernel.stand_in import PLACE, database, dmctl_in_place_of_dmsetup, guest_only, run, run_dmctl, settle

DISK_BYTES = 48 << 20
LIMIT_S = 180
# LVM calls a modprobe that looks for modules in the host's place.
MODULES = ("dm-snapshot", "dm-thin-pool")
VG = "dmt-vg"
# Only the disks of the test; no daemons, nothing below /etc; udev's rules make the links, as they do anywhere.
CONFIG = """
devices {{ use_devicesfile=0 filter=[{accept}, "r|.*|"] global_filter=[{accept}, "r|.*|"] scan="/dev" }}
activation {{ monitoring=0 udev_sync=1 udev_rules=1 verify_udev_operations=0 }}
backup {{ backup=0 archive=0 }}
global {{ use_lvmpolld=0 locking_dir="{folder}/lock" }}
"""


@pytest.fixture
def lvm(tmp_path, disk):
    """lvm(line): run LVM over two loop devices, {a} and {b}; it must succeed. udev's rules have the same one."""
    guest_only()
    run("modprobe", "-a", *MODULES)
    disks = [disk(DISK_BYTES).path, disk(DISK_BYTES).path]
    folder = tmp_path / "lvm"
    folder.mkdir()
    accept = ", ".join(f'"a|^{path}$|"' for path in disks)
    (folder / "lvm.conf").write_text(CONFIG.format(accept=accept, folder=folder))
    run("udevadm", "control", f"--property=LVM_SYSTEM_DIR={folder}")
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LVM_SYSTEM_DIR": str(folder), "LVM_SUPPRESS_FD_WARNINGS": "1"}

    def command(line, *, check=True):
        words = line.format(a=disks[0], b=disks[1], vg=VG).split()
        done = subprocess.run(["lvm", *words], env=env, capture_output=True, timeout=LIMIT_S, check=False, text=True)
        assert not check or done.returncode == 0, (line, done)
        settle()
        return done.stdout

    yield command
    if Path("/dev", VG).exists():
        command("vgremove -ff -y {vg}", check=False)
    run("udevadm", "control", "--property=LVM_SYSTEM_DIR=")


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """Debian's dmsetup, where no mount hides it."""
    return shutil.copy(PLACE, tmp_path_factory.mktemp("debian"))


MAKE = [
    "vgcreate -s 1m {vg} {a} {b}",
    "lvcreate -y -l 4 -n li-near {vg}",
    "lvcreate -y -i 2 -l 4 -n striped {vg}",
    "lvcreate -y -s -l 3 -n snap {vg}/li-near",
    "lvcreate -y --type thin-pool -l 8 --poolmetadatasize 2m -n pool {vg}",
    "lvcreate -y -V 16m --thinpool pool -n thin {vg}",
    "lvcreate -y -s -kn -n thinsnap {vg}/thin",
]
UNMAKE = [
    "lvchange -an {vg}/striped {vg}/thinsnap",
    "lvrename {vg} striped again",
    "lvchange -ay {vg}/again",
    "lvremove -y {vg}/snap",
    "vgchange -an {vg}",
    "vgremove -ff -y {vg}",
]
LVS = "lvs --noheadings -a -o lv_name,lv_attr,lv_size,pool_lv,origin,devices,lv_dm_path,lv_active {vg}"

# What dmsetup says of LVM's devices. {vg}: as device-mapper has it.
LINES = [
    "ls",
    "ls --tree",
    "ls --tree -o uuid,blkdevname,active,rw,open",
    "ls --tree -o inverted",
    "ls --target thin",
    "info -c -o vg_name,lv_name,name --noheadings",
    "info -c -o vg_name,lv_name,lv_layer,subsystem,names_using_dev,devs_used --nameprefixes --rows",
    "info -c -S vg_name=dmt-vg&&lv_name=li-near -o name,uuid",
    "info {vg}-thin",
    "info",
    "table",
    "table --concise",
    "status",
    "deps -o devname",
    "splitname {vg}-li--near",
    "splitname {vg}-pool_tmeta LVM",
    "splitname --nameprefixes --noheadings --rows {vg}-li--near-real",
    "targets",
]


def known():
    """What udev knows, without what is by chance.

    LVM writes to a new device while the rules still run; whether udevd's watch on the device sees that decides which
    flags of LVM's are left in the record. After one more event without a cookie none is.
    """
    run("udevadm", "trigger", "--action=change", "--subsystem-match=block", "--sysname-match=dm-*")
    settle()
    records, links = database("/dev/" + VG)
    lines = [f"{device}: {name}={value}" for device, record in records.items() for name, value in record[0].items()]
    lines += [f"{device}: {record[1:]}" for device, record in records.items()]
    lines += [f"{path} -> {target}" for path, target in links.items()]
    lines = [re.sub(r"LVM-\w{64}|lvm-pv-uuid-[\w-]+", "UUID", line) for line in lines]
    return sorted(re.sub("ID_FS_UUID(_ENC|)=.*", "", line) for line in lines)


def story(lvm, look=None):
    """LVM's commands; what udev knows and LVM says when all is made and when some is changed, as lines."""
    told = []
    for line in MAKE + UNMAKE:
        lvm(line)
        if line in (MAKE[-1], UNMAKE[-3]):
            told += [f"{line}: {fact}" for fact in known() + lvm(LVS).splitlines()]
        if line == MAKE[-1] and look:
            look()
    assert not any("dm-" in line for line in known())
    return told


def test_lvm_works_the_same(lvm, debian):
    differing = []

    def compare():
        for line in LINES:
            words = line.format(vg=VG.replace("-", "--")).split()
            expected, told = run(debian, *words), run_dmctl(*words)
            if told != expected:
                differing.append((line, expected, told))
        # By the path that everybody calls it by.
        assert run(PLACE, "ls") == run(debian, "ls")

    expected = story(lvm)
    with dmctl_in_place_of_dmsetup():
        told = story(lvm, compare)
    assert not differing, differing
    differences = unified_diff(expected, told, "with dmsetup", "with dmctl", lineterm="", n=0)
    assert told == expected, "\n".join(differences)
    assert any("/dev/dmt-vg/thinsnap -> " in line for line in told)
