# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lines and status of some targets mean, after the kernel's documentation and source."""

import pytest

from dmctl.targets import ParamsError, StatusError, parse_params, parse_status
from dmctl.targets.base import Leg
from dmctl.targets.delay import DelayArguments, Way
from dmctl.targets.dust import DustArguments
from dmctl.targets.ebs import EbsArguments
from dmctl.targets.error import ErrorArguments
from dmctl.targets.flakey import CorruptByte, FlakeyArguments
from dmctl.targets.log_writes import LogWritesArguments
from dmctl.targets.switch import SwitchArguments
from dmctl.targets.unstriped import UnstripedArguments
from dmctl.targets.vdo import Option, VdoArguments
from dmctl.targets.zoned import Drive, ZonedArguments

SIZES = {"/dev/sda": 1000, "/dev/sdb": 700}.__getitem__


@pytest.mark.parametrize(
    ("text", "made"),
    [
        # Documentation: reads at once from sector 2048, writes and flushes after 400 ms to sector 4096.
        ("/dev/sda 2048 0 /dev/sdb 4096 400", DelayArguments("/dev/sda", 0, 2048, Way("/dev/sdb", 4096, 400))),
        (
            "/dev/sda 0 50 /dev/sdb 0 100 /dev/sda 0 333",
            DelayArguments("/dev/sda", 50, 0, Way("/dev/sdb", 0, 100), Way("/dev/sda", 0, 333)),
        ),
        ("/dev/vdb1 0 4096", DustArguments("/dev/vdb1", 4096, 0)),
        # Documentation: 1 KiB blocks from sector 128 on, over blocks of 2 KiB.
        ("/dev/sda 128 2 4", EbsArguments("/dev/sda", 2, 128, 4)),
        ("/dev/sda 1024 1", EbsArguments("/dev/sda", 1, 1024)),
        ("", ErrorArguments()),
        ("/dev/sda 8", ErrorArguments(Leg("/dev/sda", 8))),
        ("a b", ErrorArguments()),
        # Documentation: byte 224 of writes with REQ_META (32) becomes 0.
        (
            "8:0 0 5 1 5 corrupt_bio_byte 224 w 0 32",
            FlakeyArguments("8:0", 0, 5, 1, corrupt_byte=CorruptByte(224, "w", 0, 32)),
        ),
        ("/dev/sdb /dev/sdc", LogWritesArguments("/dev/sdb", "/dev/sdc")),
        ("2 128 0 /dev/sda 0 /dev/sdb 8", SwitchArguments(128, (Leg("/dev/sda"), Leg("/dev/sdb", 8)))),
        ("4 256 3 /dev/mapper/striped 0", UnstripedArguments(4, 256, 3, "/dev/mapper/striped")),
        ("-1 8 -6 7:0 0", UnstripedArguments(4294967295, 8, 4294967290, "7:0")),
        (
            "V4 /dev/dm-1 786432 512 65550 5000 hash 1 logical 3 physical 2",
            VdoArguments("/dev/dm-1", 786432, 512, 65550, 5000, hash=1, logical=3, physical=2),
        ),
        (
            "V2 /dev/dm-1 786432 512 65550 5000 on auto vdo1 maxDiscard 8 compression on",
            VdoArguments("/dev/dm-1", 786432, 512, 65550, 5000, max_discard_blocks=8, compression="on"),
        ),
        (
            "7:0 4096 enabled 8 4 5 off sync vdo0 bio=2,bioRotationInterval=7,new=3",
            VdoArguments("7:0", None, 4096, 4, 5, bio=2, bio_rotation=7, others=(Option("new", 3),)),
        ),
        ("/dev/sda /dev/sdb", ZonedArguments((Drive("/dev/sda"), Drive("/dev/sdb")))),
    ],
)  # fmt: skip
def test_what_a_line_says(text, made):
    assert parse_params(type(made).target, text) == made


def test_what_a_line_is_made_of():
    line = VdoArguments("7:0", 9, 4096, 7, 5, ack=2, compression="off", others=(Option("new", 3),)).to_params()
    assert line == "V4 7:0 9 4096 7 5 ack 2 compression off new 3"
    line = VdoArguments("7:0", None, 512, 7, 5, ack=2, others=(Option("new", 3),)).to_params()
    assert line.split()[:2] + line.split()[4:6] + line.split()[9:] == ["7:0", "512", "7", "5", "ack=2,new=3"]
    assert UnstripedArguments(4294967295, 8, 0, "7:0").to_params() == "4294967295 8 0 7:0 0"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("zero", "x"),
        ("delay", "7:0 0 1 7:0"),
        ("delay", "7:0 0 1 7:0 0 1 7:0 0 1 7:0 0 1"),
        ("dust", "7:0 0 511"),
        ("dust", "7:0 0 512 1"),
        ("ebs", "7:0 0 0"),
        ("ebs", "7:0 0 1 2 3"),
        ("log-writes", "7:0"),
        ("switch", "1 8 1 word 7:0 0"),
        ("switch", "1 8 1 7:0 0"),
        ("switch", "0 8 0"),
        ("switch", "2 8 0 7:0 0"),
        ("switch", "1 8 0 7:0 0 word"),
        ("unstriped", "0 8 0 7:0 0"),
        ("unstriped", "-4294967297 8 0 7:0 0"),
        ("unstriped", "2 8 -0 7:0 0"),
        ("vdo", "V5 7:0 9 4096 7 5"),
        ("vdo", "V4 7:0 9 1024 7 5"),
        ("vdo", "V4 7:0 9 4096 7 5 cpu"),
        ("vdo", "V4 7:0 9 4096 7 5 cpu 0"),
        ("vdo", "V4 7:0 9 4096 7 5 cpu 101"),
        ("vdo", "V4 7:0 9 4096 7 5 bio 0"),
        ("vdo", "V4 7:0 9 4096 7 5 bioRotationInterval 1025"),
        ("vdo", "V4 7:0 9 4096 7 5 maxDiscard 0"),
        ("vdo", "V4 7:0 9 4096 7 5 maxDiscard 1048576"),
        ("vdo", "V4 7:0 9 4096 7 5 logical 61"),
        ("vdo", "V4 7:0 9 4096 7 5 physical 17"),
        ("vdo", "V4 7:0 9 4096 7 5 new 101"),
        ("vdo", "V4 7:0 9 4096 7 5 compression yes"),
        ("vdo", "V1 7:0 9 4096 disabled 0 7 5 off auto vdo0"),
        ("vdo", "7:0 4096 disabled 0 7 5 off auto vdo0 maxDiscard=8"),
        ("zoned", ""),
    ],
)
def test_what_no_kernel_takes(target, text):
    with pytest.raises(ParamsError, match=f"^({target}|option|way): "):
        parse_params(target, text)


def test_fields_that_no_line_can_say():
    for wrong in (
        lambda: DelayArguments("7:0", 1, flush=Way("7:1", 0, 1)),
        lambda: VdoArguments("7:0", None, max_discard_blocks=8),
        lambda: VdoArguments("7:0", None, others=(Option("a,b", 3),)),
        lambda: SwitchArguments(8, ()),
    ):
        with pytest.raises(ParamsError):
            wrong()


def test_words_of_a_command_line():
    assert Way.parse("/dev/a,b,8,300") == Way("/dev/a,b", 8, 300)
    assert Option.parse("new,3") == Option("new", 3)
    assert Drive.parse("/dev/sda") == Drive("/dev/sda")
    assert Way.parse("/dev/a,4K,300") == Way("/dev/a", 8, 300)
    for parse, text in (
        (Way.parse, "/dev/a,8"),
        (Way.parse, "/dev/a,8,x"),
        (Way.parse, "/dev/a,x,8"),
        (Option.parse, "new"),
    ):
        with pytest.raises(ValueError):
            parse(text)
    with pytest.raises(ParamsError, match="'cpu'"):
        Option.parse("cpu,3")


@pytest.mark.parametrize(
    ("made", "length"),
    [
        (DelayArguments("/dev/sda", 1, 8), 992),
        (DelayArguments("/dev/sda", 1, 8, Way("/dev/sdb", 100, 1)), 600),
        (DustArguments("/dev/sda", 512, 8), 992),
        (EbsArguments("/dev/sda", 1, 8), 992),
        (ErrorArguments(), None),
        (ErrorArguments(Leg("/dev/sda", 8)), 992),
        (LogWritesArguments("/dev/sda", "/dev/sdb"), 1000),
        (SwitchArguments(8, (Leg("/dev/sda", 8), Leg("/dev/sdb", 8))), 692),
        (UnstripedArguments(3, 16, 1, "/dev/sda", 8), 20 * 16),
        (VdoArguments("/dev/sda", 9), None),
        (ZonedArguments((Drive("/dev/sda"), Drive("/dev/sdb"))), 1700),
    ],
)
def test_default_length(made, length):
    assert made.default_length_sectors(SIZES) == length


def test_devices():
    made = DelayArguments("/dev/sda", 1, 8, Way("/dev/sdb", 100, 1), Way("7:0", 0, 1))
    assert made.devices() == ("/dev/sda", "/dev/sdb", "7:0")
    assert LogWritesArguments("/dev/sda", "/dev/sdb").devices() == ("/dev/sda", "/dev/sdb")
    assert ErrorArguments(Leg("/dev/sda", 8)).devices() == ("/dev/sda",)
    assert ZonedArguments((Drive("/dev/sda"), Drive("/dev/sdb"))).devices() == ("/dev/sda", "/dev/sdb")


def test_zoned_status():
    made = parse_status("zoned", "1100 zones 52/100 cache 0/0 random 400/500 sequential 4/8 random 480/492 sequential")
    assert (made.zones, made.free_cache_zones, made.cache_zones) == (1100, 52, 100)
    assert [(one.free_random_zones, one.random_zones) for one in made.drives] == [(0, 0), (4, 8)]
    assert [(one.free_sequential_zones, one.sequential_zones) for one in made.drives] == [(400, 500), (480, 492)]
    assert [(one.what, one.used, one.total) for one in made.usages()] == [
        ("cache", 48, 100),
        ("random", 4, 8),
        ("sequential", 112, 992),
    ]
    assert not made.warnings()
    made = parse_status("zoned", "48 zones 0/8 random 3/40 sequential")
    assert (made.zones, made.cache_zones) == (48, None)
    assert "no random zone is free" in made.warnings()[0]
    assert (
        "no cache zone is free" in parse_status("zoned", "48 zones 0/8 cache 1/2 random 3/40 sequential").warnings()[0]
    )
    old = parse_status("zoned", "")
    assert (old.zones, old.drives, old.usages(), old.warnings()) == (None, None, (), ())
    with pytest.raises(StatusError):
        parse_status("zoned", "48 zones 0/8 random 3 sequential")


def test_vdo_status():
    made = parse_status("vdo", "/dev/sda normal - online offline 6552105 976562432")
    assert (made.device, made.mode, made.recovery, made.index, made.compression) == (
        "/dev/sda", "normal", "-", "online", "offline",
    )  # fmt: skip
    assert [(one.what, one.used, one.total) for one in made.usages()] == [("data", 6552105, 976562432)]
    assert not made.warnings()
    for text, words in (
        ("7:0 read-only - online online 5 6", "read-only"),
        ("7:0 recovering recovering online online 5 6", "recovering"),
        ("7:0 normal recovering online online 5 6", "recovering"),
        ("7:0 normal - error online 5 6", "nothing is deduplicated"),
        ("7:0 normal - online online 6 6", "no block is free"),
    ):
        (warning,) = parse_status("vdo", text).warnings()
        assert words in warning


def test_other_status():
    made = parse_status("delay", "3 1 2")
    assert (made.reads, made.writes, made.flushes) == (3, 1, 2)
    assert parse_status("delay", "3 1").flushes is None
    made = parse_status("dust", "252:17 fail_read_on_bad_block quiet")
    assert (made.device, made.reads, made.logging) == ("252:17", "fail_read_on_bad_block", "quiet")
    assert parse_status("dust", "252:17 bypass").logging is None
    made = parse_status("log-writes", "15 1055")
    assert (made.entries, made.last_sector, made.logging_disabled, made.warnings()) == (15, 1055, False, ())
    made = parse_status("log-writes", "0 129 logging_disabled")
    assert made.logging_disabled is True and len(made.warnings()) == 1
