# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel as the judge of dmctl.check: it must refuse what is called an error, and find fault where we do."""

import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dmctl.check import ERROR, DeviceFacts, Finding, check, device_facts
from dmctl.table import Table
from guests.fixtures import Command
from guests.loop import Disk

MIB = 1 << 20
DIGEST = "00" * 32
KEY = "00112233445566778899aabbccddeeff"
# No udev, which would read from hundreds of devices, some of them slow on purpose: libdevmapper makes the nodes.
ENV = {"DM_DISABLE_UDEV": "1"}
# Targets that load only with their algorithms.
MODULES = ("dm-crypt", "aes", "cbc", "ecb", "dm-verity", "sha256_generic", "dm-integrity", "crc32c", "hmac")

# {a} {b} {c}: 16 MiB; {k} {m}: 16 MiB with blocks of 4 KiB and 2 KiB; {s}: 1 MiB.
VALID = r"""
0 2048 zero
0 2048 error
0 2048 error {a} 0
0 18014398509481983 zero
0 2048 linear {a} 384
0 2048 linear {hex} 0
0 8 linear 7:99 0
0 2048 linear {k} 8
0 32768 linear {a} 0
0 2048 linear {a} 18446744073709551616
0 2048 striped 2 64 {a} 0 {b} 64
0 1026 striped +2 3 {a} 0 {b} 0
0 2048 unstriped 2 128 0 {a} 0
0 2048 unstriped 2 128 2 {a} 0
0 2048 unstriped 1 128 7 {a} 0
0 2040 unstriped 2 60 1 {a} 0
0 2048 delay {a} 0 500
0 2048 delay {a} 0 4294967296
0 2048 delay {a} 0 0 {b} 0 400
0 2048 delay {a} 0 50 {b} 0 100 {c} 0 333
0 2048 flakey {a} 0 60 5
0 2048 flakey {a} 0 60 5 0 words that nobody reads
0 2048 flakey {a} 0 60 5 1 drop_writes
0 2048 flakey {a} 0 60 5 5 corrupt_bio_byte 32 r 1 0
0 2048 flakey {a} 0 60 5 5 corrupt_bio_byte 224 W 0 32
0 2048 dust {a} 0 512
0 2048 dust {a} 0 1048576
0 2048 log-writes {a} {b}
0 2048 log-writes {a} {b} word
0 2048 snapshot-origin {a}
0 2048 snapshot {a} {b} P 16
0 2048 snapshot {a} {b} pox 8
0 2048 snapshot {a} {b} P 0
0 2048 snapshot {a} {b} NX 8 2 discard_zeroes_cow discard_passdown_origin
0 2048 snapshot {a} {k} N 8
0 2048 mirror core 1 1024 2 {a} 0 {b} 0
0 2048 mirror core 1 2048 2 {a} 0 {b} 0 0
0 2048 mirror core 2 64 nosync 2 {a} 0 {b} 0 1 handle_errors
0 2048 mirror core 2 64 nosync 3 {a} 0 {b} 0 {c} 0 2 keep_log handle_errors
0 2048 mirror disk 2 {c} 64 2 {a} 0 {b} 0
0 2048 switch 2 63 0 {a} +0 {b} 0
0 2048 multipath 0 0 1 1 round-robin 0 2 1 {a} 1000 {b} 1000
0 2048 multipath 0 0 0 0
0 2048 multipath 0 0 1 2 round-robin 0 1 1 {a} 1
0 2048 multipath 1 queue_if_no_path 0 2 1 round-robin 0 1 1 {a} 1 service-time 0 1 2 {b} 1 1
0 2048 raid raid1 1 0 2 - {a} - {b}
0 2048 raid raid1 2 0 nosync 2 - {a} - {b} word
0 2048 thin-pool {a} {b} 128 32768
0 64 thin-pool {a} {b} +128 0 1 SKIP_block_zeroing word
0 2048 cache {c} {b} {a} 512 1 writeback default 0
0 2048 cache {c} {b} {a} 64 2 passthrough metadata2 smq 0 word
0 2048 writecache s {a} {b} 4096 0
0 2048 writecache s {a} {b} 512 2 high_watermark 50
0 2048 era {c} {a} 8
0 2048 era {c} {a} 24
0 65536 era {c} {a} 128
0 2048 era {c} {a} 4294967304
0 2048 clone {c} {b} {a} 8
0 2048 clone {c} {b} {s} 8 1 no_hydration 2 hydration_threshold 1
0 2048 crypt aes-cbc-plain64 {key} 0 {a} 0
0 2048 crypt aes-cbc-plain64 {key}z 0 {a} 0
0 2048 crypt aes-cbc-plain64 {key} 8 {a} 8 2 allow_discards sector_size:4096
0 2048 crypt cipher_null-ecb - 0 {a} 0
0 8 integrity {a} 0 - J 1 internal_hash:crc32c
0 8 integrity {a} 0 4 J 2 block_size:4096 internal_hash:crc32c
0 8 integrity {a} 0 32 D 0
0 8 integrity {a} 0 - J 1 internal_hash:hmac(sha256):0a1B
0 8 integrity {a} 0 - J 1 internal_hash:hmac(sha256):
0 8 zero\n8 8 linear {a} 0
0 4 linear {a} 0\n4 4 linear {b} 4\n8 8 linear {k} 0
0 2 zero\n2 4 linear {m} 0\n6 2 zero\n8 8 linear {k} 0
""".strip().split("\n")

VALID_READ_ONLY = r"""
0 2048 verity 1 {a} {b} 4096 4096 256 1 sha256 {digest} 1234
0 2048 verity 1 {a} {b} 4096 65536 300 1 sha256 {digest} -
0 1024 verity 1 {a} {b} 4096 4096 128 4095 sha256 {digest} -
0 2048 verity 0 {a} {k} 512 4096 2048 1 sha256 {digest} - 1 ignore_corruption
""".strip().split("\n")

REFUSED = r"""
8 8 zero
0 8 zero\n16 8 zero
0 8 zero\n4 8 zero
0 0 zero
0 18014398509481984 zero
0 -1 zero
0 8 nosuchtarget
0 8 nosuchtargetatall
0 8 zero 0
0 8 linear {a}
0 8 linear {a} 0 1
0 8 linear {a} +0
0 8 linear {a} 0x0
0 8 linear {a} -0
0 8 linear /dev/nowhere 0
0 8 linear /dev/null 0
0 8 linear /proc/version 0
0 8 linear 5000:0 0
0 8 linear {dm}:1048575 0
0 8 linear 0 {a}
0 8 linear 64 0
0 8 linear {a} 32761
0 8 linear {a} 32768
0 8 linear {k} 4
0 9 linear {k} 0
0 4 linear {a} 0\n4 8 linear {k} 0
0 8 linear {k} 0\n8 4 linear {a} 0
0 4 linear {a} 0\n4 8 linear {k} 0\n12 4 zero
0 8 striped 0 8
0 9 striped 2 1 {a} 0 {b} 0
0 8 striped 2 8 {a} 0 {b} 0
0 16 striped 2 8 {a} 0
0 4112 striped 2 8 {a} 0 {s} 0
0 16 unstriped 2 8 3 {a} 0
0 16 unstriped 2 3 0 {a} 0
0 16 delay {a} 0
0 16 delay {a} 0 0 {b}
0 16 flakey {a} 0 5
0 16 flakey {a} 0 0 0
0 16 flakey {a} 0 4294967295 1
0 16 flakey {a} 0 1 1 2 drop_writes
0 16 flakey {a} 0 1 1 2 drop_writes DROP_WRITES
0 16 flakey {a} 0 1 1 2 drop_writes error_writes
0 16 flakey {a} 0 1 1 6 drop_writes corrupt_bio_byte 1 w 0 0
0 16 flakey {a} 0 1 1 6 error_writes corrupt_bio_byte 1 w 0 0
0 16 flakey {a} 0 1 1 4 corrupt_bio_byte 1 r 0
0 16 flakey {a} 0 1 1 4 corrupt_bio_byte 1 r 0 0
0 16 flakey {a} 0 1 1 5 corrupt_bio_byte 0 r 0 0
0 16 flakey {a} 0 1 1 5 corrupt_bio_byte 1 x 0 0
0 16 flakey {a} 0 1 1 5 corrupt_bio_byte 1 r 256 0
0 16 dust {a} 0 768
0 16 dust {a} 0 256
0 16 dust {a} 0 16384
0 16 log-writes {a}
0 16 snapshot {a} {a} N 8
0 16 snapshot {a} {b} X 8
0 16 snapshot {a} {b} PX 8
0 16 snapshot {a} {b} N 0
0 16 snapshot {a} {b} N 12
0 16 snapshot {a} {k} N 4
0 4 snapshot {a} {k} N 8
0 16 snapshot {a} {b} N 4194304
0 16 snapshot {a} {b} N 8 3 a b c
0 16 snapshot {a} {b} N 8 1 discard_passdown_origin
0 16 snapshot-origin {a} 0
0 65536 snapshot-origin {a}
0 64 mirror core 1 48 2 {a} 0 {b} 0
0 64 mirror core 1 1 2 {a} 0 {b} 0
0 64 mirror core 1 128 2 {a} 0 {b} 0
0 64 mirror core 0 2 {a} 0 {b} 0
0 64 mirror core 3 64 nosync x 2 {a} 0 {b} 0
0 64 mirror core 2 64 maybe 2 {a} 0 {b} 0
0 64 mirror disk 1 {c} 2 {a} 0 {b} 0
0 64 mirror core 1 64 1 {a} 0
0 64 mirror core 1 64 2 {a} 0 {b}
0 64 mirror core 1 64 2 {a} 0 {b} 0 1 x
0 64 mirror core 1 64 2 {a} 0 {b} 0 1 keep_log
0 64 mirror core 1 64 2 {a} 0 {b} 0 0 x
0 64 switch 0 64 0
0 64 switch 1 64 1 x {a} 0
0 64 switch 2 64 0 {a} 0
0 64 multipath 0 0 0 1
0 64 multipath 0 0 1 0 round-robin 0 1 1 {a} 1
0 64 multipath 0 0 2 1 round-robin 0 1 1 {a} 1
0 64 multipath 0 0 1 1 round-robin 0 2 1 {a} 1 {b}
0 64 multipath 0 0 1 1 round-robin 0 1 0 {a} 1
0 64 raid raid1 1 0 2 - {a} -
0 64 raid raid1 1 0 254 - {a} - {b}
0 64 raid raid1 1 0 2 - {a} - /dev/nowhere
0 64 raid raid1 1 0 2 - {a} {b} -
0 64 thin-pool {a} {a} 128 0
0 64 thin-pool {a} {b} 64 0
0 64 thin-pool {a} {b} 192 0
0 64 thin-pool {a} {b} 4194304 0
0 64 thin-pool {a} {b} 128 18446744073709551616
0 64 thin-pool {a} {b} 128 0 2 skip_block_zeroing
0 64 thin-pool {a} {b} 128 0 5 skip_block_zeroing skip_block_zeroing ignore_discard read_only error_if_no_space
0 4096 thin-pool {a} {s} 128 0
0 64 thin-pool {a} {b} 128 0\n64 8 zero
0 8 zero\n8 64 thin-pool {a} {b} 128 0
0 64 thin {a} 16777216
0 64 thin {a} 0 {a}
0 64 cache {a} {b} {c} 96 0 smq 0
0 64 cache {a} {b} {c} 32 0 smq 0
0 64 cache {a} {s} {c} 4096 0 smq 0
0 64 cache {a} {b} {c} 64 2 writeback passthrough smq 0
0 64 cache {a} {b} {c} 64 4 metadata2 metadata2 metadata2 metadata2 smq 0
0 64 cache {a} {b} {c} 64 0 smq 1 x
0 64 cache {a} {b} {c} 64 0
0 64 cache {a} {b} {c} 64
0 4096 cache {a} {b} {s} 64 0 smq 0
0 64 writecache x {a} {b} 4096 0
0 64 writecache s {a} {b} 4096
0 64 writecache s {a} {b} 768 0
0 64 writecache s {a} {b} 8192 0
0 64 writecache s {a} {k} 512 0
0 60 writecache s {a} {b} 4096 0
0 64 era {a} {b} 12
0 64 era {a} {b} 4
0 64 era {a} {b} +8
0 64 era {a} {b}
0 64 clone {a} {b} {c} 24
0 64 clone {a} {b} {c} 4
0 4096 clone {a} {b} {s} 8
0 64 clone {a} {b} {c} 8 0 1 x
0 64 clone {a} {b} {c} 8 3 no_hydration no_hydration no_hydration
0 64 clone {a} {b} {c} 8 0 2 hydration_threshold x
0 64 crypt aes-cbc-plain64 {key} 0 {a}
0 64 crypt aes-cbc-plain64 z{key} 0 {a} 0
0 64 crypt aes-cbc-plain64 a 0 {a} 0
0 64 crypt aes-cbc-plain64 :16 0 {a} 0
0 64 crypt aes-cbc-plain64 :x:user:k 0 {a} 0
0 64 crypt aes-cbc-plain64 {key} 0 {a} 0 2 allow_discards
0 64 crypt aes-cbc-plain64 {key} 4 {a} 0 1 sector_size:4096
0 60 crypt aes-cbc-plain64 {key} 0 {a} 0 1 sector_size:4096
0 64 crypt aes-cbc-plain64 {key} 0 {a} 4 1 sector_size:4096
0 64 crypt aes-cbc-plain64 {key} 0 {a} 0 1 sector_size:768
0 64 crypt aes-cbc-plain64 {key} 0 {a} 0 1 sector_size:8192
0 64 crypt aes-cbc-plain64 {key} 0 {a} 0 1 sector_size:x
0 65536 crypt aes-cbc-plain64 {key} 0 {a} 0
0 8 integrity {a} 0 - J 0
0 8 integrity {a} 0 - J 1 internal_hash:hmac(sha256):0a1
0 8 integrity {a} 0 - J 1 internal_hash:hmac(sha256):0g
0 8 integrity {a} 0 0 J 0
0 8 integrity {a} 0 4 X 0
0 8 integrity {a} 0 4 J
0 8 integrity {a} 0 4 J 2 internal_hash:crc32c
0 9 integrity {a} 0 4 J 2 block_size:4096 internal_hash:crc32c
0 8 integrity {a} 0 4 J 1 block_size:8192
0 8 integrity {a} 0 4 J 1 block_size:768
""".strip().split("\n")

REFUSED_READ_ONLY = r"""
0 8 verity 2 {a} {b} 4096 4096 1 1 sha256 {digest} -
0 8 verity 1 {a} {b} 3000 4096 1 1 sha256 {digest} -
0 8 verity 1 {a} {b} 8192 4096 1 1 sha256 {digest} -
0 8 verity 1 {a} {b} 4096 32 1 1 sha256 {digest} -
0 8 verity 1 {k} {b} 512 4096 8 1 sha256 {digest} -
0 8 verity 1 {a} {k} 512 512 8 1 sha256 {digest} -
0 16 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} -
0 12 verity 1 {a} {b} 4096 4096 2 1 sha256 {digest} -
0 8 verity 1 {a} {b} 4096 4096 1 x sha256 {digest} -
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest}0 -
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} salt
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} abc
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest}
0 16 verity 1 {a} {s} 4096 4096 2 256 sha256 {digest} -
0 1024 verity 1 {a} {b} 4096 4096 128 4096 sha256 {digest} -
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} - 2 ignore_corruption
0 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} -\n8 8 zero
0 8 zero\n8 8 verity 1 {a} {b} 4096 4096 1 1 sha256 {digest} -
""".strip().split("\n")

# What a mutation puts in the place of a word.
WORDS = [
    "0",
    "1",
    "2",
    "3",
    "8",
    "12",
    "64",
    "128",
    "4096",
    "99999",
    "4294967296",
    "+1",
    "-1",
    "x",
    "",
    "-",
    "P",
    "{s}",
]

LENGTHS = ["0", "1", "8", "12", "1024", "2044", "4096", "99999", "-1"]


class Bench:
    """Six disks, and one name under which tables are tried."""

    def __init__(self, disk: Callable[..., Disk], dmsetup: Command, prefix: str):
        self._dmsetup = dmsetup
        self._name = f"{prefix}check"
        self._disks = [
            *(disk(16 * MIB), disk(16 * MIB), disk(16 * MIB)),
            *(disk(16 * MIB, sector_size=4096), disk(16 * MIB, sector_size=2048), disk(MIB)),
        ]
        self._devices = dict(zip("abckms", (made.path for made in self._disks), strict=True))
        major, minor = map(int, self._disks[0].devno.split(":"))
        self._devices["hex"] = f"0x{major << 8 | minor:x}"
        drivers = Path("/proc/devices").read_text().partition("Block devices:")[2].split()
        self._devices["dm"] = drivers[drivers.index("device-mapper") - 1]
        # The kernel starts udevd's modprobe by itself, so every target that can be loaded is there.
        for name in {line.split()[2] for line in VALID + VALID_READ_ONLY}:
            subprocess.run(["modprobe", "-q", f"dm-{name}"], check=False)
        self.targets = {line.split()[0] for line in dmsetup("targets").text.splitlines()}

    def text(self, template: str) -> str:
        return template.replace("\\n", "\n").format(**self._devices, key=KEY, digest=DIGEST)

    def findings(self, text: str) -> list[Finding]:
        return check(Table.parse(text), targets=self.targets, loadable=lambda name: False)

    def accepted(self, text: str, *, read_only: bool = False) -> bool:
        """Whether the kernel takes the table, on disks that have no metadata."""
        for disk in self._disks:
            with open(disk.path, "r+b") as file:
                file.write(bytes(MIB // 4))
                os.fsync(file.fileno())
        options = ["--readonly"] if read_only else []
        created = self._dmsetup("create", self._name, *options, stdin=os.fsencode(text), env=ENV)
        if created.status == 0:
            removed = self._dmsetup("remove", "--retry", self._name, env=ENV)
            assert removed.status == 0, removed
        return created.status == 0


pytestmark = pytest.mark.usefixtures("no_udev")


@pytest.fixture
def bench(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> Bench:
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=False)
    return Bench(disk, dmsetup, prefix)


def both(writable: list[str], read_only: list[str]) -> Iterator[tuple[str, bool]]:
    yield from ((template, False) for template in writable)
    yield from ((template, True) for template in read_only)


def test_valid_tables(bench: Bench) -> None:
    wrong = []
    for template, read_only in both(VALID, VALID_READ_ONLY):
        text = bench.text(template)
        errors = [finding for finding in bench.findings(text) if finding.severity == ERROR]
        if errors or not bench.accepted(text, read_only=read_only):
            wrong.append((text, errors))
    assert wrong == []


def test_refused_tables(bench: Bench) -> None:
    wrong = []
    for template, read_only in both(REFUSED, REFUSED_READ_ONLY):
        text = bench.text(template)
        accepted = bench.accepted(text, read_only=read_only)
        if accepted or not any(finding.severity == ERROR for finding in bench.findings(text)):
            wrong.append((text, "accepted" if accepted else "not found"))
    assert wrong == []


def mutations(count: int) -> Iterator[tuple[str, bool]]:
    """Valid tables with words changed, dropped, doubled or swapped, the same ones each time."""
    chance = random.Random(20)
    sources = list(both(VALID, VALID_READ_ONLY))
    for number in range(count):
        template, read_only = sources[number % len(sources)]
        words = template.split(" ")
        if "\\n" in template:
            continue
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(1, len(words))
            match chance.randrange(4):
                case 0 if at > 2:
                    words[at : at + 1] = []
                case 1:
                    words.insert(at, words[at])
                case 2 if at > 3:
                    words[at - 1], words[at] = words[at], words[at - 1]
                case _ if at != 2:
                    words[at] = chance.choice(WORDS if at > 2 else LENGTHS)
        yield " ".join(words), read_only


def test_mutated_tables(bench: Bench) -> None:
    """Whatever the table, what is called an error is refused. (That all refused ones are found is not promised.)"""
    accepted = refused = found = 0
    wrong = []
    for template, read_only in mutations(280):
        text = bench.text(template)
        errors = [finding for finding in bench.findings(text) if finding.severity == ERROR]
        if bench.accepted(text, read_only=read_only):
            accepted += 1
            if errors:
                wrong.append((text, errors))
        else:
            refused += 1
            found += bool(errors)
    assert wrong == []
    # The test has teeth: many of either kind, and most mistakes are found.
    assert accepted > 40
    assert refused > 100
    assert found > refused * 0.7


def test_thin(bench: Bench, dmsetup: Command, prefix: str) -> None:
    pool = f"{prefix}pool"
    assert dmsetup("create", pool, "--table", bench.text("0 16384 thin-pool {a} {b} 128 0"), env=ENV).status == 0
    try:
        assert dmsetup("message", pool, "0", "create_thin 0", env=ENV).status == 0
        for params, valid in (
            ("0", True),
            ("+0", True),
            (bench.text("0 {c}"), True),
            ("16777216", False),
            ("x", False),
            (f"0 /dev/mapper/{pool}", False),
            ("", False),
        ):
            text = f"0 2048 thin /dev/mapper/{pool} {params}"
            errors = [finding for finding in bench.findings(text) if finding.severity == ERROR]
            created = dmsetup("create", f"{prefix}thin", "--table", text, env=ENV)
            if created.status == 0:
                dmsetup("remove", "--retry", f"{prefix}thin", env=ENV)
            assert (created.status == 0, errors == []) == (valid, valid), text
    finally:
        dmsetup("remove", "--retry", pool, env=ENV)


def test_empty_table(dmsetup: Command, prefix: str) -> None:
    assert [finding.code for finding in check(Table())] == ["empty-table"]
    assert dmsetup("create", f"{prefix}none", "--notable", env=ENV).status == 0
    loaded = dmsetup("load", f"{prefix}none", "/dev/null", env=ENV)
    dmsetup("remove", f"{prefix}none", env=ENV)
    assert loaded.status == 1


def test_facts_of_a_mapped_device(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    under = disk(MIB, sector_size=4096)
    name = f"{prefix}facts"
    table = f"0 1024 linear {under.devno} 0"
    assert dmsetup("create", name, "--readonly", "--table", table, env=ENV).status == 0
    try:
        assert device_facts(f"/dev/mapper/{name}") == DeviceFacts(1024, 4096, True)
    finally:
        dmsetup("remove", "--retry", name, env=ENV)
    assert device_facts(f"/dev/mapper/{name}") is None


def test_facts_of_a_partition(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("xb") as file:
        file.truncate(4 * MIB)
    run = subprocess.run(
        ["losetup", "--partscan", "--sector-size", "4096", "--find", "--show", image],
        capture_output=True,
        text=True,
        check=True,
    )
    path = run.stdout.strip()
    try:
        subprocess.run(["addpart", path, "1", "2048", "1024"], check=True)
        assert device_facts(f"{path}p1") == DeviceFacts(1024, 4096)
        # Without a node: kernels before 6.5 know the name all the same.
        os.unlink(f"{path}p1")
        assert device_facts(f"{path}p1") == DeviceFacts(0)
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)
