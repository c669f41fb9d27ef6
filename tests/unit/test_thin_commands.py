# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command lines of dmctl thin that need no kernel, run as a user would."""

import json
import subprocess

import pytest

import thin_metadata as made
from guests.fixtures import dmctl_script


def dmctl(*words, stdin=b""):
    return subprocess.run([dmctl_script(), "thin", *map(str, words)], input=stdin, capture_output=True, check=False)


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    thins = {1: [(0, 0, 10, 0)], 7: [(0, 0, 4, 0), (9, 50, 3, 1)]}
    return made.restore(tmp_path_factory.mktemp("thin"), made.xml(thins, data_blocks=100))


@pytest.mark.parametrize("words", [["snapshot"], ["pool", "create"], ["blob", "get"], ["ls"]])
def test_help(words):
    done = dmctl(*words, "--help")
    assert done.returncode == 0 and f"Usage: dmctl thin {' '.join(words)} ".encode() in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["pool"], b"thin pool needs one of create, open,"),
        (["pool", "creat"], b"Did you mean pool create"),
        (["snapshoot"], b"Did you mean snapshot"),
        (["blob", "--help"], b"thin blob needs one of get, set behind it"),
    ],
)
def test_unknown(words, text):
    done = dmctl(*words)
    assert done.returncode == 2 and text in done.stderr


def test_options_before_operands(metadata):
    told = json.loads(dmctl("ls", "--json", metadata).stdout)
    assert [one["thin_id"] for one in told["thins"]] == [1, 7]


def test_json_of_a_dump(metadata):
    told = json.loads(dmctl("dump", "-f", "json", metadata).stdout)
    assert told["superblock"]["nr_data_blocks"] == 100
    assert [len(one["mappings"]) for one in told["devices"]] == [1, 2]
    bare = json.loads(dmctl("dump", "-f", "json", "--skip-mappings", metadata).stdout)
    assert [one["thin_id"] for one in bare["devices"]] == [1, 7] and "mappings" not in bare["devices"][0]


def test_json_of_a_delta(metadata):
    told = json.loads(dmctl("delta", "--thin1", 1, "--thin2", 7, metadata, "--json").stdout)
    kinds = [(one["kind"], one["begin_blocks"], one["length_blocks"]) for one in told["ranges"]]
    assert kinds == [("same", 0, 4), ("left_only", 4, 5), ("different", 9, 1), ("right_only", 10, 2)]


@pytest.mark.parametrize(
    ("unit", "size"), [("s", "1t"), ("k", "1t"), ("m", "1t"), ("M", "1t"), ("t", "1t"), ("b", "100g"), ("g", "1g")]
)
def test_metadata_size(unit, size):
    words = ["--block-size", "64k", "--pool-size", size, "--max-thins", "1000", "--unit", unit, "--numeric-only"]
    theirs = ["-b", "64k", "-s", size, "-m", "1000", "-u", unit, "-n"]
    assert dmctl("metadata-size", *words).stdout == made.tool("thin_metadata_size", *theirs)


def test_output_into_a_file(metadata, tmp_path):
    assert dmctl("dump", metadata, "-o", tmp_path / "x").returncode == 0
    assert (tmp_path / "x").read_bytes() == made.tool("thin_dump", metadata)
    assert dmctl("dump", metadata, "-o", tmp_path).returncode == 1


def test_damage_is_told(metadata, tmp_path):
    broken = tmp_path / "broken"
    content = bytearray(metadata.read_bytes())
    root = int.from_bytes(content[320:328], "little")
    content[root * made.BLOCK + 100] ^= 1
    broken.write_bytes(content)
    listed = dmctl("ls", broken)
    assert listed.returncode == 6 and b"What could be read is listed" in listed.stderr
    checked = dmctl("check", broken, "--json")
    assert checked.returncode == 6 and json.loads(checked.stdout)["damages"][0]["block"] == root
    assert dmctl("check", "-q", broken).stdout == b""
