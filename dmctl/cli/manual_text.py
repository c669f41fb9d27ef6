# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the manual page says beside its lists of commands and options, in mdoc(7)."""

HEAD = r""".\" SPDX-License-Identifier: LGPL-2.1-or-later
.\" Made by python -m dmctl.cli.manual: change that, not this.
.Dd @DATE@
.Dt DMCTL 8
.Os
.Sh NAME
.Nm dmctl
.Nd manage device-mapper devices
.Sh SYNOPSIS
.Nm
.Op Ar OPTION ...
.Ar COMMAND
.Op Ar OPERAND ...
.Nm
.Ar COMMAND
.Fl -help
.Sh DESCRIPTION
.Nm
makes, changes, shows and removes the virtual block devices of the kernel's device-mapper.
It takes the command lines of
.Xr dmsetup 8
and gives the same output and the same exit status;
what differs is listed in
.Sx DIFFERENCES FROM DMSETUP .
Called by the name
.Nm dmsetup
or
.Nm dmstats ,
through a link, it leaves out what it would add.
.Pp
A device has up to two tables, lists of lines that say which target serves which sectors.
The live table is in use.
.Cm load
puts another into the inactive slot,
.Cm suspend
holds back I/O, and
.Cm resume
makes the inactive table the live one and lets I/O go on.
.Cm create
does all of it for a new device.
.Sh OPERANDS
.Bl -tag -width Ds
.It Ar DEVICE
The name of a device, or the path of its node.
In place of a single
.Ar DEVICE
there may be
.Fl -uuid Ar UUID ,
or
.Fl -major Ar MAJOR
and
.Fl -minor Ar MINOR .
Where it is optional and left out, the command is about all devices.
.It Ar NAME
The name of a new device: up to 127 bytes, without a slash.
.It Ar TABLE_FILE
A file with a table.
Without it, and without
.Fl -table ,
the table is read from standard input.
.It Ar TABLE
Lines of the form
.Dq Ar START LENGTH TARGET Op Ar PARAMETERS ,
numbers in sectors of 512 bytes.
The first line starts at sector 0, and each line where the one before it ends.
Empty lines are skipped and
.Ql #
begins a comment.
.It Ar SECTOR
A sector of the device, which selects the target that is served there; usually 0.
.El
"""

OPTIONS_HEAD = r""".Sh OPTIONS
Options may stand anywhere on the command line, before the command too.
The beginning of a long name is enough where only one option begins so;
an option's argument may be a word of its own or follow
.Ql = .
.Fl -
ends the options.
.Bl -tag -width Ds
"""

OWN_OPTIONS = r""".It Fl -json
Print JSON, for the commands that list this option.
Numbers are integers; the object
.Dq output_version
tells a program which layout to expect.
Not in
.Xr dmsetup 8 ,
and not abbreviated.
.It Fl -headings Cm none | abbrev | full
What stands above the columns of a report: nothing, dmsetup's headings (as without this option), or the names of the
fields.
Not in
.Xr dmsetup 8
1.02.185, and not abbreviated.
.It Fl -debug
Print the log of libdevmapper on standard error, and the Python trace of a failure.
Not in
.Xr dmsetup 8 ,
and not abbreviated.
.El
"""

TAIL = r""".Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev DM_DEV_DIR
The folder to use instead of
.Pa /dev ;
an absolute path.
libdevmapper, not udev, makes the nodes there.
.It Ev DM_UDEV_COOKIE
The udev transaction to join, as with
.Fl -udevcookie .
.It Ev DM_DEFAULT_NAME_MANGLING_MODE
How characters that udev cannot have in a name are written:
.Cm auto
(the default),
.Cm hex
or
.Cm none .
.It Ev DM_DISABLE_UDEV
If set, do not wait for udev; libdevmapper makes the nodes.
.It Ev NO_COLOR
If set, no output has colours.
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /dev/mapper/control
Through which the kernel's driver is asked.
.It Pa /dev/mapper/ Ns Ar NAME
The node of a device, or a link to it.
.It Pa /dev/kmsg
Where the kernel's reason for a failure is read from.
Without the permission to read it, the reason is left out.
.It Pa /run/udev/control
Without this socket udevd does not run, and libdevmapper makes the nodes.
.It Pa /run/udev/queue
There while udevd has events.
.El
.Sh EXIT STATUS
Commands that
.Xr dmsetup 8
has too exit 0 on success and 1 on any failure; help and
.Fl -version
always exit 0.
With
.Fl -json
and a command that has no JSON the exit status is 2.
Native commands exit
.Pp
.Bl -tag -width 130 -compact
.It 0
when done,
.It 1
when they have failed,
.It 2
for a wrong command line,
.It 3
when a device or file is not there,
.It 4
when the permission is missing,
.It 5
when a device is busy, or is there already,
.It 6
when a verification has failed,
.It 130
when interrupted.
.El
.Pp
SIGINT, SIGTERM, SIGHUP and SIGQUIT end
.Nm
by the signal itself, once it has cleaned up; a shell shows that as 128 and the signal's number.
.Sh EXAMPLES
Make a device of 1 MiB out of a loop device, look at it, and remove it:
.Bd -literal -offset indent
dmctl create disk --table "0 2048 linear /dev/loop0 0"
dmctl table disk
dmctl remove disk
.Ed
.Pp
Replace its table by a longer one:
.Bd -literal -offset indent
dmctl load disk --table "0 4096 linear /dev/loop0 0"
dmctl suspend disk
dmctl resume disk
.Ed
.Pp
Make a snapshot of a thin volume:
.Bd -literal -offset indent
dmctl suspend thin
dmctl message pool 0 create_snap 1 0
dmctl resume thin
dmctl create snap --table "0 65536 thin /dev/mapper/pool 1"
.Ed
.Pp
See how much is written to the first half of a device, in areas of 1 MiB, every five seconds:
.Bd -literal -offset indent
dmctl stats create disk --start 0 --length 512m --areasize 1m
dmctl stats report disk --interval 5 -o region_id,area_id,write_size_per_sec
dmctl stats delete disk --allregions
.Ed
.Pp
Print the devices' names for a program:
.Bd -literal -offset indent
dmctl ls --json | jq -r ".devices[].name"
.Ed
.Sh INTERRUPTED COMMANDS
.Cm create
asks the kernel three times: to make the device, to load its table, to resume it.
Then it waits until udev has made the node.
.Bl -tag -width Ds
.It ^C or SIGTERM while it waits for udev
The udev cookie, a semaphore, is removed.
The device stays, with its table live; udev makes the node when it gets to it.
.Ql dmctl remove NAME
undoes it.
.It kill -9 between make and resume
The device stays without a live table;
.Cm info
shows its tables as
.Dq None
or
.Dq INACTIVE .
It has no node.
.Ql dmctl remove NAME
removes it; with an inactive table,
.Ql dmctl resume NAME
finishes the work.
.It kill -9 while it waits for udev
The device stays with its table live, and the cookie stays too.
.Ql dmctl udevcookies
lists cookies, and
.Ql dmctl udevcomplete_all 1
removes those that are more than a minute old.
.It Any signal between suspend and resume
A device that was suspended stays suspended, and whoever writes to it waits.
.Ql dmctl resume NAME
lets it go on.
.El
.Pp
.Cm resume ,
.Cm rename
and
.Cm remove
ask the kernel once, which is done or not done; only a cookie can remain, as above.
.Sh SEE ALSO
.Xr dmsetup 8 ,
.Xr dmstats 8 ,
.Xr losetup 8 ,
.Xr udevadm 8
.Pp
The kernel's documentation of the targets, in Documentation/admin-guide/device-mapper.
"""

DIFFERENCES = r""".Sh DIFFERENCES FROM DMSETUP
The reference is
.Xr dmsetup 8
1.02.185.
.Ss Under any name
.Bl -bullet
.It
.Cm create
with an empty table makes a device without a table at once; dmsetup waits for udev for ever.
.It
Tables with a crypt or integrity target, which may hold keys, are sent and read with the kernel's secure-data flag,
and the buffers are wiped.
.It
^C while waiting for udev leaves no cookie behind.
.It
.Cm suspend ,
.Cm wipe_table ,
.Cm remove Fl -force
and
.Cm remove_all Fl -force
lock the program in memory before a device is suspended, for its own files may be on it;
so does
.Fl -exec ,
whose command may suspend a device.
Without the right to do so (CAP_IPC_LOCK) they go on unlocked.
.It
Without a running udevd the nodes are made by libdevmapper; dmsetup makes none unless
.Fl -verifyudev
or
.Ev DM_DISABLE_UDEV
asks for it.
A udevd that ends while a command waits for it is not waited for any longer,
nor is one that has no event left and has not completed the cookie: one of its
workers was killed, or it is the host's, and the command runs in a container
whose semaphores udevd does not see.
The nodes are then made as without it, with a warning; dmsetup waits for ever.
.It
An alias of a statistics group that contains blanks is refused; dmstats aborts.
After wrong
.Fl -bounds
nothing is said of memory that was not released.
.It
Rows about statistics groups are sorted and selected by the number of the group; dmstats takes what happens to be in
memory.
.It
Usage and help texts are
.Nm Ns 's
own.
.El
.Ss Called as dmctl
.Bl -bullet
.It
When the kernel refuses a request, lines that begin with
.Dq kernel:\&
follow the first line of the error, and give the reason from the kernel's log.
.It
.Fl -json ,
.Fl -debug
and
.Fl -headings ,
and
.Fl -help
behind a command for its own help.
.It
.Nm
without a command, or with
.Fl -help
alone, prints its own help.
.It
When standard output cannot be written, that is reported and the exit status is 1; dmsetup exits 0.
.It
.Cm remove Fl -retry
prints the error of all its tries once, not 25 times.
.It
.Fl -unbuffered
prints each row of a report when it is known, without making columns as wide as what is in them;
dmsetup does nothing by it.
.It
.Fl vvvv
and more prints the file and the line of each message of libdevmapper.
.It
.Fl o
of
.Cm ls
and
.Cm deps
takes whole names; for dmsetup their beginnings are enough.
.It
.Cm stats report
leaves the counters as they are, so that others who read them are not disturbed, and with
.Fl -count
or
.Fl -interval
shows what has come since the report before.
With
.Fl -clear
it sets them to zero, which dmstats always does.
.It
In statistics reports the merged requests a second and the service time are right;
dmstats is off by factors of a thousand million and of a million.
.Fl S
can select by rates, in whole numbers, and by
.Cm precise
and
.Cm hist_bins .
.It
.Cm stats print Fl -allregions
prints each region once, not twice.
.It
.Cm stats create Fl -filemap
heeds
.Fl -precise ;
with
.Fl -nogroup
it needs no
.Fl -nomonitor ,
and in a default alias blanks, colons and backslashes become underscores.
.It
.Fl -groupid
takes the alias of a group too.
.It
Numbers and sizes of
.Cm stats
that are none are refused; dmstats reads as much of them as it can.
So is a region beyond the end of the device; from
.Fl -start
on, a region reaches to that end if no length is given.
So are words with blanks, which the kernel would take apart, and an alias with a colon or a backslash.
Where not all segments can get their regions, none does.
.It
.Cm stats ungroup
says that the group was removed only where it was.
.El
"""

STATISTICS = r""".Ss Statistics
.Nm Cm stats Ar COMMAND
is
.Nm dmstats Ar COMMAND :
the kernel counts the I/O of regions of a device, which may be divided into areas and joined into groups.
A region has a number, and belongs to the program that made it,
.Dq dmstats
unless
.Fl -programid
says otherwise.
Sizes without a unit are sectors.
Without
.Ar DEVICE
a command that shows something is about all devices, and one that changes something needs
.Fl -alldevices .
.Bl -tag -width Ds
"""
