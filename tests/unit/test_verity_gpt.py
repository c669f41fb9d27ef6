# SPDX-License-Identifier: LGPL-2.1-or-later
"""Partitions of the Discoverable Partitions Specification, as systemd has them."""

import base64
import hashlib
import json
import os
import uuid

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from dmctl.errors import UsageError
from dmctl.verity import gpt
from dmctl.verity.certificate import Certificate
from dmctl.verity.signature import verify

# What systemd-repart 252 (Verity=data, hash, signature) wrote: the partitions' UUIDs, and the signature's partition.
REPART_UUIDS = ("b8a38a09-a93c-e7af-f597-b7a898d923e0", "a57426f0-b6c3-9516-7037-8e11b116d3eb")
REPART_SIGNATURE = (
    '{"rootHash":"b8a38a09a93ce7aff597b7a898d923e0a57426f0b6c3951670378e11b116d3eb","certificateFingerprint":"1f18937'
    '795ec1bb61b9f1f306cc2ce14f4cffe370a7ba8642a4e92bda84affea","signature":"MIICSgYJKoZIhvcNAQcCoIICOzCCAjcCAQExDzAN'
    "BglghkgBZQMEAgEFADALBgkqhkiG9w0BBwGgggF/MIIBezCCASKgAwIBAgIUZkXBsW3WaTSWsz1qnzPBle69ZbowCgYIKoZIzj0EAwIwDDEKMAgG"
    "A1UEAwwBdDAgFw0yNjExMjEyMjI3MzlaGA8yMTI2MTAyODIyMjczOVowDDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLoj"
    "STQwV5OsQPmPIXNKKZ5hxYjqCi/VbPJymDExV8B0IdpBCoPBi7Ecy2CtxzqEEyfpmzltuaxxo61TgOSPK6OjYDBeMB0GA1UdDgQWBBQjV1zVDV9/"
    "k7yRM4ohIktRbbeesjAfBgNVHSMEGDAWgBQjV1zVDV9/k7yRM4ohIktRbbeesjAOBgNVHQ8BAf8EBAMCB4AwDAYDVR0TAQH/BAIwADAKBggqhkjO"
    "PQQDAgNHADBEAiBhjYd93fjU4gecXODcu7pIpZMb3X05Xd6V0fkG8Uyi2AIgGvvMG8vrC0IJ10WV0/7mEsvIQLZWUAVkrMchi4wemPMxgZAwgY0C"
    "AQEwJDAMMQowCAYDVQQDDAF0AhRmRcGxbdZpNJazPWqfM8GV7r1lujANBglghkgBZQMEAgEFADAKBggqhkjOPQQDAgRHMEUCIQDBGM4G81S9hY6A"
    '2CbyN1hc+0FXZcfK26hgnI6rPzNy9wIgbcoiTrjZofCKZDkazKezYj9pPsZZe1MSa+ZQdXUrIBg="}'
)

# SHA-256 of what `systemd-id128 show -u` of systemd 252 prints: a line for each name with its type, sorted.
SYSTEMD_TYPES = "3b0e718c9a449c5ff1c5eca83fbecf675416578f0182fd3773b6277729e89e15"
NOT_IN_SYSTEMD_252 = {"m68k", "sh4", "sparc64"}


def test_types_are_those_of_systemd():
    lines = []
    for name, kinds in gpt.TYPES.items():
        if name not in NOT_IN_SYSTEMD_252:
            for kind, types in kinds.items():
                suffixes = ("", "-verity", "-verity-sig")
                lines += [f"{kind}-{name}{suffix} {one}\n" for suffix, one in zip(suffixes, types, strict=True)]
    assert len(lines) == 21 * 6
    assert hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() == SYSTEMD_TYPES


def test_types_are_sound():
    found = [one for kinds in gpt.TYPES.values() for types in kinds.values() for one in types]
    assert len(found) == len({*found}) == 24 * 6
    for one in found:
        assert str(uuid.UUID(one)) == one
        assert uuid.UUID(one).version == 4  # all were drawn
    assert [*gpt.TYPES] == sorted(gpt.TYPES)
    assert all([*kinds] == ["root", "usr"] for kinds in gpt.TYPES.values())


def test_partitions():
    """The types as the specification has them."""
    root = json.loads(REPART_SIGNATURE)["rootHash"]
    assert gpt.partition_uuids(root) == REPART_UUIDS
    found = gpt.partitions(root, "x86-64")
    assert [one.name for one in found] == [
        *("root", "root-verity", "root-verity-sig", "usr", "usr-verity", "usr-verity-sig")
    ]
    assert [one.uuid for one in found] == [*REPART_UUIDS, None] * 2
    assert [one.type_uuid for one in found] == [
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
        "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
        "41092b05-9fc8-4523-994f-2def0408b176",
        "8484680c-9521-48c6-9c11-b0720656f69e",
        "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
        "e7bb33fb-06cf-4e81-8273-e543b413e2e2",
    ]
    assert gpt.partitions(root.upper(), "AMD64") == found


def test_signature_partition_is_what_repart_writes():
    fields = json.loads(REPART_SIGNATURE)
    signature = base64.b64decode(fields["signature"])
    (inside,) = pkcs7.load_der_pkcs7_certificates(signature)
    cert = Certificate.from_bytes(inside.public_bytes(Encoding.PEM), "c")
    verify(signature, fields["rootHash"], cert)
    made = gpt.signature_partition(fields["rootHash"].upper(), signature, cert.fingerprint)
    assert len(made) == 4096
    assert made.rstrip(b"\0") == REPART_SIGNATURE.encode()


@pytest.mark.parametrize(("length", "whole"), [(0, 4096), (2931, 4096), (2932, 8192), (10000, 16384)])
def test_signature_partition_is_whole_blocks(length, whole):
    """Without a signature the text is 186 bytes long; three bytes take four characters."""
    made = gpt.signature_partition("0" * 64, bytes(length), "0" * 64)
    assert len(made) == whole
    assert len(json.loads(made.rstrip(b"\0"))["signature"]) == -(-length // 3) * 4


def test_signature_partition_that_is_full():
    made = gpt.signature_partition("0" * 66, bytes(2931), "0" * 64)
    assert (len(made), made[-1:]) == (4096, b"}")


def test_long_and_short_root_hashes():
    """Of 512 bits the middle is nowhere; 224 bits do not have room for two UUIDs."""
    assert gpt.partition_uuids("a" * 32 + "b" * 64 + "c" * 32) == (
        "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
        "cccccccc-cccc-cccc-cccc-cccccccccccc",
    )
    with pytest.raises(UsageError, match="224 bits"):
        gpt.partition_uuids("0" * 56)
    with pytest.raises(UsageError, match="hexadecimal"):
        gpt.partition_uuids("x" * 64)


@pytest.mark.parametrize(
    ("machine", "byteorder", "name"),
    [
        ("x86_64", "little", "x86-64"),
        ("i686", "little", "x86"),
        ("aarch64", "little", "arm64"),
        ("armv7l", "little", "arm"),
        ("ppc64le", "little", "ppc64-le"),
        ("riscv64", "little", "riscv64"),
        ("s390x", "big", "s390x"),
        ("mips64", "little", "mips64-le"),
        ("mips", "big", "mips"),
        ("loongarch64", "little", "loongarch64"),
    ],
)
def test_native_architecture(monkeypatch, machine, byteorder, name):
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "h", "6", "v", machine)))
    monkeypatch.setattr("sys.byteorder", byteorder)
    assert gpt.native_architecture() == name


def test_unknown_architecture():
    with pytest.raises(UsageError, match="'vax' is not one of alpha, arc"):
        gpt.architecture("vax")
