# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin ls."""

from typing import Annotated

import typer

from dmctl.cli import signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.thin import listing
from dmctl.thin.live import consistent


def ls(
    source: options.Source,
    *,
    fields: Annotated[
        str | None, typer.Option("-o", "--format", metavar="FIELD,...", help="What to print; help lists the fields.")
    ] = None,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no line above the columns.")] = False,
    metadata_snap: options.Snapshot = False,
    as_json: options.AsJson = False,
) -> None:
    """List the thins of a pool, as thin_ls does; of a live pool, without disturbing it.

    The fields are those of thin_ls. EXCLUSIVE and SHARED, in all their units, need all mappings to be read: of a live
    pool, by a metadata snapshot that is made, read, and released.
    """
    if fields == "help":
        stream.write("".join(f"{name}\n" for name in listing.FIELDS))
        return
    chosen = _chosen(fields)
    walk = listing.needs_walk(chosen)
    with signals.Raised(), consistent(source, deep=walk, snapshot=metadata_snap) as metadata:
        found = list(listing.spaces(metadata, exclusive=walk))
        damages = metadata.damages + metadata.reader.damages()
    rows = [[space.value(name) for name in chosen] for space in found]
    if as_json:
        names = [name.lower() if name != "DEV" else "thin_id" for name in chosen]
        listed = [dict(zip(names, row, strict=True)) for row in rows]
        stream.write(options.as_json("thin ls", {"thins": listed}))
    else:
        _print(rows if no_headers else [list(chosen), *rows])
    if damages:
        first, more = damages[0], len(set(damages)) - 1
        rest = f", and {more} more blocks are damaged" if more else ""
        error = DmctlError(f"{metadata.path}: {first}{rest}. What could be read is listed.")
        stream.error(f"dmctl: {error}")
        raise typer.Exit(ExitStatus.VERIFICATION)


def _chosen(fields: str | None) -> tuple[str, ...]:
    if fields is None:
        return listing.USUAL_FIELDS
    chosen = tuple(fields.split(","))
    for name in chosen:
        if name not in listing.FIELDS:
            raise UsageError(f"--format: there is no field {name!r}; --format help lists them.")
    return chosen


def _print(rows: list[list[int | str]]) -> None:
    """In columns, to the right, as thin_ls prints them: each with a blank behind."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        stream.write("".join(f"{cell:>{width}} " for cell, width in zip(row, widths, strict=True)) + "\n")
