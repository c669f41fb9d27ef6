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

    def has(self, devno: tuple[int, int]) -> bool:
        """Whether the device is in the tree."""
        return bool(lib.dm_tree_find_node(self._tree, *devno))

    def neighbours(self, devno: tuple[int, int], *, users: bool) -> list[tuple[str, tuple[int, int]]]:
        """(name, number) of what a device of the tree uses, or of those that use it. What is not mapped has no name.

        Among the users of a device without one is the root, with the number (0, 0).
        """
        node = lib.dm_tree_find_node(self._tree, *devno)
        found = []
        handle = ffi.new("void **")
        while child := lib.dm_tree_next_child(handle, node, users):
            info: Any = lib.dm_tree_node_get_info(child)
            found.append((libdm.to_text(lib.dm_tree_node_get_name(child)), (info.major, info.minor)))
        return found

    def user_count(self, devno: tuple[int, int]) -> int:
        """How many mapped devices use a device."""
        return lib.dm_tree_node_num_children(lib.dm_tree_find_node(self._tree, *devno), 1)
