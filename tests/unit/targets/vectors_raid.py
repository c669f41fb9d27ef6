# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets that keep copies, or choose between paths to one.

"doc": the kernel's Documentation/admin-guide/device-mapper; "6.1": printed by Linux 6.1 in the guest; "source": made
after the constructor or the status function in drivers/md.
"""

from hypothesis import strategies as st

from dmctl.targets import arguments_class
from dmctl.targets.multipath import MultipathArguments, Path, PriorityGroup
from unit.targets.strategies import DEVICES, WORDS, described, value

PARAMS = {
    "snapshot": [
        "254:11 254:12 P 16",  # doc snapshot.rst
        "/dev/vg/base /dev/vg/cow p 0",  # source: any case, default chunk size
        "7:0 7:1 PO 8 1 discard_zeroes_cow",  # 6.1
        "7:0 7:1 pox +8 1 DISCARD_ZEROES_COW extra",  # 6.1 takes it and prints the line before
        "7:0 7:1 N 16 2 discard_zeroes_cow discard_passdown_origin",  # 6.1
        "7:0 7:1 NX 16 2 discard_passdown_origin discard_zeroes_cow",  # 6.1 takes it and prints the line before
        "7:0 7:1 N 16 0",  # source
        "7:0 7:1 PO 0",  # 6.1: inactive table of a snapshot that will take over another's exceptions
    ],
    "snapshot-merge": [
        "254:11 254:12 P 16",  # doc snapshot.rst
        "7:0 7:1 PO 16 1 discard_zeroes_cow",  # source
    ],
    "snapshot-origin": ["254:11"],  # doc snapshot.rst
    "mirror": [
        "core 1 1024 2 7:0 0 7:1 0",  # 6.1
        "core 2 1024 nosync 2 7:0 0 7:1 128 2 handle_errors keep_log",  # 6.1
        "disk 3 7:3 1024 sync 3 7:0 0 7:1 0 7:2 0 1 handle_errors",  # 6.1
        "disk 2 /dev/loop3 1024 2 /dev/loop0 0 /dev/loop1 0 0",  # 6.1 takes it
        "core 2 64 nosync 3 8:0 0 8:16 0 8:32 0 2 keep_log handle_errors",  # source: in any order
        # source of dm-log-userspace-base.c, with and without integrated_flush
        "userspace 5 LVM-uuid clustered-disk 254:3 1024 nosync 2 254:4 0 254:5 0 1 handle_errors",
        "userspace 4 LVM-uuid integrated_flush clustered-core 1024 2 254:4 0 254:5 0",
        "other 0 2 254:4 0 254:5 0",  # source: a log of a module dm-log-other
    ],
    "raid": [
        "raid4 1 2048 5 - 8:17 - 8:33 - 8:49 - 8:65 - 8:81",  # doc dm-raid.rst
        "raid4 4 2048 sync min_recovery_rate 20 5 8:17 8:18 8:33 8:34 8:49 8:50 8:65 8:66 8:81 8:82",  # doc
        "raid1 1 0 2 7:0 7:1 7:2 7:3",  # 6.1
        "raid1 2 0 nosync 2 - 7:1 - -",  # 6.1: a device is missing
        "raid1 3 0 rebuild 1 2 7:0 7:1 7:2 7:3",  # 6.1
        # 6.1 takes the first of these and prints the second
        "RAID1 10 64 nosync daemon_sleep 500 write_mostly 1 max_write_behind 100 region_size 1024 2 7:0 7:1 7:2 7:3",
        "raid1 10 0 nosync daemon_sleep 500 write_mostly 1 max_write_behind 50 region_size 1024 2 7:0 7:1 7:2 7:3",
        "raid0 1 +64 2 - 7:1 - 7:3",  # 6.1 takes it
        "raid5_ls 8 64 sync daemon_sleep 100 stripe_cache 32 region_size 512 3 7:0 7:1 7:2 7:3 7:4 7:5",  # 6.1
        "raid5_ls 5 64 journal_dev 7:6 journal_mode writeback 3 7:0 7:1 7:2 7:3 7:4 7:5",  # 6.1
        "raid5_n 3 64 data_offset 0 3 7:0 7:1 7:2 7:3 7:4 7:5",  # 6.1
        "raid5_la 5 128 delta_disks +1 data_offset 8192 3 7:0 7:1 7:2 7:3 7:4 7:5",  # source: as lvm2 has it
        "raid5_ra 5 128 delta_disks -1 data_offset 0 4 7:0 7:1 7:2 7:3 7:4 7:5 7:6 7:7",  # source
        "raid6_zr 3 64 max_recovery_rate 100000 4 7:0 7:1 7:2 7:3 7:4 7:5 7:6 7:7",  # 6.1
        "raid10 5 64 rebuild 1 rebuild 2 4 7:0 7:1 7:2 7:3 7:4 7:5 7:6 7:7",  # 6.1
        "raid10 5 64 raid10_copies 3 raid10_format near 3 7:0 7:1 7:2 7:3 7:4 7:5",  # source
        # 6.1 takes the first of these and prints the second, which it would not take
        "raid10 6 64 raid10_copies 2 raid10_format FAR raid10_use_near_sets 2 7:0 7:1 7:2 7:3",
        "raid10 6 64 raid10_copies 2 raid10_format far 2 7:0 7:1 7:2 7:3",
        # source, before version 1.15.1: formats first, and a pair too many is counted for rebuild and write_mostly
        "raid10 9 64 raid10_format near raid10_copies 2 rebuild 1 2 7:0 7:1 7:2 7:3",
        "raid1 9 0 rebuild 1 write_mostly 0 2 7:0 7:1 7:2 7:3",
        "raid1 1 0 2 - 8:1 - 8:2 word",  # source: words after the devices are not read
    ],
    "multipath": [
        "0 0 1 1 queue-length 0 2 1 8:0 128 8:16 128",  # doc dm-queue-length.rst
        "0 0 1 1 service-time 0 2 2 8:0 128 2 8:16 128 8",  # doc dm-service-time.rst
        "0 0 0 0 ",  # 6.1
        "8 queue_if_no_path pg_init_retries 50 pg_init_delay_msecs 100 retain_attached_hw_handler queue_mode bio 0 2 1 "
        "round-robin 0 2 1 7:0 1 7:1 1 service-time 0 1 2 7:2 1 4 ",  # 6.1
        "3 Retain_Attached_hw_handler queue_mode MQ 0 1 1 queue-length 0 2 0 8:0 8:16",  # source
        "2 queue_mode nvme 0 1 1 queue-length 0 1 1 8:0 1",  # source, up to 5.12
        "1 queue_if_no_path 1 alua 2 1 service-time 0 2 2 8:16 1 1 8:48 1 1 service-time 0 1 2 8:32 1 1",  # source
        "0 3 emc 1 1 1 2 round-robin 0 1 1 8:0 1",  # source: a handler's arguments; a group that is not there
        "0 1 alua 1 1 historical-service-time 2 972 0 2 1 8:0 0 8:16 0 ",  # source, from 5.8 on
        "0 0 1 1 io-affinity 0 2 1 8:0 1 8:16 ff,fffffffe ",  # source, from 5.11 on
    ],
}
STATUS = {
    "snapshot": [
        "397896/2097152 1560",  # doc snapshot.rst
        "0/32768 0",  # 6.1, of kind N
        "Invalid",  # these four: source
        "Overflow",
        "Merge failed",
        "Unknown",
    ],
    "snapshot-merge": ["281688/2097152 1104", "16/2097152 16", "Merge failed", "Invalid"],  # doc snapshot.rst, source
    "snapshot-origin": [""],
    "mirror": [
        "2 7:0 7:1 16/16 1 AA 1 core",  # 6.1
        "3 7:0 7:1 7:2 9/16 1 ADS 3 disk 7:3 A",  # 6.1, letters from the source
        "2 7:0 7:1 16/16 1 RU 3 disk 7:3 F",  # source
        "2 254:4 254:5 400/400 1 AA 3 clustered-disk 254:3 A",  # source of lvm2's cmirrord
        "2 254:4 254:5 0/400 1 FA 1 clustered-core",
        "2 254:4 254:5 0/400 1 AA userspace 1 COM_FAILURE",  # source: of a userspace log without its daemon
        "2 254:4 254:5 0/400 1 AA ",  # source: the same, where nothing is said
        "2 254:4 254:5 0/400 1 AA 5 other 254:3 A two words",  # made up
    ],
    "raid": [
        "raid4 5 AAAAA 2/490221568 init 0",  # doc dm-raid.rst, of a version before 1.9.0
        "raid1 2 AA 16384/16384 idle 0 0 -",  # 6.1
        "raid1 2 A- 16384/16384 idle 0 0 -",  # 6.1
        "raid5_ls 3 AAA 16384/16384 idle 0 0 a",  # 6.1, a journal
        "raid6_zr 4 aDAA 100/16384 recover 0 8192 D",  # source
        "raid10_far 4 AAAA 32768/32768 idle 16 0 -",  # source
        "raid5_ls 3 AAAa 100/16384 reshape 0 8192 -",  # source: a letter for the device that is added
        "raid1 2 AA 16384/16384 frozen 0 0",  # source, of version 1.9.0
    ],
    "multipath": [
        "2 0 0 0 1 1 E 0 2 1 8:0 A 0 0 8:16 A 0 0",  # doc dm-queue-length.rst
        "2 0 0 0 1 1 E 0 2 2 8:0 A 0 0 2 8:16 A 0 0 8",  # doc dm-service-time.rst
        "2 0 0 0 0 0 ",  # 6.1
        "2 0 0 0 2 1 E 0 2 0 7:0 F 1 7:1 A 0 D 0 1 2 7:2 A 0 0 4 ",  # 6.1
        "2 1 3 0 1 1 A 2 972 0 2 3 8:0 A 0 1024 0 0 8:16 F 2 90112 1 55 ",  # source, historical-service-time
        "0 0 1 1 A 0 1 0 8:0 A 0",  # source: some kernel that says nothing of itself
        "3 0 0 x 1 alua 1 1 A 0 1 0 8:0 A 0",  # made up: one that says more
    ],
}


@st.composite
def groups(draw):
    count = draw(st.integers(0, 2))
    words = st.lists(WORDS, min_size=count, max_size=count).map(tuple)
    paths = draw(st.lists(st.builds(Path, DEVICES, words), min_size=1, max_size=3))
    return PriorityGroup(draw(WORDS), tuple(paths), tuple(draw(st.lists(WORDS, max_size=2))))


def multipath():
    specs = MultipathArguments.specs()
    handler = st.just({}) | st.builds(
        lambda name, words: {"hw_handler": name, "hw_handler_arguments": tuple(words)}, WORDS, st.lists(WORDS)
    )
    names = ("queue_if_no_path", "retain_attached_hw_handler", "pg_init_retries", "pg_init_delay_ms", "queue_mode")
    features = st.fixed_dictionaries({}, optional={name: value(specs[name]) for name in names})
    some = st.tuples(st.lists(groups(), min_size=1, max_size=3).map(tuple), value(specs["initial_group"]))
    return st.builds(
        lambda first, features, handler: MultipathArguments(*first, **features, **handler),
        st.just(((),)) | some,
        features,
        handler,
    )


def mirror():
    specs, cls = arguments_class("mirror").specs(), arguments_class("mirror")
    region = value(specs["region_sectors"])
    common = {
        "mirrors": value(specs["mirrors"]),
        "handle_errors": st.booleans(),
        "keep_log": st.booleans(),
    }
    kernel = {"region_sectors": region, "sync": st.none() | value(specs["sync"])}
    return st.one_of(
        st.builds(cls, log=st.just("core"), **kernel, **common),
        st.builds(cls, log=st.just("disk"), log_device=DEVICES, **kernel, **common),
        st.builds(cls, log=st.just("userspace"), log_arguments=st.lists(WORDS).map(tuple), **common),
    )


def raid():
    cls = arguments_class("raid")
    numbers = st.lists(st.integers(0, 252), max_size=3, unique=True).map(tuple)
    made = {name: st.none() | value(spec) for name, spec in cls.specs().items()}
    del made["rebuild"], made["write_mostly"]
    made |= {"raid_type": value(cls.specs()["raid_type"]), "chunk_sectors": st.integers(0, 2**31 - 1)}
    made |= {
        "raid_devices": st.lists(described(cls.parts[0]), max_size=5).map(tuple),
        "raid10_use_near_sets": st.booleans(),
    }
    return st.builds(cls, rebuild=numbers, write_mostly=numbers, **made)


STRATEGIES = {"mirror": mirror(), "multipath": multipath(), "raid": raid()}
