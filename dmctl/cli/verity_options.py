# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options and arguments of more than one command of dmctl verity, and what they mean."""

import os
import uuid as uuids
from typing import Annotated

import typer

from dmctl.cli import native_options
from dmctl.errors import DmctlError, UsageError
from dmctl.verity.places import opened
from dmctl.verity.tree import Parameters

Data = Annotated[str, typer.Argument(metavar="DATA", help="File or device with the data.")]
Hashes = Annotated[str, typer.Argument(metavar="HASH", help="File or device with the hash tree; it may be DATA.")]
Root = Annotated[str | None, typer.Argument(metavar="[ROOT]", help="The root hash, in hexadecimal digits.")]
RootFile = Annotated[
    str | None, typer.Option("--root-hash-file", metavar="FILE", help="File with the root hash, in place of ROOT.")
]
HashOffset = Annotated[
    str, typer.Option("--hash-offset", metavar="BYTES", help="Where the superblock, or without one the tree, begins.")
]
NoSuperblock = Annotated[bool, typer.Option("--no-superblock", help="There is no superblock before the tree.")]
Hash = Annotated[
    str, typer.Option("-h", "--hash", metavar="ALGORITHM", help="Hash algorithm, as the kernel spells it.")
]
Format = Annotated[int, typer.Option("--format", metavar="TYPE", help="1, or 0 for the format of old Chrome OS.")]
DataBlockSize = Annotated[str, typer.Option("--data-block-size", metavar="BYTES", help="Size of a data block.")]
HashBlockSize = Annotated[str, typer.Option("--hash-block-size", metavar="BYTES", help="Size of a hash block.")]
DataBlocks = Annotated[
    int | None, typer.Option("--data-blocks", metavar="COUNT", help="How many data blocks, if not all.")
]
Salt = Annotated[
    str | None, typer.Option("-s", "--salt", metavar="HEX", help="The salt in hexadecimal digits; - for none.")
]
FecDevice = Annotated[
    str | None, typer.Option("--fec-device", metavar="FILE", help="File or device with parity for error correction.")
]
FecOffset = Annotated[str, typer.Option("--fec-offset", metavar="BYTES", help="Where the parity begins.")]
FecRoots = Annotated[int, typer.Option("--fec-roots", metavar="BYTES", min=2, max=24, help="Bytes of parity in 255.")]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="COUNT", min=1, help="Threads, if not one a processor.")
]
Progress = Annotated[
    bool | None,
    typer.Option("--progress/--no-progress", help="Show how far it is; otherwise where standard error is a terminal."),
]

# A root hash, a certificate or a signature has some thousand bytes. What has more is none, and need not be read.
_MAX_FILE_BYTES = 1 << 20


def salt(text: str | None) -> bytes | None:
    """The salt from its digits; None if there is none given. Raises UsageError."""
    if text is None:
        return None
    if text in ("-", ""):
        return b""
    try:
        # bytes.fromhex() passes over blanks.
        return bytes.fromhex(text if text.isalnum() else "?")
    except ValueError:
        raise UsageError("--salt: the salt must be an even number of hexadecimal digits, or - for none.") from None


def uuid(text: str | None) -> uuids.UUID | None:
    """A uuid from its text. Raises UsageError."""
    if text is None:
        return None
    try:
        return uuids.UUID(text)
    except ValueError:
        raise UsageError(f"--uuid: {text!r} is not a uuid.") from None


def root_hash(text: str | None, file: str | None) -> str:
    """The digits of the root hash, from the command line or a file. Raises UsageError, DmctlError with errno."""
    if (text is None) == (file is None):
        raise UsageError(
            "A root hash is needed, either ROOT or --root-hash-file."
            if text is None
            else "ROOT and --root-hash-file exclude each other."
        )
    if file is None:
        return text or ""
    return os.fsdecode(read(file))


def read(file: str) -> bytes:
    """What a small file holds. Raises DmctlError, where it cannot be read with errno; UsageError for no name."""
    try:
        with open(file, "rb") as opened_file:
            found = opened_file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DmctlError(f"{file} cannot be read: {error.strerror}.", errno=error.errno or 0) from None
    except ValueError:  # a NUL in the name
        raise UsageError("This is no name of a file.") from None
    if len(found) > _MAX_FILE_BYTES:
        raise DmctlError(f"{file} has more than {_MAX_FILE_BYTES} bytes, which is too much for what it should be.")
    return found


def parameters(
    without_superblock: bool,
    data_path: str,
    *,
    blocks: int | None,
    data_block: str,
    hash_block: str,
    algorithm: str,
    salt_text: str | None,
    hash_type: int,
) -> Parameters | None:
    """What a tree without a superblock is made of, from the options; None for one that has it.

    Without a count of blocks it is over all of the data. Raises UsageError, DmctlError with errno.
    """
    if not without_superblock:
        return None
    # Checked before it divides.
    block_bytes = Parameters(1, native_options.size(data_block, "--data-block-size")).data_block_bytes
    if blocks is None:
        with opened(data_path) as data:
            blocks = data.size_bytes // block_bytes
    return Parameters(
        blocks,
        block_bytes,
        native_options.size(hash_block, "--hash-block-size"),
        algorithm,
        salt(salt_text) or b"",
        hash_type,
    )


def write_text(path: str, text: str) -> None:
    """Write a file. Raises DmctlError with errno."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise DmctlError(f"{path} cannot be written: {error.strerror}.", errno=error.errno or 0) from None
