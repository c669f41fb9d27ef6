# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bad blocks should hold, from parity: blocks known to be bad, and errors at places that nobody has told."""

import random

import pytest

from dmctl.verity import fec
from dmctl.verity.fec import Area, Layout, Verdict

SIZE = 512


class Image:
    """A message of random blocks in two files, its parity, and what it was before it was damaged."""

    def __init__(self, folder, blocks, roots, size=SIZE):
        self.layout = Layout(blocks, roots, size)
        self.random = random.Random(blocks * 100 + roots)
        self.message = self.random.randbytes(blocks * size)
        split = (blocks * 2 // 3) * size
        (folder / "data").write_bytes(self.message[:split])
        (folder / "tree").write_bytes(bytes(SIZE) + self.message[split:])
        self.split = split
        self.files = [(folder / name).open("r+b", buffering=0) for name in ("data", "tree")]
        self.parity = (folder / "parity").open("w+b", buffering=0)
        lengths = (split, len(self.message) - split)
        starts = (0, SIZE)
        self.areas = [
            Area(file.fileno(), start, length) for file, start, length in zip(self.files, starts, lengths, strict=True)
        ]
        fec.encode(self.areas, self.parity.fileno(), 1024, roots=roots, block_size_bytes=size)
        self.rounds = self.layout.rounds

    def close(self):
        for file in (*self.files, self.parity):
            file.close()

    def block(self, number):
        size = self.layout.block_size_bytes
        return self.message[number * size : (number + 1) * size]

    def write(self, place, data):
        """Over the message, from this byte of it on; not from one area into the next."""
        if place < self.split:
            self.files[0].seek(place)
            self.files[0].write(data)
        else:
            self.files[1].seek(SIZE + place - self.split)
            self.files[1].write(data)

    def change(self, symbol, column, by):
        """One byte of a codeword: of the message, or of its parity."""
        layout = self.layout
        if symbol < layout.rows:
            place = symbol * self.rounds * layout.block_size_bytes + column
            self.write(place, bytes([self.message[place] ^ by]))
            return
        self.parity.seek(1024 + column * layout.roots + symbol - layout.rows)
        old = self.parity.read(1)[0]
        self.parity.seek(-1, 1)
        self.parity.write(bytes([old ^ by]))

    def spoil(self, numbers):
        for number in numbers:
            size = self.layout.block_size_bytes
            self.write(number * size, self.random.choice([bytes(size), self.random.randbytes(size)]))

    def repair(self, bad, **options):
        before = [file.seek(0) or file.read() for file in (*self.files, self.parity)]
        found = list(
            fec.repair_blocks(
                self.areas,
                self.parity.fileno(),
                1024,
                bad,
                roots=self.layout.roots,
                block_size_bytes=self.layout.block_size_bytes,
                **options,
            )
        )
        assert [file.seek(0) or file.read() for file in (*self.files, self.parity)] == before, "nothing is written"
        assert sorted(one.block for one in found) == sorted(set(bad))
        return found

    def repaired(self, bad, verdict, **options):
        found = self.repair(bad, **options)
        for one in found:
            assert (one.verdict, one.data) == (verdict, self.block(one.block)), one.block
        return found


@pytest.fixture
def image(tmp_path):
    images = []

    def make(*arguments, **options):
        images.append(Image(tmp_path, *arguments, **options))
        return images[-1]

    yield make
    for one in images:
        one.close()


@pytest.fixture(params=fec.paths())
def path(request, monkeypatch):
    monkeypatch.setenv("DMCTL_FEC", request.param)
    return request.param


def some_of_each_round(image, count):
    """Numbers of blocks: `count` of each round, in one row each, where the message has as many."""
    numbers = []
    for round_ in range(image.rounds):
        numbers += image.random.sample(range(round_, image.layout.fec_blocks, image.rounds), count)
    return numbers


@pytest.mark.parametrize("blocks", [30, 500, 761])
@pytest.mark.parametrize("roots", [2, 3, 8, 24])
def test_up_to_the_limit(image, path, roots, blocks):
    whole = image(blocks, roots)
    for count in sorted({1, 2, roots - 1, roots}):
        bad = some_of_each_round(whole, count)
        whole.spoil(bad)
        whole.repaired(bad, Verdict.UNCHECKED if count == roots else Verdict.CONSISTENT)
        if count < roots:
            whole.repaired(bad, Verdict.CONSISTENT, blind=True)
        for number in bad:
            whole.write(number * SIZE, whole.block(number))


def test_the_very_ends(image, path):
    """The first block of the message and the last; a round whose last rows are beyond it; one block in all."""
    whole = image(700, 2)
    assert whole.rounds == 3
    bad = [0, 1, 2, 697, 698, 699]
    whole.spoil(bad)
    whole.repaired(bad, Verdict.UNCHECKED)
    one = image(1, 2)
    one.spoil([0])
    one.repaired([0], Verdict.CONSISTENT)


@pytest.mark.parametrize("roots", [2, 5, 24])
def test_one_beyond_the_limit(image, path, roots):
    whole = image(500, roots)
    bad = some_of_each_round(whole, roots + 1)
    whole.spoil(bad)
    assert all((one.data, one.verdict) == (None, Verdict.LOST) for one in whole.repair(bad))
    for one in whole.repair(bad, blind=True):
        assert one.data != whole.block(one.block)
    # The rounds do not depend on each other.
    for number in bad:
        if number % whole.rounds == 1:
            whole.write(number * SIZE, whole.block(number))
    whole.spoil([1])
    bad = [number for number in bad if number % whole.rounds != 1] + [1]
    found = {one.block: one for one in whole.repair(bad)}
    assert (found[1].data, found[1].verdict) == (whole.block(1), Verdict.CONSISTENT)
    assert sum(one.data is None for one in found.values()) == len(bad) - 1


@pytest.mark.parametrize("size", [512, 4096])
def test_a_long_run_of_bad_blocks(image, path, size):
    """Of neighbours, which are in different rounds; in the same rows and not, over the end of the first area."""
    whole = image(4000, 2, size=size)
    rounds = whole.rounds
    bad = [*range(10, 10 + 2 * rounds - 3), *range(2666 - 5, 2666 + 4)]
    crowded = {number % rounds for number in range(2661, 2670)}
    whole.spoil(bad)
    found = {one.block: one for one in whole.repair(bad * 2, threads=2)}
    assert len(found) == len(bad)
    for number, one in found.items():
        many = sum(other % rounds == number % rounds for other in bad)
        assert one.data == (whole.block(number) if many <= 2 else None)
        assert many <= 2 or number % rounds in crowded


@pytest.mark.parametrize("what", ["parity", "block"])
@pytest.mark.parametrize("roots", [3, 4, 8])
def test_damage_that_nobody_told_of(image, path, roots, what):
    """One more wrong symbol in some codewords of a round needs two symbols of parity."""
    whole = image(600, roots)
    bad = [1, 2] if roots == 3 else [1, 2, 1 + 3 * whole.rounds]
    whole.spoil(bad)
    symbol = whole.layout.rows + 1 if what == "parity" else 100
    for column in (0, 17, SIZE - 1):
        whole.change(symbol, SIZE + column, 0x41)
    for one in whole.repair(bad):
        if one.block % whole.rounds == 1:
            assert one.verdict == Verdict.INCONSISTENT
            assert one.data != whole.block(one.block)
        else:
            assert (one.verdict, one.data) == (Verdict.CONSISTENT, whole.block(one.block))
    for one in whole.repair(bad, blind=True):
        touched = one.block % whole.rounds == 1
        assert one.data == whole.block(one.block)
        assert one.verdict == (Verdict.BLIND if touched else Verdict.CONSISTENT)
        assert one.parity_suspect == (touched and what == "parity")
        assert one.suspects == ((100 * whole.rounds + 1,) if touched and what == "block" else ())


@pytest.mark.parametrize("roots", [2, 3, 6, 17, 24])
def test_errors_and_erasures_up_to_the_limit(image, path, roots):
    """In each codeword of a round other errors, in message and parity: 2 * errors + erasures <= roots."""
    whole = image(255 * 2, roots)
    layout = whole.layout
    rows = layout.fec_blocks // whole.rounds
    for erased in sorted({1, roots // 2, roots - 2} - {0}):
        bad_rows = whole.random.sample(range(rows), erased)
        bad = [row * whole.rounds for row in bad_rows]
        whole.spoil(bad)
        changes = []
        symbols = [*(row for row in range(rows) if row not in bad_rows), *range(layout.rows, fec.SYMBOLS)]
        for column in range(SIZE):
            errors = whole.random.randint(0, (roots - erased) // 2)
            for symbol in whole.random.sample(symbols, errors):
                changes.append((symbol, column, whole.random.randrange(1, 256)))
        for change in changes:
            whole.change(*change)
        found = whole.repair(bad, blind=True)
        for one in found:
            assert one.data == whole.block(one.block), erased
            assert one.verdict == (Verdict.BLIND if changes else Verdict.CONSISTENT)
        expected = {symbol for symbol, _, _ in changes}
        assert set(found[0].suspects) == {s * whole.rounds for s in expected if s < layout.rows}
        assert found[0].parity_suspect == any(symbol >= layout.rows for symbol in expected)
        for symbol, column, by in changes:
            whole.change(symbol, column, 0 if symbol < layout.rows else by)
        for number in bad:
            whole.write(number * SIZE, whole.block(number))


@pytest.mark.parametrize("roots", [2, 3, 8])
def test_a_few_bad_bytes_in_many_blocks(image, path, roots):
    """More bad blocks than parity, but no codeword has many wrong bytes; none of this is known beforehand."""
    whole = image(600, roots)
    bad = [row * whole.rounds + 1 for row in range(0, 180, 4)]
    for number, block in enumerate(bad):
        for column in range(number * 10, number * 10 + 10):
            whole.change(block // whole.rounds, SIZE + column, 1 << column % 8)
    assert all(one.data is None for one in whole.repair(bad))
    found = whole.repaired(bad, Verdict.BLIND, blind=True)
    assert not any(one.suspects or one.parity_suspect for one in found)


def test_no_parity_left_to_check(image, path):
    """As many bad blocks as parity, of one of them a byte; and a byte of parity elsewhere in the round."""
    whole = image(600, 2)
    whole.change(3, 5, 0x11)
    whole.change(9, 6, 0x22)
    whole.change(whole.layout.rows, 7, 0x33)
    bad = [3 * whole.rounds, 9 * whole.rounds]
    for one in whole.repair(bad):
        assert one.verdict == Verdict.UNCHECKED
        assert [c for c in range(SIZE) if one.data[c] != whole.block(one.block)[c]] == [7]
    for one in whole.repaired(bad, Verdict.BLIND, blind=True):
        assert one.parity_suspect


def test_all_that_is_bad_is_known(image, path):
    """As many bad blocks as parity, wrong in the same codewords: alone, each seems to have one other error."""
    whole = image(600, 2)
    for column in (0, 100, 511):
        for row in (3, 9):
            whole.change(row, column, 0x40 + row + column % 7)
    bad = [3 * whole.rounds, 9 * whole.rounds]
    whole.repaired(bad, Verdict.UNCHECKED)
    whole.repaired(bad, Verdict.BLIND, blind=True)


@pytest.mark.parametrize("bad", [[0], [0, 2, 3]])
def test_there_are_no_errors_behind_the_message(image, path, bad):
    """A message of one row in ten: what would be explained by an error where zeros have to be is not explained."""
    whole = image(30, 2)
    for column in range(0, SIZE, 50):
        whole.change(0, column, 0x5A)
        whole.change(5, column, 0xA5)
    assert all((one.data, one.verdict) == (None, Verdict.LOST) for one in whole.repair(bad, blind=True))


def test_what_is_beyond_repair_is_not_invented(image, path):
    """Blind decoding that finds too many errors says so, and a hash decides about the rest."""
    whole = image(600, 16)
    bad = [row * whole.rounds for row in range(12)]
    whole.spoil(bad)
    for column in range(SIZE):
        for symbol in range(100, 106):
            whole.change(symbol, column, whole.random.randrange(1, 256))
    assert all((one.data, one.verdict) == (None, Verdict.LOST) for one in whole.repair(bad, blind=True))
    assert all(one.verdict == Verdict.INCONSISTENT for one in whole.repair(bad))


def test_too_many_errors_in_a_single_codeword(image, path):
    whole = image(600, 24)
    bad = [20 * whole.rounds]
    whole.spoil(bad)
    for row in whole.random.sample(range(21, 190), 15):
        whole.change(row, 300, whole.random.randrange(1, 256))
    (one,) = whole.repair(bad, blind=True)
    assert (one.data, one.verdict) == (None, Verdict.LOST)


def test_holes(path, tmp_path):
    """Good blocks and bad ones in holes of a sparse file; wrong parity where bad blocks are in holes."""
    blocks, roots = 2000, 4
    layout = Layout(blocks, roots, 4096)
    options = {"roots": roots}
    with (tmp_path / "sparse").open("w+b", buffering=0) as sparse, (tmp_path / "parity").open("w+b") as parity:
        sparse.truncate(blocks * 4096)
        sparse.seek(77 * 4096)
        sparse.write(b"data" * 1024)
        area = Area(sparse.fileno(), 0, blocks * 4096)
        fec.encode([area], parity.fileno(), **options)

        column = 77 % layout.rounds * 4096
        parity.seek(column * roots)
        was = parity.read(roots)
        parity.seek(column * roots + 1)
        parity.write(bytes([was[1] ^ 1, was[2] ^ 7]))
        parity.flush()
        bad = [77 + layout.rounds * row for row in (1, 2, 5)]
        for one in fec.repair_blocks([area], parity.fileno(), 0, bad, blind=True, **options):
            assert (one.verdict, one.data) == (Verdict.BLIND, bytes(4096))
        parity.seek(column * roots)
        parity.write(was)
        parity.flush()

        sparse.seek(77 * 4096)
        sparse.write(bytes(4096))
        found = {one.block: one for one in fec.repair_blocks([area], parity.fileno(), 0, [77, 5], **options)}
    assert {number: one.data for number, one in found.items()} == {77: b"data" * 1024, 5: bytes(4096)}
