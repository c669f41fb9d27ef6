# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets for tests of other programs, for zoned drives, and of vdo."""

import dataclasses

from hypothesis import strategies as st

from dmctl.targets.delay import DelayArguments, Way
from dmctl.targets.vdo import Option, VdoArguments
from unit.targets.strategies import DEVICES, described, value

# "documentation" is Documentation/admin-guide/device-mapper of Linux 6.12, "guest" Linux 6.1 in the guest; "source" is
# made after what the target's source file prints or takes.
PARAMS = {
    "delay": [
        "/dev/sda 0 500",  # documentation
        "/dev/sda 2048 0 /dev/sdb 4096 400",  # documentation
        "/dev/sda 0 50 /dev/sdb 0 100 /dev/sda 0 333",  # documentation
        "7:0 0 10 7:1 8 20 7:0 0 30",  # guest
        "7:0 18446744073709551615 4294967295",  # source: the largest numbers
    ],
    "dust": [
        "/dev/vdb1 0 512",  # documentation
        "/dev/vdb1 0 4096",  # documentation
        "7:0 8 1073741824",  # source: the largest block
    ],
    "ebs": [
        "/dev/sda 1024 1",  # documentation
        "/dev/sda 128 2 4",  # documentation
        "8:0 0 8 32768",  # source: the largest underlying block
    ],
    "error": [
        "",  # guest
        "/dev/sda 2048",  # source, from Linux 6.7 on
        "what ever this is",  # source: ignored
        "7",  # source: ignored
        "a b",  # guest: ignored before Linux 6.7
    ],
    "log-writes": [
        "/dev/sdb /dev/sdc",  # documentation
        "7:0 7:1",  # guest
        "7:0 7:1 and more",  # source: ignored
    ],
    "switch": [
        "3 128 0 /dev/vg1/switch0 0 /dev/vg1/switch1 0 /dev/vg1/switch2 0",  # documentation
        "1 1 0 7:0 18446744073709551615",  # source
        "2 4294967295 0 7:0 0 7:1 8",  # source: the largest region
    ],
    "unstriped": [
        "2 256 0 /dev/nvme0n1 0",  # documentation
        "4 256 3 /dev/mapper/striped 0",  # documentation
        "2 8 2 7:0 0",  # source: a stripe one too high is taken
        "-1 8 -6 7:0 0",  # guest: 4294967295 stripes and stripe 4294967290 are printed like this
    ],
    "vdo": [
        "V4 /dev/dm-1 262144 4096 32768 16380",  # documentation
        "V4 /dev/dm-1 786432 4096 32768 16380 maxDiscard 8",  # documentation
        "V4 /dev/dm-1 786432 512 65550 5000 hash 1 logical 3 physical 2",  # documentation
        # documentation of the module before it was in Linux
        "V2 /dev/dm-1 786432 512 65550 5000 on auto vdo1 hash 1 logical 3 physical 2",
        # lvm2 2.03.16
        "V2 254:2 1048576 4096 32768 16380 on auto vg-vpool0-vpool maxDiscard 1 ack 1 bio 4 bioRotationInterval 64 "
        "cpu 2 hash 1 logical 1 physical 1",
        "V4 /dev/loop3 262144 4096 32768 16380 compression on deduplication off maxDiscard 16",  # a public program
        # source: each option; one that no kernel knows; one given twice
        "V4 7:0 262144 4096 32768 16380 ack 0 bio 100 bioRotationInterval 1024 cpu 100 hash 100 logical 60 "
        "physical 16 maxDiscard 1048575 deduplication on compression off",
        "V4 7:0 262144 4096 32768 16380 new 100 cpu 2",
        "V4 7:0 262144 4096 32768 16380 cpu 3 cpu 2 new 1 new 2",
        "V3 7:0 262144 4096 32768 16380 auto cpu 2 compression on",  # source: older versions of the line
        "V1 7:0 262144 4096 disabled 0 32768 16380 on auto vdo0 cpu=2,ack=1",
        "V1 7:0 262144 512 disabled 0 32768 16380 on auto vdo0 .",
        "7:0 4096 disabled 0 32768 16380 on auto vdo0 .",
        "7:0 512 enabled 8 32768 16380 off sync vdo0 bio=2,hash=1,logical=1,physical=1,new=3",
    ],
    "zero": [""],  # guest
    "zoned": [
        "/dev/sdxx",  # source
        "/dev/sdxx /dev/sdyy",  # source, from Linux 5.8 on
        "259:0 252:1 252:2",
    ],
}
STATUS = {
    "delay": [
        "0 0 0",  # guest
        "3 1 2",  # source
        "3 1",  # source, before flushes had a delay of their own
    ],
    "dust": [
        "252:17 bypass",  # documentation
        "252:17 fail_read_on_bad_block",  # documentation
        "252:17 fail_read_on_bad_block quiet",  # documentation
        "252:17 fail_read_on_bad_block verbose",  # documentation
        "7:0 bypass verbose",  # guest
    ],
    "ebs": [""],  # source
    "error": [""],  # guest
    "log-writes": [
        "0 0",  # guest
        "15 1055",  # source
        "0 129 logging_disabled",  # guest: the log device was too small
    ],
    "switch": [""],  # guest
    "unstriped": [""],  # guest
    "vdo": [
        "/dev/sda normal - online offline 6552105 976562432",  # public log, github.com/dm-vdo/kvdo/issues/25
        "/dev/dm-1 normal - online online 262144 262144",  # source
        "/dev/dm-1 recovering recovering opening online 5 262144",
        "/dev/dm-1 read-only - error offline 5 262144",
        "253:2 normal - closed offline 0 1",
    ],
    "zero": [""],  # guest
    "zoned": [
        "",  # source, Linux 5.4
        "3726 zones 40/48 random 3100/3672 sequential",  # documentation
        "3726 zones 0/0 cache 0/48 random 3100/3672 sequential",  # source, one drive
        "1100 zones 52/100 cache 0/0 random 400/500 sequential 4/8 random 480/492 sequential",  # source, three drives
        "100 zones 0/10 cache",  # source
    ],
}


def _vdo():
    given = {name: value(spec) for name, spec in VdoArguments.specs().items()}
    given["min_io_bytes"] = st.sampled_from([512, 4096])
    for field in dataclasses.fields(VdoArguments):
        if field.default is None:
            given[field.name] |= st.none()
    given["others"] = st.lists(described(Option), max_size=3).map(tuple)
    # A line without version has no number of blocks, and knows less.
    plain = described(Option).filter(lambda option: not set("=,") & set(option.name))
    old = {"physical_blocks": st.none(), "others": st.lists(plain, max_size=3).map(tuple)}
    old |= dict.fromkeys(("max_discard_blocks", "deduplication", "compression"), st.none())
    return st.builds(VdoArguments, **given) | st.builds(VdoArguments, **given | old)


def _delay():
    first = (DEVICES, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
    ways = [described(Way)] * 2
    return st.one_of(st.builds(DelayArguments, *first, *ways[:count]) for count in range(3))


STRATEGIES = {"delay": _delay(), "vdo": _vdo()}
