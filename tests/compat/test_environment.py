# SPDX-License-Identifier: LGPL-2.1-or-later
"""The environment, standard streams, users, odd systems: the same from dmsetup, dmctl as dmsetup, and dmctl."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from compat.world import BARE, ONE, STACK, World, comparable, first_line
from guests.fixtures import Result, dmctl_script
from guests.kernel_state import DMSETUP, KernelState

LIMIT_S = 30
READ_ANY = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
TABLE = "--table|0 8 zero"


def start(program, *args, env=None, stdin=b"", closed=(), into=None, **more):
    """Run a program. closed: descriptors it does not get. into: a file, in place of a pipe, for its standard output."""

    def close():
        for descriptor in closed:
            os.close(descriptor)

    plain = {"PATH": os.environ["PATH"], "LC_ALL": "C"} | (env or {})
    done = subprocess.run(
        [program, *args],
        **({} if 0 in closed else {"input": stdin}),
        stdout=subprocess.PIPE if into is None else into,
        stderr=subprocess.PIPE,
        env={name: value for name, value in plain.items() if value is not None},
        preexec_fn=close if closed else None,
        timeout=LIMIT_S,
        check=False,
        **more,
    )
    return Result(done.returncode, done.stdout or b"", done.stderr)


@pytest.fixture(scope="module")
def programs():
    """dmsetup, dmctl as dmsetup and dmctl, where any user can run them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        link = Path(folder, "dmsetup")
        link.symlink_to(dmctl_script())
        yield DMSETUP, str(link), str(dmctl_script())


@pytest.fixture
def world(prefix, standing_disks, dmsetup, tmp_path):
    made = World(prefix, standing_disks, dmsetup, tmp_path)
    yield made
    made.take_down()


def words_of(world, line):
    return world.expand(line.split("|") if "|" in line else line.split())


def differences(what, expected, as_dmsetup, own):
    """What distinguishes three outcomes of (result, state), as text."""
    same = (
        (as_dmsetup[0].status, as_dmsetup[0].out, as_dmsetup[1]) == (expected[0].status, expected[0].out, expected[1])
        and (own[0].status, own[0].out, own[1]) == (expected[0].status, expected[0].out, expected[1])
        and comparable(as_dmsetup[0].err) == comparable(expected[0].err)
        and first_line(own[0].err) == first_line(expected[0].err)
    )
    return "" if same else f"{what}\n  dmsetup: {expected}\n  as dmsetup: {as_dmsetup}\n  dmctl: {own}\n"


def read_only_lines(world, programs, lines, *, through=(), **circumstances):
    """Compare lines that change nothing, in the state that there is. through: a command that runs the programs."""
    told = ""
    for line in lines:
        words = words_of(world, line)
        told += differences(line, *((start(*through, program, *words, **circumstances), None) for program in programs))
    return told


# Environment, a state, lines that do not change it. {t}: a folder for DM_DEV_DIR.
READS = {
    "dev dir": ({"DM_DEV_DIR": "{t}"}, ONE, ["info {p}a", "ls", "info {t}/mapper/{p}a", "mknodes {p}zz"]),
    "dev dir, relative": ({"DM_DEV_DIR": "tmp"}, ONE, ["ls", "version", "frob", "help"]),
    "dev dir, empty": ({"DM_DEV_DIR": ""}, ONE, ["info {p}a", "info /dev/mapper/{p}a"]),
    "dev dir, slashes": ({"DM_DEV_DIR": "/dev//"}, ONE, ["info {p}a"]),
    "dev dir, impossible": ({"DM_DEV_DIR": "/proc"}, ONE, ["ls", "version", "info {p}a"]),
    "mangling none": ({"DM_DEFAULT_NAME_MANGLING_MODE": "none"}, [("create", "{p} b", *TABLE.split("|"))], ["ls"]),
    "mangling hex": (
        {"DM_DEFAULT_NAME_MANGLING_MODE": "hex"},
        [("create", "{p} b", *TABLE.split("|"))],
        ["ls", "info|{p} b", "info|{p}\\x20b"],
    ),
    "mangling frob": ({"DM_DEFAULT_NAME_MANGLING_MODE": "frob"}, ONE, ["ls", "info|{p} b"]),
    "bad cookie": ({"DM_UDEV_COOKIE": "frob"}, ONE, ["ls", "ls --udevcookie 0x", "ls --udevcookie 7"]),
    "no cookie": ({"DM_UDEV_COOKIE": ""}, ONE, ["ls"]),
    "posix": ({"POSIXLY_CORRECT": "1"}, ONE, ["info {p}a --noopencount", "--noopencount info {p}a", "ls -Z"]),
    "locale": ({"LC_ALL": "C.UTF-8"}, ONE, ["ls", "table {p}zz", "info {p}ü", "info|{p}\udcff"]),
    "unknown locale": ({"LC_ALL": "xx_YY.ISO-8859-1"}, ONE, ["ls", "table {p}zz", "info {p}ü"]),
    "no environment": ({"LC_ALL": None, "PATH": None, "HOME": "/nonexistent"}, ONE, ["ls", "table {p}zz"]),
    "line numbers": ({"DM_DEBUG_WITH_LINE_NUMBERS": "0"}, ONE, ["info {p}a", "table {p}zz"]),
    "udev disabled": ({"DM_DISABLE_UDEV": "1"}, ONE, ["ls", "info {p}a"]),
}


@pytest.mark.parametrize("name", READS)
def test_reading(name, world, programs, tmp_path):
    env, setup, lines = READS[name]
    world.words["t"] = str(tmp_path / "dev")
    (tmp_path / "dev").mkdir()
    env = {key: value and value.format(**world.words) for key, value in env.items()}
    world.set_up(setup)
    told = read_only_lines(world, programs, lines, env=env)
    assert not told, "\n" + told


# Environment, a state, the line that changes it.
CHANGES = {
    "dev dir": ({"DM_DEV_DIR": "{t}"}, [], "create|{p}a|" + TABLE),
    "dev dir, remove": ({"DM_DEV_DIR": "{t}"}, ONE, "remove {p}a"),
    "dev dir, mknodes": ({"DM_DEV_DIR": "{t}"}, ONE, "mknodes"),
    "dev dir, rename": ({"DM_DEV_DIR": "{t}"}, ONE, "rename {p}a {p}b"),
    "mangling none": ({"DM_DEFAULT_NAME_MANGLING_MODE": "none"}, [], "create|{p} b|" + TABLE),
    "mangling hex": ({"DM_DEFAULT_NAME_MANGLING_MODE": "hex"}, [], "create|{p}\\x20b|" + TABLE),
    "mangling auto": ({"DM_DEFAULT_NAME_MANGLING_MODE": "auto"}, [], "create|{p}\\x20b|" + TABLE),
    "mangling over": ({"DM_DEFAULT_NAME_MANGLING_MODE": "none"}, [], "create|{p} b|--manglename|hex|" + TABLE),
    "no udev": ({"DM_DISABLE_UDEV": "1"}, [], "create|{p}a|-M|0640|-U|1|" + TABLE),
    "no udev, remove": ({"DM_DISABLE_UDEV": "1"}, ONE, "remove {p}a"),
    "bad cookie": ({"DM_UDEV_COOKIE": "0x0d4d"}, [], "create|{p}a|" + TABLE),
    "cookie of nobody": ({"DM_UDEV_COOKIE": "0xd4d1234"}, [], "create|{p}a|" + TABLE),
    "cookie option of nobody": ({"DM_UDEV_COOKIE": "frob"}, ONE, "remove --udevcookie 0xd4d1234 {p}a"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changing(name, world, programs, tmp_path):
    env, setup, line = CHANGES[name]
    folder = tmp_path / "dev"
    world.words["t"] = str(folder)
    env = {key: value.format(**world.words) for key, value in env.items()}
    outcomes = []
    for program in programs:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        world.set_up(setup)
        result = start(program, *words_of(world, line), env=env)
        subprocess.run(["udevadm", "settle"], check=True)
        nodes = [(path.name, *os.lstat(path)[:1], os.lstat(path).st_rdev) for path in sorted(folder.rglob("*"))]
        outcomes.append((result, (world.describe(), nodes)))
        world.take_down()
    told = differences(line, *outcomes)
    assert not told, "\n" + told


@pytest.mark.parametrize("option", [False, True], ids=["DM_UDEV_COOKIE", "--udevcookie"])
def test_one_cookie_for_two(option, world, programs):
    before = KernelState.now().cookies
    outcomes = []
    for program in programs:
        cookie = world.dmsetup("udevcreatecookie").text.strip()
        results = [
            start(program, "create", world.words["p"] + name, *TABLE.split("|"), *(["--udevcookie", cookie] * option),
                  env={} if option else {"DM_UDEV_COOKIE": cookie})
            for name in "ab"
        ]  # fmt: skip
        assert [result.status for result in results] == [0, 0], results
        assert KernelState.now().cookies - before == {f"{int(cookie, 16):#x}"}  # nobody else has ended it
        assert world.dmsetup("udevreleasecookie", cookie).status == 0
        assert KernelState.now().cookies == before
        outcomes.append(([(result.out, result.err) for result in results], world.describe()))
        world.take_down()
    assert outcomes[0] == outcomes[1] == outcomes[2]


def shapes(out):
    """Lines without their numbers; nor what is dmsetup's alone (traces), or dmctl's (the kernel is to wipe keys)."""
    lines = out.replace(b" securedata ]", b" ]").splitlines()
    return {re.sub(rb"0x[0-9a-fA-F]+|[0-9]+", b"N", line).strip() for line in lines} - {b"<backtrace>"}


def test_debug_lines(world, programs):
    world.set_up(ONE)
    for line in ("-vv ls", "info -v {p}a -v", "-vvv table {p}a", "-vv table {p}zz", "-vvv deps {p}a"):
        expected, *others = (start(program, *words_of(world, line)) for program in programs)
        for told in others:
            assert told.status == expected.status, (line, told, expected)
            assert shapes(told.out) == shapes(expected.out), (line, told, expected)
            assert first_line(told.err) == first_line(expected.err)
        assert any(shape.startswith(b"dm ") for shape in shapes(expected.out))


def test_standard_output_closed(world, programs):
    world.set_up(ONE)
    told = read_only_lines(world, programs, ["ls", "info {p}a", "info {p}zz", "version"], closed=[1])
    assert not told, "\n" + told


def test_full_disk(world, programs):
    world.set_up(STACK)
    dmsetup, as_dmsetup, dmctl = programs
    with open("/dev/full", "wb") as full:
        for line in ("ls", "table", "ls --json", "version", "table {p}a {p}zz"):
            words = words_of(world, line)
            own = start(dmctl, *words, into=full)
            assert own.status == 1 and own.err, (line, own)
            if "--json" in line:
                continue
            expected, other = start(dmsetup, *words, into=full), start(as_dmsetup, *words, into=full)
            assert (other.status, other.err) == (expected.status, expected.err), line
            if not expected.status:
                assert re.fullmatch(rb"dmctl: .*No space left on device\n", own.err), own


@pytest.mark.parametrize("ignored", [False, True], ids=["SIGPIPE", "EPIPE"])
def test_reader_goes_away(ignored, world, programs):
    world.set_up(ONE)
    results = []
    for program in programs:
        read_end, write_end = os.pipe()
        os.close(read_end)
        results.append(start(program, "table", into=write_end, restore_signals=not ignored))
        os.close(write_end)
    expected, as_dmsetup, dmctl = results
    assert expected.status == (0 if ignored else -signal.SIGPIPE)
    assert dmctl.status != 0
    assert as_dmsetup.err == dmctl.err == b""
    # The interpreter ignores SIGPIPE, whether its parent did or not; what counts is the shell's pipe.
    assert as_dmsetup.status == expected.status or (ignored and as_dmsetup.status == -signal.SIGPIPE)


def test_standard_input_closed(world, programs):
    """A table of which nothing can be read is an empty one."""
    world.set_up(BARE)
    told = read_only_lines(world, programs, ["ls", "load {p}n", "info {p}n"], closed=[0])
    assert not told, "\n" + told
    outcomes = []
    for program in programs:
        # dmsetup itself would wait for udev for ever.
        more = ["--noudevsync"] if program == DMSETUP else []
        result = start(program, "create", world.words["p"] + "x", *more, closed=[0])
        outcomes.append((result, world.describe()))
        world.take_down()
        world.set_up(BARE)
    told = differences("create", *outcomes)
    assert not told, "\n" + told


def test_not_root(world, programs):
    world.set_up(ONE)
    lines = [
        "ls",
        "version",
        "--version",
        "targets",
        "info {p}a",
        "remove {p}a",
        "help",
        "frob",
        "create|{p}x|" + TABLE,
    ]
    # Nobody, but for the right to reach a dmctl that is installed in somebody's home.
    through = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *READ_ANY)
    told = read_only_lines(world, programs, lines, through=through)
    assert not told, "\n" + told


@pytest.mark.parametrize(
    "hide", ["mount -t tmpfs -o ro none /dev/mapper", "mount --bind /dev/null /dev/mapper/control"]
)
def test_no_control_node(hide, world, programs):
    script = f'{hide} && mount --bind /dev/null /proc/misc && exec "$@"'
    told = ""
    for line in ("ls", "version", "create|{p}x|" + TABLE, "info {p}a"):
        outcomes = [
            start(
                "unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", program, *words_of(world, line)
            )
            for program in programs
        ]
        assert b"device-mapper" in outcomes[0].err, outcomes[0]
        told += differences(line, *((outcome, None) for outcome in outcomes))
    assert not told, "\n" + told


def test_interpreter_variables(programs):
    """What the interpreter reads from the environment does not reach our output."""
    env = {"PYTHONIOENCODING": "utf-16", "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "0", "PYTHONSTARTUP": "/nonexistent"}
    expected, *others = (start(program, "version", env=env) for program in programs)
    assert all(other == expected for other in others) and expected.status == 0
