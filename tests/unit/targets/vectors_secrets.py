# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets with keys and hashes."""

import dataclasses

from hypothesis import strategies as st

from dmctl.targets.fields import spec_of
from dmctl.targets.integrity import IntegrityArguments
from unit.targets.strategies import WORDS, value

KEY = "00112233445566778899aabbccddeeff"
ROOT = "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076"
SALT = "1234000000000000000000000000000000000000000000000000000000000000"
VERITY = f"1 8:1 8:2 4096 4096 262144 1 sha256 {ROOT} {SALT}"

PARAMS = {
    # Of an Android kernel's constructor and tables; there is none in Linux.
    "bow": [
        "8:0",
        "/dev/block/dm-4 0",
        "8:0 1 block_size:4096",
        "Unchanged: 0\nTop: 2048\n",
        "Unchanged: 0\nFree: 1024\nUnchanged: 1032\nTop: 2048\n",
        "Sector0: 0\nChanged: 8\nUnchanged: 16\nSector0_current: 512\nBackup: 520\nFree: 528\nTop: 2048\n",
        "ERROR: Empty ranges",
        "Unchanged: 0\nTop: 2048\n\nERROR: not all trimmed ranges in trimmed list",
    ],
    "crypt": [
        # Documentation/admin-guide/device-mapper/dm-crypt.rst
        "aes-cbc-essiv:sha256 babebabebabebabebabebabebabebabe 0 /dev/sda 0",
        "aes-cbc-essiv:sha256 :32:logon:my_prefix:my_key 0 /dev/sda 0",
        f"aes-xts-plain64 {KEY}{KEY} 0 8:0 0 3 allow_discards same_cpu_crypt submit_from_crypt_cpus",
        # tables of 6.1 in the guest
        f"aes-cbc-plain64 {KEY} 0 7:0 0 3 allow_discards sector_size:4096 iv_large_sectors",
        f"capi:cbc(aes)-plain64 {KEY} 0 7:0 0",
        f"aes-cbc-plain64 {KEY} 0 7:0 0 4 same_cpu_crypt submit_from_crypt_cpus no_read_workqueue no_write_workqueue",
        "cipher_null-ecb - 0 7:0 0",
        # what its constructor takes too
        f"capi:cbc(aes)-plain64 {KEY} 0 7:0 0 0",
        f"aes-cbc-plain64 {KEY.upper()} 0 7:0 0 2 ALLOW_discards sector_size:512 words that nobody reads",
        f"aes-cbc-plain64 {KEY}0 8 7:0 8",
        # LUKS2 with authentication
        f"capi:authenc(hmac(sha256),xts(aes))-random {KEY} 0 254:0 0 2 integrity:48:aead sector_size:4096",
        f"aes-xts-random {KEY} 0 254:0 0 1 integrity:16:NONE",
        # Linux 6.12: high_priority and integrity_key_size
        f"aes-xts-plain64 {KEY} 0 8:0 0 3 allow_discards high_priority submit_from_crypt_cpus",
        f"capi:authenc(hmac(sha256),xts(aes))-random {KEY} 0 8:0 0 2 integrity:48:aead integrity_key_size:16",
        "aes-xts-plain64 :64:encrypted:name 0 8:0 0",
        "aes-xts-plain64 :64:trusted:name 0 8:0 0",
    ],
    "integrity": [
        # tables of 6.1 in the guest
        "7:0 0 4 J 7 recalculate journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 "
        "commit_time:10000 internal_hash:crc32c",
        "7:0 0 4 J 8 recalculate reset_recalculate journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 "
        "journal_watermark:50 commit_time:10000 internal_hash:crc32c",
        "7:0 0 32 J 8 recalculate journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 "
        "commit_time:10000 legacy_recalculate internal_hash:hmac(sha256):0011",
        "7:0 0 32 J 9 journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 "
        "commit_time:10000 fix_padding fix_hmac internal_hash:hmac(sha256):0011 journal_mac:hmac(sha256):22aB",
        "7:0 0 4 B 6 journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 sectors_per_bit:1024 "
        "bitmap_flush_interval:500 internal_hash:crc32c",
        "7:0 8 4 D 4 block_size:4096 journal_sectors:392 interleave_sectors:32768 buffer_sectors:128",
        "7:0 0 4 R 4 journal_sectors:176 interleave_sectors:1 buffer_sectors:128 internal_hash:crc32c",
        "7:0 0 4 J 8 meta_device:7:1 allow_discards journal_sectors:176 interleave_sectors:1 buffer_sectors:128 "
        "journal_watermark:50 commit_time:10000 internal_hash:crc32c",
        "7:0 0 4 J 7 journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 "
        f"commit_time:0 internal_hash:crc32c journal_crypt:ctr(aes):{KEY}",
        # an empty key, which hmac takes
        "7:0 0 32 J 6 journal_sectors:176 interleave_sectors:32768 buffer_sectors:128 journal_watermark:50 "
        "commit_time:10000 internal_hash:hmac(sha256):",
        # what its constructor takes too
        "/dev/sda 0 - J 1 internal_hash:hmac(sha256):0123456789abcdef",
        "/dev/sda 0 32 D 0",
        "/dev/sda 0 - D 1 internal_hash:crc32c words that nobody reads",
        "/dev/sda 0 - J 2 allow_discards_keyed internal_hash:hmac(sha256):00",  # Linux 6.12.117
        # Linux 6.12: tags in the device's own metadata
        "259:0 0 - I 2 buffer_sectors:128 internal_hash:sha256",
    ],
    "verity": [
        # Documentation/admin-guide/device-mapper/verity.rst
        f"1 /dev/sda1 /dev/sda2 4096 4096 262144 1 sha256 {ROOT} {SALT}",
        f"{VERITY} 1 ignore_corruption",
        # tables of 6.1 in the guest
        f"0 7:0 7:1 512 1024 8 0 sha1 {ROOT[:40]} -",
        f"{VERITY} 4 restart_on_corruption ignore_zero_blocks check_at_most_once try_verify_in_tasklet",
        # Debian's 6.1 and later, with error correction and signature
        f"{VERITY} 9 panic_on_corruption use_fec_from_device 8:3 fec_blocks 264208 fec_start 0 fec_roots 2",
        f"{VERITY} 2 root_hash_sig_key_desc cryptsetup:name",
        # Linux 6.12: restart_on_error and panic_on_error
        f"{VERITY} 2 restart_on_corruption restart_on_error",
        f"{VERITY} 3 ignore_corruption panic_on_error ignore_zero_blocks",
        # what its constructor takes too
        f"{VERITY} 0",
        f"{VERITY} 3 IGNORE_zero_blocks fec_roots 24 words that nobody reads",
    ],
}
STATUS = {
    "bow": [""],
    "crypt": [""],
    "integrity": [
        "6 30536 -",  # 6.1 in the guest
        "0 32328 32328",
        "0 32328 4096",
        "0",  # before Linux 4.19
        "0 30536",
    ],
    "verity": [
        "V",  # 6.1 in the guest
        "C",
        "V -",  # Linux 6.19
        "V 3",
        "C 0",
    ],
}


ALGORITHMS = WORDS.map(lambda word: word.replace(":", "_"))
KEYS = st.none() | st.just("") | WORDS


@st.composite
def integrity(draw):
    """An algorithm has no colon, and a key has an algorithm."""
    plain = {
        field.name: st.none() | value(spec_of(field)) if field.default is None else value(spec_of(field))
        for field in dataclasses.fields(IntegrityArguments)
        if field.name.removesuffix("_key") not in ("internal_hash", "journal_crypt", "journal_mac")
    }
    chosen = {name: draw(values) for name, values in plain.items()}
    for name in ("internal_hash", "journal_crypt", "journal_mac"):
        chosen[name] = draw(st.none() | ALGORITHMS)
        chosen[f"{name}_key"] = draw(KEYS) if chosen[name] is not None else None
    return IntegrityArguments(**chosen)


STRATEGIES = {"integrity": integrity()}
