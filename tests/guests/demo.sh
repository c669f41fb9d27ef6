#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What `make try` shows: a small stack of devices, made, looked at and removed by dmctl on a real kernel.
# It makes devices on the machine it runs on, so it refuses to run anywhere but in the guest.
set -Eeuo pipefail

if ! grep -q '^GUEST_DIR=' -z /proc/1/environ 2>/dev/null; then
    echo "demo.sh: run me by \`make try\`, in the guest" >&2
    exit 1
fi

say() { printf '\n# %s\n' "$@"; }

# Print a command line as one would type it, and run it.
run() {
    local word line=
    for word; do
        case $word in
            *[!A-Za-z0-9_./:,=+-]* | '') line+=" '$word'" ;;
            *) line+=" $word" ;;
        esac
    done
    printf '$%s\n' "$line"
    "$@"
}

# Run a command that has to fail.
refused() {
    if run "$@"; then
        echo "demo.sh: that should have failed"
        return 1
    fi
}

trap 'echo "demo.sh: that failed with status $?"' ERR
# Errors belong between the lines of the output, where they happened.
exec 2>&1

truncate -s 32M /tmp/left /tmp/right
left=$(losetup --find --show /tmp/left)
right=$(losetup --find --show /tmp/right)

echo "# dmctl on Linux $(uname -r), in a user-mode Linux guest. $left and $right are 32 MiB each."
run dmctl version

say 'A linear device over two loop devices, 8 MiB on each.'
run dmctl create span --table "0 16384 linear $left 0
16384 16384 linear $right 0"
run dmctl table span

say 'A striped device on top, with one stripe on each half of it.'
run dmctl create fast --table '0 32768 striped 2 128 /dev/mapper/span 0 /dev/mapper/span 16384'
run dmctl ls
run dmctl deps -o devname
run dmctl info span

say 'The kernel refuses a table with a hole in it, and dmctl says why.'
refused dmctl create hole --table "0 8 linear $left 0
16 8 linear $right 0"

say 'Grow the linear device by 4 MiB: load a longer table beside the live one, suspend, resume.'
run dmctl load span --table "0 16384 linear $left 0
16384 16384 linear $right 0
32768 8192 linear $left 16384"
run dmctl table --inactive span
run dmctl suspend span
run dmctl info span
run dmctl resume span
run dmctl table span

say 'A thin pool of 16 MiB with 2 MiB for its metadata, and a thin volume in it.'
run dmctl create meta --table "0 4096 linear $left 24576"
run dmctl create data --table "0 32768 linear $right 16384"
run dmctl create pool --table '0 32768 thin-pool /dev/mapper/meta /dev/mapper/data 128 0'
run dmctl message pool 0 create_thin 0
run dmctl create thin --table '0 65536 thin /dev/mapper/pool 0'
echo 'first version' | dd of=/dev/mapper/thin bs=4096 conv=sync,fsync status=none

say 'A snapshot of it, taken while the volume is suspended. What is written later is not in the snapshot.'
run dmctl suspend thin
run dmctl message pool 0 create_snap 1 0
run dmctl resume thin
run dmctl create snap --table '0 65536 thin /dev/mapper/pool 1'
echo 'second version' | dd of=/dev/mapper/thin bs=4096 conv=sync,fsync status=none
run head -n 1 /dev/mapper/thin
run head -n 1 /dev/mapper/snap
run dmctl status

say 'The same for programs.'
run dmctl status --json pool

say 'A device that is in use is not removed.'
refused dmctl remove span

say 'Remove them all, from the top of the stack down.'
run dmctl remove snap thin pool data meta fast span
run dmctl ls
[ "$(dmctl ls)" = 'No devices found' ]

losetup --detach "$left" "$right"
