# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets that keep metadata of their own."""

PARAMS = {
    "cache": [
        # Examples of the kernel's documentation.
        "/dev/mapper/metadata /dev/mapper/ssd /dev/mapper/origin 512 1 writeback default 0",
        "/dev/mapper/metadata /dev/mapper/ssd /dev/mapper/origin 1024 1 writeback "
        "mq 4 sequential_threshold 1024 random_threshold 8",
        "/dev/sdb /dev/sdc /dev/sdd 512 0 mq 4 sequential_threshold 1024 random_threshold 8",
        # What the constructor also takes.
        "8:0 8:16 8:32 +64 3 PassThrough METADATA2 no_discard_passdown smq 2 MIGRATION_threshold +8192",
        "8:0 8:16 8:32 64 1 writethrough cleaner 0 words that nobody reads",
    ],
    "clone": [
        # Example of the kernel's documentation.
        "/dev/sdb /dev/sdc /dev/sdd 8 1 no_hydration",
        # What the constructor also takes.
        "8:0 8:16 8:32 2097152",
        "8:0 8:16 8:32 8 0",
        "8:0 8:16 8:32 16 2 NO_hydration no_discard_passdown 4 hydration_threshold +256 HYDRATION_batch_size 16",
        "8:0 8:16 8:32 16 0 2 hydration_batch_size 0 word",
        "8:0 8:16 8:32 16 0 0",
    ],
    "era": [
        # The form of the kernel's documentation.
        "/dev/sdb /dev/sdc 8",
        "253:0 253:1 4294967288",
    ],
    "thin": [
        # Examples of the kernel's documentation.
        "/dev/mapper/pool 0",
        "/dev/mapper/pool 0 /dev/image",
        "253:2 16777215",
        "253:2 +1 8:0",
    ],
    "thin-pool": [
        # The form of the kernel's documentation, without features, with none and with all.
        "/dev/sdb /dev/sdc 128 32768",
        "253:0 253:1 1024 0 0 ",
        "253:0 253:1 +128 +0 1 SKIP_block_zeroing word",
        "253:0 253:1 2097152 7 4 skip_block_zeroing ignore_discard no_discard_passdown error_if_no_space ",
        # Five features are printed by the kernel, but four is the most that it takes.
        "253:0 253:1 128 7 5 skip_block_zeroing ignore_discard no_discard_passdown read_only error_if_no_space ",
    ],
    "writecache": [
        # The form of the kernel's documentation, without options and with all.
        "s /dev/sdb /dev/sdc 4096 0",
        "P 8:0 259:0 512 1 nofua",
        "s 8:0 8:16 4096 16 start_sector 8 high_watermark 60 low_watermark 40 writeback_jobs 4 autocommit_blocks 32 "
        "autocommit_time 500 max_age 10000 cleaner metadata_only",
        "s 8:0 8:16 4096 3 metadata_only pause_writeback 0",
        "p 8:0 259:0 4096 3 fua AUTOCOMMIT_time 3600000 words that nobody reads",
        # Linux 5.6 to 5.12 do not count max_age.
        "s 8:0 8:16 4096 0 max_age 5000",
        "s 8:0 8:16 4096 3 high_watermark 60 max_age 5000 cleaner",
    ],
}
STATUS = {
    "cache": [
        # In the form of the kernel's code.
        "8 27/1024 512 0/2048 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - ",
        "8 65/1024 128 40/64 12 34 56 78 9 10 11 3 metadata2 writethrough no_discard_passdown "
        "2 migration_threshold 100 smq 0 ro needs_check ",
        # The policy mq, which is smq by another name.
        "8 27/1024 64 0/16 0 0 0 0 0 0 0 1 passthrough 2 migration_threshold 2048 mq 10 random_threshold 0 "
        "sequential_threshold 0 discard_promote_adjustment 0 read_promote_adjustment 0 "
        "write_promote_adjustment 0 rw - ",
        # Before needs_check was told.
        "8 27/1024 64 0/16 0 0 0 0 0 0 0 0 2 migration_threshold 2048 cleaner 0 rw",
        "Fail",
        "Error",
    ],
    "clone": [
        "8 8/1024 8 0/131072000 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw",
        "8 8/1024 8 12/64 1 2 no_hydration no_discard_passdown 4 hydration_threshold 256 hydration_batch_size 16 ro",
        "8 8/1024 8 64/64 0 0 4 hydration_threshold 1 hydration_batch_size 1 rw",
        "Fail",
        "Error",
    ],
    "era": ["8 9/1024 3 -", "8 1024/1024 4294967295 17", "Error"],
    "thin": ["0 -", "384 1023", "-", "Fail", "Error"],
    "thin-pool": [
        # A fresh pool, from a public log of the kernel's 4.x: no low water mark of the metadata.
        "0 10/1024 0/256 - rw discard_passdown queue_if_no_space - ",
        # From Linux 4.20 on.
        "7 4122/131072 256/256 63 out_of_data_space no_discard_passdown error_if_no_space - 1024 ",
        "18446744073709551615 1024/1024 0/256 - ro ignore_discard queue_if_no_space needs_check 256 ",
        # Linux 3.2, 3.10, 3.15.
        "0 10/1024 0/256 -",
        "0 10/1024 0/256 - rw discard_passdown ",
        "0 10/1024 0/256 - ro no_discard_passdown error_if_no_space ",
        "Fail",
        "Error",
    ],
    "writecache": [
        # Before Linux 5.15.
        "0 16128 16128 0",
        "1 16128 8000 64",
        # From then on.
        "0 16128 16000 4 1 2 3 4 5 6 7 8 9 10",
        # A number of an error, as the documentation has it.
        "-5 16128 0 0 1 2 3 4 5 6 7 8 9 10",
    ],
}
