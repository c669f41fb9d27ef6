# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin dump, check, delta, rmap and metadata-size: what is in a pool's metadata."""

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Annotated, BinaryIO

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.thin import check as checks
from dmctl.thin import delta as deltas
from dmctl.thin import dump as dumps
from dmctl.thin.metadata import Metadata, opened
from dmctl.thin.rmap import uses
from dmctl.thin.sizes import metadata_sectors
from dmctl.thin.sources import consistent, offline
from dmctl.thin.spacemap import Difference
from dmctl.units import SECTOR_BYTES

_FORMATS = {"xml": "xml", "human": "human_readable", "human_readable": "human_readable", "json": "json"}
_MAX_THIN_ID = 2**24 - 1


def dump(
    source: options.Source,
    *,
    form: Annotated[
        str, typer.Option("-f", "--format", metavar="FORMAT", help="xml, human_readable (or human), or json.")
    ] = "xml",
    dev_id: Annotated[
        list[int] | None,
        typer.Option("--dev-id", metavar="ID", min=0, max=_MAX_THIN_ID, help="Only this thin; may be repeated."),
    ] = None,
    skip_mappings: Annotated[bool, typer.Option("--skip-mappings", help="Tell only which thins there are.")] = False,
    output: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Write into this file.")] = None,
    metadata_snap: options.Snapshot = False,
) -> None:
    """Print all that is in the metadata of a pool, as thin_dump does.

    XML is what thin_restore reads, byte for byte that of thin_dump 0.9.0. Of a live pool a metadata snapshot is made,
    read, and released.
    """
    if form not in _FORMATS:
        raise UsageError(f"--format: {form!r} is none of {', '.join(_FORMATS)}.")
    with ExitStack() as stack:
        stack.enter_context(signals.Raised())
        metadata = stack.enter_context(consistent(source, deep=not skip_mappings, snapshot=metadata_snap))
        thins = [options.thin(metadata, thin_id, "--dev-id") for thin_id in dev_id] if dev_id else None
        pieces: Iterable[bytes] = dumps.dump(metadata, _FORMATS[form], thins=thins, mappings=not skip_mappings)
        if form == "json":
            pieces = itertools.chain([options.json_head("thin dump").encode()], pieces, [b"\n}\n"])
        if output is None:
            for piece in pieces:
                stream.write_bytes(piece)
            return
        file = stack.enter_context(_written(output))
        for piece in pieces:
            file.write(piece)


def _written(path: str) -> BinaryIO:
    try:
        return open(path, "wb")
    except OSError as error:
        raise DmctlError(f"{path} cannot be written: {error.strerror}.", errno=error.errno or 0) from None


def check(
    source: options.Source,
    *,
    super_block_only: Annotated[bool, typer.Option("--super-block-only", help="Check only the superblock.")] = False,
    skip_mappings: Annotated[
        bool, typer.Option("--skip-mappings", help="Check only the superblock and which thins there are.")
    ] = False,
    ignore_non_fatal_errors: Annotated[
        bool, typer.Option("--ignore-non-fatal-errors", help="Space that is lost is no error.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing; the exit status tells.")] = False,
    metadata_snap: options.Snapshot = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Check the metadata of a pool that is not active: every block, and every reference that is counted.

    The exit status is 6 where something is wrong. Blocks that are taken and that nothing uses are lost space, and no
    danger; they count too, unless --ignore-non-fatal-errors is given.

    Of a live pool only a metadata snapshot can be checked, and not how often blocks are referred to.
    """
    with ExitStack() as stack:
        stack.enter_context(signals.Raised())
        if metadata_snap:
            metadata = stack.enter_context(consistent(source, deep=True, snapshot=True))
        else:
            metadata = stack.enter_context(opened(offline(source)))
        report = checks.Report([]) if super_block_only else _report(metadata, skip_mappings, metadata_snap)
    if as_json:
        stream.write(native_options.as_json("thin check", _facts(metadata, report)))
    elif not quiet:
        for line in _lines(metadata, report):
            stream.write(f"{line}\n")
    if not report.sound or (report.leaks and not ignore_non_fatal_errors):
        raise typer.Exit(ExitStatus.VERIFICATION)


def _report(metadata: Metadata, skip_mappings: bool, snapshot: bool) -> checks.Report:
    if snapshot and not skip_mappings:
        return checks.check_trees(metadata)
    return checks.check(metadata, mappings=not skip_mappings)


def _lines(metadata: Metadata, report: checks.Report) -> Iterator[str]:
    superblock = metadata.superblock
    for damage in report.damages:
        yield f"{metadata.path}: {damage}"
    if report.more_damages:
        yield f"{metadata.path}: {report.more_damages} more blocks are damaged"
    for thin, mapped in report.wrong_counts:
        yield f"thin {thin.thin_id}: {mapped} blocks are mapped, and its details say {thin.mapped_blocks}"
    for what, found in (("data", report.data), ("metadata", report.metadata)):
        if found:
            yield from _differences(what, found)
    if superblock.needs_check:
        yield "The kernel has asked for this check: the flag needs_check is set."
    if report.sound and not report.leaks:
        mapped = sum(thin.mapped_blocks for thin in metadata.thins.values())
        yield f"Sound: {len(metadata.thins)} thins with {mapped} mappings, transaction id {superblock.transaction_id}."


def _differences(what: str, found: Difference) -> Iterator[str]:
    for block, counted, stored in found.first:
        fault = "could be written over" if stored < counted else "is lost space"
        yield f"{what} block {block}: {counted} references, and the space map says {stored}: it {fault}"
    if found.blocks > len(found.first):
        yield f"and {found.blocks - len(found.first)} more {what} blocks with other numbers of references"


def _facts(metadata: Metadata, report: checks.Report) -> dict[str, object]:
    def counts(found: Difference | None) -> dict[str, object] | None:
        if found is None:
            return None
        first = [{"block": block, "counted": counted, "stored": stored} for block, counted, stored in found.first]
        return {"differing_blocks": found.blocks, "too_low_blocks": found.too_low, "first": first}

    return {
        "sound": report.sound,
        "leaked_blocks": report.leaks,
        "needs_check": metadata.superblock.needs_check,
        "transaction_id": metadata.superblock.transaction_id,
        "thins": len(metadata.thins),
        "damages": [{"block": one.block, "thin_id": one.thin_id, "what": one.what} for one in report.damages],
        "more_damages": report.more_damages,
        "wrong_counts": [
            {"thin_id": thin.thin_id, "mapped_blocks": mapped, "stored_blocks": thin.mapped_blocks}
            for thin, mapped in report.wrong_counts
        ],
        "data": counts(report.data),
        "metadata": counts(report.metadata),
    }


def delta(
    source: options.Source,
    *,
    thin1: Annotated[int, typer.Option("--thin1", "--snap1", metavar="ID", help="The one thin's id.")],
    thin2: Annotated[int, typer.Option("--thin2", "--snap2", metavar="ID", help="The other's.")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Tell data blocks, too.")] = False,
    volume_size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="The volume's size: what is mapped behind it is left out."),
    ] = None,
    metadata_snap: options.Snapshot = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Print where two thins differ, in blocks of the pool, as thin_delta does.

    What is mapped is compared, not what is in it. Of a live pool a metadata snapshot is made, read, and released.
    """
    with signals.Raised(), consistent(source, deep=True, snapshot=metadata_snap) as metadata:
        left, right = options.thin(metadata, thin1, "--thin1"), options.thin(metadata, thin2, "--thin2")
        block_bytes = metadata.superblock.data_block_sectors * SECTOR_BYTES
        below = None if volume_size is None else -(-native_options.size(volume_size, "--size") // block_bytes)
        stretches = deltas.delta(metadata.reader, left, right, below_block=below)
        if as_json:
            _delta_json(metadata, thin1, thin2, stretches)
            return
        wanted = ("uuid", "time", "transaction", "data_block_size", "nr_data_blocks")
        attributes = dumps.superblock_attributes(metadata.superblock)
        head = dumps.xml_attributes({name: attributes[name] for name in wanted})
        stream.write(f'<superblock{head}>\n  <diff left="{thin1}" right="{thin2}">\n')
        if verbose:
            _delta_verbose(stretches)
        else:
            for kind, begin, blocks in deltas.plain(stretches):
                stream.write(f'    <{kind} begin="{begin}" length="{blocks}"/>\n')
        stream.write("  </diff>\n</superblock>\n")


def _delta_verbose(stretches: Iterator[deltas.Stretch]) -> None:
    for kind, group in itertools.groupby(stretches, lambda stretch: stretch.kind):
        stream.write(f"    <{kind}>\n")
        for one in group:
            data = f'data_begin="{one.right if one.left is None else one.left}"'
            if kind == "different":
                data = f'left_data_begin="{one.left}" right_data_begin="{one.right}"'
            stream.write(f'      <range begin="{one.begin}" {data} length="{one.blocks}"/>\n')
        stream.write(f"    </{kind}>\n")


def _delta_json(metadata: Metadata, thin1: int, thin2: int, stretches: Iterator[deltas.Stretch]) -> None:
    def number(value: int | None) -> str:
        return "null" if value is None else str(value)

    sectors = metadata.superblock.data_block_sectors
    stream.write(options.json_head("thin delta") + f'"data_block_sectors": {sectors},\n  ')
    stream.write(f'"left": {thin1},\n  "right": {thin2},\n  "ranges": [')
    separator = "\n"
    for one in stretches:
        stream.write(
            f'{separator}    {{"kind": "{one.kind}", "begin_blocks": {one.begin}, "length_blocks": {one.blocks}, '
            f'"left_data_block": {number(one.left)}, "right_data_block": {number(one.right)}}}'
        )
        separator = ",\n"
    stream.write(("]" if separator == "\n" else "\n  ]") + "\n}\n")


def rmap(
    source: options.Source,
    *,
    region: Annotated[
        list[str],
        typer.Option("--region", metavar="BEGIN..END", help="Data blocks, without END itself; may be repeated."),
    ],
    metadata_snap: options.Snapshot = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Print which thins have certain data blocks, as thin_rmap does.

    Each of them: thin_rmap 0.9.0 leaves out a thin that shares all its mappings with another one.

    Of a live pool a metadata snapshot is made, read, and released.
    """
    regions = [_region(text) for text in region]
    with signals.Raised(), consistent(source, deep=True, snapshot=metadata_snap) as metadata:
        found = uses(metadata, regions)
    if as_json:
        listed = [
            {"data_block": data, "thin_id": thin_id, "virtual_block": virtual, "length_blocks": blocks}
            for data, thin_id, virtual, blocks in found
        ]
        stream.write(native_options.as_json("thin rmap", {"uses": listed}))
        return
    for data, thin_id, virtual, blocks in found:
        stream.write(f"data {data}..{data + blocks} -> thin({thin_id}) {virtual}..{virtual + blocks}\n")


def _region(text: str) -> tuple[int, int]:
    begin, _, end = text.partition("..")
    if not (begin.isdecimal() and end.isdecimal() and int(begin) < int(end)):
        raise UsageError(f"--region: {text!r} is not BEGIN..END, two numbers of blocks, the second one larger.")
    return int(begin), int(end)


_UNITS = {
    "b": (1, "bytes"),
    "s": (SECTOR_BYTES, "sectors"),
    **{
        letter.lower(): (1024**power, f"{name}bibytes")
        for power, (letter, name) in enumerate(zip("KMGTPE", ("ki", "me", "gi", "te", "pe", "ex"), strict=True), 1)
    },
    **{
        letter: (1000**power, f"{name}bytes")
        for power, (letter, name) in enumerate(
            zip("KMGTPE", ("kilo", "mega", "giga", "tera", "peta", "exa"), strict=True), 1
        )
    },
}
_HUNDREDTH = 0.01


def metadata_size(
    *,
    block_size: Annotated[str, typer.Option("-b", "--block-size", metavar="SIZE", help="Of the pool's blocks.")],
    pool_size: Annotated[str, typer.Option("-s", "--pool-size", metavar="SIZE", help="Of the pool's data.")],
    max_thins: Annotated[
        int, typer.Option("-m", "--max-thins", metavar="COUNT", min=1, help="Most thins and snapshots at a time.")
    ],
    unit: Annotated[
        str, typer.Option("-u", "--unit", metavar="UNIT", help="One of b s k m g t p e; in capitals powers of 1000.")
    ] = "s",
    numeric_only: Annotated[bool, typer.Option("-n", "--numeric-only", help="Print only the number.")] = False,
) -> None:
    """Tell how large a pool's metadata should be, as thin_metadata_size does.

    A size without a unit is in sectors of 512 bytes.
    """
    block_bytes = native_options.size(block_size, "--block-size", "s")
    pool_bytes = native_options.size(pool_size, "--pool-size", "s")
    if unit not in _UNITS:
        raise UsageError(f"--unit: {unit!r} is none of {' '.join(_UNITS)}.")
    if not 65536 <= block_bytes <= 1 << 30 or block_bytes % 65536:
        raise UsageError(f"--block-size: {block_bytes} bytes are no multiple of 64 KiB up to 1 GiB.")
    if pool_bytes < block_bytes:
        raise UsageError("--pool-size: the pool is smaller than one of its blocks.")
    sectors = metadata_sectors(block_bytes // SECTOR_BYTES, pool_bytes // SECTOR_BYTES, max_thins)
    factor, name = _UNITS[unit]
    whole, rest = divmod(sectors * SECTOR_BYTES, factor)
    exact = sectors * SECTOR_BYTES / factor
    number = str(whole) if not rest else f"{exact:.2f}" if exact >= _HUNDREDTH else f"{exact:.2e}"
    stream.write(f"{number}\n" if numeric_only else f"{number} {name} of metadata for {os.fspath(pool_size)} of data\n")
