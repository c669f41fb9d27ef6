# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmsetup's commands about udev cookies, most of them for udev's rules."""

import os
import sys
import time

from dmctl.cli import signals, stream
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.switches import Request, cookie_value, scan_unsigned
from dmctl.errors import DmctlError
from dmctl.libdm import udev

_MAGIC = 0x0D4D
_FLAGS_SHIFT = 16
_FLAG_NAMES = (
    "DISABLE_DM_RULES",
    "DISABLE_SUBSYSTEM_RULES",
    "DISABLE_DISK_RULES",
    "DISABLE_OTHER_RULES",
    "LOW_PRIORITY",
    "DISABLE_LIBRARY_FALLBACK",
    "PRIMARY_SOURCE",
)
_PREFIX = f"{_MAGIC} (0x{_MAGIC:x})"


def _cookie(text: str) -> int:
    cookie = cookie_value(text)
    if not cookie:
        raise Failed("")
    return cookie


def create(request: Request, operands: list[str], multiple: bool) -> None:
    """udevcreatecookie"""
    cookie = udev.create_cookie()
    if cookie:
        stream.write(f"0x{cookie:08X}\n")


def release(request: Request, operands: list[str], multiple: bool) -> None:
    """udevreleasecookie [COOKIE]"""
    cookie = _cookie(operands[0]) if operands else request.cookie
    if not cookie:
        raise Failed("No udev transaction cookie given.")
    with signals.Raised():
        udev.release(cookie)


def flags(request: Request, operands: list[str], multiple: bool) -> None:
    """udevflags COOKIE: the upper half of a cookie is flags, eight of libdevmapper's and eight of a subsystem's."""
    bits = _cookie(operands[0]) >> _FLAGS_SHIFT
    for bit in range(_FLAGS_SHIFT):
        if not bits >> bit & 1:
            continue
        if bit < len(_FLAG_NAMES):
            stream.write(f"DM_UDEV_{_FLAG_NAMES[bit]}_FLAG='1'\n")
        elif bit < _FLAGS_SHIFT // 2:
            stream.write(f"DM_UDEV_FLAG{bit}='1'\n")
        else:
            stream.write(f"DM_SUBSYSTEM_UDEV_FLAG{bit - _FLAGS_SHIFT // 2}='1'\n")


def complete(request: Request, operands: list[str], multiple: bool) -> None:
    """udevcomplete COOKIE: one with flags alone is nobody's transaction."""
    cookie = _cookie(operands[0])
    stream.write(f"DM_COOKIE_COMPLETED=0x{cookie:<10x}\n")
    base = cookie & (1 << _FLAGS_SHIFT) - 1
    if base:
        udev.complete(_MAGIC << _FLAGS_SHIFT | base)


def complete_all(request: Request, operands: list[str], multiple: bool) -> None:
    """udevcomplete_all [MINUTES]"""
    minutes = 0
    if operands:
        number = scan_unsigned(operands[0])
        if number is None:
            raise Failed("Failed to read age_in_minutes parameter.")
        minutes = number
    if not request.has("yes"):
        older = f"older than {minutes} minutes " if minutes else ""
        stream.error(
            f"WARNING: This operation will destroy all semaphores {older}with keys that have a prefix {_PREFIX}."
        )
        if not _confirmed("Do you really want to continue? [y/n]: "):
            stream.write(f"Semaphores with keys prefixed by {_PREFIX} NOT destroyed.\n")
            return
    destroyed = skipped = 0
    for semaphore in udev.semaphores():
        now = int(time.time())
        if max(semaphore.changed, semaphore.operated) + minutes * 60 > now:
            skipped += 1
            continue
        try:
            udev.destroy(semaphore.key)
            destroyed += 1
        except DmctlError:
            stream.error(
                f"Could not cleanup notification semaphore with semid {semaphore.id} "
                f"and cookie value {semaphore.key} (0x{semaphore.key:x})."
            )
    stream.write(f"{destroyed} semaphores with keys prefixed by {_PREFIX} destroyed. {skipped} skipped.\n")


def _confirmed(prompt: str) -> bool:
    """Ask on standard output until a line has a y or an n in it; the end of the input is a no."""
    answer = ""
    stream.write(prompt)
    while True:
        stream.flush()
        line = sys.stdin.buffer.readline() if sys.stdin else b""
        for letter in line.decode("ascii", "replace").lower():
            if letter in "yn":
                answer = letter
        if not line.endswith(b"\n"):
            stream.write("\n")
            return False
        if answer:
            return answer == "y"
        stream.write(prompt)


def list_all(request: Request, operands: list[str], multiple: bool) -> None:
    """udevcookies"""
    found = udev.semaphores()
    stream.write("Cookie       Semid      Value      Last semop time           Last change time\n")
    for semaphore in found:
        if semaphore.value is None:
            stream.error(
                f"semid {semaphore.id}: sem_ctl failed for cookie 0x{semaphore.key:x}: {os.strerror(semaphore.error)}"
            )
            continue
        stream.write(
            f"0x{semaphore.key:<10x} {semaphore.id:<10} {semaphore.value:<10} "
            f"{time.ctime(semaphore.operated)}  {time.ctime(semaphore.changed)}\n"
        )
