# SPDX-License-Identifier: LGPL-2.1-or-later
"""X.509 certificates and private keys, as far as a root hash's signature needs them.

`cryptography` is imported only where something is done with one: it takes 60 ms.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from dmctl.errors import DmctlError
from dmctl.verity import asn1

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    Extension = TypeVar("Extension", bound=x509.ExtensionType)
    PublicKey = RSAPublicKey | EllipticCurvePublicKey
    NativeKey = RSAPrivateKey | EllipticCurvePrivateKey

RSA, EC = "RSA", "EC"
DIGESTS = ("sha256", "sha384", "sha512")

_RSA_PSS = "1.2.840.113549.1.1.10"
_WRONG_KEY = "The key of {} is neither RSA nor EC; the kernel checks no other signatures."
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9# ]+)-----\s(.*?)-----END \1-----", re.DOTALL)


class CertificateError(DmctlError):
    """A certificate or a key cannot be read, or is of a kind that the kernel cannot check signatures with."""


class PassphraseError(CertificateError):
    """A private key is encrypted, and the passphrase for it is wrong."""


def pem_blocks(data: bytes) -> list[tuple[str, bytes, bytes]]:
    """The label, the whole text and the content of each block of PEM; of an odd block the content is empty."""
    found = []
    for match in _PEM.finditer(data):
        try:
            content = base64.b64decode(b"".join(match[2].split()), validate=True)
        except binascii.Error:
            content = b""
        found.append((match[1].decode("ascii"), match[0] + b"\n", content))
    return found


@dataclass(frozen=True)
class Certificate:
    """A certificate: its DER, and the DER of issuer and serial number, by which a signature names it."""

    der: bytes
    issuer_der: bytes
    serial_der: bytes

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Certificate:
        """From PEM (of several certificates the first) or DER. name: for messages.

        CertificateError: it is none, or its key is neither RSA nor EC.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.x509 import InvalidVersion

        blocks = [content for label, _text, content in pem_blocks(data) if label == "CERTIFICATE"]
        binary = blocks[0] if blocks else data
        try:
            to_be_signed, *_ = asn1.parse(binary).children()
            fields = list(to_be_signed.children())
            if fields[0].tag == asn1.CONTEXT_0:  # the version, which those of version 1 have not
                del fields[0]
            serial, _algorithm, issuer = fields[:3]
            found = cls(
                binary,
                issuer.expect(asn1.SEQUENCE, "issuer").der,
                serial.expect(asn1.INTEGER, "serial number").der,
            )
            # cryptography reads these only when they are asked for, and finds then what is wrong with them.
            _ = found.subject, found._x509.not_valid_before_utc, found._x509.not_valid_after_utc
            key = found._x509.public_key()
        except UnsupportedAlgorithm:
            raise CertificateError(_WRONG_KEY.format(name)) from None
        except (ValueError, IndexError, TypeError, InvalidVersion):
            raise CertificateError(f"{name} is no certificate in PEM or DER.") from None
        # An RSA key for PSS only is RSA too, but not for the kernel.
        if found._x509.public_key_algorithm_oid.dotted_string == _RSA_PSS or not isinstance(
            key, RSAPublicKey | EllipticCurvePublicKey
        ):
            raise CertificateError(_WRONG_KEY.format(name))
        return found

    @cached_property
    def _x509(self) -> x509.Certificate:
        from cryptography import x509

        return x509.load_der_x509_certificate(self.der)

    @cached_property
    def _key(self) -> PublicKey:
        key: PublicKey = self._x509.public_key()  # type: ignore[assignment]  # see from_bytes()
        return key

    @property
    def key_kind(self) -> str:
        """RSA or EC."""
        return EC if hasattr(self._key, "curve") else RSA

    @property
    def key_bytes(self) -> int:
        """The length of an RSA signature value, or of one of the two numbers of an ECDSA one."""
        return (self._key.key_size + 7) // 8

    @property
    def subject(self) -> str:
        """The subject's name, as RFC 4514 writes it."""
        return self._x509.subject.rfc4514_string()

    @property
    def serial(self) -> str:
        """The serial number in hexadecimal."""
        return f"{self._x509.serial_number:x}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER in hexadecimal."""
        import hashlib

        return hashlib.sha256(self.der).hexdigest()

    @cached_property
    def subject_key_identifier(self) -> bytes | None:
        """By which a signature can name the certificate too; None: it has none."""
        from cryptography import x509

        found = self._extension(x509.SubjectKeyIdentifier)
        return found.digest if found else None

    def _extension(self, kind: type[Extension]) -> Extension | None:
        """An extension; None where it is not there or cannot be read."""
        from cryptography import x509

        try:
            return self._x509.extensions.get_extension_for_class(kind).value
        except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
            return None

    def warnings(self, now: datetime | None = None) -> tuple[str, ...]:
        """What may keep the kernel, or who keeps its keyrings, from trusting a signature by it: sentences."""
        from cryptography import x509

        now = now or datetime.now(UTC)
        found = []
        usage = self._extension(x509.KeyUsage)
        if not (usage and usage.digital_signature):
            found.append("The certificate has no key usage digitalSignature.")
        if self.subject_key_identifier is None:
            found.append("The certificate has no subject key identifier.")
        if now > self._x509.not_valid_after_utc:
            found.append(f"The certificate expired on {self._x509.not_valid_after_utc:%Y-%m-%d}.")
        if now < self._x509.not_valid_before_utc:
            found.append(f"The certificate is valid only from {self._x509.not_valid_before_utc:%Y-%m-%d} on.")
        return tuple(found)

    def has_signed(self, data: bytes, value: bytes, digest: str) -> bool:
        """Whether this is the value of a signature of the data: RSA as PKCS #1 v1.5, ECDSA as two numbers in DER."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

        try:
            if isinstance(self._key, rsa.RSAPublicKey):
                self._key.verify(value, data, padding.PKCS1v15(), _digest(digest))
            else:
                self._key.verify(value, data, ec.ECDSA(_digest(digest)))
        except (InvalidSignature, ValueError):  # ValueError: the key is too small for the digest
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A private key. What it prints as says nothing of it."""

    _key: NativeKey

    def __repr__(self) -> str:
        return "PrivateKey(…)"

    @classmethod
    def from_bytes(cls, data: bytes, name: str, passphrase: Callable[[], bytes]) -> PrivateKey:
        """From PEM or DER, encrypted or not. passphrase: asked for it only if there is need. name: for messages.

        CertificateError: it is none, or neither RSA nor EC. PassphraseError: the passphrase is wrong.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

        texts = [text for label, text, _content in pem_blocks(data) if label.endswith("PRIVATE KEY")]
        load, encoded = (load_pem_private_key, texts[0]) if texts else (load_der_private_key, data)
        asked = False
        try:
            try:
                key = load(encoded, None)
            except TypeError:  # it is encrypted
                secret, asked = passphrase(), True
                key = load(encoded, secret)
        except UnsupportedAlgorithm:
            raise CertificateError(f"The private key in {name} is of an unknown kind.") from None
        except (ValueError, TypeError):
            if asked:
                raise PassphraseError(f"The passphrase of {name} is wrong, or the key is damaged.") from None
            raise CertificateError(f"{name} is no private key in PEM or DER.") from None
        if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
            raise CertificateError(f"The private key in {name} is neither RSA nor EC.")
        return cls(key)

    def sign(self, data: bytes, digest: str) -> bytes:
        """The value of a signature, as Certificate.has_signed() wants it. CertificateError: the key is too small."""
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

        try:
            if isinstance(self._key, rsa.RSAPrivateKey):
                return self._key.sign(data, padding.PKCS1v15(), _digest(digest))
            return self._key.sign(data, ec.ECDSA(_digest(digest)))
        except ValueError:
            raise CertificateError(f"The key is too small for a signature with {digest}.") from None


def _digest(name: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    found: HashAlgorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    return found
