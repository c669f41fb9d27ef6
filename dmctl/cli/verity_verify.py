# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity verify and repair: what is wrong, and what parity can put right."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import verity_options as options
from dmctl.cli.verity_progress import Shown
from dmctl.errors import ExitStatus, UsageError
from dmctl.verity.existing import Existing, open_existing
from dmctl.verity.image import Damage, Progress
from dmctl.verity.places import opened
from dmctl.verity.tree import parse_root_hash

if TYPE_CHECKING:
    from dmctl.verity.repair import Outcome


def verify(
    data: options.Data,
    hashes: options.Hashes,
    root: options.Root = None,
    *,
    root_hash_file: options.RootFile = None,
    hash_offset: options.HashOffset = "0",
    no_superblock: options.NoSuperblock = False,
    algorithm: options.Hash = "sha256",
    hash_type: options.Format = 1,
    data_block_size: options.DataBlockSize = "4096",
    hash_block_size: options.HashBlockSize = "4096",
    data_blocks: options.DataBlocks = None,
    salt: options.Salt = None,
    fec_device: options.FecDevice = None,
    fec_offset: options.FecOffset = "0",
    fec_roots: options.FecRoots = 2,
    threads: options.Threads = None,
    progress: options.Progress = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Compare DATA and the hash tree in HASH with the root hash, and tell every block that is wrong.

    Neighbouring blocks are one line. The format is the superblock's; where there is none, the options tell it. With
    --fec-device it is found out, too, which wrong blocks could be repaired.

    Exit status: 0 where all is right, 6 where something is not.
    """
    digits = options.root_hash(root, root_hash_file)
    wanted = options.parameters(
        no_superblock,
        data,
        blocks=data_blocks,
        data_block=data_block_size,
        hash_block=hash_block_size,
        algorithm=algorithm,
        salt_text=salt,
        hash_type=hash_type,
    )
    offset_bytes = native_options.size(hash_offset, "--hash-offset")
    fec_offset_bytes = native_options.size(fec_offset, "--fec-offset")
    damages: list[Damage] = []
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        there = stack.enter_context(open_existing(data, hashes, hash_offset_bytes=offset_bytes, parameters=wanted))
        # Before the work, which may take long.
        place = None if fec_device is None else stack.enter_context(opened(fec_device))
        parameters = there.image.parameters
        root_hash = parse_root_hash(digits, parameters.algorithm)
        with signals.Raised(), Shown(progress, "Verifying") as shown:
            for damage in _damages(there, root_hash, threads, shown):
                damages.append(damage)
                if not as_json:
                    _tell(damage)
            if damages and place is not None:
                from dmctl.verity.repair import Parity
                from dmctl.verity.repair import repair as put_right

                parity = Parity(place, fec_offset_bytes, fec_roots)
                outcomes = list(put_right(there, parity, root_hash, dry_run=True, threads=threads, progress=shown))
                outcomes.sort(key=lambda one: (one.where, one.block))
    if as_json:
        facts = {"root_hash": root_hash.hex(), "verified": not damages, "damage": [_damage(one) for one in damages]}
        if fec_device is not None:
            facts |= {"repairable": [_outcome(one) for one in outcomes if one.repaired]}
        stream.write(native_options.as_json("verity verify", facts))
    elif not damages:
        stream.write(f"Verified: {parameters.data_blocks} data blocks and {parameters.hash_blocks} hash blocks.\n")
    elif fec_device is not None:
        for outcome in outcomes:
            _tell_outcome(outcome, "can be repaired")
    if damages:
        stream.flush()  # what was told comes first
        stream.error(f"dmctl: {_reason(damages[0], there, data)}")
        raise typer.Exit(ExitStatus.VERIFICATION)


def repair(
    data: options.Data,
    hashes: options.Hashes,
    root: options.Root = None,
    *,
    root_hash_file: options.RootFile = None,
    hash_offset: options.HashOffset = "0",
    no_superblock: options.NoSuperblock = False,
    algorithm: options.Hash = "sha256",
    hash_type: options.Format = 1,
    data_block_size: options.DataBlockSize = "4096",
    hash_block_size: options.HashBlockSize = "4096",
    data_blocks: options.DataBlocks = None,
    salt: options.Salt = None,
    fec_device: options.FecDevice = None,
    fec_offset: options.FecOffset = "0",
    fec_roots: options.FecRoots = 2,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only tell what could be repaired.")] = False,
    threads: options.Threads = None,
    progress: options.Progress = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Put right with the parity of --fec-device what is wrong in DATA and in the hash tree.

    A block is written only when its hash agrees, so whatever happens, none is made worse. DATA and HASH must not be in
    use. A tree that is wrong is put right from the root downwards.

    Exit status: 0 where everything is right in the end, 6 where something could not be repaired.
    """
    from dmctl.verity.repair import Parity
    from dmctl.verity.repair import repair as put_right

    if fec_device is None:
        raise UsageError("--fec-device is needed: there the parity is.")
    digits = options.root_hash(root, root_hash_file)
    wanted = options.parameters(
        no_superblock,
        data,
        blocks=data_blocks,
        data_block=data_block_size,
        hash_block=hash_block_size,
        algorithm=algorithm,
        salt_text=salt,
        hash_type=hash_type,
    )
    offset_bytes = native_options.size(hash_offset, "--hash-offset")
    fec_offset_bytes = native_options.size(fec_offset, "--fec-offset")
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        there = stack.enter_context(
            open_existing(data, hashes, hash_offset_bytes=offset_bytes, parameters=wanted, write=not dry_run)
        )
        same = os.path.exists(fec_device) and os.path.samefile(fec_device, hashes)
        place = there.hashes if same else stack.enter_context(opened(fec_device))
        root_hash = parse_root_hash(digits, there.image.parameters.algorithm)
        stack.enter_context(signals.Raised())
        shown = stack.enter_context(Shown(progress, "Verifying"))
        parity = Parity(place, fec_offset_bytes, fec_roots)
        for outcome in put_right(there, parity, root_hash, dry_run=dry_run, threads=threads, progress=shown):
            outcomes.append(outcome)
            if not as_json:
                _tell_outcome(outcome, "can be repaired" if dry_run else "repaired")
    lost = [outcome for outcome in outcomes if not outcome.repaired]
    if as_json:
        facts = {"root_hash": root_hash.hex(), "dry_run": dry_run, "verified": not (outcomes if dry_run else lost)}
        rows = {
            "repaired": [_outcome(one) for one in outcomes if one.repaired],
            "lost": [_outcome(one) for one in lost],
        }
        stream.write(native_options.as_json("verity repair", {**facts, **rows}))
    elif not outcomes:
        stream.write("Nothing is wrong.\n")
    if lost:
        stream.flush()
        stream.error(f"dmctl: {len(lost)} of {len(outcomes)} wrong blocks cannot be repaired.")
        raise typer.Exit(ExitStatus.VERIFICATION)


def _damages(there: Existing, root_hash: bytes, threads: int | None, shown: Progress | None) -> Iterator[Damage]:
    for at in there.stray_bytes:
        yield Damage("superblock", 0, 0, at, 1)
    yield from there.image.damages(root_hash, threads=threads, progress=shown)


def _reason(first: Damage, there: Existing, data: str) -> str:
    if first.where == "hash" and not first.first_block:
        return "The top of the hash tree does not fit the root hash: it is damaged, or the root hash is another tree's."
    return f"verification of {data} failed."


def _tell_outcome(outcome: "Outcome", repaired: str) -> None:
    where = "data" if outcome.where == "data" else "hash tree"
    result = repaired if outcome.repaired else "cannot be repaired"
    stream.write(f"{where}: block {outcome.block} at byte {outcome.offset_bytes} {result}\n")


def _outcome(outcome: "Outcome") -> dict[str, object]:
    return {"where": outcome.where, "block": outcome.block, "offset_bytes": outcome.offset_bytes}


_WORDS = {
    "data": "data: wrong",
    "hash": "hash tree: wrong",
    "padding": "hash tree: not zero behind the hashes",
    "unknown": "data: unknown, its hashes are wrong",
    "superblock": "superblock: not zero where nothing is",
}


def _tell(damage: Damage) -> None:
    end = damage.offset_bytes + damage.length_bytes - 1
    blocks = f", blocks {damage.first_block} to {damage.first_block + damage.blocks - 1}"
    if damage.blocks == 1:
        blocks = f", block {damage.first_block}"
    where = f"byte {end}" if end == damage.offset_bytes else f"bytes {damage.offset_bytes} to {end}"
    stream.write(f"{_WORDS[damage.where]}: {where}{blocks if damage.blocks else ''}\n")


def _damage(damage: Damage) -> dict[str, object]:
    return {
        "where": damage.where,
        "first_block": damage.first_block if damage.blocks else None,
        "blocks": damage.blocks,
        "offset_bytes": damage.offset_bytes,
        "length_bytes": damage.length_bytes,
    }
