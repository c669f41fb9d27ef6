# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files and block devices that data, hashes and parity are on: opened so that nothing in use is written to."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from dmctl.errors import DmctlError, NotFoundError, UsageError


@dataclass(frozen=True, slots=True)
class Place:
    """An open regular file or block device. identity: equal for two descriptors of the same.

    direct_fd: to read all of it by, past the page cache where it is a device; reads must be aligned as O_DIRECT wants.
    """

    path: str
    fd: int
    direct_fd: int
    size_bytes: int
    is_device: bool
    identity: tuple[int, int]
    made: bool = False


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a place that something needs. what: for messages, "the data"."""

    place: Place
    start_bytes: int
    length_bytes: int
    what: str

    @property
    def end_bytes(self) -> int:
        return self.start_bytes + self.length_bytes


@contextmanager
def opened(path: str, *, write: bool = False, make: bool = False) -> Iterator[Place]:
    """Open a file or device for the length of a `with`.

    write: a device must not be mounted or held by anything else, and is not while it is open. make: a file that there
    is not is made, readable by its owner only; it goes away again where the `with` ends in an exception.

    Raises DmctlError with errno; UsageError where it is neither a file nor a block device.
    """
    fd, made = _open(path, write=write, make=make)
    try:
        try:
            status = os.fstat(fd)
            is_device = stat.S_ISBLK(status.st_mode)
            if not is_device and not stat.S_ISREG(status.st_mode):
                raise UsageError(f"{path} is neither a file nor a block device.")
            identity = (0, status.st_rdev) if is_device else (status.st_dev, status.st_ino)
            direct_fd = _direct(path) if is_device else -1
            try:
                size_bytes = os.lseek(fd, 0, os.SEEK_END)
                yield Place(path, fd, fd if direct_fd < 0 else direct_fd, size_bytes, is_device, identity, made)
            finally:
                if direct_fd >= 0:
                    os.close(direct_fd)
        finally:
            os.close(fd)
    except BaseException:
        if made:
            with suppress(OSError):
                os.unlink(path)
        raise


def _open(path: str, *, write: bool, make: bool) -> tuple[int, bool]:
    flags = (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        if make:
            with suppress(FileExistsError):
                return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
        # Of a block device O_EXCL is a claim, which mounts and device-mapper have too: see bd_prepare_to_claim().
        if write and stat.S_ISBLK(os.stat(path).st_mode):
            flags |= os.O_EXCL
        return os.open(path, flags), False
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NotFoundError(f"{path} does not exist.", errno=errno.ENOENT) from None
        if error.errno == errno.EBUSY:
            raise DmctlError(f"{path} is in use: mounted, or held by a device above it.", errno=errno.EBUSY) from None
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None


def _direct(path: str) -> int:
    """A descriptor for reads past the page cache; -1 where there is no such thing."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return -1


def refuse_overlap(extents: Sequence[Extent]) -> None:
    """Raise UsageError where two of them share bytes."""
    for number, one in enumerate(extents):
        for other in extents[number + 1 :]:
            if (
                one.place.identity == other.place.identity
                and one.start_bytes < other.end_bytes
                and other.start_bytes < one.end_bytes
            ):
                raise UsageError(
                    f"{one.what.capitalize()} (bytes {one.start_bytes} to {one.end_bytes - 1} of {one.place.path}) and "
                    f"{other.what} (bytes {other.start_bytes} to {other.end_bytes - 1}) overlap."
                )


def refuse_too_small(extent: Extent) -> None:
    """Raise UsageError where a place ends before what should be there."""
    if extent.end_bytes > extent.place.size_bytes:
        raise UsageError(
            f"{extent.place.path} has {extent.place.size_bytes} bytes, too few for {extent.what} "
            f"up to byte {extent.end_bytes}."
        )


def signature_at(path: str, offset_bytes: int = 0) -> str | None:
    """What libblkid takes a device or file for from an offset on: "ext4", "gpt", "DM_verity_hash"; None for nothing.

    Raises DmctlError where blkid(8) is not there or cannot look.
    """
    import subprocess

    command = ["blkid", "--probe", "--output", "export", "--offset", str(offset_bytes), "--", path]
    environment = os.environ | {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise DmctlError(f"blkid cannot be run to look what is on {path}: {error.strerror}.") from None
    if done.returncode == 2:  # nothing, or too small for anything
        return None
    if done.returncode == 8:
        return "more than one signature"
    if done.returncode:
        raise DmctlError(f"blkid cannot look what is on {path}: exit status {done.returncode}.")
    values = dict(line.partition("=")[::2] for line in os.fsdecode(done.stdout).splitlines())
    return values.get("TYPE") or values.get("PTTYPE") or "an unknown signature"
