# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl verity as users call it: what it prints, how it ends."""

import json
import os
import random
import subprocess

import pytest

from guests.fixtures import dmctl_script


@pytest.fixture
def run(tmp_path):
    """run(words): exit status, output, errors."""
    (tmp_path / "data").write_bytes(random.Random(4).randbytes(4096 * 200))

    def run(line):
        command = [dmctl_script(), "verity", *line.split()]
        done = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
        )
        return done.returncode, done.stdout, done.stderr

    return run


def damage(path, *blocks):
    with open(path, "r+b") as file:
        for block in blocks:
            os.pwrite(file.fileno(), b"\0wrong", block * 4096)


def test_from_format_to_repair(run, tmp_path):
    status, out, err = run("format data hash --fec-device fec --root-hash-file root --progress")
    assert (status, err) == (0, "")
    root_hash = (tmp_path / "root").read_text()
    assert f"Root hash:      \t{root_hash}\n" in out and len(root_hash) == 64
    assert oct((tmp_path / "hash").stat().st_mode) == "0o100600"
    good = (tmp_path / "data").read_bytes()
    assert run(f"verify data hash {root_hash.upper()}") == (0, "Verified: 200 data blocks and 3 hash blocks.\n", "")
    damage(tmp_path / "data", 7, 8, 100)
    found = "data: wrong: bytes 28672 to 36863, blocks 7 to 8\ndata: wrong: bytes 409600 to 413695, block 100\n"
    assert run("verify data hash --root-hash-file root") == (6, found, "dmctl: verification of data failed.\n")
    # One round, two roots: three wrong blocks are too many.
    tell = "data: block {} at byte {} {}\n"
    lost = "".join(tell.format(block, block * 4096, "cannot be repaired") for block in (7, 8, 100))
    assert run("verify data hash --root-hash-file root --fec-device fec")[:2] == (6, found + lost)
    ended = run("repair data hash --root-hash-file root --fec-device fec")
    assert ended == (6, lost, "dmctl: 3 of 3 wrong blocks cannot be repaired.\n")
    with open(tmp_path / "data", "r+b") as file:
        os.pwrite(file.fileno(), good[100 * 4096 : 101 * 4096], 100 * 4096)
    could = "".join(tell.format(block, block * 4096, "can be repaired") for block in (7, 8))
    assert run("repair -n data hash --root-hash-file root --fec-device fec") == (0, could, "")
    assert run("repair data hash --root-hash-file root --fec-device fec")[0] == 0
    assert (tmp_path / "data").read_bytes() == good
    assert run("repair data hash --root-hash-file root --fec-device fec") == (0, "Nothing is wrong.\n", "")


def test_json(run, tmp_path):
    made = json.loads(run("format data hash --salt ab --json")[1])
    dumped = json.loads(run("dump hash --json")[1])
    assert made["output_version"]["command"] == "verity format"
    assert {name: made[name] for name in ("uuid", "salt", "data_blocks", "hash_blocks", "hash_end_bytes")} == {
        name: dumped[name] for name in ("uuid", "salt", "data_blocks", "hash_blocks", "hash_end_bytes")
    }
    damage(tmp_path / "hash", 2)
    status, out, _ = run(f"verify data hash {made['root_hash']} --json")
    told = json.loads(out)
    assert status == 6 and not told["verified"]
    assert told["damage"][0] == {
        "where": "hash", "first_block": 1, "blocks": 1, "offset_bytes": 8192, "length_bytes": 4096,
    }  # fmt: skip
    assert told["damage"][1]["where"] == "unknown" and told["damage"][1]["length_bytes"] == 128 * 4096


def test_wrong_root_hash(run):
    root_hash = json.loads(run("format data hash --json")[1])["root_hash"]
    status, out, err = run(f"verify data hash {root_hash[::-1]}")
    assert status == 6 and out.startswith("hash tree: wrong: bytes 4096 to 8191, block 0\n")
    assert err.startswith("dmctl: The top of the hash tree does not fit the root hash: ")


REFUSED = {
    "verify data hash": (2, "A root hash is needed"),
    "verify data hash 00": (2, "64 hexadecimal digits"),
    "verify data none 00": (3, "none does not exist"),
    "verify data data 00": (1, "There is no verity superblock"),
    "verify data hash --root-hash-file none": (3, "none cannot be read"),
    "verify data hash 00 --fec-device none": (3, "none does not exist"),
    "repair data hash 00": (2, "--fec-device is needed"),
    "format data new --salt xyz": (2, "--salt"),
    "format data new --hash-block-size 3": (2, "hash block size 3"),
    "format data new --hash-offset 1Q": (2, "--hash-offset"),
    "format data new --uuid x": (2, "--uuid"),
    "format data new --uuid 11111111-2222-3333-4444-555555555555 --no-superblock": (2, "exclude"),
    "format data /dev/null": (2, "neither a file nor a block device"),
    "dump data": (1, "There is no verity superblock"),
    "open data name hash 00 --ignore-corruption --panic-on-corruption": (2, "exclude"),
    "formt": (2, "Did you mean format?"),
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line, run, tmp_path):
    run("format data hash")
    status, said = REFUSED[line]
    ended = run(line)
    assert (ended[0], ended[1]) == (status, "") and said in ended[2] and ended[2].count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["data", "hash"]


def test_out_of_range(run, tmp_path):
    status, _, err = run("format data new --fec-device fec --fec-roots 25")
    assert status == 2 and "'--fec-roots': 25 is not in the range" in err
    assert os.listdir(tmp_path) == ["data"]


def test_signature_of_something_else_is_not_overwritten(run, tmp_path):
    (tmp_path / "hash").touch()
    os.truncate(tmp_path / "hash", 1 << 20)
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", tmp_path / "hash"], check=True)
    before = (tmp_path / "hash").read_bytes()
    status, _, err = run("format data hash")
    assert (status, err) == (2, "dmctl: hash holds ext4; --yes overwrites it.\n")
    assert (tmp_path / "hash").read_bytes() == before
    assert run("format data hash --yes")[0] == 0 and run("format data hash")[0] == 0
