# SPDX-License-Identifier: LGPL-2.1-or-later
"""verity: a read-only device whose blocks are checked against a tree of hashes (drivers/md/dm-verity-target.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status
from dmctl.targets.words import Words
from dmctl.units import SECTOR_BYTES

INT_MAX = 2**31 - 1
MAX_PAGE_BYTES = 2**16

# Feature of the line: field and its value.
_MODES = {
    "ignore_corruption": ("on_corruption", "ignore"),
    "restart_on_corruption": ("on_corruption", "restart"),
    "panic_on_corruption": ("on_corruption", "panic"),
    "restart_on_error": ("on_error", "restart"),
    "panic_on_error": ("on_error", "panic"),
}
_FLAGS = ("ignore_zero_blocks", "check_at_most_once", "try_verify_in_tasklet")
_NUMBERS = ("fec_blocks", "fec_start", "fec_roots")


@dataclass(frozen=True, slots=True)
class VerityArguments(Arguments):
    """VERSION DATA HASH DATA_BLOCK HASH_BLOCK #BLOCKS HASH_START ALGORITHM ROOT SALT|- [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "verity"

    version: int = fields.number("1, or 0 for the older format of Chromium OS.", maximum=1)
    data_device: str = fields.device("The device that holds the data.")
    hash_device: str = fields.device("The device that holds the hashes; it can be the same one.")
    data_block_bytes: int = fields.number(
        "The block that has a hash.", unit="bytes", minimum=SECTOR_BYTES, maximum=MAX_PAGE_BYTES
    )
    hash_block_bytes: int = fields.number(
        "The block that holds hashes.", unit="bytes", minimum=SECTOR_BYTES, maximum=INT_MAX
    )
    data_blocks: int = fields.number("How many data blocks there are.", option="data-size", unit="blocks")
    hash_start_blocks: int = fields.number("Where the tree begins on its device, in hash blocks.", unit="blocks")
    algorithm: str = fields.word("The hash, as in sha256.")
    root_digest: str = fields.word("The hash of the tree's root in hexadecimal digits.")
    salt: str | None = fields.word(
        "What is hashed with each block, in hexadecimal digits; by default nothing.", default=None
    )
    on_corruption: str | None = fields.since(
        "1.2.0",
        fields.word(
            "What a wrong block does: ignore, a message only; restart the machine; "
            "panic (since target version 1.7.0). By default a read fails.",
            choices=("ignore", "restart", "panic"),
            default=None,
        ),
    )
    on_error: str | None = fields.since(
        "1.10.0",
        fields.word(
            "What a read error below does: restart or panic the machine. By default the read fails.",
            choices=("restart", "panic"),
            default=None,
        ),
        told=False,
    )
    ignore_zero_blocks: bool = fields.since(
        "1.3.0", fields.flag("Blocks whose hash is that of zeros are not read, and are zeros.")
    )
    check_at_most_once: bool = fields.since(
        "1.4.0", fields.flag("A block is checked only when it is read for the first time.")
    )
    try_verify_in_tasklet: bool = fields.since(
        "1.9.0", fields.flag("A block is checked at once where its hashes are in memory.")
    )
    fec_device: str | None = fields.since(
        "1.3.0", fields.device("The device that holds data to correct errors with.", default=None), told=False
    )
    fec_blocks: int | None = fields.since(
        "1.3.0",
        fields.number(
            "How many blocks it covers, hashes too, in data blocks.", option="fec-size", unit="blocks", default=None
        ),
        told=False,
    )
    fec_start_blocks: int | None = fields.since(
        "1.3.0",
        fields.number("Where it begins on its device, in data blocks.", unit="blocks", default=None),
        told=False,
    )
    fec_roots: int | None = fields.since(
        "1.3.0", fields.number("How many of 255 bytes it is.", minimum=2, maximum=24, default=None), told=False
    )
    root_hash_sig_key_desc: str | None = fields.since(
        "1.5.0",
        fields.word(
            "The description of the key, in the caller's keyring, that is a signature of the root digest.", default=None
        ),
        told=False,
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        version, data, hashes = words.number("version", bits=32), words.word("data_device"), words.word("hash_device")
        data_block, hash_block = words.number("data_block_bytes", bits=32), words.number("hash_block_bytes", bits=32)
        data_blocks, hash_start = words.number("data_blocks"), words.number("hash_start_blocks")
        algorithm, root, salt = words.word("algorithm"), words.word("root_digest"), words.word("salt")
        features = words.group("features") if words.left else None
        found: dict[str, Any] = {"salt": None if salt == "-" else salt}
        while features and features.left:
            name, value = _feature(features)
            if name in ("on_corruption", "on_error") and name in found:
                words.fail(f"more than one feature says {name.replace('_', ' ')} what is done")
            found[name] = value
        words.rest("ignored")  # as the kernel does
        return cls(version, data, hashes, data_block, hash_block, data_blocks, hash_start, algorithm, root, **found)

    def to_params(self) -> str:
        features = [word for word, (name, value) in _MODES.items() if getattr(self, name) == value]
        features += [name for name in _FLAGS if getattr(self, name)]
        for word, value in (
            ("use_fec_from_device", self.fec_device),
            ("fec_blocks", self.fec_blocks),
            ("fec_start", self.fec_start_blocks),
            ("fec_roots", self.fec_roots),
            ("root_hash_sig_key_desc", self.root_hash_sig_key_desc),
        ):
            if value is not None:
                features += [word, str(value)]
        words: list[Any] = [self.version, self.data_device, self.hash_device]
        words += [self.data_block_bytes, self.hash_block_bytes, self.data_blocks, self.hash_start_blocks]
        words += [self.algorithm, self.root_digest, "-" if self.salt is None else self.salt]
        return " ".join(map(str, [*words, len(features), *features] if features else words))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return self.data_blocks * (self.data_block_bytes // SECTOR_BYTES)


def _feature(words: Words) -> tuple[str, Any]:
    """The name of the next feature's field, and its value."""
    text = words.word("feature")
    feature = text.lower()
    if feature in _MODES:
        words.named(_MODES[feature][0])
        return _MODES[feature]
    if feature in _FLAGS:
        words.named(feature)
        return feature, True
    if feature in _NUMBERS:
        name = "fec_start_blocks" if feature == "fec_start" else feature
        words.named(name)
        return name, words.number(name, bits=8 if name == "fec_roots" else 64)
    name = {"use_fec_from_device": "fec_device"}.get(feature, feature)
    if name not in ("fec_device", "root_hash_sig_key_desc"):
        words.fail(f"feature {text!r} is not known")
    words.named(name)
    return name, words.word(name)


@dataclass(frozen=True, slots=True)
class VerityStatus(Status):
    """V|C [CORRECTED|-]"""

    target: ClassVar[str] = "verity"

    validity: str | None = fields.word(
        "V: every block checked so far was right. C: a wrong one has been found.", choices=("V", "C"), default=None
    )
    # Since Linux 6.19.
    corrected_blocks: int | None = fields.number(
        "How many blocks were put right with the data for error correction.", unit="blocks", default=None
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        validity = words.word("validity", ("V", "C"))
        told = words.peek() == "-" or words.at_number()
        return cls(validity=validity, corrected_blocks=words.number_or_dash("corrected_blocks") if told else None)

    def warnings(self) -> tuple[str, ...]:
        found = list(Status.warnings(self))
        if self.validity == "C":
            found.append("a block has been found that does not fit its hash")
        if self.corrected_blocks:
            found.append(f"{self.corrected_blocks} blocks were wrong and have been corrected")
        return tuple(found)
