# SPDX-License-Identifier: LGPL-2.1-or-later
"""A power failure at any moment of a clone's life."""

import random
import shutil
from pathlib import Path

import pytest

from crash import clone as crash
from dmctl.clone import making
from dmctl.clone.recipe import LIVE, Recipe
from guests.loop import attach, detach, in_folder
from kernel.clones import FOLDER, content, modules
from kernel.thin_pools import dmsetup

SEED = 20227


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session, and its log in a file."""
    return _record(tmp_path_factory.mktemp("crash"))


def _record(folder, **options):
    with in_folder(folder) as make:
        found = crash.record("crash-", make, writes=36, seed=SEED, **options)
    found.log = folder / "disk1"
    return found


def test_every_state(recorded, tmp_path):
    kinds, wrong = crash.violations(recorded, tmp_path, seed=SEED)
    assert not wrong, wrong[:3]
    assert sum(kinds.values()) > 400 and set(kinds) == {"prefix", "subset", "torn"}, kinds


def test_a_wrong_way_to_finish_is_found(tmp_path):
    _, wrong = crash.violations(_record(tmp_path, finish=crash.finished_too_early), tmp_path, seed=SEED)
    assert wrong and all("finished" in state.marks for state, _ in wrong)


def test_states_through_the_kernel(recorded, tmp_path, prefix):
    """A sample of them, assembled: what is read through the clone is what may be there."""
    modules()
    name = f"{prefix}clone"
    source = tmp_path / "source"
    source.write_bytes(recorded.source)
    positions = iter(sorted(random.Random(SEED).sample(range(300), 8)))
    wanted, seen = next(positions), []

    def each(state, folder):
        nonlocal wanted
        number, _ = len(seen), seen.append(state)
        if number != wanted or "finished" in state.marks:
            return
        wanted = next(positions, -1)
        files = [shutil.copyfile(folder / one, tmp_path / f"{one}-copy") for one in ("metadata", "data")]
        disks = [attach(Path(path)) for path in (source, *files)]
        made = Recipe(name, "a0a0a0a0-0000-4000-8000-000000000000", disks[0].path, disks[2].path, disks[1].path,
                      metadata_file=False, made_file=False, region_sectors=crash.REGION_SECTORS,
                      length_sectors=disks[0].sectors, tail_sectors=0, threshold_regions=1, batch_regions=1,
                      state=LIVE, paused=True)  # fmt: skip
        try:
            made.store()
            making.assemble(name)
            assert crash.judged(recorded, state, content(f"/dev/mapper/{name}")) is None
            told.append(int(dmsetup("status", name).split()[6].split("/")[0]))
        finally:
            making.abort(name)
            for one in disks:
                detach(one)

    told = []
    crash.violations(recorded, tmp_path, seed=SEED, each=each)
    assert len(told) > 5 and len(set(told)) > 2, told
    assert not list(FOLDER.glob(f"{prefix}*"))
