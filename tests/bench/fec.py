# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parity of dm-verity's error correction in GB/s (10^9 bytes of message), in memory, and against veritysetup.

veritysetup is slow, so it gets a quarter of the data; what it takes for the parity is what its format takes longer with
--fec-device. No root and no kernel is needed. Another job on the machine makes these numbers worthless.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dmctl.verity import fec

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
MIB = 1 << 20
# The whole format with 2 roots, hashing included, is to be this much faster: the coder must not stand in the way.
GOAL = 40


def seconds(work: Callable[[], object], runs: int) -> float:
    """The best of some runs."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def encoder(data: Path, parity: Path, roots: int, threads: int, runs: int) -> float:
    """The rate of dmctl's coder in bytes a second."""
    with data.open("rb") as source, parity.open("w+b") as target:
        areas = [fec.Area(source.fileno(), 0, data.stat().st_size)]
        return data.stat().st_size / seconds(
            lambda: fec.encode(areas, target.fileno(), roots=roots, threads=threads), runs
        )


def veritysetup(data: Path, folder: Path, *options: str) -> float:
    """Seconds of one format."""
    program = shutil.which("veritysetup", path=SBIN)
    assert program, "install cryptsetup-bin"
    for name in ("hash", "fec"):
        (folder / name).write_bytes(b"")
    command = [program, "format", str(data), str(folder / "hash"), *options]
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the message (default: 1024)")
    parser.add_argument("--runs", type=int, default=5, help="runs, of which the best counts (default: 5)")
    parser.add_argument("--folder", default="/dev/shm", help="where the files are made (default: /dev/shm)")
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    rates = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        data, quarter, parity = folder / "data", folder / "quarter", folder / "parity"
        with data.open("wb") as file, quarter.open("wb") as smaller:
            for number in range(arguments.mib):
                chunk = os.urandom(MIB)
                file.write(chunk)
                if number * 4 < arguments.mib:
                    smaller.write(chunk)
        print(f"{arguments.mib} MiB, best of {arguments.runs}; {threads} processors: {', '.join(fec.paths())}")
        for way in fec.paths():
            os.environ["DMCTL_FEC"] = way
            for roots in (2, 24):
                for count in sorted({1, threads}):
                    rate = encoder(data, parity, roots, count, arguments.runs)
                    rates[roots, count] = rate
                    print(f"{way:9} {roots:3} roots {count:3} threads {rate / 1e9:7.2f} GB/s", flush=True)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak memory of this process {memory / 1024:.0f} MiB")
        size = quarter.stat().st_size
        plain = min(veritysetup(quarter, folder) for _ in range(3))
        for roots in (2, 24):
            options = (f"--fec-device={folder / 'fec'}", f"--fec-roots={roots}")
            theirs = size / (veritysetup(quarter, folder, *options) - plain)
            print(
                f"veritysetup {roots:2} roots, {size // MIB} MiB: {theirs / 1e9:.3f} GB/s,"
                f" dmctl {rates[roots, 1] / theirs:.0f} x with 1 thread,"
                f" {rates[roots, threads] / theirs:.0f} x with {threads}"
            )
            if roots == 2:
                reached = rates[roots, threads] / theirs
    print(f"with 2 roots {reached:.0f} x; a whole format {GOAL} x as fast as veritysetup's needs more than {GOAL} x")
    return 0 if reached > GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
