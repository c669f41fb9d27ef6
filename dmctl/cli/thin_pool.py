# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin pool: pools made, opened, closed, looked at, grown, and put right."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import typer

from dmctl import section
from dmctl.cli import native_options, signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, ExitStatus
from dmctl.table import Line
from dmctl.thin import kernel, making
from dmctl.thin.catalogue import Settings
from dmctl.thin.fill import Fill
from dmctl.thin.pool import Pool, look
from dmctl.thin.recovery import MismatchError
from dmctl.units import SECTOR_BYTES, format_size
from dmctl.verity.places import signature_at

Name = Annotated[str, typer.Argument(metavar="NAME", help="The pool's name.")]
MetadataDevice = Annotated[str, typer.Option("--metadata", metavar="DEVICE", help="Block device for the metadata.")]
DataDevice = Annotated[str, typer.Option("--data", metavar="DEVICE", help="Block device for the data.")]
MaxVolumes = Annotated[
    int | None,
    typer.Option(
        "--max-volumes", metavar="COUNT", min=1, max=2**24 - 2, help="How many volumes fit, if not 10000 at the most."
    ),
]


def create(
    name: Name,
    *,
    metadata: MetadataDevice,
    data: DataDevice,
    block_size: Annotated[
        str | None,
        typer.Option("--block-size", metavar="SIZE", help="Of the pool, if not the least that the metadata allow."),
    ] = None,
    max_volumes: MaxVolumes = None,
    low_water: Annotated[
        str, typer.Option("--low-water", metavar="SIZE", help="With so much data free or less, an event tells.")
    ] = "0",
    error_if_no_space: Annotated[
        bool, typer.Option("--error-if-no-space", help="Writes fail at once where no space is left.")
    ] = False,
    no_zeroing: Annotated[
        bool, typer.Option("--no-zeroing", help="What was on the device before can be read in new blocks.")
    ] = False,
    ignore_discard: Annotated[bool, typer.Option("--ignore-discard", help="Discards free nothing.")] = False,
    no_discard_passdown: Annotated[
        bool, typer.Option("--no-discard-passdown", help="Discards are not passed to the data device.")
    ] = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make a pool, and in it the catalogue of its volumes.

    The block size is the smallest, from 64 KiB on, for which the metadata device is large enough. Metadata that are too
    small for all of the data are refused.
    """
    chosen = {
        "error_if_no_space": error_if_no_space,
        "skip_block_zeroing": no_zeroing,
        "ignore_discard": ignore_discard,
        "no_discard_passdown": no_discard_passdown,
    }
    block = None if block_size is None else options.sectors(block_size, "--block-size")
    features = frozenset(word for word, wanted in chosen.items() if wanted)
    made = making.plan(name, metadata, data, block_sectors=block, volumes=max_volumes)
    low_water_blocks = native_options.size(low_water, "--low-water") // (made.block_sectors * SECTOR_BYTES)
    made = replace(made, settings=Settings(low_water_blocks, features))
    if dry_run:
        _tell_table("thin pool create", name, made.line, as_json)
        return
    if not yes:
        what = "a thin pool's metadata, or the like" if making.has_metadata(made.metadata) else None
        native_options.ask(metadata, what)
        native_options.ask(data, signature_at(data, 0))
    with signals.Raised():
        uuid = making.create(made)
    if as_json:
        facts = {"name": name, "uuid": str(uuid), "block_sectors": made.block_sectors, "table": made.line.format()}
        stream.write(native_options.as_json("thin pool create", facts))


def open_(
    name: Name,
    *,
    metadata: MetadataDevice,
    data: DataDevice,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make an existing pool active.

    What a crash has interrupted is finished or undone, and told.
    """
    if dry_run:
        line, _ = making.existing(name, metadata, data)
        _tell_table("thin pool open", name, line, as_json)
        return
    with signals.Raised():
        notes = making.open_pool(name, metadata, data)
    options.tell(notes)
    if as_json:
        stream.write(native_options.as_json("thin pool open", {"name": name, "notes": notes}))


def _tell_table(command: str, name: str, line: Line, as_json: bool) -> None:
    """For --dry-run."""
    if as_json:
        facts = {"dry_run": True, "name": name, "table": line.format()}
        stream.write(native_options.as_json(command, facts))
    else:
        stream.write(f"{name}: {line.format()}\n")


def close(
    name: Name,
    *,
    deactivate: Annotated[bool, typer.Option("--deactivate", help="Deactivate its volumes before.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make a pool inactive; its data stay where they are."""
    making.close_pool(name, deactivate=deactivate)
    if as_json:
        stream.write(native_options.as_json("thin pool close", {"name": name}))


def status(name: Name, *, as_json: native_options.AsJson = False) -> None:
    """Show a pool: how full it is, its state, its settings."""
    state = kernel.state(name)
    volumes = problem = None
    try:
        volumes = len(look(name)[1].volumes)
    except DmctlError as error:
        problem = str(error)
    fill = Fill.of(state)
    if as_json:
        facts: dict[str, object] = {
            "name": name,
            "uuid": state.uuid,
            "size_sectors": state.size_sectors,
            "volumes": volumes,
            "catalogue_problem": problem,
            **fill.to_dict(),
            "arguments": state.arguments.to_dict(),
            "state": state.status.to_dict(),
        }
        stream.write(native_options.as_json("thin pool status", facts))
        return
    stream.write("".join(f"{label + ':':15}{value}\n" for label, value in _status_rows(state, fill, volumes, problem)))


def _status_rows(
    state: kernel.State, fill: Fill, volumes: int | None, problem: str | None
) -> Iterable[tuple[str, object]]:
    block = state.arguments.block_sectors * SECTOR_BYTES
    yield "Pool", state.name
    yield "State", state.status.mode or "failed"
    yield "Size", format_size(state.size_sectors * SECTOR_BYTES)
    yield "Block size", format_size(block)
    if fill.data_total_blocks:
        yield "Data", f"{format_size(fill.data_used_blocks * block)} used, {fill.data_percent:.1f}%"
        metadata = format_size(fill.metadata_used_blocks * 4096)
        yield "Metadata", f"{metadata} used, {fill.metadata_percent:.1f}% without the kernel's reserve"
    yield "When full", "writes wait" if state.status.no_space == "queue_if_no_space" else "writes fail"
    yield "Transaction", state.status.transaction_id
    yield "Volumes", "-" if volumes is None else volumes
    if problem:
        yield "Catalogue", problem
    for warning in state.status.warnings():
        yield "Warning", warning


def resize(name: Name, *, dry_run: options.DryRun = False, as_json: native_options.AsJson = False) -> None:
    """Take all of a data or metadata device that has grown."""
    before, line = making.resize_pool(name, dry_run=dry_run)
    if dry_run:
        _tell_table("thin pool resize", name, line, as_json)
    elif as_json:
        facts: dict[str, object] = {"name": name, "size_sectors_before": before, "size_sectors": line.length_sectors}
        stream.write(native_options.as_json("thin pool resize", facts))
    elif before == line.length_sectors:
        stream.write("The data device has not grown.\n")
    else:
        stream.write(f"{format_size(before * SECTOR_BYTES)} -> {format_size(line.length_sectors * SECTOR_BYTES)}\n")


def init(
    name: Name,
    *,
    max_volumes: MaxVolumes = None,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make the catalogue in an empty pool that another tool has made."""
    with signals.Raised():
        made = making.adopt(name, volumes=max_volumes, only_empty=True, dry_run=dry_run)
    if as_json or dry_run:
        _tell_adopted(name, made, "thin pool init", dry_run=dry_run, as_json=as_json)


def adopt(
    name: Name,
    *,
    max_volumes: MaxVolumes = None,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make the catalogue in a pool that another tool has made, with the volumes that are there.

    They are called by their devices' names, without the pool's; those that are not active are called thin-ID, and are
    as large as what is mapped. Pools of LVM and Stratis are refused.
    """
    with signals.Raised():
        made = making.adopt(name, volumes=max_volumes, dry_run=dry_run)
    _tell_adopted(name, made, "thin pool adopt", dry_run=dry_run, as_json=as_json)


def reconcile(
    name: Name,
    *,
    adopt_orphans: Annotated[
        bool, typer.Option("--adopt", help="Make volumes thin-ID of thins that the catalogue does not know.")
    ] = False,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Fit the catalogue to the pool's thins again, after another tool has changed the pool.

    Volumes whose thin is there still are kept, with blob and uuid. A thin that another tool has made under an id of
    one of them is not taken for it.
    """
    with signals.Raised():
        made = making.reconcile(name, adopt_orphans=adopt_orphans, dry_run=dry_run)
    _tell_adopted(name, made, "thin pool reconcile", dry_run=dry_run, as_json=as_json)


def _tell_adopted(name: str, found: making.Adopted, command: str, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        facts: dict[str, object] = {"dry_run": True, "messages": found.messages} if dry_run else {}
        facts |= {
            "volumes": [options.volume_facts(volume) for volume in found.volumes],
            "lost": [options.volume_facts(volume) for volume in found.lost],
            "orphans": [thin.thin_id for thin in found.orphans],
        }
        stream.write(native_options.as_json(command, facts))
        return
    if dry_run:
        stream.write(options.message_lines(name, found.messages))
    stream.write(f"{name} {'would have' if dry_run else 'has'} {len(found.volumes)} volumes.\n")
    for volume in found.lost:
        stream.write(f"{volume.name}: its thin {volume.thin_id} is gone; it is no volume any more.\n")
    for thin in found.orphans:
        stream.write(f"thin {thin.thin_id} is no volume; --adopt makes it one.\n")


def recover(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The pool's name.")] = None,
    *,
    as_json: native_options.AsJson = False,
) -> None:
    """Resume what an interrupted snapshot has left suspended, and finish or undo what else was interrupted.

    Every other command that changes the pool does so too, before its own work. Without a NAME only devices are resumed.
    """
    if name is None:
        done = section.recover()
        if as_json:
            facts = [{"device": one.name, "resumed": one.resumed, "reason": one.why or None} for one in done]
            stream.write(native_options.as_json("thin recover", {"devices": facts}))
        else:
            for one in done:
                stream.write(f"{one.name}: {'resumed' if one.resumed else f'left suspended, {one.why}'}\n")
        if any(not one.resumed for one in done):
            raise typer.Exit(ExitStatus.FAILED)
        return
    try:
        with signals.Raised(), Pool.opened(name) as pool:
            notes = pool.notes
    except MismatchError as error:
        raise MismatchError(f"{error} dmctl thin pool reconcile {name} makes it usable.") from None
    if as_json:
        stream.write(native_options.as_json("thin recover", {"name": name, "notes": notes}))
    else:
        options.tell(notes)
