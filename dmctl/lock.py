# SPDX-License-Identifier: LGPL-2.1-or-later
"""One process at a time, where several of dmctl would come in each other's way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EBUSY

from dmctl.errors import DmctlError, InUseError

FOLDER = "/run/dmctl"


@contextmanager
def locked(key: str, what: str, *, wait: bool = True) -> Iterator[None]:
    """Held for the length of a `with`. key: the same word for all that want the same. what: for messages, "the pool x".

    wait: for the process that holds it; else raises InUseError. Raises DmctlError where no lock can be made.
    """
    try:
        os.makedirs(FOLDER, mode=0o755, exist_ok=True)
        descriptor = os.open(f"{FOLDER}/{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"{what[:1].upper()}{what[1:]} cannot be locked, {FOLDER} cannot be written: {error.strerror}."
        raise DmctlError(message, errno=error.errno or 0) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InUseError(f"Another process is changing {what}.", errno=EBUSY) from None
        yield
    finally:
        os.close(descriptor)
