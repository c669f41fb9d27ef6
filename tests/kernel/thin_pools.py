# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thin pools for tests in the guest, made with dmsetup or by dmctl."""

import subprocess
from contextlib import contextmanager
from xml.etree import ElementTree

from dmctl.thin import making
from guests.kernel_state import DMSETUP

MIB = 1 << 20
BLOCK_SECTORS = 128


def run(*words, stdin=None):
    """What a command prints; its failure is the test's."""
    done = subprocess.run([str(word) for word in words], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def dmsetup(*words):
    return run(DMSETUP, *words).decode()


@contextmanager
def pool(name, disk, *, data_bytes=64 * MIB, metadata_bytes=4 * MIB, features=""):
    """The nodes of metadata and data of an active pool; it and its volumes are removed at the end."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    metadata, data = (disk(size).path for size in (metadata_bytes, data_bytes))
    start(name, metadata, data, data_bytes=data_bytes, features=features)
    try:
        yield str(metadata), str(data)
    finally:
        stop(name)


@contextmanager
def tank(name, disk, *, metadata_bytes=8 * MIB, data_bytes=128 * MIB, volumes=200):
    """The nodes of metadata and data of an active pool of dmctl's; at the end it is removed and checked."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    metadata, data = (str(disk(size).path) for size in (metadata_bytes, data_bytes))
    making.create(making.plan(name, metadata, data, volumes=volumes))
    yield metadata, data
    stop(name)
    run("thin_check", metadata)


def thins(metadata, name):
    """Ids, with the transaction id of their making, as thin_dump tells of the live pool."""
    dmsetup("message", name, "0", "reserve_metadata_snap")
    try:
        dumped = ElementTree.fromstring(run("thin_dump", "-m", "--skip-mappings", metadata))
    finally:
        dmsetup("message", name, "0", "release_metadata_snap")
    return {int(one.get("dev_id")): int(one.get("transaction")) for one in dumped}


def start(name, metadata, data, *, data_bytes=64 * MIB, features=""):
    words = features.split()
    table = f"0 {data_bytes // 512} thin-pool {metadata} {data} {BLOCK_SECTORS} 0 {len(words)} {features}"
    dmsetup("create", name, "--table", table)


def stop(name):
    """The volumes first."""
    for line in dmsetup("ls", "--target", "thin").splitlines():
        volume = line.split()[0]
        if volume.startswith(name):
            dmsetup("remove", "--retry", volume)
    if name in dmsetup("ls", "--target", "thin-pool"):
        dmsetup("remove", "--retry", name)


def volume(name, pool_name, thin_id, sectors=20 * 2048):
    dmsetup("create", name, "--table", f"0 {sectors} thin /dev/mapper/{pool_name} {thin_id}")


def write(node, offset_bytes, data):
    """Past the page cache."""
    run("dd", f"of={node}", "bs=64k", f"seek={offset_bytes // 65536}", "oflag=direct", "status=none", stdin=data)
