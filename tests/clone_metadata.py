# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata of dm-clone written by hand, as drivers/md/dm-clone-metadata.c and persistent-data/ have them on disk."""

import struct

BLOCK = 4096
WORDS = 509  # of an array block
SUPERBLOCK, NODE, ARRAY = 257649492, 121107, 595846735


def crc32c(data):
    """Bit by bit, as in RFC 3720; the kernel's begins with ones and does not invert at the end."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def block(content, seed):
    """A block with its checksum; what it holds begins behind that."""
    whole = bytes(content) + bytes(BLOCK - 4 - len(content))
    return struct.pack("<I", crc32c(whole) ^ seed) + whole


def superblock(region_sectors, target_sectors, root, *, number=0, magic=0x8AF27F64, version=1, seed=SUPERBLOCK):
    fields = (0, number, bytes(16), magic, version, bytes(128), region_sectors, target_sectors, root)
    return block(struct.pack("<IQ16sQI128sQQQ", *fields), seed)


def root_node(number, array_blocks, *, keys=None):
    """A leaf whose values are the numbers of the array's blocks."""
    keys = list(range(len(array_blocks))) if keys is None else keys
    most = 252
    head = struct.pack("<IQIIII", 2, number, len(keys), most, 8, 0)
    return block(head + struct.pack(f"<{most}Q", *keys, *[0] * (most - len(keys))) + struct.pack(
        f"<{len(array_blocks)}Q", *array_blocks), NODE)  # fmt: skip


def array_block(number, words, *, seed=ARRAY, own=None, most=WORDS, entries=None):
    head = struct.pack("<IIIQ", most, len(words) if entries is None else entries, 8, number if own is None else own)
    return block(head + struct.pack(f"<{len(words)}Q", *words), seed)


def words_of(regions, hydrated):
    """The 64-bit words of a bitmap."""
    words = [0] * -(-regions // 64)
    for region in hydrated:
        words[region // 64] |= 1 << region % 64
    return words


def image(region_sectors, target_sectors, hydrated):
    """Metadata in which block 1 is the tree and the array's blocks follow it."""
    regions = -(-target_sectors // region_sectors)
    words = words_of(regions, hydrated)
    pieces = [words[at : at + WORDS] for at in range(0, len(words), WORDS)]
    numbers = list(range(2, 2 + len(pieces)))
    blocks = [superblock(region_sectors, target_sectors, 1), root_node(1, numbers)]
    blocks += [array_block(number, piece) for number, piece in zip(numbers, pieces, strict=True)]
    return bytearray(b"".join(blocks))
