# SPDX-License-Identifier: LGPL-2.1-or-later
"""--json: the same answers as dmsetup's text and sysfs give, as one document of numbers and names."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dmctl.targets import parse_params, parse_status
from guests.fixtures import Command, Result
from guests.loop import Disk

DISK_BYTES = 8 << 20
KEY = "0123456789abcdef" * 2
STATUS_USAGE = 2

# Members by kind. What is in none of these sets is a name or a text.
INTEGERS = {
    *("vers_major", "vers_minor", "major", "minor", "event_nr", "open_count", "target_count", "read_ahead_sectors"),
    *("start_sectors", "length_sectors"),
}
BOOLEANS = {"suspended", "read_only", "deferred_remove", "internal_suspend", "live_table", "inactive_table"}
# Fields of a target, which have tests of their own.
DECODED = {"arguments", "state"}
LISTS = {"devices", "dependencies", "lines", "targets", "version"}


def check_types(value: Any, name: str = "") -> None:
    """Every member has the type that its name stands for; a boolean is no integer."""
    if isinstance(value, dict):
        for member, inner in value.items():
            if member not in DECODED:
                check_types(inner, member)
    elif name in LISTS and isinstance(value, list):
        for inner in value:
            check_types(inner, "major" if name == "version" else "")
    else:
        wanted = int if name in INTEGERS else bool if name in BOOLEANS else str
        assert type(value) is wanted, (name, value)


def document(result: Result, command: str, status: int = 0) -> Any:
    """The document that a command has printed, its header and types checked."""
    assert result.status == status, result
    found = json.loads(result.out.decode("ascii"))
    assert found.pop("output_version") == {"command": command, "vers_major": 1, "vers_minor": 0}
    check_types(found)
    return found


def devices(result: Result, command: str, status: int = 0) -> list[dict[str, Any]]:
    found = document(result, command, status)
    assert list(found) == ["devices"]
    listed: list[dict[str, Any]] = found["devices"]
    return listed


def columns(dmsetup: Command, fields: str, *names: str) -> list[list[str]]:
    """dmsetup's report, in the kernel's order of devices."""
    words = ("info", "-c", "--noheadings", "--separator", "|", "-o", fields)
    told = [dmsetup(*words, name) for name in names] if names else [dmsetup(*words)]
    assert not any(result.status for result in told), told
    return [line.split("|") for result in told for line in result.text.splitlines()]


def sysfs(device: dict[str, Any]) -> Path:
    return Path(f"/sys/dev/block/{device['major']}:{device['minor']}")


def read(path: Path) -> str:
    return path.read_text().removesuffix("\n")


@pytest.fixture
def make(dmsetup: Command, prefix: str) -> Callable[..., str]:
    """make(name, table, …): a device of this test by dmsetup; taken down with all others at the end."""

    def create(name: str, table: str, *more: str) -> str:
        created = dmsetup("create", prefix + name, "--table", table, *more)
        assert created.status == 0, created
        names.append(prefix + name)
        return prefix + name

    names: list[str] = []
    yield create
    for name in reversed(names):
        removed = dmsetup("remove", name)
        assert removed.status == 0, removed


@pytest.fixture
def stack(make: Callable[..., str], disk: Callable[..., Disk], dmsetup: Command) -> list[str]:
    """Three devices, one on the others: with a uuid, read-only, suspended, with an inactive table."""
    under = disk(DISK_BYTES)
    low = make("low", f"0 2048 linear {under.path} 0")
    odd = make("odd", f"0 1024 linear {under.path} 4096\n1024 8 zero\n1032 8 error", "-r", "-u", "UUID-odd")
    top = make("top", f"0 1024 striped 2 8 /dev/mapper/{low} 0 {under.path} 8192", "--readahead", "512")
    for words in (("load", top, "--table", "0 8 zero"), ("suspend", odd), ("rename", low, low + "er")):
        assert dmsetup(*words).status == 0
    assert dmsetup("rename", low + "er", low).status == 0  # two events for its counter
    return [low, odd, top]


def test_ls(stack: list[str], dmctl: Command, dmsetup: Command) -> None:
    listed = devices(dmctl("ls", "--json"), "ls")
    told = [[str(device[key]) for key in ("name", "major", "minor", "events", "uuid")]
            for device in (d | {"events": d["event_nr"]} for d in listed)]  # fmt: skip
    assert told == columns(dmsetup, "name,major,minor,events,uuid")
    assert {device["name"]: device["event_nr"] for device in listed} == dict(zip(stack, (2, 0, 0), strict=True))
    for device in listed:
        assert device["name"] == read(sysfs(device) / "dm/name")
        assert device["uuid"] == read(sysfs(device) / "dm/uuid")
    only = devices(dmctl("--json", "ls", "--target", "striped"), "ls")
    assert [device["name"] for device in only] == [stack[2]]


def test_info(stack: list[str], dmctl: Command, dmsetup: Command) -> None:
    with open(f"/dev/mapper/{stack[2]}", "rb"):
        told = devices(dmctl("info", "--json"), "info")
        fields = "name,uuid,major,minor,open,events,segments,read_ahead"
        members = ["name", "uuid", "major", "minor", "open_count", "event_nr", "target_count", "read_ahead_sectors"]
        assert [[str(device[member]) for member in members] for device in told] == columns(dmsetup, fields)
    by_name = {device["name"]: device for device in told}
    for device in told:
        assert device["uuid"] == read(sysfs(device) / "dm/uuid")
        assert device["suspended"] == bool(int(read(sysfs(device) / "dm/suspended")))
        assert device["read_only"] == bool(int(read(sysfs(device) / "ro")))
        assert device["read_ahead_sectors"] == 2 * int(read(sysfs(device) / "queue/read_ahead_kb"))
        assert (device["live_table"], device["inactive_table"]) == (True, device["name"] == stack[2])
        assert not device["deferred_remove"] and not device["internal_suspend"]
    assert by_name[stack[1]]["suspended"] and by_name[stack[1]]["read_only"]
    assert by_name[stack[0]]["open_count"] == by_name[stack[2]]["open_count"] == 1
    wanted = [stack[2], stack[0]]
    assert [device["name"] for device in devices(dmctl("info", *wanted, "--json"), "info")] == wanted
    assert devices(dmctl("info", "--json", "-u", "UUID-odd"), "info") == [by_name[stack[1]]]
    # -v is text's own.
    assert devices(dmctl("-v", "info", "--json", stack[1]), "info") == [by_name[stack[1]]]


def test_info_of_a_deferred_removal(make: Callable[..., str], dmctl: Command, dmsetup: Command) -> None:
    name = make("gone", "0 8 zero")
    with open(f"/dev/mapper/{name}", "rb"):
        assert dmsetup("remove", "--deferred", name).status == 0
        (device,) = devices(dmctl("info", "--json", name), "info")
        assert device["deferred_remove"] is True
        assert b"DEFERRED REMOVE" in dmsetup("info", name).out
        assert dmsetup("message", name, "0", "@cancel_deferred_remove").status == 0


def test_deps(stack: list[str], dmctl: Command, dmsetup: Command) -> None:
    for device in devices(dmctl("deps", "--json"), "deps"):
        pairs = [(inner["major"], inner["minor"]) for inner in device["dependencies"]]
        text = dmsetup("deps", device["name"]).text
        words = "".join(f" ({major}, {minor})" for major, minor in pairs)
        assert text == f"{len(pairs)} dependencies\t:{words}\n"
        slaves = {read(slave / "dev") for slave in (sysfs(device) / "slaves").iterdir()}
        assert {f"{major}:{minor}" for major, minor in pairs} == slaves
    names = {device["name"] for device in devices(dmctl("deps", "--json", stack[0], stack[2]), "deps")}
    assert names == {stack[0], stack[2]}


@pytest.mark.parametrize(("command", "text"), [("table", "params"), ("status", "status")])
def test_lines(command: str, text: str, stack: list[str], dmctl: Command, dmsetup: Command) -> None:
    told = devices(dmctl(command, "--json"), command)
    assert [[device["name"], device["uuid"]] for device in told] == columns(dmsetup, "name,uuid")
    for device in told:
        formatted = "".join(
            f"{line['start_sectors']} {line['length_sectors']} {line['target']} {line[text]}\n"
            for line in device["lines"]
        )
        assert formatted == dmsetup(command, device["name"]).text
        for line in device["lines"]:
            decoded = line["arguments" if command == "table" else "state"]
            parsed = (parse_params if command == "table" else parse_status)(line["target"], line[text])
            assert decoded == json.loads(json.dumps(parsed.to_dict()))
        assert sum(line["length_sectors"] for line in device["lines"]) == int(read(sysfs(device) / "size"))
    (only,) = devices(dmctl(command, "--target", "error", "--json"), command)
    assert (only["name"], [line["start_sectors"] for line in only["lines"]]) == (stack[1], [1032])
    assert devices(dmctl(command, "--target", "frob", "--json"), command) == []
    inactive = devices(dmctl("table", "--inactive", "--json", stack[2], stack[0]), "table")
    assert [[line["target"] for line in device["lines"]] for device in inactive] == [["zero"], []]


def test_targets_and_versions(dmctl: Command, dmsetup: Command) -> None:
    def as_text(targets: list[dict[str, Any]]) -> str:
        return "".join(
            f"{target['target']:<16} v{'.'.join(str(number) for number in target['version'])}\n" for target in targets
        )

    told = document(dmctl("targets", "--json"), "targets")
    assert list(told) == ["targets"] and as_text(told["targets"]) == dmsetup("targets").text
    told = document(dmctl("target-version", "linear", "striped", "--json"), "target-version")
    assert as_text(told["targets"]) == dmsetup("target-version", "linear", "striped").text
    told = document(dmctl("target-version", "linear", "frob", "error", "--json"), "target-version", status=1)
    assert [target["target"] for target in told["targets"]] == ["linear"]
    told = document(dmctl("version", "--json"), "version")
    lines = f"Library version:   {told['library_version']}\nDriver version:    {told['driver_version']}\n"
    assert lines == dmsetup("version").text and len(told) == 2


def test_no_devices(dmctl: Command, dmsetup: Command) -> None:
    assert dmsetup("ls").out == b"No devices found\n"
    for command in ("ls", "info", "deps", "status", "table"):
        told = dmctl(command, "--json")
        assert devices(told, command) == []
        assert told.err == b""


@pytest.mark.parametrize(
    "table",
    [
        "0 64 crypt aes-cbc-essiv:sha256 " + KEY + " 0 {disk} 0",
        "0 64 integrity {disk} 0 32 D 1 internal_hash:hmac(sha256):" + KEY,
    ],
    ids=["crypt", "integrity"],
)
def test_keys(
    table: str, make: Callable[..., str], disk: Callable[..., Disk], dmctl: Command, dmsetup: Command
) -> None:
    name = make("key", table.format(disk=disk(DISK_BYTES).path))
    for words in (("table",), ("table", "--showkeys")):
        told = dmctl(*words, "--json", name)
        ((line,),) = (device["lines"] for device in devices(told, "table"))
        text = dmsetup(*words, name).text
        assert f"{line['start_sectors']} {line['length_sectors']} {line['target']} {line['params']}\n" == text
        shown = len(words) == 2
        assert (KEY in text) == (KEY.encode() in told.out) == shown


@pytest.mark.parametrize("odd", ["blank and (more)", "quote\"'", "ü", "\udcff\udcfe", "back\\x5cslash"])
def test_odd_names(odd: str, make: Callable[..., str], dmctl: Command, dmsetup: Command) -> None:
    name = make(odd, "0 8 zero", "-u", "UUID-" + odd)
    in_kernel = [path.parent for path in Path("/sys/block").glob("dm-*/dm/name")]
    assert len(in_kernel) == 1
    ((expected_name, expected_uuid),) = columns(dmsetup, "name,uuid", name)
    for command in ("ls", "info", "table", "status", "deps"):
        (device,) = devices(dmctl(command, "--json"), command)
        # Out and in again, byte for byte.
        assert os.fsencode(device["name"]) == os.fsencode(expected_name)
        assert (command, os.fsencode(device["uuid"])) == (command, os.fsencode(expected_uuid))
    (device,) = devices(dmctl("info", "--json", device["name"]), "info")
    (by_uuid,) = devices(dmctl("info", "--json", "-u", device["uuid"]), "info")
    assert by_uuid == device
    # Unmangled: as the kernel has it.
    (raw,) = devices(dmctl("info", "--json", "--manglename", "none"), "info")
    assert os.fsencode(raw["name"]) == (in_kernel[0] / "name").read_bytes().removesuffix(b"\n")
    assert os.fsencode(raw["uuid"]) == (in_kernel[0] / "uuid").read_bytes().removesuffix(b"\n")


def test_failing_operand(stack: list[str], dmctl: Command, dmsetup: Command) -> None:
    """What came before it is told, as in the text; what comes after is not."""
    low, odd, _ = stack
    for command in ("info", "deps", "status", "table"):
        told = dmctl(command, "--json", low, "nope", odd)
        assert [device["name"] for device in devices(told, command, status=1)] == [low]
        expected = dmsetup(command, low, "nope", odd)
        assert (expected.status, expected.err.splitlines()[0]) == (1, told.err.splitlines()[0])
        assert devices(dmctl(command, "--json", "nope"), command, status=1) == []


def test_no_json(make: Callable[..., str], dmctl: Command, dmctl_as: Command, dmsetup: Command) -> None:
    name = make("there", "0 8 zero")
    lines = ("create new --table", "remove", "suspend", "message", "wait", "mknodes", "rename", "help", "remove_all")
    for line in lines:
        command, *operands = line.split()
        more = {"message": [name, "0", "x"], "rename": [name, "new"], "help": [], "remove_all": []}
        operands += ["0 8 zero"] if operands else more.get(command, [name])
        told = dmctl(command, *operands, "--json")
        assert (told.status, told.out) == (STATUS_USAGE, b""), told
        assert told.err.count(b"\n") == 1 and command.encode() in told.err and b"JSON" in told.err, told
    assert dmsetup("ls").text.split("\t")[0] == name
    assert not int(read(next(Path("/sys/block").glob("dm-*/dm/suspended"))))
    # dmsetup has no such option, and so neither has dmctl under its name.
    expected, told = dmsetup("ls", "--json"), dmctl_as("dmsetup", "ls", "--json")
    assert (told.status, told.out) == (expected.status, expected.out) == (1, b"")
    assert told.err.partition(b": ")[2] == expected.err.partition(b": ")[2]


def test_device_names(stack: list[str], dmctl: Command) -> None:
    """-o is for the text: the document has the numbers in any case."""
    for command, names in (("ls", "blkdevname"), ("ls", "devname"), ("deps", "devname"), ("deps", "blkdevname")):
        named, plain = (devices(dmctl(command, "--json", *more), command) for more in (("-o", names), ()))
        assert [{key: device[key] for key in plain[0]} for device in named] == plain


def test_bad_device_names(dmctl: Command, dmsetup: Command) -> None:
    told, expected = dmctl("ls", "--json", "-o", "frob"), dmsetup("ls", "-o", "frob")
    assert (told.status, told.out, told.err) == (expected.status, b"", expected.err)
    assert expected.status == 1


def test_debug_lines_are_no_part_of_it(make: Callable[..., str], dmctl: Command) -> None:
    name = make("there", "0 8 zero")
    for words in (("-vv",), ("-vvv",), ("--debug",)):
        told = dmctl(*words, "info", "--json", name)
        assert [device["name"] for device in devices(told, "info")] == [name]
        assert b"dm info" in told.err
