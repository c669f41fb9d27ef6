# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a TAB takes in bash, zsh and fish: the first one, and the median of some.

With devices: `PYTHONPATH=tests python -m guests --no-udev -- python -P tests/bench/completion.py --devices 3 200`.
A guest's system calls are slow: the limit is for the machine itself.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from shells import SHELLS, Shell

LIMIT_MS = 30
KINDS = {
    "command": "dmctl re",
    "option": "dmctl info --no",
    "target": "dmctl ls --target ",
    "target of build": "dmctl build ",
    "field": "dmctl info -c -o name,",
    "field of show": "dmctl show -o name,",
    "value": "dmctl top --sort ",
    "device": "dmctl info ",
    "device of dmsetup": "dmsetup info ",
}


def measure(rounds: int) -> bool:
    """Print the times of all kinds; whether the medians are within the limit."""
    holds = True
    print(f"{'':20}" + "".join(f"{name + ' first':>12}{'median':>9}" for name in SHELLS))
    columns = []
    for name in SHELLS:
        with tempfile.TemporaryDirectory() as folder, Shell(name, Path(folder)) as shell:
            columns.append([[shell.seconds(line) * 1000 for _ in range(rounds)] for line in KINDS.values()])
    for kind, *times in zip(KINDS, *columns, strict=True):
        medians = [statistics.median(samples) for samples in times]
        holds &= max(medians) <= LIMIT_MS
        cells = (f"{samples[0]:12.1f}{median:9.1f}" for samples, median in zip(times, medians, strict=True))
        print(f"{kind:20}{''.join(cells)}")
    return holds


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure TABs, in ms.")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="TABs of each kind (15)")
    parser.add_argument("--devices", type=int, nargs="+", metavar="N", help="in a guest: with this many devices")
    options = parser.parse_args()
    if options.devices and not Path("/run/guest").is_dir():
        parser.error("devices are made in a guest only")
    holds = True
    # There is no udevd in that guest, so nobody would complete a cookie.
    plain = os.environ | {"DM_DISABLE_UDEV": "1"}
    for count in options.devices or [0]:
        if count:
            concise = ";".join(f"volume{number},,,rw,0 8 zero" for number in range(count))
            subprocess.run(["dmsetup", "create", "--concise"], input=concise, text=True, check=True, env=plain)
        print(f"{count or 'No'} devices made, times in ms")
        holds &= measure(options.rounds)
        if count:
            subprocess.run(["dmsetup", "remove_all"], check=True, env=plain)
    print(f"The limit is {LIMIT_MS} ms; it {'holds' if holds else 'does not hold'}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
