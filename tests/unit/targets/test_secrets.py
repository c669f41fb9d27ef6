# SPDX-License-Identifier: LGPL-2.1-or-later
"""Targets with keys and hashes: what their words mean, and that no key gets out unasked."""

import pytest

from dmctl.targets import ParamsError, StatusError, arguments_class, parse_params, parse_status
from dmctl.targets.bow import BowArguments, BowMap, BowRange
from dmctl.targets.crypt import CryptArguments, CryptIntegrity
from dmctl.targets.integrity import IntegrityArguments
from dmctl.targets.verity import VerityArguments

KEY = "c0ffee00112233445566778899aabbcc"
REFERENCE = ":32:logon:my_prefix:my_key"
INTEGRITY = (
    f"7:0 0 - J 3 internal_hash:hmac(sha256):{KEY} journal_crypt:ctr(aes):{KEY[::-1]} journal_mac:hmac(sha1):{KEY}"
)


def test_crypt():
    # Documentation/admin-guide/device-mapper/dm-crypt.rst
    text = f"aes-cbc-essiv:sha256 {REFERENCE} 8 /dev/sda 16 4 allow_discards integrity:28:aead sector_size:4096 "
    made = parse_params("crypt", text + "iv_large_sectors")
    assert isinstance(made, CryptArguments)
    assert (made.cipher, made.iv_offset_sectors, made.offset_sectors) == ("aes-cbc-essiv:sha256", 8, 16)
    assert made.key_reference == (32, "logon", "my_prefix:my_key")
    assert (made.allow_discards, made.integrity, made.sector_size_bytes) == (True, CryptIntegrity(28, "aead"), 4096)
    assert made.iv_large_sectors and not made.high_priority and made.integrity_key_size_bytes is None
    assert made.devices() == ("/dev/sda",)
    assert made.default_length_sectors({"/dev/sda": 1031}.get) == 1008  # whole pieces of 8 sectors
    assert CryptIntegrity.parse("28:AEAD") == made.integrity


def test_integrity():
    text = (
        "8:0 2048 - B 7 meta_device:8:16 block_size:4096 recalculate allow_discards sectors_per_bit:32768 "
        "bitmap_flush_interval:500 internal_hash:crc32c"
    )
    made = parse_params("integrity", text)
    assert isinstance(made, IntegrityArguments)
    assert (made.device, made.offset_sectors, made.tag_size_bytes, made.mode) == ("8:0", 2048, None, "B")
    assert (made.meta_device, made.block_size_bytes, made.sectors_per_bit) == ("8:16", 4096, 32768)
    assert (made.bitmap_flush_interval_ms, made.journal_sectors, made.commit_time_ms) == (500, None, None)
    assert (made.recalculate, made.reset_recalculate, made.allow_discards) == (True, False, True)
    assert (made.internal_hash, made.internal_hash_key) == ("crc32c", None)
    assert made.devices() == ("8:0", "8:16")
    assert made.to_params() == text
    assert made.default_length_sectors({"8:0": 1031}.get) == 1024
    made = parse_params("integrity", "8:0 0 32 J 2 journal_watermark:25 internal_hash:hmac(sha256):")
    assert (made.tag_size_bytes, made.journal_watermark_percent) == (32, 25)
    assert (made.internal_hash, made.internal_hash_key) == ("hmac(sha256)", "")
    assert made.default_length_sectors({}.get) is None


def test_integrity_status():
    done = parse_status("integrity", "3 32328 32328")
    assert (done.mismatches, done.provided_sectors, done.recalculated_sectors) == (3, 32328, 32328)
    assert done.warnings() == ("3 times a tag did not fit its block",) and not done.recalculating
    going = parse_status("integrity", "0 32328 4096")
    (usage,) = going.usages()
    assert (usage.what, usage.used, usage.total, usage.unit) == ("recalculated", 4096, 32328, "sectors")
    assert going.recalculating and "from sector 4096 on" in going.warnings()[0]
    never = parse_status("integrity", "0 32328 -")
    assert never.recalculated_sectors is None and never.usages() == () and never.warnings() == ()
    assert parse_status("integrity", "0 new 1/2").extra == ("new", "1/2")


def test_verity():
    root, salt = "43" * 32, "12" * 32
    # Documentation/admin-guide/device-mapper/verity.rst: 1 GiB in blocks of 4 KiB
    made = parse_params("verity", f"1 /dev/sda1 /dev/sda2 4096 4096 262144 1 sha256 {root} {salt}")
    assert isinstance(made, VerityArguments)
    assert made.default_length_sectors(lambda _: 0) == 2097152
    assert (made.version, made.data_blocks, made.hash_start_blocks) == (1, 262144, 1)
    assert (made.root_digest, made.salt, made.on_corruption, made.on_error) == (root, salt, None, None)
    text = (
        f"1 8:1 8:2 4096 4096 8 1 sha256 {root} - 14 PANIC_on_corruption restart_on_error check_at_most_once fec_roots"
    )
    made = parse_params(
        "verity",
        f"{text} 3 use_fec_from_device 8:3 fec_start 7 fec_blocks 11 root_hash_sig_key_desc a:b ignore_zero_blocks",
    )
    assert (made.salt, made.on_corruption, made.on_error) == (None, "panic", "restart")
    assert (made.fec_device, made.fec_blocks, made.fec_start_blocks, made.fec_roots) == ("8:3", 11, 7, 3)
    assert (made.ignore_zero_blocks, made.check_at_most_once, made.try_verify_in_tasklet) == (True, True, False)
    assert made.root_hash_sig_key_desc == "a:b"
    assert made.devices() == ("8:1", "8:2", "8:3")
    # verity_status() of 6.12 prints them in this order.
    assert made.to_params().split(" 14 ")[1] == (
        "panic_on_corruption restart_on_error ignore_zero_blocks check_at_most_once use_fec_from_device 8:3 "
        "fec_blocks 11 fec_start 7 fec_roots 3 root_hash_sig_key_desc a:b"
    )


@pytest.mark.parametrize("pair", ["ignore_corruption panic_on_corruption", "restart_on_error panic_on_error"])
def test_verity_modes_exclude_each_other(pair):
    with pytest.raises(ParamsError, match=r"^verity: more than one feature says on (corruption|error) what is done\.$"):
        parse_params("verity", f"1 8:1 8:2 4096 4096 8 1 sha256 00 - 2 {pair}")


def test_verity_status():
    assert (parse_status("verity", "V").validity, parse_status("verity", "V").corrected_blocks) == ("V", None)
    assert parse_status("verity", "V").warnings() == () == parse_status("verity", "V -").warnings()
    assert parse_status("verity", "C").warnings() == ("a block has been found that does not fit its hash",)
    # Documentation of Linux 6.19
    assert (
        parse_status("verity", "V 3").corrected_blocks == 3
        and "3 blocks" in parse_status("verity", "V 3").warnings()[0]
    )
    assert parse_status("verity", "V later").extra == ("later",)
    assert parse_status("verity", "V \u0663").extra == ("\u0663",)  # a digit, but none of the kernel's
    with pytest.raises(StatusError):
        parse_status("verity", "X")


def test_bow_table_is_a_map():
    text = "Sector0: 0\nChanged: 8\nFree: 16\nBackup: 64\nFree: 72\nTop: 2048\n"
    made = parse_params("bow", text)
    assert isinstance(made, BowMap) and not made.loadable and made.devices() == ()
    assert made.ranges[1] == BowRange("Changed", 8) and made.error == ()
    assert (made.sectors("Free"), made.sectors("Backup"), made.sectors("Unchanged")) == (48 + 1976, 8, 0)
    assert made.to_params() == text
    wrong = parse_params("bow", f"{text}\nERROR: Top sector is incorrect")
    assert wrong.error == ("Top", "sector", "is", "incorrect") and wrong.ranges == made.ranges
    assert parse_params("bow", "8:0 1 block_size:4096") == BowArguments("8:0", 4096)
    assert BowArguments("8:0").default_length_sectors(lambda _: 2047) == 2040


def shown(target, text):
    """All that is said of arguments to somebody who has not asked for keys."""
    made = parse_params(target, text)
    notes = arguments_class(target).explain_params(text)
    return f"{made!r} {made.to_dict()} {notes!r} {[note.shown for note in notes]}"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("crypt", f"aes-cbc-plain64 {KEY} 0 8:0 0"),
        ("crypt", f"aes-cbc-plain64 :{KEY} 0 8:0 0"),  # no reference, so it may be a key
        ("crypt", f"aes-cbc-plain64 :16:{KEY} 0 8:0 0"),
        ("integrity", INTEGRITY),
    ],
)
def test_keys_are_hidden(target, text):
    told = shown(target, text)
    assert KEY not in told and KEY[::-1] not in told
    made = parse_params(target, text)
    assert KEY in str(made.to_dict(show_keys=True)) and KEY in made.to_params()
    assert "8:0" in told or "7:0" in told


def test_what_stands_for_a_key():
    notes = arguments_class("integrity").explain_params(INTEGRITY)
    assert notes[5].name == "internal_hash" and notes[5].shown == f"internal_hash:hmac(sha256):{'0' * 32}"
    assert parse_params("integrity", INTEGRITY).to_dict()["journal_mac_key"] == "0" * 32
    assert arguments_class("crypt").explain_params(f"aes {KEY} 0 8:0 0")[1].shown == "0" * 32
    assert parse_params("crypt", f"aes {KEY} 0 8:0 0").to_dict()["key"] == "0" * 32


@pytest.mark.parametrize("key", [REFERENCE, "-", ":64:user:a"])
def test_a_reference_is_no_secret(key):
    text = f"aes-cbc-plain64 {key} 0 8:0 0"
    assert parse_params("crypt", text).to_dict()["key"] == key
    assert f"key={key!r}" in repr(parse_params("crypt", text))
    assert arguments_class("crypt").explain_params(text)[1].shown == key


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("crypt", f"aes {KEY} {KEY} 8:0 0"),
        ("crypt", f"aes {KEY} 0 8:0 {KEY}"),
        ("crypt", f"aes 0 0 8:0 0 1 {KEY}"),
        ("crypt", f"aes 0 0 8:0 0 {KEY}"),
        ("crypt", f"aes 0 0 8:0 0 1 integrity:{KEY}:aead"),
        ("crypt", f"aes 0 0 8:0 0 1 integrity:1:{KEY}"),
        ("crypt", f"aes 0 0 8:0 0 1 integrity_key_size:{KEY}"),
        ("crypt", f"aes 0 0 8:0 0 1 sector_size:{KEY}"),
        ("integrity", f"8:0 0 - {KEY} 0"),
        ("integrity", f"8:0 0 {KEY} J 0"),
        ("integrity", f"8:0 0 - J 1 {KEY}"),
        ("integrity", f"8:0 0 - J 1 key:{KEY}"),
        ("integrity", f"8:0 0 - J 1 internal_hash::{KEY}"),
        ("integrity", f"8:0 0 - J 1 commit_time:{KEY}"),
    ],
)
def test_a_message_quotes_no_word(target, text):
    with pytest.raises(ParamsError) as raised:
        parse_params(target, text)
    assert KEY not in str(raised.value) and str(raised.value).startswith(target)


def test_a_key_is_a_field_of_its_own():
    for wrong in ({"internal_hash": f"hmac(sha256):{KEY}"}, {"journal_mac_key": KEY}):
        with pytest.raises(ParamsError) as raised:
            IntegrityArguments("8:0", 0, "J", **wrong)
        assert KEY not in str(raised.value) and "_key" in str(raised.value)
    with pytest.raises(ParamsError) as raised:
        IntegrityArguments("8:0", 0, "J", internal_hash="hmac(sha256)", internal_hash_key=f"{KEY} {KEY}")
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        # crypt_status() and dm_integrity_status() of Linux 6.12.117 with all there is: allow_discards_keyed hides
        # allow_discards there, and mode B has no watermark.
        (
            "crypt",
            f"capi:authenc(hmac(sha256),xts(aes))-random {KEY} 8 8:0 16 10 allow_discards same_cpu_crypt high_priority "
            "submit_from_crypt_cpus no_read_workqueue no_write_workqueue integrity:48:aead sector_size:4096 "
            "iv_large_sectors integrity_key_size:16",
        ),
        (
            "integrity",
            "8:0 0 32 J 16 meta_device:8:16 block_size:4096 recalculate reset_recalculate allow_discards_keyed "
            "journal_sectors:88 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 commit_time:10000 "
            f"fix_padding fix_hmac legacy_recalculate internal_hash:hmac(sha256):{KEY} journal_crypt:ctr(aes):{KEY} "
            f"journal_mac:hmac(sha256):{KEY}",
        ),
        (
            "integrity",
            "8:0 0 4 B 7 allow_discards journal_sectors:88 interleave_sectors:32768 buffer_sectors:128 "
            "sectors_per_bit:512 bitmap_flush_interval:10000 internal_hash:crc32c",
        ),
    ],
)
def test_order_of_the_kernel(target, text):
    assert parse_params(target, text).to_params() == text
