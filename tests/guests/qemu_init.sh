#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=dash
# Process 1 of the QEMU guest, in its initial RAM disk, which has busybox and the modules that it begins with. The
# kernel turns a word of its command line into an environment variable:
#   GUEST_DIR   the runner's folder on the host: "job" (the command), "results" (a link to the results folder, which
#               gets the same path here), "modules" (a link to the folder with one folder of modules a kernel release)
# The root is the host's, read-only, below a tmpfs that takes what is written.
/bin/busybox mkdir -p /bin /proc /sys /host /written /root
/bin/busybox --install -s /bin
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in netfs 9pnet 9pnet_virtio 9p overlay; do
    insmod "/modules/$module.ko"
done
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=524288,ro host /host
mount -t tmpfs tmpfs /written
mkdir /written/upper /written/work
mount -t overlay -o lowerdir=/host,upperdir=/written/upper,workdir=/written/work,xino=off overlay /root

results=$(readlink "/host$GUEST_DIR/results")
modules=$(readlink "/host$GUEST_DIR/modules")
mount --move /proc /root/proc
mount --move /sys /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
mount -t tmpfs -o mode=755 tmpfs /root/run
# On a file system that a loop device can be made over.
mkdir -p /root/run/guest /root/run/tmp "/root$results" /root/lib/modules
release=$(uname -r)
ln -s "$modules/$release" "/root/lib/modules/$release"
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=524288 results "/root$results"

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot /root /sbin/modprobe -a dm-mod loop
chroot /root "$GUEST_DIR/job" </root/dev/null >"/root$results/stdout" 2>"/root$results/stderr"
status=$?

# Written whole or not at all: the runner takes the file's existence as "the command has ended".
export PATH=/bin
echo "$status" >"/root$results/exit-status.new"
mv "/root$results/exit-status.new" "/root$results/exit-status"
dmesg >"/root$results/dmesg"
sync
echo o >/root/proc/sysrq-trigger
exec sleep 1000
