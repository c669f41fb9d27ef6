# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command lines that change devices: the same state, output and exit status from dmsetup and from dmctl."""

import pytest

from compat.world import BARE, BLANK, LOADED, ONE, STACK, SUSPENDED, TWO, World, comparable, first_line


def scenario(name, setup, line, stdin=b""):
    return pytest.param(setup, line, stdin, id=name)


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
    scenario("create-on-read-only-disk", [], "create|{p}a|--table|0 8 linear {ro} 0"),
    scenario("create-read-only-on-read-only-disk", [], "create|-r|{p}a|--table|0 8 linear {ro} 0"),
    scenario("create-127-bytes", [], "create|{p:\u00e4<71}|--table|0 8 zero"),
    scenario("create-129-bytes", [], "create|{p:\u00e4<76}|--table|0 8 zero"),
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

CONCISE = [
    scenario("concise", [], "create|--concise|{p}a,,,,0 8 zero"),
    scenario("concise-two", [], "create|--concise|{p}a,u-1,9,ro,0 8 zero,8 8 error;  {p}b,,,rw,0 8 linear {l} 0"),
    scenario("concise-stdin", [], "create --concise", b"{p}a,,,,0 8 zero;{p}b,,,,0 8 error"),
    scenario("concise-quoted", [], "create|--concise|{p}\\,a\\;,u\\\\1,,,0 8 zero"),
    scenario("concise-read-only-first", [], "create|-r|--concise|{p}a,,,,0 8 zero;{p}b,,,,0 8 zero"),
    scenario("concise-bad-flags", [], "create|--concise|{p}a,,,,0 8 zero;{p}b,,,rx,0 8 zero"),
    scenario("concise-bad-table", [], "create|--concise|{p}a,,,,0 8 zero;{p}b,,,,0 8;{p}c,,,,0 8 zero"),
    scenario("concise-short", [], "create|--concise|{p}a,,,,0 8 zero;{p}b,,"),
    scenario("concise-four-fields", [], "create|--concise|{p}a,,,0 8 zero;"),
    scenario("concise-backslash", [], "create|--concise|{p}a,,,,0 8 zero\\"),
    scenario("concise-empty", [], "create|--concise|"),
    scenario("concise-table", [], "create|--concise|--table|0 8 zero|{p}a"),
    scenario("concise-operands", [], "create --concise a b"),
    scenario("concise-duplicate", ONE, "create|--concise|{p}a,,,,0 8 zero"),
]

OTHER = [
    scenario("setgeometry", ONE, "setgeometry {p}a 2 4 8 0"),
    scenario("setgeometry-missing", ONE, "setgeometry {p}zz 2 4 8 0"),
    scenario("setgeometry-bad", ONE, "setgeometry {p}a x 4 8 0"),
    scenario("setgeometry-too-few", ONE, "setgeometry {p}a 2 4 8"),
    scenario("select-suspend", TWO, "suspend -S segments=3"),
    scenario("select-remove", TWO, "remove -S name=~{p}"),
    scenario("select-nothing", TWO, "remove -S segments=99"),
    scenario("select-failing", STACK, "remove -S name=~{p}[ab]"),
    scenario("mangle", BLANK, "mangle"),
    scenario("mangle-fine", TWO, "mangle"),
    scenario("mangle-one", TWO, "mangle {p}b"),
    scenario("mangle-missing", TWO, "mangle {p}zz"),
    scenario("mangle-rename", [("--manglename", "none", "create", "{p} x", "--table", "0 8 zero")], "mangle"),
    scenario("mangle-to-none", BLANK, "mangle --manglename none"),
]


def carry_out(world, tool, setup, line, stdin):
    world.set_up(setup)
    try:
        return world.run(tool, line, stdin), world.describe()
    finally:
        world.take_down()


@pytest.mark.parametrize(("setup", "line", "stdin"), CREATE + LOAD + STATE + REMOVE + MESSAGE + CONCISE + OTHER)
def test_same_change(setup, line, stdin, prefix, standing_disks, dmsetup, dmctl, dmctl_as, tmp_path):
    world = World(prefix, standing_disks, dmsetup, tmp_path)
    expected, expected_state = carry_out(world, dmsetup, setup, line, stdin)
    own, own_state = carry_out(world, dmctl, setup, line, stdin)
    assert own.out == expected.out
    assert own.status == expected.status
    assert first_line(own.err) == first_line(expected.err)
    assert own_state == expected_state
    if expected.status:  # only failures say more under one name than under the other

        def as_dmsetup(*words, **more):
            return dmctl_as("dmsetup", *words, **more)

        other, other_state = carry_out(world, as_dmsetup, setup, line, stdin)
        assert (other.status, other.out, other_state) == (expected.status, expected.out, expected_state)
        assert comparable(other.err) == comparable(expected.err)
