# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a clone is made of, kept so that it can be made again after a reboot: a file for each below /var/lib/dmctl."""

from __future__ import annotations

import json
import os
import uuid as uuids
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from dmctl.errors import DmctlError, ExitStatus, NotFoundError
from dmctl.lock import locked
from dmctl.names import Devno, node

FOLDER = "/var/lib/dmctl/clone"
UUID_PREFIX = "DMCTL-CLONE-"
NEW, LIVE, FINISHED = "new", "live", "finished"
"""States: the kernel may not have made the metadata yet; it has; the destination has all, and is used alone."""

_FORMAT = 1
_BY_ID = "/dev/disk/by-id"


class RecipeError(DmctlError):
    """A recipe that cannot be read."""

    @property
    def exit_status(self) -> int:
        return super().exit_status if self.errno else ExitStatus.VERIFICATION


@dataclass(frozen=True, slots=True)
class Recipe:
    """A clone. Devices are paths that stay the same over a reboot, as far as there are any.

    metadata_file: whether the metadata is a file that a loop device is made over. made_file: and dmctl has made it.
    length_sectors: of what is cloned. tail_sectors: of the rest of the destination, shown behind it, or 0.
    assembled: how often it was made again. paused: nothing is copied until clone resume.
    """

    name: str
    uuid: str
    source: str
    destination: str
    metadata: str
    metadata_file: bool
    made_file: bool
    region_sectors: int
    length_sectors: int
    tail_sectors: int
    threshold_regions: int
    batch_regions: int
    state: str = NEW
    assembled: int = 0
    paused: bool = False
    no_discard_passdown: bool = False
    set_ro: bool = False

    @property
    def dm_uuid(self) -> str:
        return UUID_PREFIX + self.uuid

    def store(self) -> None:
        """Write it, so that it is there whole or as before, after a power failure too. Raises RecipeError."""
        path = _path(self.name)
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=2) + "\n"
        try:
            os.makedirs(FOLDER, mode=0o700, exist_ok=True)
            with open(f"{path}.new", "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(f"{path}.new", path)
            _sync_folder()
        except OSError as error:
            raise _failed(self.name, f"cannot be written to {FOLDER}", error) from None

    def forget(self) -> None:
        """Raises RecipeError."""
        try:
            os.unlink(_path(self.name))
            _sync_folder()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _failed(self.name, "cannot be removed", error) from None

    @classmethod
    def load(cls, name: str) -> Self:
        """Raises NotFoundError, RecipeError."""
        found = cls.find(name)
        if found is None:
            raise NotFoundError(f"There is no clone {name!r} in {FOLDER}.", device=name)
        return found

    @classmethod
    def find(cls, name: str) -> Self | None:
        """None where there is no such clone, or it is not one of dmctl's. Raises RecipeError."""
        if "/" in name:
            return None
        try:
            with open(_path(name), encoding="ascii") as file:
                found = json.load(file)
            return cls._checked(found)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed(name, "cannot be read", error) from None
        except (ValueError, TypeError, LookupError):
            raise RecipeError(f"The recipe of the clone {name}, {_path(name)}, is not one that dmctl wrote.") from None

    @classmethod
    def change(cls, name: str, dm_uuid: str, **changed: Any) -> None:
        """Of the clone with this uuid, if it is one of dmctl's. Raises RecipeError."""
        with changing(name):
            made = cls.find(name)
            if made is not None and made.dm_uuid == dm_uuid:
                replace(made, **changed).store()

    @classmethod
    def _checked(cls, found: dict[str, Any]) -> Self:
        """Raises ValueError, TypeError, LookupError."""
        if found.pop("format") != _FORMAT or found["state"] not in (NEW, LIVE, FINISHED):
            raise ValueError
        uuids.UUID(found["uuid"])
        kinds = {"str": str, "int": int, "bool": bool}
        for field in fields(cls):
            if type(found[field.name]) is not kinds[str(field.type)]:
                raise TypeError
        return cls(**found)


def changing(name: str) -> AbstractContextManager[None]:
    """One process at a time changes a clone's recipe, or reads it to act on it."""
    return locked(f"clone-{name}", f"the clone {name}")


def recipes() -> Iterator[Recipe]:
    """All that there are. Raises RecipeError."""
    try:
        there = sorted(os.listdir(FOLDER))
    except OSError:
        return
    for name in there:
        if name.endswith(".json") and (made := Recipe.find(name.removesuffix(".json"))) is not None:
            yield made


def stable_path(path: str, devno: Devno) -> str:
    """A path by which the device is found again: udev's link by its id, or /dev/mapper/NAME, or as it was given."""
    try:
        links = sorted(os.listdir(_BY_ID), key=lambda link: (not link.startswith(("dm-uuid-", "wwn-")), link))
    except OSError:
        links = []
    for link in links:
        try:
            number = os.stat(f"{_BY_ID}/{link}").st_rdev
        except OSError:
            continue
        if (os.major(number), os.minor(number)) == devno:
            return f"{_BY_ID}/{link}"
    known = node(devno)
    return known if known.startswith("/dev/mapper/") else os.path.abspath(path)


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.json"


def _sync_folder() -> None:
    descriptor = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(name: str, what: str, error: OSError) -> RecipeError:
    return RecipeError(f"The recipe of the clone {name} {what}: {error.strerror}.", errno=error.errno or 0)
