# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets that only map."""

PARAMS = {
    "flakey": [
        "8:0 0 5 1",
        "8:0 0 5 1 0 ",
        "8:0 0 5 1 1 drop_writes ",
        "8:0 0 5 1 6 error_writes corrupt_bio_byte 32 r 1 0",
        "8:0 0 5 1 2 random_read_corrupt 500000000",
    ],
    "linear": ["8:0 0", "/dev/sda 18446744073709551615"],
    "striped": ["2 128 8:0 0 8:16 384", "1 8 /dev/sda 0"],
}
STATUS = {
    "flakey": [""],
    "linear": [""],
    "striped": ["2 8:0 8:16 1 AA", "2 8:0 8:16 1 AD", "1 8:0 1 A"],
}
