# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin monitor and doctor."""

import datetime
import json
import os
import subprocess
from typing import Annotated

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, ExitStatus
from dmctl.event_poll import EventPoll
from dmctl.thin import kernel
from dmctl.thin.doctor import findings
from dmctl.thin.fill import Fill


def monitor(
    pool_name: options.PoolName,
    *,
    data: Annotated[
        float, typer.Option("--data", metavar="PERCENT", min=0, max=100, help="Threshold of the data.")
    ] = 80.0,
    metadata: Annotated[
        float, typer.Option("--metadata", metavar="PERCENT", min=0, max=100, help="Threshold of the metadata.")
    ] = 80.0,
    interval: Annotated[
        float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="Look so often, and at every event.")
    ] = 10.0,
    command: Annotated[
        str | None,
        typer.Option("--exec", metavar="COMMAND", help="Run this in a shell when a threshold is passed, and go on."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Watch how full a pool becomes: a line at each change of a percent or of the state.

    When a threshold is passed, or the pool leaves the state rw, the exit status is 6; with --exec the command is run
    instead, each time one is passed, with DMCTL_POOL, DMCTL_STATE, DMCTL_DATA_PERCENT and DMCTL_METADATA_PERCENT in its
    environment. Of the metadata, what the kernel keeps back for itself is not counted. With --json a line is an object.
    """
    thresholds = (data, metadata)
    before: tuple[object, ...] | None = None
    was_passed = False
    with signals.Raised(), EventPoll() as events:
        while True:
            events.arm()
            state = kernel.state(pool_name)
            fill = Fill.of(state)
            mode = state.status.mode or "failed"
            passed = fill.data_percent >= thresholds[0] or fill.metadata_percent >= thresholds[1] or mode != "rw"
            seen = (int(fill.data_percent), int(fill.metadata_percent), mode, passed)
            if seen != before:
                stream.write(_line(pool_name, fill, mode, passed, as_json))
                stream.flush()
            before = seen
            if passed and not was_passed and command is not None:
                _run(command, pool_name, fill, mode)
            if once or (passed and command is None):
                raise typer.Exit(ExitStatus.VERIFICATION if passed else ExitStatus.DONE)
            was_passed = passed
            events.wait(interval)


def _line(pool: str, fill: Fill, mode: str, passed: bool, as_json: bool) -> str:
    now = datetime.datetime.now().astimezone()
    if as_json:
        facts = {"time": now.isoformat(), "pool": pool, "state": mode, "threshold_passed": passed, **fill.to_dict()}
        return json.dumps(facts) + "\n"
    text = f"{now:%Y-%m-%d %H:%M:%S} {pool}: {mode}, data {fill.data_percent:.1f}%"
    return f"{text}, metadata {fill.metadata_percent:.1f}%{', threshold passed' if passed else ''}\n"


def _run(command: str, pool: str, fill: Fill, mode: str) -> None:
    facts = {
        "DMCTL_POOL": pool,
        "DMCTL_STATE": mode,
        "DMCTL_DATA_PERCENT": f"{fill.data_percent:.2f}",
        "DMCTL_METADATA_PERCENT": f"{fill.metadata_percent:.2f}",
    }
    try:
        status = subprocess.run(["/bin/sh", "-c", command], env={**os.environ, **facts}, check=False).returncode
    except OSError as error:
        raise DmctlError(f"The command cannot be run: {error.strerror}.", errno=error.errno or 0) from None
    if status:
        stream.error(f"dmctl: the command ended with {status}.")


def doctor(pool_name: options.PoolName, *, as_json: native_options.AsJson = False) -> None:
    """Tell what is wrong with a pool, and the exact steps that lead out of it. Nothing is changed.

    The exit status is 6 where something is wrong.
    """
    found = findings(pool_name)
    if as_json:
        listed = [{"what": one.what, "steps": list(one.steps)} for one in found]
        stream.write(native_options.as_json("thin doctor", {"pool": pool_name, "findings": listed}))
    elif not found:
        stream.write(f"Nothing is wrong with {pool_name}.\n")
    for one in [] if as_json else found:
        stream.write(f"{one.what}\n")
        for step in one.steps:
            stream.write(f"    {step}\n")
    if found:
        raise typer.Exit(ExitStatus.VERIFICATION)
