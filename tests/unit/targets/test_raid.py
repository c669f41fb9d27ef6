# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel documentation says that its examples mean, and lines that the kernel refuses."""

import pytest

from dmctl.targets import ParamsError, parse_params, parse_status
from dmctl.targets.base import Leg
from dmctl.targets.mirror import MirrorArguments
from dmctl.targets.multipath import MultipathArguments, Path, PathStatus, PriorityGroup
from dmctl.targets.raid import RaidArguments, RaidDevice
from dmctl.targets.snapshot import SnapshotArguments, SnapshotOriginArguments
from unit.targets.refused_raid import PANIC, REFUSED

SIZES = {"8:1": 4096, "8:2": 4100, "8:3": 5000, "8:4": 4096, "-": 0}.__getitem__


def test_snapshot_example():
    made = parse_params("snapshot", "254:11 254:12 P 16")
    assert made == SnapshotArguments("254:11", "254:12", "P", 16)
    assert made.devices() == ("254:11", "254:12")
    status = parse_status("snapshot", "397896/2097152 1560")
    (usage,) = status.usages()
    # "Snap% 18.97" of lvs there.
    assert round(100 * usage.used / usage.total, 2) == 18.97 and usage.unit == "sectors"
    assert status.metadata_sectors == 1560
    merging, merged = (parse_status("snapshot-merge", text) for text in ("180480/2097152 712", "16/2097152 16"))
    assert (merging.merged, merged.merged, parse_status("snapshot-merge", "Invalid").merged) == (False, True, False)
    assert parse_status("snapshot", "Merge failed").warnings() == ("the merge has stopped after an error",)
    assert parse_status("snapshot", "Unknown").warnings() == ()


def test_raid_example():
    made = parse_params(
        "raid", "raid4 4 2048 sync min_recovery_rate 20 5 8:17 8:18 8:33 8:34 8:49 8:50 8:65 8:66 8:81 8:82"
    )
    assert (made.raid_type, made.chunk_sectors * 512, made.sync) == ("raid4", 1 << 20, "sync")
    assert made.min_recovery_rate_kib_s == 20
    assert made.raid_devices[4] == RaidDevice("8:82", metadata="8:81")
    # The line's length there, of four data drives.
    assert made.default_length_sectors(lambda device: 1960893648 // 4) == 1960893648 // 8192 * 8192
    status = parse_status("raid", "raid4 5 AAAAA 2/490221568 init 0")
    assert (status.device_count, status.health, status.sync_action) == (5, "AAAAA", "init")
    assert [(usage.used, usage.total) for usage in status.usages()] == [(2, 490221568)]
    assert (status.mismatches_sectors, status.data_offset_sectors, status.journal_health) == (0, None, None)
    assert parse_status("raid", "raid6_zr 4 aD-A 100/16384 idle 8 8192 D").warnings() == (
        "device 0 is not in sync",
        "device 1 has failed",
        "device 2 is missing",
        "the journal has failed",
        "8 sectors differ between devices",
    )
    assert parse_status("raid", "raid1 2 Aa 100/16384 recover 0 0 -").warnings() == ()


def test_counts_of_old_tables():
    made = parse_params("raid", "raid1 9 0 rebuild 1 write_mostly 0 2 7:0 7:1 7:2 7:3")
    assert (made.rebuild, made.write_mostly) == ((1,), (0,))
    assert made.to_params() == "raid1 5 0 rebuild 1 write_mostly 0 2 7:0 7:1 7:2 7:3"
    made = parse_params("raid", "raid10 6 64 raid10_copies 2 raid10_format far 2 7:0 7:1 7:2 7:3")
    assert made.raid10_use_near_sets
    assert made.to_params().startswith("raid10 6 64 raid10_copies 2 raid10_format far raid10_use_near_sets 2 ")


@pytest.mark.parametrize(
    ("made", "length"),
    [
        (RaidArguments("raid1", (RaidDevice("8:2"), RaidDevice())), 4100),
        (RaidArguments("raid0", (RaidDevice("8:2"), RaidDevice("8:3")), 8), 8192),
        (RaidArguments("raid6_nc", tuple(map(RaidDevice, ("8:1", "8:2", "8:3", "8:4"))), 8), 8192),
        (RaidArguments("raid5_ls", tuple(map(RaidDevice, ("8:1", "8:2", "8:3"))), 8, data_offset_sectors=96), 8000),
        (RaidArguments("raid10", tuple(map(RaidDevice, ("8:1", "8:2", "8:3"))), 8), 6144),
        (RaidArguments("raid10", tuple(map(RaidDevice, ("8:1", "8:2"))), 8, raid10_copies=2), 4096),
        (RaidArguments("raid1", (RaidDevice(),)), None),
        (RaidArguments("raid5_ls", (RaidDevice("8:1"),), 8), None),
        (RaidArguments("raid0", (RaidDevice("8:1"),)), None),
        (SnapshotOriginArguments("8:3"), 5000),
        (MirrorArguments((Leg("8:3", 1000), Leg("8:1")), region_sectors=64), 4000),
        (MultipathArguments(()), None),
        (MultipathArguments((PriorityGroup("queue-length", (Path("8:3"), Path("8:1"))),)), 4096),
    ],
)
def test_default_length(made, length):
    assert made.default_length_sectors(SIZES) == length


def test_multipath_example():
    made = parse_params("multipath", "0 0 1 1 service-time 0 2 2 8:0 128 2 8:16 128 8")
    assert made.groups == (PriorityGroup("service-time", (Path("8:0", ("128", "2")), Path("8:16", ("128", "8")))),)
    assert made.devices() == ("8:0", "8:16")
    status = parse_status("multipath", "2 0 0 0 1 1 E 0 2 2 8:0 A 0 0 2 8:16 A 0 0 8")
    (group,) = status.groups
    assert (group.group_state, group.paths[1]) == ("E", PathStatus("8:16", "A", 0, ("0", "8")))
    status = parse_status("multipath", "2 0 0 0 2 1 E 0 2 0 7:0 F 1 7:1 A 0 D 0 1 2 7:2 A 0 0 4 ")
    assert status.warnings() == ("path 7:0 has failed", "path group 2 is disabled")
    assert "no path works" in parse_status("multipath", "2 0 0 0 1 1 E 0 1 0 7:0 F 1").warnings()
    notes = MultipathArguments.explain_params("1 queue_if_no_path 0 1 1 round-robin 0 2 1 8:0 1 8:16 5")
    assert [(note.name, note.about) for note in notes[-2:]] == [
        ("device", "group 1, path 2"),
        ("arguments", "group 1, path 2"),
    ]


def test_mirror_status():
    status = parse_status("mirror", "3 7:0 7:1 7:2 9/16 1 ADS 3 disk 7:3 A")
    assert [(usage.used, usage.total, usage.unit) for usage in status.usages()] == [(9, 16, "regions")]
    assert status.warnings() == ("a write to mirror 7:1 has failed", "mirror 7:2 could not be brought in sync")
    assert parse_status("mirror", "2 7:0 7:1 16/16 1 AA 3 disk 7:3 D").warnings() == ("the log device has failed",)
    status = parse_status("mirror", "2 254:4 254:5 0/400 1 AA userspace 1 COM_FAILURE")
    assert (status.log, status.warnings()) == ("userspace", ("the log's daemon does not answer",))
    assert parse_params("mirror", "disk 2 7:3 1024 2 7:0 0 7:1 128").devices() == ("7:0", "7:1", "7:3")


@pytest.mark.parametrize(
    ("cls", "text", "made"),
    [
        (RaidDevice, "8:2", RaidDevice("8:2")),
        (RaidDevice, "8:1,8:2", RaidDevice("8:2", "8:1")),
        (RaidDevice, "-", RaidDevice()),
        (RaidDevice, "-,8:2", RaidDevice("8:2")),
        (PriorityGroup, "round-robin,8:0=1", PriorityGroup("round-robin", (Path("8:0", ("1",)),))),
        (
            PriorityGroup,
            "historical-service-time=972=0,8:0,8:16",
            PriorityGroup("historical-service-time", (Path("8:0"), Path("8:16")), ("972", "0")),
        ),
    ],
)
def test_word_of_a_command_line(cls, text, made):
    assert cls.parse(text) == made


@pytest.mark.parametrize(("target", "text", "message"), [*REFUSED, PANIC])
def test_refused(target, text, message):
    with pytest.raises(ParamsError) as caught:
        parse_params(target, text)
    assert message in str(caught.value)


def test_paths_of_a_group_are_alike():
    with pytest.raises(ParamsError, match="same number"):
        PriorityGroup("queue-length", (Path("8:0", ("1",)), Path("8:16")))
