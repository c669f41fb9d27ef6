# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl top on a terminal: keys, sizes, signals, and the terminal as it was on every way out."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios

import pytest

import dmctl.cli.app
import dmctl.cli.top  # noqa: F401 - so that a child need not import it
from dmctl.cli import main as entry

LIMIT_MS = 20_000
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?25h\x1b[?1049l"
HOME, END = b"\x1b[H", b"\x1b[J"
LOCAL_MODES = 3


class Terminal:
    """dmctl top on a terminal of its own."""

    def __init__(self, *words, columns=100, lines=20, term="xterm"):
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            status = 99
            try:
                os.read(0, 1)  # until the terminal has its size
                sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
                sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
                os.environ["TERM"] = term
                signal.signal(signal.SIGINT, signal.default_int_handler)
                status = entry.main(["dmctl", "top", *words])
            finally:
                os._exit(status)
        self.resize(columns, lines)
        self.modes = termios.tcgetattr(self._end)
        self.said = b""
        os.write(self._end, b"\n")
        self.until(b"\n")
        self.said = b""

    def resize(self, columns, lines):
        fcntl.ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys):
        os.write(self._end, keys)

    def until(self, wanted):
        """What comes up to these bytes; the bytes behind them are kept."""
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        while wanted not in self.said:
            assert poll.poll(LIMIT_MS), (wanted, self.said)
            try:
                self.said += os.read(self._end, 65536)
            except OSError:
                raise AssertionError(f"ended without {wanted!r}: {self.said!r}") from None
        before, _, self.said = self.said.partition(wanted)
        return before

    def page(self, wanted=b""):
        """The lines of the next page that has these bytes in it."""
        while True:
            self.until(HOME)
            page = self.until(END)
            if wanted in page:
                return [line.removesuffix(b"\x1b[K") for line in page.split(b"\r\n")]

    def wait(self, options=0):
        """How it ended, or was stopped; after that, the modes of the terminal are those from before."""
        # Else its last words may fill the terminal's buffer.
        self.until(LEAVE)
        status = os.waitpid(self.pid, options)[1]
        assert termios.tcgetattr(self._end) == self.modes
        return status

    def close(self):
        os.close(self._end)


@pytest.fixture
def terminal():
    opened = []

    def make(*words, **more):
        opened.append(Terminal(*words, **more))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def devices(prefix, dmsetup):
    names = [f"{prefix}{letter}" for letter in "abc"]
    for name in names:
        assert dmsetup("create", "--noudevsync", name, "--table", "0 8 zero").status == 0
    dmsetup("udevcomplete_all", "-y")
    yield names
    for name in names:
        assert dmsetup("remove", "--retry", name).status == 0


def names_of(page):
    return [line.split()[0].decode() for line in page[4:]]


def test_keys(terminal, devices):
    shown = terminal("0.2")
    shown.until(ENTER)
    page = shown.page()
    modes = termios.tcgetattr(shown._end)[LOCAL_MODES]
    assert not modes & (termios.ICANON | termios.ECHO)
    assert names_of(page) == devices
    assert b"\x1b[7mNAME\x1b[0m" in page[3]
    for key, heading in ((b"r", b"r/s"), (b"w", b"w/s"), (b"l", b"w ms"), (b"i", b"infl"), (b"u", b"util%")):
        shown.press(key)
        assert names_of(shown.page(b"\x1b[7m" + heading + b"\x1b[0m")) == devices
    shown.press(b"N")
    assert names_of(shown.page(b"\x1b[7mNAME\x1b[0m")) == devices[::-1]
    shown.press(b"\x1b[A?n")  # what is no key of ours is nothing
    assert names_of(shown.page(b"\x1b[7mNAME\x1b[0m")) in (devices, devices[::-1])
    shown.press(b"q")
    assert shown.wait() == 0


def test_resize(terminal, devices):
    shown = terminal("60")
    assert len(shown.page()[0]) <= 100
    shown.resize(30, 6)
    page = shown.page(b"more lines")  # at once, not after a minute
    assert len(page) == 6
    assert max(len(re.sub(rb"\x1b\[[0-9;]*m", b"", line)) for line in page) <= 30
    shown.press(b"q")
    assert shown.wait() == 0


def test_scroll(terminal, devices):
    """Four lines are above the devices: there is room for one of them, and for a line about the others."""
    a, b, c = devices
    shown = terminal("60", lines=6)
    steps = (
        (b"", a, 0),
        (b"j", b, 1),
        (b"\x1b[B", c, 2),
        (b"j", c, 2),  # no further than the last
        (b"k", b, 1),
        (b"\x1b[A", a, 0),
        (b"\x1b[6~", b, 1),  # PageDown: as much as there is room for
        (b"\x1b[5~", a, 0),
        (b"\x1bOF", c, 2),  # End, as a terminal sends it in its application mode
        (b"\x1b[H", a, 0),
        (b"N", c, 0),
    )
    for keys, first, above in steps:
        shown.press(keys)
        page = shown.page(f"2 more lines: {above} above, {2 - above} below".encode())
        assert len(page) == 6 and names_of(page[:5]) == [first], keys
    shown.resize(100, 7)  # now there is room for all
    assert names_of(shown.page(devices[2].encode())) == devices[::-1]
    shown.press(b"jq")
    assert shown.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_signals(terminal, number):
    shown = terminal("60")
    shown.page()
    os.kill(shown.pid, number)
    status = shown.wait()
    assert os.WTERMSIG(status) == number
    assert b"Traceback" not in shown.said


def test_control_c(terminal):
    shown = terminal("60")
    shown.page()
    shown.press(b"\x03")
    assert os.WTERMSIG(shown.wait()) == signal.SIGINT


def test_control_z(terminal, devices):
    """Stopped, the shell has its terminal; going on, it is taken again."""
    shown = terminal("60")
    shown.page()
    # The stop of a process group without a parent in the session is ignored by the kernel; pty.fork() has made one.
    os.kill(shown.pid, signal.SIGTSTP)
    shown.until(LEAVE)
    shown.until(ENTER)
    assert names_of(shown.page()) == devices
    shown.press(b"q")
    assert shown.wait() == 0


def test_count(terminal):
    shown = terminal("0.1", "2")
    shown.until(ENTER)
    assert shown.wait() == 0


def test_closed_terminal(terminal):
    """The terminal goes: no process stays behind."""
    shown = terminal("0.1")
    shown.page()
    end, shown._end = shown._end, os.open(os.devnull, os.O_RDONLY)
    os.close(end)
    status = os.waitpid(shown.pid, 0)[1]
    assert os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGHUP


def test_terminal_that_cannot_do_it(terminal, devices):
    shown = terminal("0.1", "1", term="dumb")
    assert b"\x1b" not in shown.until(devices[2].encode())
    assert os.waitpid(shown.pid, 0)[1] == 0
