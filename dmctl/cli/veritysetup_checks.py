# SPDX-License-Identifier: LGPL-2.1-or-later
"""What veritysetup refuses, in its order and its words: scripts look at both."""

import os
import stat
import struct

from dmctl.cli.verity_options import read
from dmctl.errors import DmctlError, UsageError
from dmctl.verity.existing import read_superblock
from dmctl.verity.hashing import MAX_BLOCK_BYTES, MAX_SALT_BYTES, MIN_BLOCK_BYTES, Algorithm
from dmctl.verity.make import Choices
from dmctl.verity.superblock import SIZE_BYTES, SuperblockError

FAILED, DENIED, WRONG_DEVICE, BUSY = 1, 2, 4, 5
MAX_UINT32, MAX_UINT64 = 2**32 - 1, 2**64 - 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of a superblock, behind its magic: version, hash type, algorithm, block sizes of data and hashes.
_START = struct.Struct("<8xII16x32sII")


class ToldError(DmctlError):
    """An action that veritysetup refuses: its lines and its exit status."""

    def __init__(self, message: str, status: int = FAILED):
        super().__init__(message)
        self.status = status


def device(path: str) -> None:
    """A file or block device that can be read."""
    try:
        with open(path, "rb", buffering=0, opener=_nonblocking) as file:
            mode = os.fstat(file.fileno()).st_mode
    except IsADirectoryError:
        mode = stat.S_IFDIR
    except (OSError, ValueError):
        raise ToldError(f"Device {path} does not exist or access denied.", WRONG_DEVICE) from None
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise ToldError(f"Device {path} is not compatible.", WRONG_DEVICE)


def _nonblocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO's writer is not waited for


def make_missing(path: str, what: str) -> None:
    """A file that is not there, as veritysetup makes it before it looks any further; it stays whatever comes then."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except (OSError, ValueError):
        raise ToldError(f"Cannot create {what} {path} for writing.") from None


def salt(text: str | None) -> bytes | None:
    """The salt; None where there is none given."""
    if text is None:
        return None
    if text == "-":
        return b""
    found = _from_hex(text)
    if found is None:
        raise ToldError("Invalid salt string specified.")
    if len(found) > MAX_SALT_BYTES:  # veritysetup dies of it without a word
        raise ToldError(f"A salt of {len(found)} bytes is over {MAX_SALT_BYTES} bytes.")
    return found


def _from_hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) if not text or text.isalnum() else None
    except ValueError:
        return None


def _is_block(size_bytes: int) -> bool:
    return MIN_BLOCK_BYTES <= size_bytes <= MAX_BLOCK_BYTES and not size_bytes & (size_bytes - 1)


def geometry(asked: Choices, data: str, hashes: str) -> None:
    """A tree that is to be made, or has no superblock."""
    if asked.hash_type > 1:
        raise ToldError(f"Unsupported VERITY hash type {asked.hash_type}.")
    if not (_is_block(asked.data_block_bytes) and _is_block(asked.hash_block_bytes)):
        raise ToldError("Unsupported VERITY block size.")
    if asked.hash_offset_bytes % SIZE_BYTES:
        raise ToldError("Unsupported VERITY hash offset.")
    if asked.fec_offset_bytes % SIZE_BYTES:
        raise ToldError("Unsupported VERITY FEC offset.")
    device(data)
    data_blocks = asked.data_blocks or size_bytes_of(data) // asked.data_block_bytes
    data_bytes = data_blocks * asked.data_block_bytes
    if same(data, hashes) and data_bytes > asked.hash_offset_bytes:
        raise ToldError("Data area overlaps with hash area.")
    algorithm(asked.algorithm)
    if data_bytes > MAX_UINT64:
        raise ToldError("Device offset overflow.")
    if asked.fec_path is not None and same(data, asked.fec_path) and data_bytes > asked.fec_offset_bytes:
        raise ToldError("Data area overlaps with FEC area.")


def algorithm(name: str) -> Algorithm:
    """A hash that there is."""
    try:
        return Algorithm.named(name)
    except UsageError:
        raise ToldError(f"Hash algorithm {name} not supported.") from None


def to_be_made(asked: Choices, tree_bytes: int, data: str, hashes: str, *, wrong_uuid: bool) -> str:
    """What a new tree needs beside that, of which veritysetup finds out only as it writes; a warning, or nothing."""
    hash_end_bytes = asked.hash_offset_bytes + tree_bytes
    if asked.fec_path is not None and same(hashes, asked.fec_path) and hash_end_bytes > asked.fec_offset_bytes:
        raise ToldError("Hash area overlaps with FEC area.")
    if (asked.data_blocks or 0) * asked.data_block_bytes > size_bytes_of(data):
        raise ToldError("Input/output error while creating hash area.")
    if wrong_uuid:
        raise ToldError(f"Wrong VERITY UUID format provided on device {hashes}.")
    if asked.fec_path is not None:
        if asked.data_block_bytes != asked.hash_block_bytes:
            raise ToldError("Block sizes must match for FEC.")
        if not 2 <= asked.fec_roots <= 24:
            raise ToldError("Invalid number of parity bytes.")
    if asked.data_block_bytes <= _PAGE_BYTES:
        return ""
    return f"WARNING: Kernel cannot activate device if data block size exceeds page size ({_PAGE_BYTES})."


def superblock(path: str, offset_bytes: int, fec_path: str | None = None) -> Algorithm:
    """A superblock, whose algorithm is returned."""
    why = ""
    try:
        if offset_bytes % SIZE_BYTES:
            raise ToldError("Unsupported VERITY hash offset.")
        found, _ = read_superblock(path, offset_bytes)
        if fec_path is not None:
            device(fec_path)
        return algorithm(found.parameters.algorithm)
    except ToldError as told:
        status, why = told.status, f"{told}\n"
    except SuperblockError:
        status, why = FAILED, _complaint(path, offset_bytes)
    raise ToldError(f"{why}Device {path} is not a valid VERITY device.", status)


def _complaint(path: str, offset_bytes: int) -> str:
    """What is wrong with a superblock, a line; nothing where there is none."""
    with open(path, "rb") as file:
        file.seek(offset_bytes)
        raw = file.read(SIZE_BYTES)
    if len(raw) < SIZE_BYTES or not raw.startswith(b"verity\0\0"):
        return ""
    version, hash_type, name, *blocks = _START.unpack_from(raw)
    if version != 1:
        return f"Unsupported VERITY version {version}.\n"
    if hash_type > 1:
        return f"Unsupported VERITY hash type {hash_type}.\n"
    if not all(map(_is_block, blocks)):
        return "Unsupported VERITY block size.\n"
    try:
        algorithm(os.fsdecode(name.partition(b"\0")[0]))
    except ToldError as told:
        return f"{told}\n"
    return "VERITY header corrupted.\n"


def same(one: str, other: str) -> bool:
    """Whether both are the same file or device."""
    return one == other or (os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other))


def size_bytes_of(path: str) -> int:
    """The size of a file or device that device() has let through."""
    with open(path, "rb") as file:
        return file.seek(0, os.SEEK_END)


def root_hash(digits: str, file: str | None, wanted: Algorithm) -> str:
    """The root hash's digits, from a file where one is named; it may hold more."""
    if file is not None:
        length = 2 * wanted.digest_bytes
        try:
            with open(file, "rb", opener=_nonblocking) as opened:
                digits = os.fsdecode(opened.read(length))
        except IsADirectoryError:
            digits = ""
        except (OSError, ValueError):  # of which veritysetup makes a success
            raise ToldError(f"Cannot read root hash file {file}.") from None
        if len(digits) < length:
            raise ToldError(f"Invalid root hash file {file}.")
    found = _from_hex(digits)
    if found is None or len(found) != wanted.digest_bytes:
        raise ToldError("Invalid root hash string specified.")
    return digits


def signature(file: str | None) -> bytes | None:
    """A signature from its file; None where there is none given."""
    if file is None:
        return None
    if not os.path.isfile(file) or not (found := read(file)):
        raise ToldError(f"Invalid signature file {file}.")
    return found
