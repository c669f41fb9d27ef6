# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl install-links."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(sys.prefix, "bin", "dmctl")
NAMES = ["devmap_name", "dmlosetup", "dmsetup", "dmstats"]


def install(folder):
    return subprocess.run([SCRIPT, "install-links", folder], capture_output=True, text=True, check=False)


def test_links(tmp_path):
    made = install(tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert sorted(made.stdout.split()) == [str(tmp_path / name) for name in NAMES]
    assert all((tmp_path / name).resolve() == SCRIPT.resolve() for name in NAMES)
    # By that name it is dmsetup: no command is usage on standard error and exit 1, without dmctl's help.
    called = subprocess.run([tmp_path / "dmsetup"], capture_output=True, text=True, check=False)
    assert (called.returncode, called.stdout) == (1, "")
    assert called.stderr.startswith("Usage:")
    again = install(tmp_path)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


@pytest.mark.parametrize("other", ["file", "link", "dangling", "folder"])
def test_nothing_is_replaced(tmp_path, other):
    place = tmp_path / "dmsetup"
    {
        "file": place.touch,
        "link": lambda: place.symlink_to("/bin/true"),
        "dangling": lambda: place.symlink_to("/nonexistent"),
        "folder": place.mkdir,
    }[other]()
    refused = install(tmp_path)
    assert (refused.returncode, refused.stdout) == (5, "")
    assert refused.stderr == f"dmctl: {place} is not a link to dmctl, and is left as it is.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["dmsetup"]


def test_no_folder(tmp_path):
    missing = install(tmp_path / "no")
    assert (missing.returncode, missing.stderr) == (3, f"dmctl: {tmp_path / 'no'} is not a folder.\n")
