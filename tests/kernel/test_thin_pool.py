# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin on a real pool: volumes, blobs, snapshots, other tools at the same pool. Judged by dmsetup and thin_*."""

import json
import os
import subprocess
import threading
import uuid
from functools import partial

import pytest

from dmctl.errors import DeviceError
from dmctl.thin import kernel, making
from dmctl.thin.batch import Batch
from dmctl.thin.catalogue import CATALOGUE_ID
from dmctl.thin.check import check
from dmctl.thin.metadata import opened
from dmctl.thin.pool import Pool, look
from guests.fixtures import dmctl_script
from kernel import thin_pools
from kernel.thin_pools import MIB, dmsetup, run, thins, write

KIB = 1024


@pytest.fixture
def tank(prefix, disk):
    """A pool of dmctl's: its name, and the nodes of metadata and data; its metadata are checked at the end."""
    name = prefix + "tank"
    with thin_pools.tank(name, disk) as (metadata, data):
        yield name, metadata, data
    with opened(metadata, direct=True) as there:
        assert check(there).sound


def transaction(name):
    return int(dmsetup("status", "--noflush", name).split()[3])


def read(path, size, offset=0):
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def listed(dmctl, name, *options):
    return {one["name"]: one for one in json.loads(dmctl("thin", "ls", name, "--json", *options).out)["volumes"]}


def test_volumes(tank, dmctl):
    """Made, written, snapshotted, renamed, resized, removed."""
    name, metadata, _ = tank
    blob = bytes(range(256))
    assert dmctl("thin", "create", name, "a b", "--size", "16M", "--blob-file", "-", stdin=blob).status == 0
    path = dmctl("thin", "activate", name, "a b").text.strip()
    content = os.urandom(3 * 65536)
    write(path, 0, content)
    assert dmctl("thin", "blob", "get", name, "a b").out == blob
    assert dmctl("thin", "snapshot", name, "a b", "snap", "--activate").status == 0
    write(path, 0, os.urandom(65536))
    snap = f"/dev/mapper/{name}-snap"
    assert read(snap, len(content)) == content
    assert dmsetup("table", f"{name}-snap").split()[:3] == ["0", "32768", "thin"]
    assert dmctl("thin", "rename", name, "snap", "kept").status == 0
    assert read(f"/dev/mapper/{name}-kept", len(content)) == content
    assert dmctl("thin", "resize", name, "kept", "--size", "20M").status == 0
    assert run("blockdev", "--getsize64", f"/dev/mapper/{name}-kept") == b"20971520\n"
    told = listed(dmctl, name, "--exclusive")
    assert (told["kept"]["size_sectors"], told["kept"]["blob_hex"]) == (40960, blob.hex())
    assert told["kept"]["origin_uuid"] == told["a b"]["uuid"]
    assert (told["a b"]["mapped_bytes"], told["a b"]["exclusive_bytes"]) == (3 * 65536, 65536)
    assert set(thins(metadata, name)) == {1, 2, CATALOGUE_ID}
    assert dmctl("thin", "remove", name, "a b", "--yes").status == 0
    assert set(thins(metadata, name)) == {2, CATALOGUE_ID}
    assert dmctl("thin", "create", name, "new", "--size", "1G").status == 0
    assert set(thins(metadata, name)) == {2, 3, CATALOGUE_ID}  # 1 is not used again
    assert transaction(name) == listed(dmctl, name)["new"]["created_transaction"] + 1


def test_closed_and_opened(tank, dmctl):
    """All is in the pool: with no file elsewhere, by another name, and looked at while it is down."""
    name, metadata, data = tank
    with Pool.opened(name) as pool, pool.batch() as batch:
        for number in range(30):
            batch.create(f"volume{number}", 2048 + number, blob=str(number).encode())
    before = listed(dmctl, name)
    assert len(before) == 30
    assert dmctl("thin", "pool", "close", name).status == 0
    down = {
        one["name"]: one for one in json.loads(dmctl("thin", "ls", metadata, "--data", data, "--json").out)["volumes"]
    }
    assert down == before
    where = ("--metadata", metadata, "--data", data)
    planned = dmctl("thin", "pool", "open", name + "2", *where, "--dry-run").text
    assert dmsetup("ls").count(name) == 0
    assert dmctl("thin", "pool", "open", name + "2", *where).status == 0
    # The devices' paths, where the table has their numbers.
    table = dmsetup("table", name + "2").split()
    assert planned.split()[:4] == [f"{name}2:", *table[:3]] and planned.split()[6:] == table[5:]
    assert listed(dmctl, name + "2") == before
    assert dmctl("thin", "find", name + "2", "--blob", b"17".hex()).out == b"volume17\n"
    assert dmctl("thin", "find", name + "2", "--uuid", before["volume3"]["uuid"]).out == b"volume3\n"
    assert dmctl("thin", "find", name + "2", "--name", "none").status == 3
    assert dmctl("thin", "pool", "close", name + "2").status == 0


def test_group_is_of_one_moment(tank, dmctl):
    """A counter is written to one volume, then to the other; no snapshot has the second one ahead."""
    name, _, _ = tank
    with Pool.opened(name) as pool:
        with pool.batch() as batch:
            for one in ("a", "b"):
                batch.create(one, 2048)
        paths = [pool.activate(one) for one in ("a", "b")]
    stopped = threading.Event()

    def count():
        number = 0
        files = [os.open(path, os.O_WRONLY | os.O_DSYNC) for path in paths]
        while not stopped.is_set():
            number += 1
            for file in files:
                os.pwrite(file, number.to_bytes(8, "little"), 0)
        for file in files:
            os.close(file)

    writer = threading.Thread(target=count)
    writer.start()
    try:
        for number in range(5):
            words = ["--group", f"a=a{number}", "--group", f"b=b{number}", "--activate"]
            assert dmctl("thin", "snapshot", name, *words).status == 0
    finally:
        stopped.set()
        writer.join()
    counts = [[int.from_bytes(read(f"/dev/mapper/{name}-{one}{i}", 8), "little") for one in "ab"] for i in range(5)]
    assert all(a - b in (0, 1) for a, b in counts) and counts[-1][0] > counts[0][0]


def test_batch_is_all_or_nothing(tank, dmctl):
    name, metadata, _ = tank
    lines = b"create a 1M hex:00ff\ncreate 'b c' 2M text # said\nsnapshot a d\nrename a e\nremove 'b c'\nblob d x\n"
    assert dmctl("thin", "batch", name, "-", stdin=lines).status == 0
    told = listed(dmctl, name)
    assert {one: told[one]["blob_hex"] for one in told} == {"e": "00ff", "d": "78"}
    assert transaction(name) == 2
    for wrong in (
        b"create f 1M\ncreate f 1M\n",
        b"create g 1M\nremove nope\n",
        b"create h 1M\nfrobnicate\n",
        b"create\n",
    ):
        failed = dmctl("thin", "batch", name, "-", stdin=wrong)
        assert failed.status != 0 and failed.err.count(b"\n") == 1 and b"Line " in failed.err
    assert set(listed(dmctl, name)) == {"e", "d"} and transaction(name) == 2
    assert set(thins(metadata, name)) == {1, 3, CATALOGUE_ID}


def test_many_snapshots_of_an_active_origin(tank, dmctl):
    """All hold what the origin had at one moment, for which it was suspended once, briefly."""
    name, metadata, _ = tank
    with Pool.opened(name) as pool:
        with pool.batch() as batch:
            batch.create("origin", 4096)
        path = pool.activate("origin")
        content = os.urandom(65536)
        write(path, 0, content)
        batch = Batch(pool.catalogue, pool.thins)
        for number in range(50):
            batch.snapshot("origin", f"s{number}")
        (nanoseconds,) = pool.commit(batch)
        assert nanoseconds < 1e9
        write(path, 0, os.urandom(65536))
        for one in ("s0", "s49"):
            assert read(pool.activate(one), 65536) == content
    assert len(thins(metadata, name)) == 52


def test_dry_run_changes_nothing(tank, dmctl):
    name, _, _ = tank
    assert dmctl("thin", "create", name, "a", "--size", "1M", "--dry-run").text.splitlines() == [
        f"dmsetup message {name} 0 'create_thin 1'",
        f"dmsetup message {name} 0 'set_transaction_id 1 2'",
    ]
    assert transaction(name) == 1 and not listed(dmctl, name)
    assert dmctl("thin", "create", name, "a", "--size", "1M").status == 0
    before = listed(dmctl, name)
    for words in (
        ["rename", name, "a", "b"],
        ["resize", name, "a", "--size", "2M"],
        ["blob", "set", name, "a", "--blob", "x"],
    ):
        assert dmctl("thin", *words, "--dry-run").text == f"dmsetup message {name} 0 'set_transaction_id 2 3'\n"
    assert transaction(name) == 2 and listed(dmctl, name) == before
    assert json.loads(dmctl("thin", "recover", "--json").out)["devices"] == []
    assert json.loads(dmctl("thin", "pool", "recover", name, "--json").out)["notes"] == []


def test_disks_of_4096_byte_blocks(prefix, disk, dmctl):
    """A volume's size is whole blocks; the rest is as ever."""
    name = prefix + "tank"
    with thin_pools.tank(name, partial(disk, sector_size=4096)) as (metadata, data):
        assert dmctl("thin", "create", name, "a", "--size", "1000K", "--activate").status == 0
        assert run("blockdev", "--getss", f"/dev/mapper/{name}-a") == b"4096\n"
        for words in (["create", name, "b", "--size", "1025s"], ["resize", name, "a", "--size", "2001s"]):
            refused = dmctl("thin", *words)
            assert refused.status == 2 and b"not whole blocks of its disks, 4096 bytes each" in refused.err
            assert dmctl("thin", *words, "--dry-run").status == 2
        content = os.urandom(4096)
        write(f"/dev/mapper/{name}-a", 0, content)
        assert dmctl("thin", "snapshot", name, "a", "b", "--activate").status == 0
        write(f"/dev/mapper/{name}-a", 0, bytes(4096))
        assert read(f"/dev/mapper/{name}-b", 4096) == content
        before = listed(dmctl, name)
        assert dmctl("thin", "pool", "close", name, "--deactivate").status == 0
        down = dmctl("thin", "ls", metadata, "--data", data, "--json")
        assert {one["name"]: one for one in json.loads(down.out)["volumes"]} == before
        assert dmctl("thin", "pool", "open", name, "--metadata", metadata, "--data", data).status == 0
        assert listed(dmctl, name) == before


REFUSED = [
    (["create", "@", "a/b", "--size", "1M"], 2, "a / or a NUL"),
    (["create", "@", ".hidden", "--size", "1M"], 2, "begins with a dot"),
    (["create", "@", "", "--size", "1M"], 2, "it is empty"),
    (["create", "@", "x" * 101, "--size", "1M"], 2, "101 bytes"),
    (["create", "@", "a", "--size", "0"], 2, "0 sectors"),
    (["create", "@", "a", "--size", "1000"], 2, "--size"),
    (["create", "@", "a", "--size", "1M", "--blob", "b" * 257], 2, "257 bytes"),
    (["create", "@", "there", "--size", "1M"], 5, "already"),
    (["snapshot", "@", "nope", "x"], 3, "no volume nope"),
    (["snapshot", "@", "--group", "x"], 2, "--group"),
    (["remove", "@", "there"], 2, "--yes"),
    (["resize", "@", "there", "--size", "1K"], 2, "smaller"),
    (["rename", "@", "there", "a/b"], 2, "a / or a NUL"),
    (["blob", "set", "@", "there"], 2, "--blob"),
    (["activate", "nopool", "there"], 3, "no device nopool"),
]


def test_refused(tank, dmctl):
    """One sentence each, and nothing has changed."""
    name, metadata, _ = tank
    assert dmctl("thin", "create", name, "there", "--size", "1M").status == 0
    before = (thins(metadata, name), transaction(name), listed(dmctl, name))
    for words, status, text in REFUSED:
        refused = dmctl("thin", *[word.replace("@", name) for word in words])
        assert refused.status == status and text.encode() in refused.err and refused.err.count(b"\n") == 1, refused
        assert transaction(name) == before[1], words
    assert (thins(metadata, name), transaction(name), listed(dmctl, name)) == before


def test_a_volume_in_use_is_not_removed(tank, dmctl):
    name, metadata, _ = tank
    dmctl("thin", "create", name, "a", "--size", "1M", "--activate")
    with open(f"/dev/mapper/{name}-a", "rb"):
        for words in (["remove", name, "a", "-y"], ["deactivate", name, "a"], ["pool", "close", name]):
            assert dmctl("thin", *words).status == 5
    assert 1 in thins(metadata, name)


@pytest.mark.parametrize("processes", [2, 8])
def test_several_at_one_pool(tank, dmctl, processes):
    """Each has the pool to itself for as long as it changes it; none gets an id or a name of another one."""
    name, metadata, _ = tank
    started = [
        subprocess.Popen([dmctl_script(), "thin", "batch", name, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(processes)
    ]
    for number, one in enumerate(started):
        one.stdin.write(b"".join(b"create v%d-%d 1M\n" % (number, i) for i in range(3)))
        one.stdin.close()
    for one in started:
        assert one.wait() == 0, one.stderr.read()
        one.stderr.close()
    told = listed(dmctl, name)
    assert set(told) == {f"v{number}-{i}" for number in range(processes) for i in range(3)}
    assert {one["thin_id"] for one in told.values()} == set(range(1, 3 * processes + 1))
    assert set(thins(metadata, name)) == set(range(1, 3 * processes + 1)) | {CATALOGUE_ID}
    assert transaction(name) == 1 + processes


def test_another_tool_moves_the_transaction_id(tank, dmctl):
    """Nothing is changed any more until it is reconciled; then rows are with their own thins, and with no other."""
    name, metadata, _ = tank
    for one in ("a", "b", "c"):
        assert dmctl("thin", "create", name, one, "--size", "1M", "--blob", one).status == 0
    dmsetup("message", name, "0", "delete 2")
    dmsetup("message", name, "0", "set_transaction_id 4 50")
    dmsetup("message", name, "0", "create_thin 2")  # the id of b, and not b
    dmsetup("message", name, "0", "create_thin 900")
    refused = dmctl("thin", "create", name, "d", "--size", "1M")
    assert refused.status == 6 and b"50" in refused.err
    assert set(thins(metadata, name)) == {1, 2, 3, 900, CATALOGUE_ID} and transaction(name) == 50
    doctor = dmctl("thin", "doctor", name)
    assert doctor.status == 6 and f"dmctl thin pool reconcile {name}".encode() in doctor.out
    planned = dmctl("thin", "pool", "reconcile", name, "--dry-run").text.splitlines()
    assert planned[:2] == [f"dmsetup message {name} 0 'set_transaction_id 50 51'", f"{name} would have 2 volumes."]
    assert len(planned) == 5 and transaction(name) == 50
    found = json.loads(dmctl("thin", "pool", "reconcile", name, "--json").out)
    assert transaction(name) == 51
    assert [one["name"] for one in found["volumes"]] == ["a", "c"]
    assert [one["name"] for one in found["lost"]] == ["b"] and found["orphans"] == [2, 900]
    assert dmctl("thin", "create", name, "d", "--size", "1M").status == 0
    told = listed(dmctl, name)
    assert {one: told[one]["blob"] for one in told if one} == {"a": "a", "c": "c", "d": ""}
    assert told["d"]["thin_id"] == 901


def test_between_our_messages(tank, monkeypatch):
    """Another tool moves the transaction id while a change is made: what the change has made is gone again."""
    name, metadata, _ = tank
    told = kernel.message

    def meanwhile(pool, text):
        told(pool, text)
        if text.startswith("create_thin"):
            dmsetup("message", name, "0", "set_transaction_id 1 7")

    monkeypatch.setattr(kernel, "message", meanwhile)
    with pytest.raises(DeviceError), Pool.opened(name) as pool, pool.batch() as batch:
        batch.create("a", 2048)
    monkeypatch.undo()
    assert transaction(name) == 7 and set(thins(metadata, name)) == {CATALOGUE_ID}
    making.reconcile(name)
    _, catalogue, _ = look(name)
    assert not catalogue.volumes


def test_pools_of_others_are_left_alone(prefix, disk, dmctl):
    name = prefix + "pool"
    with thin_pools.pool(name, disk) as (metadata, _):
        dmsetup("message", name, "0", "create_thin 5")
        dmsetup("message", name, "0", "set_transaction_id 0 9")
        thin_pools.volume(f"{name}-five", name, 5, 4096)
        assert dmctl("thin", "create", name, "a", "--size", "1M").status == 1
        assert dmctl("thin", "pool", "init", name).status == 2  # it is not empty
        assert set(thins(metadata, name)) == {5} and transaction(name) == 9
        assert dmctl("thin", "pool", "adopt", name, "--dry-run").text.splitlines() == [
            f"dmsetup message {name} 0 'create_thin {CATALOGUE_ID}'",
            f"dmsetup message {name} 0 'set_transaction_id 9 10'",
            f"{name} would have 1 volumes.",
        ]
        assert set(thins(metadata, name)) == {5} and transaction(name) == 9
        assert dmctl("thin", "pool", "adopt", name).status == 0
        assert set(thins(metadata, name)) == {5, CATALOGUE_ID} and transaction(name) == 10
        told = listed(dmctl, name)
        assert (told["five"]["thin_id"], told["five"]["size_sectors"]) == (5, 4096)
        assert dmctl("thin", "snapshot", name, "five", "six").status == 0
        assert listed(dmctl, name)["six"]["thin_id"] == 6


@pytest.mark.parametrize("owner", ["LVM-", "stratis-1-private-"])
def test_pools_of_managers_are_refused(prefix, disk, dmctl, owner):
    name = prefix + "pool"
    with thin_pools.pool(name, disk) as (metadata, _):
        dmsetup("rename", name, "--setuuid", owner + uuid.uuid4().hex)
        for words in (["create", name, "a", "--size", "1M"], ["pool", "adopt", name], ["pool", "init", name],
                      ["pool", "close", name], ["pool", "resize", name]):  # fmt: skip
            refused = dmctl("thin", *words)
            assert refused.status == 1 and b"belongs to" in refused.err
        assert not thins(metadata, name) and transaction(name) == 0


def test_what_is_in_the_way_of_a_pool(prefix, disk, dmctl, tmp_path):
    """Checked before anything is written."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    metadata, data, small = (str(disk(size).path) for size in (8 * MIB, 128 * MIB, 64 * KIB))
    name = prefix + "tank"

    def create(*words, on=(metadata, data)):
        return dmctl("thin", "pool", "create", name, "--metadata", on[0], "--data", on[1], *words)

    assert create(on=(metadata, metadata)).status == 2
    assert b"need" in create("--block-size", "64K", on=(small, data)).err
    assert create("--block-size", "65K").status == 2
    assert create(on=(str(tmp_path), data)).status == 2
    assert create(on=("/dev/nothing", data)).status == 3
    run("mkfs.ext4", "-q", "-F", data)
    refused = create()
    assert refused.status == 2 and b"ext4" in refused.err
    write(metadata, 0, b"\1" * 4096)
    assert b"--yes" in create().err
    (tmp_path / "mnt").mkdir()
    run("mount", data, tmp_path / "mnt")
    assert create("--yes").status == 5
    run("umount", tmp_path / "mnt")
    assert read(metadata, 4096) == b"\1" * 4096
    planned = create("--yes", "--dry-run", "--max-volumes", "100", "--error-if-no-space")
    assert create("--yes", "--max-volumes", "100", "--error-if-no-space").status == 0
    try:
        assert dmsetup("table", name).split()[:7] == planned.text.split()[1:8]
        assert "error_if_no_space" in dmsetup("status", name)
        assert create("--yes").status == 5
        assert dmctl("thin", "pool", "close", name).status == 0
        assert dmctl("thin", "pool", "open", name, "--metadata", metadata, "--data", data).status == 0
        assert "error_if_no_space" in dmsetup("status", name)  # it is in the pool
    finally:
        thin_pools.stop(name)


def test_growing(prefix, disk, dmctl):
    """Data and metadata devices that become larger, under a pool that is full."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    name = prefix + "tank"
    metadata, data = (str(disk(size).path) for size in (8 * MIB, 64 * MIB))
    dmsetup("create", prefix + "data", "--table", f"0 {8 * MIB // 512} linear {data} 0")
    try:
        under = f"/dev/mapper/{prefix}data"
        made = dmctl("thin", "pool", "create", name, "--metadata", metadata, "--data", under, "--max-volumes", "100",
                     "--error-if-no-space")  # fmt: skip
        assert made.status == 0, made
        assert dmctl("thin", "create", name, "a", "--size", "32M", "--activate").status == 0
        filled = subprocess.run(
            ["dd", "if=/dev/zero", f"of=/dev/mapper/{name}-a", "bs=64k", "count=400", "oflag=direct"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert filled.returncode != 0
        watched = dmctl("thin", "monitor", name, "--json")
        told = json.loads(watched.out)
        assert watched.status == 6 and told["state"] == "out_of_data_space" and told["data_percent"] == 100.0
        doctor = dmctl("thin", "doctor", name)
        assert doctor.status == 6 and f"dmctl thin pool resize {name}".encode() in doctor.out
        # The catalogue and the messages need no space.
        snapshot = dmctl("thin", "snapshot", name, "a", "b")
        assert snapshot.status == 0 and b"crash-consistent" in snapshot.err, snapshot
        dmsetup("load", prefix + "data", "--table", f"0 {64 * MIB // 512} linear {data} 0")
        dmsetup("resume", prefix + "data")
        planned = json.loads(dmctl("thin", "pool", "resize", name, "--dry-run", "--json").out)["table"]
        assert dmsetup("table", name).split()[1] == str(8 * MIB // 512)
        grown = dmctl("thin", "pool", "resize", name)
        assert planned.split() == dmsetup("table", name).split()
        assert grown.status == 0 and grown.text == "8 MiB -> 64 MiB\n"
        assert dmsetup("status", name).split()[7] == "rw"
        write(f"/dev/mapper/{name}-a", 20 * MIB, b"x" * 65536)
        assert dmctl("thin", "monitor", name, "--once").status == 0
    finally:
        thin_pools.stop(name)
        dmsetup("remove", "--retry", prefix + "data")


def direct(metadata, number, content=None):
    """A block as it is on the disk, which the page cache does not know; or written there."""
    words = [f"of={metadata}", "oflag=direct", f"seek={number}"] if content else [f"if={metadata}", "iflag=direct"]
    return run("dd", *words, *[] if content else [f"skip={number}"], "bs=4096", "count=1", "status=none", stdin=content)


def test_a_thin_that_cannot_be_read_is_not_taken_for_one_that_is_gone(tank, dmctl):
    """The details on the disk are damaged under the live pool: nothing is changed, no row is dropped."""
    name, metadata, _ = tank
    assert dmctl("thin", "create", name, "a", "--size", "1M").status == 0
    root = int.from_bytes(direct(metadata, 0)[328:336], "little")
    sound = direct(metadata, root)
    direct(metadata, root, bytes([sound[0] ^ 1]) + sound[1:])
    try:
        for words in (["create", name, "b", "--size", "1M"], ["remove", name, "a", "-y"], ["pool", "reconcile", name]):
            refused = dmctl("thin", *words)
            assert refused.status == 6 and f"block {root}:".encode() in refused.err, refused
        assert f"block {root}:".encode() in dmctl("thin", "doctor", name).out
    finally:
        direct(metadata, root, sound)
    assert transaction(name) == 2 and set(listed(dmctl, name)) == {"a"}


UNPRIVILEGED = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


FOR_ROOT = [
    ["ls", "@"], ["create", "@", "c", "--size", "1M"], ["blob", "get", "@", "a"], ["pool", "status", "@"],
    ["recover"], ["pool", "recover", "@"], ["monitor", "@", "--once"], ["doctor", "@"], ["dump", "@"],
]  # fmt: skip


def test_without_permission(tank, dmctl):
    """One sentence each, and the exit status for it."""
    name, _, _ = tank
    assert dmctl("thin", "create", name, "a", "--size", "1M", "--activate").status == 0
    assert dmctl("thin", "snapshot", name, "a", "b").status == 0  # after which there are folders below /run
    for words in FOR_ROOT:
        command = [*UNPRIVILEGED, dmctl_script(), "thin", *[word.replace("@", name) for word in words]]
        done = subprocess.run(command, capture_output=True, check=False)
        assert (done.returncode, done.stderr.count(b"\n"), done.stdout) == (4, 1, b""), done


def test_no_place_for_a_lock(tank, dmctl, tmp_path):
    name, _, _ = tank
    assert dmctl("thin", "create", name, "a", "--size", "1M", "--activate").status == 0
    run("mount", "-t", "tmpfs", "-o", "ro", "none", "/run/dmctl")
    try:
        for words in (["create", name, "b", "--size", "1M"], ["snapshot", name, "a", "b"]):
            refused = dmctl("thin", *words)
            assert refused.status == 1 and refused.err.count(b"\n") == 1 and b"/run/dmctl" in refused.err, refused
    finally:
        run("umount", "/run/dmctl")
    assert set(listed(dmctl, name)) == {"a"}
