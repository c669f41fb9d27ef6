# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of root hashes: made as openssl makes them, byte for byte, and checked as openssl checks them."""

import base64
import functools
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key, pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from dmctl.errors import UsageError
from dmctl.verity import asn1
from dmctl.verity.certificate import DIGESTS, Certificate, CertificateError, PrivateKey
from dmctl.verity.signature import (
    NotASignatureError,
    SignatureMismatchError,
    SignedData,
    attach,
    build,
    root_hash,
    sign,
    signed_bytes,
    verify,
)
from verity_keys import OTHER_ROOT, ROOT, USAGE, Pair, openssl

BARE = ("-nocerts", "-noattr")


@pytest.fixture(scope="module")
def rsa(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("rsa"), "rsa", "rsa", *USAGE, "-set_serial", "0x80c0ffee")


@pytest.fixture(scope="module")
def impostor(tmp_path_factory):
    """Another key, under the same issuer and serial number."""
    return Pair(tmp_path_factory.mktemp("impostor"), "impostor", "rsa", *USAGE, "-set_serial", "0x80c0ffee")


@pytest.fixture(scope="module")
def ec(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("ec"), "ec", "P-256")


@pytest.fixture(scope="module")
def bare(rsa):
    return sign(ROOT, rsa.key, rsa.cert)


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("with_cert", [False, True])
def test_rsa_is_what_openssl_makes(rsa, digest, with_cert):
    ours = sign(ROOT, rsa.key, rsa.cert, digest, with_certificate=with_cert)
    assert ours == rsa.sign("-md", digest, *BARE[with_cert:])
    assert SignedData.from_bytes(ours).certificates == with_cert


def test_rsa_is_what_cryptography_makes(rsa, bare):
    cert = x509.load_pem_x509_certificate(rsa.cert_file.read_bytes())
    key = load_pem_private_key(rsa.key_file.read_bytes(), None)
    builder = pkcs7.PKCS7SignatureBuilder(ROOT.encode()).add_signer(cert, key, hashes.SHA256())
    options = pkcs7.PKCS7Options
    wanted = [options.DetachedSignature, options.NoAttributes, options.Binary, options.NoCerts]
    assert bare == builder.sign(Encoding.DER, wanted)


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
@pytest.mark.parametrize("tool", ["smime", "cms"])
def test_openssl_takes_ours_by_ec(tmp_path, curve, tool):
    pair = Pair(tmp_path, "ec", curve)
    (tmp_path / "root").write_text(ROOT)
    (tmp_path / "der").write_bytes(sign(ROOT, pair.key, pair.cert, "sha384"))
    check = (tool, "-verify", "-binary", "-inform", "der", "-in", tmp_path / "der", "-certfile", pair.cert_file)
    check += ("-noverify", "-content")  # the chain of certificates is not checked
    assert openssl(*check, tmp_path / "root") == ROOT.encode()
    (tmp_path / "root").write_text(OTHER_ROOT)
    openssl(*check, tmp_path / "root", status=4)


@pytest.mark.parametrize("digest", DIGESTS)
def test_what_is_around_an_ec_value_is_what_openssl_makes(ec, digest):
    theirs = ec.sign("-md", digest, *BARE)
    (signer,) = SignedData.from_bytes(theirs).signers
    assert build(ec.cert, digest, signer.value) == theirs


@pytest.mark.parametrize("kind", ["rsa", "ec"])
@pytest.mark.parametrize(
    "options", ["smime", "smime -nocerts -md sha512", "cms -keyid -cades", "cms -nocerts -noattr -keyid -md sha384"]
)
def test_verify_what_openssl_makes(request, rsa, ec, kind, options):
    pair, other = (rsa, ec) if kind == "rsa" else (ec, rsa)
    tool, *options = options.split()
    made = pair.sign(*options, tool=tool)
    found = verify(made, ROOT.upper(), pair.cert)
    assert found.has_attributes == ("-noattr" not in options)
    assert found.certificates == ("-nocerts" not in options)
    with pytest.raises(SignatureMismatchError, match="this root hash"):
        verify(made, OTHER_ROOT, pair.cert)
    with pytest.raises(SignatureMismatchError, match="names another certificate"):
        verify(made, ROOT, other.cert)


@pytest.mark.parametrize("attributes", [True, False])
def test_verify_finds_another_key_under_the_same_name(impostor, rsa, attributes):
    made = rsa.sign(*BARE[: 1 if attributes else 2])
    verify(made, ROOT, rsa.cert)
    with pytest.raises(SignatureMismatchError, match="with another key"):
        verify(made, ROOT, impostor.cert)


def test_verify_finds_changed_attributes(rsa):
    """The digest of the other root hash in the place of the right one: the attributes fit, and their signature not."""
    made = rsa.sign("-nocerts")
    old, new = (hashlib.sha256(root.encode()).digest() for root in (ROOT, OTHER_ROOT))
    assert made.count(old) == 1
    with pytest.raises(SignatureMismatchError, match="its attributes"):
        verify(made.replace(old, new), OTHER_ROOT, rsa.cert)


CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
DATA = asn1.oid("1.2.840.113549.1.7.1")
DIGEST = asn1.encode(asn1.OCTET_STRING, hashlib.sha256(ROOT.encode()).digest())


def with_attributes(pair, bare, *attributes):
    """A signature with these attributes, which openssl would not all write: each a type and values."""
    old = SignedData.from_bytes(bare).signers[0].value
    encoded = [
        asn1.encode(asn1.SEQUENCE, asn1.oid(kind), asn1.encode(asn1.SET, *values)) for kind, *values in attributes
    ]
    value = pair.key.sign(asn1.encode(asn1.SET, *encoded), "sha256")
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    assert bare.count(algorithm) == 1
    signed = bare.replace(algorithm, asn1.encode(asn1.CONTEXT_0, *encoded) + algorithm).replace(old, value)
    return relengthened(signed, bare)


def relengthened(changed, bare):
    """The lengths of the five elements that the attributes are in, from the inside out."""
    grown = len(changed) - len(bare)
    at, lengths = 0, []
    while len(lengths) < 5:
        tag, length = bare[at], int.from_bytes(bare[at + 2 : at + 4], "big")
        if bare[at + 1] == 0x82:  # the others are short, and before the attributes
            lengths.append((at, tag, length))
            at += 4
        else:
            at += 2 + bare[at + 1]
    out = bytearray(changed)
    for place, _tag, length in lengths:
        out[place + 2 : place + 4] = (length + grown).to_bytes(2, "big")
    return bytes(out)


def test_attributes(rsa, bare, tmp_path):
    right = (CONTENT_TYPE, DATA), (MESSAGE_DIGEST, DIGEST)
    made = with_attributes(rsa, bare, *right)
    verify(made, ROOT, rsa.cert)
    (tmp_path / "der").write_bytes(made)
    check = ("-verify", "-binary", "-noverify", "-inform", "der", "-in", tmp_path / "der", "-certfile", rsa.cert_file)
    (tmp_path / "root").write_text(ROOT)
    assert openssl("smime", *check, "-content", tmp_path / "root") == ROOT.encode()
    for attributes, message in (
        (right[:1], "no message digest"),
        (right[1:], "no content type"),
        (((CONTENT_TYPE, asn1.oid("1.2.3")), right[1]), "something else than data"),
        ((right[0], (MESSAGE_DIGEST, asn1.encode(asn1.OCTET_STRING, bytes(32)))), "something else than this root"),
        ((*right, right[1]), "is there twice"),
        ((right[0], (MESSAGE_DIGEST, DIGEST, DIGEST)), "cannot be read"),
        ((right[0], (MESSAGE_DIGEST,)), "cannot be read"),
    ):
        with pytest.raises(SignatureMismatchError, match=message):
            verify(with_attributes(rsa, bare, *attributes), ROOT, rsa.cert)


def test_nobody_has_signed(rsa):
    """What `openssl crl2pkcs7` makes of certificates alone."""
    made = openssl("crl2pkcs7", "-nocrl", "-certfile", rsa.cert_file, "-outform", "der")
    with pytest.raises(NotASignatureError, match="nobody has signed"):
        verify(made, ROOT, rsa.cert)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ("smime -nodetach", NotASignatureError, "detach it"),
        ("smime -md sha1", SignatureMismatchError, "digest algorithm, 1.3.14.3.2.26, is none"),
        ("cms -noattr -keyopt rsa_padding_mode:pss", SignatureMismatchError, "algorithm is 1.2.840.113549.1.1.10"),
        ("cms -noattr -econtent_type 1.2.3", NotASignatureError, "something else than data"),
        ("smime -noattr -outform pem", NotASignatureError, "This is PEM"),
        ("smime -noattr -outform smime", NotASignatureError, "no PKCS #7"),
    ],
)
def test_verify_refuses(rsa, options, error, message):
    tool, *options = options.split()
    made = rsa.sign(*options, tool=tool)
    with pytest.raises(error, match=message) as raised:
        verify(made, ROOT, rsa.cert)
    assert raised.value.exit_status == (6 if error is SignatureMismatchError else 1)


def ber(encoded):
    """The same with lengths in a form of BER: constructed elements go on to an end mark, down to a depth of 4."""

    def loose(element, depth):
        if not element.tag & 0x20 or not depth:
            return element.der
        return bytes((element.tag, 0x80)) + b"".join(loose(one, depth - 1) for one in element.children()) + b"\0\0"

    return loose(asn1.parse(encoded), 4)


def test_ber(rsa, bare):
    loose = ber(bare)
    # openssl reads it as the same.
    assert openssl("cms", "-cmsout", "-inform", "der", "-outform", "der", stdin=loose) != loose
    with pytest.raises(NotASignatureError, match="This is BER"):
        verify(loose, ROOT, rsa.cert)
    assert attach(loose, ROOT, rsa.cert).der == bare
    with pytest.raises(NotASignatureError):
        verify(bare + b"\0", ROOT, rsa.cert)


def test_no_byte_of_a_signature_may_change(rsa, bare):
    assert [at for at in range(len(bare)) if fits(bare, at, 1 << at % 8, rsa.cert)] == []


def fits(signature, at, bit, cert):
    changed = bytearray(signature)
    changed[at] ^= bit
    try:
        verify(bytes(changed), ROOT, cert)
    except (NotASignatureError, SignatureMismatchError):
        return False
    return True


@pytest.mark.parametrize("digest", DIGESTS)
def test_attach_bare_values(rsa, ec, digest):
    """One that a token has made becomes what sign() makes; the digest is found out."""
    made = attach(rsa.value(digest), ROOT, rsa.cert)
    assert (made.der, made.digest, made.warnings) == (sign(ROOT, rsa.key, rsa.cert, digest), digest, ())
    assert attach(rsa.value(digest), ROOT, rsa.cert, with_certificate=True).der == rsa.sign("-noattr", "-md", digest)
    value = ec.value(digest)
    made = attach(value, ROOT, ec.cert)
    verify(made.der, ROOT, ec.cert)
    assert made.digest == digest
    # PKCS #11 has the two numbers one behind the other.
    numbers = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(value))
    assert attach(numbers, ROOT, ec.cert) == made


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_attach_refuses_bare_values(request, rsa, ec, kind):
    pair, other = (rsa, ec) if kind == "rsa" else (ec, rsa)
    value = pair.value()
    with pytest.raises(SignatureMismatchError):
        attach(value, OTHER_ROOT, pair.cert)
    with pytest.raises(SignatureMismatchError):
        attach(value, ROOT, pair.cert, digest="sha512")
    for wrong in (value[:-1], value + b"\n", b"", b"x", base64.b64encode(value)):
        with pytest.raises(NotASignatureError, match="neither"):
            attach(wrong, ROOT, pair.cert)
    with pytest.raises(NotASignatureError, match="neither"):
        attach(value, ROOT, other.cert)
    with pytest.raises(NotASignatureError, match="needs the certificate"):
        attach(value, ROOT, None)


@pytest.mark.parametrize("form", ["pem", "der"])
def test_attach_pkcs7(rsa, ec, bare, form):
    plain = rsa.sign(*BARE, "-outform", form)
    assert attach(plain, ROOT, rsa.cert) == attach(bare, ROOT, rsa.cert)
    assert attach(plain, ROOT, rsa.cert).der == bare
    unchecked = attach(plain, OTHER_ROOT, None)
    assert (unchecked.der, unchecked.digest) == (bare, "")
    assert "nothing tells" in unchecked.warnings[0]
    full = attach(rsa.sign("-outform", form), ROOT, rsa.cert)
    assert SignedData.from_bytes(full.der).has_attributes
    assert [("attributes" in one, "certificates" in one) for one in full.warnings] == [(True, False), (False, True)]
    with pytest.raises(SignatureMismatchError):
        attach(plain, OTHER_ROOT, rsa.cert)
    with pytest.raises(SignatureMismatchError):
        attach(plain, ROOT, ec.cert)
    for options in (("-nodetach",), ("-nodetach", "-noattr")):
        with pytest.raises(NotASignatureError, match="detach it"):
            attach(rsa.sign(*options, "-outform", form), ROOT, rsa.cert)
    for options in ({"with_certificate": True}, {"digest": "sha256"}):
        with pytest.raises(UsageError, match="finished"):
            attach(plain, ROOT, rsa.cert, **options)
    with pytest.raises(NotASignatureError, match="PEM of CERTIFICATE"):
        attach(rsa.cert_file.read_bytes(), ROOT, rsa.cert)


TYPED = (NotASignatureError, SignatureMismatchError, CertificateError, UsageError)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_garbled_input_raises_nothing_else(rsa, ec, data):
    """Cut, changed, lengthened: a sentence about it, or nothing where it does no harm."""
    sources = garbling_sources(rsa, ec)
    garbled = bytearray(data.draw(st.sampled_from(sources)))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(garbled) - 1))
        garbled[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        garbled = garbled or bytearray(b"0")
    given_bytes = bytes(garbled[: data.draw(st.integers(len(garbled) // 2, len(garbled)))])
    for work in (
        lambda: verify(given_bytes, ROOT, ec.cert),
        lambda: attach(given_bytes, ROOT, rsa.cert),
        lambda: attach(given_bytes, ROOT, None),
        lambda: use_certificate(given_bytes),
        lambda: PrivateKey.from_bytes(given_bytes, "k", lambda: b"wrong").sign(b"", "sha256"),
    ):
        try:
            work()
        except TYPED as error:
            assert str(error).endswith(".")


def use_certificate(data):
    cert = Certificate.from_bytes(data, "c")
    return cert.warnings(), cert.subject, cert.serial, cert.fingerprint, cert.key_kind


@functools.cache
def garbling_sources(rsa, ec):
    return [
        *(ec.sign(*options.split()) for options in ("", "-nocerts", "-nocerts -noattr", "-outform pem")),
        ec.value(),
        *(file.read_bytes() for file in (ec.cert_file, ec.key_file)),
        openssl("x509", "-in", rsa.cert_file, "-outform", "der"),
        openssl("pkcs8", "-topk8", "-nocrypt", "-in", ec.key_file, "-outform", "der"),
        b"\x30\x80" * 3000,
        b"\x30\x84\xff\xff\xff\xff",
    ]


@pytest.mark.parametrize("text", [ROOT, ROOT.upper(), "0" * 32, "f" * 128])
def test_root_hash(text):
    assert root_hash(text) == text.lower()
    assert signed_bytes(text) == text.lower().encode()


@pytest.mark.parametrize(
    "text",
    ["", "0" * 30, "0" * 33, "0" * 130, "g" * 64, ROOT + "\n", " " + ROOT, "0x" + ROOT, "٣" * 64, "0" * 63 + "\0"],
)
def test_what_is_no_root_hash(text):
    with pytest.raises(UsageError, match="root hash"):
        root_hash(text)
