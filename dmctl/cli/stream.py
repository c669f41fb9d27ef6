# SPDX-License-Identifier: LGPL-2.1-or-later
"""Standard output and error as bytes: names keep their odd bytes, whatever the locale."""

import atexit
import os
import sys

_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_HELD_BYTES = 8192


# What waits to be sent. Held here, as Python's own buffer takes a lock, and with it the time, for each write.
_held: list[bytes] = []


class _Output:
    length = 0
    failure: OSError | None = None


def write(text: str) -> None:
    """Print to standard output, buffered as the C library would. What goes wrong is kept for flush()."""
    write_bytes(text.encode(_ENCODING, _ERRORS))


def write_bytes(data: bytes) -> None:
    """Likewise, as it is. What is long is not held."""
    if len(data) >= _HELD_BYTES:
        _send()
        _put(data)
        return
    _held.append(data)
    _Output.length += len(data)
    if _Output.length >= _HELD_BYTES:
        _send()
    elif sys.stdout is not None and sys.stdout.line_buffering:  # a terminal
        _send()
        _push()


def _send() -> None:
    data = b"".join(_held)
    _held.clear()
    _Output.length = 0
    _put(data)


def _put(data: bytes) -> None:
    if sys.stdout is not None:
        try:
            sys.stdout.buffer.write(data)
        except OSError as error:
            _Output.failure = _Output.failure or error


def _push() -> bool:
    try:
        sys.stdout.buffer.flush()
    except OSError as error:
        _Output.failure = _Output.failure or error
        return False
    return True


def flush() -> OSError | None:
    """Send what is buffered; the first error that any output met, if it met one."""
    _send()
    if sys.stdout is not None and not _push():
        # What could not be sent must not be tried again, and reported again, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _Output.failure


# For an end that nobody foresaw; the others flush, and see what came of it.
atexit.register(flush)


def error(text: str) -> None:
    """Print a line to standard error, at once."""
    data = os.fsencode(text + "\n")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass


def trace(raised: BaseException) -> None:
    """Print where an exception came from, without the lines of the source: nothing may be read from a file system that
    may be suspended."""
    lines = ["Traceback (most recent call last):"]
    at = raised.__traceback__
    while at:
        code = at.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_qualname}')
        at = at.tb_next
    error("\n".join([*lines, f"{type(raised).__qualname__}: {raised}"]))
