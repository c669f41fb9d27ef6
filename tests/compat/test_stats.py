# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmstats: the same answers, and the same regions in the kernel, from dmsetup's dmstats and from dmctl."""

import re

import pytest

from compat.batch import differences, line
from compat.world import World, comparable, split

DEVICES = [
    ("create", "{p}a", "-u", "UUID-{p}a", "--table", "0 4096 linear {l} 0\n4096 4096 linear {l} 4096"),
    ("create", "{p}b", "--table", "0 4096 linear {l} 8192"),
]
REGIONS = [
    "create {p}a --areas 3",
    "create {p}a --segments --alias seg",
    "create {p}b --bounds 10ms,20ms,1s --precise --userdata hello",
    "create {p}b --programid other",
]
FIELDS = (
    "region_id",
    "region_start",
    "region_len",
    "area_id",
    "area_start",
    "area_len",
    "area_offset",
    "area_count",
    "group_id",
    "program_id",
    "user_data",
    "precise",
    "hist_bins",
    "hist_bounds",
    "hist_ranges",
    "stats_name",
    "obj_type",
    "name",
    "devno",
)

READS = {
    "no regions": (
        [],
        ["list", "report", "list {p}a", "report {p}b --count 1", "print --allregions", "info -c -o all"],
    ),
    "listing": (
        REGIONS,
        [
            "list",
            "list -v",
            "list --area",
            "list --region",
            "list --group",
            "list --histogram",
            "list -v --histogram",
            "list {p}a",
            "list {p}a {p}b",
            "list nope",
            "list {p}a nope",
            "list --units s",
            "list --units k",
            "list --units B",
            "list --units frob",
            "list --nosuffix --units b",
            "list -o all",
            "list --noheadings",
            "list --nameprefixes",
            "list --nameprefixes --noheadings --rows",
            "list -o region_all",
            "list -S group_id=1",
            "list -S region_len>100",
            "list -S area_count=3",
            "list -S program_id=dmstats&&area_count>1",
            "list -S precise=1 -o +precise",
            "list -O -area_count,stats_name",
            "list --rows",
            "list --separator ,",
            "list --programid other",
            "list --programid nobody",
            "list --allprograms",
            "list --allprograms --programid x",
            "list --allregions --regionid 1",
            "list --follow inode --nomonitor",
            "list --count 2",
            "list -u UUID-{p}a",
            "list -u nope",
            "list -j 254 -m 1",
            "stats list",
            *(f"list -v -o {field}" for field in FIELDS),
            *(f"list -S {field}=x" for field in ("region_len", "user_data", "hist_bins")),
        ],
    ),
    # Nothing reads or writes the devices: all counters are 0 before and after, whoever clears them.
    "reporting": (
        REGIONS,
        [
            "report",
            "report --raw",
            "report --histogram",
            "report --histogram --relative",
            "report --histogram --notimesuffix -o +hist_ranges,hist_count_ranges,hist_percent_ranges",
            "report --histogram -o +hist_ranges,hist_count_ranges,hist_percent_ranges,hist_count,hist_percent",
            "report --noheadings --histogram",
            "report --noheadings --histogram --notimesuffix",
            "report {p}a",
            "report {p}b {p}a",
            "report nope",
            "report --area",
            "report --region",
            "report --group",
            "report --area --region --group",
            "report -v",
            "report -o all",
            "report -o stats_all",
            "report --allprograms",
            "report --programid nobody",
            "report -S reads_per_sec=0",
            "report -O -region_id,area_id {p}b",
            "print",
            "print --allregions",
            "print --regionid 0 {p}a",
            "print --regionid 9 {p}a",
            "print --regionid -1 {p}a",
            "print --regionid 0 --clear",
            "print nope --allregions",
            "clear",
            "clear --regionid 7 {p}a",
            "clear --regionid 0 {p}a {p}b",
            "clear --allregions",
            "clear nope --allregions",
        ],
    ),
    "usage": (
        REGIONS,
        [
            "",
            "frob",
            "version",
            "version a b",
            "--version",
            "-h",
            "-h report",
            "stats",
            "delete",
            "delete {p}a",
            "delete {p}a --regionid 0 --groupid 0",
            "delete --regionid 0",
            "group {p}a",
            "group --regions 0",
            "ungroup {p}a",
            "ungroup --groupid 1",
            "create",
            "create --allregions {p}a",
            "create --allprograms {p}a",
            "create {p}a --areas 2 --areasize 1k",
            "create|{p}a|--programid|",
            "create {p}a --segments --nogroup --alias x",
            "create {p}a --start x",
            "create nope",
            "create --filemap",
            "create --filemap /nope",
            "create --filemap --segments x",
            "create --filemap --areas 1 x",
            "create --filemap --start 1 x",
            "create --filemap --userdata 1 x",
            "create --filemap -u 1 x",
            "create --filemap --alldevices x",
            "create --filemap --bounds x {file}",
            "update_filemap",
            "update_filemap x",
            "update_filemap --groupid 1 /nope",
        ],
    ),
}
CHANGES = [
    "create {p}a",
    "create --alldevices",
    "create {p}a --areas 4",
    "create {p}a --areas 0",
    "create {p}a --areas -2",
    "create {p}a --areasize 1m",
    "create {p}a --areasize 1000",
    "create {p}a --areasize 100s",
    "create {p}a --start 100 --length 1000",
    "create {p}a --len 1M --start 1k",
    "create {p}a --start 10x",
    "create {p}a --start 99999",
    "create {p}a --segments",
    "create {p}a --segments --alias foo",
    "create {p}a --segments --nogroup",
    "create {p}a --precise",
    "create {p}a --bounds 1ms,5ms,1s",
    "create {p}a --bounds 1ns",
    "create {p}a --programid foo --userdata bar",
    "create|{p}a|--programid||--force",
    "create {p}a {p}b",
    "create {p}a nope {p}b",
    "create -j 254 -m 0",
    "create -u UUID-{p}a --checks",
    "create /dev/mapper/{p}b",
    "delete {p}a --regionid 0",
    "delete {p}a --regionid 1",
    "delete {p}a --regionid 8",
    "delete --alldevices --allregions",
    "delete {p}b --allregions --allprograms",
    "delete {p}a --allregions --programid x",
    "delete {p}a --groupid 1",
    "delete {p}a --groupid 0",
    "group {p}a --regions 0",
    "group {p}a --regions 0,1",
    "group {p}a --regions 0 --alias q",
    "group {p}a --regions x",
    "group {p}a --regions 9",
    "group --alldevices --regions 0",
    "ungroup {p}a --groupid 1",
    "ungroup {p}a --groupid 0",
    "ungroup --alldevices --groupid 1",
    "ungroup -j 254 -m 0 --groupid 1",
]
# dmctl prints each region once, and refuses a region of another number than digits.
ONLY_AS_DMSTATS = ("print --allregions", "print --regionid -1 {p}a")


@pytest.fixture
def regions(prefix, standing_disks, dmsetup, tmp_path):
    """regions(lines): two devices with the statistics regions that these lines of dmstats make."""
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    world.set_up(DEVICES)

    def make(lines):
        for name in "ab":
            for region in dmsetup("message", world.words["p"] + name, "0", "@stats_list").text.splitlines():
                assert (
                    dmsetup("message", world.words["p"] + name, "0", f"@stats_delete {region.split(':')[0]}").out == b""
                )
        for words in lines:
            assert world.run(dmsetup, "stats " + words).status == 0
        return world

    yield make
    world.take_down()


def in_kernel(world):
    return [world.dmsetup("message", world.words["p"] + name, "0", "@stats_list").out for name in "ab"]


@pytest.mark.parametrize("state", READS)
def test_same_answers(state, regions):
    made, lines = READS[state]
    world = regions(made)
    before = in_kernel(world)
    personality = [text for text in lines if text.startswith(("stats", "-")) or not text]
    own_counters = state in ("no regions", "reporting")
    told = ""
    for programs, called, wanted in (
        (("dmstats",), "dmstats", personality),
        (("dmsetup",), "dmsetup", [text for text in lines if text in ONLY_AS_DMSTATS or not own_counters]),
        (("dmsetup", "dmctl"), "dmsetup", [text for text in lines if text not in ONLY_AS_DMSTATS and own_counters]),
    ):
        front = "" if called == "dmstats" else "stats "
        given = [
            text if text.startswith("info") else front + text
            for text in wanted
            if called == "dmstats" or text not in personality
        ]
        if given:
            given = [line(*world.expand(split(text))) for text in given]
            told += differences(given, programs=programs, called=called, normal=without_leaks)
    assert in_kernel(world) == before
    assert not told, "\n" + told


def without_leaks(text):
    """Without what libdevmapper says at dmsetup's end of memory that it has not freed, after wrong --bounds."""
    return re.sub(rb"You have a memory leak[^\0]*", b"", text)


@pytest.mark.parametrize("words", CHANGES)
def test_same_change(words, regions, dmsetup, dmctl_as):
    made = [] if words.startswith("create") else REGIONS
    world = regions(made)
    expected = world.run(dmsetup, "stats " + words)
    state = in_kernel(world)
    regions(made)
    own = world.run(lambda *words, **more: dmctl_as("dmsetup", *words, **more), "stats " + words)
    assert (own.status, own.out) == (expected.status, expected.out)
    assert comparable(own.err) == comparable(expected.err)
    assert in_kernel(world) == state


def test_dmctl_refuses(regions, dmctl):
    """Where dmstats guesses, aborts or leaves half of it, dmctl says what is wrong and changes nothing."""
    world = regions(REGIONS)
    before = in_kernel(world)
    for words, message in (
        ("create {p}a --areas 0", b'--areas must be at least 1, not "0".'),
        ("create {p}a --start 10x", b'Invalid start argument: "10x"'),
        ("create {p}a --start 99999", b"--start must be before the end of {p}a, 8192 sectors, not 99999."),
        (
            "create {p}a --start 8 --length 99999",
            b"--length from sector 8 on must be at most 8184 sectors on {p}a, not 99999.",
        ),
        ("create {p}a --length -1", b'Invalid length argument: "-1"'),
        ("delete {p}a --regionid 0x1", b'--regionid must be a number, not "0x1".'),
        ("delete {p}a --groupid nope", b'No group has the alias "nope".'),
        ("group|{p}a|--regions|0|--alias|a b", b"--alias cannot contain blanks."),
        ("group|{p}a|--regions|0|--alias|a:b", b"--alias cannot contain a colon or a backslash."),
        ("create|{p}a|--userdata|a b", b"--userdata cannot contain blanks."),
        ("create|{p}a|--programid|a b", b"--programid cannot contain blanks."),
    ):
        result = world.run(dmctl, "stats|" + words if "|" in words else "stats " + words)
        assert (result.status, result.out) == (1, b""), words
        assert result.err.splitlines()[0] == message.replace(b"{p}", world.words["p"].encode()), words
    assert in_kernel(world) == before


def test_alias_with_blanks_as_dmstats(regions, dmctl_as):
    """libdevmapper 1.02.185 aborts on it."""
    world = regions(["create {p}a"])
    result = world.run(lambda *words, **more: dmctl_as("dmstats", *words, **more), "group|{p}a|--regions|0|--alias|a b")
    assert (result.status, result.out) == (1, b"")
    assert result.err.endswith(b"Could not create group on %sa: 0\nCommand failed.\n" % world.words["p"].encode())


def test_group_by_its_alias(regions, dmctl, dmsetup):
    world = regions(REGIONS)
    assert (
        world.run(dmctl, "stats ungroup {p}a --groupid seg").out
        == b"Removed group ID 1 on %sa\n" % world.words["p"].encode()
    )
    assert world.run(dmsetup, "stats list --group").out == b""
    world = regions(REGIONS)
    assert world.run(dmctl, "stats delete {p}a --groupid seg").out == b"Deleted statistics group 1.\n"
    assert [len(device.splitlines()) for device in in_kernel(world)] == [1, 2]
