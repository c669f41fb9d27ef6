#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# unpack_kernel.sh FOLDER: the newest Linux 6.12 that Debian's package lists name, unpacked for the QEMU guest: "vmlinuz",
# and the modules that tests of device-mapper need. Nothing is installed; the package itself is not kept.
set -eu
folder=$(realpath -m "$1")
rm -rf "$folder" "$folder.new"
mkdir -p "$folder.new"
cd "$folder.new"

newest() {
    apt-cache pkgnames linux-image-6.12 | grep -E '^linux-image-6\.12\.[0-9]+(\+deb[0-9]+)?-amd64-unsigned$' | sort -V | tail -n 1
}

download() {
    package=$(newest)
    [ -n "$package" ] && apt-get download -q=2 "$package" 2>/dev/null
}

if ! download; then
    # The lists may be older than the archive.
    [ "$(id -u)" = 0 ] || as_root=sudo
    ${as_root-} apt-get update -q=2
    download || {
        echo "No package linux-image-6.12…-amd64-unsigned can be fetched (Debian 12 with its security updates has one)." >&2
        exit 1
    }
fi

release=${package#linux-image-}
release=${release%-unsigned}
dpkg --fsys-tarfile ./*.deb | tar -x --wildcards "./boot/vmlinuz-*" "./lib/modules/*/modules.*" \
    "*/kernel/drivers/md/*" "*/kernel/drivers/block/*" "*/kernel/lib/*" "*/kernel/crypto/*" "*/kernel/arch/x86/crypto/*" \
    "*/kernel/net/9p/*" "*/kernel/fs/9p/*" "*/kernel/fs/netfs/*" "*/kernel/fs/overlayfs/*" "*/kernel/fs/ext4/*" \
    "*/kernel/fs/jbd2/*" "*/kernel/fs/mbcache*"
rm ./*.deb
mv "boot/vmlinuz-$release" vmlinuz
/sbin/depmod -b . "$release" 2>/dev/null
echo "$release" >release
cd /
mv "$folder.new" "$folder"
