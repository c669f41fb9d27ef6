# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Python did to the environment before anything of dmctl ran."""

import os


def undo_locale_coercion() -> None:
    """Take back the LC_CTYPE that Python sets for itself in the C locale (PEP 538).

    It would change what tree lines are drawn with, and the environment of --exec.
    """
    if os.environ.get("LC_CTYPE") != "C.UTF-8" or os.environ.get("LC_ALL"):
        return
    try:
        with open("/proc/self/environ", "rb") as environment:
            before = [entry for entry in environment.read().split(b"\0") if entry.startswith(b"LC_CTYPE=")]
    except OSError:
        return
    if not before:
        del os.environ["LC_CTYPE"]
    else:
        os.environ["LC_CTYPE"] = os.fsdecode(before[0].partition(b"=")[2])
