# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl show, tree and explain: what they say of a real stack, against dmsetup, sysfs, findmnt and what was made."""

import json
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from dmctl.targets import parse_params
from guests.kernel_state import DMSETUP

MIB = 1 << 20
KEY = "0123456789abcdef" * 4


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture
def stack(prefix, disk, tmp_path):
    """Pool, mounted thin, thin with a blank in its name, snapshot, encrypted swap, one suspended, one with no table."""
    names = {name: f"{prefix}{name}" for name in ("pool", "root", "my home", "base", "snap", "secret", "held", "empty")}
    metadata, data, origin, cow, swap = (disk(size * MIB) for size in (4, 32, 16, 8, 16))
    with ExitStack() as undo:

        def create(name, table, *words):
            run(DMSETUP, "create", names[name], *words, *(["--table", table] if table else []))
            undo.callback(run, DMSETUP, "remove", names[name])

        create("pool", f"0 {data.sectors} thin-pool {metadata.path} {data.path} 128 0")
        for number, name in enumerate(("root", "my home")):
            run(DMSETUP, "message", names["pool"], "0", f"create_thin {number}")
            create(name, f"0 65536 thin /dev/mapper/{names['pool']} {number}")
        # Else ext4 goes on to write its inode tables when it is mounted, and the pool fills meanwhile.
        run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", f"/dev/mapper/{names['root']}")
        point = tmp_path / "point"
        point.mkdir()
        run("mount", f"/dev/mapper/{names['root']}", point)
        undo.callback(run, "udevadm", "settle")  # which reads a device that was closed
        undo.callback(run, "umount", point)
        run("sync", "--file-system", point)
        create("base", f"0 {origin.sectors} linear {origin.path} 0", "--uuid", f"UUID-{prefix}")
        create("snap", f"0 {origin.sectors} snapshot /dev/mapper/{names['base']} {cow.path} P 16")
        create("secret", f"0 {swap.sectors} crypt aes-xts-plain64 {KEY} 0 {swap.path} 0")
        run("mkswap", f"/dev/mapper/{names['secret']}")
        run("swapon", f"/dev/mapper/{names['secret']}")
        undo.callback(run, "udevadm", "settle")
        undo.callback(run, "swapoff", f"/dev/mapper/{names['secret']}")
        create("held", "0 8 error")
        run(DMSETUP, "suspend", names["held"])
        create("empty", "", "--notable")
        run("udevadm", "settle")
        disks = {"metadata": metadata, "data": data, "origin": origin, "cow": cow, "swap": swap}
        yield names, disks, str(point)
        run("udevadm", "settle")


def test_show_and_tree(stack, dmctl, dmsetup, tmp_path):
    names, disks, point = stack
    document = json.loads(dmctl("show", "--json").out)
    assert document["output_version"] == {"command": "show", "vers_major": 1, "vers_minor": 0}
    by_name = {device["name"]: device for device in document["devices"]}
    listed = dmsetup(
        "info", "-c", "--noheadings", "--separator", "|", "-o", "name,uuid,major,minor,open,events,suspended"
    )
    for line in listed.text.splitlines():
        name, uuid, major, minor, opened, events, suspended = line.split("|")
        told = by_name[name]
        assert [told["uuid"], told["major"], told["minor"]] == [uuid, int(major), int(minor)]
        assert [told["open_count"], told["event_nr"], told["suspended"]] == [
            int(opened),
            int(events),
            suspended == "Suspended",
        ]
        standing = dmsetup("deps", name).text.partition(":")[2]
        assert [(one["major"], one["minor"]) for one in told["standing_on"]] == [
            tuple(map(int, pair)) for pair in re.findall(r"\((\d+), (\d+)\)", standing)
        ]
        table = dmsetup("table", name).text.splitlines() if name != names["empty"] else []
        assert [
            f"{n['start_sectors']} {n['length_sectors']} {n['target']} {n['params']}" for n in told["lines"]
        ] == table
        if table:
            assert told["size_bytes"] == 512 * int(Path(f"/sys/dev/block/{major}:{minor}/size").read_text())
    assert set(by_name) == set(names.values())
    root, pool, secret = by_name[names["root"]], by_name[names["pool"]], by_name[names["secret"]]
    assert root["mounts"] == [point] == run("findmnt", "-n", "-o", "TARGET", f"/dev/mapper/{names['root']}").split()
    assert secret["swap"] and not root["swap"]
    assert sorted(pool["above"]) == sorted([names["root"], names["my home"]])
    used, total = dmsetup("status", names["pool"]).text.split()[5].split("/")
    assert {"what": "data", "used": int(used), "total": int(total), "unit": "blocks", "progress": False} in pool[
        "usages"
    ]
    loops = [disks[name].path.removeprefix("/dev/") for name in ("metadata", "data")]
    backing = [Path(f"/sys/block/{loop}/loop/backing_file").read_text().rstrip("\n") for loop in loops]
    assert sorted(one["name"] for one in pool["standing_on"]) == [
        f"{loop} ({file})" for loop, file in zip(loops, backing, strict=True)
    ]
    assert by_name[names["empty"]]["state"] == "no table" and by_name[names["held"]]["state"] == "suspended"

    text = dmctl("show").text.splitlines()
    assert text[0].split() == ["NAME", "SIZE", "TARGET", "STATE", "ON", "USED_BY", "FULL"]
    # Columns stand under their headings, and nothing is cut in a pipe.
    place = text[0].index("USED_BY")
    assert next(line for line in text if line.startswith(names["root"] + " "))[place:].split() == [point]
    assert next(line for line in text if line.startswith(names["secret"]))[place:].split() == ["[swap]"]
    assert dmctl("show", "-o", "name,size", "--noheadings", names["root"]).text == f"{names['root']}  32 MiB\n"
    selected = dmctl(
        "show", "-S", "target=thin && mounts!=''", "-o", "dm_name", "--noheadings", "--sort", "-dm_name"
    ).text
    assert selected.splitlines() == sorted([names["root"], names["my home"]], reverse=True)
    sized = dmctl("show", "--sort", "size", "-o", "size,thin-pool.data_used_blocks,linear.device", "--noheadings").text
    assert sized.splitlines()[1].split() == ["4", "KiB"] and f" {used}" in sized
    assert KEY not in dmctl("show", "--json").text + dmctl("tree", "--json").text

    drawn = dmctl("tree").text
    assert KEY not in drawn
    lines = drawn.splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith(names["root"]))
    assert lines[at + 1].startswith(f"`-- {names['pool']}") and f"on {point}" in lines[at]
    assert len([line for line in lines if names["pool"] in line]) == 2 and any(
        line.endswith("(above)") for line in lines
    )
    graph = json.loads(dmctl("tree", "--json").out)
    edges = {(node["devno"], below) for node in graph["nodes"] for below in node["below"]}
    dot = dmctl("tree", "--dot").text
    assert {tuple(edge) for edge in re.findall(r'"(\d+:\d+)" -> "(\d+:\d+)"', dot)} == edges
    for line in listed.text.splitlines():
        name, _, major, minor, *_ = line.split("|")
        below = re.findall(r"\((\d+), (\d+)\)", dmsetup("deps", name).text)
        assert {f"{a}:{b}" for a, b in below} == {two for one, two in edges if one == f"{major}:{minor}"}


def test_explain(stack, dmctl, dmsetup):
    names = stack[0]
    for name in names.values():
        found = json.loads(dmctl("explain", "--json", name).out)["devices"]
        assert [device["name"] for device in found] == [name]
        for line, text in zip(found[0]["lines"], dmsetup("table", name).text.splitlines(), strict=False):
            target, params = text.split(" ", 3)[2:]
            assert line["errors"] == [] and [word["value"] for word in line["params"]] == params.split()
            assert parse_params(target, params)
            status = dmsetup("status", "--noflush", name).text.split()[3:]
            assert [word["value"] for word in line["status"]] == status
    told = dmctl("explain", names["secret"]).text
    assert KEY not in told and "0" * 64 in told
    assert KEY in dmctl("explain", "--showkeys", names["secret"]).text
    missing = dmctl("explain", "no-such-device")
    assert (missing.status, missing.out) == (3, b"") and missing.err == b"dmctl: There is no device 'no-such-device'.\n"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("show", "no-such-device"), 3, "There is no device 'no-such-device'."),
        (("tree", "no-such-device"), 3, "There is no device 'no-such-device'."),
        (("show", "-S", "frob=1"), 2, "There is no field 'frob'; dmctl show -o help lists them."),
        (("show", "-o", "name,linear.frob"), 2, "Target linear has no field 'frob'; dmctl show -o help lists them."),
        (("show", "-o", "crypt.key"), 2, "crypt.key is a key, which is not shown."),
        (("show", "--sort", "frob"), 2, "There is no field 'frob'; dmctl show -o help lists them."),
        (("tree", "--dot", "--json"), 2, "--dot and --json exclude each other."),
    ],
)
def test_mistakes(words, status, told, dmctl):
    result = dmctl(*words)
    assert (result.status, result.out, result.err.decode()) == (status, b"", f"dmctl: {told}\n")


def test_without_devices(dmctl, dmsetup):
    assert dmsetup("ls").out == b"No devices found\n"
    assert dmctl("show").out == dmctl("tree").out == b"No devices found\n"
    assert json.loads(dmctl("show", "--json").out)["devices"] == []
    assert json.loads(dmctl("tree", "--json").out)["nodes"] == []
