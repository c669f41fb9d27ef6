# SPDX-License-Identifier: LGPL-2.1-or-later
"""What stands on what: from the devices at the top, through tables, arrays and partitions, down to the disks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from dmctl.inventory import Entry
from dmctl.names import Devno, best_name, size_sectors


@dataclass(frozen=True, slots=True)
class Node:
    """A block device. entry: what is known of a device-mapper device. below: what it stands on, in table order."""

    devno: Devno
    name: str
    size_sectors: int | None
    entry: Entry | None
    below: tuple[Devno, ...]


class Stack:
    """nodes: every device that is reached, by number. tops: those that nothing of them stands on."""

    def __init__(self, entries: Iterable[Entry]):
        self.nodes: dict[Devno, Node] = {}
        self._entries = {entry.info.devno: entry for entry in entries}
        for devno in self._entries:
            self._add(devno)
        under = {devno for node in self.nodes.values() for devno in node.below}
        self.tops = tuple(devno for devno in self._entries if devno not in under)

    def _add(self, devno: Devno) -> None:
        waiting = [devno]
        while waiting:
            current = waiting.pop()
            if current in self.nodes:
                continue
            entry = self._entries.get(current)
            below = tuple(dict.fromkeys(entry.deps)) if entry else _below(current)
            name = entry.display_name if entry else best_name(current)
            size = entry.size_sectors if entry else size_sectors(current)
            self.nodes[current] = Node(current, name, size, entry, below)
            waiting += below


def _below(devno: Devno) -> tuple[Devno, ...]:
    """What sysfs says a device stands on: the parts of an array, the disk of a partition."""
    folder = f"/sys/dev/block/{devno[0]}:{devno[1]}"
    try:
        parts = sorted(os.listdir(f"{folder}/slaves"))
    except OSError:
        parts = []
    found = [_devno(f"{folder}/slaves/{part}/dev") for part in parts]
    if os.path.exists(f"{folder}/partition"):
        found.append(_devno(f"{folder}/../dev"))
    return tuple(number for number in found if number)


def _devno(path: str) -> Devno | None:
    try:
        with open(path, encoding="ascii") as file:
            major, _, minor = file.read().strip().partition(":")
        return int(major), int(minor)
    except (OSError, ValueError):
        return None
