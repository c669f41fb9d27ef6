# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clone that is written to while it is copied, over dm-log-writes, and what each state of a crash is worth.

Each write has its own number in its sectors. When a flush has been acknowledged, a mark says how many writes there were
before it. In every state the clone, as an assemble would make it, must have in each sector what was there at the last
mark, or what was written since; and where the recipe says that it is finished, so must the destination alone.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from crash.log_writes import entries, logged
from crash.states import Image, Region, State, crash_states
from dmctl.clone import finishing, making, metadata
from dmctl.clone.live import Live
from dmctl.clone.planning import Choices
from dmctl.clone.recipe import FINISHED, Recipe
from dmctl.errors import DmctlError
from guests.loop import Disk
from kernel.thin_pools import MIB, dmsetup

METADATA_BYTES = 4 * MIB
DATA_BYTES = MIB
REGION_SECTORS = 8
_SECTOR = struct.Struct("<Q504x")


@dataclass
class Recorded:
    """A session. writes: first sector and number of sectors of each, from 1 on. source: all of its bytes."""

    log: Path
    source: bytes
    writes: list[tuple[int, int]] = field(default_factory=list)

    def at(self, certain: int) -> tuple[bytes, dict[int, list[int]]]:
        """What the clone holds after so many writes, and which later ones were made to a sector."""
        if certain not in self._at:
            content = bytearray(self.source)
            since: dict[int, list[int]] = {}
            for number, (first, sectors) in enumerate(self.writes, 1):
                for sector in range(first, first + sectors):
                    if number <= certain:
                        content[sector * 512 : sector * 512 + 512] = _sector(number, sector)
                    else:
                        since.setdefault(sector, []).append(number)
            self._at[certain] = bytes(content), since
        return self._at[certain]

    _at: dict[int, tuple[bytes, dict[int, list[int]]]] = field(default_factory=dict, repr=False)


def record(
    prefix: str,
    make_disk: Callable[[int], Disk],
    *,
    writes: int,
    seed: int,
    finish: Callable[[str, Callable[[], None]], object] | None = None,
) -> Recorded:
    """Make a clone, write to it at random while it is copied, and finish it.

    finish: another way to do that; it is given a function that waits until all is copied.
    """
    subprocess.run(["modprobe", "-qa", "dm-log-writes", "dm-clone", "dm-delay"], check=False)
    backing, log, source = make_disk(METADATA_BYTES + DATA_BYTES), make_disk(128 * MIB), make_disk(DATA_BYTES)
    content = random.Random(seed).randbytes(DATA_BYTES)
    source.backing.write_bytes(content)
    recorded = Recorded(Path(log.path), content)
    name, slow = prefix + "clone", prefix + "slow"
    dmsetup("create", slow, "--table", f"0 {source.sectors} delay {source.path} 0 3")
    with logged(prefix, backing, log, METADATA_BYTES) as (metadata_path, dest):
        choices = Choices(metadata=metadata_path, region_sectors=REGION_SECTORS, no_hydration=True)
        making.create(name, f"/dev/mapper/{slow}", dest, choices)
        try:
            _mark(prefix, "0")
            _session(prefix, name, recorded, random.Random(seed), writes)
            store = Recipe.store

            def stored(self: Recipe) -> None:
                if self.state == FINISHED:
                    _mark(prefix, FINISHED)
                store(self)

            Recipe.store = stored  # type: ignore[method-assign]
            try:
                (finish or finished)(name, lambda: _wait(prefix, name, recorded, random.Random(seed + 2)))
            finally:
                Recipe.store = store  # type: ignore[method-assign]
            _write_some(prefix, name, recorded, random.Random(seed + 1), 10)
        finally:
            making.abort(name)
            dmsetup("remove", slow)
    return recorded


def _mark(prefix: str, text: str) -> None:
    dmsetup("message", prefix + "log", "0", "mark", text)


def _session(prefix: str, name: str, recorded: Recorded, dice: random.Random, writes: int) -> None:
    """Six times some writes, some copies and perhaps a commit; most is still not copied then."""
    live = Live.find(name)
    live.tune(threshold=2, batch=2)
    for _ in range(6):
        _write_some(prefix, name, recorded, dice, writes // 6)
        live.hydrate(True)
        live.hydrate(False)
        live.status(commit=dice.random() < 0.5)


def _wait(prefix: str, name: str, recorded: Recorded, dice: random.Random) -> None:
    """Until all is copied, with some writes meanwhile."""
    live = Live.find(name)
    live.tune(threshold=64, batch=16)
    live.hydrate(True)
    while (status := live.status()).hydrated_regions != status.total_regions or status.hydrating_regions:
        _write_some(prefix, name, recorded, dice, 2)


def _write_some(prefix: str, name: str, recorded: Recorded, dice: random.Random, count: int) -> None:
    fd = os.open(f"/dev/mapper/{name}", os.O_RDWR | os.O_DIRECT)
    try:
        for _ in range(count):
            sectors = dice.choice((1, 1, 2, 8, 8, 16, 24))
            first = dice.randrange(DATA_BYTES // 512 - sectors)
            if dice.random() < 0.5:
                first -= first % 8
            recorded.writes.append((first, sectors))
            with mmap.mmap(-1, sectors * 512) as page:
                page[:] = b"".join(_sector(len(recorded.writes), first + at) for at in range(sectors))
                os.pwrite(fd, page, first * 512)
            if dice.random() < 0.3:
                os.fsync(fd)
                _mark(prefix, str(len(recorded.writes)))
    finally:
        os.close(fd)


def _sector(number: int, sector: int) -> bytes:
    return _SECTOR.pack(number << 32 | sector)


# ---- the states ----


def violations(recorded: Recorded, folder: Path, *, seed: int, each: Callable[..., object] | None = None,
               ) -> tuple[Counter, list]:  # fmt: skip
    """How many states of each kind there were, and which were wrong. each: called with every state and its files."""
    kinds: Counter = Counter()
    wrong = []
    sizes = {"metadata": METADATA_BYTES, "data": DATA_BYTES}
    for name, size in sizes.items():
        with (folder / name).open("wb") as file:
            file.truncate(size)
    files = [os.open(folder / name, os.O_RDWR) for name in sizes]
    regions = [Region(0, METADATA_BYTES, files[0]), Region(METADATA_BYTES, DATA_BYTES, files[1])]
    try:
        for state in crash_states(list(entries(recorded.log)), Image(regions), random.Random(seed)):
            if not state.marks:
                continue
            kinds[state.kind] += 1
            if why := violation(recorded, state, folder):
                wrong.append((state, why))
            if each is not None:
                each(state, folder)
    finally:
        for descriptor in files:
            os.close(descriptor)
    return kinds, wrong


def violation(recorded: Recorded, state: State, folder: Path) -> str | None:
    """What is wrong with a state; None: nothing."""
    data = (folder / "data").read_bytes()
    if FINISHED not in state.marks:
        try:
            bitmap = metadata.read(str(folder / "metadata"))
        except DmctlError as error:
            return f"{type(error).__name__}: {error}"
        pieces = bytearray(recorded.source)
        for found in bitmap.ranges(hydrated=True):
            start, end = bitmap.bytes_of(found)
            pieces[start:end] = data[start:end]
        data = bytes(pieces)
    return judged(recorded, state, data)


def judged(recorded: Recorded, state: State, content: bytes) -> str | None:
    """Whether these bytes of the clone are what may be there in that state; None: yes."""
    certain = max(int(mark) for mark in state.marks if mark != FINISHED)
    wanted, since = recorded.at(certain)
    for sector in _differing(content, wanted):
        there = content[sector * 512 : sector * 512 + 512]
        if not any(there == _sector(number, sector) for number in since.get(sector, ())):
            return f"sector {sector} has neither what was flushed nor what was written since"
    return None


def _differing(one: bytes, other: bytes) -> Iterator[int]:
    for at in range(0, len(one), 65536):
        if one[at : at + 65536] == other[at : at + 65536]:
            continue
        for sector in range(at // 512, min(at + 65536, len(one)) // 512):
            if one[sector * 512 : sector * 512 + 512] != other[sector * 512 : sector * 512 + 512]:
                yield sector


def finished(name: str, wait: Callable[[], None]) -> None:
    """The right way."""
    wait()
    finishing.finish(name)


def finished_too_early(name: str, wait: Callable[[], None]) -> None:
    """A way to finish that is wrong: the recipe says so before all is copied and on the disk."""
    replace(Recipe.load(name), state=FINISHED).store()
    wait()
    finishing._swap(Live.find(name))
