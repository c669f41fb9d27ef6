# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl install-links: the names under which dmctl is dmsetup."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dmctl.cli import stream
from dmctl.cli.main import DMSETUP_NAMES
from dmctl.errors import DmctlError

# Without losetup: that would hide the one of util-linux.
_NAMES = tuple(name for name in DMSETUP_NAMES if name != "losetup")


def install_links(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the links, such as /usr/local/sbin.")],
) -> None:
    """Make links to dmctl named dmsetup, dmstats, dmlosetup and devmap_name in a folder.

    A link to dmctl that is there already is kept; anything else of that name is refused, and then no link is made.
    """
    script = Path(sys.argv[0]).resolve()
    if not script.is_file():
        raise DmctlError("dmctl was not started from a file that could be linked to.")
    if not folder.is_dir():
        raise DmctlError(f"{folder} is not a folder.", errno=0 if folder.exists() else 2)
    missing = []
    for name in _NAMES:
        link = folder / name
        if link.is_symlink() and link.resolve() == script:
            continue
        if link.is_symlink() or link.exists():
            raise DmctlError(f"{link} is not a link to dmctl, and is left as it is.", errno=17)
        missing.append(link)
    for link in missing:
        try:
            link.symlink_to(script)
        except OSError as error:
            raise DmctlError(f"{link} cannot be made: {error.strerror}.", errno=error.errno or 0) from None
        stream.write(f"{link}\n")
