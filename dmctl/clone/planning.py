# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clone as it is going to be made: what is chosen for it, and what speaks against it."""

from __future__ import annotations

import errno
import os
import stat
import uuid as uuids
from collections.abc import Iterator
from dataclasses import dataclass

from dmctl import holders
from dmctl.clone import recipe
from dmctl.clone.metadata import MOST_REGIONS, REGION_SECTORS, REGIONS_PER_BLOCK
from dmctl.clone.recipe import FINISHED, Recipe, recipes, stable_path
from dmctl.disk import Disk, refuse_name
from dmctl.errors import DmctlError, InUseError, UsageError
from dmctl.names import Devno
from dmctl.table import Line
from dmctl.targets.clone import CloneArguments
from dmctl.thin.superblock import BLOCK_BYTES
from dmctl.units import SECTOR_BYTES, format_size, parse_devno

# Two transactions at once, each with all of the bits, and what else there is. Of the kernel one with less becomes
# read-only when it commits, and 6.1 has panicked with 8 blocks.
_LEAST_BLOCKS, _BLOCKS_BESIDE, _SHARES = 1024, 64, 3
_SMALL_SECTORS = 64 << 21
_SMALL_REGION, _LARGE_REGION = 8, 128
_COPY_SECTORS = 2048
"""What is copied as one, and four times as much at once, unless the user has it otherwise: 1 MiB."""
_COPIES_AT_ONCE = 4
# File systems in memory: a file there is gone after a reboot.
_VOLATILE = ("tmpfs", "ramfs", "devtmpfs")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user may choose; None where it is for dmctl to choose.

    metadata: a device. metadata_file: a file instead, made where there is none.
    """

    metadata: str | None = None
    metadata_file: str | None = None
    region_sectors: int | None = None
    threshold_regions: int | None = None
    batch_regions: int | None = None
    no_hydration: bool = False
    no_discard_passdown: bool = False
    grow: bool = False
    set_ro: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A clone as it is going to be made. metadata_disk: None where a file is used. notes: what the user should know."""

    recipe: Recipe
    source: Disk
    destination: Disk
    metadata_disk: Disk | None
    metadata_bytes: int
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[Line]:
        """The table; ? stands for the loop device over a metadata file."""
        return lines(self.recipe, self.source, self.destination, self.metadata_disk or "?")


def metadata_blocks(regions: int) -> int:
    """How many blocks of 4 KiB the metadata must have."""
    return max(_LEAST_BLOCKS, _SHARES * -(-regions // REGIONS_PER_BLOCK) + _BLOCKS_BESIDE)


def plan(name: str, source_path: str, destination_path: str, choices: Choices) -> Plan:
    """Check all that can be checked before anything is written. Raises UsageError, DmctlError with errno."""
    refuse_name(name)
    if Recipe.find(name) is not None:
        message = f"There is a clone {name} already, not active: dmctl clone assemble makes it so, abort forgets it."
        raise DmctlError(message, errno=errno.EEXIST)
    source = Disk.at(source_path, "--source", shared=True)
    destination = Disk.at(destination_path, "--dest")
    disk = None if choices.metadata is None else Disk.at(choices.metadata, "--metadata")
    refuse_same(source, destination, disk)
    _refuse_mounted(source)
    _refuse_other_clones(destination, disk)
    _refuse_sizes(source, destination, grow=choices.grow)
    region = choices.region_sectors or _region(source, destination)
    _refuse_region(region, source, destination)
    blocks = metadata_blocks(-(-source.size_sectors // region))
    file = None if disk else os.path.abspath(choices.metadata_file or f"{recipe.FOLDER}/{name}.metadata")
    made_file = _refuse_metadata(disk, file, blocks, region)
    batch = choices.batch_regions or max(1, _COPY_SECTORS // region)
    threshold = choices.threshold_regions
    made = Recipe(
        name,
        str(uuids.uuid4()),
        source=stable_path(source.path, source.devno),
        destination=stable_path(destination.path, destination.devno),
        metadata=stable_path(disk.path, disk.devno) if disk else file or "",
        metadata_file=disk is None,
        made_file=made_file,
        region_sectors=region,
        length_sectors=source.size_sectors,
        tail_sectors=destination.size_sectors - source.size_sectors if choices.grow else 0,
        threshold_regions=_COPIES_AT_ONCE * batch if threshold is None else threshold,
        batch_regions=batch,
        paused=choices.no_hydration,
        no_discard_passdown=choices.no_discard_passdown,
        set_ro=choices.set_ro and not source.read_only,
    )
    return Plan(made, source, destination, disk, blocks * BLOCK_BYTES, tuple(_notes(source, file, choices)))


def _notes(source: Disk, file: str | None, choices: Choices) -> Iterator[str]:
    if not source.read_only and not choices.set_ro:
        yield (
            f"{source.path} can be written, and the clone is spoilt where it is; --set-ro makes it read-only as long "
            "as there is the clone."
        )
    if file is not None and _filesystem(os.path.dirname(file)) in _VOLATILE:
        yield f"{file} is in memory: after a reboot there is no way to go on with this clone."


def _filesystem(folder: str) -> str:
    """Type of the file system that a folder is in; "" where that is not known."""
    while not os.path.isdir(folder) and folder != "/":
        folder = os.path.dirname(folder)
    number = os.stat(folder).st_dev
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            mounts = holders.parse_mountinfo(file.read())
    except OSError:
        return ""
    devno = (os.major(number), os.minor(number))
    return next((mount.filesystem for mount in mounts if mount.devno == devno), "")


def refuse_same(source: Disk, destination: Disk, metadata_disk: Disk | None) -> None:
    named = {"--source": source, "--dest": destination, "--metadata": metadata_disk}
    seen: dict[tuple[int, int], str] = {}
    for option, disk in named.items():
        if disk and disk.devno in seen:
            raise UsageError(f"{seen[disk.devno]} and {option} are the same device, {disk.path}.")
        if disk:
            seen[disk.devno] = option
    for upper, option in seen.items():
        for lower in _below(upper) & seen.keys():
            raise UsageError(f"{option} stands on {seen[lower]}: the two share their bytes.")


def _below(devno: Devno) -> set[Devno]:
    """All devices that one stands on, as /sys tells."""
    found: set[Devno] = set()
    left = [devno]
    while left:
        major, minor = left.pop()
        folder = f"/sys/dev/block/{major}:{minor}/slaves"
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with open(f"{folder}/{name}/dev", encoding="ascii") as file:
                lower = parse_devno(file.read())
            if lower not in found:
                found.add(lower)
                left.append(lower)
    return found


def _refuse_mounted(source: Disk) -> None:
    """The kernel would refuse it, as busy. Raises InUseError."""
    mounts = holders.mounts().get(source.devno)
    if mounts:
        message = f"--source: {source.path} is mounted on {mounts[0].point}; it must not be, and the clone can be."
        raise InUseError(message, errno=errno.EBUSY)


def _refuse_other_clones(destination: Disk, metadata_disk: Disk | None) -> None:
    """Of clones that are not active, and so hold nothing. Raises InUseError."""
    for option, disk in (("--dest", destination), ("--metadata", metadata_disk)):
        for other in recipes() if disk else ():
            assert disk
            if other.state != FINISHED and disk.devno in map(_devno, (other.destination, other.metadata)):
                message = f"{option}: {disk.path} is in use by the clone {other.name}, which is not active. dmctl clone"
                raise InUseError(f"{message} abort {other.name} gives that up.", errno=errno.EBUSY)


def _devno(path: str) -> Devno | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (os.major(status.st_rdev), os.minor(status.st_rdev)) if stat.S_ISBLK(status.st_mode) else None


def _refuse_sizes(source: Disk, destination: Disk, *, grow: bool) -> None:
    if destination.read_only:
        raise UsageError(f"--dest: {destination.path} is read-only.")
    if not source.size_sectors:
        raise UsageError(f"--source: {source.path} is empty.")
    if destination.size_sectors < source.size_sectors:
        have, need = format_size(destination.size_bytes), format_size(source.size_bytes)
        raise UsageError(f"--dest: {destination.path} has {have}, less than the {need} of {source.path}.")
    if source.size_sectors % destination.block_sectors:
        block = format_size(destination.block_sectors * SECTOR_BYTES)
        message = f"--source: the {source.size_sectors} sectors of {source.path} are not whole blocks of {block}"
        raise UsageError(f"{message}, which {destination.path} is written in.")
    if grow and destination.size_sectors == source.size_sectors:
        raise UsageError(f"--grow: {destination.path} is no larger than {source.path}.")


def _region(source: Disk, destination: Disk) -> int:
    """The size of a region: small ones copy less when a file system writes, and need more metadata."""
    region = _SMALL_REGION if source.size_sectors <= _SMALL_SECTORS else _LARGE_REGION
    region = max(region, source.block_sectors, destination.block_sectors)
    while -(-source.size_sectors // region) > MOST_REGIONS:
        region *= 2
    return region


def _refuse_region(region: int, source: Disk, destination: Disk) -> None:
    size = format_size(region * SECTOR_BYTES)
    if region not in REGION_SECTORS:
        raise UsageError(f"--region-size: {size} is no power of two from 4 KiB to 1 GiB.")
    for disk in (source, destination):
        if region % disk.block_sectors:
            block = format_size(disk.block_sectors * SECTOR_BYTES)
            raise UsageError(f"--region-size: {size} is no multiple of the blocks of {disk.path}, {block}.")
    if -(-source.size_sectors // region) > MOST_REGIONS:
        raise UsageError(f"--region-size: {source.path} has more than {MOST_REGIONS} regions of {size}.")


def _refuse_metadata(disk: Disk | None, file: str | None, blocks: int, region: int) -> bool:
    """Raises UsageError where there is not enough room. Whether there is a file to make."""
    if disk:
        option, path, size_bytes = "--metadata", disk.path, disk.size_bytes
        if disk.read_only:
            raise UsageError(f"--metadata: {disk.path} is read-only.")
    else:
        assert file
        option, path = "--metadata-file", file
        try:
            status = os.stat(file)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise DmctlError(f"{option}: {file}: {error.strerror}.", errno=error.errno or 0) from None
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{option}: {file} is no file; --metadata takes a device.")
        size_bytes = status.st_size
    if size_bytes < blocks * BLOCK_BYTES:
        need = format_size(blocks * BLOCK_BYTES)
        message = f"{option}: {path} has {format_size(size_bytes)}, and regions of {format_size(region * SECTOR_BYTES)}"
        raise UsageError(f"{message} need {need}. A larger --region-size needs less.")
    return False


def lines(made: Recipe, source: Disk, destination: Disk, metadata_device: object) -> list[Line]:
    """The table of a clone, or of one that is finished."""
    length = made.length_sectors
    if made.state == FINISHED:
        found = [Line(0, length + made.tail_sectors, "linear", f"{destination} 0")]
    else:
        arguments = CloneArguments(
            str(metadata_device),
            str(destination),
            str(source),
            made.region_sectors,
            no_hydration=made.paused,
            no_discard_passdown=made.no_discard_passdown,
            hydration_threshold_regions=made.threshold_regions,
            hydration_batch_size_regions=made.batch_regions,
        )
        found = [Line(0, length, "clone", arguments.to_params())]
        if made.tail_sectors:
            found.append(Line(length, made.tail_sectors, "linear", f"{destination} {length}"))
    return found
