# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which arguments the targets with blocks, keys or metadata of their own take; see shapes.py for the rules."""

from __future__ import annotations

import os
from collections.abc import Callable

from dmctl.check.arguments import SECTOR_BYTES, WARNING, Arguments, Word

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# DATA_DEV_BLOCK_SIZE_MAX_SECTORS of dm-thin.c and dm-cache-target.c, MAX_REGION_SIZE of dm-clone-target.c: 1 GiB
_MAX_BLOCK_SECTORS = 2**21
_HEX = frozenset("0123456789abcdefABCDEF")
_INTEGRITY_ALGORITHMS = ("internal_hash", "journal_crypt", "journal_mac")
_CRYPT_FLAGS = (
    "allow_discards",
    "high_priority",
    "iv_large_sectors",
    "no_read_workqueue",
    "no_write_workqueue",
    "same_cpu_crypt",
    "submit_from_crypt_cpus",
)


def verity_hash_blocks(data_blocks: int, hash_block_bytes: int, digest_bytes: int) -> int:
    """Number of hash blocks over so many data blocks (verity_ctr() in drivers/md/dm-verity-target.c)."""
    bits = (hash_block_bytes // digest_bytes).bit_length() - 1
    total = level_bits = 0
    while data_blocks and (data_blocks - 1) >> level_bits:
        level_bits += bits
        total += -(-data_blocks >> level_bits)
    return total


def _block_sectors(args: Arguments, what: str, minimum: int) -> tuple[Word, int]:
    word = args.word(what)
    size = args.number_of(what, word, bits=64, strict=True, minimum=minimum, maximum=_MAX_BLOCK_SECTORS)
    args.multiple(what, word, size, minimum)
    return word, size


def _pairs(args: Arguments, words: list[Word], what: str) -> list[tuple[Word, Word]]:
    if len(words) % 2:
        raise args.refuse(words[-1], "argument-count", f"{what} are names with values, not {len(words)} words")
    return list(zip(words[::2], words[1::2], strict=True))


def _hexadecimal(args: Arguments, what: str, word: Word) -> None:
    if len(word.text) % 2 or not _HEX.issuperset(word.text):
        raise args.refuse(word, "not-hexadecimal", f"{what} must be pairs of hexadecimal digits, not {args.show(word)}")


def _thin_pool(args: Arguments) -> None:
    args.at_least(4)
    metadata = args.device("metadata device", written=True)
    data = args.device("data device")
    args.differ("data device", data.word, "metadata device", metadata.word)
    _block_sectors(args, "the data block size", 128)
    args.number("the low water mark", bits=64, strict=True)
    known = ("skip_block_zeroing", "ignore_discard", "no_discard_passdown", "read_only", "error_if_no_space")
    args.options(args.group("feature arguments", optional=True, maximum=4), known, "feature")
    args.maps(data)


def _thin(args: Arguments) -> None:
    args.count(2, 3)
    pool = args.device("pool device")
    args.number("the device id", bits=64, strict=True, maximum=2**24 - 1)
    if args.left:
        origin = args.device("external origin")
        args.differ("external origin", origin.word, "pool device", pool.word)
    # What it maps is the pool's whole blocks, and those are known to the pool only.
    args.limits_known = False


def _cache(args: Arguments) -> None:
    args.device("metadata device", written=True)
    fast = args.device("cache device")
    origin = args.device("origin device")
    word, block = _block_sectors(args, "the block size", 64)
    if fast.facts and 0 < fast.facts.size_sectors < block:
        message = f"the block size must be at most the cache device's {fast.facts.size_sectors} sectors, not {block}"
        raise args.refuse(word, "block-size", message)
    words = args.group("feature arguments", maximum=3)
    modes = ("writeback", "writethrough", "passthrough")
    features = args.options(words, (*modes, "metadata2", "no_discard_passdown"), "feature")
    if sum(feature in modes for feature in features) > 1:
        raise args.refuse(words[0], "option-conflict", f"only one of the features {', '.join(modes)} can be given")
    args.word("the policy")
    _pairs(args, args.group("policy arguments", maximum=1024), "policy arguments")
    args.maps_whole(fast)
    args.maps(origin)


def _writecache(args: Arguments) -> None:
    args.options([args.word("the kind of cache device")], ("s", "p"), "kind of cache device", closed=True)
    origin = args.device("origin device")
    fast = args.device("cache device", written=True)
    word = args.word("the block size")
    block_bytes = args.number_of("the block size", word, minimum=SECTOR_BYTES, maximum=PAGE_BYTES)
    args.power_of_two("the block size", word, block_bytes)
    args.blocks_fit("the block size", word, block_bytes, origin, fast)
    args.group("optional arguments")
    args.block_bytes = block_bytes
    args.maps(origin)


def _era(args: Arguments) -> None:
    args.count(3)
    args.device("metadata device", written=True)
    origin = args.device("origin device")
    word = args.word("the block size")
    block = args.number_of("the block size", word, minimum=8)
    args.multiple("the block size", word, block, 8)
    args.maps_whole(origin)


def _clone(args: Arguments) -> None:
    args.at_least(4)
    args.device("metadata device", written=True)
    destination = args.device("destination device")
    source = args.device("source device")
    word = args.word("the region size")
    region = args.number_of("the region size", word, minimum=8, maximum=_MAX_BLOCK_SECTORS)
    args.power_of_two("the region size", word, region)
    args.blocks_fit("the region size", word, region * SECTOR_BYTES, source, destination)
    if -(-args.line.length_sectors // region) > 2**31:
        raise args.refuse(word, "block-size", f"the region size {region} makes more than 2**31 regions")
    features = args.group("feature arguments", optional=True, maximum=2)
    args.options(features, ("no_hydration", "no_discard_passdown"), "feature")
    words = args.group("core arguments", optional=True, maximum=4)
    for name, value in _pairs(args, words, "core arguments"):
        if args.options([name], ("hydration_threshold", "hydration_batch_size"), "core argument"):
            args.number_of(name.text, value, strict=True)
    args.maps(source)
    args.maps(destination)


def _crypt(args: Arguments) -> None:
    args.at_least(5)
    args.word("the cipher")
    _crypt_key(args, args.word("the key"))
    offset_word = args.word("the IV offset")
    iv_offset = args.number_of("the IV offset", offset_word, bits=64)
    device = args.device("device")
    args.maps(device, args.sector("offset of the device"))
    for number, word in enumerate(args.group("feature arguments", optional=True), 1):
        _crypt_feature(args, number, word)
    sectors = args.block_bytes // SECTOR_BYTES
    if iv_offset % sectors:
        raise args.refuse(
            offset_word, "block-size", f"the IV offset must be a multiple of sector_size, {sectors} sectors"
        )
    args.length_divisible(args.line.length_sectors, sectors, f"sector_size, {sectors} sectors")


def _crypt_key(args: Arguments, word: Word) -> None:
    if word.text.startswith(":"):
        size, colon, _ = word.text[1:].partition(":")
        if not colon:
            raise args.refuse(word, "bad-key", "the key reference must be :SIZE:TYPE:DESCRIPTION")
        args.number_of("the size in the key reference", word, size)
    elif word.text != "-":
        pairs = word.text[: len(word.text) // 2 * 2]  # the kernel ignores an odd digit at the end
        if not pairs or not _HEX.issuperset(pairs):
            message = "the key must be pairs of hexadecimal digits, a reference that starts with a colon, or -"
            raise args.refuse(word, "bad-key", message)
        if len(word.text) % 2:
            args.note(word, "odd-key", "the key's digits are no pairs: the kernel leaves the last one out", WARNING)


def _crypt_feature(args: Arguments, number: int, word: Word) -> None:
    """Sets args.block_bytes. The word is never quoted: it may be a key that stands in the wrong place."""
    name, colon, value = word.text.partition(":")
    if name == "sector_size" and colon:
        size_bytes = args.number_of("sector_size", word, value, bits=16, minimum=512, maximum=4096)
        args.power_of_two("sector_size", word, size_bytes)
        args.block_bytes = size_bytes
    elif not (colon and name in ("integrity", "integrity_key_size")) and word.text.lower() not in _CRYPT_FLAGS:
        args.note(word, "unknown-option", f"feature argument {number} is not known here", WARNING)


def _verity(args: Arguments) -> None:
    args.at_least(10)
    args.number("the version", maximum=1)
    data = args.device("data device")
    hashes = args.device("hash device")
    word = args.word("the data block size")
    data_bytes = args.number_of("the data block size", word, minimum=SECTOR_BYTES, maximum=PAGE_BYTES)
    args.power_of_two("the data block size", word, data_bytes)
    args.blocks_fit("the data block size", word, data_bytes, data)
    hash_word = args.word("the hash block size")
    hash_bytes = args.number_of("the hash block size", hash_word, minimum=SECTOR_BYTES, maximum=2**31 - 1)
    args.power_of_two("the hash block size", hash_word, hash_bytes)
    args.blocks_fit("the hash block size", hash_word, hash_bytes, hashes)
    word = args.word("the number of data blocks")
    blocks = args.number_of("the number of data blocks", word, bits=64)
    covered_sectors = blocks * (data_bytes // SECTOR_BYTES)
    if args.line.length_sectors > covered_sectors:
        message = (
            f"{blocks} data blocks are {covered_sectors} sectors, fewer than the line's {args.line.length_sectors}"
        )
        raise args.refuse(word, "bad-length", message)
    hash_start = args.number("the hash start block", bits=64)
    args.word("the hash algorithm")
    root = args.word("the root digest")
    _hexadecimal(args, "the root digest", root)
    digest_bytes = len(root.text) // 2
    if digest_bytes * 2 > hash_bytes:
        message = f"the hash block size must hold two digests of {digest_bytes} bytes, being {hash_bytes}"
        raise args.refuse(hash_word, "block-size", message)
    salt = args.word("the salt")
    if salt.text != "-":
        _hexadecimal(args, "the salt", salt)
    hash_sectors = (hash_start + verity_hash_blocks(blocks, hash_bytes, digest_bytes)) * hash_bytes // SECTOR_BYTES
    if hashes.facts and 0 < hashes.facts.size_sectors < hash_sectors:
        message = f"hash device {args.show(hashes.word)} has {hashes.facts.size_sectors} sectors"
        args.note(hashes.word, "device-too-small", f"{message}, but the hash tree ends at sector {hash_sectors}")
    args.group("feature arguments", optional=True)
    args.block_bytes = data_bytes
    args.maps(data)


def _integrity(args: Arguments) -> None:
    args.at_least(5)
    args.device("device", written=True)
    args.sector("the offset")
    tag = args.word("the tag size")
    if tag.text != "-":
        args.number_of("the tag size", tag, minimum=1)
    args.options([args.word("the mode")], ("J", "B", "D", "R", "I"), "mode", case=True, closed=True)
    words = args.group("optional arguments")
    options = {word.text.partition(":")[0] for word in words}
    if tag.text == "-" and "internal_hash" not in options:
        raise args.refuse(tag, "option-conflict", "the tag size may be - with the option internal_hash only")
    for number, word in enumerate(words, 1):
        name, colon, value = word.text.partition(":")
        _, has_key, key = value.partition(":")
        if name in _INTEGRITY_ALGORITHMS and has_key and (len(key) % 2 or not _HEX.issuperset(key)):
            message = f"the key in optional argument {number} must be pairs of hexadecimal digits"
            raise args.refuse(word, "bad-key", message)
        if name == "block_size" and colon:
            args.block_bytes = args.number_of("block_size", word, value, minimum=512, maximum=4096)
            args.power_of_two("block_size", word, args.block_bytes)
    sectors = args.block_bytes // SECTOR_BYTES
    args.length_divisible(args.line.length_sectors, sectors, f"block_size, {sectors} sectors")
    # Where the data begin is written in the superblock.
    args.limits_known = False


SHAPES: dict[str, tuple[Callable[[Arguments], None], str]] = {
    "cache": (_cache, "METADATA CACHE ORIGIN BLOCK_SIZE #FEATURES [FEATURE...] POLICY #ARGUMENTS [KEY VALUE...]"),
    "clone": (_clone, "METADATA DESTINATION SOURCE REGION_SIZE [#FEATURES [FEATURE...] [#CORE [KEY VALUE...]]]"),
    "crypt": (_crypt, "CIPHER KEY IV_OFFSET DEVICE OFFSET [#FEATURES FEATURE...]"),
    "era": (_era, "METADATA ORIGIN BLOCK_SIZE"),
    "integrity": (_integrity, "DEVICE OFFSET TAG_SIZE|- MODE #OPTIONS [OPTION...]"),
    "thin": (_thin, "POOL ID [EXTERNAL_ORIGIN]"),
    "thin-pool": (_thin_pool, "METADATA DATA BLOCK_SIZE LOW_WATER [#FEATURES FEATURE...]"),
    "verity": (
        _verity,
        "VERSION DATA HASH DATA_BLOCK_SIZE HASH_BLOCK_SIZE #BLOCKS HASH_START ALGORITHM ROOT SALT|- "
        "[#FEATURES FEATURE...]",
    ),
    "writecache": (_writecache, "s|p ORIGIN CACHE BLOCK_SIZE #OPTIONS [OPTION...]"),
}
"""Constructor and usage of each of these targets."""
