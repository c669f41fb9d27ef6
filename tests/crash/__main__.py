# SPDX-License-Identifier: LGPL-2.1-or-later
"""The long crash replay, in a guest: PYTHONPATH=tests python -m guests -- python -P -m crash. `make crash` does it."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from crash import clone, thin_pool
from guests.loop import in_folder


def replay(kind: str, folder: Path, *, seed: int, operations: int) -> tuple[Counter, list]:
    """A session, and all states that a crash may leave: how many of each kind, and which are wrong."""
    with in_folder(folder) as make:
        if kind == "clone":
            recorded = clone.record("crash-", make, writes=operations, seed=seed)
        else:
            recorded = thin_pool.record("crash-", make, operations=operations, seed=seed)
    recorded.log = folder / "disk1"
    return (clone if kind == "clone" else thin_pool).violations(recorded, folder, seed=seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m crash", description=__doc__)
    parser.add_argument("--operations", type=int, default=150, metavar="N", help="of a session")
    parser.add_argument("--sessions", type=int, default=6, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first session")
    options = parser.parse_args()
    total, bad = 0, 0
    for number in range(options.sessions):
        seed = options.seed + number
        for kind in ("thin pool", "clone"):
            with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
                kinds, wrong = replay(kind, Path(name), seed=seed, operations=options.operations)
            total += sum(kinds.values())
            bad += len(wrong)
            print(f"{kind}, seed {seed}: {dict(kinds)} states, {len(wrong)} violations", flush=True)
            for state, why in wrong[:5]:
                print(f"    {state}: {why}")
    print(f"{total} states, {bad} violations")
    return 1 if bad or not total else 0


if __name__ == "__main__":
    sys.exit(main())
