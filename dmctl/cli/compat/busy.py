# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dmctl adds to the error of a device that is busy: who keeps it so. Loaded when there is such an error."""

from dmctl.cli import stream
from dmctl.device import Device
from dmctl.errors import DmctlError
from dmctl.holders import holders

_MOST = 10


def tell_holders(device: Device) -> None:
    """Print a line for each holder of a device. Whatever goes wrong in it, the error that led here is what counts."""
    try:
        info = device.info()
        if info.suspended:
            # What would be read here may be on the device, or be held up by a process that waits for it.
            stream.error("dmctl: the device is suspended, so who holds it is not looked for")
            return
        found = holders(info.devno)
    except (DmctlError, OSError):
        return
    for holder in found[:_MOST]:
        stream.error(f"dmctl: held by {holder}")
    if len(found) > _MOST:
        stream.error(f"dmctl: and by {len(found) - _MOST} more")
    if found.unseen_processes:
        stream.error(f"dmctl: {found.unseen_processes} processes cannot be looked into")
    elif not found:
        stream.error("dmctl: nobody holds it any more; --retry waits for that")
