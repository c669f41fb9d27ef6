# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be done about a change that was interrupted. Only the pool's state on the disk decides.

K is the transaction id on the disk. The slot K is the truth. A slot K + 1 is a change that was begun:

- a thin that it was to delete is gone: creates come first and deletes last, so all was made; it is finished;
- else what it made, known by its id and by K in its details, is deleted again: nobody was told that it is there.

Every step can be interrupted and done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dmctl.errors import DmctlError, ExitStatus
from dmctl.thin.catalogue import CREATE, DELETE, SNAPSHOT, Catalogue, Volume
from dmctl.thin.metadata import Thin


class MismatchError(DmctlError):
    """The transaction id is none that a slot has: another tool has moved it, or the metadata are an older copy."""

    @property
    def exit_status(self) -> int:
        return ExitStatus.VERIFICATION


@dataclass(frozen=True, slots=True)
class Decision:
    """committed: the truth. pending: a change that was begun, None if there is none.

    forward: it is to be finished. delete_ids: thins to delete for that, or else to undo it.
    """

    committed: Catalogue
    pending: Catalogue | None = None
    forward: bool = False
    delete_ids: tuple[int, ...] = ()


def decide(transaction_id: int, slots: Sequence[Catalogue | None], thins: Mapping[int, Thin]) -> Decision:
    """Raises MismatchError where no slot belongs to the transaction id."""
    by_sequence = {slot.sequence: slot for slot in slots if slot}
    committed = by_sequence.get(transaction_id)
    pending = by_sequence.get(transaction_id + 1)
    if committed is None:
        told = " and ".join(map(str, sorted(by_sequence))) or "none"
        message = f"The pool's transaction id is {transaction_id}, and the catalogue's are {told}."
        raise MismatchError(f"{message} Another tool has changed the pool, or its metadata were restored.")
    if pending is None:
        return Decision(committed)
    deletes = [one.thin_id for one in pending.operations if one.kind == DELETE]
    if any(thin_id not in thins for thin_id in deletes):
        return Decision(committed, pending, True, tuple(thin_id for thin_id in deletes if thin_id in thins))
    return Decision(committed, pending, False, made_by(pending, transaction_id, thins))


def made_by(pending: Catalogue, transaction_id: int, thins: Mapping[int, Thin]) -> tuple[int, ...]:
    """The thins that there are of a change which was begun at this transaction id."""
    made = [one.thin_id for one in pending.operations if one.kind in (CREATE, SNAPSHOT)]
    return tuple(one for one in made if one in thins and thins[one].transaction_id == transaction_id)


@dataclass(frozen=True, slots=True)
class Matched:
    """How rows and thins go together. lost: rows without their thin. orphans: thins without a row."""

    kept: tuple[Volume, ...]
    lost: tuple[Volume, ...]
    orphans: tuple[Thin, ...]


def match(rows: Iterable[Volume], thins: Mapping[int, Thin], catalogue_id: int) -> Matched:
    """By id and the transaction id of the making: an id that another tool has used again is another thin."""
    kept: list[Volume] = []
    lost: list[Volume] = []
    for volume in rows:
        thin = thins.get(volume.thin_id)
        (kept if thin and thin.transaction_id == volume.created else lost).append(volume)
    known = {volume.thin_id for volume in kept} | {catalogue_id}
    return Matched(tuple(kept), tuple(lost), tuple(thin for thin_id, thin in thins.items() if thin_id not in known))
