# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reader of thin metadata against thin-provisioning-tools, on metadata that thin_restore has made."""

import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import thin_metadata as made
from clone_metadata import crc32c
from dmctl._thin import ffi, lib
from dmctl.thin import delta as deltas
from dmctl.thin.check import check
from dmctl.thin.dump import dump
from dmctl.thin.listing import FIELDS, short_size, spaces
from dmctl.thin.metadata import opened
from dmctl.thin.rmap import uses
from dmctl.thin.sizes import metadata_sectors
from dmctl.thin.spacemap import Counts, differences
from dmctl.thin.superblock import MetadataError

DATA_BLOCKS = 20000
POOLS = {
    "none": {},
    "empty thin": {5: []},
    "one block": {0: [(0, 0, 1, 0)]},
    "several": made.random_thins(1, thins=3, runs=40, data_blocks=DATA_BLOCKS),
    "long runs": made.random_thins(2, thins=4, runs=30, data_blocks=DATA_BLOCKS, longest=400),
    "many thins": made.random_thins(3, thins=700, runs=3, data_blocks=DATA_BLOCKS),
    "three levels": made.random_thins(4, thins=2, runs=20000, data_blocks=DATA_BLOCKS, longest=3),
    # Data blocks that 2 to 4, 255 to 257 and 300 thins have, far from each other and in one place.
    "shared by many": {
        thin_id: [
            (data, data, 1, 0)
            for data, thins in (*zip(range(20), (2, 3, 4, 5, 254, 255, 256, 257, 300), strict=False), (9000, 300))
            if thin_id < thins
        ]
        for thin_id in range(300)
    },
    "largest id": {16777215: [(2**40, 7, 3, 1)]},
}


@pytest.fixture(scope="module", params=POOLS)
def pool(request, tmp_path_factory):
    thins = POOLS[request.param]
    folder = tmp_path_factory.mktemp("pool")
    return made.restore(folder, made.xml(thins, data_blocks=DATA_BLOCKS))


@pytest.mark.parametrize("form", ["xml", "human_readable"])
@pytest.mark.parametrize("mappings", [True, False])
def test_dump(pool, form, mappings):
    words = ["thin_dump", "-f", form, *([] if mappings else ["--skip-mappings"]), pool]
    with opened(str(pool)) as metadata:
        assert b"".join(dump(metadata, form, mappings=mappings)) == made.tool(*words)


@pytest.mark.parametrize("form", ["xml", "human_readable"])
def test_dump_of_thins_that_share_a_tree(tmp_path, form):
    """As snapshots do. Runs begin and end with leaves and go over their ends; numbers and steps of every size."""
    dice, at, runs = random.Random(5), 0, []
    for _ in range(6000):
        length = dice.choice((1, 1, 2, 3, 60, 130, 300))
        time = dice.choice((0, 1, dice.randrange(1 << 24)))
        runs.append((at, dice.randrange(DATA_BLOCKS - length), length, time))
        at += length + dice.choice((0, 0, 1, 127, 128, dice.randrange(1 << 40)))
    others = {thin_id: [(0, 0, 1, 0)] for thin_id in range(2, 6)}
    path = made.restore(tmp_path, made.xml({1: runs, **others}, data_blocks=DATA_BLOCKS), size_bytes=16 * made.MIB)
    with opened(str(path)) as metadata:
        top, root = metadata.superblock.mappings_root, metadata.thins[1].root
    node = bytearray(made.block(path, top))
    values = 32 + 8 * int.from_bytes(node[20:24], "little")
    for place in range(values, values + 5 * 8, 8):
        node[place : place + 8] = root.to_bytes(8, "little")
    made.write_block(path, top, made.sealed(node, made.SEEDS["node"]))
    with opened(str(path)) as metadata:
        assert b"".join(dump(metadata, form)) == made.tool("thin_dump", "-f", form, path)
        listed = list(dump(metadata, "json"))
    mappings = [thin["mappings"] for thin in json.loads(b"{" + b"".join(listed) + b"}")["devices"]]
    assert len(mappings) == 5
    assert all(one == mappings[0] for one in mappings)
    assert sum(run["length"] for run in mappings[0]) == sum(run[2] for run in runs)


def test_dump_of_one_thin(pool):
    with opened(str(pool)) as metadata:
        for thin_id in list(metadata.thins)[:3]:
            expected = made.tool("thin_dump", "--dev-id", thin_id, pool)
            assert b"".join(dump(metadata, thins=[metadata.thins[thin_id]])) == expected


def test_every_field_of_thin_ls(pool):
    expected = made.tool("thin_ls", "--no-headers", "-o", ",".join(FIELDS), pool).decode().split("\n")[:-1]
    with opened(str(pool)) as metadata:
        rows = [[str(space.value(name)) for name in FIELDS] for space in spaces(metadata, exclusive=True)]
    assert rows == [line.split() for line in expected]


def test_sound(pool):
    with opened(str(pool)) as metadata:
        report = check(metadata)
    assert report.sound
    assert not report.leaks
    made.tool("thin_check", pool)


def test_delta(pool):
    with opened(str(pool)) as metadata:
        chosen = list(metadata.thins)[:4]
        for left, right in itertools.product(chosen, chosen):
            words = ["thin_delta", "--thin1", left, "--thin2", right, pool]
            stretches = list(deltas.delta(metadata.reader, metadata.thins[left], metadata.thins[right]))
            lines = made.tool(*words).decode().splitlines()[2:-2]
            assert [
                f'    <{kind} begin="{begin}" length="{length}"/>'
                for kind, begin, length in deltas.plain(iter(stretches))
            ] == lines
            assert _verbose(stretches) == made.tool(*words[:-1], "--verbose", pool).decode().splitlines()[2:-2]


def _verbose(stretches):
    lines = []
    for kind, group in itertools.groupby(stretches, lambda stretch: stretch.kind):
        lines.append(f"    <{kind}>")
        for one in group:
            left, right = one.left, one.right
            if kind == "different":
                data = f'left_data_begin="{left}" right_data_begin="{right}"'
            else:
                data = f'data_begin="{right if left is None else left}"'
            lines.append(f'      <range begin="{one.begin}" {data} length="{one.blocks}"/>')
        lines.append(f"    </{kind}>")
    return lines


def test_delta_ends_with_the_volume(tmp_path):
    thins = {1: [(0, 0, 10, 0)], 2: [(5, 50, 10, 0)]}
    path = made.restore(tmp_path, made.xml(thins, data_blocks=100))
    with opened(str(path)) as metadata:
        stretches = deltas.delta(metadata.reader, metadata.thins[1], metadata.thins[2], below_block=12)
        assert list(deltas.plain(stretches)) == [("left_only", 0, 5), ("different", 5, 5), ("right_only", 10, 2)]


@pytest.mark.parametrize("regions", [[(0, DATA_BLOCKS)], [(3, 4)], [(10, 500), (700, 900)]])
def test_rmap(pool, regions):
    options = [word for begin, end in regions for word in ("--region", f"{begin}..{end}")]
    expected = made.tool("thin_rmap", *options, pool).decode().splitlines()
    with opened(str(pool)) as metadata:
        lines = [
            f"data {data}..{data + blocks} -> thin({thin}) {virtual}..{virtual + blocks}"
            for data, thin, virtual, blocks in uses(metadata, regions)
        ]
    assert sorted(lines) == sorted(expected)


@pytest.mark.parametrize(
    ("block_sectors", "pool_sectors", "thins"),
    [(128, 1 << 31, 1000), (128, 1024000, 1), (2048, 209715200, 17), (2097152, 1 << 40, 100000), (128, 12800, 1)],
)
def test_metadata_size(block_sectors, pool_sectors, thins):
    words = ["-b", f"{block_sectors}s", "-s", f"{pool_sectors}s", "-m", thins, "-n", "-u", "s"]
    expected = int(made.tool("thin_metadata_size", *words))
    assert metadata_sectors(block_sectors, pool_sectors, thins) == expected


@pytest.mark.parametrize("blocks", [0, 1, 6, 127, 128, 129, 131, 136, 137, 150, 1000, 131072, 131073, 139000, 1000000])
def test_sizes_as_thin_ls_writes_them(tmp_path, blocks):
    thins = {1: [(0, 0, blocks, 0)] if blocks else []}
    path = made.restore(tmp_path, made.xml(thins, data_blocks=blocks + 1), size_bytes=64 << 20)
    assert made.tool("thin_ls", "--no-headers", "-o", "MAPPED", path).decode().strip() == short_size(blocks * 65536)


COUNTS_OF = 3 * 4096 + 17


@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, COUNTS_OF - 1) | st.sampled_from([4095, 4096, COUNTS_OF - 1]),
            st.sampled_from([0, 1, 2, 3, 4, 5, 254, 255, 256, 257, 2**32 - 2, 2**32 - 1]),
            st.integers(0, 3),
        ),
        max_size=30,
    ),
    others=st.lists(st.tuples(st.integers(0, COUNTS_OF - 1), st.integers(0, 2**32 - 1)), max_size=5),
)
def test_counts(changes, others):
    """However wide they are kept: they hold what was set, and are compared by that."""
    counts, same, expected = Counts(COUNTS_OF), Counts(COUNTS_OF), {}
    for block, count, more in changes:
        counts[block] = count
        for _ in range(more):
            lib.dmctl_thin_counts_add(counts.native, block)
        expected[block] = min(count + more, 2**32 - 1)
    assert {block: counts[block] for block in range(COUNTS_OF) if counts[block]} == {
        block: count for block, count in expected.items() if count
    }
    for block, count in reversed(expected.items()):  # pages become as wide as they are in another order
        same[block] = count
    assert differences(counts, same).blocks == 0
    stored = dict(expected)
    for block, count in others:
        stored[block] = same[block] = count
    wrong = [
        (block, expected.get(block, 0), stored[block])
        for block in sorted(stored)
        if stored[block] != expected.get(block, 0)
    ]
    found = differences(counts, same)
    assert (found.blocks, found.first) == (len(wrong), wrong[:20])
    assert found.too_low == sum(says < is_ for _, is_, says in wrong)


def test_checksums():
    """CRC-32C's check value, in a block: the same by instruction and by table, for any content."""
    dice = random.Random(1)
    for _ in range(50):
        content = ffi.from_buffer(dice.randbytes(4096))
        assert lib.dmctl_thin_checksum(content, 5) == lib.dmctl_thin_checksum_by_table(content, 5)
    # RFC 3720 B.4 has 32 bytes of zeros as 8a9136aa; the remainder's register goes on from there in crc32c.
    content = dice.randbytes(4096)
    assert lib.dmctl_thin_checksum(ffi.from_buffer(content), 0) == crc32c(content[4:])
    assert crc32c(bytes(32)) ^ 0xFFFFFFFF == 0x8A9136AA


def test_no_metadata(tmp_path):
    for content in (b"", bytes(100), bytes(1 << 20), b"\xff" * 8192):
        path = tmp_path / "nothing"
        path.write_bytes(content)
        with pytest.raises(MetadataError), opened(str(path)):
            pass
