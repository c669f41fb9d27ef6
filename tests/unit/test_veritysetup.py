# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl as veritysetup, on files: what it prints and how it ends, compared with the real one."""

import os
import random
import shutil
import subprocess

import pytest

from dmctl.cli import stream, veritysetup

REAL = shutil.which("veritysetup", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
SALT = "ab" * 32
NAMED = f"-s {SALT} --uuid 11111111-2222-3333-4444-555555555555"
LINES = [
    f"format data new {NAMED}",
    f"format data new {NAMED} --format=0 -h sha512",
    f"-v format data new {NAMED} --no-superblock",
    f"format odd new {NAMED}",
    f"format data new {NAMED} --hash-offset 4096 --data-blocks 7",
    f"format data new {NAMED} --fec-device newfec --fec-roots 4 --root-hash-file written",
    f"format data new {NAMED} --fec-device=newfec --data-block-size 1024 --hash-block-size 1024",
    "verify data hash ROOT",
    "-v verify data hash ROOT",
    "verify data hash --root-hash-file root",
    "verify bad hash ROOT",
    "-v verify bad hash ROOT",
    "verify bad hash ROOT --fec-device fec",
    "-vverify bad hash ROOT",
    "verify data badhash ROOT",
    "verify data hash WRONG",
    "-v verify data hash 00",
    "verify data none ROOT",
    "-v verify none hash ROOT",
    "verify data hash",
    "verify data hash ROOT --deferred",
    "dump hash",
    "dump data",
    "dump none",
    "-v dump none",
    "format data",
    "format none new",
    "format data data",
    "format data new --frob",
    "format data new --salt zz",
    "format data new --salt",
    "format data new --hash foo",
    "format data new --format 2",
    "format data new --data-blocks abc",
    "format data new --data-blocks 9999",
    "format data new --data-block-size 1000",
    "format data new --uuid abc",
    "format data new -X",
    "open data",
    "close",
    "frob",
    "",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder to be copied, and the root hash."""
    folder = tmp_path_factory.mktemp("made")
    content = bytearray(random.Random(1).randbytes(4096 * 200))
    (folder / "data").write_bytes(content)
    (folder / "odd").write_bytes(content[:-5])
    done = subprocess.run(
        [REAL, "format", "data", "hash", "--fec-device", "fec", "-s", SALT], cwd=folder, capture_output=True, check=True
    )
    root_hash = done.stdout.decode().split("Root hash:")[1].split()[0]
    (folder / "root").write_text(root_hash)
    content[500000] ^= 1
    (folder / "bad").write_bytes(content)
    tree = bytearray((folder / "hash").read_bytes())
    tree[9000] ^= 1
    (folder / "badhash").write_bytes(tree)
    return folder, root_hash


@pytest.mark.parametrize("line", LINES)
def test_same(line, made, tmp_path, monkeypatch, capfdbinary):
    folder, root_hash = made
    words = [{"ROOT": root_hash, "WRONG": root_hash[::-1]}.get(word, word) for word in line.split()]
    ends = []
    for place in ("real", "own"):
        shutil.copytree(folder, tmp_path / place)
        monkeypatch.chdir(tmp_path / place)
        if place == "real":
            done = subprocess.run([REAL, *words], capture_output=True, check=False)
            status, out = done.returncode, done.stdout
        else:
            status = veritysetup.run(words)
            stream.flush()
            out = capfdbinary.readouterr().out
        files = {path.name: path.read_bytes() for path in (tmp_path / place).iterdir()}
        if status:  # what it leaves of a file that it has made is its own
            files = {name: files[name] for name in os.listdir(folder)}
        ends.append((status, out, files))
    assert ends[0] == ends[1]
