# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thin metadata that are damaged, or made to harm: named, in bounded time and memory."""

import contextlib
import itertools
import random
import resource
import shutil
import struct
import subprocess

import pytest

import thin_metadata as made
from dmctl.thin.check import check
from dmctl.thin.dump import dump
from dmctl.thin.listing import spaces
from dmctl.thin.metadata import opened
from dmctl.thin.superblock import MetadataError

DATA_BLOCKS = 3000
# Two mappings of a data block are two references; from three on they are in the tree of large counts.
OVERLAPPING = {
    **made.random_thins(1, thins=12, runs=4, data_blocks=DATA_BLOCKS),
    **made.random_thins(2, thins=2, runs=400, data_blocks=DATA_BLOCKS),
}
NODE_HEADER = 32
# In the superblock.
DATA_MAP, METADATA_MAP, MAPPINGS_ROOT, DETAILS_ROOT = 64, 192, 320, 328


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return made.restore(folder, made.xml(OVERLAPPING, data_blocks=DATA_BLOCKS), size_bytes=1 << 20)


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copy(sound, tmp_path / "copy")


def blocks_in_use(path):
    """By kind, the blocks that the metadata's own space map has as taken."""
    found = {}
    index = struct.unpack_from("<Q", made.block(path, 0), METADATA_MAP + 16)[0]
    bitmap = made.block(path, struct.unpack_from("<Q", made.block(path, index), 16)[0])
    for number in range(path.stat().st_size // made.BLOCK):
        if bitmap[16 + number // 4] >> number % 4 * 2 & 3:
            found.setdefault(made.kind(made.block(path, number)), []).append(number)
    return found


def verdict(path):
    """What a check comes to: "sound", "leaks", or the blocks that are named, or what else is wrong."""
    try:
        with opened(str(path)) as metadata:
            report = check(metadata)
    except MetadataError as error:
        return {error.block}
    if report.sound:
        return "leaks" if report.leaks else "sound"
    return {damage.block for damage in report.damages} or "counts"


def test_every_block_of_this_file_is_read(sound):
    """Or the tests below would change blocks that are nobody's."""
    in_use = blocks_in_use(sound)
    assert set(in_use) == {"superblock", "node", "bitmap", "index"}
    with opened(str(sound)) as metadata:
        check(metadata)
        reads = metadata.reader.blocks_read
    # The superblock is not counted; trees of index entries and of large counts are read twice.
    assert reads >= sum(map(len, in_use.values())) - 1


def test_single_bits(sound, copy):
    """Each flipped bit is found, and its block named: some of each block, more of the header and the first keys."""
    dice = random.Random(5)
    for numbers in blocks_in_use(sound).values():
        for number in numbers:
            content = made.block(copy, number)
            bits = {*dice.sample(range(made.BLOCK * 8), 25), *dice.sample(range(48 * 8), 15)}
            for bit in bits:
                flipped = bytearray(content)
                flipped[bit // 8] ^= 1 << bit % 8
                made.write_block(copy, number, flipped)
                assert number in verdict(copy), (number, bit)
            made.write_block(copy, number, content)
    assert verdict(copy) == "sound"


def test_torn_blocks(sound, copy):
    """A block of which only some sectors were written, over zeros or over another block of its kind."""
    for numbers in blocks_in_use(sound).values():
        for number, other in zip(numbers, [*numbers[1:], numbers[0]], strict=True):
            content = made.block(copy, number)
            for sectors in range(1, 8):
                for behind in (bytes(made.BLOCK), made.block(sound, other)):
                    torn = content[: sectors * 512] + behind[sectors * 512 :]
                    if torn != content:
                        made.write_block(copy, number, torn)
                        assert number in verdict(copy)
            made.write_block(copy, number, content)


def test_blocks_in_the_place_of_others(sound, copy):
    """A block with a right checksum, but of another place or another time."""
    for numbers in blocks_in_use(sound).values():
        for number, other in itertools.pairwise(numbers):
            content = made.block(copy, number)
            made.write_block(copy, number, made.block(sound, other))
            assert number in verdict(copy)
            made.write_block(copy, number, content)


def test_wrong_words_with_right_checksums(sound, copy):
    """No field of any block makes more than an error; what thin_check finds wrong is found."""
    dice = random.Random(7)
    agreed = 0
    for kind, numbers in blocks_in_use(sound).items():
        for number in numbers:
            content = made.block(copy, number)
            for _ in range(5):
                changed = bytearray(content)
                at = dice.choice((dice.randrange(4, 48), dice.randrange(4, made.BLOCK - 8)))
                value = dice.choice((0, 1, 2, dice.randrange(256), 2**32 - 1, 2**63, 2**64 - 1, dice.randrange(2**64)))
                size = dice.choice((1, 4, 8))
                changed[at : at + size] = (value % 256**size).to_bytes(size, "little")
                if bytes(changed) == content:
                    continue
                made.write_block(copy, number, made.sealed(changed, made.SEEDS[kind]))
                ours = verdict(copy)
                theirs = subprocess.run(["thin_check", copy], capture_output=True, check=False).returncode
                assert ours != "sound" or theirs == 0, (kind, number, at, value, size)
                agreed += theirs != 0
                with contextlib.suppress(MetadataError), opened(str(copy)) as metadata:
                    list(spaces(metadata, exclusive=True))
                    b"".join(dump(metadata))
            made.write_block(copy, number, content)
    assert agreed > 40


def changed_node(path, number, change):
    content = bytearray(made.block(path, number))
    change(content)
    made.write_block(path, number, made.sealed(content, made.SEEDS["node"]))


def superblock_root(path, offset):
    return struct.unpack_from("<Q", made.block(path, 0), offset)[0]


def test_cycle(copy):
    """A root that is its own child."""
    root = superblock_root(copy, MAPPINGS_ROOT)

    def own_child(node):
        struct.pack_into("<II", node, 4, 1, struct.unpack_from("<I", node, 8)[0])
        struct.pack_into("<Q", node, 8, root)
        entries, most = struct.unpack_from("<II", node, 16)
        struct.pack_into(f"<{entries}Q", node, NODE_HEADER + 8 * most, *[root] * entries)

    changed_node(copy, root, own_child)
    assert root in verdict(copy)


def test_all_children_the_same(copy):
    """Sixteen levels of 252 would take for ever."""
    root = superblock_root(copy, MAPPINGS_ROOT)
    numbers = [number for number in blocks_in_use(copy)["node"] if number != root][:8]

    def point(child):
        def change(node):
            struct.pack_into("<I", node, 4, 1)
            struct.pack_into("<IIII", node, 16, 252, 252, 8, 0)
            struct.pack_into("<252Q", node, NODE_HEADER, *range(252))
            struct.pack_into("<252Q", node, NODE_HEADER + 8 * 252, *[child] * 252)

        return change

    for number, child in zip([root, *numbers], numbers, strict=False):
        changed_node(copy, number, point(child))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert verdict(copy) not in ("sound", "leaks")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5


@pytest.mark.parametrize("blocks", [2**64 - 1, 2**63, 2**40, 2**33])
@pytest.mark.parametrize("offset", [64, 192, 344])
def test_hostile_sizes(copy, offset, blocks):
    """A space map that claims to be large: no memory for what is not there."""
    content = bytearray(made.block(copy, 0))
    struct.pack_into("<Q", content, offset, blocks)
    made.write_block(copy, 0, made.sealed(content, made.SEEDS["superblock"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = verdict(copy)
    # 344: how many blocks there were when the metadata were made; they may have grown since.
    assert found == "sound" if offset == 344 else found not in ("sound", "leaks")
    with opened(str(copy)) as metadata:
        list(spaces(metadata, exclusive=True))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def bitmap_of(path, space_map):
    """The first bitmap: the metadata's map has an index block, the data's a tree of such entries."""
    root = struct.unpack_from("<Q", made.block(path, 0), space_map + 16)[0]
    content = made.block(path, root)
    at = 16 if space_map == METADATA_MAP else NODE_HEADER + 8 * struct.unpack_from("<I", content, 20)[0]
    return struct.unpack_from("<Q", content, at)[0]


def store(path, space_map, block_number, raw):
    """Change the two bits of a block's count; the two are swapped, so that 1 is written as 2."""
    bitmap = bitmap_of(path, space_map)
    content = bytearray(made.block(path, bitmap))
    at, shift = 16 + block_number // 4, block_number % 4 * 2
    content[at] = content[at] & ~(3 << shift) | raw << shift
    made.write_block(path, bitmap, made.sealed(content, made.SEEDS["bitmap"]))


@pytest.mark.parametrize("space_map", [DATA_MAP, METADATA_MAP])
def test_leak_and_lack(copy, space_map):
    with opened(str(copy)) as metadata:
        runs = [run for thin in metadata.thins.values() for run in metadata.reader.runs(thin.root)]
    taken = {run.data_block + i for run in runs for i in range(run.blocks)}
    blocks = DATA_BLOCKS
    if space_map == METADATA_MAP:
        taken = {number for numbers in blocks_in_use(copy).values() for number in numbers}
        blocks = copy.stat().st_size // made.BLOCK

    def difference():
        with opened(str(copy)) as metadata:
            report = check(metadata)
        found = report.data if space_map == DATA_MAP else report.metadata
        return found.first, found.too_low, report.leaks, report.sound

    free = next(number for number in range(blocks) if number not in taken)
    store(copy, space_map, free, 2)
    assert difference() == ([(free, 0, 1)], 0, 1, True)
    store(copy, space_map, free, 0)
    used = max(taken)
    store(copy, space_map, used, 0)
    (first,), too_low, leaks, is_sound = difference()
    assert (first[0], first[2], too_low, leaks, is_sound) == (used, 0, 1, 0, False)
    if space_map == METADATA_MAP:  # thin_check 0.9.0 does not look at the data's
        assert subprocess.run(["thin_check", copy], capture_output=True, check=False).returncode == 1


def test_a_thin_that_is_damaged_is_named_and_the_others_are_read(sound, copy):
    with opened(str(sound)) as metadata:
        thin = list(metadata.thins.values())[-1]
    content = bytearray(made.block(copy, thin.root))
    content[2000] ^= 1
    made.write_block(copy, thin.root, content)
    with opened(str(copy)) as metadata:
        assert len(metadata.thins) == len(OVERLAPPING)
        damages = check(metadata).damages
        assert [(damage.block, damage.thin_id) for damage in damages] == [(thin.root, thin.thin_id)]
        assert f"thin {thin.thin_id}" in str(damages[0])
        with pytest.raises(MetadataError, match=f"block {thin.root} "):
            b"".join(dump(metadata))
        first = metadata.thins[min(metadata.thins)]
        with opened(str(copy)) as again:
            expected = made.tool("thin_dump", "--dev-id", first.thin_id, sound)
            assert b"".join(dump(again, thins=[first])) == expected


def test_details_that_tell_another_number(sound, copy):
    with opened(str(sound)) as metadata:
        thin = list(metadata.thins.values())[-1]
    root = superblock_root(copy, DETAILS_ROOT)

    def more(node):
        entries, most = struct.unpack_from("<II", node, 16)
        struct.pack_into("<Q", node, NODE_HEADER + 8 * most + 24 * (entries - 1), thin.mapped_blocks + 1)

    changed_node(copy, root, more)
    with opened(str(copy)) as metadata:
        report = check(metadata)
    assert [(wrong.thin_id, number) for wrong, number in report.wrong_counts] == [(thin.thin_id, thin.mapped_blocks)]
    assert not report.sound
