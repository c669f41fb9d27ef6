# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to device-mapper devices, as one stream of typed events.

    with Watcher() as watcher:
        for event in watcher:
            print(event.type, event.name, event.facts)

The kernel tells in two ways, and neither tells all. Uevents (drivers/md/dm.c, dm_kobject_uevent()) tell that a device
has come or gone, that a table has become live, a rename, corruption that verity has met, and paths of multipath.
DM_DEV_ARM_POLL tells that some event counter has moved: a clone is complete, a snapshot has overflowed, a pool is low.
Nothing tells of a suspend and of a table that is loaded but not live: these are looked for, once a second or, where
there are many devices, as rarely as a thousandth of a processor's time allows. A suspend that ends before it is looked
for is told by its end: `resumed` with suspension_seen false.

Names and uuids are as dmsetup shows them. Tables and facts have no keys in them.
"""

from dmctl.events.model import TYPES, Event, Filter, Known, segments_of
from dmctl.events.watcher import Watcher

__all__ = ["TYPES", "Event", "Filter", "Known", "Watcher", "segments_of"]
