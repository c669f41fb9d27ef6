# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin monitor and doctor on pools that fill up, fail, or are left suspended."""

import json
import os
import signal
import subprocess
from dataclasses import replace

import pytest

from dmctl.event_poll import EventPoll
from dmctl.thin import making
from dmctl.thin.catalogue import Settings
from guests.fixtures import dmctl_script
from kernel import thin_pools
from kernel.thin_pools import MIB, dmsetup, run, write


@pytest.fixture
def tank(prefix, disk):
    """A pool of 32 MiB with a volume that is active; the event about low water comes at a half."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    name = prefix + "tank"
    metadata, data = str(disk(4 * MIB).path), str(disk(32 * MIB).path)
    making.create(replace(making.plan(name, metadata, data, volumes=20), settings=Settings(low_water_blocks=256)))
    run(dmctl_script(), "thin", "create", name, "a", "--size", "64M", "--activate")
    yield name, metadata
    thin_pools.stop(name)


def test_monitor_wakes_at_the_event(tank, tmp_path):
    """Within a minute it looks only because the kernel tells that the water is low."""
    name, _ = tank
    told = tmp_path / "told"
    command = f'echo "$DMCTL_POOL $DMCTL_STATE $DMCTL_DATA_PERCENT" > {told}; kill -TERM $PPID'
    words = [dmctl_script(), "thin", "monitor", name, "--data", "50", "--interval", "60", "--json", "--exec", command]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as monitor:
        first = json.loads(monitor.stdout.readline())
        assert (first["pool"], first["state"], first["threshold_passed"]) == (name, "rw", False)
        write(f"/dev/mapper/{name}-a", 0, os.urandom(20 * MIB))
        second = json.loads(monitor.stdout.readline())
    assert monitor.returncode == -signal.SIGTERM
    assert second["threshold_passed"] and second["data_percent"] >= 50
    pool, state, percent = told.read_text().split()
    used, total = map(int, dmsetup("status", name).split()[5].split("/"))
    assert (pool, state) == (name, "rw") and 50 <= float(percent) <= 100 * used / total + 0.01


def test_monitor_ends_where_a_threshold_is_passed(tank, dmctl):
    name, _ = tank
    assert dmctl("thin", "monitor", name, "--once").status == 0
    write(f"/dev/mapper/{name}-a", 0, os.urandom(20 * MIB))
    assert dmctl("thin", "monitor", name, "--data", "60").status == 6
    assert dmctl("thin", "monitor", name + "none").status == 3


def test_metadata_are_told_without_the_reserve(tank, dmctl):
    """A fresh pool has next to nothing in use, although the kernel says a tenth."""
    name, _ = tank
    used, total = map(int, dmsetup("status", name).split()[4].split("/"))
    assert used > total // 10
    told = json.loads(dmctl("thin", "pool", "status", name, "--json").out)
    assert told["metadata_used_blocks"] == used - total // 10
    assert told["metadata_total_blocks"] == total - total // 10


def test_an_event_before_the_wait_is_not_missed(prefix):
    dmsetup("create", prefix + "x", "--table", "0 8 zero")
    with EventPoll() as events:
        events.arm()
        assert not events.wait(0)
        dmsetup("remove", "--retry", prefix + "x")
        assert events.wait(0)
        events.arm()
        assert not events.wait(0)


def test_doctor_finds_what_is_suspended(tank, dmctl):
    name, _ = tank
    assert dmctl("thin", "doctor", name).text == f"Nothing is wrong with {name}.\n"
    dmsetup("suspend", f"{name}-a")
    found = dmctl("thin", "doctor", name, "--json")
    dmsetup("resume", f"{name}-a")
    (finding,) = json.loads(found.out)["findings"]
    assert found.status == 6 and f"{name}-a is suspended" in finding["what"]


def test_a_commit_that_does_not_reach_the_disk(prefix, disk, dmctl):
    """The kernel answers 0 for the message; dmctl looks at the disk. Mended, the pool is as it was."""
    subprocess.run(["modprobe", "-qa", "dm-thin-pool", "dm-flakey"], check=False)
    name = prefix + "tank"
    metadata, data = str(disk(4 * MIB).path), str(disk(32 * MIB).path)
    sectors = 4 * MIB // 512
    dmsetup("create", prefix + "meta", "--table", f"0 {sectors} linear {metadata} 0")
    under = f"/dev/mapper/{prefix}meta"
    try:
        making.create(making.plan(name, under, data, volumes=20))
        assert dmctl("thin", "create", name, "before", "--size", "1M").status == 0
        flakey = f"0 {sectors} flakey {metadata} 0 0 3600 1 error_writes"
        dmsetup("load", prefix + "meta", "--table", flakey)
        dmsetup("suspend", "--noflush", prefix + "meta")
        dmsetup("resume", prefix + "meta")
        failed = dmctl("thin", "create", name, "lost", "--size", "1M")
        assert failed.status == 1 and f"thin doctor {name}".encode() in failed.err, failed
        doctor = dmctl("thin", "doctor", name)
        assert doctor.status == 6 and b"dmctl thin check" in doctor.out, doctor
        assert dmctl("thin", "create", name, "later", "--size", "1M").status == 1
        thin_pools.stop(name)
        dmsetup("load", prefix + "meta", "--table", f"0 {sectors} linear {metadata} 0")
        dmsetup("suspend", "--noflush", prefix + "meta")
        dmsetup("resume", prefix + "meta")
        run("thin_check", "--clear-needs-check-flag", under)
        assert dmctl("thin", "pool", "open", name, "--metadata", under, "--data", data).status == 0
        names = {one["name"] for one in json.loads(dmctl("thin", "ls", name, "--json").out)["volumes"]}
        assert names == {"before"}
        assert dmctl("thin", "create", name, "again", "--size", "1M").status == 0
    finally:
        thin_pools.stop(name)
        dmsetup("remove", "--retry", prefix + "meta")
    run("thin_check", metadata)
