# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin ls, check and dump as whole processes, beside thin_ls, thin_check and thin_dump, on the same metadata.

Two pools: 1000 thins of 10,000 mappings each, none shared; and 200 thins that share a tree of a million mappings and
have 500 of their own, which a kernel in a guest makes (thin_shared.py). In turn; the medians are printed, with the
limit that each is to keep. The exit status is 1 where a limit is missed. It takes ten minutes, most of it the tools'.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.process import Sample, run

DMCTL = str(Path(sys.prefix, "bin", "dmctl"))
THINS, MAPPINGS = 1000, 10_000
CHEAP = "DEV,MAPPED,TRANSACTION,CREATE_TIME,SNAP_TIME"
MISSED: list[str] = []


def unshared(path: Path) -> None:
    """The XML of the first pool, restored."""
    dice = random.Random(1)
    source, data = path.with_suffix(".xml"), 0
    with source.open("w") as file:
        file.write(
            '<superblock uuid="" time="0" transaction="0" flags="0" version="2" data_block_size="128" '
            f'nr_data_blocks="{THINS * MAPPINGS}">\n'
        )
        for thin_id in range(1, THINS + 1):
            file.write(f'<device dev_id="{thin_id}" mapped_blocks="{MAPPINGS}" transaction="0" ')
            file.write('creation_time="0" snap_time="0">\n')
            at, left = 0, MAPPINGS
            while left:
                length = min(dice.randint(1, 8), left)
                file.write(f'<range_mapping origin_begin="{at}" data_begin="{data}" length="{length}" time="0"/>\n')
                at, data, left = at + length + dice.choice((0, 1, 5)), data + length, left - length
            file.write("</device>\n")
        file.write("</superblock>\n")
    with path.open("wb") as file:
        file.truncate(1 << 30)
    subprocess.run(["thin_restore", "-i", source, "-o", path], check=True, capture_output=True)
    source.unlink()


def shared(path: Path) -> None:
    words = [sys.executable, "-m", "guests", "--results", path.parent, "--", sys.executable]
    subprocess.run([*words, Path(__file__).with_name("thin_shared.py"), path], check=True, env=os.environ)


def pair(what: str, own: list[str], theirs: list[str], times: float, rounds: int) -> None:
    """Print a line. times: how much faster it is to be."""
    both: list[list[Sample]] = [[], []]
    for _ in range(rounds):
        for samples, command in zip(both, (own, theirs), strict=True):
            samples.append(run(command))
    mine, other = (statistics.median(sample.seconds for sample in samples) for samples in both)
    memory, others = (max(sample.mib for sample in samples) for samples in both)
    missed = other / mine < times or memory > others
    MISSED.extend([what] * missed)
    print(
        f"{what:26}{mine:9.3f} s{other:9.3f} s{other / mine:8.1f} x{times:6g} x{memory:8.0f}{others:8.0f} MiB"
        f"{'  MISSED' * missed}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure dmctl thin beside thin-provisioning-tools.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument("--shared", metavar="FILE", help="metadata of the second pool, if they were made before")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        print(f"{'':26}{'dmctl':>11}{'tools':>11}{'':10}{'limit':>8}{'memory':>8}{'theirs':>8}")
        first = Path(folder, "unshared")
        unshared(first)
        second = Path(arguments.shared) if arguments.shared else Path(folder, "shared")
        if not arguments.shared:
            shared(second)
        for name, path, factor in (("unshared", str(first), 1), ("shared", str(second), 20)):
            rounds = arguments.rounds if factor == 1 else 1
            cheap = ["-o", CHEAP, path]
            pair(f"ls, {name}", [DMCTL, "thin", "ls", *cheap], ["thin_ls", *cheap], 5 if factor == 1 else 1, 5)
            walk = ["-o", f"{CHEAP},EXCLUSIVE", path]
            pair(f"ls EXCLUSIVE, {name}", [DMCTL, "thin", "ls", *walk], ["thin_ls", *walk], factor, rounds)
            pair(f"check, {name}", [DMCTL, "thin", "check", path], ["thin_check", path], factor, rounds)
            pair(f"dump, {name}", [DMCTL, "thin", "dump", path], ["thin_dump", path], factor, rounds)
    for what in MISSED:
        print(f"missed: {what}")
    return bool(MISSED)


if __name__ == "__main__":
    sys.exit(main())
