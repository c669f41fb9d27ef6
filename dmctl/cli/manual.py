# SPDX-License-Identifier: LGPL-2.1-or-later
"""The manual page: `python -m dmctl.cli.manual >man/dmctl.8`.

Commands and options come from the command table, the rest stands here, in mdoc(7). Not loaded by any command.
"""

import textwrap
from collections.abc import Iterator

from dmctl.cli.spec import COMMANDS, OPTIONS, VERBOSE_HELP, Command, Option

_DATE = "November 20, 2026"

_GLOBAL_OPTIONS = ("help", "manglename", "verbose", "version")

_HEAD = r""".\" SPDX-License-Identifier: LGPL-2.1-or-later
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
.Nm dmsetup ,
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

_NATIVE = r""".Ss Native commands
These are not in
.Xr dmsetup 8 .
.Bl -tag -width Ds
.It Cm check Op Fl -table Ar TABLE | Ar FILE | Fl
Look for mistakes in a table before the kernel is asked:
gaps, overlaps, wrong lengths, unknown targets, wrong numbers of parameters, devices that are too small,
starts that are not aligned.
Each finding is printed with its line and column.
The exit status is 0 without an error and 1 with one; warnings do not count.
Takes
.Fl -table ,
.Fl -json .
.It Cm install-links Ar DIR
Make links to
.Nm
in a folder, by the names under which it is another program:
.Xr dmsetup 8
and
.Nm devmap_name .
Nothing else of that name is replaced.
.El
"""

_OPTIONS_HEAD = r""".Sh OPTIONS
Options may stand anywhere on the command line, before the command too.
The beginning of a long name is enough where only one option begins so;
an option's argument may be a word of its own or follow
.Ql = .
.Fl -
ends the options.
.Bl -tag -width Ds
"""

_OWN_OPTIONS = r""".It Fl -json
Print JSON, for the commands that list this option.
Numbers are integers; the object
.Dq output_version
tells a program which layout to expect.
Not in
.Xr dmsetup 8 ,
and not abbreviated.
.It Fl -debug
Print the log of libdevmapper on standard error, and the Python trace of a failure.
Not in
.Xr dmsetup 8 ,
and not abbreviated.
.El
"""

_TAIL = r""".Sh ENVIRONMENT
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

_DIFFERENCES = r""".Sh DIFFERENCES FROM DMSETUP
The reference is
.Xr dmsetup 8
1.02.185.
Called as
.Nm dmsetup ,
only the first, the second and the last of these differences remain.
.Bl -bullet
.It
.Cm create
with an empty table makes a device without a table at once; dmsetup waits for udev for ever.
.It
Tables with a crypt or integrity target, which may hold keys, are sent and read with the kernel's secure-data flag,
and the buffers are wiped.
.It
When the kernel refuses a request, lines that begin with
.Dq kernel:\&
follow the first line of the error, and give the reason from the kernel's log.
.It
.Fl -json
and
.Fl -debug ,
and
.Fl -help
behind a command for its own help.
.It
.Nm
without a command, or with
.Fl -help
alone, prints its own help.
.It
When standard output cannot be written, that is reported and the exit status is 1.
.It
^C while waiting for udev leaves no cookie behind.
.It
Without a running udevd the nodes are made by libdevmapper; dmsetup makes none unless
.Fl -verifyudev
or
.Ev DM_DISABLE_UDEV
asks for it.
A udevd that ends while a command waits for it is not waited for any longer.
.El
.Pp
These commands are not there yet:
@MISSING@
"""


def options_of(command: Command) -> list[Option]:
    """The options of a command that work already, in the order of the table."""
    wanted = command.options.split()
    return [option for option in OPTIONS if option.long in wanted]


def render() -> str:
    """The manual page, in mdoc."""
    available = [command for command in COMMANDS.values() if command.handler]
    parts = [_HEAD.replace("@DATE@", _DATE), ".Sh COMMANDS\n.Bl -tag -width Ds\n"]
    parts += [_command(command) for command in available]
    parts += [".El\n", _NATIVE, _OPTIONS_HEAD]
    used = {option.long for command in available for option in options_of(command)} | set(_GLOBAL_OPTIONS)
    parts += [_option(option) for option in OPTIONS if option.long in used]
    parts += [f".It Fl v\n{_sentence(VERBOSE_HELP)}\n", _OWN_OPTIONS, _tail()]
    return "".join(f"{line}\n" for line in _fill("".join(parts)))


def _fill(page: str) -> Iterator[str]:
    """The page's lines, the long ones of running text broken: mdoc(7) wants no more than 80 bytes."""
    for line in page.splitlines():
        if line.startswith("."):
            yield line
        else:
            yield from textwrap.wrap(line, 79, break_long_words=False, break_on_hyphens=False)


def _tail() -> str:
    missing = _list("Cm", [command.name for command in COMMANDS.values() if not command.handler])
    before, heading, after = _TAIL.partition(".Sh INTERRUPTED COMMANDS\n")
    return before + _DIFFERENCES.replace("@MISSING@\n", missing) + heading + after


def _command(command: Command) -> str:
    lines = [f".It Cm {_escape(command.name)} {_operands(command.usage)}".rstrip(), _sentence(command.summary)]
    names = [f"-{option.long}" for option in options_of(command)] + ["-json"] * command.json
    text = "\n".join(lines) + "\n"
    return f"{text}Takes\n{_list('Fl', names)}" if names else text


def _operands(usage: str) -> str:
    words = []
    for word in usage.split():
        name = word.strip("[].")
        dots = " ..." if "..." in word else ""
        if word.startswith("["):
            words.append(f"Op Ar {name}{dots}")
        elif word.startswith("--"):
            words.append(f"Fl {_escape(word[1:])}")
        else:
            words.append("|" if word == "|" else f"Ar {name}{dots}")
    return " ".join(words)


def _list(macro: str, names: list[str]) -> str:
    """Names, one a line, with commas between them and a full stop behind the last."""
    ends = [" ,"] * (len(names) - 1) + [" ."]
    return "".join(f".{macro} {_escape(name)}{end}\n" for name, end in zip(names, ends, strict=True))


def _option(option: Option) -> str:
    names = [f"Fl {letter}" for letter in option.short] + [f"Fl {_escape('-' + option.long)}"]
    argument = f" Ar {option.argument}" if option.argument else ""
    return f".It {' , '.join(names)}{argument}\n{_sentence(option.help)}\n"


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return _escape(text if text.endswith(".") else text + ".")


def _escape(text: str) -> str:
    """Text that troff takes literally: a hyphen of a name is a minus sign, a control character at the start none."""
    text = text.replace("\\", "\\e")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    print(render(), end="")
