# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl thin blob and find."""

import uuid as uuids
from typing import Annotated

import typer

from dmctl.cli import native_options, stream
from dmctl.cli import thin_options as options
from dmctl.cli.thin_volumes import changing, commit
from dmctl.errors import ExitStatus, UsageError
from dmctl.thin.batch import Batch
from dmctl.thin.pool import look


def get(pool_name: options.PoolName, name: options.VolumeName) -> None:
    """Print the blob of a volume, byte for byte."""
    _, catalogue, thins = look(pool_name)
    stream.write_bytes(Batch(catalogue, thins).volume(name).blob)


def set_(
    pool_name: options.PoolName,
    name: options.VolumeName,
    *,
    blob: options.Blob = None,
    blob_file: options.BlobFile = None,
    dry_run: options.DryRun = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Bind a blob to a volume, in place of the one that it has. An empty one takes it away."""
    content = options.blob(blob, blob_file)
    if content is None:
        raise UsageError("A blob is needed, --blob or --blob-file.")
    with changing(pool_name) as pool:
        batch = Batch(pool.catalogue, pool.thins)
        commit(pool, batch, "thin blob set", [batch.set_blob(name, content)], dry_run=dry_run, as_json=as_json)


def find(
    pool_name: options.PoolName,
    *,
    blob: Annotated[str | None, typer.Option("--blob", metavar="HEX", help="With this blob, in digits.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Of this name.")] = None,
    uuid: Annotated[str | None, typer.Option("--uuid", metavar="UUID", help="With this uuid.")] = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Print the names of volumes that have a certain blob, name or uuid; all of these, if several are given.

    The exit status is 3 where there is none.
    """
    if blob is None and name is None and uuid is None:
        raise UsageError("One of --blob, --name and --uuid is needed.")
    try:
        wanted_blob = None if blob is None else bytes.fromhex(blob)
        wanted_uuid = None if uuid is None else uuids.UUID(uuid)
    except ValueError:
        what = f"--blob: {blob!r} is not an even number of hexadecimal digits"
        if blob is None or (all(letter in "0123456789abcdefABCDEF" for letter in blob) and len(blob) % 2 == 0):
            what = f"--uuid: {uuid!r} is not a uuid"
        raise UsageError(f"{what}.") from None
    found = [
        volume
        for volume in look(pool_name)[1].volumes.values()
        if (wanted_blob is None or volume.blob == wanted_blob)
        and name in (None, volume.name)
        and wanted_uuid in (None, volume.uuid)
    ]
    if as_json:
        stream.write(
            native_options.as_json("thin find", {"volumes": [options.volume_facts(volume) for volume in found]})
        )
    else:
        stream.write("".join(f"{volume.name}\n" for volume in found))
    if not found:
        raise typer.Exit(ExitStatus.NOT_FOUND)
