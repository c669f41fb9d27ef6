# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lines of the kernel's documentation mean, and what is told of each state."""

import re

import pytest

from dmctl.targets import ParamsError, StatusError, Usage, parse_params, parse_status
from dmctl.targets.cache import CacheArguments, CacheStatus, PolicyOption
from dmctl.targets.clone import CloneArguments
from dmctl.targets.era import EraArguments, EraStatus
from dmctl.targets.thin import ThinArguments, ThinStatus
from dmctl.targets.thin_pool import ThinPoolArguments, ThinPoolStatus
from dmctl.targets.writecache import WritecacheArguments, WritecacheStatus

POOL = "0 10/1024 3/256 - rw discard_passdown queue_if_no_space - 100"
CLONE = "8 6/4096 8 5/4096 2 1 no_hydration 4 hydration_threshold 7 hydration_batch_size 3 rw"
CACHE = "8 65/1024 128 40/64 1 2 3 4 5 6 7 1 writeback 2 migration_threshold 2048 smq 0 rw -"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            "/dev/mapper/metadata /dev/mapper/ssd /dev/mapper/origin 512 1 writeback default 0",
            CacheArguments("/dev/mapper/metadata", "/dev/mapper/ssd", "/dev/mapper/origin", 512, "writeback"),
        ),
        (
            "m c o 512 0 mq 4 sequential_threshold 1024 MIGRATION_threshold +8",
            CacheArguments(
                *("m", "c", "o", 512, "writeback"),
                policy="mq",
                migration_threshold_sectors=8,
                policy_options=(PolicyOption("sequential_threshold", "1024"),),
            ),
        ),
        ("m d s 8 1 no_hydration", CloneArguments("m", "d", "s", 8, no_hydration=True)),
        (
            "m d s 8 0 2 hydration_threshold 256",
            CloneArguments("m", "d", "s", 8, hydration_threshold_regions=256),
        ),
        (
            "m d s 8 1 no_discard_passdown 2 hydration_batch_size 4",
            CloneArguments("m", "d", "s", 8, no_discard_passdown=True, hydration_batch_size_regions=4),
        ),
        ("m o 8", EraArguments("m", "o", 8)),
        ("/dev/mapper/pool 1", ThinArguments("/dev/mapper/pool", 1)),
        ("/dev/mapper/pool 0 /dev/image", ThinArguments("/dev/mapper/pool", 0, "/dev/image")),
        ("m d 128 32768", ThinPoolArguments("m", "d", 128, 32768)),
        (
            "m d 128 0 2 skip_block_zeroing error_if_no_space",
            ThinPoolArguments("m", "d", 128, skip_block_zeroing=True, error_if_no_space=True),
        ),
        (
            "p o c 4096 3 nofua autocommit_time 500",
            WritecacheArguments("p", "o", "c", 4096, autocommit_time_ms=500, fua="off"),
        ),
        (
            # As version 1.3 of the target prints it.
            "s o c 4096 3 high_watermark 60 max_age 5000 cleaner",
            WritecacheArguments(
                "s", "o", "c", 4096, high_watermark_percent=60, max_age_ms=5000, cleaner=True
            ),
        ),
        (
            "s o c 4096 2 high_watermark 60 max_age",
            WritecacheArguments("s", "o", "c", 4096, high_watermark_percent=60),
        ),
    ],
)  # fmt: skip
def test_meaning(text, meaning):
    assert parse_params(meaning.target, text) == meaning


@pytest.mark.parametrize(
    ("target", "text", "part"),
    [
        ("cache", "m c o 64 1 writeheaven smq 0", "writeheaven"),
        ("cache", "m c o 64 1 writeback smq 1 key", "value is missing"),
        ("cache", "m c o 63 0 smq 0", "block_sectors must be 64"),
        ("cache", "m c o 64 0", "policy is missing"),
        ("clone", "m d s 8 1 no_hydrant", "no_hydrant"),
        ("clone", "m d s 8 0 2 hydration 4", "'hydration'"),
        ("clone", "m d s 8 0 1 hydration_threshold", "hydration_threshold_regions is missing"),
        ("clone", "m d s +8", "region_sectors"),  # not in this place
        ("era", "m o 8 8", "too many"),
        ("era", "m o 4", "block_sectors must be 8"),
        ("thin", "p 16777216", "device_id must be"),
        ("thin", "p ++1", "device_id must be a number"),
        ("thin", "p 1 o word", "too many"),
        ("thin", "Fail", "pool has failed"),
        ("thin-pool", "m d 128 0 1 read_write", "read_write"),
        ("thin-pool", "m d 128 0 2 read_only", "2 features are announced"),
        ("writecache", "x o c 4096 0", "kind"),
        ("writecache", "s o c 4096 1 max_age 5", "value of max_age"),
        ("writecache", "s o c 4096 1 word", "'word'"),
        ("writecache", "s o c 4096 3 cleaner", "3 options are announced"),
        ("writecache", "s o c 4096 2 high_watermark 101", "high_watermark_percent must be"),
        ("writecache", "s o c 4096 2 pause_writeback 60001", "pause_writeback_ms must be"),
    ],
)
def test_refused(target, text, part):
    with pytest.raises(ParamsError, match=part.replace("+", r"\+")):
        parse_params(target, text)


def test_policy_option():
    assert PolicyOption.parse("random_threshold=4") == PolicyOption("random_threshold", "4")
    with pytest.raises(ValueError, match="KEY=VALUE"):
        PolicyOption.parse("random_threshold")
    with pytest.raises(ParamsError, match="no option of the policy"):
        PolicyOption("Migration_Threshold", "4")


def test_devices():
    assert parse_params("thin", "p 1 o").devices() == ("p", "o")
    assert parse_params("thin-pool", "m d 128 0").devices() == ("m", "d")
    assert parse_params("cache", "m c o 64 0 smq 0").devices() == ("m", "c", "o")
    assert parse_params("clone", "m d s 8").devices() == ("m", "d", "s")
    assert parse_params("writecache", "s o c 512 0").devices() == ("o", "c")


def test_lengths():
    sizes = {"data": 3, "origin": 5, "source": 7}.__getitem__
    assert parse_params("thin-pool", "m data 128 0").default_length_sectors(sizes) == 3
    assert parse_params("cache", "m c origin 64 0 smq 0").default_length_sectors(sizes) == 5
    assert parse_params("writecache", "s origin c 512 0").default_length_sectors(sizes) == 5
    assert parse_params("era", "m origin 8").default_length_sectors(sizes) == 5
    assert parse_params("clone", "m d source 8").default_length_sectors(sizes) == 7
    assert parse_params("thin", "p 1 origin").default_length_sectors(sizes) is None


def test_pool_status():
    assert parse_status("thin-pool", POOL) == ThinPoolStatus(
        transaction_id=0,
        metadata_used_blocks=10,
        metadata_total_blocks=1024,
        data_used_blocks=3,
        data_total_blocks=256,
        held_root_block=None,
        mode="rw",
        discard="discard_passdown",
        no_space="queue_if_no_space",
        needs_check=False,
        metadata_low_water_blocks=100,
    )
    old = parse_status("thin-pool", "7 10/1024 3/256 5")
    assert (old.held_root_block, old.mode, old.needs_check, old.metadata_low_water_blocks) == (5, None, None, None)
    # No number that stands in the place of a later word is taken for what comes after that word.
    assert parse_status("thin-pool", "7 10/1024 3/256 5 rw 100").extra == ("100",)


def test_other_status():
    assert parse_status("thin", "384 895") == ThinStatus(mapped_sectors=384, highest_sector=895)
    assert parse_status("thin", "0 -") == ThinStatus(mapped_sectors=0)
    assert parse_status("era", "8 22/4096 3 49") == EraStatus(
        metadata_block_sectors=8, metadata_used_blocks=22, metadata_total_blocks=4096, era=3, held_root_block=49
    )
    cache = parse_status("cache", CACHE)
    assert isinstance(cache, CacheStatus)
    assert (cache.read_hits, cache.read_misses, cache.write_hits, cache.write_misses) == (1, 2, 3, 4)
    assert (cache.demotions, cache.promotions, cache.dirty_blocks) == (5, 6, 7)
    writecache = parse_status("writecache", "-5 100 40 3 1 2 3 4 5 6 7 8 9 10")
    assert isinstance(writecache, WritecacheStatus)
    assert (writecache.error, writecache.total_blocks, writecache.free_blocks) == (-5, 100, 40)
    assert writecache.writeback_blocks == 3
    assert (writecache.reads, writecache.writes_around, writecache.discards) == (1, 6, 10)
    assert parse_status("writecache", "0 100 40 3").reads is None
    assert parse_status("writecache", "0 100 40 3 7 8").extra == ("7", "8")


def test_usages():
    assert parse_status("thin-pool", POOL).usages() == (
        Usage("data", 3, 256, "blocks"),
        Usage("metadata", 10, 1024, "blocks"),
    )
    assert parse_status("clone", CLONE).usages() == (
        Usage("hydrated", 5, 4096, "regions", progress=True),
        Usage("metadata", 6, 4096, "blocks"),
    )
    assert parse_status("cache", CACHE).usages() == (
        Usage("cache", 40, 64, "blocks"),
        Usage("metadata", 65, 1024, "blocks"),
    )
    assert parse_status("writecache", "0 100 40 3").usages() == (Usage("cache", 60, 100, "blocks"),)
    assert parse_status("era", "8 22/4096 3 49").usages() == (Usage("metadata", 22, 4096, "blocks"),)
    assert parse_status("thin", "384 895").usages() == parse_status("thin-pool", "Fail").usages() == ()


@pytest.mark.parametrize(
    ("target", "text", "warnings"),
    [
        ("thin-pool", POOL, []),
        ("thin-pool", POOL.replace("rw", "ro"), ["read-only"]),
        ("thin-pool", POOL.replace(" - 100", " needs_check 100"), ["checked and repaired"]),
        ("thin-pool", POOL.replace("3/256", "256/256"), ["no data block is free$"]),
        ("thin-pool", POOL.replace("rw", "out_of_data_space"), ["a write has needed one"]),
        ("thin-pool", POOL.replace("10/1024", "924/1024"), ["^100 metadata blocks are free"]),
        ("thin-pool", POOL.replace("10/1024", "923/1024"), []),
        ("thin-pool", POOL.replace("10/1024", "1024/1024"), ["no metadata block"]),
        ("thin-pool", "Fail", ["has failed"]),
        ("thin-pool", "Error", ["cannot read"]),
        ("thin", "Fail", ["has failed"]),
        ("thin", "0 -", []),
        ("cache", CACHE, []),
        ("cache", CACHE.replace("rw -", "ro needs_check"), ["read-only", "checked and repaired"]),
        ("cache", CACHE.replace("65/1024", "1024/1024"), ["no metadata block"]),
        ("cache", CACHE.replace("40/64", "64/64"), []),
        ("clone", CLONE, ["nothing is copied"]),
        ("clone", CLONE.replace("1 no_hydration", "0"), []),
        ("clone", CLONE.replace("5/4096", "4096/4096"), []),
        ("clone", CLONE.replace("1 no_hydration", "0").replace("rw", "ro"), ["read-only"]),
        ("clone", CLONE.replace("1 no_hydration", "0").replace("rw", "Fail"), ["has failed"]),
        ("era", "8 22/22 3 -", ["no metadata block"]),
        ("writecache", "0 100 0 0", []),
        ("writecache", "1 100 0 0", ["I/O error"]),
    ],
)
def test_warnings(target, text, warnings):
    found = parse_status(target, text).warnings()
    assert len(found) == len(warnings), found
    assert all(re.search(part, one) for part, one in zip(warnings, found, strict=True)), found


def test_clone_fails_while_asked():
    status = parse_status("clone", CLONE.replace("rw", "Fail"))
    assert (status.state, status.mode, status.hydrated_regions) == ("fail", None, 5)


def test_words_of_later_kernels():
    status = parse_status("cache", CACHE.replace("1 writeback", "2 writeback frozen") + " 7")
    assert (status.mode, status.extra) == ("writeback", ("frozen", "7"))
    status = parse_status("clone", CLONE.replace("1 no_hydration", "2 no_haste no_hydration"))
    assert (status.no_hydration, status.extra) == (True, ("no_haste",))
    status = parse_status("clone", CLONE.replace("4 hydration", "6 pace 9 hydration"))
    assert (status.hydration_threshold_regions, status.extra) == (7, ("pace", "9"))


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("thin-pool", "0 10/1024 3 -"),
        ("thin-pool", "0 10/1024 3/256"),
        ("thin", "384"),
        ("thin", "384 x"),
        ("cache", CACHE.replace("rw", "wr")),
        ("cache", CACHE.replace("smq 0", "smq 1")),
        ("cache", CACHE.replace("smq 0", "smq 1 key")),
        ("clone", CLONE.replace("4 hyd", "5 hyd")),
        ("clone", CLONE.removesuffix("rw")),
        ("era", "8 22/4096 3"),
        ("writecache", "0 100 40"),
        ("writecache", "--5 100 40 3"),
    ],
)
def test_no_status(target, text):
    with pytest.raises(StatusError):
        parse_status(target, text)
