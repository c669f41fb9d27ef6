# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl targets --available: which targets the kernel has, could load, or lacks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dmctl import control
from dmctl.cli import native_options, stream
from dmctl.cli.grid import Column, write_rows
from dmctl.cli.target_options import option_name
from dmctl.libdm import task as dm
from dmctl.targets import TARGETS, arguments_class
from dmctl.targets.fields import spec_of

REGISTERED, LOADABLE, ABSENT, UNKNOWN = "registered", "loadable", "absent", "unknown"


def available(
    # Said by the command line that leads here.
    available: Annotated[bool, typer.Option("--available", help="Targets that are not registered too.")] = True,
    as_json: native_options.AsJson = False,
) -> None:
    """Show the targets that the kernel has, with their versions, those that it could load, and those it lacks.

    Nothing is loaded to find out: the module index of the running kernel is read. FEATURES are the optional arguments
    that the target has in this version. A ? stands behind one of which the version does not tell: it came without a
    new version, or depends on the kernel's configuration. Of a target that is not registered, they are all that dmctl
    knows. JSON tells the version of the target since which there is each.
    """
    rows = _rows(_versions())
    if as_json:
        stream.write(native_options.as_json("targets --available", {"targets": rows}))
        return
    columns = (Column("TARGET"), Column("STATE"), Column("VERSION"), Column("FEATURES", wraps=True))
    write_rows(
        columns,
        [
            (row["target"], row["state"], ".".join(map(str, row["version"] or ())), _shown(row["features"]))
            for row in rows
        ],
    )


def _versions() -> dict[str, tuple[int, ...]]:
    with dm.Task(dm.LIST_VERSIONS) as task:
        task.run()
        return dict(task.versions())


def _rows(versions: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    indexed = control.has_module_index()
    rows = []
    for target in sorted({*TARGETS, *versions}):
        state = REGISTERED if target in versions else UNKNOWN
        if state == UNKNOWN and indexed:
            state = LOADABLE if control.target_loadable(target) else ABSENT
        version = versions.get(target)
        rows.append(
            {
                "target": target,
                "state": state,
                "version": version and list(version),
                "features": features(target, version),
            }
        )
    return rows


def features(target: str, version: tuple[int, ...] | None) -> list[dict[str, Any]]:
    """The optional arguments that a target of this version has, all where the version is not known."""
    cls = arguments_class(target)
    if cls is None:
        return []
    optional = [field for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING]
    return [
        {
            "name": option_name(field.name, spec).lstrip("-"),
            "since": list(spec.since) or None,
            "certain": spec.told and (version is not None or not spec.since),
        }
        for field in optional
        if (spec := spec_of(field)) and (version is None or spec.had_by(version))
    ]


def _shown(features: list[dict[str, Any]]) -> str:
    return " ".join(one["name"] + "?" * (not one["certain"]) for one in features)
