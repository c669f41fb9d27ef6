#!/bin/busybox sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Process 1 of the QEMU guest, in its initial RAM disk, which has busybox and the modules that it begins with. The kernel turns
# these words of its command line into environment variables:
#   GUEST_DIR       the runner's folder on the host, with "job" (the command)
#   GUEST_RESULTS   the results folder, which gets the same path here
#   GUEST_MODULES   the folder of the unpacked kernel
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

release=$(uname -r)
mount --move /proc /root/proc
mount --move /sys /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
mount -t tmpfs -o mode=755 tmpfs /root/run
# On a file system that a loop device can be made over.
mkdir -p /root/run/guest /root/run/tmp "/root$GUEST_RESULTS"
mkdir -p "/root/lib/modules"
ln -s "$GUEST_MODULES/lib/modules/$release" "/root/lib/modules/$release"
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=524288 results "/root$GUEST_RESULTS"

export PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot /root /sbin/modprobe -a dm-mod loop
chroot /root "$GUEST_DIR/job" </root/dev/null >"/root$GUEST_RESULTS/stdout" 2>"/root$GUEST_RESULTS/stderr"
status=$?

# Written whole or not at all: the runner takes the file's existence as "the command has ended".
export PATH=/bin
echo "$status" >"/root$GUEST_RESULTS/exit-status.new"
mv "/root$GUEST_RESULTS/exit-status.new" "/root$GUEST_RESULTS/exit-status"
dmesg >"/root$GUEST_RESULTS/dmesg"
sync
echo o >/root/proc/sysrq-trigger
exec sleep 1000
