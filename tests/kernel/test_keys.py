# SPDX-License-Identifier: LGPL-2.1-or-later
"""No command and no object shows a key unasked: crypt and integrity devices with random keys, and all that is printed.

A key counts as shown where any eight characters of it that stand together are.
"""

import re
import secrets
import subprocess
from itertools import product
from pathlib import Path

import pytest

from compat.batch import Line, of_dmctl, of_dmsetup
from dmctl import inventory, table
from dmctl.cli import app, build, check, explain, holders, show, top, tree  # noqa: F401 - imported before the forks
from dmctl.device import Device
from dmctl.errors import DmctlError
from dmctl.targets import arguments_class, parse_params
from kernel.child import in_child

MIB = 1 << 20
SECTORS = 2048
MODULES = ("dm-crypt", "dm-integrity", "aes", "cbc", "ctr", "hmac", "sha256_generic")
ENV = {"DM_DISABLE_UDEV": "1"}
PART = 8
NOT_SECRET = re.compile(rb'"name": "(cipher|(meta_)?device|internal_hash|journal_(crypt|mac))",\s*"value": "[^"]*"')


class Keys:
    """Four random keys, and where they are in what was printed."""

    def __init__(self):
        self.crypt, self.hash, self.journal, self.mac = (secrets.token_hex(16) for _ in range(4))
        self.all = (self.crypt, self.hash, self.journal, self.mac)
        self._parts = {key[at : at + PART].encode() for key in self.all for at in range(len(key) - PART + 1)}

    def within(self, text):
        text = text.lower() if isinstance(text, bytes) else text.lower().encode(errors="surrogateescape")
        return any(part in text for part in self._parts)


class Secret:
    """The devices, and words for command lines: {c} and {i} are devices, {a} and {b} disks, {k} a key, {p} a prefix."""

    def __init__(self, prefix, disks, keys):
        self.keys = keys
        a, b, c = (one.path for one in disks)
        self.names = [f"{prefix}crypt", f"{prefix}tags"]
        self.lines = [
            table.Line(0, SECTORS, "crypt", f"aes-cbc-plain64 {keys.crypt} 0 {a} 0 1 allow_discards"),
            table.Line(
                *(0, SECTORS, "integrity"),
                f"{b} 0 - J 4 meta_device:{c} internal_hash:hmac(sha256):{keys.hash}"
                f" journal_crypt:ctr(aes):{keys.journal} journal_mac:hmac(sha256):{keys.mac}",
            ),
        ]
        self.words = {"c": self.names[0], "i": self.names[1], "a": a, "b": b, "k": keys.crypt, "p": prefix}

    def expand(self, line):
        return Line(tuple(word.format(**self.words) for word in (line.split("|") if "|" in line else line.split())))


@pytest.fixture
def secret(no_udev, disk, dmsetup, prefix):
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=False)
    made = Secret(prefix, [disk(MIB) for _ in range(3)], Keys())
    devices = [
        table.ConciseDevice(name, "", None, None, table.Table([line]))
        for name, line in zip(made.names, made.lines, strict=True)
    ]
    done = dmsetup("create", "--concise", table.format_concise(devices), env=ENV)
    assert done.status == 0, done
    yield made
    done = dmsetup("remove", *made.names, env=ENV)
    assert done.status == 0, done


# What both programs have. A key in the place of a target's name is not among them, for the kernel and libdevmapper say
# that name in their messages. With these the keys are shown by neither.
SHOWING = """
table
table {c}
table {i} -v
table --concise
table --target crypt
table --inactive {c}
status
status -v {i}
info
info -c -o all
info -c -o name,uuid,attr,tables_loaded --nameprefixes
ls
ls --tree -o uuid,active,device
ls --target crypt
deps
deps -o devname {c}
measure {c}
mknodes {c}
splitname {c}
-vvvv table
-vvvv status {c}
-vvvv info {i}
-vvvv deps {c}
stats list
suspend -vvvv {c}
resume -vvvv {c}
message|{c}|0|key|set|{k}
message|{c}|0|key|{k}
message|{i}|0|{k}|{k}
-vvvv|message|{c}|0|key|set|{k}
load|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} 0
load|-vvvv|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} 0
clear -vvvv {c}
load|{c}|--table|0 2048 crypt aes-cbc-plain64 {k}00 0 {a} 0
load|-vvvv|{c}|--table|0 2048 crypt {k} aes-cbc-plain64 0 {a} 0
load|-vvvv|{c}|--table|0 2048 crypt aes-cbc-plain64 0 {a} {k}
load|-vvvv|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} {k} {a} 0
load|-vvvv|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} 0 1 {k}
load|-vvvv|{c}|--table|0 crypt aes-cbc-plain64 {k} 0 {a} 0
create|-vvvv|{p}x|--table|0 2048 crypt aes-cbc-plain64 {k}00 0 {a} 0
create|-vvvv|{p}x|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {k} 0
create|-vvvv|{p}x|--table|0 2048 integrity {b} 0 - J 1 internal_hash:{k}:{k}
create|-vvvv|{p}x|--table|0 2048 integrity {b} 0 - J 1 {k}
create|{p}x|--table|0 crypt {k}
"""
# dmctl's own.
NATIVE = """
table --json
table --json {c}
table --json --inactive {c}
status --json
info --json
deps --json
ls --json
--debug table
--debug status {i}
--debug|load|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} 0
--debug|load|{c}|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} {k}
--debug|create|{p}x|--table|0 2048 crypt aes-cbc-plain64 {k} 0 {a} {k}
--debug|create|{p}x|--table|0 crypt {k}
--debug clear {c}
show
show {c} {i}
show --json
show -o {fields}
show -o crypt.key
show -o integrity.journal_mac_key
show|-S|crypt.key={k}
show|-S|crypt.cipher=~{k}
show -O crypt.key
show -o help
tree
tree --json
tree --dot
explain
explain --json
explain {i}
holders
holders {c} --json
top 0.01 1
top 0.01 1 --json
targets --available
build|crypt|aes-cbc-plain64|{k}|{a}
build|crypt|aes-cbc-plain64|{k}|{a}|--json
build|crypt|aes-cbc-plain64|{k}|{a}|--create|{c}
build|--debug|crypt|aes-cbc-plain64|{k}|0|{a}|{k}
build|--debug|crypt|aes-cbc-plain64|{k}00|0|{a}|--create|{p}x
build|integrity|{b}|0|J|--internal-hash|hmac(sha256)|--internal-hash-key|{k}|--size|8
build|integrity|{b}|0|J|--internal-hash|hmac(sha256):{k}|--size|8
"""
# The same, asked for.
ASKED = """
table --showkeys
table --showkeys --concise
table --showkeys --json
explain --showkeys
explain --showkeys --json
build|crypt|aes-cbc-plain64|{k}|{a}|--showkeys
build|crypt|aes-cbc-plain64|{k}|{a}|--showkeys|--json
"""
# A concise specification that is wrong: dmsetup prints what it has read of it, table and all.
CONCISE = """
create|--concise|{p}x,,,frob,0 8 crypt aes-cbc-plain64 {k} 0 {a} 0
create|--concise|{p}x,,,0 8 crypt aes-cbc-plain64 {k} 0 {a} 0
create|--concise|{p}x,,,,0 8 crypt aes-cbc-plain64 {k} 0 {a} 0\\
create|--concise|{p}x,,,,0 8 crypt aes-cbc-plain64 {k} 0 {a} 0,
"""


def lines_of(secret, text):
    fields = ",".join([*show.FIELDS, *(f"crypt.{name}" for name in arguments_class("crypt").specs() if name != "key")])
    fields += "," + ",".join(f"integrity.{name}" for name in arguments_class("integrity").specs() if "_key" not in name)
    secret.words["fields"] = fields
    return [secret.expand(line) for line in text.strip().split("\n")]


def shown(secret, text, programs):
    """The lines after which a key was printed, with what was printed."""
    lines = lines_of(secret, text)
    found = []
    for line, results in zip(lines, of_dmctl(lines, programs), strict=True):
        for program, result in zip(programs, results, strict=True):
            assert result.status is not None, f"{line}\n{result}"  # an exception that nobody foresaw
            if secret.keys.within(result.out + result.err):
                found.append(f"{program} {line}\n{result}")
    return found


def test_what_is_printed(secret):
    told = [*shown(secret, SHOWING, ("dmctl", "dmsetup")), *shown(secret, NATIVE, ("dmctl",))]
    assert not told, "\n".join(told)
    assert len(shown(secret, ASKED, ("dmctl",))) == ASKED.count("\n") - 1


def test_wrong_concise_specification(secret):
    lines = lines_of(secret, CONCISE)
    for line, (compatible,) in zip(lines, of_dmctl(lines, ("dmsetup",)), strict=True):
        expected = of_dmsetup(line)
        assert (compatible.status, compatible.err) == (expected.status, expected.err) and expected.status == 1, line
        assert secret.keys.within(expected.err) == (line.words != lines[0].words)
    told = shown(secret, CONCISE, ("dmctl",))
    assert not told, "\n".join(told)


def test_check(secret, tmp_path):
    """A table file with the key in the place of each word, or before it."""
    lines, read = [], []
    for number, line in enumerate(secret.lines):
        words = line.format().split(" ")
        for place in range(len(words) + 1):
            for rest in (words[place:], words[place + 1 :]):
                file = tmp_path / f"{number}-{place}-{len(rest)}"
                file.write_text(" ".join([*words[:place], secret.keys.crypt, *rest]) + "\n")
                lines += [Line(("check", str(file)))]
                # Before this place it is the name of a target, or no table.
                read += [Line(("explain", "--table", str(file), "--json"))] * (place > 3)
    told, refused = [], 0
    for line, (result,) in zip([*lines, *read], of_dmctl([*lines, *read], ("dmctl",)), strict=True):
        refused += line.words[0] == "check" and result.status != 0
        # A word in the place of a cipher, an algorithm or a device is taken for that.
        text = NOT_SECRET.sub(b"", result.out) + result.err
        if secret.keys.within(text):
            told.append(f"{line.words} {Path(line.words[-1 - ('--json' in line.words)]).read_text()}{result}")
    assert not told, "\n".join(told)
    assert refused > 30


def test_objects(secret):
    # libdevmapper remembers for the life of a process that there was no udevd.
    ended = in_child(lambda: check_objects(secret))
    assert not ended.error, ended


def check_objects(secret):
    keys = secret.keys
    told = []
    for name in secret.names:
        lines = Device(name).table()[0]
        assert any(key in line.params for line in lines for key in keys.all)
        whole = table.Table(lines)
        concise = table.ConciseDevice(name, table=whole)
        told += [lines, whole, whole.hide_keys().format(), concise, list(map(str, lines)), whole.hide_keys()]
        for line in lines:
            arguments = parse_params(line.target, line.params)
            told += [arguments, str(arguments), arguments.to_dict(), arguments.specs(), arguments.findings(SECTORS)]
            told += [type(arguments).explain_params(line.params), inventory.Segment.decode(line, None)]
            told += [inventory.Segment.decode(line, None).to_dict(), explain._explain(line, None, False)]
            told += [whole.check()]
    entries = inventory.inventory(secret.names)
    told += [entries, [show.entry_object(entry) for entry in entries], [entry.warnings for entry in entries]]
    for error in errors(secret):
        told += [str(error), repr(error), error.args, getattr(error, "reason", ())]
    for one in told:
        assert not keys.within(str(one)) and not keys.within(repr(one)), type(one)


def errors(secret):
    """Exceptions about tables with the key in wrong places."""
    key = secret.keys.crypt
    texts = [
        f"0 2048 crypt aes-cbc-plain64 {key}00 0 {secret.words['a']} 0",
        f"0 2048 crypt aes-cbc-plain64 {key} {key} {secret.words['a']} 0",
        f"0 2048 integrity {secret.words['b']} 0 - J 1 {key}",
        f"0 crypt {key}",
    ]
    acts = [
        lambda text: Device(secret.names[0]).load(table.Table.parse(text)),
        lambda text: Device(f"{secret.words['p']}x").create(table.Table.parse(text)),
        lambda text: Device(secret.names[0]).message(0, f"key {text}"),
    ]
    found = []
    for act, text in product(acts, texts):
        with pytest.raises(DmctlError) as caught:
            act(text)
        found.append(caught.value)
    for text in texts[1:3]:
        with pytest.raises(DmctlError) as caught:
            parse_params(*text.split(" ", 3)[2:])
        found.append(caught.value)
    with pytest.raises(DmctlError) as caught:
        list(table.parse_concise(f"x,,,frob,{texts[0]}"))
    return [*found, caught.value]
