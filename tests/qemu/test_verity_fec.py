# SPDX-License-Identifier: LGPL-2.1-or-later
"""Error correction by the kernel with parity that dmctl or veritysetup has made, and what only newer kernels know."""

import errno
import os
import random
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmctl.cli.main import main
from dmctl.targets.verity import VerityArguments
from dmctl.verity import device as verity
from dmctl.verity.make import Choices, make
from guests.kernel_state import DMSETUP

BLOCK = 4096
BLOCKS = 700  # more than two rounds of 253
VERITYSETUP = "/usr/sbin/veritysetup"


@pytest.fixture(scope="module", autouse=True)
def _module():
    subprocess.run(["modprobe", "dm-verity"], check=True)


class Image:
    """Data, tree and parity in files, and a copy of the data."""

    def __init__(self, folder, roots, *, by_veritysetup=False):
        self.roots = roots
        self.data, self.hashes, self.parity = (str(folder / name) for name in ("data", "hash", "fec"))
        self.good = random.Random(roots).randbytes(BLOCKS * BLOCK)
        Path(self.data).write_bytes(self.good)
        if by_veritysetup:
            words = ("format", self.data, self.hashes, f"--fec-device={self.parity}", f"--fec-roots={roots}")
            told = subprocess.run([VERITYSETUP, *words], capture_output=True, text=True, check=True).stdout
            self.root_hash = told.split("Root hash:")[1].split()[0]
        else:
            choices = Choices(fec_path=self.parity, fec_roots=roots)
            self.root_hash = make(self.data, self.hashes, choices).root_hash.hex()

    @contextmanager
    def opened(self, name, **others):
        """The device's path, for the length of the block."""
        features = verity.Features(fec_path=self.parity, fec_roots=self.roots, **others)
        verity.open_device(name, self.data, self.hashes, self.root_hash, features=features)
        try:
            yield Path("/dev/mapper", name)
        finally:
            verity.close_device(name)


def dmsetup(command, name):
    """The words of the kernel's answer after the target's name."""
    return subprocess.run([DMSETUP, command, name], capture_output=True, text=True, check=True).stdout.split()[3:]


def damage(path, blocks):
    with open(path, "r+b") as file:
        for block in blocks:
            os.pwrite(file.fileno(), random.Random(block).randbytes(BLOCK), block * BLOCK)


# Each root takes part in one codeword with the block a round further on: with r rounds, blocks 0, r, 2r … meet.
ROUNDS = {2: 3, 9: 3}


@pytest.mark.parametrize("roots", [2, 9])
@pytest.mark.parametrize("by_veritysetup", [False, True], ids=["dmctl", "veritysetup"])
def test_damaged_blocks_read_as_they_were(tmp_path, prefix, roots, by_veritysetup):
    """As many as a codeword has roots, for the kernel knows by the hashes which are wrong; in the tree one block."""
    image = Image(tmp_path, roots, by_veritysetup=by_veritysetup)
    wrong = [5 + number * ROUNDS[roots] for number in range(roots)]
    damage(image.data, wrong)
    # Of the tree: superblock, top, and leaves behind it.
    damage(image.hashes, [4])
    with image.opened(prefix + "f") as path:
        assert path.read_bytes() == image.good
    # That it is the parity which has helped.
    image.parity = None
    with image.opened(prefix + "f") as path, pytest.raises(OSError, match="Input/output error"):
        path.read_bytes()


def test_beyond_the_reach(tmp_path, prefix):
    """One block more than there are roots in a codeword: it cannot be read, and what is beside it can."""
    image = Image(tmp_path, 2)
    damage(image.data, [5, 8, 11])
    with image.opened(prefix + "f") as path, path.open("rb", buffering=0) as file:
        with pytest.raises(OSError) as failed:
            os.pread(file.fileno(), BLOCK, 8 * BLOCK)
        assert failed.value.errno == errno.EIO
        assert os.pread(file.fileno(), BLOCK, 400 * BLOCK) == image.good[400 * BLOCK : 401 * BLOCK]


def test_veritysetup_opens_what_dmctl_made(tmp_path, prefix):
    image, name = Image(tmp_path, 2), prefix + "f"
    damage(image.data, [100, 200])
    words = ("open", image.data, name, image.hashes, image.root_hash, f"--fec-device={image.parity}")
    subprocess.run([VERITYSETUP, *words], check=True)
    try:
        assert Path("/dev/mapper", name).read_bytes() == image.good
    finally:
        verity.close_device(name)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"on_error": "restart"}, "restart_on_error"),
        ({"on_error": "panic"}, "panic_on_error"),
        ({"on_corruption": "ignore", "on_error": "panic"}, "ignore_corruption panic_on_error"),
        ({"try_verify_in_tasklet": True, "check_at_most_once": True}, "check_at_most_once try_verify_in_tasklet"),
    ],
)
def test_features(tmp_path, prefix, features, words):
    """What the kernel prints of them, and what is told of the device."""
    image, name = Image(tmp_path, 2), prefix + "f"
    verity.open_device(name, image.data, image.hashes, image.root_hash, features=verity.Features(**features))
    try:
        table = dmsetup("table", name)
        assert " ".join(table[11:]) == words
        assert verity.look_at(name).arguments == VerityArguments.parse_params(" ".join(table))
        assert all(getattr(verity.look_at(name).arguments, key) == value for key, value in features.items())
    finally:
        verity.close_device(name)


def test_status(tmp_path, prefix, capfd):
    """The command beside dmsetup: each option, and what becomes of the device at a block beyond the reach."""
    image, name = Image(tmp_path, 9), prefix + "f"
    damage(image.data, range(5, 5 + 10 * ROUNDS[9], ROUNDS[9]))

    def told():
        assert main(["dmctl", "verity", "status", name]) == 0
        return dict(line.strip().split(":", 1) for line in capfd.readouterr().out.splitlines() if ":" in line)

    options = {"on_corruption": "ignore", "on_error": "restart", "ignore_zero_blocks": True}
    with image.opened(name, **options) as path:
        words = dmsetup("table", name)[11:]
        flags = ["ignore_corruption", "restart_on_error", "ignore_zero_blocks"]
        assert sorted(words[:3]) == sorted(flags)
        values = dict(zip(words[3::2], words[4::2], strict=True))
        before = told()
        assert sorted(before["flags"].split()) == sorted(words[:3])
        assert before["FEC roots"].strip() == values["fec_roots"] == "9"
        assert before["FEC offset"].split()[0] == values["fec_start"] == "0"
        assert before["FEC loop"].strip() == image.parity
        node = os.stat(before["FEC device"].strip()).st_rdev
        assert f"{os.major(node)}:{os.minor(node)}" == values["use_fec_from_device"]
        assert (dmsetup("status", name), before["status"].strip()) == (["V"], "verified")
        assert path.read_bytes() == Path(image.data).read_bytes() != image.good
        assert (dmsetup("status", name), told()["status"].strip()) == (["C"], "corrupted")
