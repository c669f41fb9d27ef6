# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals as exceptions, so that what was made is unmade, and the death by signal that the caller expects."""

# The public module imports enum, a quarter of what a compatible command may cost.
import _signal  # type: ignore[import-not-found]
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

_ENDING = (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)


class Terminated(BaseException):
    """A signal asked the process to end; args[0] is its number."""


def _raise(number: int, frame: "FrameType | None") -> None:
    raise Terminated(number)


class Raised:
    """`with Raised():` SIGTERM, SIGHUP and SIGQUIT are raised as Terminated, as SIGINT is as KeyboardInterrupt."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = [
            (number, _signal.signal(number, _raise))
            for number in _ENDING
            if _signal.getsignal(number) == _signal.SIG_DFL
        ]

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        for number, handler in self._before:
            _signal.signal(number, handler)


def die_of(number: int) -> int:
    """End by the signal itself, so that a shell sees it; the exit status for the case that it is blocked."""
    _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


SIGINT = int(_signal.SIGINT)
SIGPIPE = int(_signal.SIGPIPE)
