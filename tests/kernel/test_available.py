# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl targets --available: what the kernel has is what dmsetup says, what it could load is what modprobe says."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from compat.batch import Line, of_dmctl
from dmctl import control
from dmctl.targets import TARGETS

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
    assert "offset" in rows["dust"]["features"] and "allow-discards" in rows["crypt"]["features"]
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
