# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity format and dump."""

import os
from typing import Annotated

import typer

from dmctl.cli import native_options, signals, stream
from dmctl.cli import verity_options as options
from dmctl.cli.verity_progress import Shown
from dmctl.errors import UsageError
from dmctl.verity.existing import read_superblock
from dmctl.verity.make import Choices, Made, make
from dmctl.verity.places import signature_at
from dmctl.verity.superblock import Superblock
from dmctl.verity.tree import Parameters

# What blkid says of a tree.
_OWN_SIGNATURE = "DM_verity_hash"


def format_(
    data: options.Data,
    hashes: options.Hashes,
    *,
    algorithm: options.Hash = "sha256",
    hash_type: options.Format = 1,
    data_block_size: options.DataBlockSize = "4096",
    hash_block_size: options.HashBlockSize = "4096",
    data_blocks: options.DataBlocks = None,
    hash_offset: options.HashOffset = "0",
    salt: options.Salt = None,
    uuid: Annotated[
        str | None, typer.Option("--uuid", metavar="UUID", help="The tree's uuid, if not a new one.")
    ] = None,
    no_superblock: options.NoSuperblock = False,
    root_hash_file: Annotated[
        str | None, typer.Option("--root-hash-file", metavar="FILE", help="Write the root hash into this file, too.")
    ] = None,
    fec_device: options.FecDevice = None,
    fec_offset: options.FecOffset = "0",
    fec_roots: options.FecRoots = 2,
    threads: options.Threads = None,
    progress: options.Progress = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Overwrite what is there without a question.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Make the hash tree of DATA in HASH and print its root hash.

    HASH and the file of --fec-device are made where they do not exist. A device that is mounted or held by another is
    refused, and what looks like a file system or the like is overwritten only after a question, or with --yes.

    When interrupted, there is no superblock: a part of a tree is never taken for a whole one.
    """
    choices = Choices(
        data_blocks=data_blocks,
        data_block_bytes=native_options.size(data_block_size, "--data-block-size"),
        hash_block_bytes=native_options.size(hash_block_size, "--hash-block-size"),
        algorithm=algorithm,
        salt=options.salt(salt),
        hash_type=hash_type,
        hash_offset_bytes=native_options.size(hash_offset, "--hash-offset"),
        superblock=not no_superblock,
        uuid=options.uuid(uuid),
        fec_path=fec_device,
        fec_offset_bytes=native_options.size(fec_offset, "--fec-offset"),
        fec_roots=fec_roots,
    )
    if uuid is not None and no_superblock:
        raise UsageError("--uuid and --no-superblock exclude each other: the uuid is in the superblock.")
    if not yes:
        _ask(hashes, choices.hash_offset_bytes)
        if fec_device is not None and fec_device != hashes:
            _ask(fec_device, choices.fec_offset_bytes)
    with signals.Raised(), Shown(progress, "Hashing") as shown:
        made = make(data, hashes, choices, threads=threads, progress=shown)
    if root_hash_file is not None:
        options.write_text(root_hash_file, made.root_hash.hex())
    if as_json:
        stream.write(native_options.as_json("verity format", {"hash_device": hashes, **_made(made)}))
    else:
        stream.write(made_text(hashes, made, choices))


def made_text(path: str, made: Made, choices: Choices) -> str:
    """What format tells, under veritysetup's labels."""
    fec = None if made.fec_bytes is None else (choices.fec_roots, made.fec_bytes // choices.data_block_bytes)
    text = header(path, made.parameters, str(made.uuid or ""), fec) + f"Root hash:      \t{made.root_hash.hex()}\n"
    if not choices.hash_offset_bytes:
        text += f"Hash device size: \t{made.hash_end_bytes} [bytes]\n"
    if made.fec_bytes is not None and not choices.fec_offset_bytes:
        text += f"FEC device size: \t{made.fec_bytes} [bytes]\n"
    return text


def header(path: str, parameters: Parameters, uuid: str, fec: tuple[int, int] | None = None) -> str:
    """A tree's parameters under veritysetup's labels. fec: roots and blocks of the parity."""
    rows: list[tuple[str, object]] = [
        ("UUID:            ", uuid),
        ("Hash type:       ", parameters.hash_type),
        ("Data blocks:     ", parameters.data_blocks),
        ("Data block size: ", parameters.data_block_bytes),
        ("Hash blocks:     ", parameters.hash_blocks),
        ("Hash block size: ", parameters.hash_block_bytes),
        ("Hash algorithm:  ", parameters.algorithm),
    ]
    if fec:
        rows += [("FEC RS roots:   ", fec[0]), ("FEC blocks:     ", fec[1])]
    rows.append(("Salt:            ", parameters.salt.hex() or "-"))
    return f"VERITY header information for {path}\n" + "".join(f"{label}\t{value}\n" for label, value in rows)


def dump(
    hashes: Annotated[str, typer.Argument(metavar="HASH", help="File or device with the hash tree.")],
    hash_offset: options.HashOffset = "0",
    as_json: native_options.AsJson = False,
) -> None:
    """Print what the superblock of a hash tree says."""
    offset_bytes = native_options.size(hash_offset, "--hash-offset")
    superblock, tree_offset = read_superblock(hashes, offset_bytes)
    parameters = superblock.parameters
    end = tree_offset + parameters.tree_bytes
    if as_json:
        facts = {"hash_device": hashes, "hash_offset_bytes": offset_bytes, **_superblock(superblock)}
        stream.write(
            native_options.as_json("verity dump", {**facts, "tree_offset_bytes": tree_offset, "hash_end_bytes": end})
        )
        return
    stream.write(header(hashes, parameters, str(superblock.uuid)))
    if not offset_bytes:
        stream.write(f"Hash device size: \t{end} [bytes]\n")


def _superblock(superblock: Superblock) -> dict[str, object]:
    return {"uuid": str(superblock.uuid), **_parameters(superblock.parameters)}


def _parameters(parameters: Parameters) -> dict[str, object]:
    return {
        "hash_type": parameters.hash_type,
        "data_blocks": parameters.data_blocks,
        "data_block_bytes": parameters.data_block_bytes,
        "hash_blocks": parameters.hash_blocks,
        "hash_block_bytes": parameters.hash_block_bytes,
        "hash_algorithm": parameters.algorithm,
        "salt": parameters.salt.hex(),
    }


def _made(made: Made) -> dict[str, object]:
    return {
        "uuid": str(made.uuid) if made.uuid else None,
        **_parameters(made.parameters),
        "root_hash": made.root_hash.hex(),
        "hash_end_bytes": made.hash_end_bytes,
        "fec_bytes": made.fec_bytes,
    }


def _ask(path: str, offset_bytes: int) -> None:
    """Ask before something else than a tree in a file is overwritten; nobody to ask is a no."""
    if not os.path.exists(path):
        return
    found = signature_at(path, offset_bytes)
    if found is None or (found == _OWN_SIGNATURE and os.path.isfile(path)):
        return
    native_options.ask(path, found)
