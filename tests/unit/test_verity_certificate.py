# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates and private keys in every form that openssl writes them in."""

import traceback

import pytest

from dmctl.errors import DmctlError
from dmctl.verity.certificate import Certificate, CertificateError, PassphraseError, PrivateKey
from dmctl.verity.signature import SignedData, sign
from verity_keys import PASSPHRASE, ROOT, USAGE, Pair, certificate_with, no_passphrase, openssl


@pytest.fixture(scope="module")
def ec(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("ec"), "ec", "P-384")


SKID = "subjectKeyIdentifier"
FORMS = {
    "pkcs8 pem": "pkcs8 -topk8 -nocrypt",
    "pkcs8 der": "pkcs8 -topk8 -nocrypt -outform der",
    "traditional pem": "ec",
    "traditional der": "ec -outform der",
}
ENCRYPTED = {
    "pkcs8 pem": "pkcs8 -topk8 -v2 aes-256-cbc -passout stdin",
    "pkcs8 der": "pkcs8 -topk8 -v2 aes-256-cbc -passout stdin -outform der",
    "traditional pem": "ec -aes256 -passout stdin",
}


@pytest.mark.parametrize("form", FORMS)
def test_key(ec, form):
    data = openssl(*FORMS[form].split(), "-in", ec.key_file)
    key = PrivateKey.from_bytes(data, "k", no_passphrase)
    assert ec.cert.has_signed(b"x", key.sign(b"x", "sha256"), "sha256")


def test_key_among_other_things(ec):
    """As `openssl ecparam -genkey` writes it, and with the certificate in one file."""
    data = openssl("ecparam", "-name", "secp384r1") + ec.cert_file.read_bytes() + ec.key_file.read_bytes()
    key = PrivateKey.from_bytes(data, "k", no_passphrase)
    assert ec.cert.has_signed(b"x", key.sign(b"x", "sha256"), "sha256")
    assert Certificate.from_bytes(data, "c") == ec.cert


@pytest.mark.parametrize("form", ENCRYPTED)
def test_encrypted_key(ec, form):
    data = openssl(*ENCRYPTED[form].split(), "-in", ec.key_file, stdin=PASSPHRASE.encode())
    key = PrivateKey.from_bytes(data, "k", PASSPHRASE.encode)
    assert ec.cert.has_signed(b"x", key.sign(b"x", "sha256"), "sha256")
    for wrong in (b"", b"wrong-passphrase", b"\xff\0"):
        with pytest.raises(PassphraseError, match="passphrase of k is wrong") as raised:
            PrivateKey.from_bytes(data, "k", lambda wrong=wrong: wrong)
        assert "wrong-passphrase" not in "".join(traceback.format_exception(raised.value))


def test_what_is_no_key(ec, tmp_path):
    openssl("genpkey", "-algorithm", "ed25519", "-out", tmp_path / "ed")
    ed25519 = (tmp_path / "ed").read_bytes()
    for data in (b"", b"x", ec.cert_file.read_bytes(), ec.key_file.read_bytes()[:100], ed25519):
        with pytest.raises(CertificateError, match="k") as raised:
            PrivateKey.from_bytes(data, "k", no_passphrase)
        assert raised.value.exit_status == 1


def test_a_key_does_not_print_itself(ec):
    assert repr(ec.key) == "PrivateKey(…)"


def test_key_of_another_certificate(ec, tmp_path):
    with pytest.raises(DmctlError, match="not that of the certificate"):
        sign(ROOT, ec.key, Pair(tmp_path, "other", "P-384").cert)


def test_certificate(ec):
    der = openssl("x509", "-in", ec.cert_file, "-outform", "der")
    cert = Certificate.from_bytes(der, "c")
    assert cert == ec.cert
    assert (cert.key_kind, cert.key_bytes) == ("EC", 48)
    told = openssl("x509", "-in", ec.cert_file, "-noout", "-serial", "-fingerprint", "-sha256", "-ext", SKID).decode()
    serial, fingerprint, _heading, identifier = told.split("\n")[:4]
    assert cert.serial == serial.partition("=")[2].lower().lstrip("0")
    assert cert.fingerprint == fingerprint.partition("=")[2].replace(":", "").lower()
    assert cert.subject_key_identifier == bytes.fromhex(identifier.replace(":", ""))
    assert cert.warnings() == ()


def test_issuer_is_named_as_it_is(tmp_path):
    """Not as it would be written anew: kinds of strings, several values in one part."""
    pair = Pair(tmp_path, "k", "P-256", *USAGE, "-multivalue-rdn", subject="/DC=example+O=Bäcker/C=DE/CN=x")
    signature = SignedData.from_bytes(pair.sign("-nocerts", "-noattr"))
    assert signature.signers[0].is_by(pair.cert)


def test_warnings(ec, tmp_path):
    bare = ("no key usage digitalSignature", "no subject key identifier")
    for days, more in (
        ({}, ()),
        ({"first_day": -20, "last_day": -10}, ("expired on",)),
        ({"first_day": 10, "last_day": 20}, ("valid only from",)),
    ):
        cert = Certificate.from_bytes(certificate_with(ec, tmp_path / "c", **days).read_bytes(), "c")
        found = cert.warnings()
        assert len(found) == len(bare + more)
        assert all(part in text and text.endswith(".") for part, text in zip(bare + more, found, strict=True))
    other_use = Pair(tmp_path, "k", "P-256", "-addext", "keyUsage=keyAgreement").cert
    assert other_use.warnings() == ("The certificate has no key usage digitalSignature.",)


def test_what_is_no_certificate(ec, tmp_path):
    ed25519 = ("req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=x")
    pss = ("req", "-x509", "-newkey", "rsa-pss", "-nodes", "-keyout", tmp_path / "k", "-subj", "/CN=x")
    for data in (openssl(*ed25519), openssl(*pss)):
        with pytest.raises(CertificateError, match="c is neither RSA nor EC"):
            Certificate.from_bytes(data, "c")
    name_that_is_no_text = openssl("x509", "-in", ec.cert_file, "-outform", "der").replace(b"Images", b"\xff\xfeages")
    for data in (name_that_is_no_text, b"", b"x", b"0\0", ec.key_file.read_bytes(), ec.cert_file.read_bytes()[:300]):
        with pytest.raises(CertificateError, match="c is no certificate"):
            Certificate.from_bytes(data, "c")
