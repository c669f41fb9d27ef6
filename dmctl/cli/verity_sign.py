# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity sign, verify-signature and gpt: what is made from a root hash."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from dmctl.cli import native_options, stream
from dmctl.cli import verity_options as options
from dmctl.errors import DmctlError, UsageError
from dmctl.verity import gpt as partitions
from dmctl.verity import signature as signatures
from dmctl.verity import token as tokens
from dmctl.verity.certificate import DIGESTS, Certificate, PrivateKey, pem_blocks

_STDOUT = "-"


def sign(
    root: Annotated[str | None, typer.Argument(metavar="[ROOT]", help="Root hash in hexadecimal.")] = None,
    *,
    root_hash_file: options.RootFile = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE|URI", help="Private key, RSA or EC: PEM, DER, or PKCS #11 URI.")
    ] = None,
    cert: Annotated[
        str | None, typer.Option("--cert", metavar="FILE", help="The key's certificate, in PEM or DER.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="FILE", help="The signature; - for standard output.")
    ] = None,
    passphrase_file: Annotated[
        str | None,
        typer.Option("--passphrase-file", metavar="FILE", help="File whose first line is the key's passphrase or PIN."),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", metavar="DIGEST", help=f"Digest: {', '.join(DIGESTS)}; the first if not said."),
    ] = None,
    with_cert: Annotated[bool, typer.Option("--with-cert", help="Put the certificate into the signature.")] = False,
    emit: Annotated[
        str | None, typer.Option("--emit", metavar="FILE", help="Write what is to be signed elsewhere; - prints it.")
    ] = None,
    attach: Annotated[
        str | None, typer.Option("--attach", metavar="FILE", help="Take a signature that was made elsewhere.")
    ] = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Sign a root hash for the kernel: PKCS #7, detached, in DER.

    A key that is elsewhere signs in two steps: --emit writes what it has to sign; --attach takes its signature,
    finished PKCS #7 or the bare value, for which --cert is needed.
    """
    hash_text = _root(root, root_hash_file)
    if emit is not None:
        _refuse("--emit", key=key, cert=cert, output=output, attach=attach, passphrase_file=passphrase_file)
        _refuse("--emit", digest=digest, with_cert=with_cert, json=as_json)
        _write(emit, signatures.signed_bytes(hash_text), inputs=[root_hash_file], printable=True)
        return
    if output is None:
        raise UsageError("Where to write the signature is not said: -o FILE.")
    if output == _STDOUT and as_json:
        raise UsageError("-o - and --json cannot both have standard output.")
    if digest is not None and digest not in DIGESTS:
        raise UsageError(f"Digest algorithm {digest!r} is not one of {', '.join(DIGESTS)}.")
    warnings: list[str] = []
    certificate = None if cert is None else _certificate(cert, warnings)
    if attach is not None:
        _refuse("--attach", key=key, passphrase_file=passphrase_file)
        try:
            attached = signatures.attach(
                options.read(attach), hash_text, certificate, with_certificate=with_cert, digest=digest
            )
        except (UsageError, signatures.NotASignatureError, signatures.SignatureMismatchError) as error:
            raise type(error)(f"{attach}: {error}") from None
        made, digest = attached.der, attached.digest
        warnings += attached.warnings
    elif key is None or certificate is None:
        raise UsageError("Signing takes --key and --cert; or --emit, and later --attach, where the key is elsewhere.")
    else:
        digest = digest or DIGESTS[0]
        made = signatures.sign(
            hash_text, _private_key(key, passphrase_file), certificate, digest, with_certificate=with_cert
        )
    _write(output, made, inputs=[root_hash_file, key, cert, passphrase_file])
    _warn(warnings)
    if as_json:
        answer = {"root_hash": hash_text, "signature_file": output, "signature_bytes": len(made)}
        _print_json("verity sign", answer | {"digest": digest or None} | _signer(certificate), warnings)


def verify_signature(
    words: Annotated[
        list[str], typer.Argument(metavar="[ROOT] SIGNATURE", help="Root hash, and file with the signature.")
    ],
    *,
    cert: Annotated[
        str | None, typer.Option("--cert", metavar="FILE", help="Certificate of the signer, in PEM or DER.")
    ] = None,
    root_hash_file: options.RootFile = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Check the signature of a root hash, as the kernel would.

    Whether the kernel trusts the certificate is not asked.

    Exit status: 0 where it fits, 6 where it does not, 1 where there is no signature in the file.
    """
    if len(words) != (1 if root_hash_file is not None else 2):
        raise UsageError("Needed are a root hash, as ROOT or as --root-hash-file FILE, and the file of a signature.")
    if cert is None:
        raise UsageError("Whose signature it should be is not said: --cert FILE.")
    file = words[-1]
    hash_text = _root(words[0] if len(words) > 1 else None, root_hash_file)
    warnings: list[str] = []
    certificate = _certificate(cert, warnings)
    answer: dict[str, Any] = {"root_hash": hash_text, "signature_file": file} | _signer(certificate)
    try:
        found = signatures.verify(options.read(file), hash_text, certificate)
    except signatures.NotASignatureError as error:
        raise signatures.NotASignatureError(f"{file}: {error}") from None
    except signatures.SignatureMismatchError as error:
        _warn(warnings)
        if as_json:
            _print_json("verity verify-signature", answer | {"valid": False, "reason": str(error)}, warnings)
        raise signatures.SignatureMismatchError(f"{file}: {error}") from None
    _warn(warnings)
    if as_json:
        inside = {"attributes": found.has_attributes, "certificates": found.certificates}
        _print_json("verity verify-signature", answer | {"valid": True, "reason": None} | inside, warnings)
    else:
        stream.write(f"{file} is a signature of this root hash by {certificate.subject or certificate.fingerprint}.\n")


def gpt(
    root: Annotated[str | None, typer.Argument(metavar="[ROOT]", help="Root hash in hexadecimal.")] = None,
    *,
    root_hash_file: options.RootFile = None,
    arch: Annotated[
        str | None,
        typer.Option("--arch", metavar="ARCH", help="Architecture, as arm64; else this machine's."),
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--sign", metavar="FILE", help="Signature of the root hash, from dmctl verity sign.")
    ] = None,
    cert: Annotated[
        str | None, typer.Option("--cert", metavar="FILE", help="The signer's certificate, in PEM or DER.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Contents of the signature's partition; - for standard output."
        ),
    ] = None,
    as_json: native_options.AsJson = False,
) -> None:
    """Print type and UUID of the partitions that systemd finds a verity root or /usr by.

    With --sign, --cert and -o, the contents of the signature's partition are written, of 4096 bytes or a multiple.
    """
    hash_text = _root(root, root_hash_file)
    name = partitions.native_architecture() if arch is None else partitions.architecture(arch)
    found = partitions.partitions(hash_text, name)
    if len({signature is None, cert is None, output is None}) > 1:
        raise UsageError("The signature's partition takes all of --sign, --cert and -o.")
    answer: dict[str, Any] = {"root_hash": hash_text, "architecture": name}
    warnings: list[str] = []
    if signature is not None and cert is not None and output is not None:
        if output == _STDOUT and as_json:
            raise UsageError("-o - and --json cannot both have standard output.")
        certificate = _certificate(cert, warnings)
        data = options.read(signature)
        try:
            signatures.verify(data, hash_text, certificate)
        except (signatures.NotASignatureError, signatures.SignatureMismatchError) as error:
            raise type(error)(f"{signature}: {error}") from None
        image = partitions.signature_partition(hash_text, data, certificate.fingerprint)
        _write(output, image, inputs=[root_hash_file, signature, cert])
        answer |= {"signature_partition_file": output, "signature_partition_bytes": len(image)} | _signer(certificate)
    _warn(warnings)
    if as_json:
        rows = [{"name": one.name, "type_uuid": one.type_uuid, "uuid": one.uuid} for one in found]
        _print_json("verity gpt", answer | {"partitions": rows}, warnings)
    elif output != _STDOUT:
        for one in found:  # two UUIDs a line would be wider than a terminal
            stream.write(f"{one.name}:\n  type: {one.type_uuid}\n  uuid: {one.uuid or 'any'}\n")


def _root(word: str | None, file: str | None) -> str:
    if (word is None) == (file is None):
        raise UsageError("Needed is one root hash, as ROOT or as --root-hash-file FILE.")
    if word is None and file is not None:
        try:
            word = options.read(file).decode("ascii").strip()
        except UnicodeDecodeError:
            raise UsageError(f"{file} has no root hash in it.") from None
    return signatures.root_hash(word or "")


def _refuse(option: str, **others: object) -> None:
    for name, value in others.items():
        if value not in (None, False):
            raise UsageError(f"{option} does not go with --{name.replace('_', '-')}.")


def _certificate(file: str, warnings: list[str]) -> Certificate:
    certificate = Certificate.from_bytes(options.read(file), file)
    warnings += certificate.warnings()
    return certificate


def _private_key(file: str, passphrase_file: str | None) -> PrivateKey | tokens.TokenKey:
    uri = file
    if not file.startswith(tokens.SCHEME):
        data = options.read(file)
        uris = [content for label, _text, content in pem_blocks(data) if label == tokens.PEM_LABEL]
        if not uris:
            return PrivateKey.from_bytes(data, file, lambda: _secret(file, "passphrase", passphrase_file))
        uri = tokens.uri_in(uris[0])
    return tokens.TokenKey.from_uri(uri, lambda plain: _secret(plain, "PIN", passphrase_file))


def _secret(key: str, what: str, file: str | None) -> bytes:
    if file is not None:
        return options.read(file).partition(b"\n")[0].removesuffix(b"\r")
    import getpass

    try:
        # getpass() would read standard input instead where there is no terminal, and show what is typed.
        with open("/dev/tty", "rb"):
            pass
        name = os.fsencode(key).decode(errors="backslashreplace")
        return os.fsencode(getpass.getpass(f"{what[0].upper()}{what[1:]} of {name}: "))
    except EOFError:
        raise DmctlError(f"No {what} was given.") from None
    except UnicodeError:
        raise DmctlError(f"The {what} is no text in this locale: --passphrase-file FILE.") from None
    except OSError:
        raise DmctlError(f"{key} has a {what}, and there is no terminal to ask on: --passphrase-file FILE.") from None


def _write(file: str, data: bytes, *, inputs: Iterable[str | None], printable: bool = False) -> None:
    """Write a file as a whole: whatever happens, there is the old one or the new one."""
    if file == _STDOUT:
        if not printable and sys.stdout is not None and sys.stdout.isatty():
            raise UsageError("This is binary, and standard output is a terminal.")
        stream.write(os.fsdecode(data))  # which stream.write() undoes, whatever the bytes are
        return
    try:
        place = os.path.realpath(file)
        if os.path.exists(file):  # of /dev/stdout the real path may be none
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise UsageError(f"{file} is not a regular file, and is left as it is.")
            if any(other is not None and os.path.exists(other) and os.path.samefile(file, other) for other in inputs):
                raise UsageError(f"{file} is read and cannot be written too.")
        _replace(place, data)
    except OSError as error:
        raise DmctlError(f"{file} cannot be written: {error.strerror}.", errno=error.errno or 0) from None
    except ValueError:
        raise UsageError("This is no name of a file.") from None


def _replace(place: str, data: bytes) -> None:
    import tempfile

    folder, name = os.path.split(place)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:100]}.", dir=folder)
    try:
        with open(descriptor, "wb") as opened:
            os.fchmod(opened.fileno(), 0o644)
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        os.rename(temporary, place)
    except BaseException:
        os.unlink(temporary)
        raise
    folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder_descriptor)
    finally:
        os.close(folder_descriptor)


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        stream.error(f"dmctl: warning: {warning}")


def _signer(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {"certificate": None}
    return {
        "certificate": {
            "subject": certificate.subject,
            "serial": certificate.serial,
            "fingerprint_sha256": certificate.fingerprint,
            "key_type": certificate.key_kind.lower(),
        }
    }


def _print_json(command: str, answer: dict[str, Any], warnings: list[str]) -> None:
    stream.write(native_options.as_json(command, {**answer, "warnings": warnings}))
