# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin ls."""

from typing import TYPE_CHECKING, Annotated

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.thin import listing, sources
from dmctl.units import SECTOR_BYTES, format_size

if TYPE_CHECKING:
    from dmctl.thin.catalogue import Catalogue
    from dmctl.thin.volumes import Entry


def ls(
    source: options.Source,
    *,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DEVICE", help="The data of a pool that is down: its volumes are in it."),
    ] = None,
    exclusive: Annotated[bool, typer.Option("--exclusive", help="Tell what each volume has to itself, too.")] = False,
    fields: Annotated[
        str | None,
        typer.Option("-o", "--format", metavar="FIELD,...", help="As thin_ls; help lists the fields."),
    ] = None,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Print no line above the columns.")] = False,
    metadata_snap: options.Snapshot = False,
    as_json: native_options.AsJson = False,
) -> None:
    """List the volumes of a pool, or the thins of one that has no catalogue; of a live pool, without disturbing it.

    With --format, and of pools without a catalogue, it prints what thin_ls does. What a volume has to itself (EXCLUSIVE
    and SHARED, in all their units) needs all mappings to be read: of a live pool, by a metadata snapshot that is made,
    read, and released.
    """
    if fields == "help":
        stream.write("".join(f"{name}\n" for name in listing.FIELDS))
        return
    with signals.Raised():
        if data is not None:
            from dmctl.thin import volumes

            _list(
                *volumes.of_devices(sources.offline(source), data, exclusive=exclusive), exclusive, no_headers, as_json
            )
        elif fields is None and not metadata_snap and (pool := _managed(source)) is not None:
            from dmctl.thin import volumes

            _list(*volumes.of_pool(pool, exclusive=exclusive), exclusive, no_headers, as_json)
        else:
            _thins(source, _chosen(fields, exclusive), metadata_snap, no_headers, as_json)


def _managed(source: str) -> str | None:
    """The name of a live pool with a catalogue."""
    pool, _ = sources.find(source)
    if pool is None:
        return None
    from dmctl.thin import kernel

    if kernel.pool_uuid_of(kernel.state(pool).uuid) is not None:
        return pool
    return None


# ---- volumes ----


def _list(catalogue: "Catalogue", entries: "list[Entry]", exclusive: bool, no_headers: bool, as_json: bool) -> None:
    names = {volume.uuid: volume.name for volume in catalogue.volumes.values()}
    if as_json:
        listed = [_facts(entry, exclusive) for entry in entries]
        stream.write(native_options.as_json("thin ls", {"pool_uuid": str(catalogue.pool_uuid), "volumes": listed}))
        return
    from dmctl.cli.grid import Column, write_rows

    columns = [Column("NAME"), Column("ID", right=True), Column("SIZE", right=True), Column("MAPPED", right=True)]
    columns += [Column("EXCLUSIVE", right=True)] * exclusive
    columns += [Column("ORIGIN"), Column("BLOB", cut=True, widest=40)]
    rows = []
    for entry in entries:
        volume, space = entry.volume, entry.space
        row = [volume.name if volume else "-", str(entry.thin_id)]
        row.append(format_size(volume.size_sectors * SECTOR_BYTES) if volume else "-")
        for what in ("MAPPED", "EXCLUSIVE")[: 1 + exclusive]:
            row.append(format_size(space.blocks(what) * space.data_block_sectors * SECTOR_BYTES) if space else "lost")
        origin = names.get(volume.origin, "(removed)") if volume and volume.origin else "-"
        blob = "(being removed)" if volume and volume.removing else options.blob_text(volume.blob) if volume else ""
        rows.append([*row, origin, blob])
    write_rows(columns, rows, headings=not no_headers)


def _facts(entry: "Entry", exclusive: bool) -> dict[str, object]:
    volume, space = entry.volume, entry.space
    facts: dict[str, object] = {"name": None, "uuid": None, "thin_id": entry.thin_id}
    if volume:
        facts = options.volume_facts(volume)
    facts["mapped_bytes"] = None if space is None else space.value("MAPPED_BYTES")
    if exclusive:
        facts["exclusive_bytes"] = None if space is None else space.value("EXCLUSIVE_BYTES")
    return facts


# ---- thins ----


def _thins(source: str, chosen: tuple[str, ...], metadata_snap: bool, no_headers: bool, as_json: bool) -> None:
    walk = listing.needs_walk(chosen)
    with sources.consistent(source, deep=walk, snapshot=metadata_snap) as metadata:
        found = list(listing.spaces(metadata, exclusive=walk))
        damages = metadata.damages + metadata.reader.damages()
    rows = [[space.value(name) for name in chosen] for space in found]
    if as_json:
        names = [name.lower() if name != "DEV" else "thin_id" for name in chosen]
        listed = [dict(zip(names, row, strict=True)) for row in rows]
        stream.write(native_options.as_json("thin ls", {"thins": listed}))
    else:
        _print(rows if no_headers else [list(chosen), *rows])
    if damages:
        first, more = damages[0], len(set(damages)) - 1
        rest = f", and {more} more blocks are damaged" if more else ""
        error = DmctlError(f"{metadata.path}: {first}{rest}. What could be read is listed.")
        stream.error(f"dmctl: {error}")
        raise typer.Exit(ExitStatus.VERIFICATION)


def _chosen(fields: str | None, exclusive: bool) -> tuple[str, ...]:
    if fields is None:
        usual = listing.USUAL_FIELDS
        return (*usual[:2], "EXCLUSIVE", *usual[2:]) if exclusive else usual
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
