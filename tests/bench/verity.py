# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hashing for dm-verity: the core on hot buffers and from a file on tmpfs, beside OpenSSL's EVP and veritysetup.

Blocks of 4 KiB and a salt of 32 bytes. In turn and the best of several rounds, so that whatever else the machine does
meets them all. The core does the lowest level of the tree, which is 99 % of the work; veritysetup does all of it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dmctl.verity.hashing import Hasher, Level, hash_blocks, paths, verify_blocks

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
ALGORITHMS = ("sha256", "sha512")
BLOCK_BYTES = 4096
SALT = bytes(range(32))
# Fits the second-level cache, and what a thread reads at once.
HOT_BYTES = 256 * 1024
HOT_TURNS = 400
CPUS = len(os.sched_getaffinity(0))


def seconds(function: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def hasher_by(name: str, path: str) -> Hasher:
    """One that computes it in this way."""
    os.environ["DMCTL_HASH"] = path
    try:
        return Hasher(name, SALT)
    finally:
        del os.environ["DMCTL_HASH"]


def hot(hasher: Hasher, threads: int) -> None:
    """The same buffer again and again, one for each thread."""
    buffers = [os.urandom(HOT_BYTES) for _ in range(threads)]

    def turn(buffer: bytes) -> None:
        for _ in range(HOT_TURNS):
            hasher.digests(buffer, BLOCK_BYTES)

    workers = [threading.Thread(target=turn, args=(buffer,)) for buffer in buffers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def write_data(path: Path, size: int) -> None:
    """Random bytes, the same 16 MiB again and again: none are zero, and it is made in a moment."""
    piece = os.urandom(16 << 20)
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(piece[:left])


def measure(name: str, folder: Path, rounds: int) -> None:
    """Print a table of one algorithm."""
    data, tree, other = folder / "data", folder / "tree", folder / "other-tree"
    size = data.stat().st_size
    hashers = {path: hasher_by(name, path) for path in paths(name)}
    fastest = hashers[paths(name)[0]]
    veritysetup = shutil.which("veritysetup", path=SBIN)

    cases: dict[str, tuple[int, Callable[[], object]]] = {}
    for path, hasher in hashers.items():
        for threads in sorted({1, CPUS}):
            label = f"hot buffer, {path}, {threads} threads"
            cases[label] = (HOT_BYTES * HOT_TURNS * threads, partial(hot, hasher, threads))
    with data.open("rb") as source, tree.open("wb+") as target:
        level = Level(source.fileno(), 0, BLOCK_BYTES, size // BLOCK_BYTES, target.fileno(), 0, BLOCK_BYTES)
        for threads in sorted({1, CPUS}):
            for what, function in (("hash", hash_blocks), ("verify", verify_blocks)):
                cases[f"file, {what}, {threads} threads"] = (size, partial(function, fastest, level, threads=threads))
        if veritysetup:
            command = [veritysetup, "format", str(data), str(other), f"--hash={name}", f"--salt={SALT.hex()}"]
            run = partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
            cases["veritysetup format"] = (size, run)
        best = dict.fromkeys(cases, float("inf"))
        for _ in range(rounds):
            for label, (_bytes, function) in cases.items():
                best[label] = min(best[label], seconds(function))

    rates = {label: cases[label][0] / 1e9 / best[label] for label in cases}
    evp, peer = rates["hot buffer, evp, 1 threads"], rates.get("veritysetup format")
    print(f"{name}, {size >> 20} MiB on tmpfs, best of {rounds}; here it is computed by {fastest.path}")
    print(f"{'':32}{'GB/s':>8}{'x EVP':>8}" + (f"{'x veritysetup':>15}" if peer else ""))
    for label, rate in rates.items():
        print(f"{label:32}{rate:8.2f}{rate / evp:8.2f}" + (f"{rate / peer:15.2f}" if peer else ""))
    limit = rates[f"hot buffer, {fastest.path}, {CPUS} threads"]
    share = rates[f"file, hash, {CPUS} threads"] / limit
    print(f"From the file it is {100 * share:.0f} % of the rate on hot buffers, {CPUS} threads.\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure hashing for dm-verity.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each (3)")
    parser.add_argument("--mib", type=int, default=1024, metavar="N", help="size of the file on tmpfs (1024)")
    arguments = parser.parse_args()
    memory = Path("/dev/shm")
    if shutil.disk_usage(memory).free < arguments.mib * 1.1 * (1 << 20):
        print(f"{memory} has no room for {arguments.mib} MiB", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        write_data(Path(folder, "data"), arguments.mib << 20)
        for name in ALGORITHMS:
            measure(name, Path(folder), arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
