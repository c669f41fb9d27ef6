# SPDX-License-Identifier: LGPL-2.1-or-later
"""snapshot, snapshot-origin, snapshot-merge: a device as it once was, and that put back (drivers/md/dm-snap.c).

How the arguments of the exception store are read is in drivers/md/dm-exception-store.c and dm-snap-persistent.c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Status, Usage
from dmctl.targets.words import Words

MAX_CHUNK_SECTORS = (2**31 - 1) // 512

# What the status says instead of numbers: the condition that stands for it.
_CONDITIONS = {
    ("Invalid",): "invalid",
    ("Merge", "failed"): "merge-failed",
    ("Overflow",): "overflow",
    ("Unknown",): "unknown",
}
_VALID = "valid"
_WARNINGS = {
    "invalid": "the snapshot is invalid and its contents are lost",
    "merge-failed": "the merge has stopped after an error",
    "overflow": "the snapshot was full and a write to it failed",
}


@dataclass(frozen=True, slots=True)
class SnapshotArguments(Arguments):
    """ORIGIN COW P|PO|N CHUNK [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "snapshot"
    about: ClassVar[str] = "a device as it once was: chunks that have changed since are on another device"

    origin: str = fields.device("The device that the snapshot is of.")
    cow: str = fields.device("Where the chunks that have changed are kept.")
    persistent: str = fields.word(
        "P: the snapshot outlives a reboot; PO: and its status may be Overflow; N: it is gone after a reboot.",
        choices=("P", "PO", "N"),
        default="P",
    )
    chunk_sectors: int = fields.number(
        "How much is copied at a time; 0 for what the COW device says, and 16K on a new one. N has no default.",
        unit="sectors",
        maximum=MAX_CHUNK_SECTORS,
        default=0,
    )
    discard_zeroes_cow: bool = fields.since("1.16.0", fields.flag("A discard of a whole chunk makes it read as zeros."))
    discard_passdown_origin: bool = fields.since(
        "1.16.0", fields.flag("Discards go to the origin's device too; needs discard_zeroes_cow.")
    )

    @classmethod
    def _read(cls, words: Words) -> Self:
        origin, cow = words.word("origin"), words.word("cow")
        kind = words.word("persistent").upper()
        # The kernel looks at the first letter, and after a P at the second one.
        if kind[0] == "N" or kind[:2] == "PO":
            kind = kind[: 1 if kind[0] == "N" else 2]
        chunk = words.signed("chunk_sectors")
        features = words.group("features") if words.left else None
        found: dict[str, bool] = {}
        while features and features.left:
            feature = features.word("feature").lower()
            if feature not in ("discard_zeroes_cow", "discard_passdown_origin"):
                words.fail(f"feature {feature!r} is not known")
            features.named(feature)
            found[feature] = True
        words.rest("ignored")  # as the kernel does
        return cls(origin, cow, kind, chunk, **found)

    def to_params(self) -> str:
        features = [name for name in ("discard_zeroes_cow", "discard_passdown_origin") if getattr(self, name)]
        words = [self.origin, self.cow, self.persistent, str(self.chunk_sectors)]
        return " ".join(words + ([str(len(features)), *features] if features else []))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.origin)


@dataclass(frozen=True, slots=True)
class SnapshotMergeArguments(SnapshotArguments):
    """ORIGIN COW P|PO CHUNK [#FEATURES FEATURE...]"""

    target: ClassVar[str] = "snapshot-merge"
    about: ClassVar[str] = "a snapshot that is put back into its origin: chunks go there one after the other"

    origin: str = fields.device("The device that the snapshot is merged into.")
    cow: str = fields.device("The snapshot's chunks that have changed.")
    # A snapshot-merge of kind N makes Linux 6.1 jump to address 0 when it is resumed.
    persistent: str = fields.word(
        "The kind of snapshot: P, or PO where its status may be Overflow.", choices=("P", "PO"), default="P"
    )
    # This target has versions of its own.
    discard_zeroes_cow: bool = fields.since("1.5.0", fields.flag("A discard of a whole chunk makes it read as zeros."))
    discard_passdown_origin: bool = fields.since(
        "1.5.0", fields.flag("Discards go to the origin's device too; needs discard_zeroes_cow.")
    )


@dataclass(frozen=True, slots=True)
class SnapshotOriginArguments(Arguments):
    """ORIGIN"""

    target: ClassVar[str] = "snapshot-origin"
    about: ClassVar[str] = "a device that has snapshots: what is overwritten is copied to them first"

    origin: str = fields.device("The device whose old contents go to its snapshots when it is written to.")

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls(words.word("origin"))

    def to_params(self) -> str:
        return self.origin

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return size_sectors(self.origin)


@dataclass(frozen=True, slots=True)
class SnapshotStatus(Status):
    """USED/TOTAL METADATA, or Invalid, Overflow, Merge failed, Unknown."""

    target: ClassVar[str] = "snapshot"

    condition: str | None = fields.word(
        "Whether the snapshot can be used; unknown where its store tells no numbers.",
        choices=(_VALID, *_CONDITIONS.values()),
        default=None,
    )
    used_sectors: int | None = fields.number(
        "What the COW device holds, with its metadata.", unit="sectors", default=None
    )
    total_sectors: int | None = fields.number("The size of the COW device.", unit="sectors", default=None)
    metadata_sectors: int | None = fields.number("How much of it is metadata.", unit="sectors", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        for texts, condition in _CONDITIONS.items():
            if tuple(words.peek(ahead) for ahead in range(len(texts))) == texts:
                for _ in texts:
                    words.word("condition")
                return cls(condition=condition)
        used, total = words.pair(("used_sectors", "total_sectors"))
        return cls(
            condition=_VALID,
            used_sectors=used,
            total_sectors=total,
            metadata_sectors=words.number("metadata_sectors"),
        )

    def usages(self) -> tuple[Usage, ...]:
        if self.used_sectors is None or self.total_sectors is None:
            return ()
        return (Usage("exceptions", self.used_sectors, self.total_sectors, "sectors"),)

    def warnings(self) -> tuple[str, ...]:
        found = Status.warnings(self)
        return (*found, _WARNINGS[self.condition]) if self.condition in _WARNINGS else found


@dataclass(frozen=True, slots=True)
class SnapshotMergeStatus(SnapshotStatus):
    """As of a snapshot; it is merged once nothing but metadata is left."""

    target: ClassVar[str] = "snapshot-merge"

    @property
    def merged(self) -> bool:
        """Whether all of the snapshot is in its origin."""
        return self.used_sectors is not None and self.used_sectors == self.metadata_sectors


@dataclass(frozen=True, slots=True)
class SnapshotOriginStatus(Status):
    """Nothing."""

    target: ClassVar[str] = "snapshot-origin"

    @classmethod
    def _read(cls, words: Words) -> Self:
        return cls()
