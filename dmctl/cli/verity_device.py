# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity open, status and close."""

import errno
from typing import Annotated

import typer

from dmctl.cli import native_options, stream
from dmctl.cli import verity_options as options
from dmctl.cli.compat.busy import tell_holders
from dmctl.device import Device
from dmctl.errors import DmctlError, ExitStatus, NotFoundError, UsageError
from dmctl.names import backing_file, node
from dmctl.units import SECTOR_BYTES, parse_devno
from dmctl.verity import device as verity

Name = Annotated[str, typer.Argument(metavar="NAME", help="The device's name.")]
OpenDevice = Annotated[str, typer.Argument(metavar="DEVICE", help="The device's name.")]


def open_(
    data: options.Data,
    name: Name,
    hashes: options.Hashes,
    root: options.Root = None,
    *,
    root_hash_file: options.RootFile = None,
    ignore_corruption: Annotated[
        bool, typer.Option("--ignore-corruption", help="Only log a wrong block; its data are read as they are.")
    ] = False,
    restart_on_corruption: Annotated[
        bool, typer.Option("--restart-on-corruption", help="Restart the machine at a wrong block.")
    ] = False,
    panic_on_corruption: Annotated[
        bool, typer.Option("--panic-on-corruption", help="Let the kernel panic at a wrong block.")
    ] = False,
    restart_on_error: Annotated[
        bool, typer.Option("--restart-on-error", help="Restart the machine at a read error.")
    ] = False,
    panic_on_error: Annotated[
        bool, typer.Option("--panic-on-error", help="Let the kernel panic at a read error.")
    ] = False,
    ignore_zero_blocks: Annotated[
        bool, typer.Option("--ignore-zero-blocks", help="Do not read blocks whose hash is that of zeros.")
    ] = False,
    check_at_most_once: Annotated[
        bool, typer.Option("--check-at-most-once", help="Verify a data block only when it is read for the first time.")
    ] = False,
    use_tasklets: Annotated[
        bool, typer.Option("--use-tasklets", help="Verify at once where the hashes are in memory.")
    ] = False,
    root_hash_signature: Annotated[
        str | None,
        typer.Option(
            "--root-hash-signature", metavar="FILE", help="Signature of the root hash, for the kernel to check."
        ),
    ] = None,
    shared: Annotated[bool, typer.Option("--shared", help="DATA may be in use otherwise.")] = False,
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
) -> None:
    """Make a device that verifies each block of DATA when it is read.

    DATA and HASH may be files: they get loop devices, which go with the device. A tree whose top does not fit the root
    hash is refused, with exit status 6.
    """
    on_corruption = _one_of(
        {"ignore": ignore_corruption, "restart": restart_on_corruption, "panic": panic_on_corruption}, "corruption"
    )
    on_error = _one_of({"restart": restart_on_error, "panic": panic_on_error}, "error")
    verity.open_device(
        name,
        data,
        hashes,
        options.root_hash(root, root_hash_file),
        hash_offset_bytes=native_options.size(hash_offset, "--hash-offset"),
        parameters=options.parameters(
            no_superblock,
            data,
            blocks=data_blocks,
            data_block=data_block_size,
            hash_block=hash_block_size,
            algorithm=algorithm,
            salt_text=salt,
            hash_type=hash_type,
        ),
        features=verity.Features(
            on_corruption=on_corruption,
            on_error=on_error,
            ignore_zero_blocks=ignore_zero_blocks,
            check_at_most_once=check_at_most_once,
            try_verify_in_tasklet=use_tasklets,
            fec_path=fec_device,
            fec_offset_bytes=native_options.size(fec_offset, "--fec-offset"),
            fec_roots=fec_roots,
        ),
        signature=None if root_hash_signature is None else _signature(root_hash_signature),
        shared=shared,
    )


def _signature(file: str) -> bytes:
    found = options.read(file)
    if not found:
        raise DmctlError(f"{file} is empty, and no signature.")
    return found


def _one_of(wanted: dict[str, bool], what: str) -> str | None:
    chosen = [name for name, value in wanted.items() if value]
    if len(chosen) > 1:
        both = " and ".join(f"--{name}-on-{what}".replace("ignore-on-", "ignore-") for name in chosen)
        raise UsageError(f"{both} exclude each other.")
    return chosen[0] if chosen else None


def status(name: OpenDevice, as_json: native_options.AsJson = False) -> None:
    """Show an open verity device."""
    try:
        there = verity.look_at(name)
    except NotFoundError:
        if not as_json:
            stream.write(f"/dev/mapper/{name} is inactive.\n")
            raise typer.Exit(ExitStatus.NOT_FOUND) from None
        raise
    if as_json:
        facts: dict[str, object] = {
            "name": there.info.name,
            "uuid": there.info.uuid,
            "open_count": there.info.open_count,
            "size_sectors": there.size_sectors,
            "arguments": there.arguments.to_dict(),
            "state": there.status.to_dict(),
        }
        stream.write(native_options.as_json("verity status", facts))
        return
    stream.write(text_of(name, there))


def text_of(name: str, there: verity.Opened, *, as_veritysetup: bool = False) -> str:
    """What status tells, under veritysetup's labels; as_veritysetup: with a blank behind flags where it has one."""
    arguments = there.arguments
    corrupted = there.status.validity == "C"
    rows: list[tuple[str, object]] = [
        ("type", "VERITY"),
        ("status", "corrupted" if corrupted else "verified"),
        ("hash type", arguments.version),
        ("data block", arguments.data_block_bytes),
        ("hash block", arguments.hash_block_bytes),
        ("hash name", arguments.algorithm),
        ("salt", arguments.salt or "-"),
        *_device("data", arguments.data_device),
        ("size", f"{there.size_sectors} sectors"),
        ("mode", "readonly"),
        *_device("hash", arguments.hash_device),
        ("hash offset", f"{arguments.hash_start_blocks * (arguments.hash_block_bytes // SECTOR_BYTES)} sectors"),
    ]
    if arguments.fec_device is not None:
        start = (arguments.fec_start_blocks or 0) * (arguments.data_block_bytes // SECTOR_BYTES)
        rows += [*_device("FEC", arguments.fec_device), ("FEC offset", f"{start} sectors")]
        rows.append(("FEC roots", arguments.fec_roots))
    rows.append(("root hash", arguments.root_digest))
    if flags := _flags(there):
        blanks = "".join(flag if flag in _WITHOUT_BLANK else f"{flag} " for flag in flags)
        rows.append(("flags", blanks if as_veritysetup else " ".join(flags)))
    in_use = " and is in use" if there.info.open_count > 0 else ""
    lines = [f"/dev/mapper/{name} is active{in_use}.", *(f"  {label + ':':13}{value}" for label, value in rows)]
    return "\n".join(lines) + "\n"


def _device(what: str, devno: str) -> list[tuple[str, object]]:
    """A device's node, and the file below a loop device."""
    number = parse_devno(devno)
    rows: list[tuple[str, object]] = [(f"{what} device", node(number))]
    file = backing_file(number)
    return [*rows, (f"{what} loop", file)] if file else rows


# Of veritysetup's flags: the last two of its list.
_WITHOUT_BLANK = ("check_at_most_once", "try_verify_in_tasklet")


def _flags(there: verity.Opened) -> list[str]:
    arguments = there.arguments
    words = [f"{arguments.on_corruption}_on_corruption"] if arguments.on_corruption else []
    words += [f"{arguments.on_error}_on_error"] if arguments.on_error else []
    words = [word.replace("ignore_on_", "ignore_") for word in words]
    named = ("ignore_zero_blocks", "check_at_most_once", "try_verify_in_tasklet")
    return words + [word for word in named if getattr(arguments, word)]


def close(
    name: OpenDevice,
    deferred: Annotated[
        bool, typer.Option("--deferred", help="Where it is in use, remove it as soon as it is not.")
    ] = False,
    cancel_deferred: Annotated[
        bool, typer.Option("--cancel-deferred", help="Take back a deferred removal, and do nothing else.")
    ] = False,
) -> None:
    """Remove a verity device, and the loop devices that it got."""
    if deferred and cancel_deferred:
        raise UsageError("--deferred and --cancel-deferred exclude each other.")
    try:
        verity.close_device(name, deferred=deferred, cancel_deferred=cancel_deferred)
    except DmctlError as error:
        if error.errno != errno.EBUSY:
            raise
        stream.error(f"dmctl: {error}")
        tell_holders(Device(name))
        raise typer.Exit(error.exit_status) from None
