# SPDX-License-Identifier: LGPL-2.1-or-later
"""Typed arguments and status of crypt, integrity and verity, on a real kernel."""

import ctypes
import dataclasses
import errno
import hashlib
import mmap
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest

from dmctl.device import Device
from dmctl.table import ConciseDevice, Table, format_concise
from dmctl.targets import Arguments, parse_params, parse_status
from dmctl.targets.crypt import CryptArguments, CryptIntegrity
from dmctl.targets.fields import DEVICE, spec_of
from dmctl.targets.integrity import IntegrityArguments, IntegrityStatus
from dmctl.targets.verity import VerityArguments, VerityStatus
from guests.fixtures import Command
from guests.loop import Disk

MIB = 1 << 20
KEY = "00112233445566778899aabbccddeeff"
MODULES = (
    *("dm-crypt", "dm-integrity", "dm-verity", "aes", "cbc", "ctr", "gcm", "ghash-generic", "seqiv", "sha256_generic"),
    *("sha1", "hmac", "crc32c", "algif_skcipher"),
)
# No udev, which would read from devices whose blocks have no right tag yet: libdevmapper makes the nodes.
ENV = {"DM_DISABLE_UDEV": "1"}
# linux/keyctl.h
ADD_KEY, KEYCTL, USER_KEYRING, KEYCTL_UNLINK = 248, 250, -4, 9

# Which would read blocks that have no right tag yet, and hold what is to be removed.
pytestmark = pytest.mark.usefixtures("no_udev")


@pytest.fixture(scope="module", autouse=True)
def _modules() -> None:
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=False)


class Mapped:
    """Devices made of typed arguments, for the length of a `with`. All at once, for a dmsetup process costs time."""

    def __init__(self, dmsetup: Command, prefix: str, made: Sequence[tuple[Arguments, int]], *, read_only: bool):
        self._run, self._read_only = dmsetup, read_only
        self.made = [arguments for arguments, _ in made]
        self._lengths = [length for _, length in made]
        self._names = [f"{prefix}{number}" for number in range(len(made))]
        self.paths = [f"/dev/mapper/{name}" for name in self._names]

    def __enter__(self) -> Self:
        tables = [Table([made.line(0, length)]) for made, length in zip(self.made, self._lengths, strict=True)]
        flags = self._read_only
        devices = [ConciseDevice(name, "", None, flags, table) for name, table in zip(self._names, tables, strict=True)]
        self._dmsetup("create", "--concise", format_concise(devices))
        return self

    def __exit__(self, *error: object) -> None:
        self._dmsetup("remove", *self._names)

    def _dmsetup(self, *args: str) -> str:
        done = self._run(*args, env=ENV)
        assert done.status == 0, f"{args}: {done}"
        return done.text

    def on_all(self, command: str, *options: str) -> list[str]:
        """The parameters in what a command prints for each device, "" where it prints nothing."""
        lines = self._dmsetup(command, *options, *self._names).splitlines()
        return [Table.parse(line.split(": ")[-1])[0].params for line in lines]

    def statuses(self) -> list[Any]:
        return [parse_status(self.made[0].target, text) for text in self.on_all("status")]

    def check_tables(self, *rounded: str) -> list[Any]:
        """The kernel's tables are read, written and taken again, have what the arguments say, but for what the kernel
        rounds, and their secret words are those that dmsetup hides."""
        texts = self.on_all("table", "--showkeys")
        again = [parse_params(self.made[0].target, text) for text in texts]
        for name, arguments, length in zip(self._names, again, self._lengths, strict=True):
            Device(name).load([arguments.line(0, length)], read_only=self._read_only)
        self._dmsetup("resume", *self._names)
        assert [arguments.to_params() for arguments in again] == texts == self.on_all("table", "--showkeys")
        notes = [type(arguments).explain_params(text) for arguments, text in zip(again, texts, strict=True)]
        shown = [" ".join(note.shown for note in words) for words in notes]
        # dmsetup hides the dash that means no key, too.
        assert [text.replace("cipher_null-ecb -", "cipher_null-ecb 0") for text in shown] == self.on_all("table")
        for made, found in zip(self.made, again, strict=True):
            for field in dataclasses.fields(made):
                told, spec = getattr(made, field.name), spec_of(field)
                if spec and spec.kind != DEVICE and told != field.default and field.name not in rounded:
                    assert getattr(found, field.name) == told, field.name
        return again


@pytest.fixture
def mapped(dmsetup: Command, prefix: str) -> Callable[..., Mapped]:
    """mapped((arguments, length_sectors), ..., read_only=False)."""
    return lambda *made, read_only=False: Mapped(dmsetup, prefix, made, read_only=read_only)


def read_direct(path: str, sector: int, sectors: int) -> bytes:
    """Past the page cache, which would read more, and again. Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, sectors * 512) as buffer:
            assert os.preadv(file, [buffer], sector * 512) == len(buffer)
            return buffer[:]
    finally:
        os.close(file)


def write_direct(path: str, sector: int, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            assert os.pwritev(file, [buffer], sector * 512) == len(data)
    finally:
        os.close(file)


def decrypt_aes_cbc(data: bytes, iv: int) -> bytes:
    """What the kernel's AES makes of it, without dm-crypt."""
    with socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET) as algorithm:
        algorithm.bind(("skcipher", "cbc(aes)"))
        algorithm.setsockopt(socket.SOL_ALG, socket.ALG_SET_KEY, bytes.fromhex(KEY))
        operation, _ = algorithm.accept()
        with operation:
            operation.sendmsg_afalg([data], op=socket.ALG_OP_DECRYPT, iv=iv.to_bytes(16, "little"))
            return operation.recv(len(data))


@contextmanager
def logon_key(description: str, payload: bytes) -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    serial = libc.syscall(ADD_KEY, b"logon", description.encode(), payload, len(payload), USER_KEYRING)
    assert serial > 0, os.strerror(ctypes.get_errno())
    yield
    assert libc.syscall(KEYCTL, KEYCTL_UNLINK, serial, USER_KEYRING) == 0


CRYPT = [
    {},
    {"iv_offset_sectors": 24, "offset_sectors": 64},
    {"sector_size_bytes": 4096, "allow_discards": True, "same_cpu_crypt": True, "submit_from_crypt_cpus": True},
    {"sector_size_bytes": 4096, "iv_large_sectors": True, "iv_offset_sectors": 8, "offset_sectors": 128},
    {"sector_size_bytes": 1024, "no_read_workqueue": True, "no_write_workqueue": True},
]


def test_crypt(disk: Callable[..., Disk], mapped: Callable[..., Mapped]) -> None:
    under = [disk(MIB) for _ in CRYPT]
    made = [
        CryptArguments(
            **{"cipher": "aes-cbc-plain64", "key": KEY, "iv_offset_sectors": 0, "device": on.path, **options}
        )
        for on, options in zip(under, CRYPT, strict=True)
    ]
    lengths = [one.default_length_sectors({on.path: on.sectors for on in under}.__getitem__) for one in made]
    plain = os.urandom(4096)
    with mapped(*zip(made, lengths, strict=True)) as crypt:
        assert [again.device for again in crypt.check_tables()] == [on.devno for on in under]
        assert [status.state for status in crypt.statuses()] == ["ok"] * len(CRYPT)
        for path, one, on, length in zip(crypt.paths, made, under, lengths, strict=True):
            write_direct(path, 16, plain)
            encrypted = read_direct(on.path, one.offset_sectors + 16, 8)
            piece = one.sector_size_bytes
            found = b""
            for at in range(0, 4096, piece):
                iv = one.iv_offset_sectors + 16 + at // 512
                iv = iv // (piece // 512) if one.iv_large_sectors else iv
                found += decrypt_aes_cbc(encrypted[at : at + piece], iv)
            assert found == plain, one
            queue = f"/sys/dev/block/{device_number(path)}/queue"
            assert (number(f"{queue}/discard_max_bytes") > 0) == one.allow_discards
            assert number(f"{queue}/logical_block_size") == piece
            assert number(f"{queue}/../size") == length


def test_crypt_key_in_a_keyring(disk: Callable[..., Disk], mapped: Callable[..., Mapped], prefix: str) -> None:
    under, null = disk(MIB), disk(MIB)
    reference = CryptArguments("capi:cbc(aes)-plain64", f":16:logon:{prefix}a:b", under.path)
    assert reference.key_reference == (16, "logon", f"{prefix}a:b")
    with (
        logon_key(f"{prefix}a:b", bytes.fromhex(KEY)),
        mapped((reference, 64), (CryptArguments("cipher_null-ecb", "-", null.path), 64)) as crypt,
    ):
        assert crypt.check_tables()[1].key == "-"
        write_direct(crypt.paths[0], 0, bytes(512))
        assert decrypt_aes_cbc(read_direct(under.path, 0, 1), 0) == bytes(512)


def test_crypt_over_integrity(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    under = disk(MIB)
    with Mapped(dmsetup, f"{prefix}tags", [(IntegrityArguments(under.path, 0, "D", 28), 64)], read_only=False) as tags:
        made = CryptArguments("capi:gcm(aes)-random", KEY, tags.paths[0], integrity=CryptIntegrity(28, "aead"))
        with Mapped(dmsetup, prefix, [(made, 64)], read_only=False) as crypt:
            crypt.check_tables()
            write_direct(crypt.paths[0], 0, KEY.encode() * 16)
            assert read_direct(crypt.paths[0], 0, 1) == KEY.encode() * 16


def number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def device_number(path: str) -> str:
    rdev = os.stat(path).st_rdev
    return f"{os.major(rdev)}:{os.minor(rdev)}"


HASH = {"internal_hash": "crc32c"}
HMAC = {"internal_hash": "hmac(sha256)", "internal_hash_key": KEY}
INTEGRITY = [
    ("J", HASH),
    ("J", {"internal_hash": "hmac(sha256)", "internal_hash_key": ""}),
    ("J", {**HMAC, "fix_hmac": True, "fix_padding": True, "journal_mac": "hmac(sha256)", "journal_mac_key": "aBcD"}),
    ("J", {**HASH, "journal_crypt": "ctr(aes)", "journal_crypt_key": KEY, "commit_time_ms": 0, "allow_discards": True}),
    ("J", {**HMAC, "tag_size_bytes": 16, "recalculate": True, "legacy_recalculate": True}),
    ("J", {**HASH, "reset_recalculate": True, "journal_watermark_percent": 25, "interleave_sectors": 1024}),
    ("B", {**HASH, "sectors_per_bit": 1024, "bitmap_flush_interval_ms": 500, "buffer_sectors": 64}),
    ("D", {**HASH, "block_size_bytes": 4096, "offset_sectors": 64}),
    ("D", {"tag_size_bytes": 9, "block_size_bytes": 1024}),
    ("R", HASH),
]
SUPERBLOCK = struct.Struct("<8sBBHIQIBBxxQ")  # struct superblock


def superblock(path: str, sector: int) -> dict[str, Any]:
    names = (
        "magic",
        "version",
        "log2_interleave",
        "tag",
        "sections",
        "provided",
        "flags",
        "log2_block",
        "bit",
        "recalc",
    )
    found = SUPERBLOCK.unpack_from(read_direct(path, sector, 8))
    return dict(zip(names, found, strict=True))


def test_integrity(disk: Callable[..., Disk], mapped: Callable[..., Mapped]) -> None:
    made = [
        IntegrityArguments(**{"device": disk(4 * MIB).path, "offset_sectors": 0, "mode": mode, **options})
        for mode, options in INTEGRITY
    ]
    with mapped(*((one, 8) for one in made)) as integrity:
        again = integrity.check_tables("journal_watermark_percent")
        integrity.on_all("suspend")  # writes the superblocks
        statuses = integrity.statuses()
        integrity.on_all("resume")
        for one, found, status in zip(made, again, statuses, strict=True):
            written = superblock(one.device, one.offset_sectors)
            if one.mode == "R":  # in which nothing is written
                assert not any(written["magic"])
                continue
            assert written["magic"] == b"integrt\0"
            assert written["tag"] == found.tag_size_bytes
            assert 512 << written["log2_block"] == (found.block_size_bytes or 512)
            if one.interleave_sectors:
                assert 1 << written["log2_interleave"] == one.interleave_sectors
            assert bool(written["flags"] & 8) == one.fix_padding
            assert bool(written["flags"] & 16) == one.fix_hmac
            assert bool(written["flags"] & 2) == found.recalculate == (one.recalculate or one.reset_recalculate)
            assert status == IntegrityStatus(
                mismatches=0,
                provided_sectors=written["provided"],
                recalculated_sectors=written["recalc"] if found.recalculate else None,
            )


def test_integrity_mismatches(
    disk: Callable[..., Disk], mapped: Callable[..., Mapped], kernel_log: Callable[[], list[str]]
) -> None:
    data, tags = disk(MIB), disk(MIB)
    made = IntegrityArguments(data.path, 128, "J", meta_device=tags.path, internal_hash="sha256")
    length = made.default_length_sectors({data.path: data.sectors}.__getitem__)
    with mapped((made, length)) as integrity:
        (again,) = integrity.check_tables()
        assert again.devices() == (data.devno, tags.devno) and again.tag_size_bytes == 32
        assert superblock(tags.path, 128)["provided"] == integrity.statuses()[0].provided_sectors == length
        write_direct(integrity.paths[0], 0, KEY.encode() * 1024)
        integrity.on_all("suspend")  # writes back the journal
        integrity.on_all("resume")
        (status,) = integrity.statuses()
        assert status.mismatches == 0 and status.warnings() == ()
        for sector in (3, 40):
            write_direct(data.path, sector, bytes(512))
            with pytest.raises(OSError, match=os.strerror(errno.EILSEQ)):
                read_direct(integrity.paths[0], sector, 1)
        assert read_direct(integrity.paths[0], 4, 36) == KEY.encode() * 576
        assert sum("Checksum failed" in line for line in kernel_log()) == 2
        (status,) = integrity.statuses()
        assert status.mismatches == 2
        assert status.warnings() == ("2 times a tag did not fit its block",)


def hash_tree(blocks: list[bytes], hash_block: int, salt: bytes) -> tuple[bytes, bytes]:
    """The tree over some blocks, with SHA-256 and as of version 1, and its root."""
    tree = b""
    while len(blocks) > 1:
        digests = [hashlib.sha256(salt + block).digest() for block in blocks]
        per = hash_block // 32
        level = [b"".join(digests[at : at + per]).ljust(hash_block, b"\0") for at in range(0, len(digests), per)]
        tree, blocks = b"".join(level) + tree, level
    return tree, hashlib.sha256(salt + blocks[0]).digest()


VERITY = [
    (4096, 4096, "12ab", {}),
    (1024, 512, None, {"on_corruption": "ignore", "ignore_zero_blocks": True}),
    (4096, 1024, "00" * 32, {"on_corruption": "panic", "check_at_most_once": True}),
    (512, 4096, "77", {"on_corruption": "restart", "try_verify_in_tasklet": True}),
]


def test_verity(disk: Callable[..., Disk], mapped: Callable[..., Mapped]) -> None:
    content = os.urandom(128 * 1024)
    made, under = [], []
    for data_block, hash_block, salt, options in VERITY:
        data, hashes = disk(MIB), disk(MIB)
        under.append((data.devno, hashes.devno))
        write_direct(data.path, 0, content)
        blocks = [content[at : at + data_block] for at in range(0, len(content), data_block)]
        tree, root = hash_tree(blocks, hash_block, bytes.fromhex(salt or ""))
        write_direct(hashes.path, 3 * hash_block // 512, tree)
        words = (1, data.path, hashes.path, data_block, hash_block, len(blocks), 3, "sha256", root.hex(), salt)
        made.append(VerityArguments(*words, **options))
    with mapped(*((one, one.default_length_sectors(lambda _: 0)) for one in made), read_only=True) as verity:
        assert [again.devices() for again in verity.check_tables()] == under
        # What the kernel finds right is right: blocks, start, salt and root say what they are meant to say.
        assert all(read_direct(path, 0, len(content) // 512) == content for path in verity.paths)
        assert verity.statuses() == [VerityStatus(validity="V")] * len(made)
        ignoring = [one.on_corruption for one in made].index("ignore")
        write_direct(made[ignoring].data_device, 64, bytes(1024))
        assert read_direct(verity.paths[ignoring], 64, 2) == bytes(1024)
        status = verity.statuses()[ignoring]
        assert status.validity == "C" and status.warnings()
