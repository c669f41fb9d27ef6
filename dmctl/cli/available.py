# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl targets --available: which targets the kernel has, could load, or lacks."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from dmctl import control
from dmctl.cli import stream
from dmctl.cli.grid import Column, write_rows
from dmctl.cli.target_options import option_name
from dmctl.libdm import task as dm
from dmctl.targets import TARGETS, arguments_class
from dmctl.targets.fields import spec_of

REGISTERED, LOADABLE, ABSENT, UNKNOWN = "registered", "loadable", "absent", "unknown"


def available(
    # Said by the command line that leads here.
    available: Annotated[bool, typer.Option("--available", help="Targets that are not registered too.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the targets that the kernel has, with their versions, those that it could load, and those it lacks.

    Nothing is loaded to find out: the module index of the running kernel is read. FEATURES are the optional arguments
    that dmctl knows of the target; an old version may not have them all.
    """
    rows = _rows()
    if as_json:
        version = {"command": "targets --available", "vers_major": 1, "vers_minor": 0}
        stream.write(json.dumps({"output_version": version, "targets": rows}, indent=2) + "\n")
        return
    columns = (Column("TARGET"), Column("STATE"), Column("VERSION"), Column("FEATURES", wraps=True))
    write_rows(
        columns,
        [
            (row["target"], row["state"], ".".join(map(str, row["version"] or ())), " ".join(row["features"]))
            for row in rows
        ],
    )


def _rows() -> list[dict[str, Any]]:
    with dm.Task(dm.LIST_VERSIONS) as task:
        task.run()
        versions = dict(task.versions())
    indexed = control.has_module_index()
    rows = []
    for target in sorted({*TARGETS, *versions}):
        state = REGISTERED if target in versions else UNKNOWN
        if state == UNKNOWN and indexed:
            state = LOADABLE if control.target_loadable(target) else ABSENT
        version = versions.get(target)
        rows.append(
            {"target": target, "state": state, "version": version and list(version), "features": _features(target)}
        )
    return rows


def _features(target: str) -> list[str]:
    cls = arguments_class(target)
    if cls is None:
        return []
    optional = [field for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING]
    named = [(field.name, spec_of(field)) for field in optional]
    return [option_name(name, spec).lstrip("-") for name, spec in named if spec]
