# SPDX-License-Identifier: LGPL-2.1-or-later
"""Findings: each with its line, column and code. Whether the kernel agrees is for tests/kernel/test_check.py."""

import pytest

from dmctl.check import ERROR, WARNING, DeviceFacts, Finding, check, format_findings
from dmctl.check.shapes import SHAPES
from dmctl.table import Line, Table

SIZE = 1 << 20
DIGEST = "00" * 32
# /dev/a to /dev/c are alike, /dev/k has blocks of 4 KiB, /dev/m of 2 KiB, /dev/h of 64 KiB, /dev/s is small,
# /dev/ro read-only, and /dev/? is not to be seen.
DEVICES = {
    **dict.fromkeys(["/dev/a", "/dev/b", "/dev/c", "7:0"], DeviceFacts(SIZE)),
    "/dev/k": DeviceFacts(SIZE, 4096),
    "/dev/m": DeviceFacts(SIZE, 2048),
    "/dev/h": DeviceFacts(SIZE, 65536),
    "/dev/s": DeviceFacts(2048),
    "/dev/ro": DeviceFacts(SIZE, read_only=True),
    "/dev/?": DeviceFacts(0),
}

# One of each form that the kernel's Documentation/admin-guide/device-mapper shows, with devices that exist here.
VALID = (
    """
0 2048 zero
0 2048 error
0 2048 error /dev/a 0
0 2048 linear /dev/a 384
0 2048 striped 2 64 /dev/a 0 /dev/b 64
0 1026 striped 2 3 /dev/a 0 /dev/b 0
0 2048 unstriped 2 128 2 /dev/a 0
0 2048 unstriped 1 128 5 /dev/a 0
0 2048 delay /dev/a 0 500
0 2048 delay /dev/a 0 0 /dev/b 0 400
0 2048 delay /dev/a 0 50 /dev/b 0 100 /dev/c 0 333
0 2048 flakey /dev/a 0 60 5
0 2048 flakey /dev/a 0 60 5 0
0 2048 flakey /dev/a 0 60 5 1 drop_writes
0 2048 flakey /dev/a 0 60 5 5 corrupt_bio_byte 32 r 1 0
0 2048 flakey /dev/a 0 60 5 5 corrupt_bio_byte 224 w 0 32
0 2048 dust /dev/a 0 512
0 2048 dust /dev/a 0 4096
0 16 dust /dev/a 0 8192
0 2048 log-writes /dev/a /dev/b
0 2048 snapshot-origin /dev/a
0 2048 snapshot /dev/a /dev/b P 16
0 2048 snapshot /dev/a /dev/b PO 8
0 2048 snapshot /dev/a /dev/b N 8 2 discard_zeroes_cow discard_passdown_origin
0 2048 snapshot /dev/a /dev/b P 0
0 2048 snapshot-merge /dev/a /dev/b P 16
0 2048 mirror core 1 1024 2 /dev/a 0 /dev/b 0
0 2048 mirror core 2 64 nosync 2 /dev/a 0 /dev/b 0 1 handle_errors
0 2048 mirror disk 2 /dev/c 64 2 /dev/a 0 /dev/b 0
0 2048 mirror userspace 4 uuid clustered-core 64 nosync 2 /dev/a 0 /dev/b 0
0 2048 switch 2 64 0 /dev/a 0 /dev/b +0
0 2048 multipath 0 0 1 1 round-robin 0 2 1 /dev/a 1000 /dev/b 1000
0 2048 multipath 1 queue_if_no_path 0 2 1 round-robin 0 1 1 /dev/a 1 service-time 0 1 2 /dev/b 1 1
0 2048 raid raid4 1 128 3 - /dev/a - /dev/b - -
0 2048 raid raid1 2 0 nosync 2 /dev/c /dev/a - /dev/b
0 2048 thin-pool /dev/a /dev/b 128 32768
0 2048 thin-pool /dev/a /dev/b 128 0 1 skip_block_zeroing
0 2048 thin /dev/a 0
0 2048 thin /dev/a 16777215 /dev/b
0 2048 cache /dev/c /dev/b /dev/a 512 1 writeback default 0
0 2048 cache /dev/c /dev/b /dev/a 1024 1 writeback mq 4 sequential_threshold 1024 random_threshold 8
0 2048 writecache s /dev/a /dev/b 4096 0
0 2048 writecache s /dev/a /dev/b 4096 2 high_watermark 50
0 2048 era /dev/c /dev/a 8192
0 2048 clone /dev/c /dev/b /dev/a 8
0 2048 clone /dev/c /dev/b /dev/a 8 1 no_hydration 2 hydration_threshold 1
0 2048 crypt aes-xts-plain64 babebabebabebabebabebabebabebabebabebabebabebabebabebabebabebabe 0 /dev/a 0
0 2048 crypt capi:cbc(aes)-essiv:sha256 babebabebabebabebabebabebabebabe 8 /dev/a 8 2 allow_discards sector_size:4096
0 2048 crypt aes-gcm-random 00 0 /dev/a 0 2 integrity:28:aead integrity_key_size:32
0 2048 crypt aes-cbc-essiv:sha256 :32:logon:my_prefix:my_key 0 /dev/a 0
0 2048 crypt cipher_null-ecb - 0 /dev/a 0
0 2048 verity 1 /dev/a /dev/b 4096 4096 256 1 sha256 {digest} 1234
0 2048 verity 1 /dev/a /dev/b 4096 4096 256 1 sha256 {digest} - 1 ignore_corruption
0 8 integrity /dev/a 0 - J 1 internal_hash:crc32c
0 8 integrity /dev/a 0 32 D 0
""".replace("{digest}", DIGEST)
    .strip()
    .split("\n")
)


def findings(text: str) -> list[Finding]:
    return check(Table.parse(text), device=DEVICES.get)


def shown(text: str) -> list[tuple[int, str, str]]:
    """Line, marked text and code of each finding."""
    lines = text.split("\n")
    return [(f.line, lines[f.line - 1][f.column - 1 : f.end_column - 1], f.code) for f in findings(text)]


@pytest.mark.parametrize("text", VALID)
def test_valid(text: str) -> None:
    assert findings(text) == []


def test_every_target_has_a_valid_table() -> None:
    assert {text.split()[2] for text in VALID} == set(SHAPES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 8 zero", [(1, "8", "not-at-zero")]),
        ("0 8 zero\n16 8 zero", [(2, "16", "gap")]),
        ("# x\n0 8 zero\n\n +4 8 zero", [(4, "+4", "overlap")]),
        ("0 0 zero", [(1, "0", "zero-length")]),
        ("0 18014398509481983 zero", []),
        ("0 18014398509481984 zero", [(1, "18014398509481984", "too-large")]),
        ("0 -1 zero", [(1, "-1", "too-large")]),
        ("0 8 0123456789abcdef", [(1, "0123456789abcdef", "target-name-too-long")]),
        ("0 8 0123456789abcde", []),
        ("0 2048 thin-pool /dev/a /dev/b 128 0\n2048 8 zero", [(1, "thin-pool", "must-be-alone")]),
        (f"0 8 verity 1 /dev/a /dev/b 4096 4096 1 1 x {DIGEST} -\n8 8 zero", [(1, "verity", "must-be-alone")]),
    ],
)
def test_places(text: str, expected: list[tuple[int, str, str]]) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "0 8 linear /dev/a 1048568",
        "0 4 linear /dev/a 0\n4 4 linear /dev/b 4\n8 8 linear /dev/k 0",
        # The 2 KiB block of the second line is a part of the first 4 KiB, not the rest of them.
        "0 2 zero\n2 4 linear /dev/m 0\n6 2 zero\n8 8 linear /dev/k 0",
    ],
)
def test_good_places(text: str) -> None:
    assert findings(text) == []


def test_offsets_of_targets_with_keys_are_not_shown() -> None:
    assert "from sector 1048569 on" in findings("0 8 linear /dev/a 1048569")[0].message
    assert "from its offset on" in findings("0 8 crypt aes 00 0 /dev/a 1048569")[0].message


def test_empty_table() -> None:
    assert [(f.line, f.column, f.code) for f in findings("# nothing\n")] == [(1, 1, "empty-table")]


@pytest.mark.parametrize(
    ("text", "marked", "code"),
    [
        ("0 8 zero 0", "0", "argument-count"),
        ("0 8 linear /dev/a", "linear", "argument-count"),
        ("0 8 linear /dev/a 0 1 2", "1", "argument-count"),
        ("0 8 linear /dev/a x", "x", "not-a-number"),
        ("0 8 linear /dev/a +0", "+0", "not-a-number"),
        ("0 8 linear /dev/a 0x0", "0x0", "not-a-number"),
        ("0 8 linear /dev/z 0", "/dev/z", "no-device"),
        ("0 8 linear /dev/a 1048569", "/dev/a", "device-too-small"),
        ("0 8 linear /dev/a 1048576", "/dev/a", "device-too-small"),
        ("0 8 linear /dev/k 4", "/dev/k", "misaligned-start"),
        ("0 9 linear /dev/k 0", "/dev/k", "misaligned-length"),
        ("0 4 linear /dev/a 0\n4 8 linear /dev/k 0", "8", "misaligned-line"),
        ("0 8 linear /dev/k 0\n8 4 linear /dev/a 0", "4", "misaligned-line"),
        ("0 4 linear /dev/a 0\n4 8 linear /dev/k 0\n12 4 zero", "8", "misaligned-line"),
        ("0 8 striped 2", "striped", "argument-count"),
        ("0 8 striped 0 8", "0", "out-of-range"),
        ("0 8 striped 2 0 /dev/a 0 /dev/b 0", "0", "out-of-range"),
        ("0 9 striped 2 1 /dev/a 0 /dev/b 0", "9", "bad-length"),
        ("0 8 striped 2 8 /dev/a 0 /dev/b 0", "8", "bad-length"),
        ("0 16 striped 2 8 /dev/a 0", "striped", "argument-count"),
        ("0 4096 striped 2 8 /dev/a 0 /dev/s 8", "/dev/s", "device-too-small"),
        ("0 16 unstriped 2 8 3 /dev/a 0", "3", "out-of-range"),
        ("0 16 unstriped 2 3 0 /dev/a 0", "16", "bad-length"),
        ("0 16 delay /dev/a 0", "delay", "argument-count"),
        ("0 16 delay /dev/a 0 0 /dev/b", "delay", "argument-count"),
        ("0 16 flakey /dev/a 0 0 0", "0", "out-of-range"),
        ("0 16 flakey /dev/a 0 4294967295 1", "1", "out-of-range"),
        ("0 16 flakey /dev/a 0 1 1 2 drop_writes", "2", "argument-count"),
        ("0 16 flakey /dev/a 0 1 1 2 drop_writes DROP_WRITES", "DROP_WRITES", "option-conflict"),
        ("0 16 flakey /dev/a 0 1 1 2 drop_writes error_writes", "error_writes", "option-conflict"),
        ("0 16 flakey /dev/a 0 1 1 3 corrupt_bio_byte 1 r", "corrupt_bio_byte", "argument-count"),
        ("0 16 flakey /dev/a 0 1 1 5 corrupt_bio_byte 0 r 0 0", "0", "out-of-range"),
        ("0 16 flakey /dev/a 0 1 1 5 corrupt_bio_byte 1 x 0 0", "x", "unknown-option"),
        ("0 16 flakey /dev/a 0 1 1 5 corrupt_bio_byte 1 r 256 0", "256", "out-of-range"),
        ("0 16 dust /dev/a 0 768", "768", "block-size"),
        ("0 16 dust /dev/a 0 256", "256", "out-of-range"),
        ("0 16 dust /dev/a 0 16384", "16384", "block-size"),
        ("0 16 log-writes /dev/a", "log-writes", "argument-count"),
        ("0 16 snapshot /dev/a /dev/a N 8", "/dev/a", "same-device"),
        ("0 16 snapshot /dev/a /dev/b X 8", "X", "unknown-option"),
        ("0 16 snapshot /dev/a /dev/b PX 8", "PX", "unknown-option"),
        ("0 16 snapshot /dev/a /dev/b N 0", "0", "block-size"),
        ("0 16 snapshot /dev/a /dev/b N 12", "12", "block-size"),
        ("0 16 snapshot /dev/a /dev/k N 4", "4", "block-size"),
        ("0 16 snapshot /dev/a /dev/b N 8388608", "8388608", "out-of-range"),
        ("0 16 snapshot /dev/a /dev/b N 8 3 a b c", "3", "out-of-range"),
        ("0 16 snapshot /dev/a /dev/b N 8 1 discard_passdown_origin", "discard_passdown_origin", "option-conflict"),
        ("0 16 snapshot-origin /dev/a 0", "0", "argument-count"),
        ("0 64 mirror core 1 48 2 /dev/a 0 /dev/b 0", "48", "block-size"),
        ("0 64 mirror core 1 128 2 /dev/a 0 /dev/b 0", "128", "out-of-range"),
        ("0 64 mirror core 0 2 /dev/a 0 /dev/b 0", "core", "argument-count"),
        ("0 64 mirror core 2 64 maybe 2 /dev/a 0 /dev/b 0", "maybe", "unknown-option"),
        ("0 64 mirror disk 1 /dev/c 2 /dev/a 0 /dev/b 0", "disk", "argument-count"),
        ("0 64 mirror core 1 64 1 /dev/a 0", "1", "out-of-range"),
        ("0 64 mirror core 1 64 2 /dev/a 0 /dev/b", "mirror", "argument-count"),
        ("0 64 mirror core 1 64 2 /dev/a 0 /dev/b 0 1 x", "x", "unknown-option"),
        ("0 64 mirror core 1 64 2 /dev/a 0 /dev/b 0 1 keep_log", "keep_log", "option-conflict"),
        ("0 64 mirror core 1 64 2 /dev/a 0 /dev/b 0 0 x", "x", "argument-count"),
        ("0 64 switch 0 64 0", "0", "out-of-range"),
        ("0 64 switch 1 64 1 x /dev/a 0", "1", "out-of-range"),
        ("0 64 switch 2 64 0 /dev/a 0", "switch", "argument-count"),
        ("0 64 multipath 0 0 0 1", "1", "out-of-range"),
        ("0 64 multipath 0 0 1 1 round-robin 0 2 1 /dev/a 1 /dev/b", "multipath", "argument-count"),
        ("0 64 multipath 0 0 1 1 round-robin 0 1 0 /dev/a 1", "1", "argument-count"),
        ("0 64 raid raid1 1 0 2 - /dev/a -", "raid", "argument-count"),
        ("0 64 raid raid1 1 0 2 - /dev/a - /dev/z", "/dev/z", "no-device"),
        ("0 64 raid raid1 1 0 1 /dev/a -", "-", "no-device"),
        ("0 64 thin-pool /dev/a /dev/a 128 0", "/dev/a", "same-device"),
        ("0 64 thin-pool /dev/a /dev/b 64 0", "64", "out-of-range"),
        ("0 64 thin-pool /dev/a /dev/b 200 0", "200", "block-size"),
        ("0 64 thin-pool /dev/a /dev/b 4194304 0", "4194304", "out-of-range"),
        ("0 64 thin-pool /dev/a /dev/b 128 18446744073709551616", "18446744073709551616", "out-of-range"),
        ("0 64 thin-pool /dev/a /dev/b 128 0 5 a b c d e", "5", "out-of-range"),
        ("0 4096 thin-pool /dev/a /dev/s 128 0", "/dev/s", "device-too-small"),
        ("0 64 thin /dev/a 16777216", "16777216", "out-of-range"),
        ("0 64 thin /dev/a 0 /dev/a", "/dev/a", "same-device"),
        ("0 64 cache /dev/a /dev/b /dev/c 96 0 smq 0", "96", "block-size"),
        ("0 64 cache /dev/a /dev/s /dev/c 4096 0 smq 0", "4096", "block-size"),
        ("0 64 cache /dev/a /dev/b /dev/c 64 2 writeback passthrough smq 0", "writeback", "option-conflict"),
        ("0 64 cache /dev/a /dev/b /dev/c 64 0 smq 1 x", "x", "argument-count"),
        ("0 64 cache /dev/a /dev/b /dev/c 64 0", "cache", "argument-count"),
        ("0 4096 cache /dev/a /dev/b /dev/s 64 0 smq 0", "/dev/s", "device-too-small"),
        ("0 64 writecache x /dev/a /dev/b 4096 0", "x", "unknown-option"),
        ("0 64 writecache s /dev/a /dev/b 768 0", "768", "block-size"),
        ("0 64 writecache s /dev/a /dev/k 512 0", "512", "block-size"),
        ("0 60 writecache s /dev/a /dev/b 4096 0", "/dev/a", "misaligned-length"),
        ("0 64 era /dev/a /dev/b 12", "12", "block-size"),
        ("0 64 era /dev/a /dev/b 4", "4", "out-of-range"),
        ("0 64 clone /dev/a /dev/b /dev/c 24", "24", "block-size"),
        ("0 4096 clone /dev/a /dev/b /dev/s 8", "/dev/s", "device-too-small"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 0 1 x", "x", "argument-count"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 0 2 hydration_threshold x", "x", "not-a-number"),
        ("0 64 crypt aes 00 0 /dev/a", "crypt", "argument-count"),
        ("0 64 crypt aes 0x 0 /dev/a 0", "0x", "bad-key"),
        ("0 8 integrity /dev/a 0 - J 1 internal_hash:x:001", "internal_hash:x:001", "bad-key"),
        ("0 8 integrity /dev/a 0 4 J 1 journal_mac:x:0z", "journal_mac:x:0z", "bad-key"),
        ("0 64 crypt aes :16 0 /dev/a 0", ":16", "bad-key"),
        ("0 64 crypt aes :x:user:k 0 /dev/a 0", ":x:user:k", "not-a-number"),
        ("0 64 crypt aes 00 4 /dev/a 0 1 sector_size:4096", "4", "block-size"),
        ("0 60 crypt aes 00 0 /dev/a 0 1 sector_size:4096", "60", "bad-length"),
        ("0 64 crypt aes 00 0 /dev/a 4 1 sector_size:4096", "/dev/a", "misaligned-start"),
        ("0 64 crypt aes 00 0 /dev/a 0 1 sector_size:768", "sector_size:768", "block-size"),
        ("0 64 crypt aes 00 0 /dev/a 0 1 sector_size:x", "sector_size:x", "not-a-number"),
        (f"0 8 verity 2 /dev/a /dev/b 4096 4096 1 1 x {DIGEST} -", "2", "out-of-range"),
        (f"0 8 verity 1 /dev/a /dev/b 3000 4096 1 1 x {DIGEST} -", "3000", "block-size"),
        (f"0 8 verity 1 /dev/k /dev/b 512 4096 8 1 x {DIGEST} -", "512", "block-size"),
        (f"0 16 verity 1 /dev/a /dev/b 4096 4096 1 1 x {DIGEST} -", "1", "bad-length"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 512 1 1 x {DIGEST * 9} -", "512", "block-size"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 4096 1 1 x {DIGEST}0 -", DIGEST + "0", "not-hexadecimal"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 4096 1 1 x {DIGEST} salt", "salt", "not-hexadecimal"),
        (f"0 16 verity 1 /dev/a /dev/s 4096 4096 2 256 x {DIGEST} -", "/dev/s", "device-too-small"),
        ("0 8 integrity /dev/a 0 - J 0", "-", "option-conflict"),
        ("0 8 integrity /dev/a 0 0 J 0", "0", "out-of-range"),
        ("0 8 integrity /dev/a 0 4 X 0", "X", "unknown-option"),
        ("0 8 integrity /dev/a 0 4 J", "integrity", "argument-count"),
        ("0 9 integrity /dev/a 0 4 J 1 block_size:4096", "9", "bad-length"),
        ("0 8 integrity /dev/a 0 4 J 1 block_size:8192", "block_size:8192", "out-of-range"),
    ],
)
def test_error(text: str, marked: str, code: str) -> None:
    assert [(mark, kind) for _, mark, kind in shown(text)] == [(marked, code)]
    assert [finding.severity for finding in findings(text)] == [ERROR]


@pytest.mark.parametrize(
    ("text", "marked", "code"),
    [
        ("0 8 linear /dev/? 0", "/dev/?", "device-unknown"),
        ("0 8 snapshot /dev/a /dev/ro P 8", "/dev/ro", "device-read-only"),
        ("0 8 linear /dev/a 18446744073709551616", "18446744073709551616", "number-cut"),
        ("0 8 delay /dev/a 0 4294967296", "4294967296", "number-cut"),
        ("0 8 era /dev/a /dev/b 4294967304", "4294967304", "number-cut"),
        ("0 8 flakey /dev/a 0 1 1 1 new_feature", "new_feature", "unknown-option"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 1 new_feature", "new_feature", "unknown-option"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 0 2 new_feature x", "new_feature", "unknown-option"),
        ("0 8 crypt aes 00 18446744073709551616 /dev/a 0", "18446744073709551616", "number-cut"),
        ("0 8 crypt aes 001 0 /dev/a 0", "001", "odd-key"),
        ("0 8 crypt aes 00z 0 /dev/a 0", "00z", "odd-key"),
        ("0 8 raid raid7 1 0 1 - /dev/a", "raid7", "unknown-option"),
        ("0 8 crypt aes 00 0 /dev/a 0 1 new_feature", "new_feature", "unknown-option"),
    ],
)
def test_warning(text: str, marked: str, code: str) -> None:
    assert [(mark, kind) for _, mark, kind in shown(text)] == [(marked, code)]
    assert [finding.severity for finding in findings(text)] == [WARNING]


@pytest.mark.parametrize(
    ("text", "marked", "code"),
    [
        ("0 16 striped 4294967297 8 /dev/a 0", "4294967297", "out-of-range"),
        ("0 16 striped 1 4294967304 /dev/a 0", "4294967304", "out-of-range"),
        ("0 16 striped 2 8 /dev/a 0 /dev/b 0 1", "1", "argument-count"),
        ("0 16 unstriped 0 8 0 /dev/a 0", "0", "out-of-range"),
        ("0 16 unstriped 1 0 0 /dev/a 0", "0", "out-of-range"),
        ("0 16 unstriped 4294967297 8 0 /dev/a 0", "4294967297", "out-of-range"),
        ("0 16 unstriped 1 4294967304 0 /dev/a 0", "4294967304", "out-of-range"),
        ("0 16 unstriped 1 8 4294967296 /dev/a 0", "4294967296", "out-of-range"),
        ("0 16 unstriped 1 8 0 /dev/a 1048561", "/dev/a", "device-too-small"),
        ("0 16 unstriped 1 8 0 /dev/a 0 1", "1", "argument-count"),
        ("0 16 delay /dev/a 0 0 /dev/b 0 0 /dev/c 0 0 1", "1", "argument-count"),
        ("0 16 flakey /dev/a 0 1 1 5 corrupt_bio_byte 1 r 0 x", "x", "not-a-number"),
        ("0 16 dust /dev/a 0 4294967808", "4294967808", "out-of-range"),
        ("0 16 log-writes /dev/a /dev/z", "/dev/z", "no-device"),
        ("0 4096 log-writes /dev/s /dev/a", "/dev/s", "device-too-small"),
        ("0 16 snapshot /dev/a /dev/b N 4294967304", "4294967304", "out-of-range"),
        ("0 4096 snapshot /dev/s /dev/b N 8", "/dev/s", "device-too-small"),
        ("0 4 snapshot /dev/a /dev/k N 8", "/dev/a", "misaligned-length"),
        ("0 4096 snapshot-origin /dev/s", "/dev/s", "device-too-small"),
        ("0 64 mirror core 1 1 2 /dev/a 0 /dev/b 0", "1", "out-of-range"),
        ("0 64 mirror core 2 64 NOSYNC 2 /dev/a 0 /dev/b 0", "NOSYNC", "unknown-option"),
        ("0 64 mirror core 1 64 10" + " /dev/a 0" * 10, "10", "out-of-range"),
        ("0 64 mirror core 1 64 2 /dev/a 0 /dev/b 0 1 HANDLE_ERRORS", "HANDLE_ERRORS", "unknown-option"),
        ("0 64 switch 1 0 0 /dev/a 0", "0", "out-of-range"),
        ("0 64 switch 1 64 0 /dev/a 18446744073709551616", "18446744073709551616", "out-of-range"),
        ("0 64 switch 1 64 0 /dev/a 0 x", "x", "argument-count"),
        ("0 64 multipath 0 0 1025 1", "1025", "out-of-range"),
        ("0 64 multipath 0 0 1 1025 round-robin 0 1 0 /dev/a", "1025", "out-of-range"),
        ("0 64 multipath 0 0 1 1 round-robin 0 0 0", "0", "out-of-range"),
        ("0 64 multipath 0 0 1 1 round-robin 0 1025 0", "1025", "out-of-range"),
        ("0 64 multipath 0 0 1 1 round-robin 0 1 1025", "1025", "out-of-range"),
        ("0 64 raid raid1 1 0 0", "0", "out-of-range"),
        ("0 64 raid raid1 1 0 254" + " - -" * 254, "254", "out-of-range"),
        ("0 60 cache /dev/a /dev/k /dev/c 64 0 smq 0", "/dev/c", "misaligned-length"),
        ("0 64 cache /dev/a /dev/b /dev/c 64 4 a b c d smq 0", "4", "out-of-range"),
        ("0 64 cache /dev/a /dev/b /dev/c 4194304 0 smq 0", "4194304", "out-of-range"),
        ("0 64 cache /dev/a /dev/b /dev/c 18446744073709551680 0 smq 0", "18446744073709551680", "out-of-range"),
        ("0 64 writecache s /dev/a /dev/b 256 0", "256", "out-of-range"),
        ("0 64 writecache s /dev/a /dev/b 131072 0", "131072", "out-of-range"),
        ("0 64 writecache s /dev/a /dev/b 4096 1", "1", "argument-count"),
        ("0 64 era /dev/a /dev/b 7", "7", "out-of-range"),
        ("0 4 era /dev/a /dev/k 8", "4", "misaligned-line"),
        ("0 64 clone /dev/a /dev/b /dev/c 4", "4", "out-of-range"),
        ("0 64 clone /dev/a /dev/b /dev/c 4194304", "4194304", "out-of-range"),
        ("0 64 clone /dev/a /dev/b /dev/h 8", "8", "block-size"),
        ("0 4096 clone /dev/a /dev/s /dev/c 8", "/dev/s", "device-too-small"),
        ("0 17179869185 clone /dev/a /dev/b /dev/c 8", "8", "block-size"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 3 a b c", "3", "out-of-range"),
        ("0 64 clone /dev/a /dev/b /dev/c 8 0 6 a b c d e f", "6", "out-of-range"),
        ("0 64 crypt aes 00 0 /dev/a 0 1 sector_size:256", "sector_size:256", "out-of-range"),
        ("0 64 crypt aes 00 0 /dev/a 0 1 sector_size:8192", "sector_size:8192", "out-of-range"),
        ("0 64 crypt aes 0 0 /dev/a 0", "0", "bad-key"),
        (f"0 8 verity 1 /dev/a /dev/b 256 4096 16 1 x {DIGEST} -", "256", "out-of-range"),
        (f"0 8 verity 1 /dev/a /dev/b 131072 4096 1 1 x {DIGEST} -", "131072", "out-of-range"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 3000 1 1 x {DIGEST} -", "3000", "block-size"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 256 1 1 x {DIGEST} -", "256", "out-of-range"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 2147483648 1 1 x {DIGEST} -", "2147483648", "out-of-range"),
        (f"0 8 verity 1 /dev/a /dev/k 512 512 8 1 x {DIGEST} -", "512", "block-size"),
        (f"0 8 verity 1 /dev/a /dev/b 4096 4096 1 1 x {DIGEST} - 1", "1", "argument-count"),
        (f"0 4096 verity 1 /dev/s /dev/b 4096 4096 512 1 x {DIGEST} -", "/dev/s", "device-too-small"),
        ("0 8 integrity /dev/a 0 4 J 1 block_size:768", "block_size:768", "block-size"),
        ("0 8 integrity /dev/a 0 4 J 1 block_size:256", "block_size:256", "out-of-range"),
        ("0 8 integrity /dev/a x 4 J 0", "x", "not-a-number"),
    ],
)
def test_bounds(text: str, marked: str, code: str) -> None:
    assert [(mark, kind) for _, mark, kind in shown(text)] == [(marked, code)]
    assert [finding.severity for finding in findings(text)] == [ERROR]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("linear /dev/a", "linear: takes 2 arguments (DEVICE OFFSET), not 1."),
        ("striped 2", "striped: takes at least 2 arguments (#STRIPES CHUNK_SIZE DEVICE OFFSET...), not 1."),
        ("unstriped 2", "unstriped: takes 5 arguments (#STRIPES CHUNK_SIZE STRIPE DEVICE OFFSET), not 1."),
        ("delay /dev/a", "delay: takes 3 or 6 or 9 arguments"),
        ("flakey /dev/a", "flakey: takes at least 4 arguments"),
        ("dust /dev/a", "dust: takes 3 arguments"),
        ("log-writes /dev/a", "log-writes: takes at least 2 arguments"),
        ("snapshot /dev/a", "snapshot: takes at least 4 arguments"),
        ("mirror core", "mirror: takes at least 2 arguments"),
        ("mirror core 1 8 2 /dev/a", "mirror: 2 mirrors need 4 words, but 1 follow."),
        ("switch 2 64 0 /dev/a", "switch: 2 paths need 4 words, but 1 follow."),
        ("raid raid1 1 0 2 -", "raid: 2 raid devices need 4 words, but 1 follow."),
        ("multipath 0 0 1 1 rr 0 2 1 /dev/a", "multipath: 2 paths with 1 arguments each need 4 words, but 1 follow."),
        ("thin-pool /dev/a", "thin-pool: takes at least 4 arguments"),
        ("thin /dev/a", "thin: takes 2 or 3 arguments"),
        ("cache /dev/a", "cache: cache device is missing (METADATA CACHE ORIGIN"),
        ("era /dev/a", "era: takes 3 arguments"),
        ("clone /dev/a", "clone: takes at least 4 arguments"),
        ("crypt aes", "crypt: takes at least 5 arguments"),
        ("verity 1", "verity: takes at least 10 arguments"),
        ("integrity /dev/a", "integrity: takes at least 5 arguments"),
    ],
)
def test_count_messages(text: str, message: str) -> None:
    (finding,) = findings(f"0 8 {text}")
    assert finding.message.startswith(message)
    assert finding.code == "argument-count"


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("log-writes /dev/a /dev/ro", "/dev/ro"),
        ("mirror disk 2 /dev/ro 8 2 /dev/a 0 /dev/b 0", "/dev/ro"),
        ("thin-pool /dev/ro /dev/b 128 0", "/dev/ro"),
        ("cache /dev/ro /dev/b /dev/c 64 0 smq 0", "/dev/ro"),
        ("writecache s /dev/a /dev/ro 4096 0", "/dev/ro"),
        ("era /dev/ro /dev/b 8", "/dev/ro"),
        ("clone /dev/ro /dev/b /dev/c 8", "/dev/ro"),
        ("integrity /dev/ro 0 4 J 0", "/dev/ro"),
    ],
)
def test_read_only_devices_that_are_written(text: str, marked: str) -> None:
    assert shown(f"0 8 {text}") == [(1, marked, "device-read-only")]


def test_several_findings_in_order() -> None:
    text = "0 8 linear /dev/z x\n9 8 zero 1\n  17 0 linear /dev/y 0"
    assert shown(text) == [
        (1, "/dev/z", "no-device"),
        (1, "x", "not-a-number"),
        (2, "9", "gap"),
        (2, "1", "argument-count"),
        (3, "0", "zero-length"),
        (3, "/dev/y", "no-device"),
    ]


def test_targets() -> None:
    table = Table.parse("0 8 zero\n8 8 frob 1 2")

    def codes(**how: object) -> list[tuple[str, str]]:
        return [(f.severity, f.code) for f in check(table, device=None, **how)]  # type: ignore[arg-type]

    assert codes() == []
    assert codes(targets={"zero"}) == [(WARNING, "target-not-loaded")]
    assert codes(targets={"zero"}, loadable=lambda name: name == "frob") == []
    assert codes(targets={"zero"}, loadable=lambda name: False) == [(ERROR, "unknown-target")]


def test_without_devices() -> None:
    assert check(Table.parse("0 8 linear /dev/nowhere 0"), device=None) == []
    assert [f.code for f in check(Table.parse("0 8 linear /dev/nowhere x"), device=None)] == ["not-a-number"]


def test_table_check() -> None:
    table = Table.parse("0 8 linear /dev/z 0")
    assert table.check(device=DEVICES.get) == check(table, device=DEVICES.get) != []
    assert table.check(device=None) == []
    assert [f.code for f in table.check(loadable=lambda _: False, targets=(), device=None)] == ["unknown-target"]


def test_table_that_was_not_parsed() -> None:
    table = Table([Line(0, 8, "zero"), Line(8, 8, "linear", "/dev/a x")])
    (finding,) = check(table, device=None)
    text = table.format().split("\n")[finding.line - 1]
    assert text[finding.column - 1 : finding.end_column - 1] == "x"


def test_kernel_blanks() -> None:
    # The kernel takes the second byte of "à" in UTF-8, 0xa0, for a blank.
    assert shown("0 8 linear /dev/à 0") == [(1, "/dev/à", "no-device")]
    assert shown("0 8 linear /dev/a à") == [(1, "à", "not-a-number")]
    assert shown("0 8 linear /dev/a 0à") == [(1, "0à", "not-a-number")]
    assert shown("0 8 linear /dev/àa 0") == [(1, "0", "argument-count")]
    assert shown("0 8 linear /dev/a\v0\f") == []


def test_format() -> None:
    text = format_findings(findings("\n 0 8 linear /dev/a x\n8 8 linear /dev/? 0"), "table.txt")
    assert text == (
        "table.txt:2:20: error: linear: offset of the device must be a decimal number, not 'x'.\n"
        "table.txt:3:12: warning: linear: device '/dev/?' could not be looked at or has no size yet, "
        "so its use is not checked.\n"
    )
    assert format_findings([], "x") == ""
