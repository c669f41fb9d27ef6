# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys of type "user" in the calling thread's keyring, where the kernel looks for what a table names (keyrings(7))."""

import os

from dmctl._libdm import ffi, lib
from dmctl.errors import DmctlError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class UserKey:
    """`with UserKey(description, payload):` it is there, for requests of this thread; then it is gone.

    Raises DmctlError with errno: no room for it, or a kernel without keys.
    """

    __slots__ = ("_description", "_key", "_payload")

    def __init__(self, description: str, payload: bytes):
        self._description = os.fsencode(description)
        self._payload = payload

    def __enter__(self) -> None:
        self._key = lib.dmctl_add_user_key(self._description, self._payload, len(self._payload))
        if self._key < 0:
            number = ffi.errno
            raise DmctlError(f"The kernel does not take a key: {os.strerror(number)}.", errno=number)

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        lib.dmctl_unlink_key(self._key)
