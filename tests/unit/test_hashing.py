# SPDX-License-Identifier: LGPL-2.1-or-later
"""Digests of the hashing core against hashlib: every algorithm, salt, block size, and way to compute them."""

import hashlib
import platform
import random
import re
from pathlib import Path

import pytest

from dmctl._hash import lib
from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.verity import hashing
from dmctl.verity.hashing import Algorithm, Hasher

# The kernel's names and hashlib's, with the bytes of a digest.
NAMES = {
    "sha1": ("sha1", 20),
    "sha224": ("sha224", 28),
    "sha256": ("sha256", 32),
    "sha384": ("sha384", 48),
    "sha512": ("sha512", 64),
    "sha3-224": ("sha3_224", 28),
    "sha3-256": ("sha3_256", 32),
    "sha3-384": ("sha3_384", 48),
    "sha3-512": ("sha3_512", 64),
    "blake2b-512": ("blake2b", 64),
    "blake2s-256": ("blake2s", 32),
    "rmd160": ("ripemd160", 20),
    "sm3": ("sm3", 32),
    "md5": ("md5", 16),
}
SHA2_32, SHA2_64 = ("sha224", "sha256"), ("sha384", "sha512")
ALL_PATHS = [(name, path) for name in NAMES for path in hashing.paths(name)]
BLOCK_BYTES = [512 << power for power in range(11)]
RANDOM = random.Random(20)


def reference(name: str, salt: bytes, hash_type: int, data: bytes, block_bytes: int) -> bytes:
    """What hashlib says."""
    salted = hashlib.new(NAMES[name][0], salt if hash_type == 1 else b"")
    digests = []
    for start in range(0, len(data), block_bytes):
        one = salted.copy()
        one.update(data[start : start + block_bytes])
        one.update(b"" if hash_type == 1 else salt)
        digests.append(one.digest())
    return b"".join(digests)


def test_algorithms() -> None:
    assert set(hashing.algorithms()) == set(NAMES)
    for name, (_, digest_bytes) in NAMES.items():
        assert Algorithm.named(name) == Algorithm(name, digest_bytes)


@pytest.mark.parametrize("name", ["", "SHA256", "sha257", "sha256\0", "sha256 ", "shá256", "ripemd160", "blake2b"])
def test_unknown_algorithm(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        Algorithm.named(name)
    assert str(caught.value).startswith(f"Hash algorithm {name!r} is not one of sha256, sha512, sha1, ")
    assert caught.value.exit_status == ExitStatus.USAGE


def test_paths_are_those_of_the_processor() -> None:
    """One that is missing has not computed what OpenSSL computes. Our own are in the order of their speed here."""
    flags = set()
    if platform.machine() == "x86_64":
        flags = set(re.findall(r"^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[0].split())
    avx512 = ("avx512",) if {"avx512f", "avx512bw"} <= flags else ()
    avx2 = ("avx2",) if "avx2" in flags else ()
    for name in NAMES:
        expected: tuple[str, ...] = ("evp",)
        if name in SHA2_32:
            expected = (*avx512, "shani", "evp", *avx2) if "sha_ni" in flags else (*avx512, *avx2, "evp")
        elif name in SHA2_64:
            expected = (*avx512, *avx2, "evp")
        found = hashing.paths(name)
        ours = expected.index("evp")
        assert (sorted(found[:ours]), found[ours:]) == (sorted(expected[:ours]), expected[ours:])
        assert Hasher(name).path == found[0]


@pytest.mark.parametrize(("name", "path"), ALL_PATHS)
def test_every_salt(monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> None:
    monkeypatch.setenv("DMCTL_HASH", path)
    # Some streams of a vector are left over.
    data, salt = RANDOM.randbytes(512 * (2 if path == "evp" else 19)), RANDOM.randbytes(256)
    for salt_bytes in range(257):
        for hash_type in (0, 1):
            hasher = Hasher(name, salt[:salt_bytes], hash_type)
            assert hasher.path == path
            found = hasher.digests(data, 512)
            assert found == reference(name, salt[:salt_bytes], hash_type, data, 512), (salt_bytes, hash_type)


@pytest.mark.parametrize(("name", "path"), ALL_PATHS)
def test_every_block_size(monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> None:
    monkeypatch.setenv("DMCTL_HASH", path)
    data, salt = RANDOM.randbytes(512 * 1024 * 2), RANDOM.randbytes(69)
    for block_bytes in BLOCK_BYTES:
        some = data[: block_bytes * max(2, 19 * 512 // block_bytes)]
        for hash_type in (0, 1):
            found = Hasher(name, salt, hash_type).digests(some, block_bytes)
            assert found == reference(name, salt, hash_type, some, block_bytes), (block_bytes, hash_type)


@pytest.mark.parametrize(("name", "path"), [pair for pair in ALL_PATHS if pair[0] in ("sha256", "sha512")])
def test_every_number_of_blocks(monkeypatch: pytest.MonkeyPatch, name: str, path: str) -> None:
    """With the path forced, and where others may do the blocks that are left over."""
    data = RANDOM.randbytes(512 * 40)
    expected = reference(name, b"salt", 1, data, 512)
    digest_bytes = NAMES[name][1]
    for forced in (path, ""):
        monkeypatch.setenv("DMCTL_HASH", forced)
        hasher = Hasher(name, b"salt")
        for blocks in range(41):
            assert hasher.digests(data[: 512 * blocks], 512) == expected[: digest_bytes * blocks], blocks
    assert hasher.digests(bytearray(data), 512) == hasher.digests(memoryview(data), 512) == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data_bytes", [0, 1, 63, 64, 511, 4096, 4097])
def test_one_block_of_any_length(name: str, data_bytes: int) -> None:
    data = RANDOM.randbytes(data_bytes)
    for hash_type, message in (1, b"salt" + data), (0, data + b"salt"):
        assert hashing.digest(name, b"salt", hash_type, data) == hashlib.new(NAMES[name][0], message).digest()


def test_salt_and_type_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^A salt of 257 bytes is over 256 bytes\.$"):
        Hasher("sha256", bytes(257))
    for hash_type in (-1, 2):
        with pytest.raises(UsageError, match=rf"^Hash type {hash_type} is neither 0 nor 1\.$"):
            Hasher("sha256", b"", hash_type)


@pytest.mark.parametrize(("data_bytes", "block_bytes"), [(512, 0), (512, 256), (512, -512), (768, 768), (513, 512)])
def test_whole_blocks_only(data_bytes: int, block_bytes: int) -> None:
    with pytest.raises(ValueError, match=f"^{data_bytes} bytes are not whole blocks of {block_bytes} bytes$"):
        Hasher("sha256").digests(bytes(data_bytes), block_bytes)


def test_forced_path_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMCTL_HASH", "abacus")
    with pytest.raises(UsageError, match=r"^DMCTL_HASH is 'abacus', but sha1 is computed here by evp\.$"):
        Hasher("sha1")
    monkeypatch.setenv("DMCTL_HASH", "avx512")
    with pytest.raises(DmctlError, match=r"^DMCTL_HASH is 'avx512', but md5 is computed here by evp"):
        hashing.digest("md5", b"", 1, b"")


@pytest.mark.parametrize(
    ("name", "hash_type", "hash_block_bytes", "slot_bytes", "digests"),
    [
        ("sha256", 1, 4096, 32, 128),
        ("sha256", 0, 4096, 32, 128),
        ("sha1", 1, 4096, 32, 128),
        ("sha1", 0, 4096, 20, 128),
        ("sha384", 1, 512, 64, 8),
        ("sha384", 0, 1024, 48, 16),
        ("sha512", 1, 512, 64, 8),
        ("md5", 1, 524288, 16, 32768),
        ("sha512", 1, 32, 64, 0),
    ],
)
def test_layout_of_a_hash_block(
    name: str, hash_type: int, hash_block_bytes: int, slot_bytes: int, digests: int
) -> None:
    algorithm = Algorithm.named(name)
    assert algorithm.slot_bytes(hash_type) == Hasher(name, b"", hash_type).slot_bytes == slot_bytes
    assert algorithm.digests_per_block(hash_block_bytes) == digests


def test_stub_of_the_native_module() -> None:
    """The types that mypy believes in are those that the compiled module has."""
    stub = Path(__file__).parents[2].joinpath("dmctl/_hash.pyi").read_text(encoding="utf-8")
    protocol = stub.partition("class _Lib(Protocol):")[2].partition("\nclass ")[0]
    assert set(re.findall(r"^    (?:def )?(\w+)[:(]", protocol, re.MULTILINE)) == set(dir(lib))
