# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which mapped device uses which: libdevmapper's dependency tree of all devices."""

from dmctl import libdm
from dmctl._libdm import ffi, lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Any, Self


class Tree:
    """The tree of the devices with these numbers, and of all that they use. Raises DeviceError."""

    __slots__ = ("_tree",)

    def __init__(self, devnos: "Iterable[tuple[int, int]]"):
        self._tree = lib.dm_tree_create()
        libdm.check(bool(self._tree))
        try:
            for major, minor in devnos:
                libdm.check(lib.dm_tree_add_dev(self._tree, major, minor))
        except BaseException:
            lib.dm_tree_free(self._tree)
            raise

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        lib.dm_tree_free(self._tree)

    def find(self, devno: tuple[int, int]) -> "Node | None":
        """The device with this number."""
        node = lib.dm_tree_find_node(self._tree, *devno)
        return Node(node) if node else None

    def root(self) -> "Node":
        """What the devices that nobody uses are children of; inverted, those that use nothing."""
        return Node(lib.dm_tree_find_node(self._tree, 0, 0))

    def children(self, node: "Node", *, inverted: bool) -> "list[Node]":
        """The devices that one uses, in libdevmapper's order; inverted: those that use it, the root among them."""
        found = []
        handle = ffi.new("void **")
        while child := lib.dm_tree_next_child(handle, node.pointer, inverted):
            found.append(Node(child))
        return found

    def child_count(self, node: "Node", *, inverted: bool) -> int:
        """How many children() there are, the root not counted."""
        return lib.dm_tree_node_num_children(node.pointer, inverted)


class Node:
    """A device in a tree: name (None where it is not mapped), uuid, devno, and the state it was in.

    exists: whether it is a mapped device. open_count is -1 where it was not asked for.
    """

    __slots__ = ("devno", "exists", "name", "open_count", "pointer", "read_only", "suspended", "uuid")

    def __init__(self, pointer: "Any"):
        self.pointer = pointer
        name = lib.dm_tree_node_get_name(pointer)
        self.name = libdm.to_text(name) if name else None
        self.uuid = libdm.to_text(lib.dm_tree_node_get_uuid(pointer))
        info = lib.dm_tree_node_get_info(pointer)
        self.devno: tuple[int, int] = (info.major, info.minor)
        self.exists = bool(info.exists)
        self.suspended = bool(info.suspended)
        self.read_only = bool(info.read_only)
        self.open_count: int = info.open_count
