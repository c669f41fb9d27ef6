# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole terminal for a display that is drawn again and again: keys come at once, and the terminal is given back."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from types import FrameType, TracebackType

from dmctl.cli import signals, stream

# ECMA-48 and xterm's second screen: what was on the terminal comes back.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_LONGEST_WAIT_S = 3600.0
_LOCAL_MODES = 3  # place in what tcgetattr() returns
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_MARKED = ("\x1b[7m", "\x1b[0m")
UP, DOWN, PAGE_UP, PAGE_DOWN, FIRST, LAST = "up", "down", "page up", "page down", "first", "last"
# What the terminal sends for them behind its CSI or SS3.
_CSI, _SS3, _ESCAPE = "\x1b[", "\x1bO", "\x1b"
_ENDS = {"A": UP, "B": DOWN, "H": FIRST, "F": LAST, "5~": PAGE_UP, "6~": PAGE_DOWN, "1~": FIRST, "4~": LAST}
_LONGEST_SEQUENCE = 16


def split_keys(typed: str) -> tuple[list[str], str]:
    """The keys in what was typed: characters, and names of those that send an escape sequence, others of which are left
    out; and the beginning of a sequence at the end, which is to be put before what comes next."""
    keys = []
    while typed:
        if typed[0] != _ESCAPE:
            keys.append(typed[0])
            typed = typed[1:]
        elif typed in (_ESCAPE, _CSI, _SS3):
            break
        elif not typed.startswith((_CSI, _SS3)):
            typed = typed[1:]  # the key itself; what follows is another
        else:
            # ECMA-48: parameters, and a final byte.
            end = 2
            while end < len(typed) and not "@" <= typed[end] <= "~":
                end += 1
            if end == len(typed):
                if end >= _LONGEST_SEQUENCE:
                    typed = ""
                break
            if (name := _ENDS.get(typed[2 : end + 1])) is not None:
                keys.append(name)
            typed = typed[end + 1 :]
    return keys, typed


def usable() -> bool:
    """Whether there is a terminal to draw on and to take keys from."""
    return all(file is not None and file.isatty() for file in (sys.stdin, sys.stdout)) and os.environ.get(
        "TERM", ""
    ) not in ("", "dumb")


def marked(text: str) -> str:
    """Text in reverse video."""
    return text.join(_MARKED)


class Screen:
    """`with Screen() as screen:` the terminal is ours; it is given back on every way out, and while we are stopped.

    Signals are only noted, and carried out while waiting for keys: nothing can come between a change of the terminal
    and its being undone.
    """

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._output = sys.stdout.fileno()
        self._noted: set[int] = set()
        self._typed = ""

    def __enter__(self) -> Screen:
        self._before = termios.tcgetattr(self._input)
        # A signal that Python handles makes the pipe readable, so that a wait does not miss it.
        self._wake, self._wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, self._note)
            for number in (*_ENDING, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
            if signal.getsignal(number) != signal.SIG_IGN
        }
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._give_back()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._wakeup_before)
            os.close(self._wake)
            os.close(self._wake_end)
        if kind is None:
            self._end_if_asked()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.add(number)

    def _take(self) -> None:
        modes = termios.tcgetattr(self._input)
        modes[_LOCAL_MODES] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._input, termios.TCSADRAIN, modes)
        self._say(_ENTER)

    def _give_back(self) -> None:
        self._say(_LEAVE)
        with suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    def _say(self, text: str) -> None:
        stream.write(text)
        stream.flush()

    def _end_if_asked(self) -> None:
        for number in _ENDING:
            if number in self._noted:
                raise KeyboardInterrupt if number == signal.SIGINT else signals.Terminated(number)

    def _obey(self) -> bool:
        """Carry out the signals that were noted; whether there was one after which to draw anew."""
        self._end_if_asked()
        noted, self._noted = self._noted, set()
        if signal.SIGTSTP in noted:  # ^Z: the shell has its terminal back until we go on
            self._give_back()
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, self._note)
        if noted & {signal.SIGTSTP, signal.SIGCONT}:
            self._take()
        return bool(noted)

    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        try:
            size = os.get_terminal_size(self._output)
        except OSError:
            return 80, 24
        return size.columns or 80, size.lines or 24

    def draw(self, lines: list[str]) -> bool:
        """Show these lines; whether the terminal is still there. They must fit."""
        stream.write(_HOME + "\n".join(f"{line}{_REST_OF_LINE}" for line in lines) + _REST_OF_SCREEN)
        return stream.flush() is None

    def keys(self, until: float) -> Iterator[str]:
        """The keys that are pressed until a time of time.monotonic(), by character or name; "" for a signal after which
        to draw anew.

        EOFError where there is no more input: the terminal has been closed. Signals to end are raised here.
        """
        while True:
            if self._obey():
                yield ""
            left = until - time.monotonic()
            if left <= 0:
                return
            ready, _, _ = select.select([self._input, self._wake], [], [], min(left, _LONGEST_WAIT_S))
            if self._wake in ready:
                os.read(self._wake, 1024)
            if self._input in ready:
                typed = os.read(self._input, 1024)
                if not typed:
                    raise EOFError
                keys, self._typed = split_keys(self._typed + typed.decode("ascii", "replace"))
                yield from keys
