# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root hashes signed by keys on a token: SoftHSM below OpenSSL's engine, and a stand-in for the provider."""

import os
import shutil
import subprocess
from base64 import b64encode

import pytest

from dmctl.cli import stream, verity_sign
from dmctl.errors import DmctlError, UsageError
from dmctl.verity.signature import sign
from dmctl.verity.token import PEM_LABEL, TokenError, TokenKey, uri_in
from verity_keys import ROOT, Pair, openssl

PIN = "kleines-geheimnis"
REAL = shutil.which("openssl")


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A token with an RSA and an EC key, each with the name of its kind: their pairs."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\n")
    (folder / "pin").write_text(f"{PIN}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "conf"))
        util("--init-token", "--free", "--label", "dmctl", "--so-pin", PIN)
        pairs = {"rsa": Pair(folder, "rsa", "rsa"), "ec": Pair(folder, "ec", "P-256")}
        for number, (name, pair) in enumerate(pairs.items()):
            key = folder / f"{name}.pkcs8"
            key.write_bytes(openssl("pkcs8", "-topk8", "-nocrypt", "-in", pair.key_file))
            util("--import", str(key), "--token", "dmctl", "--label", name, "--id", f"{number:02}")
        yield pairs


def util(*words):
    subprocess.run(["softhsm2-util", *words, "--pin", PIN], capture_output=True, check=True)


def no_pin(uri):
    raise AssertionError(f"the PIN of {uri} was asked for")


@pytest.mark.parametrize(("kind", "digest"), [("rsa", "sha512"), ("ec", "sha256")])
def test_signed(token, kind, digest, tmp_path):
    """As openssl checks it, which does not ask who holds the key."""
    pair = token[kind]
    key = TokenKey.from_uri(f"pkcs11:token=dmctl;object={kind};type=private", lambda _: PIN.encode())
    signature = tmp_path / "p7s"
    signature.write_bytes(sign(ROOT, key, pair.cert, digest))
    words = ("-verify", "-binary", "-inform", "der", "-in", signature, "-noverify", "-certfile", pair.cert_file)
    assert openssl("smime", *words, "-content", "/dev/stdin", stdin=ROOT.encode()) == ROOT.encode()


def test_pin_in_the_uri(token):
    file = token["ec"].key_file.with_name("pin")
    plain = "pkcs11:token=dmctl;object=ec"
    for uri in (
        f"{plain}?pin-value={PIN.replace('-', '%2d')}",
        f"{plain}?pin-source=file:{file}",
        f"{plain};pin-source={file}",
    ):
        key = TokenKey.from_uri(uri, no_pin)
        assert (key.uri, PIN in repr(key)) == (plain, False)
        assert sign(ROOT, key, token["ec"].cert)


def test_refused(token):
    """And none of it tells the PIN."""
    for uri, kind, message in (
        (
            f"pkcs11:token=dmctl;object=ec?pin-value=not-{PIN}",
            "ec",
            "^The PIN of pkcs11:token=dmctl;object=ec is wrong",
        ),
        (f"pkcs11:token=dmctl;object=none?pin-value={PIN}", "ec", "no such token or key.* OpenSSL: "),
        (f"pkcs11:token=none;object=ec?pin-value={PIN}", "ec", "no such token or key"),
        (f"pkcs11:token=dmctl;object=ec?pin-value={PIN}", "rsa", "private key is not that of the certificate"),
    ):
        with pytest.raises(DmctlError, match=message) as refused:
            sign(ROOT, TokenKey.from_uri(uri, no_pin), token[kind].cert)
        assert PIN not in str(refused.value)


def test_what_is_no_uri():
    for uri in ("pkcs11:", "pkcs11:pin-value=1", "pkcs11:token=a?pin-source=|id", "pkcs11:token=a?pin-value=1%0a2"):
        with pytest.raises(UsageError):
            TokenKey.from_uri(uri, no_pin)
    for content in (b"", b"\0", b"\x30\x03\x0c\x01x", b"\x30\x06\x0c\x01x\x0c\x01\xff"):
        with pytest.raises(UsageError, match="cannot be read"):
            uri_in(content)


def test_nothing_that_reaches_a_token(monkeypatch, tmp_path):
    for name in ("OPENSSL_ENGINES", "OPENSSL_MODULES"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(TokenError, match=r"pkcs11-provider or libengine-pkcs11-openssl.*--emit and --attach"):
        TokenKey.from_uri("pkcs11:token=a", no_pin)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TokenError, match="cannot be run: No such file"):
        TokenKey.from_uri("pkcs11:token=a", no_pin)


def test_provider_that_crashes_at_its_end(tmp_path, monkeypatch):
    """Its key named in PEM, as its tools write it; the PIN is not among the arguments."""
    pair = Pair(tmp_path, "rsa", "rsa")
    expected = pair.sign("-nocerts", "-noattr")
    (tmp_path / "openssl").write_text(f"""#!/bin/bash
test "$1" = list && exit
echo "$@" >>{tmp_path}/log
read -r pin <"/dev/fd/${{10#fd:}}" && test "$pin" = {PIN} || exit 1
{REAL} dgst -sha256 -sign {pair.key_file} -out "${{12}}"
kill -SEGV $$
""")
    (tmp_path / "openssl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "pin").write_text(f"{PIN}\n")
    uri = b"pkcs11:token=t;object=o"
    content = b"\x0c\x19PKCS#11 Provider URI v1.0\x0c" + bytes([len(uri)]) + uri
    content = b"\x30" + bytes([len(content)]) + content
    pem = tmp_path / "pem"
    pem.write_text(f"-----BEGIN {PEM_LABEL}-----\n{b64encode(content).decode()}\n-----END {PEM_LABEL}-----\n")
    out = tmp_path / "p7s"
    verity_sign.sign(
        ROOT, key=str(pem), cert=str(pair.cert_file), output=str(out), passphrase_file=str(tmp_path / "pin")
    )
    stream.flush()
    assert out.read_bytes() == expected
    log = (tmp_path / "log").read_text()
    assert log.startswith("dgst -sha256 -provider default -provider pkcs11 -sign pkcs11:token=t;object=o -passin fd:")
    assert PIN not in log
