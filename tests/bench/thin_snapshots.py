# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots of one active origin in a guest: dmctl thin batch, beside a shell loop of dmsetup suspend, message, resume.

    PYTHONPATH=tests python -m guests -- python -P tests/bench/thin_snapshots.py [COUNT]

The origin has an ext4 that is mounted. The exit status is 1 where dmctl is not ten times as fast, or the origin not
suspended for a tenth of the time.
"""

import json
import subprocess
import sys
import time

MOST = 0.1
LOOP = """
name=$1 first=$2 count=$3 suspended=0
for number in $(seq "$first" $((first + count - 1))); do
    begin=$(date +%s%N)
    dmsetup suspend "$name-origin"
    dmsetup message "$name" 0 "create_snap $number 1"
    dmsetup resume "$name-origin"
    suspended=$((suspended + $(date +%s%N) - begin))
done
echo "$suspended"
"""


def run(*words: str, stdin: str | None = None) -> str:
    return subprocess.run(words, input=stdin, check=True, capture_output=True, text=True).stdout


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    loops = []
    for name, mib in (("metadata", 64), ("data", 256)):
        run("truncate", "-s", f"{mib}M", f"/dev/shm/{name}")
        loops.append(run("losetup", "-f", "--show", f"/dev/shm/{name}").strip())
    run("modprobe", "-a", "dm-thin-pool", "ext4")
    run("dmctl", "thin", "pool", "create", "tank", "--metadata", loops[0], "--data", loops[1], "--max-volumes", "2000")
    run("dmctl", "thin", "create", "tank", "origin", "--size", "64M", "--activate")
    run("mkfs.ext4", "-q", "/dev/mapper/tank-origin")
    run("mkdir", "/run/origin")
    run("mount", "/dev/mapper/tank-origin", "/run/origin")
    begin = time.perf_counter()
    lines = "".join(f"snapshot origin s{number}\n" for number in range(count))
    told = json.loads(run("dmctl", "thin", "batch", "tank", "-", "--json", stdin=lines))
    own = time.perf_counter() - begin
    own_suspended = sum(told["suspended_nanoseconds"]) / 1e9
    begin = time.perf_counter()
    their_suspended = int(run("sh", "-c", LOOP, "sh", "tank", "1000000", str(count))) / 1e9
    theirs = time.perf_counter() - begin
    run("umount", "/run/origin")
    print(f"{count} snapshots: dmctl {own:.2f} s, a loop of dmsetup {theirs:.2f} s: {theirs / own:.1f} x")
    print(
        f"the origin was suspended {own_suspended:.4f} s, and {their_suspended:.2f} s ({their_suspended / count:.4f} s "
        f"each time): {their_suspended / own_suspended:.0f} x; against one time of the loop's "
        f"{their_suspended / count / own_suspended:.1f} x"
    )
    return not (own < MOST * theirs and own_suspended < MOST * their_suspended)


if __name__ == "__main__":
    sys.exit(main())
