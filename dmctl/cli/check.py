# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl check: what is wrong with a table, before the kernel is asked."""

import dataclasses
import os
import sys
from typing import Annotated

import typer

from dmctl import check as checker
from dmctl import control
from dmctl.cli import native_options, stream
from dmctl.errors import DmctlError, ExitStatus
from dmctl.libdm import task as dm
from dmctl.table import Table


def check(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="File with the table; - for standard input.")] = "-",
    table: Annotated[
        str | None, typer.Option("--table", metavar="TABLE", help="The table itself, lines separated by newlines.")
    ] = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Find what is wrong with a table without loading it.

    Prints a line for each finding, SOURCE:LINE:COLUMN: error: TEXT. Devices that the table names are looked up on this
    machine. Whether the kernel has a target is looked up where the caller may ask the kernel, else it is left out.

    Exit status: 0 without an error, 1 with one.
    """
    if table is not None:
        source, text = "table", table
    elif file == "-":
        source, text = "stdin", os.fsdecode(sys.stdin.buffer.read())
    else:
        source = file
        try:
            with open(file, "rb") as opened:
                text = os.fsdecode(opened.read())
        except OSError as error:
            raise DmctlError(f"{file} cannot be read: {error.strerror}.", errno=error.errno or 0) from None
    findings = _find(text, source)
    if as_json:
        rows = [dataclasses.asdict(finding) for finding in findings]
        stream.write(native_options.as_json("check", {"findings": rows}))
    else:
        stream.write(checker.format_findings(findings, source))
    if any(finding.severity == checker.ERROR for finding in findings):
        raise typer.Exit(ExitStatus.FAILED)


def _find(text: str, source: str) -> list[checker.Finding]:
    """All findings; lines that are none do not keep the others from being looked at."""
    from dmctl.table import Line, TableFormatError

    lines, malformed = [], []
    for number, line_text in enumerate(text.split("\n"), 1):
        try:
            line = Line.parse(line_text, line_number=number, source=source)
        except TableFormatError:
            end = len(line_text.rstrip()) + 1
            message = "This is not a table line: START LENGTH TARGET [PARAMETERS]."
            start = len(line_text) - len(line_text.lstrip()) + 1
            malformed.append(checker.Finding(number, start, end, checker.ERROR, "malformed-line", message))
        else:
            if line is not None:
                lines.append(line)
    if malformed and not lines:
        return malformed
    loadable = control.target_loadable if control.has_module_index() else None
    found = Table(lines).check(targets=_registered_targets(), loadable=loadable)
    return sorted([*found, *malformed], key=lambda finding: (finding.line, finding.column))


def _registered_targets() -> set[str] | None:
    """The targets that the kernel has; where it may not be asked, those it always has; None if that tells nothing."""
    try:
        with dm.Task(dm.LIST_VERSIONS) as task:
            task.run()
            return {name for name, _version in task.versions()}
    except DmctlError:
        return {"linear", "striped", "error"} if control.has_module_index() else None
