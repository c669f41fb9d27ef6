# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin create, snapshot, activate, deactivate, remove, rename, resize and batch."""

import errno
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import thin_options as options
from dmctl.errors import DmctlError, UsageError
from dmctl.section import Flags
from dmctl.thin import kernel, removal
from dmctl.thin.batch import Batch
from dmctl.thin.catalogue import Volume
from dmctl.thin.pool import Pool
from dmctl.units import SECTOR_BYTES, format_size

NoLockfs = Annotated[
    bool, typer.Option("--nolockfs", help="Do not freeze file systems: the snapshot is as after a power failure.")
]
NoFlush = Annotated[
    bool, typer.Option("--noflush", help="Likewise, and do not wait for what is under way; it may wait for space.")
]
Activate = Annotated[bool, typer.Option("--activate", help="Activate it, too.")]


@contextmanager
def changing(name: str) -> Iterator[Pool]:
    """The pool, with what was put right told, whatever comes of the rest."""
    with signals.Raised(), Pool.opened(name) as pool:
        told = 0
        try:
            options.tell(pool.notes)
            told = len(pool.notes)
            yield pool
        finally:
            options.tell(pool.notes[told:])


def commit(
    pool: Pool,
    batch: Batch,
    command: str,
    volumes: list[Volume],
    *,
    dry_run: bool,
    as_json: bool,
    flags: Flags | None = None,
) -> bool:
    """Commit and tell, or for --dry-run only tell what would be done. Whether it was committed."""
    if dry_run:
        wanted = pool.planned(batch, pool.active_ids())
        messages = [one.message for one in wanted.operations if one.message]
        messages.append(f"set_transaction_id {wanted.sequence - 1} {wanted.sequence}")
        if as_json:
            stream.write(native_options.as_json(command, {"dry_run": True, "pool": pool.name, "messages": messages}))
        else:
            stream.write(options.message_lines(pool.name, messages))
        return False
    times = pool.commit(batch, flags=flags)
    if as_json:
        facts: dict[str, object] = {
            "pool": pool.name,
            "transaction_id": pool.catalogue.sequence,
            "volumes": [options.volume_facts(volume) for volume in volumes],
            "suspended_nanoseconds": times,
        }
        stream.write(native_options.as_json(command, facts))
    return True


def _tell_volume(command: str, pool: Pool, name: str, as_json: bool, **more: object) -> None:
    """What a volume is now, where JSON is asked for."""
    if as_json:
        facts = {"pool": pool.name, "volume": options.volume_facts(pool.volume(name)), **more}
        stream.write(native_options.as_json(command, facts))


def create(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    size: Annotated[str, typer.Option("--size", metavar="SIZE", help="How large it seems; it takes what is written.")],
    blob: options.Blob = None,
    blob_file: options.BlobFile = None,
    activate: Activate = False,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make an empty volume."""
    content = options.blob(blob, blob_file)
    sectors = options.sectors(size, "--size")
    with changing(pool_name) as pool:
        batch = Batch(pool.catalogue, pool.thins)
        volume = batch.create(name, sectors, content or b"")
        done = commit(pool, batch, "thin create", [volume], dry_run=dry_run, as_json=as_json)
        if done and activate:
            pool.activate(name)


def snapshot(
    pool_name: options.PoolName,
    origin: Annotated[str | None, typer.Argument(metavar="[ORIGIN]", help="The volume to take a snapshot of.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="What the snapshot is called.")] = None,
    *,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="ORIGIN=NAME", help="One of several, all of the same moment; repeat it."),
    ] = None,
    blob: options.Blob = None,
    blob_file: options.BlobFile = None,
    nolockfs: NoLockfs = False,
    noflush: NoFlush = False,
    activate: Activate = False,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make a snapshot of a volume, or of several at the same moment.

    An origin that is active is suspended for the moment of the snapshot: its file system is frozen and written out, so
    that the snapshot needs no repair. It is resumed whatever happens, should this process be killed too. On a pool that
    is out of space, where writing out would wait for space, the snapshot is as after a power failure.

    Without a blob of its own a snapshot has the origin's.
    """
    pairs = _pairs(origin, name, group)
    content = options.blob(blob, blob_file)
    flags = Flags(lockfs=not (nolockfs or noflush), flush=not noflush) if nolockfs or noflush else None
    with changing(pool_name) as pool:
        batch = Batch(pool.catalogue, pool.thins)
        made = [batch.snapshot(one, new, blob=content) for one, new in pairs]
        done = commit(pool, batch, "thin snapshot", made, dry_run=dry_run, as_json=as_json, flags=flags)
        if done and activate:
            for volume in made:
                pool.activate(volume.name)


def _pairs(origin: str | None, name: str | None, group: list[str] | None) -> list[tuple[str, str]]:
    if group:
        if origin is not None:
            raise UsageError("--group takes the place of ORIGIN and NAME.")
        pairs = [tuple(one.split("=", 1)) for one in group]
        for one, pair in zip(group, pairs, strict=True):
            if len(pair) != 2 or not all(pair):
                raise UsageError(f"--group: {one!r} is not ORIGIN=NAME.")
        return [(pair[0], pair[1]) for pair in pairs]
    if origin is None or name is None:
        raise UsageError("A snapshot needs ORIGIN and NAME, or --group.")
    return [(origin, name)]


def activate(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    read_only: Annotated[bool, typer.Option("-r", "--read-only", help="Nothing can be written to it.")] = False,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make the device of a volume, /dev/mapper/POOL-NAME, and print its path."""
    with changing(pool_name) as pool:
        if dry_run:
            volume = pool.volume(name)
            line = kernel.thin_line(pool.state, volume.thin_id, volume.size_sectors)
            stream.write(f"{kernel.device_name(pool.name, name)}: {line.format()}\n")
            return
        path = pool.activate(name, read_only=read_only)
        if as_json:
            _tell_volume("thin activate", pool, name, True, path=path)
        else:
            stream.write(f"{path}\n")


def deactivate(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    deferred: Annotated[bool, typer.Option("--deferred", help="Where it is in use, as soon as it is not.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Remove the device of a volume; the volume stays."""
    with changing(pool_name) as pool:
        pool.deactivate(name, deferred=deferred)
        _tell_volume("thin deactivate", pool, name, as_json)


def remove(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    no_discard: Annotated[
        bool, typer.Option("--no-discard", help="Delete it in one go, which the whole pool waits for.")
    ] = False,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Remove a volume and what it holds, for good.

    Its blocks are given back in pieces of 1 GiB, so that the pool does not stand still meanwhile. When this is
    interrupted, the next command that changes the pool removes what is left. A volume that is in use is refused.
    """
    with changing(pool_name) as pool:
        if dry_run:
            batch = Batch(pool.catalogue, pool.thins)
            batch.remove(name)
            commit(pool, batch, "thin remove", [], dry_run=True, as_json=as_json)
            return
        volume = pool.volume(name)
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"What {name} holds would be lost; --yes removes it.")
            size = format_size(volume.size_sectors * SECTOR_BYTES)
            native_options.confirm(f"Remove {name} ({size}) and what it holds?", "Nothing has been removed.")
        removal.remove(pool, name, discard=not no_discard)
        if as_json:
            facts: dict[str, object] = {"pool": pool.name, "removed": options.volume_facts(volume)}
            stream.write(native_options.as_json("thin remove", facts))


def rename(
    pool_name: options.PoolName,
    name: options.VolumeName,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="What it is called from now on.")],
    *,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Give a volume another name; its device, if it has one, too."""
    with changing(pool_name) as pool:
        batch = Batch(pool.catalogue, pool.thins)
        commit(pool, batch, "thin rename", [batch.rename(name, new_name)], dry_run=dry_run, as_json=as_json)


def resize(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    size: Annotated[str, typer.Option("--size", metavar="SIZE", help="The new size.")],
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make a volume larger, or smaller. A file system in it is left as it is.

    What is behind a new end cannot be read any more, but keeps its space, and is there again when the volume grows.
    """
    sectors = options.sectors(size, "--size")
    with changing(pool_name) as pool:
        volume = pool.volume(name)
        if sectors < volume.size_sectors:
            device = kernel.active(pool.uuid, volume)
            if device is not None and device.info().open_count:
                raise DmctlError(f"{name} is in use, and cannot become smaller.", errno=errno.EBUSY)
            if not yes:
                raise UsageError(
                    f"{name} would become smaller, and what is behind its end out of reach; --yes does it."
                )
        batch = Batch(pool.catalogue, pool.thins)
        commit(pool, batch, "thin resize", [batch.resize(name, sectors)], dry_run=dry_run, as_json=as_json)


# ---- batches ----


def batch(
    pool_name: options.PoolName,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Lines of changes; - for standard input.")],
    *,
    nolockfs: NoLockfs = False,
    noflush: NoFlush = False,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make many changes as one: all of them, or none.

    A line is one of: create NAME SIZE [BLOB], snapshot ORIGIN NAME [BLOB], remove NAME, rename NAME NEW_NAME,
    resize NAME SIZE, blob NAME TEXT. Words are quoted as in a shell; # begins a comment. A blob in hexadecimal digits
    begins with hex:. Snapshots are all of the same moment. Volumes to be removed must not be active.
    """
    flags = Flags(lockfs=not (nolockfs or noflush), flush=not noflush) if nolockfs or noflush else None
    lines = _lines(file)
    with changing(pool_name) as pool:
        changes = Batch(pool.catalogue, pool.thins)
        made = []
        for number, words in lines:
            try:
                made.append(_change(changes, words))
            except DmctlError as error:
                raise type(error)(f"Line {number}: {error}") from None
        if made:
            commit(pool, changes, "thin batch", made, dry_run=dry_run, as_json=as_json, flags=flags)


def _lines(file: str) -> list[tuple[int, list[str]]]:
    try:
        with open(0 if file == "-" else file, encoding="utf-8", errors="surrogateescape", closefd=file != "-") as there:
            text = there.read()
    except OSError as error:
        raise DmctlError(f"{file} cannot be read: {error.strerror}.", errno=error.errno or 0) from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise UsageError(f"Line {number}: {error}.") from None
        if words:
            found.append((number, words))
    return found


def _change(changes: Batch, words: list[str]) -> Volume:
    verb, *rest = words
    known: dict[str, tuple[int, int, Callable[..., Volume]]] = {
        "create": (2, 3, lambda name, size, blob="": changes.create(name, _size(size), _blob(blob) or b"")),
        "snapshot": (2, 3, lambda of, name, blob=None: changes.snapshot(of, name, blob=_blob(blob))),
        "remove": (1, 1, changes.remove),
        "rename": (2, 2, changes.rename),
        "resize": (2, 2, lambda name, size: changes.resize(name, _size(size))),
        "blob": (2, 2, lambda name, blob: changes.set_blob(name, _blob(blob) or b"")),
    }
    if verb not in known:
        raise UsageError(f"{verb!r} is none of {', '.join(known)}.")
    least, most, change = known[verb]
    if not least <= len(rest) <= most:
        raise UsageError(
            f"{verb} has {len(rest)} words behind it, which is too {'few' if len(rest) < least else 'many'}."
        )
    return change(*rest)


def _size(text: str) -> int:
    return options.sectors(text, "the size")


def _blob(text: str | None) -> bytes | None:
    if text is None or not text.startswith("hex:"):
        return options.blob(text, None)
    try:
        return bytes.fromhex(text[4:])
    except ValueError:
        raise UsageError(f"{text!r} has no hexadecimal digits, two a byte.") from None
