# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command lines that change nothing: the same answers from dmsetup and from dmctl on the same state."""

import subprocess

import pytest

from compat.batch import differences, line
from compat.world import BARE, BLANK, CRYPT, LOADED, ONE, READ_ONLY, STACK, SUSPENDED, World, split

LINES = {
    "nothing": (
        [],
        [
            "ls",
            "ls --target zero",
            "info",
            "info " + "n" * 128,
            "info " + "n" * 127,
            "deps",
            "status",
            "table",
            "target-version delay",
            "target-version linear frob error",
            "target-version",
            "version",
            "--version",
            "version x",
            "-v",
            "frob",
            "ls --frob",
            "ls -Z",
            "ls --no",
            "ls --major",
            "ls -j",
            "ls --readonly=1",
            "create {p}x -n --table a",
            "create {p}x --addnodeonresume --addnodeoncreate",
            "ls --count -1",
            "ls --interval 0",
            "create {p}x --mode 9",
            "create {p}x --mode 0",
            "create {p}x --mode 7777777777777777777777777",
            "create {p}x --readahead -2",
            "ls --udevcookie frob",
            "ls --count -1 --frob",
            "ls --frob --count -1",
        ],
    ),
    "a stack": (
        STACK,
        [
            "ls",
            "ls -o devno",
            "ls -o blkdevname",
            "ls -o devname",
            "ls -o b",
            "ls|-o|",
            "ls -o devname,blk",
            "ls -o devno,frob,x",
            "ls --target zero",
            "ls --target frob",
            "info",
            "info {p}b",
            "info {p}b {p}a",
            "info {p}zz",
            "info {p}zz {p}a",
            "info {p}a {p}zz {p}b",
            "info -u UUID-{p}b",
            "info -u nope",
            "info --noopencount {p}a",
            "deps",
            "deps {p}c",
            "deps {p}c {p}a",
            "deps -o blkdevname",
            "deps -o devname {p}c {p}b",
            "deps {p}zz",
            "deps -v",
            "-v deps {p}c",
            "deps -u UUID-{p}b",
            "status",
            "status {p}b",
            "status {p}b {p}c",
            "status --target error",
            "status --target frob",
            "status {p}zz",
            "status --noflush {p}b",
            "status -v",
            "status --targ error --nofl",
            "table",
            "table {p}b",
            "table {p}zz",
            "table {p}a {p}zz {p}b",
            "table -v {p}b",
            "table -v {p}b {p}a",
            "table --target linear",
            "table -v -v --targ zero --frob",
            "--count 2 ls",
            "targets",
            "targets --checks",
            "target-version linear striped",
        ],
    ),
    "one device": (
        ONE,
        [
            "ls {p}a",
            "info -j 254 -m 0",
            "info -j 254 -m 99",
            "info -j 254",
            "info -j 254x -m zero",
            "info /dev/mapper/{p}a",
            "info /dev/dm-0",
            "info /dev/mapper/{p}zz",
            "info {l}",
            "info mapper/{p}a",
            "info|",
            "table --inactive {p}a",
            "--version frob a b c",
            "--verbose info {p}a",
            "rename a b c",
            "rename",
        ],
    ),
    "no table": (
        BARE,
        [
            "info",
            "deps",
            "status",
            "status {p}n",
            "status --target zero",
            "table {p}n",
        ],
    ),
    "an inactive table": (
        LOADED,
        [
            "info {p}a",
            "info --inactive {p}a",
            "deps --inactive {p}a",
            "table --inactive {p}a",
        ],
    ),
    "suspended": (
        SUSPENDED,
        [
            "info {p}a",
        ],
    ),
    "read-only": (
        READ_ONLY,
        [
            "info {p}r",
        ],
    ),
    "a blank in the name": (
        BLANK,
        [
            "info|{p} b",
            "info",
            "info --manglename none",
            "info --manglename HEX",
            "info --manglename frob",
            "table",
        ],
    ),
    "a crypt key": (
        CRYPT,
        [
            "table",
            "table --showkeys",
        ],
    ),
    "a crypt key, an inactive table": (
        [*CRYPT, ("load", "{p}k", "--table", "0 8 error")],
        ["table --inactive", "table"],
    ),
    "reports of a stack": (
        STACK,
        [
            "info -c",
            "info -C {p}b {p}a",
            "info -c {p}zz",
            "info -c -u UUID-{p}b",
            "info -c -o name,mangled_name,unmangled_name,uuid,mangled_uuid,unmangled_uuid,read_ahead",
            "info -c -o blkdevname,attr,tables_loaded,suspended,readonly,devno,major,minor,open,segments,events",
            "info -c -o name,device_count,devs_used,devnos_used,blkdevs_used",
            "info -c -o name,device_ref_count,names_using_dev,devnos_using_dev",
            "info -c -o name,subsystem,vg_name,lv_name,lv_layer",
            "info -c -o +subsystem,devs_used",
            "info -c --noheadings",
            "info -c --noheading -o name {p}a",
            "info -c --noheadings --separator : -o name,devno",
            "info --columns --noheadings -o name,blkdevname,attr,major,minor,open,segments,events --separator|",
            "info -c --nameprefixes --noheadings --rows -o name,uuid,suspended -j 254 -m 0",
            "info -c --nameprefixes --unquoted",
            "info -c --rows",
            "info -c -O name",
            "info -c --sort -segments,name",
            "info -c -S segments=3",
            "info -c -S|segments>1 && name=~b$",
            "info -c -S|devnos_used=254:0",
            "info -c -o name,selected -S|segments=1",
            "info -c -S all",
            "info -c --count 2 --interval 1 -o name",
            "info -c --noopencount",
            "info -S segments=3",
            "deps -S segments=3",
            "table -S segments=3",
            "status -S|name=~[ab]$",
            "status -S name=nothing",
            "table -c {p}b",
            "table -c -O name",
            "splitname vg--a-lv-layer",
            "splitname vg-lv --noheadings --separator /",
            "splitname vg-lv --nameprefixes --noheadings --rows",
            "splitname vg-lv other",
        ],
    ),
    "reports of other states": (
        [*BLANK, *BARE, *READ_ONLY, *SUSPENDED],
        ["info -c", "info -c -o name_all", "info -c -o attr,tables_loaded,suspended,readonly", "remove -S name=x"],
    ),
    "more of a stack": (
        STACK,
        [
            "table --concise",
            "table --concise {p}a {p}b",
            "table --concise --target zero",
            "table --concise -v {p}b",
            "status --concise {p}b",
            "measure",
            "measure {p}b",
            "measure {p}zz",
            "ls|--exec|echo -n found",
            "ls|--exec|echo|--target|zero",
            "ls|--exec|echo|-v",
            "ls --exec false",
            "ls|--exec|",
            "ls|--exec| ",
            "status|--exec|echo x|{p}b",
            "table|--exec|ls -d|{p}a|{p}b",
            "table|--exec|echo|--target|zero",
            "udevflags 0xffff1234",
            "udevflags 0x0",
            "udevflags 0x0040abcd",
            "udevcomplete 0x00410000",
            "udevcomplete 0xD4D0001",
            "udevcomplete 0",
            "udevcookies",
            "udevreleasecookie",
            "udevreleasecookie 0x0D4D0001",
            "udevcomplete_all -y",
            "udevcomplete_all",
            "udevcomplete_all -y x",
        ],
    ),
    "trees": (
        [
            *STACK,
            ("create", "{p}d", "-r", "--table", "0 8 linear /dev/mapper/{p}a 0\n8 8 linear {l2} 0"),
            ("create", "{p}e", "--table", "0 8 linear /dev/mapper/{p}d 0"),
            ("suspend", "{p}e"),
            ("create", "{p}" + "long" * 20, "--table", "0 8 linear /dev/mapper/{p}c 0"),
        ],
        [
            "ls --tree",
            "ls --tree -o utf",
            "ls --tree -o vt100",
            "ls --tree -o ascii,compact",
            "ls --tree -o compact,utf",
            "ls --tree -o compact,active",
            "ls --tree -o inverted",
            "ls --tree -o inverted,compact",
            "ls --tree -o inverted,nodevice,notrunc",
            "ls --tree -o nodevice",
            "ls --tree -o blkdevname",
            "ls --tree -o blkdevname,nodevice,compact,notrunc",
            "ls --tree -o active,open,rw,uuid",
            "ls --tree -o open,notrunc",
            "ls --tree -o status,table",
            "ls --tree -o inv,act",
            "ls --tree -o notrunc --noopencount",
            "ls --tree -o devno",
            "ls --tree -o ascii,frob",
            "ls|--tree|-o|",
            "ls --tree --target linear",
            "info -c -o name,names_using_dev,devs_used -O -names_using_dev",
        ],
    ),
    "no tree": ([], ["ls --tree"]),
}


# Where dmctl by its own name wants whole words, as newer versions of dmsetup do.
ONLY_AS_DMSETUP = (
    "ls -o b",
    "ls|-o|",
    "ls -o devname,blk",
    "ls --tree -o inv,act",
    "ls --tree -o devno",
    "ls --tree -o ascii,frob",
    "ls|--tree|-o|",
)


@pytest.mark.parametrize("state", LINES)
def test_same_answers(state, prefix, standing_disks, dmsetup, tmp_path):
    setup, lines = LINES[state]
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    try:
        world.set_up(setup)
        before = world.describe()
        told = ""
        for programs, wanted in (
            (("dmsetup", "dmctl"), [text for text in lines if text not in ONLY_AS_DMSETUP]),
            (("dmsetup",), [text for text in lines if text in ONLY_AS_DMSETUP]),
        ):
            if wanted:
                told += differences([line(*world.expand(split(text))) for text in wanted], programs=programs)
        assert world.describe() == before
    finally:
        world.take_down()
    assert not told, "\n" + told


@pytest.mark.parametrize("words", ["254 0", "254:1", "0xfe:01", "254:9", "254", "", "a b", "254 0 1", "1:2:3"])
def test_devmap_name(words, prefix, dmsetup, dmctl_as, tmp_path):
    assert dmsetup("create", prefix + "a", "--table", "0 8 zero").status == 0
    assert dmsetup("create", prefix + "b", "--table", "0 8 zero").status == 0
    (tmp_path / "devmap_name").symlink_to("/sbin/dmsetup")
    done = subprocess.run([tmp_path / "devmap_name", *words.split()], capture_output=True, check=False)
    own = dmctl_as("devmap_name", *words.split())
    assert (own.status, own.out) == (done.returncode, done.stdout)
    assert own.err.partition(b"Usage:")[0] == done.stderr.partition(b"Usage:")[0]
    assert dmsetup("remove", prefix + "a", prefix + "b").status == 0
