# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a write waits while a clone becomes linear: by `dmctl clone finish`, and by suspend, reload and resume of
dmsetup, as scripts do it.

For the guest, as root:
    PYTHONPATH=tests python -m guests -- python -P tests/bench/clone.py
"""

import mmap
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

DMCTL = str(Path(sys.executable).with_name("dmctl"))
SIZE, RUNS = 64 << 20, 10


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def disk(name: str, size: int) -> str:
    with open(f"/tmp/{name}", "wb") as file:
        file.truncate(size)
    return run("losetup", "--find", "--show", f"/tmp/{name}").strip()


class Writer(threading.Thread):
    """Writes 4 KiB past the page cache, one after the other, and notes when each began and how long it took."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path
        self.stopped = threading.Event()
        self.took: list[tuple[float, float]] = []
        self.errors = 0

    def run(self) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_DIRECT)
        with mmap.mmap(-1, 4096) as page:
            at = 0
            while not self.stopped.is_set():
                begun = time.monotonic()
                try:
                    os.pwrite(fd, page, at)
                except OSError:
                    self.errors += 1
                self.took.append((begun, time.monotonic() - begun))
                at = (at + 7 * 4096) % SIZE
        os.close(fd)


def by_dmctl(_: str) -> None:
    run(DMCTL, "clone", "finish", "bench")


def by_dmsetup(dest: str) -> None:
    run("dmsetup", "suspend", "bench")
    run("dmsetup", "reload", "bench", "--table", f"0 {SIZE // 512} linear {dest} 0")
    run("dmsetup", "resume", "bench")


def longest(finish: Callable[[str], None], source: str, dest: str, metadata: str) -> tuple[float, float, int]:
    """The longest write before and during the end of a clone, and how many failed."""
    words = ("--source", source, "--dest", dest, "--metadata", metadata, "--yes", "--wait", "--json")
    run(DMCTL, "clone", "create", "bench", *words)
    writer = Writer("/dev/mapper/bench")
    writer.start()
    time.sleep(1)
    begun = time.monotonic()
    finish(dest)
    time.sleep(0.2)
    writer.stopped.set()
    writer.join()
    run(DMCTL, "clone", "abort", "bench", "--yes")
    before = max(took for at, took in writer.took if at + took < begun)
    return before, max(took for at, took in writer.took if at + took >= begun), writer.errors


def main() -> None:
    subprocess.run(["modprobe", "dm-clone"], check=True)
    devices = [disk(name, size) for name, size in (("source", SIZE), ("dest", SIZE), ("metadata", 4 << 20))]
    for name, finish in {"dmctl clone finish": by_dmctl, "dmsetup suspend, reload, resume": by_dmsetup}.items():
        found = [longest(finish, *devices) for _ in range(RUNS)]
        swaps = [during * 1000 for _, during, _ in found]
        print(
            f"{name}: longest write median {statistics.median(swaps):.1f} ms, worst {max(swaps):.1f} ms "
            f"(before it {max(before for before, _, _ in found) * 1000:.1f} ms); {sum(e for *_, e in found)} errors",
            flush=True,
        )


main()
