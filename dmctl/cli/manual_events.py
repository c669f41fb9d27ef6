# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the manual page of `dmctl events` says beside its help, in mdoc(7)."""

from dmctl.events import TYPES

_TYPES = "".join(f".It Cm {name}\n{meaning}\n" for name, meaning in TYPES.items())

NOTES = rf""".Sh EVENTS
.Bl -tag -width path-reinstated
{_TYPES}.El
.Pp
What the kernel's uevents and event counters tell is there within milliseconds.
No event tells of a suspend and of a table that is loaded or cleared: they are looked for every second, where there are
hundreds of devices less often, so that it takes no more than a thousandth of a processor.
A suspend that has ended by then is told by its end.
A device that has gone before it could be asked has no name.
.Pp
What changes without an event, such as the mismatches of integrity, what a snapshot-merge has still to do, or how far a
clone is, is told with
.Fl -poll .
Other targets' changes of that kind are not told, for they change all the time;
.Xr dmctl-show 8
shows them.
.Pp
Named devices are watched on under another name, until they go.
.Sh CONDITIONS
A condition of
.Fl -until
is one of
.Fl -select
of
.Xr dmctl-show 8
with the fields of the device's own status, such as
.Cm hydrated_regions
or shorter
.Cm hydrated ,
with
.Cm name , uuid , target , suspended , inactive_table
and
.Cm event_nr ,
and a field may be compared with another one.
It is looked at at each event, and every second or as
.Fl -poll
says.
.Sh COMMANDS AT EVENTS
The command of
.Fl -exec
is run for each event that is told, in their order, at most as many at once as
.Fl -jobs
says; others wait, and no event is missed meanwhile.
In its environment are
.Ev DMCTL_EVENT
(the type),
.Ev DMCTL_NAME , DMCTL_UUID , DMCTL_MAJOR , DMCTL_MINOR , DMCTL_TARGETS
(with commas), what else there is to say, such as
.Ev DMCTL_OLD_NAME , DMCTL_EVENT_NR , DMCTL_BLOCK_TYPE , DMCTL_BLOCK
and
.Ev DMCTL_PATH ,
and all of it in
.Ev DMCTL_JSON .
A failure is told on standard error.
When
.Nm dmctl events
ends by itself it waits for what runs; when it is ended by a signal it does not.
"""

EXAMPLES = r""".Sh EXAMPLES
All that happens to the volumes of a group:
.Pp
.Dl dmctl events --name 'vg0-*'
.Pp
A merge that is to be waited for, for an hour at most:
.Pp
.Dl dmctl events root --until used==metadata --timeout 3600
.Pp
What an event counter has told since it was 3:
.Pp
.Dl dmctl events pool --since-counter 3 --once --json
.Pp
A service that runs a command when a target has something to tell, with no more rights than that takes,
.Pa /etc/systemd/system/dm-events.service :
.Bd -literal -offset indent
[Unit]
Description=Tell what device-mapper targets tell

[Service]
ExecStart=/usr/bin/dmctl events --type event --type corrupted \e
    --type path-failed --exec /usr/local/sbin/dm-event
Restart=on-failure
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_NET_ADMIN
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateTmp=yes
DevicePolicy=closed
DeviceAllow=/dev/mapper/control rw
DeviceAllow=/dev/kmsg r
RestrictAddressFamilies=AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
.Ed
"""
