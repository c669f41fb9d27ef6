# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random changes of a thin pool over dm-log-writes, and what each state that a crash may leave is worth.

Each commit is marked in the log when it has been acknowledged. In every state, what dmctl's recovery makes of it must
be what the last mark before it stands for, or the next one: no acknowledged change lost, none half done, no thin
without a row, no row on another thin, no id that comes again.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crash.log_writes import entries, logged
from crash.states import Image, Region, State, crash_states
from dmctl.errors import DmctlError
from dmctl.thin import making, recovery, removal, slots
from dmctl.thin.batch import Batch
from dmctl.thin.catalogue import CATALOGUE_ID, Catalogue
from dmctl.thin.metadata import opened
from dmctl.thin.pool import Pool
from guests.loop import Disk
from kernel.thin_pools import MIB, dmsetup

METADATA_BYTES = 2 * MIB
DATA_BYTES = 24 * MIB
VOLUMES = 60
SECTORS = 8 * 128  # of a volume


@dataclass
class Recorded:
    """A session. expected: volumes after each commit, by the text of its mark; the first is that of the empty pool."""

    log: Path
    expected: list[dict] = field(default_factory=list)
    next_ids: list[int] = field(default_factory=list)


Control = Callable[[Pool], None]


def record(
    prefix: str, make_disk: Callable[[int], Disk], *, operations: int, seed: int, log_bytes: int = 256 * MIB,
    control: Control | None = None,
) -> Recorded:  # fmt: skip
    """Make a pool and change it at random. control: breaks the pool's way to commit."""
    subprocess.run(["modprobe", "-qa", "dm-log-writes", "dm-thin-pool"], check=False)
    backing, log = make_disk(METADATA_BYTES + DATA_BYTES), make_disk(log_bytes)
    recorded = Recorded(Path(log.path))
    with logged(prefix, backing, log, METADATA_BYTES) as (metadata, data):
        name = prefix + "tank"
        making.create(making.plan(name, metadata, data, volumes=VOLUMES))
        try:
            _session(name, prefix + "log", recorded, random.Random(seed), operations, control)
        finally:
            making.close_pool(name, deactivate=True)
    return recorded


def _session(
    name: str, log: str, recorded: Recorded, dice: random.Random, operations: int, control: Control | None
) -> None:
    with Pool.opened(name) as pool:
        commit = pool.commit

        def mark() -> None:
            dmsetup("message", log, "0", "mark", str(len(recorded.expected)))
            recorded.expected.append(dict(pool.catalogue.volumes))
            recorded.next_ids.append(pool.catalogue.next_id)

        def marked(*arguments: object, **options: object) -> list[int]:
            times = commit(*arguments, **options)  # type: ignore[arg-type]
            mark()
            return times

        mark()
        pool.commit = marked  # type: ignore[method-assign, assignment]
        if control:
            control(pool)
        for number in range(operations):
            _operation(pool, dice, number)


def _operation(pool: Pool, dice: random.Random, number: int) -> None:
    """A change, or a write by a user of a volume."""
    names = sorted(volume.name for volume in pool.catalogue.volumes.values())
    active = [volume.name for volume in pool.catalogue.volumes.values() if volume.thin_id in pool.active_ids()]
    kind = dice.choice(("create", "snapshot", "group", "batch", "remove", "activate", "blob", "write", "write"))
    if len(names) < 3:
        kind = "create"
    elif len(names) > 12:
        kind = "remove"
    if kind == "write" and active:
        path = f"/dev/mapper/{pool.name}-{dice.choice(active)}"
        descriptor = os.open(path, os.O_WRONLY | (os.O_DSYNC if dice.random() < 0.5 else 0))
        os.pwrite(descriptor, dice.randbytes(4096), dice.randrange(SECTORS // 8) * 4096)
        os.close(descriptor)
    elif kind == "activate":
        one = dice.choice(names)
        pool.deactivate(one) if one in active else pool.activate(one)
    elif kind == "remove":
        # Without the deletion of its blocks before, and with it.
        removal.remove(pool, dice.choice(names), discard=dice.random() < 0.5)
    else:
        batch = Batch(pool.catalogue, pool.thins)
        _fill(batch, kind, names, active, dice, number)
        pool.commit(batch)


def _fill(batch: Batch, kind: str, names: list[str], active: list[str], dice: random.Random, number: int) -> None:
    if kind in ("create", "batch"):
        batch.create(f"v{number}", SECTORS, dice.randbytes(dice.randrange(257)))
    if kind in ("snapshot", "batch"):
        batch.snapshot(dice.choice(names or [f"v{number}"]), f"s{number}")
    if kind == "group":
        for index, one in enumerate(dice.sample(names, min(3, len(names)))):
            batch.snapshot(one, f"g{number}-{index}")
    if kind == "batch" and (idle := [name for name in names if name not in active]):
        batch.remove(dice.choice(idle))
        if len(idle) > 2:
            batch.rename(next(one for one in idle if _there(batch, one)), f"r{number}")
    if kind in ("blob", "write", "batch") and names and _there(batch, names[-1]):
        batch.set_blob(names[-1], dice.randbytes(8))


def _there(batch: Batch, name: str) -> bool:
    try:
        batch.volume(name)
    except DmctlError:
        return False
    return True


# ---- the states ----


def states(
    recorded: Recorded, folder: Path, *, seed: int, subsets: int = 1, torn: int = 1
) -> Iterator[tuple[State, str, str]]:
    """Each state after the pool was there, with the files that have its metadata and its data."""
    sizes = {"metadata": METADATA_BYTES, "data": DATA_BYTES}
    for name, size in sizes.items():
        with (folder / name).open("wb") as file:
            file.truncate(size)
    for state in _from(recorded.log, folder, seed, subsets, torn):
        if state.marks:
            yield state, str(folder / "metadata"), str(folder / "data")


def _from(log: Path, folder: Path, seed: int, subsets: int, torn: int) -> Iterator[State]:
    """The states that a log leads to from what is in the files metadata and data."""
    files = [os.open(folder / name, os.O_RDWR) for name in ("metadata", "data")]
    regions = [Region(0, METADATA_BYTES, files[0]), Region(METADATA_BYTES, DATA_BYTES, files[1])]
    try:
        yield from crash_states(list(entries(log)), Image(regions), random.Random(seed), subsets=subsets, torn=torn)
    finally:
        for descriptor in files:
            os.close(descriptor)


def pending(metadata_path: str, data_path: str) -> bool:
    """Whether recovery has something to do in this state."""
    transaction_id, found = slots.offline(metadata_path, data_path)
    return any(slot and slot.sequence == transaction_id + 1 for slot in found)


def during_recovery(
    recorded: Recorded, state: State, folder: Path, prefix: str, make_disk: Callable[[int], Disk], *, seed: int
) -> tuple[int, list]:
    """A power failure while dmctl puts right what one has left in the folder's files: states, and which were wrong."""
    backing, log = make_disk(METADATA_BYTES + DATA_BYTES), make_disk(32 * MIB)
    with open(backing.path, "r+b") as device:
        for name in ("metadata", "data"):
            device.write((folder / name).read_bytes())
        device.flush()
        os.fsync(device.fileno())
    with logged(prefix, backing, log, METADATA_BYTES) as (metadata, data):
        making.open_pool(prefix + "tank", metadata, data)
        making.close_pool(prefix + "tank", deactivate=True)
    count, wrong = 0, []
    for inner in _from(Path(log.path), folder, seed, 1, 1):
        count += 1
        if why := violation(recorded, state, str(folder / "metadata"), str(folder / "data")):
            wrong.append((state, inner, why))
    return count, wrong


def violation(recorded: Recorded, state: State, metadata_path: str, data_path: str) -> str | None:
    """What is wrong with what recovery would make of the state; None: nothing."""
    try:
        transaction_id, found = slots.offline(metadata_path, data_path)
        with opened(metadata_path) as metadata:
            if metadata.damages:
                return str(metadata.damages[0])
            thins = metadata.thins
        decision = recovery.decide(transaction_id, found, thins)
    except DmctlError as error:
        return f"{type(error).__name__}: {error}"
    result: Catalogue = decision.pending if decision.forward and decision.pending else decision.committed
    left = {thin_id: thin for thin_id, thin in thins.items() if thin_id not in decision.delete_ids}
    matched = recovery.match(result.volumes.values(), left, CATALOGUE_ID)
    if matched.lost or matched.orphans:
        return f"rows without thins {matched.lost}, thins without rows {matched.orphans}"
    return judged(recorded, state, result, max(one.next_id for one in found if one), thins)


def judged(
    recorded: Recorded, state: State, result: Catalogue, next_id: int, thins: dict, *, opened_again: bool = False
) -> str | None:
    """Whether it is what was acknowledged last, or what was on its way then.

    opened_again: a removal that was begun is done to the end.
    """
    last = int(state.marks[-1])
    allowed = recorded.expected[last : last + 2]
    if opened_again:
        allowed = [{uuid: one for uuid, one in volumes.items() if not one.removing} for volumes in allowed]
    if dict(result.volumes) not in allowed:
        return "an acknowledged change is lost, or one is half done"
    highest = max((thin_id for thin_id in thins if thin_id != CATALOGUE_ID), default=0)
    if next_id <= highest or next_id < recorded.next_ids[last]:
        return f"the next id {next_id} was used before"
    return None


def violations(recorded: Recorded, folder: Path, *, seed: int, subsets: int = 1, torn: int = 1) -> tuple[Counter, list]:
    """How many states of each kind there were, and which were wrong: state and why."""
    kinds: Counter = Counter()
    wrong = []
    for state, metadata, data in states(recorded, folder, seed=seed, subsets=subsets, torn=torn):
        kinds[state.kind] += 1
        if why := violation(recorded, state, metadata, data):
            wrong.append((state, why))
    return kinds, wrong


# ---- ways that are wrong ----


def written_after_the_messages(pool: Pool) -> None:
    """A crash in between leaves thins that nobody knows."""
    _write_late(pool, before_mark=True)


def written_after_the_commit_mark(pool: Pool) -> None:
    """A crash in between leaves a transaction id that no slot has."""
    _write_late(pool, before_mark=False)


def _write_late(pool: Pool, *, before_mark: bool) -> None:
    held: list[Catalogue] = []
    write, set_transaction_id = pool.slots.write, pool._set_transaction_id
    pool.slots.write = held.append  # type: ignore[method-assign]

    def late(before: int) -> None:
        if before_mark:
            write(held.pop())
        set_transaction_id(before)
        if held:
            write(held.pop())

    pool._set_transaction_id = late  # type: ignore[method-assign]
