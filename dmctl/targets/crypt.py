# SPDX-License-Identifier: LGPL-2.1-or-later
"""crypt: a device whose sectors are encrypted on another one (drivers/md/dm-crypt.c)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status
from dmctl.targets.words import Words
from dmctl.units import SECTOR_BYTES

U32_MAX = 2**32 - 1
MAX_TAG_BYTES = 480  # MAX_TAG_SIZE there
PROFILES = ("aead", "none")

# In the order of crypt_status(), before those with values.
_FLAGS = (
    "allow_discards",
    "same_cpu_crypt",
    "high_priority",
    "submit_from_crypt_cpus",
    "no_read_workqueue",
    "no_write_workqueue",
)


class KeyReference(NamedTuple):
    """:SIZE:TYPE:DESCRIPTION, a key that the kernel keeps."""

    size_bytes: int
    type: str
    description: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """What a key word refers to, None for a key itself."""
        empty, _, rest = text.partition(":")
        size, _, rest = rest.partition(":")
        kind, _, description = rest.partition(":")
        if empty or not description or not (size.isascii() and size.isdecimal() and len(size) < 10):
            return None
        return cls(int(size), kind, description)


@dataclass(frozen=True, slots=True)
class CryptIntegrity(Item):
    """integrity:BYTES:PROFILE, what is kept for each sector by an integrity device below."""

    tag_bytes: int = fields.number(
        "How many bytes are kept for each sector.", unit="bytes", minimum=1, maximum=MAX_TAG_BYTES
    )
    profile: str = fields.word("aead: a tag is checked. none: only the IV is kept there.", choices=PROFILES)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "BYTES:aead|none". Raises ValueError."""
        size, _, profile = text.partition(":")
        if not (size.isascii() and size.isdecimal() and len(size) < 10):
            raise ValueError(f"{text!r} is not of the form BYTES:aead|none")
        return cls(int(size), profile.lower())

    def to_params(self) -> str:
        return f"{self.tag_bytes}:{self.profile}"


@dataclass(frozen=True, slots=True)
class CryptArguments(Arguments):
    """CIPHER KEY IV_OFFSET DEVICE OFFSET [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "crypt"
    parts: ClassVar[tuple[type[Item], ...]] = (CryptIntegrity,)

    cipher: str = fields.word("The cipher, as in aes-xts-plain64 or capi:gcm(aes)-random.")
    key: str = fields.word(
        "The key in hexadecimal digits, :SIZE:TYPE:DESCRIPTION for one in a keyring of the kernel, or - for none.",
        secret=True,
    )
    device: str = fields.device("The device that holds the encrypted data.")
    iv_offset_sectors: int = fields.number(
        "What is added to a sector's number to make its IV.", unit="sectors", default=0
    )
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)
    allow_discards: bool = fields.since(
        "1.11.0", fields.flag("Discards go down to the device, which then shows what is unused.")
    )
    same_cpu_crypt: bool = fields.since("1.14.0", fields.flag("A request is encrypted on the CPU that it came from."))
    high_priority: bool = fields.since("1.26.0", fields.flag("Encryption is done with high priority."))
    submit_from_crypt_cpus: bool = fields.since(
        "1.14.0", fields.flag("Writes are sent by the thread that has encrypted them, unsorted.")
    )
    no_read_workqueue: bool = fields.since("1.22.0", fields.flag("Reads are decrypted at once, without a work queue."))
    no_write_workqueue: bool = fields.since(
        "1.22.0", fields.flag("Writes are encrypted at once, without a work queue.")
    )
    integrity: CryptIntegrity | None = fields.item(
        "What an integrity device below keeps for each sector.",
        item=CryptIntegrity.parse,
        default=None,
        metavar="BYTES:aead|none",
    )
    integrity_key_size_bytes: int | None = fields.since(
        "1.28.0",
        fields.number(
            "How much of the key is for integrity; by default as much as the digest's size.",
            unit="bytes",
            minimum=1,
            maximum=U32_MAX,
            default=None,
        ),
    )
    sector_size_bytes: int = fields.since(
        "1.17.0",
        fields.number(
            "What is encrypted as one piece; 512 by default.", unit="bytes", minimum=512, maximum=4096, default=512
        ),
    )
    iv_large_sectors: bool = fields.since(
        "1.17.0", fields.flag("For the IV sectors are counted in pieces of the sector size.")
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        cipher, key = words.word("cipher"), words.word("key")
        if _is_secret(key):
            words.hide(len(key))
        iv_offset, device = words.number("iv_offset_sectors"), words.word("device")
        offset = words.number("offset_sectors")
        features = words.group("features") if words.left else None
        found: dict[str, Any] = {}
        number = 0
        while features and features.left:
            number += 1
            name, value = _feature(features, number)
            features.named(name)
            found[name] = value
        words.rest("ignored")  # as the kernel does
        return cls(cipher, key, device, iv_offset, offset, **found)

    def to_params(self) -> str:
        features = [name for name in _FLAGS if getattr(self, name)]
        if self.integrity:
            features.append(f"integrity:{self.integrity.to_params()}")
        if self.sector_size_bytes != SECTOR_BYTES:
            features.append(f"sector_size:{self.sector_size_bytes}")
        if self.iv_large_sectors:
            features.append("iv_large_sectors")
        if self.integrity_key_size_bytes is not None:
            features.append(f"integrity_key_size:{self.integrity_key_size_bytes}")
        words = [self.cipher, self.key, self.iv_offset_sectors, self.device, self.offset_sectors]
        return " ".join(map(str, [*words, len(features), *features] if features else words))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.to_dict().items())})"

    @property
    def key_reference(self) -> KeyReference | None:
        """What the key refers to, None where it is the key itself or none."""
        return KeyReference.parse(self.key)

    def without_secret(self, name: str, value: str) -> str:
        return Arguments.without_secret(self, name, value) if _is_secret(value) else value

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        piece = self.sector_size_bytes // SECTOR_BYTES
        return (size_sectors(self.device) - self.offset_sectors) // piece * piece


def _is_secret(key: str) -> bool:
    return key != "-" and KeyReference.parse(key) is None


def _feature(words: Words, number: int) -> tuple[str, Any]:
    """The next feature, the name of its field and its value. No message quotes it: it may be a misplaced key."""
    text = words.word("feature")
    if text.lower() in (*_FLAGS, "iv_large_sectors"):
        return text.lower(), True
    name, _, value = text.partition(":")
    if name == "sector_size":
        return "sector_size_bytes", words.number_of(name, value, bits=16)
    if name == "integrity_key_size":
        return "integrity_key_size_bytes", words.number_of(name, value, bits=32)
    size, _, profile = value.partition(":")
    if name == "integrity" and profile.lower() in PROFILES:
        return "integrity", CryptIntegrity(words.number_of("the tag size of integrity", size, bits=32), profile.lower())
    words.fail(f"feature {number} is not known")


@dataclass(frozen=True, slots=True)
class CryptStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "crypt"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
