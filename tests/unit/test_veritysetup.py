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
UUID = "11111111-2222-3333-4444-555555555555"
NAMED = f"-s {SALT} --uuid {UUID}"
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
    "-v frob",
    "format data",
    f"format data new {NAMED} --",
    f"format {NAMED} -- data new extra",
    f"format data new --uuid {UUID} --salt=",
    f"format data new {NAMED} --data-block-size 8192",
    f"format data new --uuid {UUID} -vs ab",
    f"format data new --uuid {UUID} -s=ab",
    f"format data new {NAMED} --root-hash-file nodir/x",
    "format dir new",
    "format data dir",
    "format data nodir/x",
    "format data new --fec-device nodir/x",
    "format data new --fec-device data",
    "format data data --hash-offset 4096",
    "format data new --hash-offset 100",
    "format data new --fec-device newfec --fec-offset 100",
    "format data new --fec-device newfec --fec-roots 25",
    "format data new --fec-device newfec --data-block-size 1024",
    "format data new --hash-block-size 1048576",
    "format data new --data-block-size 4294967296",
    "format data new --data-blocks 18446744073709551615",
    "format data new --data-blocks 18446744073709551616",
    "format data new --format -1",
    "format data new --salt abc",
    "format data new -h",
    "format data new --fec-device newfec --hash nope",
    "format data new --fec-device data --fec-offset 0 --data-blocks 2",
    "format data new -vX",
    "format data new --debug=1",
    "format data new --ignore-corruption",
    "verify data short ROOT",
    "verify data tiny ROOT",
    "verify data version2 ROOT",
    "verify data type7 ROOT",
    "verify data oddblocks ROOT",
    "verify data nohash ROOT",
    "verify data hugesalt ROOT",
    "verify data hugedata ROOT",
    "verify dir hash ROOT",
    "verify data hash 0g",
    "verify data hash ROOT extra",
    "verify data hash --root-hash-file rootline",
    "verify data hash --root-hash-file empty",
    "verify data hash --root-hash-file dir",
    "verify data hash WRONG --fec-device fec",
    "verify verybad hash ROOT --fec-device fec",
    "verify data badhash ROOT --fec-device fec",
    "verify bad hash ROOT --fec-device fec --fec-roots 4",
    "verify data hash ROOT --fec-device none",
    f"verify data hash ROOT --no-superblock --hash-offset 4096 -s {SALT}",
    "verify data hash ROOT --no-superblock",
    "dump type7",
    "dump tiny",
    "dump dir",
    "dump hash --hash-offset 100",
    "dump hash --hash-offset 4096",
    "dump hash --data-blocks 4",
    "create name",
    "open data name hash",
    "open data name hash ROOT --ignore-corruption --restart-on-corruption",
    "open data name hash ROOT --panic-on-corruption --restart-on-corruption",
    "close --deferred --cancel-deferred name",
    "status --deferred name",
]
# Byte of the superblock, and what it becomes.
DAMAGED = {
    "version2": (8, 2),
    "type7": (12, 7),
    "oddblocks": (64, 3),
    "nohash": (32, ord("A")),
    "hugesalt": (81, 9),
    "hugedata": (76, 200),
    "badhash": (9000, None),
}


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
    for at in range(0, len(content), 4096):
        content[at] ^= 1
    (folder / "verybad").write_bytes(content)
    tree = (folder / "hash").read_bytes()
    for name, (at, byte) in DAMAGED.items():
        (folder / name).write_bytes(tree[:at] + bytes([tree[at] ^ 1 if byte is None else byte]) + tree[at + 1 :])
    (folder / "short").write_bytes(tree[:5000])
    (folder / "tiny").write_bytes(tree[:100])
    (folder / "empty").touch()
    (folder / "rootline").write_text(f"{root_hash}\nand more")
    (folder / "dir").mkdir()
    return folder, root_hash


@pytest.mark.parametrize("line", LINES)
def test_same(line, made, tmp_path, monkeypatch, capfdbinary):
    folder, root_hash = made
    words = [{"ROOT": root_hash, "WRONG": root_hash[::-1]}.get(word, word) for word in line.split()]
    before = times(folder)
    ends = []
    for place in ("real", "own"):
        # None of these lines writes to a file that is there.
        shutil.copytree(folder, tmp_path / place, copy_function=os.link)
        monkeypatch.chdir(tmp_path / place)
        if place == "real":
            done = subprocess.run(["veritysetup", *words], executable=REAL, capture_output=True, check=False)
            status, out, err = done.returncode, done.stdout, done.stderr
        else:
            status = veritysetup.run(words)
            stream.flush()
            out, err = capfdbinary.readouterr()
        files = {path.name: path.read_bytes() for path in (tmp_path / place).iterdir() if path.name not in before}
        if status:  # the files that it has made stay, with whatever is in them by then
            files = dict.fromkeys(files)
        ends.append((status, out, told(err), files))
    assert ends[0] == ends[1]
    assert times(folder) == before


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def told(err):
    """The first line; for a line that is none, what is said behind the usage too."""
    lines = err.decode().splitlines()
    return lines[:1] + (lines[-1:] if lines and lines[0].startswith("Usage: ") else [])


def test_root_hash_file_that_is_not_there(made, monkeypatch, capfdbinary):
    """Which veritysetup tells, and then ends with 0."""
    folder, _ = made
    monkeypatch.chdir(folder)
    assert veritysetup.run(["verify", "data", "hash", "--root-hash-file", "none"]) == 1
    assert capfdbinary.readouterr().err == b"Cannot read root hash file none.\n"


def test_usage(capfdbinary):
    """As the real one's, but for the options that only newer ones have."""
    assert veritysetup.run(["--usage"]) == 0
    own = capfdbinary.readouterr().err.decode().split()
    real = subprocess.run(["veritysetup", "--usage"], executable=REAL, capture_output=True, check=True).stderr.decode()
    assert [word for word in own if word not in ("[--error-as-corruption]", "[--shared]")] == real.split()
