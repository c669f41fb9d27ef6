# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same command lines to dmsetup and to dmctl on the same state: output, exit status and what is left behind.

Each scenario is set up by dmsetup, carried out by one of the two, described by dmsetup, and taken down; then all again
with the other. Under dmsetup's name dmctl must give the same standard error too; under its own the same first line.
"""

import os
import re

import pytest

pytestmark = pytest.mark.kernel

LOOP_SECTORS = 16384

# Where a scenario's words may hold these, they stand for: the test's name prefix, its loop devices, a table file.
# {p} {l} {l2} {file} {badfile}

ONE = [("create", "{p}a", "--table", "0 2048 linear {l} 0")]
TWO = [*ONE, ("create", "{p}b", "-u", "UUID-{p}b", "--table", "0 1024 linear {l} 4096\n1024 8 zero\n1032 8 error")]
STACK = [*TWO, ("create", "{p}c", "--table", "0 1024 striped 2 8 /dev/mapper/{p}a 0 /dev/mapper/{p}b 0")]
BARE = [("create", "{p}n", "--notable")]
LOADED = [*ONE, ("load", "{p}a", "--table", "0 4096 linear {l} 0")]
SUSPENDED = [*ONE, ("suspend", "{p}a")]
READ_ONLY = [("create", "{p}r", "-r", "--table", "0 8 linear {l} 0")]
BLANK = [("create", "{p} b", "--table", "0 8 error")]
CRYPT = [
    (
        "create",
        "{p}k",
        "--table",
        "0 64 crypt aes-xts-plain64 " + "0123456789abcdef" * 4 + " 0 {l} 0",
    )
]

Scenario = tuple[str, list[tuple[str, ...]], tuple[str, ...], bytes]


def scenario(name, setup, words, stdin=b""):
    return pytest.param(setup, words.split("|") if "|" in words else words.split(), stdin, id=name)


SHOW = [
    scenario("ls-none", [], "ls"),
    scenario("ls", STACK, "ls"),
    scenario("ls-devno", STACK, "ls -o devno"),
    scenario("ls-blkdevname", STACK, "ls -o blkdevname"),
    scenario("ls-devname", STACK, "ls -o devname"),
    scenario("ls-o-prefix", STACK, "ls -o b"),
    scenario("ls-o-empty", STACK, "ls|-o|"),
    scenario("ls-o-list", STACK, "ls -o devname,blk"),
    scenario("ls-o-bad", STACK, "ls -o devno,frob,x"),
    scenario("ls-target", STACK, "ls --target zero"),
    scenario("ls-target-none", STACK, "ls --target frob"),
    scenario("ls-no-devices-target", [], "ls --target zero"),
    scenario("ls-operand", ONE, "ls {p}a"),
    scenario("info-none", [], "info"),
    scenario("info", STACK, "info"),
    scenario("info-one", STACK, "info {p}b"),
    scenario("info-two", STACK, "info {p}b {p}a"),
    scenario("info-missing", STACK, "info {p}zz"),
    scenario("info-first-missing", STACK, "info {p}zz {p}a"),
    scenario("info-second-missing", STACK, "info {p}a {p}zz {p}b"),
    scenario("info-uuid", STACK, "info -u UUID-{p}b"),
    scenario("info-uuid-missing", STACK, "info -u nope"),
    scenario("info-devno", ONE, "info -j 254 -m 0"),
    scenario("info-devno-missing", ONE, "info -j 254 -m 99"),
    scenario("info-major-alone", ONE, "info -j 254"),
    scenario("info-atoi", ONE, "info -j 254x -m zero"),
    scenario("info-path", ONE, "info /dev/mapper/{p}a"),
    scenario("info-dm-path", ONE, "info /dev/dm-0"),
    scenario("info-path-missing", ONE, "info /dev/mapper/{p}zz"),
    scenario("info-path-not-dm", ONE, "info {l}"),
    scenario("info-relative-path", ONE, "info mapper/{p}a"),
    scenario("info-bare", BARE, "info"),
    scenario("info-loaded", LOADED, "info {p}a"),
    scenario("info-loaded-inactive", LOADED, "info --inactive {p}a"),
    scenario("info-suspended", SUSPENDED, "info {p}a"),
    scenario("info-read-only", READ_ONLY, "info {p}r"),
    scenario("info-noopencount", STACK, "info --noopencount {p}a"),
    scenario("info-blank", BLANK, "info|{p} b"),
    scenario("info-blanks", BLANK, "info"),
    scenario("info-mangle-none", BLANK, "info --manglename none"),
    scenario("info-mangle-hex", BLANK, "info --manglename HEX"),
    scenario("info-mangle-bad", BLANK, "info --manglename frob"),
    scenario("info-long-name", [], "info " + "n" * 128),
    scenario("info-127", [], "info " + "n" * 127),
    scenario("info-empty-name", ONE, "info|"),
    scenario("deps-none", [], "deps"),
    scenario("deps", STACK, "deps"),
    scenario("deps-one", STACK, "deps {p}c"),
    scenario("deps-two", STACK, "deps {p}c {p}a"),
    scenario("deps-blkdevname", STACK, "deps -o blkdevname"),
    scenario("deps-devname", STACK, "deps -o devname {p}c {p}b"),
    scenario("deps-missing", STACK, "deps {p}zz"),
    scenario("deps-verbose", STACK, "deps -v"),
    scenario("deps-verbose-one", STACK, "-v deps {p}c"),
    scenario("deps-uuid", STACK, "deps -u UUID-{p}b"),
    scenario("deps-bare", BARE, "deps"),
    scenario("deps-inactive", LOADED, "deps --inactive {p}a"),
    scenario("status-none", [], "status"),
    scenario("status", STACK, "status"),
    scenario("status-one", STACK, "status {p}b"),
    scenario("status-two", STACK, "status {p}b {p}c"),
    scenario("status-target", STACK, "status --target error"),
    scenario("status-target-missing", STACK, "status --target frob"),
    scenario("status-missing", STACK, "status {p}zz"),
    scenario("status-noflush", STACK, "status --noflush {p}b"),
    scenario("status-verbose", STACK, "status -v"),
    scenario("status-bare", BARE, "status"),
    scenario("status-bare-one", BARE, "status {p}n"),
    scenario("status-bare-target", BARE, "status --target zero"),
    scenario("status-abbreviated", STACK, "status --targ error --nofl"),
    scenario("table-none", [], "table"),
    scenario("table", STACK, "table"),
    scenario("table-one", STACK, "table {p}b"),
    scenario("table-missing", STACK, "table {p}zz"),
    scenario("table-two-one-missing", STACK, "table {p}a {p}zz {p}b"),
    scenario("table-verbose", STACK, "table -v {p}b"),
    scenario("table-verbose-two", STACK, "table -v {p}b {p}a"),
    scenario("table-inactive", LOADED, "table --inactive {p}a"),
    scenario("table-inactive-none", ONE, "table --inactive {p}a"),
    scenario("table-target", STACK, "table --target linear"),
    scenario("table-bare", BARE, "table {p}n"),
    scenario("table-blank", BLANK, "table"),
    scenario("table-columns", STACK, "table -v -v --targ zero --frob"),
    scenario("table-crypt", CRYPT, "table"),
    scenario("table-crypt-keys", CRYPT, "table --showkeys"),
    scenario("table-crypt-inactive", [*CRYPT, ("load", "{p}k", "--table", "0 8 error")], "table --inactive"),
    scenario("count", STACK, "--count 2 ls"),
    scenario("targets", STACK, "targets"),
    scenario("targets-checks", STACK, "targets --checks"),
    scenario("target-version", STACK, "target-version linear striped"),
    scenario("target-version-module", [], "target-version delay"),
    scenario("target-version-missing", [], "target-version linear frob error"),
    scenario("target-version-none", [], "target-version"),
    scenario("version", [], "version"),
    scenario("version-option", [], "--version"),
    scenario("version-option-and-command", ONE, "--version frob a b c"),
    scenario("version-operand", [], "version x"),
]

ERRORS = [
    scenario("no-command", [], "-v"),
    scenario("unknown-command", [], "frob"),
    scenario("unknown-option", [], "ls --frob"),
    scenario("unknown-short", [], "ls -Z"),
    scenario("ambiguous", [], "ls --no"),
    scenario("argument-missing", [], "ls --major"),
    scenario("argument-missing-short", [], "ls -j"),
    scenario("argument-not-allowed", [], "ls --readonly=1"),
    scenario("verbose-long", ONE, "--verbose info {p}a"),
    scenario("table-and-notable", [], "create {p}x -n --table a"),
    scenario("add-nodes", [], "create {p}x --addnodeonresume --addnodeoncreate"),
    scenario("count-negative", [], "ls --count -1"),
    scenario("interval-zero", [], "ls --interval 0"),
    scenario("mode-bad", [], "create {p}x --mode 9"),
    scenario("mode-zero", [], "create {p}x --mode 0"),
    scenario("mode-large", [], "create {p}x --mode 7777777777777777777777777"),
    scenario("readahead-negative", [], "create {p}x --readahead -2"),
    scenario("cookie-bad", [], "ls --udevcookie frob"),
    scenario("first-error-wins", [], "ls --count -1 --frob"),
    scenario("getopt-error-first", [], "ls --frob --count -1"),
    scenario("too-many-operands", ONE, "rename a b c"),
    scenario("too-few-operands", ONE, "rename"),
]

CREATE = [
    scenario("create", [], "create|{p}a|--table|0 2048 linear {l} 0"),
    scenario("create-two-lines", [], "create|{p}a|--table|0 8 linear {l} 0\n8 8 error"),
    scenario("create-comment", [], "create|{p}a|--table|# x\n\n  0 8 linear {l} 0 # y"),
    scenario("create-stdin", [], "create {p}a", b"0 8 linear {l} 0\n8 8 zero\n"),
    scenario("create-stdin-no-newline", [], "create {p}a", b"0 8 zero"),
    scenario("create-file", [], "create {p}a {file}"),
    scenario("create-file-missing", [], "create {p}a /nonexistent"),
    scenario("create-file-bad", [], "create {p}a {badfile}"),
    scenario("create-notable", [], "create {p}a -n"),
    scenario("create-notable-uuid", [], "create {p}a -n -u some-uuid"),
    scenario("create-uuid", [], "create|{p}a|-u|some uuid|--table|0 8 zero"),
    scenario("create-read-only", [], "create|-r|{p}a|--table|0 8 zero"),
    scenario("create-minor", [], "create|{p}a|-j|254|-m|77|--table|0 8 zero"),
    scenario("create-minor-taken", [*ONE], "create|{p}x|-j|254|-m|0|--table|0 8 zero"),
    scenario("create-mode", [], "create|{p}a|-M|0640|-U|1|-G|2|--table|0 8 zero"),
    scenario("create-mode-noudevrules", [], "create|{p}a|--noudevrules|-M|0640|-U|1|-G|2|--table|0 8 zero"),
    scenario("create-readahead", [], "create|{p}a|--readahead|1024|--table|0 8 zero"),
    scenario("create-readahead-minimum", [], "create|{p}a|--readahead|+16|--table|0 8 zero"),
    scenario("create-readahead-none", [], "create|{p}a|--readahead|None|--table|0 8 zero"),
    scenario("create-addnodeoncreate", [], "create|{p}a|--addnodeoncreate|--table|0 8 zero"),
    scenario("create-inactive", [], "create|{p}a|--inactive|--noopencount|--checks|--table|0 8 zero"),
    scenario("create-noudevsync", [], "create|{p}a|--noudevsync|--table|0 8 zero"),
    scenario("create-verifyudev", [], "create|{p}a|--verifyudev|--table|0 8 zero"),
    scenario("create-verbose", [], "create|-v|{p}a|--table|0 8 zero"),
    scenario("create-no-name", [], "create"),
    scenario("create-slash", [], "create|a/b|--table|0 8 zero"),
    scenario("create-127", [], "create|{p:n<127}|--table|0 8 zero"),
    scenario("create-128", [], "create|{p:n<128}|--table|0 8 zero"),
    scenario("create-empty-name", [], "create||--table|0 8 zero"),
    scenario("create-blank", [], "create|{p} with blank|--table|0 8 zero"),
    scenario("create-umlaut", [], "create|{p}ü|--table|0 8 zero"),
    scenario("create-backslash", [], "create|{p}\\x20|--table|0 8 zero"),
    scenario("create-mangled-twice", [], "create|{p}\\x5cx20|--table|0 8 zero"),
    scenario("create-not-utf8", [], "create|{p}\udcff\udcfe|--table|0 8 zero"),
    scenario("create-duplicate", ONE, "create|{p}a|--table|0 8 zero"),
    scenario("create-duplicate-uuid", TWO, "create|{p}x|-u|UUID-{p}b|--table|0 8 zero"),
    scenario("create-gap", [], "create|{p}a|--table|0 8 zero\n16 8 zero"),
    scenario("create-bad-line", [], "create|{p}a|--table|0 8 zero\n8 eight zero"),
    scenario("create-bad-stdin", [], "create {p}a", b"0 8 zero\nfrob\n"),
    scenario("create-unknown-target", [], "create|{p}a|--table|0 8 frobnicate x"),
    scenario("create-too-small", [], "create|{p}a|--table|0 99999999 linear {l} 0"),
    scenario("create-no-such-disk", [], "create|{p}a|--table|0 8 linear /dev/nope 0"),
    scenario("create-three-operands", [], "create a b c"),
]

LOAD = [
    scenario("load", ONE, "load|{p}a|--table|0 4096 linear {l} 0"),
    scenario("reload-stdin", ONE, "reload {p}a", b"0 8 zero\n"),
    scenario("load-file", ONE, "load {p}a {file}"),
    scenario("load-uuid-file", TWO, "load -u UUID-{p}b {file}"),
    scenario("load-uuid-too-many", TWO, "load -u UUID-{p}b {file} x"),
    scenario("load-read-only", ONE, "load|-r|{p}a|--table|0 8 zero"),
    scenario("load-verbose", ONE, "load|-v|{p}a|--table|0 8 zero"),
    scenario("load-notable", ONE, "load {p}a -n"),
    scenario("load-no-device", ONE, "load"),
    scenario("load-missing", ONE, "load|{p}zz|--table|0 8 zero"),
    scenario("load-bad", ONE, "load|{p}a|--table|0 8 linear"),
    scenario("load-empty", ONE, "load {p}a"),
    scenario("load-own", ONE, "load|{p}a|--table|0 8 linear /dev/mapper/{p}a 0"),
    scenario("clear", LOADED, "clear {p}a"),
    scenario("clear-nothing", ONE, "clear {p}a"),
    scenario("clear-missing", ONE, "clear {p}zz"),
    scenario("clear-none", ONE, "clear"),
    scenario("clear-verbose", LOADED, "clear -v {p}a"),
]

STATE = [
    scenario("suspend", ONE, "suspend {p}a"),
    scenario("suspend-two", TWO, "suspend {p}a {p}b"),
    scenario("suspend-noflush", ONE, "suspend --noflush --nolockfs {p}a"),
    scenario("suspend-again", SUSPENDED, "suspend {p}a"),
    scenario("suspend-missing", ONE, "suspend {p}zz"),
    scenario("suspend-no-device", ONE, "suspend"),
    scenario("suspend-uuid", TWO, "suspend -u UUID-{p}b"),
    scenario("suspend-verbose", TWO, "suspend -v {p}b"),
    scenario("suspend-bare", BARE, "suspend {p}n"),
    scenario("suspend-checks", STACK, "suspend --checks {p}c"),
    scenario("resume", SUSPENDED, "resume {p}a"),
    scenario("resume-loaded", LOADED, "resume {p}a"),
    scenario("resume-verbose", LOADED, "resume -v {p}a"),
    scenario("resume-running", ONE, "resume {p}a"),
    scenario("resume-bare", BARE, "resume {p}n"),
    scenario("resume-missing", ONE, "resume {p}zz {p}a"),
    scenario("resume-readahead", LOADED, "resume --readahead 64 {p}a"),
    scenario("resume-noudevrules", [*BARE, ("load", "{p}n", "--table", "0 8 zero")], "resume --noudevrules {p}n"),
    scenario("rename", ONE, "rename {p}a {p}new"),
    scenario("rename-blank", ONE, "rename|{p}a|{p}n e w"),
    scenario("rename-taken", TWO, "rename {p}a {p}b"),
    scenario("rename-missing", ONE, "rename {p}zz {p}new"),
    scenario("rename-slash", ONE, "rename {p}a a/b"),
    scenario("rename-long", ONE, "rename {p}a " + "n" * 128),
    scenario("rename-uuid", TWO, "rename -u UUID-{p}b {p}new"),
    scenario("rename-one-operand", ONE, "rename {p}a"),
    scenario("setuuid", ONE, "rename --setuuid {p}a new-uuid"),
    scenario("setuuid-again", TWO, "rename --setuuid {p}b new-uuid"),
    scenario("setuuid-taken", TWO, "rename --setuuid {p}a UUID-{p}b"),
    scenario("mknodes", TWO, "mknodes"),
    scenario("mknodes-one", TWO, "mknodes {p}a {p}b"),
    scenario("mknodes-missing", TWO, "mknodes {p}zz"),
    scenario("wait-differs", ONE, "wait {p}a 5"),
    scenario("wait-differs-verbose", ONE, "wait -v {p}a 5"),
    scenario("wait-missing", ONE, "wait {p}zz"),
    scenario("wait-none", ONE, "wait"),
    scenario("wait-uuid", TWO, "wait -u UUID-{p}b 7"),
]

REMOVE = [
    scenario("remove", ONE, "remove {p}a"),
    scenario("remove-two", TWO, "remove {p}a {p}b"),
    scenario("remove-missing-between", TWO, "remove {p}a {p}zz {p}b"),
    scenario("remove-path", ONE, "remove /dev/mapper/{p}a"),
    scenario("remove-uuid", TWO, "remove -u UUID-{p}b"),
    scenario("remove-devno", ONE, "remove -j 254 -m 0"),
    scenario("remove-none", ONE, "remove"),
    scenario("remove-busy", STACK, "remove {p}a"),
    scenario("remove-busy-force", STACK, "remove --force {p}a"),
    scenario("remove-force", ONE, "remove -f {p}a"),
    scenario("remove-force-missing", ONE, "remove -f {p}zz"),
    scenario("remove-deferred", STACK, "remove --deferred {p}a"),
    scenario("remove-suspended", SUSPENDED, "remove {p}a"),
    scenario("remove-bare", BARE, "remove {p}n"),
    scenario("remove-noudevsync", ONE, "remove --noudevsync {p}a"),
    scenario("remove-verbose", ONE, "remove -v {p}a"),
    scenario("remove-blank", BLANK, "remove|{p} b"),
    scenario("remove_all", STACK, "remove_all"),
    scenario("remove_all-none", [], "remove_all"),
    scenario("remove_all-force", STACK, "remove_all -f"),
    scenario("remove_all-force-none", [], "remove_all -f"),
    scenario("remove_all-operand", [], "remove_all x"),
    scenario("wipe_table", ONE, "wipe_table {p}a"),
    scenario("wipe_table-force", ONE, "wipe_table -f {p}a"),
    scenario("wipe_table-two", TWO, "wipe_table --noflush {p}a {p}b"),
    scenario("wipe_table-missing", ONE, "wipe_table {p}zz"),
    scenario("wipe_table-none", ONE, "wipe_table"),
    scenario("wipe_table-suspended", SUSPENDED, "wipe_table {p}a"),
]

DELAY = [("create", "{p}m", "--table", "0 1024 flakey {l} 0 1 0")]
THIN_POOL = [
    ("create", "{p}tm", "--table", "0 4096 linear {l2} 0"),
    ("create", "{p}p", "--table", "0 8192 thin-pool /dev/mapper/{p}tm {l} 128 0"),
]
MESSAGE = [
    scenario("message-thin", THIN_POOL, "message {p}p 0 create_thin 0"),
    scenario("message-thin-one-word", THIN_POOL, "message|{p}p|0|create_thin 0"),
    scenario("message-thin-bad", THIN_POOL, "message {p}p 0 create_frob 0"),
    scenario("message-no-target", DELAY, "message {p}m 0 hello"),
    scenario("message-sector", DELAY, "message {p}m 4096 hello"),
    scenario("message-bad-sector", DELAY, "message {p}m x hello"),
    scenario("message-bad-sector-tail", DELAY, "message {p}m 0x hello"),
    scenario("message-negative-sector", DELAY, "message|--|{p}m|-1|hello"),
    scenario("message-empty", DELAY, "message {p}m 0"),
    scenario("message-response", DELAY, "message {p}m 0 @stats_list"),
    scenario("message-response-text", DELAY, "message {p}m 0 @stats_create 0+64 /1"),
    scenario("message-too-few", DELAY, "message {p}m"),
    scenario("message-missing", DELAY, "message {p}zz 0 hello"),
    scenario("message-uuid", TWO, "message -u UUID-{p}b 0 @stats_list"),
]


class World:
    """The state that a scenario is about, made and described by dmsetup."""

    def __init__(self, prefix, disk, dmsetup, tmp_path):
        self.dmsetup = dmsetup
        self.loops = [disk(LOOP_SECTORS * 512), disk(LOOP_SECTORS * 512)]
        self.words = {"p": prefix, "l": self.loops[0].path, "l2": self.loops[1].path}
        for name, text in (("file", "0 8 zero\n8 8 error\n"), ("badfile", "0 8 zero\n\n# x\n8 frob\n")):
            self.words[name] = str(tmp_path / name)
            (tmp_path / name).write_text(text)

    def expand(self, words):
        return [word.format(**self.words) if "{" in word else word for word in words]

    def set_up(self, setup):
        for words in setup:
            result = self.dmsetup(*self.expand(words))
            assert result.status == 0, result

    def describe(self):
        """All that dmsetup and /dev/mapper tell of the state, numbers and times that may differ left out."""
        columns = "name,uuid,attr,open,segments,events,major,minor,read_ahead,devs_used"
        nodes = {
            name: (os.lstat(f"/dev/mapper/{name}").st_mode, *os.stat(f"/dev/mapper/{name}")[4:6])
            for name in sorted(os.listdir("/dev/mapper"))
        }
        told = [
            self.dmsetup(*words.split())
            for words in (f"info -c -o {columns} --noheadings", "table", "table --inactive", "status --noflush")
        ]
        return nodes, [(result.status, result.out) for result in told]

    def take_down(self):
        """Remove what is there, top first: every round takes what nobody uses."""
        while b"No devices found" not in (listed := self.dmsetup("ls").out):
            names = [line.rpartition(b"\t")[0] for line in listed.splitlines()]
            removed = [self.dmsetup("remove", "--noudevsync", os.fsdecode(name)).status == 0 for name in names]
            for name in names:
                self.dmsetup("resume", os.fsdecode(name))
            assert any(removed), listed


@pytest.fixture
def world(prefix, disk, dmsetup, tmp_path):
    return World(prefix, disk, dmsetup, tmp_path)


def carry_out(world, tool, setup, words, stdin):
    world.set_up(setup)
    text = stdin.decode().format(**world.words).encode() if stdin else b""
    try:
        result = tool(*world.expand(words), stdin=text)
        return result, world.describe()
    finally:
        world.take_down()


def comparable(err):
    """Standard error up to the usage, whose words are dmctl's own, and without the name that getopt puts first."""
    return re.sub(rb"^\S*(dmsetup|dmctl): ", b"PROGRAM: ", err.partition(b"Usage:")[0])


def first_line(err):
    return comparable(err).partition(b"\n")[0]


ALL = SHOW + ERRORS + CREATE + LOAD + STATE + REMOVE + MESSAGE


@pytest.mark.parametrize(("setup", "words", "stdin"), ALL)
def test_same(world, dmsetup, dmctl, dmctl_as, setup, words, stdin):
    expected, expected_state = carry_out(world, dmsetup, setup, words, stdin)
    as_dmsetup, as_dmsetup_state = carry_out(
        world, lambda *args, **more: dmctl_as("dmsetup", *args, **more), setup, words, stdin
    )
    own, own_state = carry_out(world, dmctl, setup, words, stdin)

    assert as_dmsetup.out == expected.out
    assert as_dmsetup.status == expected.status
    assert comparable(as_dmsetup.err) == comparable(expected.err)
    assert as_dmsetup_state == expected_state

    assert own.out == expected.out
    assert own.status == expected.status
    assert first_line(own.err) == first_line(expected.err)
    assert own_state == expected_state
