# SPDX-License-Identifier: LGPL-2.1-or-later
"""Metadata of clones that were written by hand: what is read of them, and what is said where they are wrong."""

import random

import pytest

from clone_metadata import (
    ARRAY,
    BLOCK,
    array_block,
    crc32c,
    image,
    root_node,
    superblock,
    words_of,
)
from dmctl.cli.clone import _map
from dmctl.clone import metadata
from dmctl.clone.planning import metadata_blocks
from dmctl.errors import ExitStatus, NotFoundError
from dmctl.thin.superblock import MetadataError


@pytest.fixture
def read(tmp_path):
    """read(image): what metadata.read() makes of it."""

    def call(content):
        path = tmp_path / "metadata"
        path.write_bytes(content)
        return metadata.read(str(path))

    return call


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") ^ 0xFFFFFFFF == 0xE3069283  # RFC 3720's polynomial; the usual check value


SIZES = [(8, 8), (8, 1), (8, 8 * 64), (8, 8 * 65 - 3), (128, 128 * 1000 + 1), (8, 8 * 32576), (8, 8 * 40000 - 7)]


@pytest.mark.parametrize(("region", "target"), SIZES)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99, 1])
def test_ranges(read, region, target, share):
    dice = random.Random(f"{region} {target} {share}")
    regions = -(-target // region)
    hydrated = {number for number in range(regions) if dice.random() < share}
    bitmap = read(image(region, target, hydrated))
    assert (bitmap.superblock.region_sectors, bitmap.superblock.regions) == (region, regions)
    assert bitmap.hydrated == len(hydrated)
    found = {}
    for wanted in (True, False):
        ranges = list(bitmap.ranges(hydrated=wanted))
        assert all(one.regions > 0 for one in ranges)
        ends = [one.first + one.regions for one in ranges]
        assert all(end < following.first for end, following in zip(ends, ranges[1:], strict=False)), "not the longest"
        found[wanted] = {number for one in ranges for number in range(one.first, one.first + one.regions)}
    assert found == {True: hydrated, False: set(range(regions)) - hydrated}


def test_bytes_end_with_the_clone(read):
    bitmap = read(image(128, 128 * 3 + 5, {3}))
    (last,) = bitmap.ranges(hydrated=True)
    assert bitmap.bytes_of(last) == (128 * 3 * 512, (128 * 3 + 5) * 512)


def _replaced(content, number, block):
    content[number * BLOCK : (number + 1) * BLOCK] = block
    return content


GOOD = (8, 8 * 40000)
WRONG = {
    "it is zero: no clone has used this yet": (0, bytes(BLOCK)),
    "its magic number is another one": (0, superblock(*GOOD, 1, magic=27022010)),
    "metadata block 0: its checksum is wrong": (0, superblock(*GOOD, 1, seed=160774)),
    "its version is 2": (0, superblock(*GOOD, 1, version=2)),
    "regions of 24 sectors": (0, superblock(24, GOOD[1], 1)),
    "regions of 4 sectors": (0, superblock(4, GOOD[1], 1)),
    "a clone of 0 sectors": (0, superblock(8, 0, 1)),
    f"a clone of {1 << 60} sectors": (0, superblock(8, 1 << 60, 1)),
    "block 7": (0, superblock(*GOOD, 1, number=7)),
    "metadata block 99: its number is beyond the metadata": (0, superblock(*GOOD, 99)),
    "metadata block 1: its checksum is wrong": (1, array_block(1, [0])),
    "metadata block 1: its tree has not the blocks of 40000 regions": (1, root_node(1, [2])),
    "metadata block 1: its tree has not the blocks of 40000 regions ": (1, root_node(1, [2, 3], keys=[0, 5])),
    "metadata block 55: its number is beyond the metadata": (1, root_node(1, [2, 55])),
    "metadata block 3: its checksum is wrong": (3, array_block(3, words_of(40000 - 32576, ()), seed=ARRAY + 1)),
    "metadata block 2: it has not the 509 words": (2, array_block(2, [0] * 508)),
    "metadata block 3: it says that it is another block": (3, array_block(3, words_of(7424, ()), own=2)),
    "a region beyond the last, 39999, is set": (3, None),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_is_told(read, why):
    number, block = WRONG[why]
    content = image(*GOOD, {5})
    if block is None:
        content = image(8, 8 * 40000 - 8 * 10, {5})
        block = array_block(3, [*words_of(39990 - 32576, ())[:-1], 1 << 63])
        why = "a region beyond the last, 39989, is set"
    with pytest.raises(MetadataError) as raised:
        read(_replaced(content, number, block))
    assert why.strip() in str(raised.value) and raised.value.exit_status == ExitStatus.VERIFICATION


def test_any_bit_that_counts(read):
    """A changed bit anywhere is told, unless it is in a block that nothing points to."""
    content = image(8, 8 * 70000, set(range(0, 70000, 3)))
    dice = random.Random(5)
    for _ in range(300):
        at = dice.randrange(len(content))
        content[at] ^= (bit := 1 << dice.randrange(8))
        with pytest.raises(MetadataError):
            read(content)
        content[at] ^= bit
    assert read(content).hydrated == len(range(0, 70000, 3))


@pytest.mark.parametrize("size_bytes", [0, 100, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
def test_what_is_cut_off(read, size_bytes):
    with pytest.raises(MetadataError):
        read(image(*GOOD, {1})[:size_bytes])


def test_no_such_file(tmp_path):
    with pytest.raises(NotFoundError):
        metadata.read(str(tmp_path / "none"))


def test_the_size_that_metadata_need():
    """Figures that were measured on Linux 6.1: 225 blocks were too few for 4194304 regions, 275 sufficed."""
    assert metadata_blocks(1) == 1024
    assert metadata_blocks(4194304) >= 275
    assert metadata_blocks(1 << 31) < 255 * 16320, "more than that the kernel does not use"


def test_the_map(read):
    drawn = _map(read(image(8, 8 * 2100, set(range(700)) | {1000})))
    lines = drawn.splitlines()
    cells = "".join(lines[:-1])
    assert len(cells) == 700 and lines[-1].endswith("each 3 regions")
    assert cells[:233] == "#" * 233 and cells[233] == "+" and cells[333] == "+" and set(cells[334:]) == {"."}
