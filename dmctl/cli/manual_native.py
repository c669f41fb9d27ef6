# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the manual pages of the native commands say beside what the typer app and the targets tell, in mdoc(7)."""

from dmctl.cli.native import CLONE, THIN, VERITY

# dmctl(8) has these itself; the others are in pages of their own.
IN_MAIN = ("check", "install-links")
PAGES = {
    "dmctl-show": ("show", "tree", "top", "holders", "explain"),
    "dmctl-build": ("build",),
    "dmctl-events": ("events",),
    "dmctl-verity": (*(f"verity {name}" for name in VERITY), "veritysetup"),
    "dmctl-thin": tuple(f"thin {name}" for name in THIN),
    "dmctl-clone": tuple(f"clone {name}" for name in CLONE),
}

MAIN = r""".Ss Native commands
These are not in
.Xr dmsetup 8 .
.Cm show ,
.Cm tree ,
.Cm top ,
.Cm holders
and
.Cm explain
look at devices:
.Xr dmctl-show 8 .
.Cm build
makes tables and devices from arguments with names and units:
.Xr dmctl-build 8 .
.Cm events
watches what happens to devices:
.Xr dmctl-events 8 .
.Cm verity
makes hash trees and opens devices that are verified by them:
.Xr dmctl-verity 8 .
.Cm thin
makes thin volumes and snapshots, and reads the metadata of pools:
.Xr dmctl-thin 8 .
.Cm clone
makes copies of devices that can be used at once:
.Xr dmctl-clone 8 .
.Cm targets Fl -available
lists also the targets that the kernel could load, and those that it lacks, with the optional arguments that each has in
its version.
.Bl -tag -width Ds
"""

HEAD = r""".\" SPDX-License-Identifier: LGPL-2.1-or-later
.\" Made by python -m dmctl.cli.manual: change that, not this.
.Dd @DATE@
.Dt @TITLE@ 8
.Os
.Sh NAME
.Nm @NAME@
.Nd @WHAT@
"""

WHAT = {
    "dmctl-show": "look at device-mapper devices",
    "dmctl-build": "make device-mapper tables and devices",
    "dmctl-events": "watch what happens to device-mapper devices",
    "dmctl-clone": "make copies of devices that can be used at once",
    "dmctl-thin": "script thin pools, and read their metadata",
    "dmctl-verity": "make, verify, repair, sign and open dm-verity hash trees",
}

# What there is to say of a command beside its help and its options.
MORE = {
    "check": r"""Look for mistakes in a table before the kernel is asked:
gaps, overlaps, wrong lengths, unknown targets, wrong numbers of parameters, devices that are too small,
starts that are not aligned.
Each finding is printed with its line and column.
The exit status is 0 without an error and 1 with one; warnings do not count.
""",
    "install-links": r"""Make links to
.Nm
in a folder, by the names under which it is another program:
.Xr dmsetup 8 ,
.Xr dmstats 8 ,
.Nm dmlosetup
and
.Nm devmap_name .
Nothing else of that name is replaced.
Called as
.Nm losetup
it is
.Nm dmlosetup
too, but no such link is made, for it would hide the
.Xr losetup 8
of util-linux.
""",
    "holders": r"""Tell who keeps a block device busy: devices above it, loop devices over its node, mounts,
swap, and processes that have
it open or mapped.
Mounts of other mount namespaces are found through the processes in them.
A device of any kind may be named, by its node or as
.Ar MAJOR : Ns Ar MINOR .
The exit status is 0 whether there is a holder or not.
Processes of others can be looked into by root only; how many could not be is told on standard error.
Where nothing is found, though the kernel counts the device as open, that is told as a holder called
.Dq kernel .
.Pp
Called as
.Nm ,
a
.Cm remove
of a device that is busy prints the holders behind its error, ten at most, unless the device is suspended.
""",
    "top": r"""Show at each
.Ar INTERVAL
(in seconds, with a fraction if wanted; 1 without it) what the devices have done since the one before:
reads and writes a second, bytes read and written a second, the average time of a read and of a write in
milliseconds, requests in flight, and the part of the time in which there was something to do.
A statistics region that is only a part of its device has a line of its own below it, where the caller is root.
No counter is cleared.
.Pp
On a terminal the display is drawn anew each time, and sorted by keys:
.Ic n
for names,
.Ic r
for reads,
.Ic w
for writes,
.Ic l
for the time of requests,
.Ic i
for requests in flight,
.Ic u
for the utilisation, in upper case for the other way round;
.Ic q
ends it.
Where there are more lines than the terminal has,
.Ic j ,
.Ic k ,
the arrows, PageUp, PageDown, Home and End scroll, and the last line tells how many are not shown.
Else lines are printed, with their headings, an empty line between two intervals.
After
.Ar COUNT
intervals it ends.
""",
    "show": r"""A column that says nothing of any device is left out, unless it was asked for.
On a terminal long names are cut to its width; in a pipe nothing is.
.Pp
.Fl -options Cm help
lists the columns: those of devices, and the fields of the status and of the arguments of each target, such as
.Cm thin-pool.data_used_blocks ;
a device without that target has nothing there.
.Fl -options No + Ns Ar FIELD
adds to the usual ones.
.Pp
A condition of
.Fl -select
compares fields with values by
.Ic = != < <= > >= ,
and with regular expressions by
.Ic =~
and
.Ic !~ ,
joined by
.Ic && ,
.Ic || ,
.Ic \&!
and parentheses.
Values may have units.
.Cm size
is in bytes,
.Cm full
in percent.
""",
    "tree": r"""Below device-mapper devices are arrays, partitions and disks, as far as
.Pa /sys
tells of them.
""",
    "explain": r"""Keys of crypt and integrity tables are zeros unless
.Fl -showkeys
is given.
""",
    "build": r"""Each line's target is followed by its arguments in their order; the others are options.
A list of things, such as legs, is one word each.
The length of a line is what its devices have from their offsets on, where they tell it.
.Pp
A table that the kernel would refuse is refused, as by
.Xr dmctl 8
.Cm check .
Without
.Fl -create
the devices need not exist.
A key as a word of the command line can be seen by others; as
.Cm @ Ns Ar FILE
it is read from a file, which holds it as it stands in the table.
In what is printed it is zeros unless
.Fl -showkeys
is given.
""",
}

VERITY_NOTES = r""".Sh VERITYSETUP
Trees, superblocks and parity are those of
.Xr veritysetup 8 ,
byte for byte; each opens, verifies and closes what the other has made.
Commands, options and labels are its, too, with these differences:
.Bl -bullet
.It
Data that are not whole blocks are refused, unless
.Fl -data-blocks
says how many to use.
.It
A tree whose top does not fit the root hash is not opened.
.It
.Cm verify
tells all that is wrong, not what comes first, and its exit status is 6 then, also where parity could repair it.
.It
.Cm close
refuses a device that is no verity device.
.El
.Pp
As
.Cm veritysetup
the first three are as there, and so are the exit statuses, 0 to 5, and the first line of an error.
What differs is that
.Cm format
refuses a device that is in use and leaves no file behind that it has made in vain,
.Cm verify
counts repairable blocks, not bytes, and fails where
.Fl -root-hash-file
cannot be read,
.Cm close
is as above, and
.Fl -debug
adds nothing.
.Sh PARITY
Parity is over the data, the tree and what follows that on its device, so
.Cm repair
needs a device or file of hashes as large as it was when parity was made.
Of 255 blocks that belong together, as many as
.Fl -fec-roots
can be put right, wherever they are, for their hashes tell which are wrong; and a block is written only when its hash
agrees.
Blocks that cannot be read count as wrong.
.Sh SIGNATURES
The kernel checks a signature of the root hash where
.Fl -root-hash-signature
hands it over.
It is PKCS #7 SignedData in DER, detached, over the root hash in lower-case digits without a newline, and has neither
attributes nor certificates: the kernel finds the certificate in its own keyrings, by issuer and serial number.
The certificate should have the key usage digitalSignature and a subject key identifier.
The key is RSA or EC, in PEM or DER.
Where it is encrypted, the passphrase is asked for on the terminal, or read from the first line of
.Fl -passphrase-file .
.Pp
A key on a PKCS #11 token is named by its URI, as in
.Ql pkcs11:token=signing;object=images .
It signs through
.Xr openssl 1
and the provider for PKCS #11 (Debian: pkcs11-provider), or where that is not there the engine
(libengine-pkcs11-openssl), which find the token's library through p11-kit or what their own documentation names.
The PIN is in the URI (pin-value), in a file that the URI names (pin-source), or where a passphrase would be.
It is taken out of the URI before that is handed on; what is typed as pin-value others can see all the same.
Instead of the URI
.Fl -key
may be a file in PEM that holds it.
.Pp
.Cm verify-signature
needs neither root nor a kernel.
Its exit status is 6 where the signature is of another root hash or by another key, and 1 where the file is no signature
in DER.
It does not ask whether the kernel trusts the certificate.
.Pp
A key on a machine without dmctl signs in two steps:
.Fl -emit
writes what is to be signed, and
.Fl -attach
takes the bare value of the signature (RSA PKCS #1 v1.5; ECDSA in DER or as two numbers), for which
.Fl -cert
is needed, or finished PKCS #7 in DER or PEM.
.Pp
The partition UUID of the data is the first 128 bits of the root hash, that of the hash tree the last 128.
The partition of the signature may have any.
It holds JSON with rootHash, certificateFingerprint and signature, padded with NULs to whole 4096 bytes.
"""

VERITY_EXAMPLES = r""".Sh EXAMPLES
An image with its tree and parity in files of their own, verified, damaged and repaired:
.Pp
.Dl dmctl verity format root.img root.verity --fec-device root.fec --root-hash-file root.hash
.Dl dmctl verity verify root.img root.verity --root-hash-file root.hash
.Dl dmctl verity repair root.img root.verity --root-hash-file root.hash --fec-device root.fec
.Pp
A device that is verified when it is read:
.Pp
.Dl dmctl verity open root.img root root.verity $(cat root.hash)
.Dl mount -o ro /dev/mapper/root /mnt
.Pp
A root hash signed with a key on a token, and with one that is elsewhere:
.Pp
.Dl dmctl verity sign --root-hash-file root.hash --key 'pkcs11:object=key' --cert cert.pem -o root.p7s
.Pp
.Dl dmctl verity sign --root-hash-file root.hash --emit root.tbs
.Dl openssl dgst -sha256 -sign key.pem -out root.value root.tbs
.Dl dmctl verity sign --root-hash-file root.hash --attach root.value --cert cert.pem -o root.p7s
"""

THIN_NOTES = r""".Sh THE CATALOGUE
What volumes there are, what they are called and what is bound to each is kept in the pool itself, in a thin of the id
16777215 which is written in two places in turn.
The pool's transaction id tells which of them is the truth, and so commits a change in the kernel and in the catalogue
at once.
A change is there as a whole or not at all, whatever happens; what a crash has left is finished or undone by the next
command that changes the pool, which tells so.
Ids of thins are never used twice.
A volume has a uuid of its own for ever, and a blob of up to 256 bytes.
.Pp
One process at a time changes a pool; others wait.
Pools of LVM and Stratis are refused.
When another tool has moved the transaction id, nothing is changed until
.Cm thin pool reconcile
has fitted the catalogue to the thins that there are.
A thin belongs to a volume only if its id and the transaction id of its making are those of the volume, so that one that
another tool has made is never taken for it.
.Pp
After each change the superblock is read again from the disk: the kernel answers with success for messages whose commit
has failed.
.Sh SNAPSHOTS
An origin that is active is suspended while the kernel makes its snapshot, for some milliseconds.
Signals are held back meanwhile, the process is locked in memory, and a second process resumes the origin should the
first one be killed, or take longer than 30 seconds.
Should both be killed, any command of
.Cm thin
that changes the pool, or
.Cm thin recover ,
resumes what is named in
.Pa /run/dmctl/sections .
An origin that holds swap space, has a new table loaded or is suspended already is refused.
.Pp
By default the file system on it is frozen and written out, and the snapshot is clean.
With
.Fl -nolockfs
or
.Fl -noflush
the snapshot is what a power failure would have left.
"""

THIN_EXAMPLES = r""".Sh EXAMPLES
A pool, a volume with something bound to it, and a snapshot of it:
.Pp
.Dl dmctl thin pool create tank --metadata /dev/sdb1 --data /dev/sdb2
.Dl dmctl thin create tank root --size 20G --blob 'template fedora-41' --activate
.Dl dmctl thin snapshot tank root root-1
.Dl dmctl thin ls tank
.Pp
Two volumes at one moment, and many changes as one:
.Pp
.Dl dmctl thin snapshot tank --group data=data-1 --group log=log-1
.Dl printf 'remove old\enrename new current\en' | dmctl thin batch tank -
.Pp
A command when a pool becomes full:
.Pp
.Dl dmctl thin monitor tank --data 90 --exec 'logger $DMCTL_POOL is $DMCTL_DATA_PERCENT% full'
.Pp
What each thin of a live pool has to itself, and what two of them do not share:
.Pp
.Dl dmctl thin ls pool --format DEV,MAPPED,EXCLUSIVE
.Dl dmctl thin delta pool --thin1 1 --thin2 7 --json
.Pp
A copy of the metadata of a pool that is not active, looked at and checked:
.Pp
.Dl dmctl thin dump /dev/vg/metadata -o metadata.xml
.Dl dmctl thin check /dev/vg/metadata
"""

SHOW_EXAMPLES = r""".Sh EXAMPLES
Pools and snapshots that are nearly full, as names only:
.Pp
.Dl dmctl show --select 'full>=80' --options name --noheadings
.Pp
A picture of all devices:
.Pp
.Dl dmctl tree --dot | dot -Tsvg -o devices.svg
.Pp
What the words of a saved table mean:
.Pp
.Dl dmctl explain --table saved
"""

BUILD_EXAMPLES = r""".Sh EXAMPLES
A device over all of a disk but its first MiB:
.Pp
.Dl dmctl build linear /dev/sdb --offset 1M --create data
.Pp
A table of two lines: a stripe set, and behind it a GiB of errors:
.Pp
.Dl dmctl build striped 64K /dev/sdb /dev/sdc --then error --size 1G
"""

SURROUNDINGS = r""".Sh ENVIRONMENT
.Bl -tag -width NO_COLOR
.It Ev NO_COLOR
If set and not empty, nothing is coloured.
.It Ev COLUMNS
The width of the terminal, in place of what it says itself.
.El
.Sh EXIT STATUS
0 done, 1 failed, 2 wrong usage, 3 no such device, 4 not permitted, 5 busy, 6 verification failed,
124 not in time, 130 interrupted.
"""

# Behind the variables of all.
VERITY_SURROUNDINGS = SURROUNDINGS.replace(
    ".El\n",
    r""".It Ev DMCTL_HASH
How digests are computed:
.Cm avx512 , shani , avx2
or
.Cm evp ,
OpenSSL; without it the fastest that the processor has.
.It Ev DMCTL_FEC
How parity is computed:
.Cm gfni512 , gfni , avx2
or
.Cm portable ;
likewise.
.El
""",
    1,
)

TAIL = r""".Sh SEE ALSO
.Xr dmctl 8
"""
