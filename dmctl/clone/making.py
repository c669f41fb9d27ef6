# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clones made, made again after a reboot, and given up."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from dmctl import loop
from dmctl.clone import metadata
from dmctl.clone.live import CloneError
from dmctl.clone.planning import Choices, Plan, lines, plan, refuse_same
from dmctl.clone.recipe import FINISHED, LIVE, NEW, Recipe, changing
from dmctl.device import Device
from dmctl.disk import Disk, refuse_odd_name
from dmctl.errors import DmctlError, InUseError, NotFoundError
from dmctl.lock import locked
from dmctl.thin.superblock import BLOCK_BYTES


@contextmanager
def _making(name: str) -> Iterator[None]:
    """No other clone is made meanwhile: devices that are free now stay so. Nor is this one changed."""
    refuse_odd_name(name)
    with locked("clones", "clones"), changing(name):
        yield


def create(name: str, source_path: str, destination_path: str, choices: Choices, *, held: bool = False) -> Plan:
    """Make the clone; what is on the destination and in the metadata is lost. Nothing is left of it on failure.

    held: the caller is going to start the copying.
    Raises as plan() does, DeviceError, RecipeError.
    """
    with _making(name):
        made = plan(name, source_path, destination_path, choices)
        here = made.recipe
        if made.recipe.made_file:
            _make_file(here.metadata, made.metadata_bytes)
        try:
            with _metadata_device(here) as disk:
                # Before the recipe is there: an assemble must never meet the bits of another clone.
                disk.wipe(BLOCK_BYTES)
                here.store()
                if here.set_ro:
                    made.source.set_read_only(True)
                table = lines(replace(here, paused=here.paused or held), made.source, made.destination, disk)
                Device(name).create(table, uuid=here.dm_uuid)
            replace(here, state=LIVE).store()
        except BaseException:
            _undo(made)
            raise
        return made


def _undo(made: Plan) -> None:
    """Of a clone that came to nothing."""
    try:
        if Device(made.recipe.name).info().uuid == made.recipe.dm_uuid:
            Device(made.recipe.name).remove(retry=True)
    except NotFoundError:
        pass
    release_source(made.recipe)
    _forget(made.recipe)


def _forget(made: Recipe) -> None:
    """The recipe, and the metadata where they are a file that dmctl has made."""
    made.forget()
    if made.made_file:
        try:
            os.unlink(made.metadata)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise DmctlError(f"{made.metadata} cannot be removed: {error.strerror}.", errno=error.errno or 0) from None


def _make_file(path: str, size_bytes: int) -> None:
    """With all of its room: metadata for which there is none later cannot be written."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            os.fsync(descriptor)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DmctlError(f"{path} cannot be made: {error.strerror}.", errno=error.errno or 0) from None


@contextmanager
def _metadata_device(made: Recipe) -> Iterator[Disk]:
    """The metadata as a device, by a loop device that a clone above it keeps, where they are a file."""
    if not made.metadata_file:
        yield Disk.at(made.metadata, "--metadata")
        return
    _refuse_attached(made.metadata)
    with loop.attached(made.metadata, write=True) as node:
        yield Disk.at(node, "--metadata-file")


def _refuse_attached(path: str) -> None:
    """Two loop devices over one file do not know of each other. Raises InUseError."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DmctlError(f"{path} cannot be opened: {error.strerror}.", errno=error.errno or 0) from None
    for node, file in loop.backings():
        if file == (status.st_dev, status.st_ino):
            raise InUseError(f"{path} is in use by {node}.", errno=errno.EBUSY)


def release_source(made: Recipe) -> None:
    """Let the source be written again, where it is still there and dmctl has made it read-only."""
    if made.set_ro:
        with suppress(DmctlError):
            Disk.at(made.source, "source", shared=True).set_read_only(False)


# ---- after a reboot ----


def assemble(name: str, *, held: bool = False) -> tuple[Recipe, bool]:
    """Make the device of a clone again, or of one that is finished; whether there was none yet.

    held: the caller is going to start the copying.
    Raises NotFoundError, RecipeError; CloneError where the metadata or a device is not the one that it was.
    """
    with _making(name):
        made = Recipe.load(name)
        try:
            info = Device(name).info()
        except NotFoundError:
            pass
        else:
            if info.uuid != made.dm_uuid:
                raise DmctlError(f"There is another device {name} already.", errno=errno.EEXIST)
            return made, False
        source = destination = Disk.at(made.destination, "destination")
        if destination.size_sectors < made.length_sectors + made.tail_sectors:
            raise CloneError(f"{made.destination} is smaller than the clone: it is another device than it was.")
        if made.state == FINISHED:
            Device(name).create(lines(made, source, destination, ""), uuid=made.dm_uuid)
            return made, True
        source = Disk.at(made.source, "source", shared=True)
        if source.size_sectors != made.length_sectors:
            raise CloneError(f"{made.source} has another size than it had: it is another device, or has changed.")
        with _metadata_device(made) as disk:
            refuse_same(source, destination, disk)
            _refuse_other_metadata(made, disk.path)
            if made.set_ro:
                source.set_read_only(True)
            again = replace(made, assembled=made.assembled + 1)
            again.store()
            table = lines(replace(again, paused=again.paused or held), source, destination, disk)
            Device(name).create(table, uuid=again.dm_uuid)
        if made.state == NEW:
            again = replace(again, state=LIVE)
            again.store()
        return again, True


def _refuse_other_metadata(made: Recipe, node: str) -> None:
    """Raises CloneError where the kernel would begin anew, over what was written to the destination since."""
    superblock = metadata.read_superblock(node)
    if superblock is None:
        if made.state == NEW:
            return
        raise CloneError(f"The metadata in {made.metadata} are gone: which regions are new cannot be told any more.")
    if (superblock.region_sectors, superblock.target_sectors) != (made.region_sectors, made.length_sectors):
        raise CloneError(f"The metadata in {made.metadata} are those of another clone.")


# ---- the end of one that is not finished ----


def abort(name: str) -> None:
    """Remove the device, if there is one, and forget the clone; metadata that dmctl has made a file for goes with it.

    Raises NotFoundError where there is neither, DeviceError with EBUSY where it is in use.
    """
    with changing(name):
        made = Recipe.load(name)
        try:
            if Device(name).info().uuid == made.dm_uuid:
                Device(name).remove(retry=True)
        except NotFoundError:
            pass
        release_source(made)
        _forget(made)
