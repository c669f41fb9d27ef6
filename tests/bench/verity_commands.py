# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity format and verify as whole processes, beside veritysetup, on files in tmpfs.

Blocks of 4 KiB, sha256, a salt of 32 bytes, all processors. In turn, so that whatever else the machine does meets both;
the medians are printed, with the limit that each is to keep. The exit status is 1 where a limit is missed. veritysetup
takes over a minute for the parity of 4 GiB.
"""

import argparse
import filecmp
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.process import Sample, run
from bench.verity import CPUS, HOT_BYTES, HOT_TURNS, SALT, SBIN, hot, write_data
from dmctl.verity.hashing import Hasher, paths

DMCTL = str(Path(sys.prefix, "bin", "dmctl"))
# How much faster than veritysetup, with and without AVX-512; and the most memory.
TIMES = 6 if "avx512" in paths("sha256") else 3.5
PARITY_TIMES = 40
MOST_MIB = 64
MISSED: list[str] = []
OPTIONS = [f"--salt={SALT.hex()}", "--uuid=11111111-2222-3333-4444-555555555555"]


def pair(what: str, own: list[str], theirs: list[str], rounds: int, *, times: float = 0, seconds: float = 0) -> float:
    """Print a line; the seconds that dmctl took. times: so much faster it is to be; seconds: so long it may take."""
    both: list[list[Sample]] = [[], []]
    for _ in range(rounds):
        for samples, command in zip(both, (own, theirs), strict=True):
            samples.append(run(command))
    mine, other = (statistics.median(sample.seconds for sample in samples) for samples in both)
    most = max(sample.mib for sample in both[0])
    missed = other / mine < times or (seconds and mine > seconds) or most > MOST_MIB
    MISSED.extend([what] * missed)
    limit = f"{times:g} x" if times else f"{seconds:g} s"
    print(
        f"{what:34}{mine:9.3f} s{other:12.3f} s{other / mine:8.1f} x{limit:>8}{most:8.0f} MiB{'  MISSED' * missed}",
        flush=True,
    )
    return mine


def hot_rate() -> float:
    """Bytes a second that the hashing core does on hot buffers, on all processors."""
    hasher, most = Hasher("sha256", SALT), 0.0
    for _ in range(3):
        begin = time.perf_counter()
        hot(hasher, CPUS)
        most = max(most, HOT_BYTES * HOT_TURNS * CPUS / (time.perf_counter() - begin))
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure dmctl verity beside veritysetup.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument("--mib", type=int, default=4096, metavar="N", help="size of the data (4096)")
    parser.add_argument("--fec-mib", type=int, default=4096, metavar="N", help="size where parity is made (4096)")
    arguments = parser.parse_args()
    veritysetup = shutil.which("veritysetup", path=SBIN)
    if not veritysetup:
        print("veritysetup (Debian package cryptsetup-bin) is not there", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        data, small, parted, sparse = (str(Path(folder, name)) for name in ("data", "small", "parted", "sparse"))
        for path, mib in ((data, arguments.mib), (small, 16), (parted, arguments.fec_mib)):
            write_data(Path(path), mib << 20)
        Path(sparse).touch()
        os.truncate(sparse, 8 << 30)
        own, theirs = str(Path(folder, "own")), str(Path(folder, "theirs"))
        print(f"{'':34}{'dmctl':>11}{'veritysetup':>14}{'':10}{'limit':>8}{'dmctl used':>12}")

        def both(words: list[str], more: list[str]) -> tuple[list[str], list[str]]:
            fec = ["--fec-device", own + "-fec"], ["--fec-device", theirs + "-fec"]
            extra = fec if more == ["fec"] else (more, more)
            return (
                [DMCTL, "verity", *words, own, *extra[0]],
                [veritysetup, *words, theirs, *extra[1]],
            )

        took = pair(
            f"format, {arguments.mib} MiB", *both(["format", *OPTIONS, data], []), arguments.rounds, times=TIMES
        )
        done = subprocess.run([DMCTL, "verity", "format", *OPTIONS, data, own], capture_output=True, check=True)
        root_hash = done.stdout.decode().split("Root hash:")[1].split()[0]
        pair(f"verify, {arguments.mib} MiB", *both(["verify", data], [root_hash]), arguments.rounds, times=TIMES)
        if not filecmp.cmp(own, theirs, shallow=False):
            raise SystemExit("the trees differ")
        pair("format, 16 MiB", *both(["format", *OPTIONS, small], []), 10, seconds=0.2)
        pair("format, 8 GiB that is a hole", *both(["format", *OPTIONS, sparse], []), 1, seconds=0.5)
        words = both(["format", *OPTIONS, parted], ["fec"])
        pair(f"format and parity, {arguments.fec_mib} MiB", *words, 1, times=PARITY_TIMES)
    rate, limit = (arguments.mib << 20) / took, hot_rate()
    print(f"format: {rate / 1e9:.2f} GB/s, {rate / limit:.0%} of the core on hot buffers, {limit / 1e9:.2f} GB/s")
    for what in MISSED:
        print(f"missed: {what}")
    return bool(MISSED)


if __name__ == "__main__":
    sys.exit(main())
