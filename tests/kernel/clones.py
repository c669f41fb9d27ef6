# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clones for tests in the guest, seen by dmsetup."""

import mmap
import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dmctl.clone import making, metadata, recipe
from dmctl.clone.planning import Choices
from dmctl.names import block_node
from dmctl.units import parse_devno
from guests.kernel_state import DMSETUP
from kernel.thin_pools import MIB, dmsetup

FOLDER = Path(recipe.FOLDER)


def modules():
    subprocess.run(["modprobe", "-a", "dm-clone", "dm-dust", "dm-delay"], check=True)


@pytest.fixture
def trio(disk, prefix):
    """trio(source_bytes, dest_bytes=None, metadata_bytes=4 MiB): the name of a clone to be, and its three disks.

    The source has random bytes, the destination ones. Whatever the test leaves of the clone is removed at its end.
    """
    modules()
    name = f"{prefix}a b"

    def make(source_bytes, dest_bytes=None, metadata_bytes=4 * MIB, **options):
        source, dest = disk(source_bytes, **options), disk(dest_bytes or source_bytes, **options)
        source.backing.write_bytes(os.urandom(source_bytes))
        dest.backing.write_bytes(b"\1" * dest.backing.stat().st_size)
        return SimpleNamespace(name=name, source=source, dest=dest, metadata=disk(metadata_bytes))

    yield make
    reader_agrees(name)
    subprocess.run([DMSETUP, "remove", "--retry", name], check=False, capture_output=True)
    for path in FOLDER.glob(f"{prefix}*"):
        path.unlink()


def create(trio, *, held=False, **choices):
    """By the library. The plan."""
    chosen = Choices(metadata=trio.metadata.path, **choices)
    return making.create(trio.name, trio.source.path, trio.dest.path, chosen, held=held)


def status(name):
    """Regions hydrated, all regions, and regions in flight, as dmsetup tells them without a commit."""
    words = dmsetup("status", "--noflush", name).splitlines()[0].split()
    assert words[2] == "clone"
    hydrated, total = words[6].split("/")
    return int(hydrated), int(total), int(words[7])


def wait_until_hydrated(name, seconds=60):
    """Until the destination has everything, and nothing is in flight."""
    end = time.monotonic() + seconds
    while (now := status(name))[0] != now[1] or now[2]:
        assert time.monotonic() < end, now
        time.sleep(0.05)


def reader_agrees(name):
    """Whatever state a clone is in: the offline reader finds what the kernel says, where that can be committed."""
    told = subprocess.run([DMSETUP, "status", name], check=False, capture_output=True).stdout.decode()
    words = told.partition("\n")[0].split()
    if words[2:3] != ["clone"] or words[-1] != "rw" or words[7] != "0":
        return
    wanted = int(words[6].partition("/")[0])
    found = metadata.read(block_node(parse_devno(table(name)[0].split()[3]))).hydrated
    assert found == wanted or status(name)[0] != wanted, "unless it goes on meanwhile"


def table(name):
    return dmsetup("table", name).splitlines()


def write(path, offset_bytes, data):
    """Past the page cache."""
    with mmap.mmap(-1, len(data)) as page:
        page[:] = data
        fd = os.open(path, os.O_WRONLY | os.O_DIRECT)
        try:
            assert os.pwrite(fd, page, offset_bytes) == len(data)
        finally:
            os.close(fd)


def content(path):
    """All of a device, past the page cache."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, MIB) as page:
            pieces = []
            while got := os.readv(fd, [page]):
                pieces.append(page[:got])
            return b"".join(pieces)
    finally:
        os.close(fd)
