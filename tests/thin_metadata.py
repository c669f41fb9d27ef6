# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata of thin pools for tests: random ones, made by thin_restore, and ways to damage them."""

import random
import subprocess
from pathlib import Path

from dmctl._thin import ffi, lib

BLOCK = 4096
MIB = 1 << 20


def mapping(virtual, data, length, time):
    if length == 1:
        return f'    <single_mapping origin_block="{virtual}" data_block="{data}" time="{time}"/>\n'
    return f'    <range_mapping origin_begin="{virtual}" data_begin="{data}" length="{length}" time="{time}"/>\n'


def xml(thins, *, data_blocks, time=9, transaction=3, data_block_sectors=128):
    """thins: id → runs (virtual block, data block, blocks, time)."""
    lines = [
        f'<superblock uuid="" time="{time}" transaction="{transaction}" flags="0" version="2" '
        f'data_block_size="{data_block_sectors}" nr_data_blocks="{data_blocks}">\n'
    ]
    for thin_id, runs in thins.items():
        mapped = sum(run[2] for run in runs)
        lines.append(
            f'  <device dev_id="{thin_id}" mapped_blocks="{mapped}" transaction="{thin_id % 4}" '
            f'creation_time="{thin_id % 7}" snap_time="{thin_id % 9}">\n'
        )
        lines += [mapping(*run) for run in runs]
        lines.append("  </device>\n")
    return "".join(lines) + "</superblock>\n"


def random_thins(seed, *, thins, runs, data_blocks, longest=8):
    """Runs of random lengths and gaps; data blocks are at random, so that some have several thins."""
    dice = random.Random(seed)
    made = {}
    for thin_id in sorted(dice.sample(range(1 << 24), thins)):
        at, out = dice.randrange(5), []
        for _ in range(runs):
            length = dice.randint(1, longest)
            out.append((at, dice.randrange(data_blocks - length), length, dice.randrange(4)))
            at += length + dice.choice((0, 0, 1, 3, 1000))
        made[thin_id] = out
    return made


def restore(folder, text, *, name="metadata", size_bytes=4 * MIB):
    """The metadata that thin_restore makes of the XML."""
    source, made = Path(folder) / f"{name}.xml", Path(folder) / name
    source.write_text(text)
    with made.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["thin_restore", "-i", source, "-o", made], check=True, capture_output=True)
    return made


def tool(*words):
    """What a tool of thin-provisioning-tools prints."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True).stdout


def block(path, number):
    with open(path, "rb") as file:
        file.seek(number * BLOCK)
        return file.read(BLOCK)


SEEDS = {
    "superblock": lib.DMCTL_THIN_SUPERBLOCK_SEED,
    "node": lib.DMCTL_THIN_NODE_SEED,
    "bitmap": lib.DMCTL_THIN_BITMAP_SEED,
    "index": lib.DMCTL_THIN_INDEX_SEED,
}


def kind(content):
    """Of a block, by the checksum that is right for it; None: none of them."""
    stored = int.from_bytes(content[:4], "little")
    for name, seed in SEEDS.items():
        if checksum(content, seed) == stored:
            return name
    return None


def checksum(content, seed):
    return lib.dmctl_thin_checksum(ffi.from_buffer(bytes(content)), seed)


def sealed(content, seed):
    """With the checksum that belongs to it, whatever it says."""
    return checksum(content, seed).to_bytes(4, "little") + bytes(content[4:])


def write_block(path, number, content):
    with open(path, "r+b") as file:
        file.seek(number * BLOCK)
        file.write(content)
