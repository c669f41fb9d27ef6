# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this kernel's dm-verity can do, asked before anything is made; and what its refusals mean."""

from __future__ import annotations

import dataclasses
import errno

from dmctl.device import target_version
from dmctl.errors import DeviceError, DmctlError
from dmctl.targets.fields import spec_of
from dmctl.targets.verity import VerityArguments

# Of what a kernel is built with, or has got without a new version, the target's version does not tell.
_CORRECTION = "error correction (it is built without DM_VERITY_FEC)"
_SIGNATURES = "signatures (it is built without DM_VERITY_VERIFY_ROOTHASH_SIG)"
# What the kernel logs, in dm-verity-target.c: verity_parse_opt_args() of a feature that it does not know; verity_ctr()
# where there are more words than all of its features have, which is so where eight of them are about correction.
_UNKNOWN_FEATURE = "Unrecognized verity feature request: "
_TOO_MANY = "Invalid number of feature args"
_PANIC_SINCE = (1, 7, 0)


def refuse_missing(arguments: VerityArguments) -> None:
    """Raise DmctlError where the kernel's verity target has not what the arguments ask for, by its version.

    The target's module is loaded for that. Of a kernel that does not tell the version, its answer to the table tells.
    """
    asked = {
        _named(arguments, field.name): spec
        for field in dataclasses.fields(arguments)
        if (spec := spec_of(field)) and any(spec.since) and getattr(arguments, field.name) != field.default
    }
    try:
        version = target_version(VerityArguments.target) if asked else ()
    except DeviceError:
        return
    missing = [name for name, spec in asked.items() if not spec.had_by(version)]
    if "panic_on_corruption" in asked and version < _PANIC_SINCE:
        missing.append("panic_on_corruption")
    if missing:
        number = ".".join(map(str, version))
        raise DmctlError(f"This kernel's verity target, version {number}, does not have {', '.join(missing)}.")


def _named(arguments: VerityArguments, field: str) -> str:
    """The feature as a table names it."""
    return f"{getattr(arguments, field)}_{field}" if field in ("on_corruption", "on_error") else field


def explained(error: DeviceError, arguments: VerityArguments) -> DeviceError:
    """What the kernel's refusal of a table means, where that is known; else the same error."""
    signed = arguments.root_hash_sig_key_desc is not None
    meaning = _of_signature(error.errno, signed=signed)
    if error.errno == errno.EINVAL and (missing := _missing(error.reason, arguments)):
        meaning = f"This kernel's dm-verity does not have {' or '.join(missing)}."
    if meaning is None:
        return error
    return DeviceError(meaning, errno=error.errno, verb=error.verb, device=error.device, reason=error.reason)


def _missing(reason: tuple[str, ...], arguments: VerityArguments) -> list[str]:
    """What the kernel does not have, one of these, by what it has logged; nothing where that is something else."""
    correction = [_CORRECTION] if arguments.fec_device else []
    signatures = [_SIGNATURES] if arguments.root_hash_sig_key_desc else []
    if any(_TOO_MANY in line for line in reason):
        return correction + signatures
    names = [line.rpartition(_UNKNOWN_FEATURE)[2] for line in reason if _UNKNOWN_FEATURE in line]
    words = {"use_fec_from_device": correction, "root_hash_sig_key_desc": signatures}
    return [meant for name in names for meant in words.get(name, [name])]


def _of_signature(number: int, *, signed: bool) -> str | None:
    """The meaning of an errno of verity_verify_root_hash() in dm-verity-verify-sig.c."""
    if not signed:
        if number in (errno.ENOKEY, errno.EKEYREJECTED):
            return "This kernel opens no verity device without a signature of its root hash (--root-hash-signature)."
        return None
    return {
        errno.ENOKEY: "The kernel has no trusted certificate of the key that made the signature.",
        errno.EKEYREJECTED: "The kernel rejects the signature: it is not one of this root hash by a key it trusts.",
        errno.EBADMSG: "The kernel cannot read the signature: it is not detached PKCS #7 in DER.",
        errno.ENOPKG: "The kernel does not have the algorithms of the signature.",
    }.get(number)
