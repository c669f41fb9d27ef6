# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl targets --available: what the kernel has is what dmsetup says, what it could load is what modprobe says."""

import dataclasses
import errno
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from compat.batch import Line, of_dmctl
from dmctl import control
from dmctl.cli import app  # noqa: F401 - imported before the forks
from dmctl.cli.available import features
from dmctl.cli.target_options import option_name
from dmctl.device import Device
from dmctl.errors import DeviceError
from dmctl.targets import TARGETS
from dmctl.targets.crypt import CryptArguments
from dmctl.targets.integrity import IntegrityArguments
from dmctl.targets.snapshot import SnapshotArguments, SnapshotMergeArguments
from dmctl.targets.verity import VerityArguments
from dmctl.targets.writecache import WritecacheArguments

# Of another place than /lib/modules in the guest.
GUEST_MODULES = Path("/run/guest/root/lib/modules", os.uname().release)


def available(*options):
    ((done,),) = of_dmctl([Line(("targets", "--available", *options))], ("dmctl",))
    assert (done.status, done.err) == (0, b""), done
    return done.text


def registered(dmsetup):
    """Target: version, by dmsetup."""
    return dict(re.findall(r"^(\S+) +v(\S+)$", dmsetup("targets").text, re.MULTILINE))


def loadable(target):
    """Whether modprobe finds a module of this name or alias; it loads none."""
    return subprocess.run(["modprobe", "-n", "-q", f"dm-{target}"], check=False).returncode == 0


def test_available(dmsetup, monkeypatch):
    if GUEST_MODULES.is_dir():
        monkeypatch.setattr(control, "_module_folder", lambda: str(GUEST_MODULES))
    # So that some are not there: nobody uses them between two tests.
    subprocess.run(["modprobe", "-r", "-q", "-a", "dm-dust", "dm-era"], check=True)
    before = Path("/proc/modules").read_text()
    document, text = json.loads(available("--json")), available()
    assert Path("/proc/modules").read_text() == before
    assert document.pop("output_version") == {"command": "targets --available", "vers_major": 1, "vers_minor": 0}
    there = registered(dmsetup)
    rows = {row["target"]: row for row in document["targets"]}
    assert set(rows) == set(there) | set(TARGETS) and list(rows) == sorted(rows)
    assert {name: ".".join(map(str, row["version"])) for name, row in rows.items() if row["version"]} == there
    for name, row in rows.items():
        expected = "registered" if name in there else "loadable" if loadable(name) else "absent"
        assert row["state"] == expected, name
    assert (rows["dust"]["state"], rows["era"]["state"], rows["bow"]["state"]) == ("loadable", "loadable", "absent")
    assert {"name": "offset", "since": None, "certain": True} in rows["dust"]["features"]
    heading, *lines = text.splitlines()
    assert heading.split() == ["TARGET", "STATE", "VERSION", "FEATURES"]
    told = [line.split(maxsplit=2)[:2] for line in lines]
    assert told == [[name, row["state"]] for name, row in rows.items()]
    assert all(there[name] in line for name, line in zip(rows, lines, strict=True) if name in there)


def test_without_an_index_of_modules(dmsetup, monkeypatch):
    monkeypatch.setattr(control, "_module_folder", lambda: "/nonexistent")
    there = registered(dmsetup)
    states = {row["target"]: row["state"] for row in json.loads(available("--json"))["targets"]}
    assert states == {name: "registered" if name in there else "unknown" for name in states}


@pytest.mark.parametrize("words", [("targets", "--available", "x"), ("targets", "--available", "--frob")])
def test_wrong_usage(words):
    ((done,),) = of_dmctl([Line(words)], ("dmctl",))
    assert (done.status, done.out) == (2, b"") and done.err


MODULES = (
    *("dm-crypt", "dm-integrity", "dm-snapshot", "dm-verity", "dm-writecache"),
    *("aes", "cbc", "crc32c", "sha256_generic"),
)
# The kernel judges what --available says of optional arguments, where that depends on the version. Those of raid are
# in test_targets_raid.py; that of error Linux 6.1 ignores.
KEY = "00112233445566778899aabbccddeeff"


def crypt(disk, **more):
    return CryptArguments("aes-cbc-plain64", KEY, disk, **more)


def integrity(disk, mode="J", **more):
    return IntegrityArguments(disk, 0, mode, internal_hash="crc32c", **more)


def verity(disk, **more):
    return VerityArguments(1, disk, disk, 512, 512, 8, 1, "sha256", KEY * 2, **more)


def cached(disk, fast, **more):
    return WritecacheArguments("s", disk, fast, 4096, **more)


def loadable_lines(a, b, c):
    """Lines that this kernel must take, a long one each; together they have all options that it has for certain."""
    discards = {"discard_zeroes_cow": True, "discard_passdown_origin": True}
    return [
        crypt(a, allow_discards=True, same_cpu_crypt=True, submit_from_crypt_cpus=True, sector_size_bytes=4096),
        crypt(a, sector_size_bytes=1024, iv_large_sectors=True, no_read_workqueue=True, no_write_workqueue=True),
        integrity(a, fix_padding=True, fix_hmac=True, recalculate=True, allow_discards=True),
        integrity(a, "B", sectors_per_bit=1024, bitmap_flush_interval_ms=500, reset_recalculate=True),
        verity(a, on_corruption="panic", ignore_zero_blocks=True, check_at_most_once=True, try_verify_in_tasklet=True),
        SnapshotArguments(a, b, chunk_sectors=8, **discards),
        SnapshotMergeArguments(a, b, chunk_sectors=8, **discards),
        cached(a, c, max_age_ms=5000, metadata_only=True, pause_writeback_ms=100),
        cached(a, c, cleaner=True),
    ]


# Which Linux 6.1 refuses: with and without the option.
REFUSED = {
    "high_priority": (crypt, True),
    "integrity_key_size_bytes": (crypt, 16),
    "allow_discards_keyed": (integrity, True),
    "on_error": (verity, "restart"),
}


def test_the_kernel_has_the_features(disk, dmsetup, prefix):
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=True)
    name, (a, b, c) = f"{prefix}x", (disk(4 << 20).path for _ in range(3))
    versions = {target: tuple(map(int, told.split("."))) for target, told in registered(dmsetup).items()}
    assert dmsetup("create", name, "--notable").status == 0
    device = Device(name)
    told = {}
    try:
        for made in loadable_lines(a, b, c):
            device.load([made.line(0, 8)], read_only=made.target == "verity")
            device.clear()
            used = {field.name for field in dataclasses.fields(made) if getattr(made, field.name) != field.default}
            for field, spec in made.specs().items():
                if field in used and spec.since:
                    told.setdefault(made.target, set()).add(option_name(field, spec).lstrip("-"))
        for field, (make, value) in REFUSED.items():
            device.load([make(a).line(0, 8)], read_only=make is verity)
            device.clear()
            made = make(a, **{field: value})
            if not made.specs()[field].had_by(versions[made.target]):
                with pytest.raises(DeviceError) as refused:
                    device.load([made.line(0, 8)], read_only=make is verity)
                assert refused.value.errno == errno.EINVAL
    finally:
        assert dmsetup("remove", name).status == 0
    for target, names in told.items():
        certain = {one["name"] for one in features(target, versions[target]) if one["since"] and one["certain"]}
        assert names == certain, target
