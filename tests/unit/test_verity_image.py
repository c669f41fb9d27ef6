# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hash trees made, compared and put right; veritysetup is what they are measured by."""

import errno
import filecmp
import itertools
import os
import random
import resource
import shutil
import subprocess
import uuid as uuids
from dataclasses import replace

import pytest

from dmctl.errors import DmctlError, UsageError
from dmctl.verity.existing import open_existing
from dmctl.verity.make import Choices, make
from dmctl.verity.places import opened
from dmctl.verity.repair import Parity, repair
from dmctl.verity.superblock import SIZE_BYTES, SuperblockError
from dmctl.verity.tree import Parameters

VERITYSETUP = shutil.which("veritysetup", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
SALT = bytes(range(32))
UUID = uuids.UUID("11111111-2222-3333-4444-555555555555")
# Of 512-byte blocks with 16 digests each these are on both sides of where levels begin.
COUNTS = (1, 2, 15, 16, 17, 255, 256, 257, 4095, 4096, 4097)
# Salts that end in, at and behind the blocks of the hash algorithms.
SALTS = (b"", b"\x5a", SALT, bytes(64), bytes(range(63)) * 2, bytes(range(256)))


def veritysetup(*words):
    assert VERITYSETUP, "cryptsetup-bin is not installed"
    return subprocess.run([VERITYSETUP, *map(str, words)], capture_output=True, text=True, check=False)


def options(choices):
    """The same for veritysetup."""
    words = ["--hash", choices.algorithm, "--format", choices.hash_type, "--salt", choices.salt.hex() or "-"]
    words += ["--data-block-size", choices.data_block_bytes, "--hash-block-size", choices.hash_block_bytes]
    words += ["--hash-offset", choices.hash_offset_bytes]
    words += ["--uuid", choices.uuid] if choices.superblock else ["--no-superblock"]
    words += ["--data-blocks", choices.data_blocks] if choices.data_blocks else []
    if choices.fec_path:
        words += ["--fec-device", choices.fec_path, "--fec-roots", choices.fec_roots]
        words += ["--fec-offset", choices.fec_offset_bytes]
    return words


def choose(**chosen):
    return Choices(**{"salt": SALT, "uuid": UUID} | chosen)


def random_file(path, size_bytes, seed=1):
    path.write_bytes(random.Random(seed).randbytes(size_bytes))
    return path


def same(folder, choices, size_bytes):
    """Make it twice and compare hashes, parity and root hash."""
    data = random_file(folder / "data", size_bytes)
    made = make(str(data), str(folder / "own"), choices)
    theirs = veritysetup("format", data, folder / "theirs", *options(choices))
    assert theirs.returncode == 0, theirs
    assert f"Root hash:      \t{made.root_hash.hex()}\n" in theirs.stdout
    assert (folder / "own").read_bytes() == (folder / "theirs").read_bytes()
    return made


@pytest.mark.parametrize("count", COUNTS)
def test_level_boundaries(count, tmp_path):
    same(tmp_path, choose(data_block_bytes=512, hash_block_bytes=512), count * 512)


@pytest.mark.parametrize("algorithm", ["sha1", "sha224", "sha384", "sha512", "sha3-256", "blake2b-512", "blake2s-256"])
@pytest.mark.parametrize("hash_type", [0, 1])
def test_algorithms(algorithm, hash_type, tmp_path):
    same(tmp_path, choose(algorithm=algorithm, hash_type=hash_type, data_block_bytes=1024), 1024 * 517)


SIZES = [(512, 4096), (4096, 512), (1024, 1024), (65536, 4096), (4096, 524288), (524288, 4096)]


@pytest.mark.parametrize(("data_block", "hash_block"), SIZES)
@pytest.mark.parametrize("hash_type", [0, 1])
def test_block_sizes(data_block, hash_block, hash_type, tmp_path):
    choices = choose(data_block_bytes=data_block, hash_block_bytes=hash_block, hash_type=hash_type)
    same(tmp_path, choices, data_block * 7)


@pytest.mark.parametrize("salt", SALTS, ids=len)
@pytest.mark.parametrize("hash_type", [0, 1])
def test_salts(salt, hash_type, tmp_path):
    same(tmp_path, choose(salt=salt, hash_type=hash_type), 4096 * 130)


PLACES = {
    "no superblock": choose(superblock=False),
    "offset": choose(hash_offset_bytes=8192),
    "offset inside a block": choose(hash_offset_bytes=512),
    "no superblock, offset": choose(superblock=False, hash_offset_bytes=4096),
    "some of the data": choose(data_blocks=129),
    "one block": choose(data_blocks=1),
    "one block, no superblock": choose(data_blocks=1, superblock=False),
}


@pytest.mark.parametrize("case", PLACES)
def test_places(case, tmp_path):
    same(tmp_path, PLACES[case], 4096 * 300)


# cryptsetup's tests/verity-compat-test: 8 MiB of zeros, sha256.
VECTORS = {
    512: "9de18652fe74edfb9b805aaed72ae2aa48f94333f1ba5c452ac33b1c39325174",
    1024: "54d92778750495d1f80832b486ebd007617d746271511bbf0e295e143da2b3df",
    4096: "e522df0f97da4febb882ac40f30b37dc0b444bf6df418929463fa25280f09d5c",
}


@pytest.mark.parametrize("block_bytes", VECTORS)
def test_published_root_hashes(block_bytes, tmp_path):
    (tmp_path / "data").touch()
    os.truncate(tmp_path / "data", 8 << 20)
    salt = bytes.fromhex("e48da609055204e89ae53b655ca2216dd983cf3cb829f34f63a297d106d53e2d")
    choices = Choices(salt=salt, data_block_bytes=block_bytes, hash_block_bytes=block_bytes)
    made = make(str(tmp_path / "data"), str(tmp_path / "hash"), choices)
    assert made.root_hash.hex() == VECTORS[block_bytes]


@pytest.mark.parametrize("roots", [2, 24])
def test_all_in_one_file(roots, tmp_path):
    own, theirs = tmp_path / "own", tmp_path / "theirs"
    for path in (own, theirs):
        random_file(path, 2 << 20)
    at = {"data_blocks": 300, "hash_offset_bytes": 300 * 4096, "fec_offset_bytes": 400 * 4096, "fec_roots": roots}
    made = make(str(own), str(own), choose(fec_path=str(own), **at))
    result = veritysetup("format", theirs, theirs, *options(choose(fec_path=str(theirs), **at)))
    assert made.root_hash.hex() in result.stdout
    assert own.read_bytes() == theirs.read_bytes()


def test_file_of_hashes_that_is_there_already(tmp_path):
    """What is behind the tree stays, and parity is over it."""
    for name in ("own", "theirs"):
        random_file(tmp_path / name, 4096 * 40, seed=7)
    data = random_file(tmp_path / "data", 4096 * 300)
    make(str(data), str(tmp_path / "own"), choose(fec_path=str(tmp_path / "own-fec"), fec_roots=5))
    more = choose(fec_path=str(tmp_path / "theirs-fec"), fec_roots=5)
    assert veritysetup("format", data, tmp_path / "theirs", *options(more)).returncode == 0
    for own, theirs in (("own", "theirs"), ("own-fec", "theirs-fec")):
        assert (tmp_path / own).read_bytes() == (tmp_path / theirs).read_bytes()


# With parity the data are read in the order of its codewords, and hashed on the way: here the pieces of a row are one
# block, many, end in the middle of a hash block and with it; digests fill their slots or not; blocks are too large.
READ_ONCE = [
    *[(4096, "sha256", 1, blocks, 2) for blocks in (1, 2, 127, 128, 129, 253, 254, 16513)],
    *[(512, "sha256", 1, blocks, 2) for blocks in (1, 2, 15, 16, 17, 4097, 33000)],
    (4096, "sha1", 0, 3000, 3),
    (4096, "sha384", 0, 3000, 24),
    (4096, "sha384", 1, 3000, 2),
    (1024, "sha512", 1, 5000, 2),
    (512, "blake2b-512", 0, 5000, 7),
    (131072, "sha256", 1, 60, 2),
    (262144, "sha256", 1, 20, 2),
]


@pytest.mark.parametrize(("block", "algorithm", "hash_type", "blocks", "roots"), READ_ONCE)
@pytest.mark.parametrize("holes", [False, True], ids=["full", "holes"])
def test_parity_and_tree_in_one_pass(block, algorithm, hash_type, blocks, roots, holes, tmp_path):
    data = tmp_path / "data"
    if holes:
        with data.open("wb") as file:
            file.truncate(block * blocks)
            for at in range(0, blocks, 1 + blocks // 5):
                os.pwrite(file.fileno(), random.Random(at).randbytes(3 * block), at * block)
            file.truncate(block * blocks)
    else:
        random_file(data, block * blocks)
    made = []
    for name in ("own", "theirs"):  # every byte of the tree has to be written: there is something else now
        random_file(tmp_path / name, block * (blocks // 2 + 5), seed=3)
        made.append(
            choose(
                **{
                    "data_block_bytes": block,
                    "hash_block_bytes": block,
                    "algorithm": algorithm,
                    "hash_type": hash_type,
                },
                **{"fec_path": str(tmp_path / f"{name}-fec"), "fec_roots": roots, "superblock": False},
            )
        )
    make(str(data), str(tmp_path / "own"), made[0], threads=3)
    assert veritysetup("format", data, tmp_path / "theirs", *options(made[1])).returncode == 0
    for own, theirs in (("own", "theirs"), ("own-fec", "theirs-fec")):
        assert filecmp.cmp(tmp_path / own, tmp_path / theirs, shallow=False), own


def test_progress_with_parity_does_not_go_back(tmp_path):
    """The data, and then what is left of the code's blocks: the tree of 16 blocks and one above them."""
    data, seen = random_file(tmp_path / "data", 2048 * 4096), []
    choices = choose(fec_path=str(tmp_path / "fec"))
    make(str(data), str(tmp_path / "hash"), choices, progress=lambda *numbers: seen.append(numbers))
    assert seen == sorted(seen)
    assert (2048, 2065) in seen
    assert seen[-1] == (2065, 2065)


def test_digests_that_cannot_be_written_beside_parity(tmp_path):
    """The file system takes no more at 64 MiB, where the tree is."""
    data = random_file(tmp_path / "data", 4 << 20)
    with (tmp_path / "hash").open("wb") as file:
        file.truncate(70 << 20)
    choices = choose(fec_path=str(tmp_path / "fec"), hash_offset_bytes=65 << 20, superblock=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, before[1]))
    try:
        with pytest.raises(
            DmctlError, match=r"^Writing the hash blocks at byte [0-9]* failed: File too large\.$"
        ) as told:
            make(str(data), str(tmp_path / "hash"), choices)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert told.value.errno == errno.EFBIG
    assert not (tmp_path / "fec").exists()


def test_each_verifies_the_other(tmp_path):
    data = random_file(tmp_path / "data", 4096 * 200)
    made = make(str(data), str(tmp_path / "own"), choose())
    assert veritysetup("verify", data, tmp_path / "own", made.root_hash.hex()).returncode == 0
    result = veritysetup("format", data, tmp_path / "theirs")
    root_hash = bytes.fromhex(result.stdout.split("Root hash:")[1].split()[0])
    assert damages(data, tmp_path / "theirs", root_hash) == []


def damages(data, hashes, root_hash, **more):
    with open_existing(str(data), str(hashes), **more) as there:
        return [(one.where, one.offset_bytes, one.length_bytes) for one in there.image.damages(root_hash)]


@pytest.fixture
def small(tmp_path):
    """Data of three levels, with parity: the folder and the root hash."""
    random_file(tmp_path / "data", 512 * 300)
    choices = choose(data_block_bytes=512, hash_block_bytes=512, fec_path=str(tmp_path / "fec"), fec_roots=4)
    return tmp_path, make(str(tmp_path / "data"), str(tmp_path / "hash"), choices).root_hash


def flip(path, bit):
    with open(path, "r+b") as file:
        byte = os.pread(file.fileno(), 1, bit // 8)[0]
        os.pwrite(file.fileno(), bytes([byte ^ 1 << bit % 8]), bit // 8)


def test_each_flipped_bit_of_the_data_is_found_where_it_is(small):
    folder, root_hash = small
    for bit in random.Random(2).sample(range(8 * 512 * 300), 1500):
        flip(folder / "data", bit)
        assert damages(folder / "data", folder / "hash", root_hash) == [("data", bit // 4096 * 512, 512)]
        flip(folder / "data", bit)
    assert damages(folder / "data", folder / "hash", root_hash) == []


def test_each_flipped_bit_of_the_tree_is_found_where_it_is(small):
    folder, root_hash = small
    end = (folder / "hash").stat().st_size
    for bit in random.Random(3).sample(range(8 * SIZE_BYTES, 8 * end), 1500):
        flip(folder / "hash", bit)
        found = damages(folder / "data", folder / "hash", root_hash)
        assert found[0] == ("hash", bit // 4096 * 512, 512)
        assert all(where == "unknown" for where, *_ in found[1:])
        flip(folder / "hash", bit)


def test_flipped_bits_of_the_superblock(small):
    """Nothing hangs on the uuid. The rest is refused, found where it is, or makes it another tree."""
    folder, root_hash = small
    for bit in range(8 * SIZE_BYTES):
        if 16 <= bit // 8 < 32:
            continue
        flip(folder / "hash", bit)
        try:
            with open_existing(str(folder / "data"), str(folder / "hash")) as there:
                wrong = list(there.stray_bytes) == [bit // 8]
                try:
                    wrong |= any(there.image.damages(root_hash))
                except UsageError:
                    wrong = True
            assert wrong, bit
        except (SuperblockError, UsageError):
            pass
        flip(folder / "hash", bit)


def test_padding(tmp_path):
    """A tree with something behind its digests, and all hashes right: veritysetup calls it wrong, too."""
    data = random_file(tmp_path / "data", 512 * 3)
    choices = choose(data_block_bytes=512, hash_block_bytes=512, superblock=False)
    make(str(data), str(tmp_path / "hash"), choices)
    flip(tmp_path / "hash", 8 * 511)
    parameters = parameters_of(choices, 3)
    root_hash = parameters.hasher().digest((tmp_path / "hash").read_bytes())
    found = damages(data, tmp_path / "hash", root_hash, parameters=parameters)
    assert found == [("padding", 0, 512)]
    result = veritysetup("verify", data, tmp_path / "hash", root_hash.hex(), *options(replace(choices, data_blocks=3)))
    assert result.returncode and "Spare area is not zeroed" in result.stderr


def parameters_of(choices, blocks):
    return Parameters(
        blocks,
        choices.data_block_bytes,
        choices.hash_block_bytes,
        choices.algorithm,
        choices.salt,
        choices.hash_type,
    )


def test_everything_wrong_is_one_line(small):
    folder, root_hash = small
    (folder / "data").write_bytes(bytes(512 * 300))
    assert damages(folder / "data", folder / "hash", root_hash) == [("data", 0, 512 * 300)]


def test_below_wrong_hashes_nothing_is_known(small):
    """Leaf block 2 holds the digests of the blocks 32 to 47; block 40 is wrong as well, and so is 50."""
    folder, root_hash = small
    leaf = SIZE_BYTES + 512 * (1 + 2 + 2)  # behind the levels of one and of two blocks
    flip(folder / "hash", 8 * leaf)
    for block in (40, 50):
        flip(folder / "data", 8 * 512 * block)
    assert damages(folder / "data", folder / "hash", root_hash) == [
        ("hash", leaf, 512),
        ("data", 512 * 50, 512),
        ("unknown", 512 * 32, 512 * 16),
    ]


def put_right(folder, root_hash, *, dry_run=False, roots=4):
    with (
        open_existing(str(folder / "data"), str(folder / "hash"), write=not dry_run) as there,
        opened(str(folder / "fec")) as place,
    ):
        return list(repair(there, Parity(place, 0, roots), root_hash, dry_run=dry_run))


@pytest.mark.parametrize("seed", range(8))
def test_repair_of_data_and_tree(seed, small):
    """Up to as many blocks in a round as there are roots, wherever they are; two rounds are neighbours."""
    folder, root_hash = small
    before = [(folder / name).read_bytes() for name in ("data", "hash")]
    chosen = random.Random(seed)
    message = 300 + (len(before[1]) - SIZE_BYTES) // 512
    rounds = -(-message // 251)
    wrong = set()
    for number in range(rounds):
        wrong.update(chosen.sample(range(number, message, rounds), chosen.randint(1, 4)))
    for block in wrong:
        name, at = ("data", block * 512) if block < 300 else ("hash", SIZE_BYTES + (block - 300) * 512)
        with open(folder / name, "r+b") as file:
            os.pwrite(file.fileno(), chosen.randbytes(512), at)
    damaged = [(folder / name).read_bytes() for name in ("data", "hash")]
    told = put_right(folder, root_hash, dry_run=True)
    assert [(folder / name).read_bytes() for name in ("data", "hash")] == damaged
    outcomes = put_right(folder, root_hash)
    assert outcomes == told
    assert len(outcomes) == len(wrong) and all(outcome.repaired for outcome in outcomes)
    assert [(folder / name).read_bytes() for name in ("data", "hash")] == before
    assert put_right(folder, root_hash) == []


def test_what_cannot_be_repaired_is_left_as_it_is(small):
    """Five blocks of one round and one of another."""
    folder, root_hash = small
    before = (folder / "data").read_bytes()
    damaged = bytearray(before)
    for block in (0, 2, 4, 6, 8, 11):
        damaged[block * 512 : block * 512 + 512] = b"\xa5" * 512
    (folder / "data").write_bytes(damaged)
    outcomes = put_right(folder, root_hash)
    assert [(one.block, one.repaired) for one in outcomes] == [
        (11, True),
        *((block, False) for block in (0, 2, 4, 6, 8)),
    ]
    damaged[11 * 512 : 12 * 512] = before[11 * 512 : 12 * 512]
    assert (folder / "data").read_bytes() == damaged


def test_wrong_root_hash_or_parity_repairs_nothing(small):
    folder, root_hash = small
    flip(folder / "data", 5)
    damaged = [(folder / name).read_bytes() for name in ("data", "hash")]
    assert [one.repaired for one in put_right(folder, bytes(32))] == [False]
    (folder / "fec").write_bytes(random.Random(9).randbytes((folder / "fec").stat().st_size))
    assert [one.repaired for one in put_right(folder, root_hash)] == [False]
    assert [(folder / name).read_bytes() for name in ("data", "hash")] == damaged


class Stopped(Exception):
    pass


def test_interrupted_format_leaves_no_superblock(tmp_path):
    data, hashes = random_file(tmp_path / "data", 8 << 20), tmp_path / "hash"
    root_hash = make(str(data), str(hashes), choose()).root_hash

    def stop(done, blocks):
        raise Stopped

    with pytest.raises(Stopped):
        make(str(data), str(hashes), choose(salt=b"other"), progress=stop)
    with pytest.raises(SuperblockError):
        damages(data, hashes, root_hash)
    assert veritysetup("verify", data, hashes, root_hash.hex()).returncode != 0
    with pytest.raises(Stopped):
        make(str(data), str(tmp_path / "new"), choose(fec_path=str(tmp_path / "parity")), progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "hash"}


REFUSED = {
    "one place": ({"hash_offset_bytes": 4096}, "data", "data-blocks"),
    "overlap": ({"hash_offset_bytes": 4096, "data_blocks": 2}, "data", "overlap"),
    "data too short": ({"data_blocks": 11}, "hash", "too few"),
    "no data block": ({"data_block_bytes": 65536}, "hash", "not whole blocks"),
    "block size": ({"data_block_bytes": 1000}, "hash", "1000"),
    "hash block size": ({"hash_block_bytes": 1 << 20}, "hash", "1048576"),
    "algorithm": ({"algorithm": "sha257"}, "hash", "sha257"),
    "hash type": ({"hash_type": 2}, "hash", "type 2"),
    "offset": ({"hash_offset_bytes": 100}, "hash", "100"),
    "roots": ({"fec_path": "FEC", "fec_roots": 25}, "hash", "25"),
    "fec offset": ({"fec_path": "FEC", "fec_offset_bytes": 5}, "hash", "5"),
    "fec over data": ({"fec_path": "data"}, "hash", "overlap"),
    "fec block sizes": ({"fec_path": "FEC", "hash_block_bytes": 1024}, "hash", "same size"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_and_nothing_made(case, tmp_path, monkeypatch):
    more, hashes, said = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    before = random_file(tmp_path / "data", 40960).read_bytes()
    with pytest.raises(UsageError, match=said):
        make("data", hashes, choose(**more))
    assert os.listdir(tmp_path) == ["data"] and (tmp_path / "data").read_bytes() == before


def test_data_that_are_not_whole_blocks(tmp_path):
    random_file(tmp_path / "data", 4096 * 3 + 1)
    with pytest.raises(UsageError, match="12289 bytes"):
        make(str(tmp_path / "data"), str(tmp_path / "hash"), choose())
    same(tmp_path, choose(cut_data=True), 4096 * 3 + 1)


def test_no_such_file(tmp_path):
    with pytest.raises(DmctlError, match="none does not exist"):
        make(str(tmp_path / "none"), str(tmp_path / "hash"), choose())
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_holes(threads, tmp_path):
    """More than what is read at once, half of it holes."""
    data = tmp_path / "data"
    with open(data, "wb") as file:
        for part in range(6):
            file.seek(part * (3 << 20) + 512 * part)
            file.write(random.Random(part).randbytes(1 << 20))
        file.truncate(4096 * 5000)
    made = make(str(data), str(tmp_path / "own"), choose(), threads=threads)
    assert made.root_hash.hex() in veritysetup("format", data, tmp_path / "theirs", *options(choose())).stdout
    assert (tmp_path / "own").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_progress_reaches_the_end(tmp_path):
    data = random_file(tmp_path / "data", 512 * 5000)
    told = []
    choices = choose(data_block_bytes=512, hash_block_bytes=512)
    make(str(data), str(tmp_path / "hash"), choices, progress=lambda done, blocks: told.append((done, blocks)))
    assert told[-1] == (told[-1][1], told[-1][1]) and told[-1][1] == 5000 + 313 + 20 + 2
    assert all(earlier <= later for (earlier, _), (later, _) in itertools.pairwise(told))
