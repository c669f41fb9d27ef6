# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command lines of dmctl clone that need no kernel, run as a user would."""

import json
import subprocess

import pytest

from clone_metadata import image
from guests.fixtures import dmctl_script


def dmctl(*words):
    return subprocess.run([dmctl_script(), "clone", *map(str, words)], capture_output=True, check=False)


MAKE = ("create", "x", "--source", "/dev/a", "--dest", "/dev/b")
WRONG = [
    (("watch", "x", "--rate", "0"), "--rate: 0 would copy nothing"),
    (("watch", "x", "--rate", "fast"), "--rate: Size 'fast'"),
    (("watch", "x", "--max-stall", "soon"), "--max-stall: 'soon' is no time"),
    (("watch", "x", "--max-stall", "0"), "--max-stall: 0 is not between"),
    (("watch", "x", "--max-stall", "nan"), "--max-stall: nan is not between"),
    (("throttle", "x"), "--threshold or --batch"),
    ((*MAKE, "--rate", "5M"), "--rate needs --wait"),
    ((*MAKE, "--max-stall", "5y"), "--max-stall: '5y' is no time"),
    ((*MAKE, "--metadata", "c", "--metadata-file", "d"), "exclude each other"),
    ((*MAKE, "--region-size", "1000"), "--region-size: "),
    ((*MAKE, "--region-size", "big"), "--region-size: "),
    (("assemble", "x", "--rate", "5M"), "--rate needs --wait"),
    (("wach", "x"), "Did you mean watch"),
]


@pytest.mark.parametrize(("words", "why"), WRONG)
def test_what_is_wrong_is_told_in_a_sentence(words, why):
    done = dmctl(*words)
    assert done.returncode == 2 and why.encode() in done.stderr and done.stderr.count(b"\n") == 1, done
    assert done.stdout == b""


@pytest.fixture
def metadata(tmp_path):
    path = tmp_path / "metadata"
    path.write_bytes(image(128, 128 * 10 + 8, {0, 1, 2, 7, 10}))
    return path


def test_inspect(metadata):
    done = dmctl("inspect", "--metadata", metadata)
    assert done.stdout.decode().splitlines() == [
        "644 KiB in regions of 64 KiB: 5 of 11 copied",
        "regions 0 to 2: bytes 0 to 196607 (192 KiB)",
        "region 7: bytes 458752 to 524287 (64 KiB)",
        "region 10: bytes 655360 to 659455 (4 KiB)",
    ]
    facts = json.loads(dmctl("inspect", "--metadata", metadata, "--missing", "--json").stdout)
    assert (facts["hydrated_regions"], facts["total_regions"], facts["size_bytes"]) == (5, 11, 659456)
    assert facts["missing_ranges"] == [
        {"first_region": 3, "regions": 4, "start_bytes": 196608, "end_bytes": 458752},
        {"first_region": 8, "regions": 2, "start_bytes": 524288, "end_bytes": 655360},
    ]
    assert dmctl("inspect", "--metadata", metadata, "--map").stdout.splitlines()[1] == b"###....#..#"


@pytest.mark.parametrize(("content", "status"), [(None, 3), (b"", 6), (bytes(8192), 6), (b"x" * 8192, 6)])
def test_inspect_what_is_none(tmp_path, content, status):
    path = tmp_path / "none"
    if content is not None:
        path.write_bytes(content)
    done = dmctl("inspect", "--metadata", path)
    assert done.returncode == status and str(path).encode() in done.stderr and done.stderr.count(b"\n") == 1, done
