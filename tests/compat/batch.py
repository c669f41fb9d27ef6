# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many command lines that change nothing, compared: each by dmsetup and, under both of its names, by dmctl.

A process of dmsetup takes 0.04 s in user-mode Linux, one of dmctl ten times as much. So dmctl's lines are carried out
one after the other in one child, by the function that its script calls.
"""

import fcntl
import os
import pickle
import select
import signal
import struct
import sys
import termios
import traceback
import tty
from contextlib import contextmanager, suppress
from typing import NamedTuple

from compat.world import comparable, first_line
from dmctl import libdm
from dmctl.cli.main import main
from dmctl.libdm import udev
from guests.fixtures import Result
from guests.kernel_state import DMSETUP
from guests.loop import attach, detach
from kernel.child import in_child

LIMIT_MS = 30_000
LIMIT_OF_ALL_MS = 120_000


class Line(NamedTuple):
    """One command line. columns: the width of the terminal that standard output is; 0: a file."""

    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    columns: int = 0

    def __str__(self):
        settings = "".join(f"{name}={value} " for name, value in self.env)
        return f"{settings}{list(self.words)}" + (f" at {self.columns} columns" if self.columns else "")


def line(*words, columns=0, **env):
    return Line(words, tuple(env.items()), columns)


def lines_of(texts):
    """Lines from texts, words separated by | if there is one in the text, else by blanks."""
    return [Line(tuple(text.split("|") if "|" in text else text.split())) for text in texts]


class _Output:
    """Where a program's standard output goes: a file in memory, or a terminal."""

    def __init__(self, columns):
        if not columns:
            self.inner, self._outer = os.memfd_create("out"), None
            return
        self._outer, self.inner = os.openpty()
        tty.setraw(self.inner)  # newlines stay newlines
        fcntl.ioctl(self.inner, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def close(self):
        """All that was written; the program has ended."""
        if self._outer is None:
            return _close(self.inner)
        os.close(self.inner)
        told = b""
        while True:
            try:
                part = os.read(self._outer, 1 << 16)
            except OSError:  # EIO: nobody has the terminal any more
                break
            told += part
        os.close(self._outer)
        return told


def _close(memory):
    os.lseek(memory, 0, os.SEEK_SET)
    with open(memory, "rb") as file:
        return file.read()


def of_dmsetup(one, *, called="dmsetup"):
    """What Debian's dmsetup answers, called by this name."""
    out, err = _Output(one.columns), os.memfd_create("err")
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out.inner, 1),
        (os.POSIX_SPAWN_DUP2, err, 2),
    ]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", **dict(one.env)}
    # The interpreter ignores SIGPIPE; dmsetup is to have it as a shell gives it.
    pid = os.posix_spawn(DMSETUP, [called, *one.words], env, file_actions=actions, setsigdef=[signal.SIGPIPE])
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    in_time = bool(poll.poll(LIMIT_MS))
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(pidfd)
    assert in_time, f"dmsetup does not end: {one}"
    return Result(status, out.close(), _close(err))


def of_dmctl(lines, programs=("dmsetup", "dmctl")):
    """What dmctl answers, called by each of these names: a list of results for each line."""

    def act():
        answers, errors = os.dup(1), os.dup(2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        told = [[_one(program, one) for program in programs] for one in lines]
        os.dup2(errors, 2)
        with open(answers, "wb") as file:
            pickle.dump(told, file)

    ended = in_child(act, limit_ms=LIMIT_OF_ALL_MS)
    assert (ended.error, ended.err) == ("", b""), ended
    return pickle.loads(ended.out)


def _one(program, one):
    out, err = _Output(one.columns), os.memfd_create("err")
    os.dup2(out.inner, 1)
    os.dup2(err, 2)
    env = {"LC_ALL": "C", "POSIXLY_CORRECT": None, **dict(one.env)}
    before = {name: os.environ.pop(name, None) for name in env}
    os.environ.update({name: value for name, value in env.items() if value is not None})
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a terminal or none
    try:
        status = main([program, *one.words])
    except BaseException:
        status = None  # no exit status of dmsetup's
        os.write(2, traceback.format_exc().encode())
    sys.stdout.flush()
    for name in env:
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in before.items() if value is not None})
    # What the library keeps from one line to the next; a program has one line.
    libdm.set_name_mangling(libdm.MANGLING_AUTO)
    udev.set_synchronised(True)
    libdm.State.timestamps = None
    os.dup2(err, 1)  # the terminal is closed
    return Result(status, out.close(), _close(err))


def differences(lines, *, programs=("dmsetup", "dmctl"), called="dmsetup", normal=lambda text: text):
    """Compare lines; what differs, as text. normal() is applied to the standard output and error of each answer.

    called: the name that dmsetup has.
    """
    assert lines
    told = ""
    for one, answers in zip(lines, of_dmctl(lines, programs), strict=True):
        expected = of_dmsetup(one, called=called)
        if not all(_same(*pair, expected, normal) for pair in zip(programs, answers, strict=True)):
            own = "".join(f"  {program}: {answer}\n" for program, answer in zip(programs, answers, strict=True))
            told += f"{one}\n  expected: {expected}\n  dmctl as\n{own}"
    return told


def _same(program, answer, expected, normal):
    if (answer.status, normal(answer.out)) != (expected.status, normal(expected.out)):
        return False
    if program == "dmctl":  # which may say more, after the first line
        return first_line(answer.err) == first_line(expected.err)
    return normal(comparable(answer.err)) == normal(comparable(expected.err))


@contextmanager
def standing(setup, folder, prefix):
    """Devices made by dmsetup, for the length of the with. In the lines {p} is the prefix, {l} is a loop device.

    Yields a function that fills these words in.
    """
    backing = folder / f"{prefix}backing"
    with backing.open("xb") as file:
        file.truncate(1 << 24)
    loop = attach(backing)
    nodes = set(os.listdir("/dev/mapper"))

    def expand(text):
        return text.replace("{p}", prefix).replace("{l}", loop.path)

    try:
        for words in setup:
            made = of_dmsetup(Line(tuple(map(expand, words))))
            assert made.status == 0, (made, words)
        yield expand
    finally:
        of_dmsetup(line("remove_all", "--force"))
        for node in set(os.listdir("/dev/mapper")) - nodes:
            with suppress(FileNotFoundError):  # udevd takes away what it knows by this name
                os.unlink(f"/dev/mapper/{node}")
        left = of_dmsetup(line("ls"))
        detach(loop)
        backing.unlink()
    assert left.out == b"No devices found\n", left
