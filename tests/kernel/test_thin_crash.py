# SPDX-License-Identifier: LGPL-2.1-or-later
"""A power failure at any moment of a pool's life: a short replay; `make crash` has the long one."""

import random
import shutil
from pathlib import Path

import pytest

from crash import thin_pool as crash
from dmctl.thin import making
from dmctl.thin.pool import Pool
from guests.loop import attach, detach, in_folder
from kernel.thin_pools import run, stop

SEED = 20221


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session of random changes, and its log in a file."""
    folder = tmp_path_factory.mktemp("crash")
    with in_folder(folder) as make:
        found = crash.record("crash-", make, operations=45, seed=SEED, log_bytes=64 << 20)
    found.log = folder / "disk1"
    return found


def test_every_state(recorded, tmp_path):
    kinds, wrong = crash.violations(recorded, tmp_path, seed=SEED)
    assert not wrong, wrong[:3]
    assert len(recorded.expected) > 30 and sum(kinds.values()) > 500 and set(kinds) == {"prefix", "subset", "torn"}


def test_states_through_the_kernel(recorded, prefix, tmp_path):
    """A sample: dmctl opens the pool as it was left, twice; then it is as it must be, and the metadata are clean."""
    dice = random.Random(SEED)
    found = list(crash.states(recorded, tmp_path, seed=SEED))
    chosen = set(dice.sample(range(len(found)), 12))
    told = set()
    for number, (state, metadata, data) in enumerate(crash.states(recorded, tmp_path, seed=SEED)):
        if number not in chosen:
            continue
        disks = []
        for path in (metadata, data):
            shutil.copyfile(path, f"{path}-copy")
            disks.append(attach(Path(f"{path}-copy")))
        name = f"{prefix}tank"
        try:
            for _ in range(2):
                told.update(making.open_pool(name, str(disks[0].path), str(disks[1].path)))
                with Pool.opened(name) as pool:
                    assert not pool.notes
                    now = pool.catalogue
                    assert not crash.judged(recorded, state, now, now.next_id, pool.thins, opened_again=True)
                making.close_pool(name, deactivate=True)
            run("thin_check", disks[0].path)
        finally:
            stop(name)
            for one in disks:
                detach(one)
    assert told  # some of them had something to be put right


def test_a_crash_in_the_recovery(recorded, prefix, disk, tmp_path):
    """Of states in which there is something to be put right: what that writes is cut off everywhere, too."""
    interrupted = [
        number
        for number, (_, metadata, data) in enumerate(crash.states(recorded, tmp_path, seed=SEED))
        if crash.pending(metadata, data)
    ]
    chosen = set(random.Random(SEED).sample(interrupted, 4))
    total = 0
    for number, (state, _, _) in enumerate(crash.states(recorded, tmp_path, seed=SEED)):
        if number in chosen:
            inner = tmp_path / f"inner{number}"
            inner.mkdir()
            for name in ("metadata", "data"):
                shutil.copyfile(tmp_path / name, inner / name)
            count, wrong = crash.during_recovery(recorded, state, inner, prefix, disk, seed=SEED)
            assert not wrong, wrong[:3]
            total += count
    assert total > 40


@pytest.mark.parametrize("way", [crash.written_after_the_messages, crash.written_after_the_commit_mark])
def test_ways_that_are_wrong_are_found(prefix, disk, tmp_path, way):
    recorded = crash.record(prefix, disk, operations=12, seed=SEED, log_bytes=64 << 20, control=way)
    _, wrong = crash.violations(recorded, tmp_path, seed=SEED, subsets=0, torn=0)
    assert len(wrong) > 10
