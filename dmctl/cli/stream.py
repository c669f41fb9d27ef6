# SPDX-License-Identifier: LGPL-2.1-or-later
"""Standard output and error as bytes: names keep their odd bytes, whatever the locale."""

import os
import sys


def write(text: str) -> None:
    """Print to standard output, buffered as the C library would. What goes wrong is kept for flush()."""
    if sys.stdout is not None:
        try:
            sys.stdout.buffer.write(os.fsencode(text))
            if sys.stdout.line_buffering:  # a terminal
                sys.stdout.buffer.flush()
        except OSError as error:
            _Failure.first = _Failure.first or error


class _Failure:
    first: OSError | None = None


def flush() -> OSError | None:
    """Send what is buffered; the first error that any output met, if it met one."""
    if sys.stdout is not None:
        try:
            sys.stdout.buffer.flush()
        except OSError as error:
            _Failure.first = _Failure.first or error
            # What could not be sent must not be tried again, and reported again, when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _Failure.first


def error(text: str) -> None:
    """Print a line to standard error, at once."""
    data = os.fsencode(text + "\n")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass
