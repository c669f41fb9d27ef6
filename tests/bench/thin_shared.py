# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata with much sharing, made by the kernel in a guest: thin_shared.py FILE.

A thin with a million mappings in runs of 1 to 8, at random places and times; snapshots of it, each with 500 blocks
of its own behind them. The data are on a zero target, which forgets them.
"""

import mmap
import os
import random
import subprocess
import sys

BLOCK_BYTES = 65536
MAPPINGS, THINS, OWN = 1_000_000, 200, 500
LONGEST = 8


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def main() -> None:
    metadata, dice = "/dev/shm/metadata", random.Random(1)
    with open(metadata, "wb") as file:
        file.truncate(256 << 20)
    loop = run("losetup", "-f", "--show", metadata).strip()
    run("modprobe", "-a", "dm-thin-pool")
    sectors = (MAPPINGS + THINS * OWN + 10000) * 128
    run("dmsetup", "create", "forgetful", "--table", f"0 {sectors} zero")
    table = f"0 {sectors} thin-pool {loop} /dev/mapper/forgetful 128 0 1 skip_block_zeroing"
    run("dmsetup", "create", "pool", "--table", table)
    run("dmsetup", "message", "pool", "0", "create_thin 1")
    runs, at, left = [], 0, MAPPINGS
    while left:
        length = min(dice.randint(1, LONGEST), left)
        runs.append((at, length))
        at, left = at + length + dice.choice((0, 0, 1, 2)), left - length
    dice.shuffle(runs)
    behind = [(at + 100 + i, min(LONGEST, OWN - i)) for i in range(0, OWN, LONGEST)]
    size = f"0 {(at + 1000) * 128} thin /dev/mapper/pool"
    write(size, 1, runs)
    for number in range(2, THINS + 1):
        run("dmsetup", "message", "pool", "0", f"create_snap {number} 1")
    for number in range(1, THINS + 1):
        write(size, number, behind)
    for name in ("pool", "forgetful"):
        run("dmsetup", "remove", "--retry", name)
    with open(metadata, "rb") as source, open(sys.argv[1], "wb") as copy:
        while piece := source.read(1 << 20):
            copy.write(piece)


def write(size: str, thin_id: int, runs: list[tuple[int, int]]) -> None:
    """Whole blocks, so that none is copied."""
    run("dmsetup", "create", "one", "--table", f"{size} {thin_id}")
    descriptor = os.open("/dev/mapper/one", os.O_WRONLY | os.O_DIRECT)
    with mmap.mmap(-1, LONGEST * BLOCK_BYTES) as buffer, memoryview(buffer) as view:
        for begin, length in runs:
            with view[: length * BLOCK_BYTES] as piece:
                os.pwrite(descriptor, piece, begin * BLOCK_BYTES)
    os.close(descriptor)
    run("dmsetup", "remove", "--retry", "one")


main()
