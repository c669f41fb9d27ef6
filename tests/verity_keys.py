# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys and certificates by openssl, and what openssl makes with them."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dmctl.verity.certificate import Certificate, PrivateKey

ROOT = "4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076"
OTHER_ROOT = ROOT[:-1] + "7"
PASSPHRASE = "Kaffee-42-streng-geheim"
USAGE = ("-addext", "keyUsage=critical,digitalSignature", "-addext", "basicConstraints=critical,CA:false")


def openssl(*words: str | Path, stdin: bytes = b"", status: int = 0) -> bytes:
    done = subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True, check=False)
    assert done.returncode == status, done.stderr.decode()
    return done.stdout


class Pair:
    """A private key and its certificate: files, and as dmctl reads them."""

    def __init__(self, folder: Path, name: str, kind: str, *options: str, subject: str = "/O=Example/CN=Images"):
        self.key_file, self.cert_file = folder / f"{name}.key", folder / f"{name}.pem"
        algorithm = ("rsa:2048",) if kind == "rsa" else ("ec", "-pkeyopt", f"ec_paramgen_curve:{kind}")
        new = ("req", "-x509", "-nodes", "-days", "36500", "-subj", subject, "-newkey", *algorithm)
        openssl(*new, "-keyout", self.key_file, "-out", self.cert_file, *(options or USAGE))

    @property
    def cert(self) -> Certificate:
        return Certificate.from_bytes(self.cert_file.read_bytes(), str(self.cert_file))

    @property
    def key(self) -> PrivateKey:
        return PrivateKey.from_bytes(self.key_file.read_bytes(), str(self.key_file), no_passphrase)

    def sign(self, *options: str, tool: str = "smime", root: str = ROOT) -> bytes:
        """A signature of a root hash by openssl."""
        words = (tool, "-sign", "-binary", "-outform", "der", "-inkey", self.key_file, "-signer", self.cert_file)
        return openssl(*words, *options, stdin=root.encode())

    def value(self, digest: str = "sha256", root: str = ROOT) -> bytes:
        """The bare value of a signature by openssl, as a token would give it."""
        return openssl("dgst", f"-{digest}", "-sign", self.key_file, stdin=root.encode())


def no_passphrase() -> bytes:
    raise AssertionError("a passphrase was asked for")


def certificate_with(pair: Pair, file: Path, *, first_day: int = -10, last_day: int = 10) -> Path:
    """A certificate of the key without extensions, valid between two days from now, which openssl cannot make past."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    key = load_pem_private_key(pair.key_file.read_bytes(), None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Images")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7)
    builder = builder.not_valid_before(now + timedelta(first_day)).not_valid_after(now + timedelta(last_day))
    file.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return file
