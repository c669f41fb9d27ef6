# SPDX-License-Identifier: LGPL-2.1-or-later
"""--exec: a command for each device, its node's path as the last argument.

Whatever this needs is imported and locked in memory before a device is looked at: one that is suspended, perhaps by the
command itself, may hold the root file system.
"""

import os

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.switches import Request
from dmctl.libdm import memory

_MOST_WORDS = 255


class Command:
    """The command of --exec, split at blanks; there is no quoting."""

    __slots__ = ("_as_dmsetup", "_words")

    def __init__(self, request: Request, text: str):
        self._as_dmsetup = request.as_dmsetup
        self._words = text.split()
        memory.lock()  # the command itself does not inherit that

    def run(self, name: str) -> None:
        """Run it for the device of this name, and wait for it. How it ends is nobody's business, in dmsetup."""
        libdm.make_nodes(name)
        if not self._words:
            raise Failed("")
        if len(self._words) > _MOST_WORDS:
            raise Failed("Too many args to --exec.")
        try:
            child = os.posix_spawnp(self._words[0], [*self._words, f"{libdm.dev_dir()}/{name}"], os.environ)
        except OSError as error:
            if not self._as_dmsetup:
                stream.error(f"{self._words[0]} cannot be run: {error.strerror}.")
            return
        os.waitpid(child, 0)
