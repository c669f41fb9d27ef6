# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signatures of root hashes: PKCS #7 SignedData (RFC 2315, RFC 5652) as dm-verity wants it.

Detached, in DER, over the root hash in lower-case hexadecimal without a newline. Ours have neither attributes nor
certificates: the kernel finds the certificate in its keyrings, by issuer and serial number. What the kernel accepts is
in its crypto/asymmetric_keys/pkcs7_parser.c and pkcs7_verify.c.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dmctl.errors import DmctlError, ExitStatus, UsageError
from dmctl.verity import asn1
from dmctl.verity.certificate import DIGESTS, EC, RSA, Certificate, pem_blocks

if TYPE_CHECKING:
    from dmctl.verity.certificate import PrivateKey
    from dmctl.verity.token import TokenKey

MIN_ROOT_BYTES, MAX_ROOT_BYTES = 16, 64

_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_RSA = "1.2.840.113549.1.1.1"
_DIGEST_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_ECDSA_OIDS = {
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_HEX = frozenset("0123456789abcdefABCDEF")
_PEM_LABELS = ("PKCS7", "PKCS #7 SIGNED DATA", "CMS")


class NotASignatureError(DmctlError):
    """Bytes are no detached PKCS #7 signature."""


class SignatureMismatchError(DmctlError):
    """A signature is not one of the root hash by the certificate."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.VERIFICATION


def root_hash(text: str) -> str:
    """A root hash in lower case. UsageError: it is not hexadecimal, or not of 16 to 64 bytes."""
    digits = len(text)
    if not digits or not _HEX.issuperset(text):
        raise UsageError("The root hash is not hexadecimal digits and nothing else.")
    if digits % 2 or not 2 * MIN_ROOT_BYTES <= digits <= 2 * MAX_ROOT_BYTES:
        raise UsageError(
            f"A root hash has {2 * MIN_ROOT_BYTES} to {2 * MAX_ROOT_BYTES} hexadecimal digits, an even number; "
            f"this one has {digits}."
        )
    return text.lower()


def signed_bytes(root: str) -> bytes:
    """What is signed."""
    return root_hash(root).encode("ascii")


@dataclass(frozen=True)
class Signer:
    """One signer of a SignedData. Names are in DER; algorithms are dotted.

    attributes: what was signed instead of the data, as SET OF in DER; None: the data themselves were.
    """

    version: int
    issuer_and_serial: bytes | None
    subject_key_identifier: bytes | None
    digest_oid: str
    attributes: asn1.Element | None
    algorithm_oid: str
    value: bytes

    @classmethod
    def from_element(cls, element: asn1.Element) -> Signer:
        """DerError: it is none."""
        fields = list(element.expect(asn1.SEQUENCE, "signer").children())
        version, identity, digest = _take(fields, 3)
        attributes = fields.pop(0) if fields and fields[0].tag == asn1.CONTEXT_0 else None
        algorithm, value = _take(fields, 2)
        if fields and [field.tag for field in fields] != [asn1.CONTEXT_1]:
            raise asn1.DerError("there is too much in a signer")
        by_key = identity.tag == asn1.CONTEXT_0_PRIMITIVE
        return cls(
            _small_number(version),
            None if by_key else identity.expect(asn1.SEQUENCE, "issuer and serial number").der,
            identity.value if by_key else None,
            _algorithm(digest),
            None if attributes is None else asn1.Element(asn1.SET, attributes.value),
            _algorithm(algorithm),
            value.expect(asn1.OCTET_STRING, "signature value").value,
        )

    @property
    def digest(self) -> str:
        """sha256 and the like. SignatureMismatchError: it is another."""
        for name, dotted in _DIGEST_OIDS.items():
            if dotted == self.digest_oid:
                return name
        raise SignatureMismatchError(
            f"The signature's digest algorithm, {self.digest_oid}, is none of {', '.join(DIGESTS)}."
        )

    def is_by(self, certificate: Certificate) -> bool:
        """Whether it says that it is by this certificate."""
        if self.issuer_and_serial is not None:
            return self.issuer_and_serial == asn1.encode(asn1.SEQUENCE, certificate.issuer_der, certificate.serial_der)
        return self.subject_key_identifier == certificate.subject_key_identifier

    def verify(self, root: str, certificate: Certificate) -> None:
        """SignatureMismatchError: it is not a signature of the root hash by this certificate."""
        digest = self.digest
        expected = _RSA if certificate.key_kind == RSA else _ECDSA_OIDS[digest]
        if self.algorithm_oid != expected:
            raise SignatureMismatchError(
                f"The signature's algorithm is {self.algorithm_oid}; with this certificate and {digest} "
                f"the kernel takes {expected} and no other."
            )
        data = signed_bytes(root)
        if self.attributes is not None:
            self._check_attributes(hashlib.new(digest, data).digest())
            data = self.attributes.der
        if not certificate.has_signed(data, self.value, digest):
            what = "this root hash" if self.attributes is None else "its attributes"
            raise SignatureMismatchError(
                f"The signature is not one of {what} by the key of {certificate.subject or 'the certificate'}: "
                "something else was signed, or with another key."
            )

    def _check_attributes(self, digest: bytes) -> None:
        values: dict[str, asn1.Element] = {}
        try:
            assert self.attributes is not None
            for attribute in self.attributes.children():
                name, held = _take(list(attribute.expect(asn1.SEQUENCE, "attribute").children()), 2)
                oid = asn1.dotted(name.expect(asn1.OID, "attribute's type").value)
                (value,) = held.expect(asn1.SET, "attribute's value").children()
                if oid in values:
                    raise ValueError
                values[oid] = value
        except ValueError:
            raise SignatureMismatchError("The signature's attributes cannot be read, or one is there twice.") from None
        if _CONTENT_TYPE not in values or _MESSAGE_DIGEST not in values:
            raise SignatureMismatchError("The signature's attributes have no content type or no message digest.")
        if values[_CONTENT_TYPE].der != asn1.oid(_DATA):
            raise SignatureMismatchError("The signature's attributes say that something else than data was signed.")
        if values[_MESSAGE_DIGEST].der != asn1.encode(asn1.OCTET_STRING, digest):
            raise SignatureMismatchError("The signature is of something else than this root hash.")


@dataclass(frozen=True)
class SignedData:
    """A detached PKCS #7 signature, in DER whatever it was read from."""

    der: bytes
    version: int
    certificates: int
    signers: tuple[Signer, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> SignedData:
        """From DER or BER. NotASignatureError: it is none, or the data that were signed are in it."""
        try:
            content_type, content = _take(
                list((whole := asn1.parse(data)).expect(asn1.SEQUENCE, "SEQUENCE").children()), 2
            )
            if asn1.dotted(content_type.expect(asn1.OID, "content type").value) != _SIGNED_DATA:
                raise NotASignatureError("This is PKCS #7, but not a signature.")
            (signed,) = content.expect(asn1.CONTEXT_0, "SignedData").children()
            return cls._from_element(whole.der, signed.expect(asn1.SEQUENCE, "SignedData"))
        except asn1.DerError as error:
            raise NotASignatureError(
                f"This is no PKCS #7 signature: {str(error)[0].lower()}{str(error)[1:]}."
            ) from None
        except ValueError:
            raise NotASignatureError("This is no PKCS #7 signature.") from None

    @classmethod
    def _from_element(cls, whole: bytes, signed: asn1.Element) -> SignedData:
        fields = list(signed.children())
        version, digests, inner = _take(fields, 3)
        digest_oids = {_algorithm(one) for one in digests.expect(asn1.SET, "set of digest algorithms").children()}
        inner_type, *content = inner.expect(asn1.SEQUENCE, "content").children()
        if asn1.dotted(inner_type.expect(asn1.OID, "type of the content").value) != _DATA:
            raise NotASignatureError("The signature is of something else than data, which the kernel refuses.")
        if content:
            raise NotASignatureError("The signature has what was signed in it, which the kernel refuses: detach it.")
        certificates = fields.pop(0) if fields and fields[0].tag == asn1.CONTEXT_0 else None
        if fields and fields[0].tag == asn1.CONTEXT_1:
            del fields[0]  # revocations
        (signers,) = fields
        found = tuple(Signer.from_element(one) for one in signers.expect(asn1.SET, "set of signers").children())
        if not found:
            raise NotASignatureError("This is PKCS #7, but nobody has signed.")
        if not digest_oids.issuperset(signer.digest_oid for signer in found):
            raise NotASignatureError("The signature's list of digest algorithms is not that of its signers.")
        count = len(list(certificates.children())) if certificates else 0
        return cls(whole, _small_number(version), count, found)

    @property
    def has_attributes(self) -> bool:
        """Whether a signer has signed attributes instead of the root hash itself."""
        return any(signer.attributes is not None for signer in self.signers)

    def verify(self, root: str, certificate: Certificate) -> Signer:
        """The signer that is the certificate's. SignatureMismatchError: it is no signature of the root hash by it."""
        signers = [signer for signer in self.signers if signer.is_by(certificate)]
        if not signers:
            raise SignatureMismatchError(
                "The signature names another certificate, by issuer and serial number or by key identifier, than "
                f"{certificate.subject or 'this one'} with serial number {certificate.serial}."
            )
        for signer in signers:
            if signer.version != self.version or (signer.version == 1) == (signer.issuer_and_serial is None):
                raise SignatureMismatchError("The versions in the signature do not agree, which the kernel refuses.")
            signer.verify(root, certificate)
        return signers[0]


def build(certificate: Certificate, digest: str, value: bytes, *, with_certificate: bool = False) -> bytes:
    """The signature, in DER, around the value that the certificate's key made with a digest algorithm."""
    null = asn1.encode(asn1.NULL)
    digest_algorithm = asn1.encode(asn1.SEQUENCE, asn1.oid(_DIGEST_OIDS[digest]), null)
    if certificate.key_kind == EC:
        algorithm = asn1.encode(asn1.SEQUENCE, asn1.oid(_ECDSA_OIDS[digest]))
    else:
        algorithm = asn1.encode(asn1.SEQUENCE, asn1.oid(_RSA), null)
    signer = asn1.encode(
        asn1.SEQUENCE,
        asn1.integer(1),
        asn1.encode(asn1.SEQUENCE, certificate.issuer_der, certificate.serial_der),
        digest_algorithm,
        algorithm,
        asn1.encode(asn1.OCTET_STRING, value),
    )
    signed_data = asn1.encode(
        asn1.SEQUENCE,
        asn1.integer(1),
        asn1.encode(asn1.SET, digest_algorithm),
        asn1.encode(asn1.SEQUENCE, asn1.oid(_DATA)),
        asn1.encode(asn1.CONTEXT_0, certificate.der) if with_certificate else b"",
        asn1.encode(asn1.SET, signer),
    )
    return asn1.encode(asn1.SEQUENCE, asn1.oid(_SIGNED_DATA), asn1.encode(asn1.CONTEXT_0, signed_data))


def sign(
    root: str,
    key: PrivateKey | TokenKey,
    certificate: Certificate,
    digest: str = "sha256",
    *,
    with_certificate: bool = False,
) -> bytes:
    """The signature of a root hash, in DER.

    digest: one of DIGESTS. UsageError: it is not. DmctlError: the key is not the certificate's, too small, or cannot be
    used.
    """
    if digest not in DIGESTS:
        raise UsageError(f"Digest algorithm {digest!r} is not one of {', '.join(DIGESTS)}.")
    value = key.sign(signed_bytes(root), digest)
    if not certificate.has_signed(signed_bytes(root), value, digest):
        raise DmctlError("The private key is not that of the certificate.")
    return build(certificate, digest, value, with_certificate=with_certificate)


@dataclass(frozen=True)
class Attached:
    """A signature that was made elsewhere, in DER as the kernel wants it; and sentences on what is odd about it.

    digest: what it was made with; "" where no certificate was there to check it by.
    """

    der: bytes
    digest: str
    warnings: tuple[str, ...]


def attach(
    data: bytes,
    root: str,
    certificate: Certificate | None,
    *,
    with_certificate: bool = False,
    digest: str | None = None,
) -> Attached:
    """Take a signature of a root hash that was made elsewhere.

    data: PKCS #7 in DER, BER or PEM, whose certificates and attributes stay; or the bare value of an RSA (PKCS #1 v1.5)
    or ECDSA signature (two numbers in DER, or one behind the other), for which there must be a certificate.
    digest: what a bare value was made with; found out where it is not said.
    with_certificate: put the certificate in; both for a bare value only.
    NotASignatureError: it is neither. SignatureMismatchError: it is not of this root hash and by this certificate.
    """
    signed = signed_bytes(root)
    if certificate is not None:
        for value in _values(data, certificate):
            for name in (digest,) if digest else DIGESTS:
                if certificate.has_signed(signed, value, name):
                    return Attached(build(certificate, name, value, with_certificate=with_certificate), name, ())
    binary, is_pem = _pkcs7(data)
    if not (is_pem or _seems_pkcs7(binary)):
        if certificate is None:
            raise NotASignatureError("This is no PKCS #7; the bare value of a signature needs the certificate with it.")
        if len(binary) == certificate.key_bytes or _values(binary, certificate):
            raise SignatureMismatchError("This value is none of a signature of this root hash by the certificate.")
        raise NotASignatureError("This is neither PKCS #7 nor the bare value of a signature by the certificate.")
    found = SignedData.from_bytes(binary)
    if with_certificate or digest:
        raise UsageError("This is finished PKCS #7: certificate and digest algorithm are as they are.")
    warnings = []
    used = found.verify(root, certificate).digest if certificate is not None else ""
    if certificate is None:
        warnings.append("Without a certificate nothing tells whether the signature is of this root hash.")
    if found.has_attributes:
        warnings.append("The signature has attributes, which the kernel does not need.")
    if found.certificates:
        warnings.append("The signature has certificates in it, which the kernel does not need.")
    return Attached(found.der, used, tuple(warnings))


def verify(data: bytes, root: str, certificate: Certificate) -> SignedData:
    """Check a signature as it is given to the kernel, in DER.

    NotASignatureError: it is none. SignatureMismatchError: it is not of this root hash and by this certificate.
    """
    if _pkcs7(data)[1]:
        raise NotASignatureError("This is PEM, and the kernel wants DER: `dmctl verity sign --attach` makes it that.")
    found = SignedData.from_bytes(data)
    if found.der != data:
        raise NotASignatureError("This is BER, and the kernel wants DER: `dmctl verity sign --attach` makes it that.")
    found.verify(root, certificate)
    return found


def _values(data: bytes, certificate: Certificate) -> list[bytes]:
    """The bare values of a signature by this kind of key that the bytes could be."""
    if certificate.key_kind == RSA:
        return [data] if len(data) == certificate.key_bytes else []
    if len(data) == 2 * certificate.key_bytes:  # as PKCS #11 has them
        first, second = data[: certificate.key_bytes], data[certificate.key_bytes :]
        numbers = (int.from_bytes(first, "big"), int.from_bytes(second, "big"))
        return [data, asn1.encode(asn1.SEQUENCE, *map(asn1.integer, numbers))]
    try:
        tags = [element.tag for element in asn1.parse(data).expect(asn1.SEQUENCE, "value").children()]
    except asn1.DerError:
        return []
    return [data] if tags == [asn1.INTEGER, asn1.INTEGER] else []


def _pkcs7(data: bytes) -> tuple[bytes, bool]:
    """What a block of PEM holds, and that it is one; or the bytes as they are."""
    blocks = {label: content for label, _text, content in reversed(pem_blocks(data))}
    for label in _PEM_LABELS:
        if label in blocks:
            return blocks[label], True
    if blocks:
        raise NotASignatureError(f"This is PEM of {' and '.join(sorted(blocks))}, not of PKCS7.")
    return data, False


def _seems_pkcs7(data: bytes) -> bool:
    try:
        first = next(iter(asn1.parse(data).expect(asn1.SEQUENCE, "SEQUENCE").children()), None)
    except asn1.DerError:
        return False
    return first is not None and first.tag == asn1.OID


def _take(fields: list[asn1.Element], count: int) -> list[asn1.Element]:
    """The first elements, which leave the list."""
    if len(fields) < count:
        raise asn1.DerError("there is something missing")
    taken = fields[:count]
    del fields[:count]
    return taken


def _small_number(element: asn1.Element) -> int:
    value = element.expect(asn1.INTEGER, "version").value
    if len(value) != 1:
        raise asn1.DerError("there is no version where it should be")
    return value[0]


def _algorithm(element: asn1.Element) -> str:
    """The dotted name of an algorithm; with what it says beside that, it is none of ours."""
    fields = list(element.expect(asn1.SEQUENCE, "algorithm").children())
    (oid,) = _take(fields, 1)
    name = asn1.dotted(oid.expect(asn1.OID, "algorithm").value)
    return name if not fields or fields == [asn1.Element(asn1.NULL, b"")] else f"{name} with parameters"
