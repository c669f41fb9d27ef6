# SPDX-License-Identifier: LGPL-2.1-or-later
"""The catalogue's format, what is made of damaged slots, what a batch makes of a catalogue, what recovery decides."""

import hashlib
import random
import struct
import uuid
from dataclasses import replace

import pytest

from dmctl.errors import DmctlError, UsageError
from dmctl.thin.batch import Batch, NoVolumeError
from dmctl.thin.catalogue import (
    CATALOGUE_ID,
    CREATE,
    DELETE,
    RENAME,
    SNAPSHOT,
    Catalogue,
    CatalogueError,
    Operation,
    Settings,
    Volume,
    slot_bytes,
)
from dmctl.thin.metadata import Thin
from dmctl.thin.recovery import MismatchError, decide, match

POOL = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
A = Volume(uuid.uuid4(), "a b\udcff", 1, 4, 2048, None, 0, bytes(range(256)))
B = Volume(uuid.uuid4(), "ü", 7, 5, 4096, A.uuid, 1, b"")
WHOLE = Catalogue(
    POOL,
    12,
    8,
    Settings(99, frozenset({"ignore_discard", "error_if_no_space"})),
    {A.uuid: A, B.uuid: B},
    (Operation(SNAPSHOT, 7, 1), Operation(DELETE, 3)),
)


def sealed(slot):
    """With the digest that belongs to it, whatever it says."""
    slot = bytearray(slot)
    slot[16:48] = bytes(32)
    slot[16:48] = hashlib.sha256(slot).digest()
    return bytes(slot)


def test_format():
    """As it is written down, taken apart by hand."""
    slot = WHOLE.to_bytes()
    assert slot[:12] == b"DMCTLthn" + struct.pack("<I", 1)
    assert slot[48:64] == POOL.bytes_le
    assert struct.unpack_from("<QQQIIIIQ", slot, 64) == (12, 8, 99, 0b1010, 0, 2, 2, len(slot) - 112)
    assert slot == sealed(slot)
    row = struct.pack("<QQIIHH", 4, 2048, 1, 0, 4, 256)
    assert slot[112 : 112 + 60] == A.uuid.bytes_le + bytes(16) + row
    assert slot[172:176] == b"a b\xff" and slot[176 : 176 + 256] == bytes(range(256))
    assert slot[-32:] == struct.pack("<BxxxIIxxxx", 2, 7, 1) + struct.pack("<BxxxIIxxxx", 3, 3, 0)


def test_there_and_back():
    for catalogue in (WHOLE, Catalogue(POOL, 1)):
        assert Catalogue.from_bytes(catalogue.to_bytes()) == catalogue
        assert Catalogue.from_bytes(catalogue.to_bytes() + bytes(4096)) == catalogue
        assert Catalogue.size_of(catalogue.to_bytes()) == len(catalogue.to_bytes())


def test_every_flipped_bit_and_every_cut():
    slot = WHOLE.to_bytes()
    for bit in range(len(slot) * 8):
        flipped = bytearray(slot)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CatalogueError):
            Catalogue.from_bytes(bytes(flipped))
    for length in range(len(slot)):
        with pytest.raises(CatalogueError):
            Catalogue.from_bytes(slot[:length])


def test_hostile_slots():
    """Whose digest is right: an error, and no memory for what they claim."""
    dice, slot = random.Random(1), WHOLE.to_bytes()
    refused = 0
    for _ in range(3000):
        changed = bytearray(slot)
        at = dice.randrange(48, len(slot) - 8)
        size = dice.choice((1, 2, 4, 8))
        changed[at : at + size] = dice.choice((bytes(size), b"\xff" * size, dice.randbytes(size)))
        try:
            Catalogue.from_bytes(sealed(changed))
        except CatalogueError:
            refused += 1
    assert refused > 100
    for at, number in ((96, 2**32 - 1), (100, 2**32 - 1), (104, 2**32 - 1)):
        changed = bytearray(slot)
        struct.pack_into("<I", changed, at, number)
        with pytest.raises(CatalogueError):
            Catalogue.from_bytes(sealed(changed))


def test_a_full_slot_fits():
    volumes = {}
    for number in range(500):
        one = Volume(uuid.uuid4(), f"{number:0100}", number + 1, 1, 1, uuid.uuid4(), 0, bytes(256))
        volumes[one.uuid] = one
    operations = tuple(Operation(CREATE, number) for number in range(500))
    catalogue = Catalogue(POOL, 1, volumes=volumes, operations=operations)
    assert len(catalogue.to_bytes()) <= slot_bytes(500, 65536) < len(catalogue.to_bytes()) + 65536


# ---- batches ----


def batch(*names, taken=()):
    volumes = [Volume(uuid.uuid4(), name, number + 1, 3, 2048) for number, name in enumerate(names)]
    catalogue = Catalogue(POOL, 9, len(names) + 1, volumes={one.uuid: one for one in volumes})
    return Batch(catalogue, {one.thin_id for one in volumes} | set(taken) | {CATALOGUE_ID})


def messages(catalogue):
    return [one.message for one in catalogue.operations if one.message]


def test_deletes_are_last():
    changes = batch("a", "b")
    changes.remove("a")
    changes.create("c", 8)
    changes.snapshot("b", "d")
    changes.remove("b")
    result = changes.result(())
    assert messages(result) == ["create_thin 3", "create_snap 4 2", "delete 1", "delete 2"]
    assert {one.name for one in result.volumes.values()} == {"c", "d"}
    assert (result.sequence, result.next_id) == (10, 5)
    assert {one.created for one in result.volumes.values()} == {9}


def test_ids_of_others_are_passed_over_and_none_is_used_twice():
    changes = batch("a", taken=(2, 3))
    assert changes.create("b", 8).thin_id == 4
    changes.remove("b")
    assert changes.create("b", 8).thin_id == 5
    assert messages(changes.result(())) == ["create_thin 5"]
    last = Batch(Catalogue(POOL, 1, CATALOGUE_ID), ())
    with pytest.raises(DmctlError, match="none is used twice"):
        last.create("x", 8)


def test_an_active_origin_is_used_once():
    changes = batch("a", "b")
    for number in range(3):
        changes.snapshot("a", f"a{number}")
        changes.snapshot("b", f"b{number}")
    snapshots = messages(changes.result({1}))
    of_a, of_b = ["create_snap 3 1", "create_snap 5 3", "create_snap 7 3"], ["create_snap 4 2", "create_snap 6 2"]
    assert sorted(snapshots) == sorted([*of_a, *of_b, "create_snap 8 2"])


def test_a_thin_that_is_gone_is_not_deleted():
    """Or recovery would take it for a delete that has been done."""
    volume = Volume(uuid.uuid4(), "a", 1, 3, 8)
    changes = Batch(Catalogue(POOL, 9, 2, volumes={volume.uuid: volume}), {CATALOGUE_ID})
    changes.remove("a")
    assert not messages(changes.result(()))


def test_names():
    changes = batch("a")
    for name in ("", "a/b", ".a", "x" * 101, "a\nb", "a\0"):
        with pytest.raises(UsageError):
            changes.create(name, 8)
        with pytest.raises(UsageError):
            changes.rename("a", name)
    with pytest.raises(DmctlError, match="already"):
        changes.create("a", 8)
    with pytest.raises(NoVolumeError):
        changes.snapshot("b", "c")
    changes.rename("a", "b")
    assert changes.create("a", 8, b"x" * 256)
    with pytest.raises(UsageError):
        changes.set_blob("a", b"x" * 257)
    assert [one.kind for one in changes.result(()).operations] == [CREATE, RENAME]


def test_what_is_being_removed_is_nobodys():
    changes = batch("a")
    changes.begin_removal("a")
    for use in (
        lambda: changes.snapshot("a", "b"),
        lambda: changes.rename("a", "b"),
        lambda: changes.set_blob("a", b""),
    ):
        with pytest.raises(NoVolumeError, match="being removed"):
            use()
    assert changes.remove("a")


# ---- recovery ----


def thins(**made):
    """Ids as t1=TRANSACTION."""
    return {int(name[1:]): Thin(int(name[1:]), 0, made[name], 0, 0, 1) for name in made}


def slots(sequence, *operations):
    return [Catalogue(POOL, sequence), replace(Catalogue(POOL, sequence + 1), operations=operations)]


@pytest.mark.parametrize(
    ("operations", "there", "forward", "deleted"),
    [
        ((Operation(CREATE, 5),), thins(), False, ()),
        ((Operation(CREATE, 5), Operation(SNAPSHOT, 6, 1)), thins(t5=4, t1=2), False, (5,)),
        ((Operation(SNAPSHOT, 6, 1),), thins(t6=3), False, ()),  # another one's, of another time
        ((Operation(CREATE, 5), Operation(DELETE, 1), Operation(DELETE, 2)), thins(t5=4, t1=2, t2=2), False, (5,)),
        ((Operation(CREATE, 5), Operation(DELETE, 1), Operation(DELETE, 2)), thins(t5=4, t2=2), True, (2,)),
        ((Operation(DELETE, 1),), thins(), True, ()),
        ((), thins(t1=1), False, ()),
    ],
)
def test_decisions(operations, there, forward, deleted):
    decision = decide(4, slots(4, *operations), there)
    assert (decision.forward, decision.delete_ids) == (forward, deleted)
    assert decision.committed.sequence == 4 and decision.pending.sequence == 5


def test_nothing_pending():
    assert decide(5, [Catalogue(POOL, 4), Catalogue(POOL, 5)], {}).pending is None
    assert decide(5, [None, Catalogue(POOL, 5)], {}).committed.sequence == 5


@pytest.mark.parametrize("found", [[None, None], [Catalogue(POOL, 4), None], [Catalogue(POOL, 6), Catalogue(POOL, 7)]])
def test_no_slot_of_that_number(found):
    with pytest.raises(MismatchError, match=" 5,"):
        decide(5, found, {})


def test_rows_and_thins():
    volumes = [Volume(uuid.uuid4(), name, thin_id, created, 8) for name, thin_id, created in (("a", 1, 2), ("b", 2, 2))]
    found = match(volumes, thins(t1=2, t2=9, t3=1) | thins(t16777215=0), CATALOGUE_ID)
    assert [one.name for one in found.kept] == ["a"] and [one.name for one in found.lost] == ["b"]
    assert [one.thin_id for one in found.orphans] == [2, 3]
