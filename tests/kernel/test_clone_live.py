# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file system in use on a clone: mounted at once, written while it is copied, linear while it is mounted; and a power
failure meanwhile."""

import os
import random
import shutil
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from crash.log_writes import entries, logged
from crash.states import Image, Region, crash_state
from dmctl.clone import finishing, making
from dmctl.clone.live import Live
from dmctl.clone.planning import Choices
from dmctl.clone.recipe import LIVE, Recipe
from guests.loop import attach, detach
from kernel.clones import modules, status, table, trio, wait_until_hydrated
from kernel.thin_pools import MIB, dmsetup, run

__all__ = ["trio"]


class Writer(threading.Thread):
    """Changes files below a folder, some of them synced, until it is told to stop; the same changes each time."""

    def __init__(self, folder, seed, *, changed=None):
        super().__init__()
        self.folder, self.changed = folder, changed or (lambda path, *, synced: None)
        self.dice = random.Random(seed)
        self.stopped = threading.Event()
        self.steps = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopped.is_set():
                self.step()
        except OSError as error:
            self.failure = error

    def step(self):
        """Write a piece of a file, now and then remove one."""
        self.steps += 1
        path = self.folder / f"file{self.dice.randrange(12)}"
        data = self.dice.randbytes(self.dice.choice((100, 4096, 70000)))
        at, remove, sync = self.dice.randrange(300000), self.dice.random() < 0.1, self.dice.random() < 0.5
        if remove:
            path.unlink(missing_ok=True)
            self.changed(path, synced=False)
            return
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.seek(at)
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        self.changed(path, synced=sync)


def tree(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture
def mounted(tmp_path):
    """mounted(device): the folder that it is mounted on; unmounted at the end."""
    folder = tmp_path / "mount"
    folder.mkdir()

    def mount(device):
        run("mount", device, folder)
        return folder

    yield mount
    subprocess.run(["umount", folder], check=False, capture_output=True)


def filled(disk, mounted, size=200000):
    """An ext4 with twelve files."""
    run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", disk.path)
    folder = mounted(disk.path)
    for number in range(12):
        (folder / f"file{number}").write_bytes(random.Random(number).randbytes(size))
    run("umount", folder)


def test_written_while_it_is_copied_and_finished(trio, mounted, prefix, disk):
    it = trio(48 * MIB)
    filled(it.source, mounted)
    plain = disk(48 * MIB)
    shutil.copyfile(it.source.backing, plain.backing)
    slow = f"{prefix}slow"
    dmsetup("create", slow, "--table", f"0 {it.source.sectors} delay {it.source.path} 0 10")
    try:
        choices = Choices(metadata=it.metadata.path, threshold_regions=64, batch_regions=16, no_hydration=True)
        making.create(it.name, f"/dev/mapper/{slow}", it.dest.path, choices)
        folder = mounted(f"/dev/mapper/{it.name}".replace(" ", "\\x20"))
        writer = Writer(folder, seed=1)
        writer.start()
        try:
            assert status(it.name)[0] < 48 * MIB // 4096 // 2, "mounted at once"
            Live.find(it.name).hydrate(True)
            wait_until_hydrated(it.name)
            done = finishing.finish(it.name)
            assert table(it.name) == [f"0 {it.source.sectors} linear {it.dest.devno} 0"]
            assert not done.verified
            steps = writer.steps
            while writer.steps < steps + 20 and writer.is_alive():  # on the linear device, too
                pass
        finally:
            writer.stopped.set()
            writer.join()
        assert writer.failure is None
        dmsetup("remove", slow)  # nothing needs the source any more
        run("umount", folder)
        dmsetup("remove", it.name)
    finally:
        for one in (it.name, slow):
            subprocess.run(["dmsetup", "remove", "--retry", one], check=False, capture_output=True)
    run("fsck.ext4", "-fn", it.dest.path)
    again = Writer(mounted(plain.path), seed=1)
    for _ in range(writer.steps):
        again.step()
    wanted = tree(folder)
    run("umount", folder)
    assert tree(mounted(it.dest.path)) == wanted and len(wanted) > 5


def test_a_power_failure_while_it_is_written(disk, mounted, prefix, tmp_path):
    """States that it leaves, assembled: the file system is whole, with all that was synced."""
    modules()
    subprocess.run(["modprobe", "-q", "dm-log-writes"], check=False)
    name, metadata_bytes, size = prefix + "clone", 4 * MIB, 16 * MIB
    source, backing, log = disk(size), disk(metadata_bytes + size), disk(160 * MIB)
    filled(source, mounted, size=100000)
    changes = []  # file, its content after that, whether it was synced

    def changed(path, *, synced):
        changes.append((path.name, path.read_bytes() if path.exists() else None, synced))
        if synced:
            dmsetup("message", prefix + "log", "0", "mark", str(len(changes)))

    with logged(prefix, backing, log, metadata_bytes) as (metadata, dest):
        choices = Choices(metadata=metadata, threshold_regions=16, batch_regions=4, no_hydration=True)
        making.create(name, source.path, dest, choices)
        folder = mounted(f"/dev/mapper/{name}")
        writer = Writer(folder, seed=2, changed=changed)
        live = Live.find(name)
        for number in range(60):
            writer.step()
            live.hydrate(number > 20 and number % 2 == 0)
        run("umount", folder)
        making.abort(name)
    assert sum(synced for *_, synced in changes) > 15
    every = list(entries(Path(log.path)))
    dice, sure = random.Random(3), 0
    begin = next(number for number, entry in enumerate(every) if entry.mark is not None) + 1
    for position in dice.sample(range(begin, len(every)), 5):
        sizes = {"metadata": metadata_bytes, "data": size}
        with ExitStack() as stack:
            files = [stack.enter_context((tmp_path / part).open("w+b")) for part in sizes]
            for file, length in zip(files, sizes.values(), strict=True):
                file.truncate(length)
            regions = [Region(0, metadata_bytes, files[0].fileno()), Region(metadata_bytes, size, files[1].fileno())]
            state = crash_state(every, Image(regions), position, dice)
        sure += _assembled(tmp_path, mounted, name, source, changes, int(state.marks[-1]))
    assert sure > 5


def _assembled(folder, mounted, name, source, changes, certain):
    """Files that were synced before the last mark of a state, and not changed before the next, are there; how many."""
    disks = [attach(Path(shutil.copyfile(folder / part, folder / f"{part}-copy"))) for part in ("metadata", "data")]
    made = Recipe(name, "a0a0a0a0-0000-4000-8000-000000000000", source.path, disks[1].path, disks[0].path,
                  metadata_file=False, made_file=False, region_sectors=8, length_sectors=source.sectors,
                  tail_sectors=0, threshold_regions=64, batch_regions=8, state=LIVE)  # fmt: skip
    try:
        made.store()
        making.assemble(name)
        mount = mounted(f"/dev/mapper/{name}")  # replays the journal
        there = tree(mount)
        run("umount", mount)
        following = next((number for number in range(certain, len(changes)) if changes[number][2]), len(changes) - 1)
        last = {file: change for file, *change in changes[: following + 1]}
        sure = {
            file: content for file, content, synced in changes[:certain] if synced and last[file] == [content, True]
        }
        assert {file: there.get(file) for file in sure} == sure
        wait_until_hydrated(name)
        finishing.finish(name)
        checked = subprocess.run(["fsck.ext4", "-fn", f"/dev/mapper/{name}"], check=False, capture_output=True)
        assert checked.returncode == 0, checked.stdout
        return len(sure)
    finally:
        subprocess.run(["umount", folder / "mount"], check=False, capture_output=True)
        making.abort(name)
        for one in disks:
            detach(one)
