# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clones from create to finish, as dmsetup, sysfs and the bytes of the disks have it."""

import json
import os
import random
import socket
import subprocess

import pytest

from dmctl.clone import finishing, making, metadata, planning
from dmctl.clone.live import CloneError, Live
from dmctl.clone.planning import Choices
from dmctl.clone.recipe import Recipe
from dmctl.device import Device
from dmctl.errors import DeviceError, DmctlError, InUseError, UsageError
from guests.fixtures import dmctl_script
from kernel.clones import FOLDER, content, create, modules, status, table, trio, wait_until_hydrated, write
from kernel.thin_pools import MIB, dmsetup, run

__all__ = ["trio"]


def test_from_create_to_linear(dmctl, trio):
    it = trio(24 * MIB, 40 * MIB)
    node = f"/dev/mapper/{it.name}".replace(" ", "\\x20")
    made = dmctl("clone", "create", it.name, "--source", it.source.path, "--dest", it.dest.path,
                 "--metadata", it.metadata.path, "--no-hydration", "--grow", "--json")  # fmt: skip
    assert made.status == 0 and b"can be written" in made.err, made
    facts = json.loads(made.out)
    assert table(it.name) == facts["table"] == [
        f"0 49152 clone {it.metadata.devno} {it.dest.devno} {it.source.devno} 8 1 no_hydration "
        "4 hydration_threshold 1024 hydration_batch_size 256",
        f"49152 32768 linear {it.dest.devno} 49152",
    ]  # fmt: skip
    assert dmsetup("info", "-c", "--noheadings", "-o", "uuid", it.name).strip() == facts["uuid"]
    write(node, 8 * MIB, b"n" * 8192)
    write(node, 30 * MIB, b"t" * 4096)
    shown = dmctl("clone", "status", it.name, "--json")
    (one,) = json.loads(shown.out)["clones"]
    assert (one["state"], one["hydrated_regions"], one["total_regions"]) == ("paused", *status(it.name)[:2])
    assert status(it.name)[:2] == (2, 6144)
    assert b"paused" in dmctl("clone", "status").out

    refused = dmctl("clone", "finish", it.name)
    assert refused.status == 1 and b"6142 of 6144 regions are not copied yet" in refused.err
    for words in (("throttle", it.name, "--threshold", "512", "--batch", "16"), ("resume", it.name)):
        done = dmctl("clone", *words)
        assert (done.status, done.out, done.err) == (0, b"", b""), done
    watched = dmctl("clone", "watch", it.name, "--json")
    assert watched.status == 0 and json.loads(watched.out.splitlines()[-1])["state"] == "done"
    assert "hydration_threshold 512 hydration_batch_size 16" in dmsetup("status", it.name)

    finished = dmctl("clone", "finish", it.name, "--verify")
    assert finished.status == 0 and b"Not compared with the source: it was written to" in finished.err, finished
    assert table(it.name) == [f"0 49152 linear {it.dest.devno} 0", f"49152 32768 linear {it.dest.devno} 49152"]
    wanted = bytearray(it.source.backing.read_bytes() + b"\1" * (16 * MIB))
    wanted[8 * MIB : 8 * MIB + 8192] = b"n" * 8192
    wanted[30 * MIB : 30 * MIB + 4096] = b"t" * 4096
    assert content(node) == wanted

    dmsetup("remove", it.name)
    assert dmctl("clone", "assemble", it.name).status == 0
    assert table(it.name) == [f"0 81920 linear {it.dest.devno} 0"]
    assert dmctl("clone", "abort", it.name).status == 0
    assert not list(FOLDER.iterdir()) and dmctl("clone", "abort", it.name).status == 3


@pytest.mark.parametrize(("region", "sectors"), [(8, 64 * MIB // 512 - 5), (8, 200 * MIB // 512), (128, 12345 * 8)])
def test_the_offline_reader_agrees_with_the_kernel(trio, region, sectors):
    """Of 200 MiB in 4 KiB the bits are in two blocks."""
    it = trio(4096, metadata_bytes=8 * MIB)
    for one in (it.source, it.dest):
        os.truncate(one.backing, sectors * 512)
        run("losetup", "--set-capacity", one.path)
    create(it, region_sectors=region, no_hydration=True)
    regions = -(-sectors // region)
    assert metadata.read(it.metadata.path).hydrated == 0 == status(it.name)[0]
    dice = random.Random(region)
    written = set()
    for batch in (1, 40, 200):
        chosen = dice.sample(range(regions - 1), batch)
        for number in chosen:  # the last is not whole
            write(f"/dev/mapper/{it.name}".replace(" ", "\\x20"), number * region * 512, b"w" * region * 512)
        written |= set(chosen)
        dmsetup("status", it.name)  # commits
        bitmap = metadata.read(it.metadata.path)
        found = {n for one in bitmap.ranges(hydrated=True) for n in range(one.first, one.first + one.regions)}
        assert found == written and bitmap.hydrated == status(it.name)[0]
        assert bitmap.superblock.regions == regions == status(it.name)[1]
    Live.find(it.name).tune(threshold=4096, batch=64)
    Live.find(it.name).hydrate(True)
    while status(it.name)[0] != regions:
        seen = metadata.read(it.metadata.path).hydrated  # while it is written
        assert seen <= status(it.name)[0]
    dmsetup("status", it.name)
    bitmap = metadata.read(it.metadata.path)
    assert bitmap.hydrated == regions and list(bitmap.ranges(hydrated=True)) == [(0, regions)]
    dmsetup("remove", it.name)
    assert metadata.read(it.metadata.path) == bitmap


REFUSALS = {
    "--source and --dest are the same": lambda it: {"dest": it.source.path},
    "--dest and --metadata are the same": lambda it: {"metadata": it.dest.path},
    "less than the 24 MiB": lambda it: {"source": it.dest.path, "dest": it.source.path},
    "is no block device": lambda it: {"source": "/dev/null"},
    "cannot be opened: No such file": lambda it: {"dest": "/dev/no-such"},
    "need 4 MiB": lambda it: {"metadata": it.small.path},
    "is no power of two": lambda it: {"region_sectors": 24},
    "--region-size: 2 GiB is no power": lambda it: {"region_sectors": 1 << 22},
    "no multiple of the blocks": lambda it: {"dest": it.large_blocks.path, "region_sectors": 8, "source": it.odd.path},
    "are not whole blocks of 4 KiB": lambda it: {"dest": it.large_blocks.path, "source": it.odd.path},
    "is read-only": lambda it: {"dest": it.read_only.path},
    "--metadata: ": lambda it: {"metadata": it.read_only.path},
    "is in use: mounted, or held by a device above it": lambda it: {"dest": it.held.path},
    "is in use: mounted, or held by a device": lambda it: {"metadata": it.held.path},
    "is mounted on": lambda it: {"source": it.mounted.path},
    "--dest stands on --source": lambda it: {"source": it.held.path, "dest": it.above},
    "is no larger than": lambda it: {"dest": it.same.path, "grow": True},
    "is no name of a device": lambda it: {"name": "a/b"},
    "--metadata-file: /dev/null is no file": lambda it: {"metadata": None, "metadata_file": "/dev/null"},
}


@pytest.fixture
def refusing(trio, disk, prefix, tmp_path):
    it = trio(16 * MIB, 24 * MIB)
    it.mounted, it.above = disk(16 * MIB), f"/dev/mapper/{prefix}held"
    run("mkfs.ext4", "-q", "-F", it.mounted.path)
    folder = tmp_path / "mount"
    folder.mkdir()
    run("mount", it.mounted.path, folder)
    it.small, it.same, it.held = disk(4 * MIB - 4096), disk(16 * MIB), disk(24 * MIB)
    it.odd, it.large_blocks = disk(8 * MIB + 512), disk(24 * MIB, sector_size=4096)
    it.read_only = disk(24 * MIB, read_only=True)
    dmsetup("create", f"{prefix}held", "--table", f"0 49152 linear {it.held.path} 0")
    yield it
    dmsetup("remove", f"{prefix}held")
    run("umount", folder)


def test_refusals(refusing):
    it = refusing
    before = it.metadata.backing.read_bytes(), it.dest.backing.read_bytes()
    for why, changed in REFUSALS.items():
        words = {"name": it.name, "source": it.source.path, "dest": it.dest.path, "metadata": it.metadata.path}
        words |= changed(it)
        name, source, dest = (words.pop(one) for one in ("name", "source", "dest"))
        with pytest.raises(DmctlError) as raised:
            making.create(name, source, dest, Choices(**words))
        message = str(raised.value)
        assert why in message or (why.startswith("no multiple") and "whole blocks" in message), message
    assert (it.metadata.backing.read_bytes(), it.dest.backing.read_bytes()) == before
    assert not FOLDER.exists() or not list(FOLDER.glob(f"{it.name}*"))


def test_a_clone_is_not_made_twice(trio, disk):
    it = trio(8 * MIB)
    create(it, no_hydration=True)
    for name, error in ((it.name, DmctlError), (it.name + "2", DmctlError)):
        with pytest.raises(error) as raised:
            making.create(name, it.source.path, it.dest.path, Choices(metadata=disk(4 * MIB).path))
        assert raised.value.exit_status == 5
    dmsetup("remove", it.name)
    with pytest.raises(DmctlError, match="already, not active"):
        create(it)
    # Its devices are not held by anything now, and all the same not free.
    for changed in ({"dest": it.dest.path}, {"metadata": it.metadata.path}):
        words = {"dest": disk(8 * MIB).path, "metadata": disk(4 * MIB).path} | changed
        with pytest.raises(InUseError, match="which is not active"):
            making.create(it.name + "2", it.source.path, words["dest"], Choices(metadata=words["metadata"]))


def test_what_is_there_is_asked_for(dmctl, trio):
    it = trio(8 * MIB)
    run("mkfs.ext4", "-q", "-F", it.dest.path)
    words = ("clone", "create", it.name, "--source", it.source.path, "--dest", it.dest.path,
             "--metadata", it.metadata.path, "--no-hydration")  # fmt: skip
    refused = dmctl(*words)
    assert refused.status == 2 and f"{it.dest.path} holds ext4; --yes overwrites it.".encode() in refused.err
    write(it.metadata.path, 0, b"x" * 4096)
    run("wipefs", "--all", it.dest.path)
    refused = dmctl(*words)
    assert refused.status == 2 and f"{it.metadata.path} holds something".encode() in refused.err
    assert content(it.metadata.path)[:4096] == b"x" * 4096 and not FOLDER.joinpath(f"{it.name}.json").exists()
    dry = dmctl(*words, "--dry-run")
    assert dry.status == 0 and b" clone " in dry.out and b"4 MiB at least" in dry.out
    assert dmctl(*words, "--yes").status == 0
    asked = dmctl("clone", "abort", it.name)
    assert asked.status == 2 and b"--yes gives it up" in asked.err and table(it.name)
    assert dmctl("clone", "abort", it.name, "--yes").status == 0
    refused = dmctl(*words)  # the destination is as it was, the metadata are those of a clone
    assert refused.status == 2 and b"holds the metadata of a clone" in refused.err


# ---- after a reboot ----


def test_assembled_again(trio):
    it = trio(8 * MIB)
    node = f"/dev/mapper/{it.name}".replace(" ", "\\x20")
    create(it, no_hydration=True, threshold_regions=7, batch_regions=3)
    write(node, MIB, b"n" * 4096)
    dmsetup("remove", it.name)
    made, is_new = making.assemble(it.name)
    assert is_new and made.assembled == 1 and status(it.name) == (1, 2048, 0)
    assert "no_hydration 4 hydration_threshold 7 hydration_batch_size 3" in table(it.name)[0]
    wanted = bytearray(it.source.backing.read_bytes())
    wanted[MIB : MIB + 4096] = b"n" * 4096
    assert content(node) == wanted
    assert making.assemble(it.name)[1] is False
    dmsetup("remove", it.name)

    write(it.metadata.path, 0, bytes(4096))
    with pytest.raises(CloneError, match="are gone"):
        making.assemble(it.name)
    dmsetup("create", it.name, "--table", f"0 8192 clone {it.metadata.path} {it.dest.path} {it.source.path} 8")
    with pytest.raises(DmctlError, match="another device"):
        making.assemble(it.name)
    dmsetup("remove", it.name)
    with pytest.raises(CloneError, match="those of another clone"):
        making.assemble(it.name)
    os.truncate(it.source.backing, 4 * MIB)
    run("losetup", "--set-capacity", it.source.path)
    with pytest.raises(CloneError, match="has another size"):
        making.assemble(it.name)


def test_the_service_is_told(trio, tmp_path):
    it = trio(8 * MIB)
    create(it, no_hydration=True)
    dmsetup("remove", it.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        words = [dmctl_script(), "clone", "assemble", "--wait", "--json", "--", it.name]
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) as process:
            assert listening.recv(100) == b"READY=1"
            assert table(it.name) and process.poll() is None  # paused, it waits
            assert process.stdout and json.loads(process.stdout.readline())["state"] == "paused"
            Live.find(it.name).hydrate(True)
            assert json.loads(process.stdout.read().splitlines()[-1])["state"] == "done"
        assert process.returncode == 0


class _Crash(BaseException):
    pass


@pytest.mark.parametrize("step", ["store", "create", "store again"])
def test_a_crash_while_it_is_made(trio, monkeypatch, step):
    """At each step: it can be assembled, or there is nothing of it and nothing was lost but what the user gave up."""
    it = trio(8 * MIB)
    write(it.metadata.path, 0, b"x" * 4096)
    calls = []
    store = Recipe.store

    def stored(self):
        calls.append("store")
        if len(calls) == (1 if step == "store" else 2):
            raise _Crash
        store(self)

    monkeypatch.setattr(making, "_undo", lambda made: None)  # as if the process were killed
    monkeypatch.setattr(Recipe, "store", stored)
    if step == "create":
        monkeypatch.setattr(making.Device, "create", lambda *_, **__: (_ for _ in ()).throw(_Crash))
    with pytest.raises(_Crash):
        create(it, no_hydration=True)
    monkeypatch.undo()
    if step == "store":
        assert Recipe.find(it.name) is None
        return
    there = it.name in dmsetup("ls")
    assert there == (step == "store again") and Recipe.load(it.name).state == "new"
    if there:
        write(f"/dev/mapper/{it.name}".replace(" ", "\\x20"), 0, b"n" * 4096)
        dmsetup("remove", it.name)
    assert making.assemble(it.name)[0].state == "live" and status(it.name)[0] == there


def test_what_fails_leaves_nothing(trio, monkeypatch, tmp_path):
    it = trio(8 * MIB)
    file = tmp_path / "meta"

    def refuse(*_, **__):
        raise DeviceError("no", errno=22)

    monkeypatch.setattr(making.Device, "create", refuse)
    with pytest.raises(DeviceError):
        making.create(it.name, it.source.path, it.dest.path, Choices(metadata_file=str(file), set_ro=True))
    assert not file.exists() and Recipe.find(it.name) is None
    assert run("blockdev", "--getro", it.source.path) == b"0\n"


# ---- the end ----


def test_metadata_in_a_file(trio, tmp_path):
    it = trio(8 * MIB)
    file = tmp_path / "meta"
    making.create(it.name, it.source.path, it.dest.path, Choices(metadata_file=str(file), set_ro=True))
    assert run("blockdev", "--getro", it.source.path) == b"1\n"
    with pytest.raises(InUseError), making._metadata_device(Recipe.load(it.name)):
        pass
    loop = table(it.name)[0].split()[3]
    assert run("losetup", "--noheadings", "-O", "MAJ:MIN", "-j", file).decode().split() == [loop]
    dmsetup("remove", it.name)
    assert not run("losetup", "-j", file)
    making.assemble(it.name)
    wait_until_hydrated(it.name)
    finishing.finish(it.name)
    assert not run("losetup", "-j", file) and not file.exists()
    assert run("blockdev", "--getro", it.source.path) == b"0\n"
    assert it.dest.backing.read_bytes() == it.source.backing.read_bytes()
    making.abort(it.name)


def test_verify(trio, dmctl):
    it = trio(9 * MIB)
    create(it)
    assert dmctl("clone", "watch", it.name, "--wait").status == 0
    with open(it.dest.backing, "r+b") as file:
        file.seek(5 * MIB + 700)
        byte = file.read(1)
        file.seek(5 * MIB + 700)
        file.write(bytes([byte[0] ^ 1]))
    different = dmctl("clone", "finish", it.name, "--verify")
    assert different.status == 6 and f"byte {5 * MIB + 700} of".encode() in different.err
    assert " clone " in table(it.name)[0] and Recipe.load(it.name).state == "live"
    with open(it.dest.backing, "r+b") as file:
        file.seek(5 * MIB + 700)
        file.write(byte)
    equal = dmctl("clone", "finish", it.name, "--verify", "--json")
    assert equal.status == 0 and json.loads(equal.out)["verified"] is True


def test_verify_does_not_claim_what_it_cannot_know(trio, dmctl):
    it = trio(8 * MIB)
    create(it)
    dmsetup("remove", it.name)
    making.assemble(it.name)
    assert dmctl("clone", "watch", it.name, "--wait").status == 0
    done = dmctl("clone", "finish", it.name, "--verify", "--json")
    assert done.status == 0 and json.loads(done.out)["verified"] is False and b"assembled again" in done.err


def test_a_swap_that_fails(trio, monkeypatch):
    it = trio(8 * MIB)
    create(it)
    wait_until_hydrated(it.name)

    def refuse(*_, **__):
        raise DeviceError("no", errno=5)

    monkeypatch.setattr(finishing.Device, "resume", refuse)
    with pytest.raises(DeviceError):
        finishing.finish(it.name)
    assert Recipe.load(it.name).state == "live" and " clone " in table(it.name)[0]
    assert "None" in dmsetup("info", "-c", "--noheadings", "-o", "tables_loaded", it.name) or (
        "LIVE" in dmsetup("info", it.name) and "INACTIVE" not in dmsetup("info", it.name)
    )


def test_a_clone_of_somebody_else(trio, dmctl):
    it = trio(8 * MIB)
    modules()
    line = f"0 16384 clone {it.metadata.path} {it.dest.path} {it.source.path} 16 1 no_hydration"
    dmsetup("create", it.name, "--table", line)
    assert dmctl("clone", "pause", it.name).status == 0
    assert dmctl("clone", "resume", it.name).status == 0
    assert dmctl("clone", "watch", it.name).status == 0
    done = dmctl("clone", "finish", it.name, "--verify")
    assert done.status == 0 and b"it was not made by dmctl" in done.err
    assert table(it.name) == [f"0 16384 linear {it.dest.devno} 0"]
    assert dmctl("clone", "finish", it.name).status == 2
    assert dmctl("clone", "finish", it.name + "x").status == 3


def test_a_suspended_clone_stays_so(trio):
    it = trio(8 * MIB)
    create(it)
    wait_until_hydrated(it.name)
    dmsetup("suspend", it.name)
    with pytest.raises(CloneError, match="is suspended"):
        finishing.finish(it.name)
    assert Device(it.name).info().suspended
    dmsetup("resume", it.name)


def test_disks_of_4_kib_sectors(trio):
    it = trio(8 * MIB, sector_size=4096)
    with pytest.raises(UsageError):
        planning.plan(it.name, it.source.path, it.dest.path, Choices(region_sectors=4, metadata=it.metadata.path))
    create(it)
    wait_until_hydrated(it.name)
    assert finishing.finish(it.name, verify=True).verified
    assert it.dest.backing.read_bytes() == it.source.backing.read_bytes()
