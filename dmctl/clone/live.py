# SPDX-License-Identifier: LGPL-2.1-or-later
"""A clone as the kernel has it: table, status, messages, and what its metadata say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from dmctl import names
from dmctl.clone import metadata
from dmctl.clone.metadata import Bitmap
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, DmctlError, ExitStatus, NotFoundError, UsageError
from dmctl.names import Devno
from dmctl.table import Line
from dmctl.targets.base import OK
from dmctl.targets.clone import READ_ONLY, CloneArguments, CloneStatus
from dmctl.units import parse_devno

# Without a flush, which would be a commit of the metadata.
QUIET = Options(no_flush=True)
_POLL_S = 0.05


class CloneError(DmctlError):
    """The clone is not in a state in which that can be done."""


@dataclass(frozen=True, slots=True)
class Live:
    """A device with one clone target in its table. line: that one. rest: the others."""

    name: str
    uuid: str
    devno: Devno
    line: Line
    rest: tuple[Line, ...]
    arguments: CloneArguments

    @classmethod
    def find(cls, name: str) -> Live:
        """By name or node. Raises NotFoundError, UsageError where it is no clone."""
        try:
            lines, info = Device(name, options=QUIET).table()
        except DeviceError as error:
            if error.exit_status == ExitStatus.NOT_FOUND:
                raise NotFoundError(f"There is no device {name!r}.", errno=error.errno, device=name) from None
            raise
        clones = [line for line in lines if line.target == "clone"]
        if len(clones) != 1:
            what = "several clone targets" if clones else "no clone target"
            raise UsageError(f"{info.name} has {what} in its table.")
        rest = tuple(line for line in lines if line is not clones[0])
        return cls(info.name, info.uuid, info.devno, clones[0], rest, CloneArguments.parse_params(clones[0].params))

    @property
    def source(self) -> Devno:
        return parse_devno(self.arguments.source)

    @property
    def destination(self) -> Devno:
        return parse_devno(self.arguments.destination)

    @property
    def metadata(self) -> Devno:
        return parse_devno(self.arguments.metadata)

    @property
    def device(self) -> Device:
        return Device(self.name)

    def status(self, *, commit: bool = False) -> CloneStatus:
        """As it is now. commit: and the metadata on the disk as they are in memory, with all data before them.

        Raises DeviceError; CloneError where the table is another one meanwhile.
        """
        lines, info = Device(self.name, options=None if commit else QUIET).status()
        for line in lines:
            if line.start_sectors == self.line.start_sectors and line.target == "clone" and info.devno == self.devno:
                return CloneStatus.parse_status(line.params)
        raise CloneError(f"{self.name} is not the clone any more that it was.")

    def message(self, *words: object) -> None:
        """Raises DeviceError."""
        self.device.message(self.line.start_sectors, " ".join(map(str, words)))

    def hydrate(self, wanted: bool) -> None:
        """Let the kernel copy in the background, or stop that."""
        self.message("enable_hydration" if wanted else "disable_hydration")

    def tune(self, *, threshold: int | None = None, batch: int | None = None) -> None:
        """How many regions are copied at once, and how many as one."""
        if threshold is not None:
            self.message("hydration_threshold", threshold)
        if batch is not None:
            self.message("hydration_batch_size", batch)

    def settled(self, seconds: float) -> bool:
        """Wait until nothing is being copied; whether that came within this time."""
        end = time.monotonic() + seconds
        while self.status().hydrating_regions:
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_S)
        return True

    def bitmap(self) -> Bitmap:
        """Which regions are hydrated, on the disk, after a commit. Raises CloneError, MetadataError."""
        status = self.status(commit=True)
        refuse_broken(self.name, status)
        return metadata.read(names.block_node(self.metadata))


def refuse_broken(name: str, status: CloneStatus) -> None:
    """Raises CloneError where the metadata can no longer be written."""
    if status.state != OK:
        raise CloneError(f"The clone {name} has failed: its metadata cannot be used; the kernel's log tells why.")
    if status.mode == READ_ONLY:
        raise CloneError(f"The metadata of the clone {name} have become read-only; the kernel's log tells why.")


def clones() -> Iterator[Live]:
    """All devices that there are with one clone target."""
    from dmctl.device import list_devices

    for entry in list_devices():
        try:
            yield Live.find(entry.name)
        except (UsageError, DeviceError):
            continue
