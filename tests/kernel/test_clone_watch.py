# SPDX-License-Identifier: LGPL-2.1-or-later
"""What holds up a clone, told and stopped; rates; trimming."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from dmctl.clone import finishing, hydration, making, stall, trimming
from dmctl.clone.hydration import Watch
from dmctl.clone.live import CloneError, Live
from dmctl.clone.planning import Choices
from dmctl.clone.recipe import Recipe
from dmctl.rates import Counts
from dmctl.units import parse_devno
from guests.fixtures import dmctl_script
from kernel.clones import create, status, table, trio, wait_until_hydrated, write
from kernel.thin_pools import MIB, dmsetup, run

__all__ = ["trio"]
BAD = (1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 20001, 20480, 20488, 32767)
# Regions of 4 KiB: 125, 2500, 2560 with 2561, and the last.
BAD_BYTES = [(512000, 516096), (10240000, 10244096), (10485760, 10493952), (16773120, 16777216)]


@pytest.fixture
def dusty(trio, prefix):
    """A source of 16 MiB with sectors that cannot be read."""
    it = trio(16 * MIB)
    it.dust = f"{prefix}dust"
    dmsetup("create", it.dust, "--table", f"0 32768 dust {it.source.path} 0 512")
    for sector in BAD:
        dmsetup("message", it.dust, "0", "addbadblock", str(sector))
    dmsetup("message", it.dust, "0", "quiet")
    dmsetup("message", it.dust, "0", "enable")
    yield it
    for path in (it.name, it.dust):
        subprocess.run(["dmsetup", "remove", "--retry", path], check=False, capture_output=True)


def make(it, **options):
    making.create(it.name, f"/dev/mapper/{it.dust}", it.dest.path, Choices(metadata=it.metadata.path, **options))


def reads(it):
    devno = dmsetup("info", "-c", "--noheadings", "-o", "major,minor", it.dust).strip()
    return Counts.of(parse_devno(devno)).reads


def test_bad_regions_are_told_and_left(dusty, dmctl):
    it = dusty
    make(it)
    begun = time.monotonic()
    found = dmctl("clone", "watch", it.name, "--max-stall", "2s", timeout=120)
    took = time.monotonic() - begun
    assert found.status == 5 and b"copying in the background has stopped" in found.err, found
    lines = [line for line in found.text.splitlines() if "cannot be copied" in line]
    assert [line.split(": bytes ")[1].split(" (")[0] for line in lines] == [f"{a} to {b - 1}" for a, b in BAD_BYTES]
    assert all(it.dust in line for line in lines)
    assert took < 60, "the first bound is --max-stall, the second what the regions take one by one"
    before = reads(it)
    time.sleep(1)
    assert reads(it) == before and status(it.name) == (4096 - 5, 4096, 0)
    assert "no_hydration 4 hydration_threshold 1024 hydration_batch_size 256" in dmsetup("status", it.name)
    assert Recipe.load(it.name).paused

    dmsetup("message", it.dust, "0", "disable")
    assert dmctl("clone", "resume", it.name).status == 0 and not Recipe.load(it.name).paused
    assert dmctl("clone", "watch", it.name, "--wait").status == 0
    assert finishing.finish(it.name, verify=True).verified


def test_bad_regions_of_a_slow_source(dusty, prefix):
    """A tenth of a second a read: that nothing is copied for so long does not mean that all was tried."""
    it = dusty
    slow = f"{prefix}slow"
    dmsetup("create", slow, "--table", f"0 32768 delay /dev/mapper/{it.dust} 0 100")
    try:
        choices = Choices(metadata=it.metadata.path, region_sectors=128, threshold_regions=64, batch_regions=4)
        making.create(it.name, f"/dev/mapper/{slow}", it.dest.path, choices)
        while status(it.name)[0] < 256 - 4 * 4:
            time.sleep(0.1)
        found = stall.isolate(Live.find(it.name), seconds=10)
        assert [start // 65536 for start, _ in found.ranges] == [7, 156, 160, 255] and found.bytes == 4 * 65536
    finally:
        for one in (it.name, slow):
            subprocess.run(["dmsetup", "remove", "--retry", one], check=False, capture_output=True)


def test_another_try(dusty, start):
    it = dusty
    make(it)
    process = start("clone", "watch", it.name, "--json", "--on-error", "retry", "--max-stall", "1")
    assert process.stdout
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if "source_ranges" in told[-1]:
            dmsetup("message", it.dust, "0", "disable")
    assert process.wait(60) == 0 and told[-1]["state"] == "done"
    (ranges,) = [one["source_ranges"] for one in told if "source_ranges" in one]
    assert [(one["start_bytes"], one["end_bytes"]) for one in ranges] == BAD_BYTES


def test_waiting_for_somebody_to_mend_it(dusty, start):
    it = dusty
    make(it)
    process = start("clone", "watch", it.name, "--json", "--on-error", "pause", "--max-stall", "1")
    assert process.stdout
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["state"] == "paused" and Recipe.load(it.name).paused:
            dmsetup("message", it.dust, "0", "disable")
            run(dmctl_script(), "clone", "resume", it.name)
    assert process.wait(60) == 0
    states = [one["state"] for one in told]
    assert states.index("stalled") < states.index("paused") < states.index("done") == len(states) - 1


def test_interrupted_while_it_looks_for_bad_regions(dusty, start):
    it = dusty
    make(it)
    process = start("clone", "watch", it.name, "--max-stall", "1s")
    while "no_hydration" not in dmsetup("status", "--noflush", it.name):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert process.returncode in (-signal.SIGINT, 5)
    shown = dmsetup("status", it.name)
    assert "no_hydration 4 hydration_threshold 1024 hydration_batch_size 256" in shown
    before = reads(it)
    time.sleep(0.5)
    assert reads(it) == before


def test_all_of_the_source_gone(dusty):
    it = dusty
    make(it, no_hydration=True)
    dmsetup("reload", it.dust, "--table", "0 32768 error")
    dmsetup("resume", it.dust)
    found = stall.isolate(Live.find(it.name), seconds=3)
    assert found.ranges == ((0, 16 * MIB),) and found.answered and found.bytes == 16 * MIB


def test_a_source_that_does_not_answer(dusty, monkeypatch):
    """Its copies do not come back; what is told is what is not there."""
    it = dusty
    monkeypatch.setattr(hydration, "_UNANSWERED_S", 2.0)
    make(it, no_hydration=True)
    dmsetup("suspend", it.dust)
    try:
        live = Live.find(it.name)
        with Watch(live, interval_s=0.2) as watch:
            live.hydrate(True)
            state = next(one for one in watch if one.state != hydration.HYDRATING)
        assert state.state == hydration.STALLED and state.status.hydrating_regions
        found = stall.isolate(live, seconds=1)
        assert not found.answered and found.ranges == ((0, 16 * MIB),)
    finally:
        dmsetup("resume", it.dust)
    live.hydrate(True)
    dmsetup("message", it.dust, "0", "disable")
    wait_until_hydrated(it.name)


# ---- other states ----


def test_starved(trio, prefix):
    """Somebody reads all the time, so the kernel does not copy: that is no stall."""
    it = trio(16 * MIB)
    slow = f"{prefix}slow"
    dmsetup("create", slow, "--table", f"0 {it.source.sectors} delay {it.source.path} 0 20")
    making.create(it.name, f"/dev/mapper/{slow}", it.dest.path, Choices(metadata=it.metadata.path, no_hydration=True))
    node = f"/dev/mapper/{it.name}".replace(" ", "\\x20")
    reader = subprocess.Popen(
        ["sh", "-c", f"while :; do dd if='{node}' of=/dev/null bs=64k iflag=direct 2>/dev/null; done"],
        start_new_session=True,
    )
    second = subprocess.Popen(
        ["sh", "-c", f"while :; do dd if='{node}' of=/dev/null bs=64k iflag=direct 2>/dev/null; done"],
        start_new_session=True,
    )
    try:
        live = Live.find(it.name)
        time.sleep(0.5)
        live.hydrate(True)
        with Watch(live, interval_s=0.3) as watch:
            end = time.monotonic() + 20
            states = set()
            for one in watch:
                states.add(one.state)
                if one.state in (hydration.STARVED, hydration.DONE) or time.monotonic() > end:
                    break
        assert hydration.STALLED not in states
    finally:
        for process in (reader, second):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        run("udevadm", "settle")
        subprocess.run(["dmsetup", "remove", "--retry", it.name], check=True, capture_output=True)
        subprocess.run(["dmsetup", "remove", "--retry", slow], check=True, capture_output=True)
    assert hydration.STARVED in states, states


BROKEN = [
    ("0 8192 error", "failed", b"cannot be used any more", b"has failed"),
    ("0 8192 flakey {disk} 0 0 100 1 error_writes", "read-only", b"cannot be written any more", b"become read-only"),
]


@pytest.mark.parametrize(("line", "state", "told", "refusal"), BROKEN)
def test_metadata_that_cannot_be_written(trio, prefix, dmctl, line, state, told, refusal):
    it = trio(8 * MIB)
    subprocess.run(["modprobe", "-q", "dm-flakey"], check=False)
    meta = f"{prefix}meta"
    dmsetup("create", meta, "--table", f"0 8192 linear {it.metadata.path} 0")
    try:
        choices = Choices(metadata=f"/dev/mapper/{meta}", no_hydration=True)
        making.create(it.name, it.source.path, it.dest.path, choices)
        dmsetup("reload", meta, "--table", line.format(disk=it.metadata.path))
        dmsetup("resume", meta)
        write(f"/dev/mapper/{it.name}".replace(" ", "\\x20"), 0, b"n" * 4096)
        dmsetup("status", it.name)  # commits, and fails
        watched = dmctl("clone", "watch", it.name)
        assert watched.status == 1 and state.encode() in watched.out and told in watched.err, watched
        for words in (("pause",), ("resume",), ("throttle", "--batch", "1"), ("finish",)):
            refused = dmctl("clone", words[0], it.name, *words[1:])
            assert refused.status == 1 and refusal in refused.err, refused
    finally:
        for one in (it.name, meta):
            subprocess.run(["dmsetup", "remove", "--retry", one], check=False, capture_output=True)


def test_a_rate(trio, dmctl, prefix):
    """So many bytes need so much time; on the way the threshold is 0 at times, and at the end what it was."""
    it = trio(12 * MIB)
    slow = f"{prefix}slow"
    dmsetup("create", slow, "--table", f"0 {it.source.sectors} delay {it.source.path} 0 20")
    words = ("--source", f"/dev/mapper/{slow}", "--dest", it.dest.path, "--metadata", it.metadata.path, "--yes")
    try:
        begun = time.monotonic()
        done = dmctl("clone", "create", it.name, *words, "--batch", "16", "--rate", "4M", "--wait", "--json")
        took = time.monotonic() - begun
        told = [json.loads(line) for line in done.out.splitlines()]
        assert done.status == 0 and told[-1]["state"] == "done"
        assert took > (12 - 0.5) / 4, "256 KiB are in flight at the most, and come in 20 ms"
        assert {one["state"] for one in told} == {"hydrating", "done"}
        assert "hydration_threshold 64 hydration_batch_size 16" in dmsetup("status", it.name)
    finally:
        for one in (it.name, slow):
            subprocess.run(["dmsetup", "remove", "--retry", one], check=False, capture_output=True)


def test_a_rate_ends_with_its_process(trio, start):
    it = trio(12 * MIB)
    create(it, no_hydration=True)
    process = start("clone", "watch", it.name, "--rate", "100k", "--json")
    assert process.stdout and process.stdout.readline()
    Live.find(it.name).hydrate(True)
    while "hydration_threshold 0 " not in dmsetup("status", "--noflush", it.name):
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    assert "hydration_threshold 1024 " in dmsetup("status", "--noflush", it.name)


# ---- trim ----


def test_trim(trio, tmp_path):
    it = trio(64 * MIB)
    run("mkfs.ext4", "-q", "-F", it.source.path)
    folder = tmp_path / "mount"
    folder.mkdir()
    run("mount", it.source.path, folder)
    (folder / "file").write_bytes(os.urandom(5 * MIB))
    run("umount", folder)
    create(it, no_hydration=True)
    live = Live.find(it.name)
    with pytest.raises(CloneError, match="is not mounted"):
        trimming.trim(live)
    run("mount", f"/dev/mapper/{it.name}".replace(" ", "\\x20"), folder)
    try:
        trimmed = trimming.trim(live)
        hydrated = status(it.name)[0]
        assert trimmed.mount == str(folder) and 40 * MIB < trimmed.spared_bytes <= hydrated * 4096
        assert "no_hydration" in dmsetup("status", it.name)
        before = Counts.of(live.source).read_sectors
        live.hydrate(True)
        wait_until_hydrated(it.name)
        assert Counts.of(live.source).read_sectors - before < (64 * MIB - trimmed.spared_bytes) // 512 + 2048
        finishing.finish(it.name)
        run("blockdev", "--flushbufs", it.source.path)
        assert (folder / "file").stat().st_size == 5 * MIB
    finally:
        run("umount", folder)
    assert table(it.name) == [f"0 131072 linear {it.dest.devno} 0"]
    dmsetup("remove", it.name)
    run("fsck.ext4", "-fn", it.dest.path)
    run("mount", it.dest.path, folder)
    copied = (folder / "file").read_bytes()
    run("umount", folder)
    assert copied == _file_of(it.source.path, folder)


def _file_of(path, folder):
    run("mount", "-o", "ro", path, folder)
    try:
        return Path(folder / "file").read_bytes()
    finally:
        run("umount", folder)
