# SPDX-License-Identifier: LGPL-2.1-or-later
"""A command killed, or interrupted, at each of its steps: the next one clears up by itself and says so."""

import signal
import subprocess
import sys

import pytest

from dmctl.thin.catalogue import CATALOGUE_ID
from dmctl.thin.pool import Pool
from kernel import thin_pools
from kernel.thin_pools import MIB, dmsetup, thins

# Runs a dmctl command line. Around each write of a slot and each message to a pool there is a step; at the chosen one
# the process gets a signal.
CHILD = """
import os, sys
from dmctl import section
from dmctl.cli.main import main
from dmctl.thin import kernel, slots
at, number = int(sys.argv[1]), int(sys.argv[2])
steps = 0

def step():
    global steps
    steps += 1
    if steps == at + 1:
        os.kill(os.getpid(), number)

def around(call):
    def called(*arguments, **options):
        step()
        result = call(*arguments, **options)
        step()
        return result
    return called

kernel.message = around(kernel.message)
slots.Slots.write = around(slots.Slots.write)
section.run = around(section.run)
status = main(["dmctl", "thin", *sys.argv[3:]])
sys.exit(status if steps > at else 99)
"""
NO_SUCH_STEP = 99
LINES = "snapshot kept s1\nsnapshot kept s2\ncreate new 1M\nremove old\n"


@pytest.fixture
def tank(prefix, disk):
    """A pool with an active volume "kept", and "old": its name and metadata."""
    name = prefix + "tank"
    with thin_pools.tank(name, disk, data_bytes=32 * MIB, volumes=50) as (metadata, _):
        with Pool.opened(name) as pool:
            with pool.batch() as batch:
                batch.create("kept", 2048, b"blob")
                batch.create("old", 2048)
            pool.activate("kept")
        yield name, metadata


def child(*words, stdin=b""):
    return subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], input=stdin, capture_output=True, check=False
    )


def state(name, metadata):
    """The volumes, after what was interrupted is put right, and what was said about that."""
    with Pool.opened(name) as pool:
        volumes, notes = pool.catalogue.volumes.values(), pool.notes
    assert {volume.thin_id for volume in volumes} | {CATALOGUE_ID} == set(thins(metadata, name))
    assert "SUSPENDED" not in dmsetup("info")
    return {volume.name for volume in volumes}, notes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_batch(tank, number):
    """Deletes are its last messages: from there on it is finished, and before that undone."""
    name, metadata = tank
    before, after = {"kept", "old"}, {"kept", "s1", "s2", "new"}
    outcomes = []
    for step in range(100):
        done = child(step, int(number), "batch", name, "-", stdin=LINES.encode())
        if done.returncode == NO_SUCH_STEP:
            break
        found, notes = state(name, metadata)
        assert found in (before, after), (step, found)
        outcomes.append(found == after)
        if number == signal.SIGKILL:
            # Before the slot is written nothing has happened; after the transaction id is set all has.
            assert bool(notes) == (0 < step < len(MESSAGES_AND_SLOT) - 1), (step, notes)
        else:
            assert done.returncode == -number
            assert not notes, (step, notes)  # the process itself has put it right before it ended
        if found == after:
            undo(name)
    assert done.returncode == NO_SUCH_STEP and state(name, metadata)[0] == after
    assert len(outcomes) == len(MESSAGES_AND_SLOT)
    assert outcomes == sorted(outcomes)


# Before and after each of: the slot, the section, create, snapshot of the first snapshot, delete, transaction id.
MESSAGES_AND_SLOT = range(2 * 6)


def undo(name):
    """As it was before the batch."""
    with Pool.opened(name) as pool, pool.batch() as batch:
        for one in ("s1", "s2", "new"):
            batch.remove(one)
        batch.create("old", 2048)


def test_removal(tank):
    """It is in two steps, and once begun it is done by the next command."""
    name, metadata = tank
    for step in range(100):
        done = child(step, signal.SIGKILL, "remove", name, "old", "--yes")
        if done.returncode == NO_SUCH_STEP:
            break
        found, notes = state(name, metadata)
        assert found in ({"kept", "old"}, {"kept"})
        if found == {"kept"}:
            assert notes or step >= 9, step
            with Pool.opened(name) as pool, pool.batch() as batch:
                batch.create("old", 2048)
    assert step == 10 and state(name, metadata)[0] == {"kept"}
