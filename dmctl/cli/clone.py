# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl clone create, assemble, finish, abort and inspect."""

import os
import socket
import sys
from typing import Annotated

import typer

from dmctl import names
from dmctl.cli import clone_options as options
from dmctl.cli import native_options, signals, stream
from dmctl.cli.clone_options import OnError
from dmctl.cli.clone_watch import follow
from dmctl.cli.verity_progress import Shown as Bar
from dmctl.clone import finishing, making, metadata, planning
from dmctl.clone.metadata import Bitmap, Range
from dmctl.clone.planning import Choices, Plan
from dmctl.clone.recipe import FINISHED, Recipe
from dmctl.errors import UsageError
from dmctl.thin.superblock import MetadataError
from dmctl.units import SECTOR_BYTES, format_size, sectors
from dmctl.verity.places import signature_at

_MAP_COLUMNS, _MAP_LINES = 64, 16


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new device.")],
    *,
    source: Annotated[str, typer.Option("--source", metavar="DEVICE", help="The device copied from.")],
    dest: Annotated[str, typer.Option("--dest", metavar="DEVICE", help="The device copied to; what it holds is lost.")],
    metadata_device: Annotated[
        str | None, typer.Option("--metadata", metavar="DEVICE", help="Keeps what is copied.")
    ] = None,
    metadata_file: Annotated[
        str | None,
        typer.Option("--metadata-file", metavar="FILE", help="A file for that; else one below /var/lib/dmctl/clone."),
    ] = None,
    region_size: Annotated[
        str, typer.Option("--region-size", metavar="SIZE", help="What is copied at a time, from 4K to 1G.")
    ] = "auto",
    threshold: options.Threshold = None,
    batch: options.Batch = None,
    rate: options.Rate = None,
    no_hydration: Annotated[
        bool, typer.Option("--no-hydration", help="Copy nothing in the background until clone resume.")
    ] = False,
    no_discard_passdown: Annotated[
        bool, typer.Option("--no-discard-passdown", help="Discards are not passed to the destination.")
    ] = False,
    grow: Annotated[bool, typer.Option("--grow", help="Show all of a destination that is larger.")] = False,
    set_ro: Annotated[bool, typer.Option("--set-ro", help="Make the source read-only meanwhile.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has everything.")] = False,
    on_error: options.OnErrorOption = OnError.FAIL,
    max_stall: options.MaxStall = "30s",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, print the table, and make nothing.")] = False,
    yes: options.Yes = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make a device that shows the source at once, while it is copied to the destination.

    What is read and not copied yet comes from the source; what is written goes to the destination. The source must not
    change any more.

    Regions are of 4 KiB, of 64 KiB where the source has more than 64 GiB, unless --region-size says otherwise. Of them
    1 MiB is copied as one, and four times as much at once, unless --batch and --threshold say otherwise.
    """
    if metadata_device is not None and metadata_file is not None:
        raise UsageError("--metadata and --metadata-file exclude each other.")
    _check(wait, rate, max_stall)
    choices = Choices(
        metadata_device,
        metadata_file,
        region_sectors=None if region_size == "auto" else _sectors(region_size),
        threshold_regions=threshold,
        batch_regions=batch,
        no_hydration=no_hydration,
        no_discard_passdown=no_discard_passdown,
        grow=grow,
        set_ro=set_ro,
    )
    plan = planning.plan(name, source, dest, choices)
    _tell_notes(plan.notes)
    if dry_run:
        _print_plan(plan, as_json=as_json)
        return
    if not yes:
        native_options.ask(dest, signature_at(dest))
        native_options.ask(plan.recipe.metadata, _what_is_on(plan))
    with signals.Raised():
        plan = making.create(name, source, dest, choices, held=rate is not None)
    if as_json and not wait:
        stream.write(native_options.as_json("clone create", _facts(plan)))
    if wait:
        start = rate is not None and not no_hydration
        raise typer.Exit(follow(name, on_error=on_error, max_stall=max_stall, rate=rate, as_json=as_json, start=start))


def _check(wait: bool, rate: str | None, max_stall: str) -> None:
    """Before anything is made. Raises UsageError."""
    if rate is not None and not wait:
        raise UsageError("--rate needs --wait: the kernel itself knows no rate, so that something must run for it.")
    options.rate(rate)
    options.seconds(max_stall, "--max-stall")


def _sectors(text: str) -> int:
    try:
        return sectors(native_options.size(text, "--region-size"))
    except ValueError as error:
        raise UsageError(f"--region-size: {error}") from None


def _what_is_on(plan: Plan) -> str | None:
    """What the metadata hold, that would be lost."""
    made = plan.recipe
    if made.made_file:
        return None
    try:
        superblock = metadata.read_superblock(made.metadata)
    except MetadataError:
        return signature_at(made.metadata) or "something"
    return None if superblock is None else "the metadata of a clone"


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        stream.write(native_options.as_json("clone create", _facts(plan)))
        return
    for line in plan.lines:
        stream.write(f"{line.format()}\n")
    stream.write(f"Metadata of {format_size(plan.metadata_bytes)} at least in {plan.recipe.metadata}\n")


def _facts(plan: Plan) -> dict[str, object]:
    made = plan.recipe
    return {
        "name": made.name,
        "uuid": made.dm_uuid,
        "source": made.source,
        "destination": made.destination,
        "metadata": made.metadata,
        "region_bytes": made.region_sectors * SECTOR_BYTES,
        "least_metadata_bytes": plan.metadata_bytes,
        "table": [line.format() for line in plan.lines],
        "notes": list(plan.notes),
    }


def _tell_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        stream.error(f"dmctl: {note}")


def assemble(
    name: options.Name,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has everything.")] = False,
    on_error: options.OnErrorOption = OnError.FAIL,
    max_stall: options.MaxStall = "30s",
    rate: options.Rate = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Make the device of a clone again, as after a reboot. What was copied stays; one that is finished is linear.

    A clone that there is already is left as it is. systemctl enable dmctl-clone@NAME does this at each boot.
    """
    _check(wait, rate, max_stall)
    with signals.Raised():
        made, is_new = making.assemble(name, held=rate is not None)
    _tell_systemd()
    if as_json and not wait:
        facts = {"name": name, "uuid": made.dm_uuid, "state": made.state, "made": is_new}
        stream.write(native_options.as_json("clone assemble", facts))
    elif not is_new:
        stream.error(f"dmctl: {name} is there already.")
    if wait and made.state != FINISHED:
        start = rate is not None and is_new and not made.paused
        raise typer.Exit(follow(name, on_error=on_error, max_stall=max_stall, rate=rate, as_json=as_json, start=start))


def _tell_systemd() -> None:
    """To a service of Type=notify that waits for it: sd_notify(3)."""
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if address.startswith(("/", "@")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", "\0" + address[1:] if address[0] == "@" else address)


def finish(
    name: options.Name,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Compare destination and source before.")] = False,
    progress: Annotated[
        bool | None, typer.Option("--progress/--no-progress", help="Tell how far --verify is.", show_default=False)
    ] = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Put a linear table onto the destination in the place of a clone that has everything. It may be in use.

    Source and metadata are free from then on. With --verify the exit status is 6 where the two differ; they can be
    compared only where nothing was ever written to the clone.
    """
    with signals.Raised(), Bar(progress, "Comparing") as bar:
        done = finishing.finish(name, verify=verify, progress=bar)
    _tell_notes(done.notes)
    if as_json:
        facts = {
            "name": done.name,
            "destination": names.node(done.destination),
            "verified": done.verified,
            "notes": list(done.notes),
        }
        stream.write(native_options.as_json("clone finish", facts))
    elif done.verified:
        stream.write(f"{done.name}: destination and source are equal\n")


def abort(name: options.Name, *, yes: options.Yes = False, as_json: native_options.AsJson = False) -> None:
    """Remove a clone, and forget it. Where it is not finished, what was written to it is lost with that.

    Of one that is finished the destination has everything, and is used by itself then.
    """
    made = Recipe.load(name)
    if made.state != FINISHED and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{name} is not finished, and the destination not whole; --yes gives it up.")
        native_options.confirm(
            f"{name} is not finished: what was written to it is lost. Give it up?", f"{name} stays as it is."
        )
    with signals.Raised():
        making.abort(name)
    if as_json:
        stream.write(native_options.as_json("clone abort", {"name": name}))


# ---- metadata ----


def inspect(
    path: Annotated[str, typer.Option("--metadata", metavar="PATH", help="A device or file with a clone's metadata.")],
    *,
    missing: Annotated[bool, typer.Option("--missing", help="List what is not copied, instead of what is.")] = False,
    picture: Annotated[bool, typer.Option("--map", help="Draw a map instead of the list.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Tell which regions a clone has copied, from its metadata, without the kernel.

    Of a clone that is active, what it had last committed is told: at the latest a second ago.
    """
    bitmap = metadata.read(path)
    found = list(bitmap.ranges(hydrated=not missing))
    superblock = bitmap.superblock
    hydrated = bitmap.hydrated
    if as_json:
        facts = {
            "metadata": path,
            "region_bytes": superblock.region_sectors * SECTOR_BYTES,
            "size_bytes": superblock.target_sectors * SECTOR_BYTES,
            "total_regions": superblock.regions,
            "hydrated_regions": hydrated,
            "missing_ranges" if missing else "hydrated_ranges": [_range_facts(bitmap, one) for one in found],
        }
        stream.write(native_options.as_json("clone inspect", facts))
        return
    size, region = (format_size(n * SECTOR_BYTES) for n in (superblock.target_sectors, superblock.region_sectors))
    stream.write(f"{size} in regions of {region}: {hydrated} of {superblock.regions} copied\n")
    if picture:
        stream.write(_map(bitmap))
        return
    for one in found:
        start, end = bitmap.bytes_of(one)
        last = one.first + one.regions - 1
        regions = f"region {one.first}" if one.regions == 1 else f"regions {one.first} to {last}"
        stream.write(f"{regions}: bytes {start} to {end - 1} ({format_size(end - start)})\n")


def _range_facts(bitmap: Bitmap, found: Range) -> dict[str, int]:
    start, end = bitmap.bytes_of(found)
    return {"first_region": found.first, "regions": found.regions, "start_bytes": start, "end_bytes": end}


def _map(bitmap: Bitmap) -> str:
    """A character for each of the same number of regions: # all copied, + some, . none."""
    regions = bitmap.superblock.regions
    a_cell = -(-regions // (_MAP_COLUMNS * _MAP_LINES))
    cells = [0] * -(-regions // a_cell)
    for one in bitmap.ranges(hydrated=True):
        for cell in range(one.first // a_cell, (one.first + one.regions - 1) // a_cell + 1):
            start, end = cell * a_cell, min((cell + 1) * a_cell, regions)
            cells[cell] += min(end, one.first + one.regions) - max(start, one.first)
    sizes = [a_cell] * (len(cells) - 1) + [regions - a_cell * (len(cells) - 1)]
    drawn = "".join("#" if cell == size else "+" if cell else "." for cell, size in zip(cells, sizes, strict=True))
    lines = [drawn[at : at + _MAP_COLUMNS] for at in range(0, len(drawn), _MAP_COLUMNS)]
    each = "a region" if a_cell == 1 else f"{a_cell} regions"
    return "".join(f"{line}\n" for line in lines) + f"# copied, + in part, . not; each {each}\n"
