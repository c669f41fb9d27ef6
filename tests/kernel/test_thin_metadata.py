# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata of pools in the kernel, live and not, read by dmctl and by thin-provisioning-tools."""

import json
import os
import threading
from xml.etree import ElementTree

import pytest

from dmctl.thin.live import held_snapshot
from dmctl.thin.metadata import opened_live
from kernel.thin_pools import dmsetup, pool, run, stop, volume, write

NAMES = (("origin_begin", "origin_block"), ("data_begin", "data_block"), ("length", "none"))
FIELDS = "DEV,MAPPED_BLOCKS,EXCLUSIVE_BLOCKS,SHARED_BLOCKS,TRANSACTION,CREATE_TIME,SNAP_TIME"


@pytest.fixture
def used(prefix, disk):
    """A pool with volumes, snapshots of snapshots, overwritten and discarded blocks: its name and metadata."""
    name = prefix + "pool"
    with pool(name, disk) as (metadata, _):
        for thin_id in (1, 2, 16777214):
            dmsetup("message", name, "0", f"create_thin {thin_id}")
        volume(name + "-1", name, 1)
        node = f"/dev/mapper/{name}-1"
        write(node, 0, os.urandom(40 * 65536))
        for snapshot in (7, 8, 9):
            dmsetup("message", name, "0", f"create_snap {snapshot} {1 if snapshot != 9 else 7}")
            write(node, snapshot * 65536, os.urandom(5 * 65536))
            run("blkdiscard", "-o", (snapshot + 20) * 65536, "-l", 65536, node)
        dmsetup("message", name, "0", "set_transaction_id 0 12345678901")
        yield name, metadata


def test_live(used, dmctl):
    """What dmctl finds in the live pool is what the tools of the project find once it is down."""
    name, metadata = used
    listed = dmctl("thin", "ls", name, "-o", FIELDS)
    dumped = dmctl("thin", "dump", name)
    cheap = dmctl("thin", "ls", metadata)
    rmap = dmctl("thin", "rmap", metadata, "--region", "0..1000")
    delta = dmctl("thin", "delta", name, "--thin1", "1", "--thin2", "7")
    human = dmctl("thin", "dump", "--format", "human", name)
    assert dmsetup("status", name).split()[6] == "-"  # no metadata snapshot is left
    stop(name)
    assert dumped.out == run("thin_dump", metadata)
    assert human.out == run("thin_dump", "-f", "human_readable", metadata)
    assert listed.out == run("thin_ls", "-o", FIELDS, metadata)
    assert cheap.out == run("thin_ls", metadata)
    assert delta.out == run("thin_delta", "--thin1", 1, "--thin2", 7, metadata)
    # thin_rmap 0.9.0 leaves out a thin that shares its whole tree with one before it; thin_dump does not.
    lines = rmap.text.splitlines()
    assert set(lines) > set(run("thin_rmap", "--region", "0..1000", metadata).decode().splitlines())
    assert sorted(lines) == sorted(uses_of(run("thin_dump", metadata)))
    run("thin_check", metadata)
    assert dmctl("thin", "check", metadata).text.startswith("Sound: 6 thins")


def uses_of(xml):
    """The lines of an rmap, from a dump."""
    for device in ElementTree.fromstring(xml):
        thin, joined = device.get("dev_id"), []
        for one in device:
            number = [int(one.get(a) or one.get(b) or 1) for a, b in NAMES]
            if joined and all(joined[-1][i] + joined[-1][2] == number[i] for i in (0, 1)):
                joined[-1][2] += number[2]
            else:
                joined.append(number)
        for virtual, data, length in joined:
            yield f"data {data}..{data + length} -> thin({thin}) {virtual}..{virtual + length}"


def test_check_counts_what_the_kernel_counted(used, dmctl):
    """With a metadata snapshot, whose trees are shared with the live ones."""
    name, metadata = used
    dmsetup("message", name, "0", "reserve_metadata_snap")
    write(f"/dev/mapper/{name}-1", 3 * 65536, os.urandom(65536))
    assert dmctl("thin", "dump", "-m", name).out == run("thin_dump", "-m", metadata)
    assert dmctl("thin", "check", "-m", name).status == 0
    status = dmsetup("status", "--noflush", name).split()
    stop(name)
    found = dmctl("thin", "check", metadata, "--json")
    assert (found.status, json.loads(found.out)["leaked_blocks"]) == (0, 0)
    # The kernel's own number of data blocks in use is that of the space map, which the check has recounted.
    mapped = {run.data_block + i for run in runs_of_all(metadata) for i in range(run.blocks)}
    assert int(status[5].split("/")[0]) >= len(mapped) > 0


def runs_of_all(metadata):
    from dmctl.thin.metadata import opened

    with opened(metadata) as there:
        return [run for thin in there.thins.values() for run in there.reader.runs(thin.root)]


def test_live_pool_is_not_checked_and_not_disturbed(used, dmctl):
    name, metadata = used
    for source in (name, metadata):
        refused = dmctl("thin", "check", source)
        assert refused.status == 5 and b"live" in refused.err
    dmsetup("message", name, "0", "reserve_metadata_snap")
    refused = dmctl("thin", "dump", name)
    assert refused.status == 5 and b"holds the metadata snapshot" in refused.err
    assert dmsetup("status", name).split()[6] != "-"  # somebody else's is not released


def test_metadata_snapshot_is_released_on_every_way_out(used, prefix):
    name, _ = used
    with pytest.raises(ZeroDivisionError), held_snapshot(name):
        assert dmsetup("status", name).split()[6] != "-"
        raise ZeroDivisionError
    assert dmsetup("status", name).split()[6] == "-"


def test_consistent_while_the_pool_changes(used):
    """Each read sees a state that there was: ids are made one by one, with the transaction id set after each."""
    name, metadata = used
    done = threading.Event()
    dmsetup("message", name, "0", "set_transaction_id 12345678901 1000")
    wrong = []

    def change():
        for number in range(1000, 1060):
            dmsetup("message", name, "0", f"create_thin {number}")
            dmsetup("message", name, "0", f"set_transaction_id {number} {number + 1}")
        done.set()

    thread = threading.Thread(target=change)
    thread.start()
    reads = 0
    while not done.is_set():
        with opened_live(metadata) as there:
            transaction = there.superblock.transaction_id
            made = {thin_id for thin_id in there.thins if 1000 <= thin_id < 2000}
            reads += 1
            if made not in (set(range(1000, transaction)), set(range(1000, transaction + 1))) or there.damages:
                wrong.append((transaction, made))
    thread.join()
    assert not wrong and reads > 5
