# SPDX-License-Identifier: LGPL-2.1-or-later
"""Private keys on PKCS #11 tokens, which sign through openssl(1) and its provider or engine "pkcs11".

By the program: `cryptography` comes with an OpenSSL of its own that has neither, and a token's library that crashes at
its end, as SoftHSM does below OpenSSL 3, must not end dmctl.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO
from urllib.parse import unquote, unquote_to_bytes

from dmctl.errors import DmctlError, UsageError
from dmctl.verity import asn1

SCHEME = "pkcs11:"
PEM_LABEL = "PKCS#11 PROVIDER URI"

# How to ask openssl(1) whether it has one, and how to name a key then. The provider is the one that OpenSSL still has
# from 4.0 on.
_WAYS = (
    (("list", "-providers", "-provider", "pkcs11"), ("-provider", "default", "-provider", "pkcs11")),
    (("engine", "pkcs11"), ("-engine", "pkcs11", "-keyform", "engine")),
)
_TWO_STEPS = "or sign in two steps, with --emit and --attach."


class TokenError(DmctlError):
    """The key on a token cannot be used."""


@dataclass(frozen=True)
class TokenKey:
    """A key on a token. uri: as RFC 7512 has it, but without the PIN."""

    uri: str
    _way: tuple[str, ...]
    _pin: bytes

    def __repr__(self) -> str:
        return f"TokenKey({self.uri!r})"

    @classmethod
    def from_uri(cls, uri: str, ask: Callable[[str], bytes]) -> TokenKey:
        """From a URI, whose pin-value or pin-source is the PIN; where it has neither, ask(uri) is called for it.

        UsageError: the URI is none, or its PIN cannot be had. TokenError: OpenSSL cannot use tokens here.
        """
        plain, said = _without_pin(uri)
        way = _way()
        pin = said() if said else ask(plain)
        if b"\n" in pin or b"\0" in pin:
            raise UsageError(f"The PIN of {plain} has a byte in it that OpenSSL does not take.")
        return cls(plain, way, pin)

    def sign(self, data: bytes, digest: str) -> bytes:
        """The value of a signature, as PrivateKey.sign() gives it. TokenError: there is no such key, or a wrong PIN."""
        # Not standard output, which a crash at the end would leave empty.
        with _memory("pin") as pin, _memory("signature") as out:
            pin.write(self._pin + b"\n")
            pin.seek(0)
            pass_on = pin.fileno(), out.fileno()
            words = ("-sign", self.uri, "-passin", f"fd:{pin.fileno()}", "-out", f"/dev/fd/{out.fileno()}")
            done = _openssl("dgst", f"-{digest}", *self._way, *words, data=data, pass_on=pass_on)
            value = out.read()
        # Not by its exit status, either; and the caller looks whether the value is right.
        if value:
            return value
        told = done.stderr.decode(errors="backslashreplace")
        if "PIN incorrect" in told:
            raise TokenError(f"The PIN of {self.uri} is wrong.")
        lines = [line for line in told.splitlines() if not line.startswith('Engine "')]
        why = f" OpenSSL: {lines[0]}" if lines else ""
        raise TokenError(f"{self.uri} cannot sign: there is no such token or key, or the PIN is wrong.{why}")


def uri_in(content: bytes) -> str:
    """The URI in a block of PEM with the label PEM_LABEL, which the provider writes. UsageError: there is none."""
    try:
        _version, uri = asn1.parse(content).children()
        return uri.value.decode("ascii")
    except ValueError:
        raise UsageError("The PKCS #11 URI in this file cannot be read.") from None


def _way() -> tuple[str, ...]:
    for probe, words in _WAYS:
        if _openssl(*probe).returncode == 0:
            return words
    raise TokenError(
        "OpenSSL has neither the provider nor the engine for PKCS #11: install pkcs11-provider or "
        f"libengine-pkcs11-openssl, as Debian calls them, {_TWO_STEPS}"
    )


def _memory(name: str) -> FileIO:
    """A file that is nowhere, for a child to inherit."""
    return FileIO(os.memfd_create(name), "r+")


def _openssl(*words: str, data: bytes = b"", pass_on: Sequence[int] = ()) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["openssl", *words], input=data, capture_output=True, check=False, pass_fds=pass_on)
    except OSError as error:
        raise TokenError(f"openssl(1), which a token is used by, cannot be run: {error.strerror}.") from None


def _without_pin(uri: str) -> tuple[str, Callable[[], bytes] | None]:
    """The URI without its PIN, which others could see on a command line; and what gets that, if it says one."""
    path, mark, query = uri.removeprefix(SCHEME).partition("?")
    said: Callable[[], bytes] | None = None
    kept: list[list[str]] = []
    # They belong to the query, but libp11 takes them in the path, too.
    for text, separator in ((path, ";"), (query, "&")):
        kept.append([])
        for word in text.split(separator):
            name, _, value = word.partition("=")
            if name == "pin-value":
                said = _value(value)
            elif name == "pin-source":
                said = _source(unquote(value))
            elif word:
                kept[-1].append(word)
    if not kept[0] and not mark:
        raise UsageError(f"{uri} names no key on a token.")
    plain = SCHEME + ";".join(kept[0])
    return plain + ("?" + "&".join(kept[1]) if kept[1] else ""), said


def _value(quoted: str) -> Callable[[], bytes]:
    return lambda: unquote_to_bytes(quoted)


def _source(place: str) -> Callable[[], bytes]:
    file = place.removeprefix("file:")
    file = file.removeprefix("//") if file.startswith("///") else file
    if not file.startswith("/"):
        raise UsageError(f"pin-source={place} is no file by its whole path.")

    def read() -> bytes:
        try:
            with open(file, "rb") as opened:
                return opened.readline(1024).rstrip(b"\r\n")
        except OSError as error:
            raise DmctlError(f"{file} cannot be read: {error.strerror}.", errno=error.errno or 0) from None

    return read
