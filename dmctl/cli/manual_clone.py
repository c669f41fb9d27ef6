# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the manual page of `dmctl clone` says beside its commands' help, in mdoc(7)."""

from dmctl.clone.hydration import STATES

_STATES = "".join(f".It Cm {name}\n{meaning}\n".replace(": ", ":\n") for name, meaning in STATES.items())

NOTES = rf""".Sh STATES
.Bl -tag -width read-only
{_STATES}.El
.Sh METADATA
Which regions are copied is kept on a device of its own, or in a file.
For
.Em R
regions it needs 3 * (R / 32576, rounded up) + 64 blocks of 4 KiB, and 4 MiB at the least;
.Cm create Fl -dry-run
tells how much that is.
Less is refused, for the kernel then stops to remember what is copied, and one has crashed over it.
.Pp
What a clone is made of is kept in
.Pa /var/lib/dmctl/clone/NAME.json ,
and the uuid of its device is
.Dq DMCTL-CLONE-
with a uuid behind it.
The metadata are emptied when a clone is made, and never by
.Cm assemble :
where they are gone, it refuses to begin anew over what has been written since.
A file that dmctl has made for the metadata goes with
.Cm finish
and
.Cm abort .
.Pp
Clones that were made in other ways, such as by
.Xr dmsetup 8 ,
can be watched, throttled, paused, trimmed and finished as well, but not assembled.
.Sh COPIES THAT FAIL
The kernel does not end a background copy that fails: it tries again for ever, some hundred thousand times a second, and
its status does not tell.
.Cm watch ,
and
.Cm create
and
.Cm assemble
with
.Fl -wait ,
take a clone for stalled where nothing has been copied for the time of
.Fl -max-stall
although the kernel's log tells of failures, the source is read, or copies do not come back.
They then stop the background copy, have it try what is left one region at a time, read from the metadata which regions
are still not there, and print these as bytes of the source.
.Fl -on-error Cm fail
ends with exit status 5,
.Cm pause
goes on watching until
.Cm resume ,
and
.Cm retry
starts the copy again.
What is read of such a region fails as the source does, and so does a write to a part of it; a write to all of it makes
it whole.
.Pp
Where a process with
.Fl -rate
is killed, the copying may stay as it was at that moment, held back;
.Cm resume
starts it again.
.Pp
Where others use the device all the time, the kernel lets them go first, and the state is
.Cm starved .
That is no error, and is waited for.
.Sh DISCARDS
A region that is discarded counts as copied, and is not read from the source any more.
That is what
.Cm trim
is for.
Programs that take discarded bytes for zeros must not discard on a clone: what the destination has there is read then.
"""

EXAMPLES = r""".Sh EXAMPLES
A disk on another machine, served by
.Xr nbdkit 1 ,
copied here while a system runs from it:
.Bd -literal -offset indent
nbd-client -readonly images.example.org /dev/nbd0 -name golden
dmctl clone create root --source /dev/nbd0 --dest /dev/vg/root
mount /dev/mapper/root /mnt
dmctl clone watch root
dmctl clone finish root
nbd-client -d /dev/nbd0
.Ed
.Pp
A verified image onto an encrypted disk, without what its file system does not use:
.Bd -literal -offset indent
dmctl verity open image.raw image image.hash "$root_hash"
cryptsetup open /dev/nvme0n1p3 disk
dmctl clone create data --source /dev/mapper/image \e
    --dest /dev/mapper/disk --no-hydration
mount /dev/mapper/data /mnt
dmctl clone trim data
dmctl clone resume data
.Ed
.Pp
A larger disk in the place of a smaller one, all of it there at once:
.Bd -literal -offset indent
dmctl clone create data --source /dev/vg/old --dest /dev/vg/new \e
    --grow --set-ro
mount /dev/mapper/data /srv
resize2fs /dev/mapper/data
dmctl clone watch data --rate 50M
dmctl clone finish data
.Ed
.Pp
After a reboot, as a service, which watches it too:
.Pp
.Dl systemctl enable --now dmctl-clone@data.service
.Pp
What a clone that cannot be assembled has and has not:
.Pp
.Dl dmctl clone inspect --metadata /dev/vg/meta --missing
"""
