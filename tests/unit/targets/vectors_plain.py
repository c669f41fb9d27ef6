# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets that only map."""

# "documentation" is Documentation/admin-guide/device-mapper of Linux 6.12, "guest" Linux 6.1 in the guest; "source" is
# made after what the target's source file prints or takes.
PARAMS = {
    "flakey": [
        "8:0 0 5 1",  # source
        "8:0 0 5 1 0 ",  # guest
        "8:0 0 5 1 0 hi",  # guest: ignored
        "8:0 0 5 1 1 drop_writes ",  # guest
        "8:0 0 5 1 1 DROP_WRITES",  # guest
        "8:0 0 0 1 1 error_reads ",  # source, newer than 6.1
        "8:0 0 5 1 2 error_reads error_writes ",  # source: what newer kernels print where no feature is given
        "8:0 0 5 1 5 corrupt_bio_byte 32 r 1 0",  # documentation
        "8:0 0 5 1 5 corrupt_bio_byte 224 w 0 32",  # documentation
        "8:0 0 5 1 6 error_writes corrupt_bio_byte 4 r 1 16 ",  # guest
        "8:0 0 5 1 6 corrupt_bio_byte 4 R 1 16 error_writes",  # guest
        "8:0 0 5 1 2 random_read_corrupt 500000000",  # source, from Linux 6.5 on
        # a public mail of the author's, lore.kernel.org/linux-fsdevel, May 2023
        "/dev/ram0 0 0 1 4 random_write_corrupt 100000000 random_read_corrupt 100000000",
    ],
    "linear": [
        "8:0 0",  # guest
        "/dev/sda 384",  # documentation
        "/dev/sda 18446744073709551615",  # source: the largest number
    ],
    "striped": [
        "2 128 8:0 0 8:16 384",  # guest
        "1 8 /dev/sda 0",  # guest
        "3 256 /dev/sda 0 /dev/sdb 0 /dev/sdc 0",  # documentation
    ],
}
STATUS = {
    "flakey": [""],  # guest
    "linear": [""],  # guest
    "striped": [
        "2 8:0 8:16 1 AA",  # guest
        "2 8:0 8:16 1 AD",  # guest
        "1 8:0 1 A",  # guest
    ],
}
