# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parameters and status of targets that keep metadata of their own."""

PARAMS = {
    "cache": [
        # Examples of the kernel's documentation.
        "/dev/mapper/metadata /dev/mapper/ssd /dev/mapper/origin 512 1 writeback default 0",
        "/dev/mapper/metadata /dev/mapper/ssd /dev/mapper/origin 1024 1 writeback "
        "mq 4 sequential_threshold 1024 random_threshold 8",
        "/dev/sdb /dev/sdc /dev/sdd 512 0 mq 4 sequential_threshold 1024 random_threshold 8",
        # Kernel 6.1 keeps the words as they are given.
        "7:0 7:3 7:2 +64 3 writeback metadata2 no_discard_passdown mq 4 random_threshold 3 migration_threshold 100",
        "7:0 7:3 7:2 +64 1 PassThrough smq 0 word",
        # What the constructor also takes.
        "8:0 8:16 8:32 +64 3 PassThrough METADATA2 no_discard_passdown smq 2 MIGRATION_threshold +8192",
        "8:0 8:16 8:32 64 1 writethrough cleaner 0 words that nobody reads",
    ],
    "clone": [
        # Example of the kernel's documentation.
        "/dev/sdb /dev/sdc /dev/sdd 8 1 no_hydration",
        # Kernel 6.1 keeps the words as they are given.
        "7:0 7:1 7:2 8 2 NO_hydration no_discard_passdown 4 hydration_threshold +7 HYDRATION_batch_size 3",
        "7:0 7:1 7:2 8 0 2 hydration_threshold 8 word",
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
        # Kernel 6.1.
        "7:0 7:2 8",
        # The largest block.
        "253:0 253:1 4294967288",
    ],
    "thin": [
        # Examples of the kernel's documentation.
        "/dev/mapper/pool 0",
        "/dev/mapper/pool 0 /dev/image",
        # Kernel 6.1, made from "+0".
        "254:0 0 7:2",
        # What the constructor also takes.
        "253:2 16777215",
        "253:2 +1 8:0",
    ],
    "thin-pool": [
        # The form of the kernel's documentation, without features, with none and with all.
        "/dev/sdb /dev/sdc 128 32768",
        "253:0 253:1 1024 0 0 ",
        "253:0 253:1 +128 +0 1 SKIP_block_zeroing word",
        "253:0 253:1 2097152 7 4 skip_block_zeroing ignore_discard no_discard_passdown error_if_no_space ",
        # Kernel 6.1.
        "7:0 7:1 128 5 4 skip_block_zeroing ignore_discard no_discard_passdown read_only ",
        # Five features are printed by the kernel, but four is the most that it takes.
        "253:0 253:1 128 7 5 skip_block_zeroing ignore_discard no_discard_passdown read_only error_if_no_space ",
    ],
    "writecache": [
        # The form of the kernel's documentation, without options and with all.
        "s /dev/sdb /dev/sdc 4096 0",
        "P 8:0 259:0 512 1 nofua",
        # Kernel 6.1.
        "s 7:2 7:3 4096 5 max_age 5000 metadata_only pause_writeback 100",
        "s 7:2 7:3 4096 3 start_sector 0 cleaner",
        "s 8:0 8:16 4096 16 start_sector 8 high_watermark 60 low_watermark 40 writeback_jobs 4 autocommit_blocks 32 "
        "autocommit_time 500 max_age 10000 cleaner metadata_only",
        "s 8:0 8:16 4096 3 metadata_only pause_writeback 0",
        "p 8:0 259:0 4096 3 fua AUTOCOMMIT_time 3600000 words that nobody reads",
        # Version 1.3 of the target (Linux 5.10) does not count max_age.
        "s 8:0 8:16 4096 0 max_age 5000",
        "s 8:0 8:16 4096 3 high_watermark 60 max_age 5000 cleaner",
    ],
}
STATUS = {
    "cache": [
        # Kernel 6.1: fresh; with blocks in it; with all features, and the policy mq, which is smq by another name.
        "8 8/4096 64 0/512 0 38 0 0 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - ",
        "8 8/4096 64 6/512 11 70 0 0 0 6 5 1 writethrough 2 migration_threshold 4096 smq 0 rw - ",
        "8 10/4096 64 6/512 6 70 0 0 0 6 5 3 metadata2 writeback no_discard_passdown 2 migration_threshold 100 "
        "mq 10 random_threshold 0 sequential_threshold 0 discard_promote_adjustment 0 read_promote_adjustment 0 "
        "write_promote_adjustment 0 rw - ",
        "8 8/4096 64 0/512 0 81 0 5 0 0 0 1 passthrough 2 migration_threshold 2048 cleaner 0 rw - ",
        # As the kernel's code has it after a failure, and before it told needs_check.
        "8 65/1024 128 40/64 12 34 56 78 9 10 11 2 metadata2 writethrough 2 migration_threshold 100 smq 0 "
        "ro needs_check ",
        "8 27/1024 64 0/16 0 0 0 0 0 0 0 0 2 migration_threshold 2048 cleaner 0 rw",
        "Fail",
        "Error",
    ],
    "clone": [
        # Kernel 6.1: copying, not copying, tuned, done.
        "8 6/4096 8 2394/4096 0 0 4 hydration_threshold 1 hydration_batch_size 1 rw",
        "8 6/4096 8 0/4096 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw",
        "8 6/4096 8 5/4096 0 2 no_hydration no_discard_passdown 4 hydration_threshold 7 hydration_batch_size 3 rw",
        "8 6/4096 8 4096/4096 0 0 4 hydration_threshold 8 hydration_batch_size 1 rw",
        # As the kernel's code has it after a failure.
        "8 8/1024 8 12/64 1 0 4 hydration_threshold 256 hydration_batch_size 16 ro",
        "Fail",
        "Error",
    ],
    "era": [
        # Kernel 6.1: fresh, and with a metadata snapshot.
        "8 13/4096 1 -",
        "8 22/4096 3 49",
        # The largest era.
        "8 4096/4096 4294967295 17",
        "Error",
    ],
    "thin": [
        # Kernel 6.1.
        "0 -",
        "384 895",
        "32768 32767",
        # As the kernel's code has it.
        "-",
        "Fail",
        "Error",
    ],
    "thin-pool": [
        # Kernel 6.1: fresh, with a metadata snapshot, full, read-only.
        "0 418/4096 0/256 - rw discard_passdown error_if_no_space - 1024 ",
        "7 420/4096 3/256 32 rw discard_passdown error_if_no_space - 1024 ",
        "7 425/4096 256/256 32 rw ignore_discard error_if_no_space - 1024 ",
        "7 425/4096 256/256 32 ro ignore_discard queue_if_no_space - 1024 ",
        # As the kernel's code has it: out of space, and after a failure.
        "7 4122/131072 256/256 - out_of_data_space no_discard_passdown queue_if_no_space - 1024 ",
        "18446744073709551615 1024/1024 0/256 - ro discard_passdown queue_if_no_space needs_check 256 ",
        # Older kernels: each of these words came later than those before it.
        "0 10/1024 0/256 -",
        "0 10/1024 0/256 - rw discard_passdown ",
        "0 10/1024 0/256 - ro no_discard_passdown error_if_no_space ",
        "0 10/1024 0/256 - rw discard_passdown queue_if_no_space - ",
        "Fail",
        "Error",
    ],
    "writecache": [
        # Before Linux 5.15; both from the issues of rapiddisk.
        "0 32640 17184 0",
        "0 8355967 8355967 0",
        # Kernel 6.1: in use, and a cleaner.
        "0 4080 4075 0 113 3 5 0 0 0 5 0 0 0",
        "0 4080 4080 0 173 0 5 0 0 5 0 0 0 0",
        # After an error, as the kernel's code has it and as its documentation has it.
        "1 16128 8000 64",
        "-5 16128 0 0 1 2 3 4 5 6 7 8 9 10",
    ],
}
