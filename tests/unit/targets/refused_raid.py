# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lines that the kernel refuses, with two devices 8:0 and 8:16: target, parameters, what our message must name."""

REFUSED = [
    ("snapshot", "8:0 8:16 PX 8", "persistent"),
    ("snapshot", "8:0 8:16 x 8", "persistent"),
    ("snapshot", "8:0 8:16 P -8", "chunk_sectors"),
    ("snapshot", "8:0 8:16 P 8 1 discard", "'discard' is not known"),
    ("mirror", "core 1 x 2 8:0 0 8:16 0", "region_sectors"),
    ("mirror", "core 3 64 nosync x 2 8:0 0 8:16 0", "too many"),
    ("mirror", "core 1 64 2 8:0 0 8:16 0 1 x", "feature"),
    ("mirror", "core 1 64 2 8:0 0 8:16 0 0 x", "too many"),
    ("raid", "raid5 1 64 3 - 8:0 - 8:16 - 8:0", "raid_type"),
    ("raid", "raid1 0 2 - 8:0 - 8:16", "not known"),
    ("raid", "raid1 2 0 2 - 8:0 - 8:16", "more than there are"),
    ("raid", "raid1 1 0 nosync 2 - 8:0 - 8:16", "less than there are"),
    ("raid", "raid1 2 0 fast 2 - 8:0 - 8:16", "'fast' is not known"),
    ("raid", "raid1 3 0 sync nosync 2 - 8:0 - 8:16", "opposite"),
    ("raid", "raid1 3 0 region_size -8 2 - 8:0 - 8:16", "region_sectors"),
    ("raid", "raid1 3 0 delta_disks 300 2 - 8:0 - 8:16", "delta_disks"),
    ("multipath", "1 pg_init_retries 0 0 0", "pg_init_retries"),
    ("multipath", "2 pg_init_retries 51 0 0 0", "pg_init_retries"),
    ("multipath", "1 word 0 0 0", "'word' is not known"),
    ("multipath", "0 0 0 1", "initial_group"),
    ("multipath", "0 0 1 0 round-robin 0 1 1 8:0 1", "initial_group"),
    ("multipath", "0 0 1 1 round-robin 0 2 1 8:0 1 8:16", "too few"),
]
# Linux 6.1 takes this one and jumps to address 0 when it is resumed.
PANIC = ("snapshot-merge", "8:0 8:16 N 16", "persistent")
