# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl events: lines and objects, how it ends, conditions, and commands at events."""

import json
import os
import select
import signal
import subprocess

import pytest

from kernel.thin_pools import MIB, dmsetup

ZERO = "0 8 zero"


@pytest.fixture
def device(prefix):
    """A device, removed at the end."""
    name = prefix + "a b"
    dmsetup("create", name, "--table", ZERO)
    yield name
    dmsetup("remove", name)


@pytest.fixture
def watching(start, prefix):
    """Starts `dmctl events` with more words, and waits until it watches: until it has told of a device `probe`."""

    def run(*words):
        process = start("events", "--name", f"{prefix}*", *words)
        while not select.select([process.stdout], [], [], 0.2)[0]:
            assert process.poll() is None, process.stderr.read()
            dmsetup("create", prefix + "probe", "--table", ZERO)
            dmsetup("remove", "--retry", prefix + "probe")
        return process

    return run


def until(process, text):
    """Read on to a line with this in it."""
    while text not in (line := process.stdout.readline().decode()):
        assert line, f"it has ended, and never told {text!r}"
    return line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_lines_come_at_once_and_a_signal_ends_it(watching, prefix, number):
    process = watching()
    dmsetup("create", prefix + "a", "--table", ZERO)
    until(process, f" {prefix}a: added\n")
    until(process, f" {prefix}a: new table: zero\n")
    dmsetup("remove", prefix + "a")
    until(process, f" {prefix}a: removed\n")
    process.send_signal(number)
    assert process.wait(10) == -number
    assert process.communicate() == (b"", b"")


def test_json_lines_and_types(watching, prefix):
    process = watching("--json", "--type", "removed")
    dmsetup("create", prefix + "a", "--table", ZERO)
    dmsetup("remove", prefix + "a")
    found = json.loads(until(process, f'"{prefix}a"'))
    assert (found["type"], found["targets"]) == ("removed", ["zero"])


def test_nobody_reads_any_more(watching, prefix):
    process = watching("--type", "removed")
    process.stdout.close()
    for _ in range(2):
        dmsetup("create", prefix + "a", "--table", ZERO)
        dmsetup("remove", prefix + "a")
    assert process.wait(20) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stdout = None


def test_the_node_of_a_device_and_its_counter(device, dmctl):
    dmsetup("rename", device, device + "b")
    dmsetup("rename", device + "b", device)
    assert dmsetup("info", "-c", "--noheadings", "-o", "events", device).strip() == "2"
    for name in (device, f"/dev/mapper/{device.replace(' ', chr(92) + 'x20')}"):
        done = dmctl("events", name, "--since-counter", "1", "--once", "--json")
        assert done.status == 0
        event = json.loads(done.out)
        assert (event["type"], event["name"], event["old_event_nr"], event["event_nr"]) == ("event", device, 1, 2)
    assert dmctl("events", device, "--since-counter", "2", "--once", "--timeout", "0.3").status == 124


def test_commands_at_events(watching, prefix, tmp_path):
    out = tmp_path / "told"
    command = f'echo "$DMCTL_EVENT $DMCTL_NAME $DMCTL_OLD_NAME $DMCTL_TARGETS" >> {out}; test $DMCTL_EVENT != renamed'
    process = watching("--type", "renamed", "--type", "removed", "--exec", command, "--shell", "--jobs", "1",
                       "--count", "5")  # fmt: skip
    dmsetup("create", prefix + "a", "--table", ZERO)
    for one, other in (("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")):
        dmsetup("rename", prefix + one, prefix + other)
    dmsetup("remove", prefix + "a")
    _, errors = process.communicate(timeout=30)
    ours = [line for line in out.read_text().splitlines() if "probe" not in line]
    assert ours[:2] == [f"renamed {prefix}b {prefix}a zero", f"renamed {prefix}a {prefix}b zero"]
    assert process.returncode == 1
    assert f"for renamed of '{prefix}b', ended with 1.".encode() in errors


def test_the_command_gets_the_object(device, dmctl):
    done = dmctl("events", device, "--since-counter", "9", "--once", "--json", "--exec", "printenv DMCTL_JSON")
    line, command = done.text.splitlines()
    assert json.loads(line) == json.loads(command)


def test_jobs_are_run_at_once(device, dmctl, prefix):
    """Two wait for each other."""
    others = [prefix + "one", prefix + "two"]
    for name in others:
        dmsetup("create", name, "--table", ZERO)
    command = (
        'mkdir "/tmp/$DMCTL_NAME"; for try in $(seq 100); do '
        f"test -d /tmp/{others[0]} -a -d /tmp/{others[1]} && exit 0; sleep 0.1; done; exit 1"
    )
    try:
        words = ("--since-counter", "9", "--count", "2", "--exec", command, "--shell")
        assert dmctl("events", *others, *words, "--jobs", "2").status == 0
    finally:
        for name in others:
            os.rmdir(f"/tmp/{name}")
            dmsetup("remove", name)


def test_a_command_that_is_not_there(device, dmctl):
    done = dmctl("events", device, "--since-counter", "9", "--once", "--exec", "/no/such/thing 'a b'")
    assert done.status == 1
    assert b"cannot be run: No such file or directory" in done.err


def test_until(device, start, dmctl):
    assert dmctl("events", device, "--until", "suspended=no").status == 0
    assert dmctl("events", device, "--until", "suspended=yes", "--timeout", "0.3").status == 124
    waiting = start("events", device, "--until", f"suspended=yes && name='{device}'")
    dmsetup("suspend", device)
    try:
        assert waiting.wait(20) == 0
    finally:
        dmsetup("resume", device)


def test_until_a_device_that_goes(start, prefix):
    name = prefix + "a"
    dmsetup("create", name, "--table", ZERO)
    gone = start("events", name, "--until", "name=other")
    while not select.select([gone.stdout], [], [], 0.3)[0]:  # until it watches
        dmsetup("suspend", name)
        dmsetup("resume", name)
    dmsetup("remove", name)
    assert gone.wait(20) == 3
    assert b"removed before" in gone.stderr.read()


def test_until_a_merge_is_done(prefix, disk, dmctl):
    subprocess.run(["modprobe", "-q", "dm-snapshot"], check=False)
    origin, cow = disk(4 * MIB), disk(4 * MIB)
    name = prefix + "merge"
    dmsetup("create", name, "--table", f"0 {origin.sectors} snapshot {origin.path} {cow.path} P 8")
    with open(f"/dev/mapper/{name}", "r+b", buffering=0) as device:
        os.pwrite(device.fileno(), os.urandom(MIB), MIB)
        os.fsync(device.fileno())
    used, metadata = dmsetup("status", name).split()[3:5]
    assert used.split("/")[0] != metadata
    dmsetup("reload", name, "--table", f"0 {origin.sectors} snapshot-merge {origin.path} {cow.path} P 8")
    dmsetup("resume", name)
    assert dmctl("events", name, "--until", "used==metadata", "--timeout", "30").status == 0
    used, metadata = dmsetup("status", name).split()[3:5]
    assert used.split("/")[0] == metadata
    dmsetup("remove", name)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("nosuch",), 3, "There is no device 'nosuch'"),
        (("--until", "a=b"), 2, "--until needs one DEVICE"),
        (("--type", "gone"), 2, "no type of event 'gone'"),
        (("--count", "0"), 2, "--count"),
        (("--timeout", "-1"), 2, "--timeout"),
        (("--shell",), 2, "--shell needs a command of --exec"),
        (("--exec", "'"), 2, "--exec: No closing quotation"),
        (("--exec", ""), 2, "--exec: there is no command"),
    ],
)
def test_wrong_words(dmctl, words, status, says):
    done = dmctl("events", *words)
    assert done.status == status and says in done.err.decode(), done


def test_an_unknown_field_in_a_condition(device, dmctl):
    done = dmctl("events", device, "--until", "hydrated==total")
    assert done.status == 2 and b"There is no field 'hydrated'" in done.err
