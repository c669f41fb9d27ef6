# SPDX-License-Identifier: LGPL-2.1-or-later
"""The long crash replay, in a guest: PYTHONPATH=tests python -m guests -- python -P -m crash. `make crash` does it."""

import argparse
import sys
import tempfile
from pathlib import Path

from crash import thin_pool as crash
from guests.loop import attach, detach


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--operations", type=int, default=150, metavar="N", help="of a session")
    parser.add_argument("--sessions", type=int, default=6, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first session")
    options = parser.parse_args()
    total, bad = 0, 0
    for seed in range(options.seed, options.seed + options.sessions):
        disks = []
        with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
            folder = Path(name)

            def make(size_bytes: int, folder: Path = folder, disks: list = disks) -> object:
                path = folder / f"disk{len(disks)}"
                with path.open("xb") as file:
                    file.truncate(size_bytes)
                disks.append(attach(path))
                return disks[-1]

            recorded = crash.record("crash-", make, operations=options.operations, seed=seed)
            recorded.log = folder / "disk1"
            for disk in disks:
                detach(disk)
            kinds, wrong = crash.violations(recorded, folder, seed=seed)
        total += sum(kinds.values())
        bad += len(wrong)
        print(
            f"seed {seed}: {len(recorded.expected)} commits, {dict(kinds)} states, {len(wrong)} violations", flush=True
        )
        for state, why in wrong[:5]:
            print(f"    {state}: {why}")
    print(f"{total} states, {bad} violations")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
