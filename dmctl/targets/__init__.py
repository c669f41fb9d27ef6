# SPDX-License-Identifier: LGPL-2.1-or-later
"""Typed arguments and status of device-mapper targets, a module a target.

    >>> parse_params("linear", "7:0 2048").offset_sectors
    2048

All of them are known by name only until one is asked for, and then only its own module is imported.
"""

from __future__ import annotations

import importlib

from dmctl.targets.base import Arguments, Item, Status, Usage
from dmctl.targets.words import Note, ParamsError, StatusError

__all__ = [
    "TARGETS",
    "Arguments",
    "Item",
    "Note",
    "ParamsError",
    "Status",
    "StatusError",
    "Usage",
    "arguments_class",
    "parse_params",
    "parse_status",
    "status_class",
]

# Target: its module here, and the start of the names of its two classes.
TARGETS: dict[str, tuple[str, str]] = {
    "bow": ("bow", "Bow"),
    "cache": ("cache", "Cache"),
    "clone": ("clone", "Clone"),
    "crypt": ("crypt", "Crypt"),
    "delay": ("delay", "Delay"),
    "dust": ("dust", "Dust"),
    "ebs": ("ebs", "Ebs"),
    "era": ("era", "Era"),
    "error": ("error", "Error"),
    "flakey": ("flakey", "Flakey"),
    "integrity": ("integrity", "Integrity"),
    "linear": ("linear", "Linear"),
    "log-writes": ("log_writes", "LogWrites"),
    "mirror": ("mirror", "Mirror"),
    "multipath": ("multipath", "Multipath"),
    "raid": ("raid", "Raid"),
    "snapshot": ("snapshot", "Snapshot"),
    "snapshot-merge": ("snapshot", "SnapshotMerge"),
    "snapshot-origin": ("snapshot", "SnapshotOrigin"),
    "striped": ("striped", "Striped"),
    "switch": ("switch", "Switch"),
    "thin": ("thin", "Thin"),
    "thin-pool": ("thin_pool", "ThinPool"),
    "unstriped": ("unstriped", "Unstriped"),
    "vdo": ("vdo", "Vdo"),
    "verity": ("verity", "Verity"),
    "writecache": ("writecache", "Writecache"),
    "zero": ("zero", "Zero"),
    "zoned": ("zoned", "Zoned"),
}


def arguments_class(target: str) -> type[Arguments] | None:
    """The class of a target's arguments, None for a target that is not known here."""
    return _class(target, "Arguments")


def status_class(target: str) -> type[Status] | None:
    """The class of a target's status, None for a target that is not known here."""
    return _class(target, "Status")


def parse_params(target: str, params: str) -> Arguments:
    """The arguments of a table line. Raises ParamsError, for an unknown target too."""
    found = arguments_class(target)
    if found is None:
        raise ParamsError(f"{target}: this target is not known to dmctl.")
    return found.form(params).parse_params(params)


def parse_status(target: str, text: str) -> Status:
    """What a status line says. Raises StatusError, for an unknown target too."""
    found = status_class(target)
    if found is None:
        raise StatusError(f"{target}: this target is not known to dmctl.")
    return found.parse_status(text)


def _class(target: str, kind: str) -> type | None:
    if target not in TARGETS:
        return None
    module, prefix = TARGETS[target]
    found: type = getattr(importlib.import_module(f"dmctl.targets.{module}"), prefix + kind)
    return found
