# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end of a clone: a linear table onto the destination, in the place of the clone."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from dmctl import names
from dmctl.clone.live import QUIET, CloneError, Live, refuse_broken
from dmctl.clone.making import release_source
from dmctl.clone.recipe import FINISHED, Recipe, changing
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, DmctlError, ExitStatus
from dmctl.names import Devno
from dmctl.rates import Counts
from dmctl.table import Line
from dmctl.units import SECTOR_BYTES

_BLKFLSBUF = 0x1261
_COMPARED_BYTES = 1 << 22


class DifferentError(DmctlError):
    """The destination is not what the source is."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.VERIFICATION


@dataclass(frozen=True, slots=True)
class Finished:
    """verified: the destination was compared with the source. notes: what the user should know."""

    name: str
    destination: Devno
    metadata: Devno
    verified: bool
    notes: tuple[str, ...]


Progress = Callable[[int, int], None] | None


def finish(name: str, *, verify: bool = False, progress: Progress = None) -> Finished:
    """Put a linear table in the place of a clone that has everything; the device may be in use.

    verify: compare destination and source before, where that can be. progress: called with bytes done and of all.
    Raises CloneError where it has not everything; DifferentError; DeviceError: then the clone goes on as before.
    """
    live = Live.find(name)
    with changing(live.name):
        made = Recipe.find(live.name)
        if made is not None and made.dm_uuid != live.uuid:
            made = None
        _refuse_unfinished(live)
        notes: list[str] = []
        verified = False
        if verify:
            why = _written(live, made)
            if not why:
                _compare(live, progress)
                why = _written(live, made)
            verified = not why
            if why:
                notes.append(f"Not compared with the source: {why}.")
        if made is not None:
            # Before the swap: from there on the metadata are nobody's, and must not be asked for again.
            replace(made, state=FINISHED).store()
        try:
            _swap(live)
        except BaseException:
            if made is not None and _is_clone(live):
                made.store()
            raise
        _flush_buffers(live.destination)
        notes += _release(live, made)
        return Finished(live.name, live.destination, live.metadata, verified, tuple(notes))


def _refuse_unfinished(live: Live) -> None:
    """Hydrated regions stay so. So what is found here holds until the swap."""
    if Device(live.name).info().suspended:
        raise CloneError(f"{live.name} is suspended; dmctl resume {live.name} ends that.")
    status = live.status()
    refuse_broken(live.name, status)
    if status.hydrated_regions != status.total_regions or status.hydrating_regions:
        left = (status.total_regions or 0) - (status.hydrated_regions or 0)
        what = f"{left} of {status.total_regions} regions" if left else "the last regions"
        message = f"{live.name} cannot be finished: {what} are not copied yet. dmctl clone watch {live.name} waits."
        raise CloneError(message)
    bitmap = live.bitmap()
    if bitmap.hydrated != bitmap.superblock.regions:
        message = f"{live.name} cannot be finished: its metadata on the disk have {bitmap.hydrated} regions as copied"
        raise CloneError(f"{message}, of {bitmap.superblock.regions}.")


def _is_clone(live: Live) -> bool:
    try:
        return any(line.target == "clone" for line in Device(live.name, options=QUIET).table()[0])
    except DeviceError:
        return True


def _swap(live: Live) -> None:
    """One request that holds I/O back, changes the table and lets it go on.

    Without a freeze of the file system: it reads and writes the same bytes before and after.
    """
    linear = Line(live.line.start_sectors, live.line.length_sectors, "linear", f"{live.arguments.destination} 0")
    device = Device(live.name, options=Options(skip_lockfs=True))
    read_only = device.info().read_only
    device.load(sorted((linear, *live.rest), key=lambda line: line.start_sectors), read_only=read_only)
    try:
        device.resume()
    except BaseException:
        if _is_clone(live):
            device.clear()
        raise


def _flush_buffers(devno: Devno) -> None:
    """What the page cache has of the destination itself is from before the copy (BLKFLSBUF)."""
    with suppress(OSError):
        descriptor = os.open(names.block_node(devno), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _BLKFLSBUF, 0)
        finally:
            os.close(descriptor)


def _release(live: Live, made: Recipe | None) -> list[str]:
    """Source and metadata; a file of dmctl's goes, its loop device has gone with the clone. Notes."""
    if made is not None:
        release_source(made)
    if made is None or not made.metadata_file:
        return [f"{names.node(live.metadata)} is free: the metadata are not used any more."]
    if made.made_file:
        try:
            os.unlink(made.metadata)
        except OSError as error:
            return [f"{made.metadata} is not used any more, and cannot be removed: {error.strerror}."]
        return []
    return [f"{made.metadata} is not used any more."]


# ---- comparing ----


def _written(live: Live, made: Recipe | None) -> str:
    """Why destination and source may differ; "" where nothing was written to the clone in its life."""
    if made is None:
        return "it was not made by dmctl, so what was written to it before is not known"
    if made.assembled:
        return "it was assembled again since it was made, so what was written to it before is not known"
    try:
        counts = Counts.of(live.devno)
    except (OSError, ValueError):
        return "the kernel does not tell whether it was written to"
    if counts.write_sectors or counts.discard_sectors:
        return f"it was {'written to' if counts.write_sectors else 'discarded in part'}, and so may differ from it"
    return ""


def _compare(live: Live, progress: Progress) -> None:
    """Raises DifferentError, with the first byte; DmctlError where one cannot be read."""
    length = live.line.length_sectors * SECTOR_BYTES
    with ExitStack() as stack:
        pair = []
        for devno in (live.source, live.destination):
            node = names.block_node(devno)
            try:
                descriptor = os.open(node, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
            except OSError as error:
                raise DmctlError(f"{node} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
            stack.callback(os.close, descriptor)
            pair.append((node, descriptor, stack.enter_context(mmap.mmap(-1, _COMPARED_BYTES))))
        for at in range(0, length, _COMPARED_BYTES):
            count = min(_COMPARED_BYTES, length - at)
            ours, theirs = (_read(*one, at, count) for one in pair)
            if ours != theirs:
                first = at + next(number for number in range(count) if ours[number] != theirs[number])
                message = f"{live.name} is not finished: byte {first} of {pair[1][0]} is not that of {pair[0][0]}."
                raise DifferentError(f"{message} Was the source written to?")
            if progress is not None:
                progress(at + count, length)


def _read(node: str, descriptor: int, page: mmap.mmap, at: int, count: int) -> bytes:
    done = 0
    with memoryview(page) as view:
        while done < count:
            try:
                got = os.preadv(descriptor, [view[done:count]], at + done)
            except OSError as error:
                message = f"{node} cannot be read at byte {at + done}: {error.strerror}."
                raise DmctlError(message, errno=error.errno or 0) from None
            if not got:
                raise DmctlError(f"{node} ends at byte {at + done}.")
            done += got
    return page[:count]
