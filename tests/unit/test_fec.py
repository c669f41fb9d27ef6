# SPDX-License-Identifier: LGPL-2.1-or-later
"""Parity of dm-verity's error correction: the same bytes as veritysetup's, and as those of long division."""

import os
import platform
import random
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from dmctl._fec import lib
from dmctl.verity import fec
from dmctl.verity.fec import Area, Layout

ROOT = Path(__file__).parents[2]
VERITYSETUP = shutil.which("veritysetup", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


@pytest.fixture(params=fec.paths())
def path(request, monkeypatch):
    """One way to multiply after the other."""
    monkeypatch.setenv("DMCTL_FEC", request.param)
    return request.param


def encoded(parts, **options):
    """The parity, by dmctl, of [(file, offset, length)]."""
    with ExitStack() as stack:
        areas = [Area(stack.enter_context(open(file, "rb")).fileno(), *numbers) for file, *numbers in parts]
        output = Path(parts[0][0]).with_name("parity")
        with open(output, "w+b") as file:
            layout = fec.encode(areas, file.fileno(), **options)
            parity = file.read()
            assert len(parity) == layout.size_bytes
            return parity


def test_stub_of_the_native_module():
    stub = (ROOT / "dmctl/_fec.pyi").read_text(encoding="utf-8")
    protocol = stub.partition("class _Lib(Protocol):")[2].partition("\nclass ")[0]
    assert set(re.findall(r"^    (?:def )?(\w+)[:(]", protocol, re.MULTILINE)) == set(dir(lib))


def test_this_processors_ways_pass_their_check():
    """A way that fails its own check is left out in silence."""
    flags = set()
    if platform.machine() == "x86_64":
        flags = set(re.search(r"^flags\s*:(.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
    expected = ["portable"]
    expected += ["avx2"] if "avx2" in flags else []
    expected += ["gfni"] if {"avx2", "gfni"} <= flags else []
    expected += ["gfni512"] if {"avx512f", "avx512bw", "gfni"} <= flags else []
    assert fec.paths() == expected


def veritysetup(*arguments, roots, block_size):
    assert VERITYSETUP
    subprocess.run(
        [
            VERITYSETUP,
            "format",
            *arguments,
            f"--fec-roots={roots}",
            f"--data-block-size={block_size}",
            f"--hash-block-size={block_size}",
            "--salt=5a",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


# With the hash area: less than a round, just one, a block more, several and a bit.
@pytest.mark.parametrize(
    ("block_size", "blocks"),
    [(512, 1), (512, 252), (512, 254), (512, 700), (1024, 100), (1024, 253), (4096, 1), (4096, 230), (4096, 600)],
)
@pytest.mark.parametrize("roots", [2, 3, 8, 16, 24])
def test_same_bytes_as_veritysetup(tmp_path, monkeypatch, roots, block_size, blocks):
    data, tree, parity = (tmp_path / name for name in ("data", "tree", "fec"))
    data.write_bytes(random.Random(blocks).randbytes(blocks * block_size))
    parity.touch()
    veritysetup(data, tree, f"--fec-device={parity}", roots=roots, block_size=block_size)
    start = max(512, block_size)
    parts = [(data, 0, blocks * block_size), (tree, start, tree.stat().st_size - start)]
    for name in fec.paths():
        monkeypatch.setenv("DMCTL_FEC", name)
        assert encoded(parts, roots=roots, block_size_bytes=block_size) == parity.read_bytes(), name


def test_same_bytes_with_the_tree_behind_the_data(tmp_path, path):
    block_size, blocks = 1024, 300
    data, parity = tmp_path / "data", tmp_path / "fec"
    data.write_bytes(random.Random(2).randbytes(blocks * block_size))
    parity.touch()
    end = blocks * block_size
    veritysetup(
        data,
        data,
        f"--fec-device={parity}",
        f"--data-blocks={blocks}",
        f"--hash-offset={end}",
        roots=2,
        block_size=block_size,
    )
    start = end + block_size
    parts = [(data, 0, end), (data, start, data.stat().st_size - start)]
    assert encoded(parts, roots=2, block_size_bytes=block_size) == parity.read_bytes()


def test_same_bytes_with_all_in_one_file(tmp_path, path):
    block_size, blocks, roots = 512, 400, 4
    image = tmp_path / "image"
    end, fec_offset = blocks * block_size, 500 * block_size
    image.write_bytes(random.Random(3).randbytes(fec_offset))
    veritysetup(
        image,
        image,
        f"--fec-device={image}",
        f"--fec-offset={fec_offset}",
        f"--data-blocks={blocks}",
        f"--hash-offset={end}",
        roots=roots,
        block_size=block_size,
    )
    theirs = image.read_bytes()
    areas = [(0, end), (end + block_size, fec_offset - end - block_size)]
    with image.open("r+b") as file:
        file.truncate(fec_offset)
        fec.encode(
            [Area(file.fileno(), *area) for area in areas],
            file.fileno(),
            fec_offset,
            roots=roots,
            block_size_bytes=block_size,
        )
    assert image.read_bytes() == theirs


def times(a, b):
    """Bit by bit, in the field of x^8+x^4+x^3+x^2+1."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a, b = (a << 1) ^ (0x11D if a & 0x80 else 0), b >> 1
    return product


def remainder(message, roots):
    """The message times x^roots, divided by (x - 1)(x - 2)(x - 4)…"""
    generator, root = [1], 1
    for _ in range(roots):
        generator = [a ^ times(b, root) for a, b in zip([*generator, 0], [0, *generator], strict=True)]
        root = times(root, 2)
    rest = [*message, *[0] * roots]
    for i in range(len(message)):
        for j, factor in enumerate(generator):
            rest[i + j] ^= times(rest[i], factor) if j else 0
    return bytes(rest[len(message) :])


def test_remainder_is_divisible():
    """The test's own division: a codeword is 0 at each root."""
    message = random.Random(1).randbytes(20)
    word, value = [*message, *remainder(message, 5)], 1
    for _ in range(5):
        sum_ = 0
        for symbol in word:
            sum_ = times(sum_, value) ^ symbol
        assert sum_ == 0
        value = times(value, 2)


@pytest.mark.parametrize("roots", fec.ROOTS)
def test_same_bytes_as_long_division(tmp_path, monkeypatch, roots):
    """Areas anywhere, and in any number; columns at both ends of a window and between."""
    rnd, size = random.Random(roots), 512
    files = [tmp_path / str(number) for number in range(3)]
    for file in files:
        file.write_bytes(rnd.randbytes(120_000))
    blocks = [100, 1, 0, 160]
    parts = [(files[number % 3], rnd.randrange(512), count * size) for number, count in enumerate(blocks)]
    message = b"".join(file.read_bytes()[offset : offset + length] for file, offset, length in parts)
    layout = Layout(sum(blocks), roots, size)
    row_bytes = layout.rounds * size
    message += bytes(row_bytes * layout.rows - len(message))
    for name in fec.paths():
        monkeypatch.setenv("DMCTL_FEC", name)
        parity = encoded(parts, roots=roots, block_size_bytes=size)
        for column in (0, 1, 511, row_bytes // 2, row_bytes - 1):
            own = parity[column * roots : (column + 1) * roots]
            assert own == remainder(message[column::row_bytes], roots), (name, column)


@pytest.mark.parametrize("offset", [0, 512, 12345])
def test_nothing_but_the_parity_is_written(tmp_path, path, offset):
    data, file = tmp_path / "data", tmp_path / "file"
    data.write_bytes(random.Random(4).randbytes(254 * 512))
    before = random.Random(5).randbytes(20000)
    file.write_bytes(before)
    with data.open("rb") as source, file.open("r+b") as target:
        layout = fec.encode([Area(source.fileno(), 0, 254 * 512)], target.fileno(), offset, block_size_bytes=512)
    after, end = file.read_bytes(), offset + layout.size_bytes
    assert (after[:offset], after[end:]) == (before[:offset], before[end:])
    assert after[offset:end] == encoded([(data, 0, 254 * 512)], block_size_bytes=512)


@pytest.mark.parametrize("roots", [2, 5])
def test_holes_are_zeros(tmp_path, path, roots):
    """What is read past, holes or blocks of zeros, makes no difference; nor does the number of threads."""
    size, blocks = 4096, 5000
    rnd = random.Random(6)
    sparse, dense = tmp_path / "sparse", tmp_path / "dense"
    columns = set()
    row_bytes = Layout(blocks, roots, size).rounds * size
    with sparse.open("w+b") as file:
        for block in [0, 1, *rnd.sample(range(blocks), 60)]:
            file.seek(block * size + rnd.randrange(size // 2))
            columns.add(file.tell() % row_bytes)
            file.write(rnd.randbytes(size // 2))
        file.truncate(blocks * size)
    message = sparse.read_bytes()
    dense.write_bytes(message)
    assert sparse.stat().st_blocks < dense.stat().st_blocks
    (parity,) = {
        encoded([(file, 0, 3000 * size), (file, 3000 * size, 2000 * size)], roots=roots, threads=threads)
        for file in (sparse, dense)
        for threads in (1, 2, 7)
    }
    message += bytes(row_bytes * (255 - roots) - len(message))
    for column in columns:
        assert parity[column * roots : (column + 1) * roots] == remainder(message[column::row_bytes], roots)


def test_zeros_have_parity_of_zeros(tmp_path, path):
    empty = tmp_path / "empty"
    with empty.open("wb") as file:
        file.truncate(1 << 30)
    parity = encoded([(empty, 0, 1 << 30)], roots=24)
    assert parity == bytes(len(parity))
