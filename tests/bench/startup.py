# SPDX-License-Identifier: LGPL-2.1-or-later
"""Start-up in CPU time: dmctl against an empty Python program and against dmsetup, in one run (make bench).

No device-mapper is needed: without it the commands end in an error, after all that a start costs. Called by the
installed script, because that is what users start.
"""

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path

SBIN = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
LIMIT = 1.5


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one process, output thrown away."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        streams = [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
        child = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
    finally:
        os.close(null)
    usage = os.wait4(child, 0)[2]
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure start-up in CPU time.")
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="runs of each command (100)")
    rounds = parser.parse_args().rounds
    dmctl = Path(sys.prefix, "bin", "dmctl")
    if not dmctl.exists():
        print(f"{dmctl} is not there: run `make bench`", file=sys.stderr)
        return 1
    base = f"{Path(sys.executable).name} -c pass"
    commands = {base: [sys.executable, "-c", "pass"]}
    commands |= {
        f"dmctl {word}": [str(dmctl), *word.split()]
        for word in ("version", "ls", "targets", "info", "suspend a", "splitname a-b")
    }
    if dmsetup := shutil.which("dmsetup", path=SBIN):
        commands |= {f"dmsetup {word}": [dmsetup, word] for word in ("version", "ls")}

    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(-2, rounds):  # two rounds to warm the caches
        # In turn, so that whatever else the machine does meets them all.
        for name, command in commands.items():
            seconds = cpu_seconds(command)
            if number >= 0:
                times[name].append(seconds)

    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"CPU time of a start, {rounds} interleaved runs each, Python {sys.version.split()[0]}")
    print(f"{'':20}{'median':>10}{'least':>10}{'ratio':>8}")
    for name, median in medians.items():
        print(f"{name:20}{median * 1000:7.2f} ms{min(times[name]) * 1000:7.2f} ms{median / medians[base]:8.2f}")
    worst = max(median / medians[base] for name, median in medians.items() if name.startswith("dmctl"))
    print(f"dmctl takes {worst:.2f} x the time of `{base}` at the most; the limit is {LIMIT}")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
