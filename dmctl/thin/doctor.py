# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a pool, and the steps that lead out of it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from dmctl import names
from dmctl.device import Device
from dmctl.errors import DmctlError
from dmctl.targets.thin_pool import OUT_OF_DATA_SPACE, READ_ONLY
from dmctl.thin import kernel, recovery
from dmctl.thin.catalogue import CATALOGUE_ID
from dmctl.thin.fill import Fill
from dmctl.thin.pool import ForeignPoolError, look
from dmctl.units import parse_devno

NEARLY_FULL_PERCENT = 90.0


@dataclass(frozen=True, slots=True)
class Finding:
    """what: a sentence. steps: command lines, or sentences, in the order in which they are to be done."""

    what: str
    steps: tuple[str, ...]


def findings(name: str) -> list[Finding]:
    """What is wrong, the worst first. Raises NotFoundError, UsageError where it is no pool."""
    state = kernel.state(name)
    return [*_state(state), *_space(state), *_catalogue(state), *_suspended(state)]


def _state(state: kernel.State) -> Iterator[Finding]:
    status, name = state.status, shlex.quote(state.name)
    metadata, data = (names.node(parse_devno(text)) for text in (state.arguments.metadata, state.arguments.data))
    devices = f"--metadata {metadata} --data {data}"
    check = (
        f"dmctl thin pool close --deactivate {name}",
        f"dd if={metadata} of=metadata.copy bs=1M    # before anything is written to it",
        f"dmctl thin check {metadata}",
        f"If it is sound: thin_check --clear-needs-check-flag {metadata}",
        f"If not: thin_repair -i {metadata} -o ANOTHER_DEVICE, and open the pool with that one as its metadata",
        f"dmctl thin pool open {name} {devices}",
    )
    if status.mode is None:
        yield Finding("The pool has failed: the kernel could not read or write its metadata. Its log has why.", check)
    elif status.needs_check:
        yield Finding("The kernel could not write the metadata once, and wants them to be checked.", check)
    elif status.mode == READ_ONLY:
        yield Finding("The pool is read-only.", check)


def _space(state: kernel.State) -> Iterator[Finding]:
    name = shlex.quote(state.name)
    fill = Fill.of(state)
    more_data = (
        f"Make the data device larger, then: dmctl thin pool resize {name}",
        f"Or: dmctl thin remove {name} VOLUME    # dmctl thin ls {name} --exclusive tells what each would free",
        f"Or: fstrim what is mounted from volumes of {name}",
    )
    if state.status.mode == OUT_OF_DATA_SPACE:
        waits = state.status.no_space == "queue_if_no_space"
        what = "wait, and fail after the kernel's no_space_timeout (a minute)" if waits else "fail"
        yield Finding(f"No space is left for data: writes to new places {what}.", more_data)
    elif fill.data_percent >= NEARLY_FULL_PERCENT:
        yield Finding(f"The data is {fill.data_percent:.1f}% full.", more_data)
    if fill.metadata_percent >= NEARLY_FULL_PERCENT:
        steps = (f"Make the metadata device larger, then: dmctl thin pool resize {name}", *more_data[1:2])
        yield Finding(f"The metadata are {fill.metadata_percent:.1f}% full, without the kernel's reserve.", steps)


def _catalogue(state: kernel.State) -> Iterator[Finding]:
    name = shlex.quote(state.name)
    if state.status.mode is None:
        return
    try:
        _, catalogue, thins = look(state.name)
    except ForeignPoolError as error:
        yield Finding(str(error), ())
    except recovery.MismatchError as error:
        yield Finding(str(error), (f"dmctl thin pool reconcile {name}",))
    except DmctlError as error:
        yield Finding(str(error), (f"dmctl thin pool adopt {name}    # if there is no catalogue",))
    else:
        matched = recovery.match(catalogue.volumes.values(), thins, CATALOGUE_ID)
        steps = (f"dmctl thin pool reconcile {name}    # drops such volumes; with --adopt it takes such thins",)
        if matched.lost:
            lost = ", ".join(volume.name for volume in matched.lost)
            yield Finding(f"Thins of volumes are gone, or other ones: {lost}.", steps)
        if matched.orphans:
            orphans = ", ".join(str(thin.thin_id) for thin in matched.orphans)
            yield Finding(f"Thins that are no volumes: {orphans}.", steps)


def _suspended(state: kernel.State) -> Iterator[Finding]:
    devices = [state.name, *(name for name, _, _ in kernel.thin_devices(state))]
    for name in devices:
        if Device(name).info().suspended:
            steps = ("dmctl thin pool recover", f"dmctl resume {shlex.quote(name)}    # if nobody is at it")
            yield Finding(f"{name} is suspended: whoever reads or writes it waits.", steps)
