# SPDX-License-Identifier: LGPL-2.1-or-later
"""Part of a test in a process of its own: it may hang, use up libdevmapper's global state, or print."""

import gc
import os
import select
import signal
import sys
from typing import NamedTuple

LIMIT_MS = 20_000


class Ended(NamedTuple):
    """How it ended: the name of an exception that came out ("" for none), what was written."""

    error: str
    out: bytes
    err: bytes


def in_child(action, *, limit_ms=LIMIT_MS):
    """Call something in a fork of this process; fail if it does not end in time."""
    out, err, error = (os.memfd_create(name) for name in ("out", "err", "error"))
    pid = os.fork()
    if pid == 0:
        gc.freeze()  # to look through what the parent has made would copy every page of it
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            # pytest has put its own in these places.
            sys.stdin, sys.stdout = open(os.devnull), open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
            sys.unraisablehook = sys.__unraisablehook__
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.write(error, _call(action).encode())
            sys.stdout.flush()
        finally:
            os._exit(0)
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    in_time = bool(poll.poll(limit_ms))
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    os.close(pidfd)
    ended = Ended(_all_of(error).decode(), _all_of(out), _all_of(err))
    assert in_time, f"does not end: {ended}"
    assert status == 0, f"died of {status}: {ended}"
    return ended


def _call(action):
    try:
        action()
    except BaseException as ending:
        name = type(ending).__name__
    else:
        name = ""
    gc.collect()
    return name


def _all_of(memory):
    os.lseek(memory, 0, os.SEEK_SET)
    with open(memory, "rb") as file:
        return file.read()
