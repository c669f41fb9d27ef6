#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Process 1 of the user-mode Linux guest. The kernel turns these words of its command line into environment variables:
#   GUEST_DIR      the runner's folder on the host: "job" (the command), "keep" (paths to show again), "results" (a link
#                  to the results folder, which gets the same path in the guest)
#   GUEST_MODULES  the host's folder with one folder of modules a kernel release
#   GUEST_UDEV     "yes" to run udevd
# The root is the host's, read-only: whatever must be written goes to a tmpfs mounted over it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/guest/bin /run/guest/dir /run/guest/root /run/lock
# Everything of the runner's is reached through this mount, for its own folder is about to disappear under a tmpfs.
mount -t hostfs -o "ro,$GUEST_DIR" none /run/guest/dir

# A checkout or Python below a folder that gets a tmpfs must stay visible: bind it aside first, then back.
number=0
while IFS= read -r path; do
    number=$((number + 1))
    mkdir "/run/guest/keep$number"
    mount --bind "$path" "/run/guest/keep$number"
done </run/guest/dir/keep

mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
for folder in /dev/shm /tmp /var/tmp; do
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
mount -t tmpfs -o mode=755 tmpfs /var/lib

number=0
while IFS= read -r path; do
    number=$((number + 1))
    mkdir -p "$path"
    mount --move "/run/guest/keep$number" "$path"
done </run/guest/dir/keep

results=$(readlink /run/guest/dir/results)
mkdir -p "$results"
mount -t hostfs -o "$GUEST_DIR/results" none "$results"

# The host may have no /lib/modules to mount over, so modprobe is told of another root: for the kernel's own calls
# (request_module) by sysctl, for everyone else by coming first in PATH.
release=$(uname -r)
mkdir -p /run/guest/root/lib/modules
ln -s "$GUEST_MODULES/$release" "/run/guest/root/lib/modules/$release"
cat >/run/guest/bin/modprobe <<'EOF'
#!/bin/sh
exec /sbin/modprobe -d /run/guest/root "$@"
EOF
chmod 755 /run/guest/bin/modprobe
echo /run/guest/bin/modprobe >/proc/sys/kernel/modprobe
/run/guest/bin/modprobe -a dm-mod loop

if command -v ip >/dev/null; then
    ip link set lo up
fi

if [ "$GUEST_UDEV" = yes ]; then
    /lib/systemd/systemd-udevd --daemon
    # A full trigger takes seconds and only block devices matter here.
    udevadm trigger --subsystem-match=block
    udevadm settle
fi

# tty1 and tty2 are pipes to the runner: bytes must pass unchanged.
stty -F /dev/tty1 raw -echo
stty -F /dev/tty2 raw -echo
/run/guest/dir/job </dev/null >/dev/tty1 2>/dev/tty2
status=$?

# Written whole or not at all: the runner takes the file's existence as "the command has ended".
echo "$status" >"$results/exit-status.new"
mv "$results/exit-status.new" "$results/exit-status"
dmesg >"$results/dmesg"
sync
# Needs no poweroff binary, which is not in Debian's essential packages.
echo o >/proc/sysrq-trigger
# The power-off is asynchronous, and process 1 must not end before it.
exec sleep infinity
