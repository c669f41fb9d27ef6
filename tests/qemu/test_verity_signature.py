# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of root hashes before a kernel that checks them: it has the certificates of the guest's keys.

The kernel is the judge: a table is loaded or not, and its log says why. Commands run in this process, for a start takes
seconds in this guest.
"""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from dmctl.cli.main import main
from dmctl.errors import DeviceError
from dmctl.verity import device as verity
from dmctl.verity import signature
from dmctl.verity.make import Choices, make
from guests.kernel_state import DMSETUP
from guests.qemu import KEYS
from keyring import keys_of_this_thread, usable_keys
from verity_keys import Pair, openssl

REQUIRE = Path("/sys/module/dm_verity/parameters/require_signatures")


@pytest.fixture(scope="module", autouse=True)
def _module():
    subprocess.run(["modprobe", "dm-verity"], check=True)


@pytest.fixture(autouse=True)
def _no_key_left():
    yield
    assert keys_of_this_thread() == [] and usable_keys() == []


@pytest.fixture
def files(tmp_path):
    """Data, tree and root hash."""
    data, hashes = str(tmp_path / "data"), str(tmp_path / "hash")
    Path(data).write_bytes(os.urandom(64 * 4096))
    return data, hashes, make(data, hashes, Choices()).root_hash.hex()


class FromHost(Pair):
    """A key pair that was made where that takes less long. The kernel has the certificates of rsa and ec."""

    def __init__(self, kind):
        folder = Path(os.environ[KEYS])
        self.key_file, self.cert_file = folder / f"{kind}.key", folder / f"{kind}.pem"

    def signed_by_dmctl(self, root, digest="sha256"):
        return signature.sign(root, self.key, self.cert, digest)


@pytest.fixture
def opened(files, prefix):
    """opened(signature): open a device with it and close it again; the optional arguments of its table."""
    name = prefix + "v"

    def open_with(signed):
        verity.open_device(name, *files, signature=signed)
        try:
            assert Path("/dev/mapper", name).read_bytes() == Path(files[0]).read_bytes()
            table = subprocess.run([DMSETUP, "table", name], capture_output=True, text=True, check=True).stdout
            assert keys_of_this_thread() == []
            return table.split()[13:]
        finally:
            verity.close_device(name)

    return open_with


@pytest.fixture
def required():
    """For the length of a test the kernel opens nothing without a signature; the module is told when it is loaded."""
    subprocess.run(["modprobe", "-r", "dm-verity"], check=True)
    subprocess.run(["modprobe", "dm-verity", "require_signatures=1"], check=True)
    assert REQUIRE.read_text() == "Y\n"
    yield
    subprocess.run(["modprobe", "-r", "dm-verity"], check=True)
    subprocess.run(["modprobe", "dm-verity"], check=True)


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_accepted(files, opened, digest):
    count, name, description = opened(FromHost("rsa").signed_by_dmctl(files[2], digest))
    assert (count, name) == ("2", "root_hash_sig_key_desc") and description.startswith("dmctl-")


def test_accepted_where_required(files, opened, required):
    assert opened(FromHost("rsa").signed_by_dmctl(files[2]))[0] == "2"


def test_by_an_elliptic_curve(files, opened):
    """openssl makes one too, so that it is the kernel that decides whether it takes such keys."""
    trusted = FromHost("ec")
    words = ("smime", "-sign", "-binary", "-noattr", "-nocerts", "-outform", "der")
    theirs = openssl(*words, "-inkey", trusted.key_file, "-signer", trusted.cert_file, stdin=files[2].encode())
    for made in (theirs, trusted.signed_by_dmctl(files[2])):
        assert opened(made)[0] == "2"


def refusal(opened, signed):
    with pytest.raises(DeviceError, match=r"^The kernel ") as refused:
        opened(signed)
    assert keys_of_this_thread() == []
    return refused.value


def test_of_a_key_that_the_kernel_does_not_have(files, opened):
    refused = refusal(opened, FromHost("other").sign("-noattr", "-nocerts", root=files[2]))
    assert refused.errno == errno.ENOKEY


def test_of_another_root_hash(files, opened):
    other = files[2][:-1] + ("0" if files[2][-1] != "0" else "1")
    refused = refusal(opened, FromHost("rsa").signed_by_dmctl(other))
    assert refused.errno == errno.EKEYREJECTED


def test_by_another_key_under_the_trusted_name(files, opened):
    """What it says of its signer is what the kernel knows; the value is another's."""
    trusted, other = FromHost("rsa"), FromHost("other")
    value = other.value(root=files[2])
    refused = refusal(opened, signature.build(trusted.cert, "sha256", value))
    assert refused.errno == errno.EKEYREJECTED


@pytest.mark.parametrize("signed", [b"none at all", b"\x30\x82\x01\x00" + bytes(256)], ids=["text", "zeros"])
def test_of_garbage(opened, signed):
    assert refusal(opened, signed).errno == errno.EBADMSG


def test_with_the_data_in_it(files, opened):
    trusted = FromHost("rsa")
    words = ("smime", "-sign", "-binary", "-nodetach", "-noattr", "-outform", "der")
    whole = openssl(*words, "-inkey", trusted.key_file, "-signer", trusted.cert_file, stdin=files[2].encode())
    assert refusal(opened, whole).errno == errno.EBADMSG


def test_nothing_without_one_where_required(files, prefix, required, capfd):
    name = prefix + "v"
    with pytest.raises(DeviceError) as refused:
        verity.open_device(name, *files)
    assert refused.value.errno == errno.ENOKEY
    assert "table: 254:0: verity: Root hash verification failed (-ENOKEY)" in refused.value.reason
    assert main(["dmctl", "verity", "open", files[0], name, *files[1:]]) == 1
    assert "dmctl: This kernel opens no verity device without a signature" in capfd.readouterr().err
    assert not Path("/dev/mapper", name).exists()


def test_required_or_not_without_one(opened):
    assert opened(None) == []


def test_as_commands(files, prefix, tmp_path, capfd):
    """In one step, and in two with the key elsewhere, with the file of the root hash."""
    trusted, name = FromHost("rsa"), prefix + "v"
    Path(tmp_path, "root").write_text(files[2])
    root = ["--root-hash-file", str(tmp_path / "root")]

    def run(*words):
        status = main(["dmctl", "verity", *map(str, words)])
        told = capfd.readouterr()
        assert (status, told.err) == (0, ""), told.err
        return told.out

    run("sign", *root, "--key", trusted.key_file, "--cert", trusted.cert_file, "-o", tmp_path / "one")
    run("sign", *root, "--emit", tmp_path / "bytes")
    value = openssl("dgst", "-sha256", "-sign", trusted.key_file, tmp_path / "bytes")
    Path(tmp_path, "value").write_bytes(value)
    run("sign", *root, "--attach", tmp_path / "value", "--cert", trusted.cert_file, "-o", tmp_path / "two")
    for signed in ("one", "two"):
        run("verify-signature", *root, tmp_path / signed, "--cert", trusted.cert_file)
        run("open", files[0], name, files[1], *root, "--root-hash-signature", tmp_path / signed)
        try:
            assert "verified" in run("status", name)
        finally:
            run("close", name)
