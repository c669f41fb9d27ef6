# SPDX-License-Identifier: LGPL-2.1-or-later
"""What check() knows of a block device, against sysfs."""

import io
import os
from pathlib import Path

import pytest

from dmctl.check import DeviceFacts, device_facts


@pytest.mark.parametrize(
    "name",
    [
        "0",
        "64",
        "x7",
        "",
        ":",
        "7:",
        "7:x",
        "7:٣",
        "/dev/no/such",
        "0x",
        "/dev/null",
        "/nowhere",
        "/",
        "4096:0",
        "8:1048576",
        "y",
        "0\0",
    ],
)
def test_no_block_device(name: str) -> None:
    assert device_facts(name) is None


def test_names_of_the_root_option() -> None:
    assert device_facts("PARTUUID=0-1") == DeviceFacts(0)
    assert device_facts("8:1:2:") == DeviceFacts(0)


def test_as_sysfs() -> None:
    disks = [path for path in Path("/sys/dev/block").glob("*") if (path / "queue").exists()]
    if not disks:
        pytest.skip("no block devices here")
    for disk in disks:
        facts = device_facts(disk.name)
        assert facts == DeviceFacts(
            int((disk / "size").read_text()),
            int((disk / "queue/logical_block_size").read_text()),
            (disk / "ro").read_text() == "1\n",
        )


@pytest.mark.parametrize(
    ("name", "known"),
    [("8:7", False), ("7:77", True), ("300:0", False), ("44:1", True), ("0x302", False), ("0x701", True)],
)
def test_number_without_a_device(monkeypatch: pytest.MonkeyPatch, name: str, known: bool) -> None:
    """The kernel makes a loop device when it is opened, and loads a driver by the number."""
    files = {
        "/proc/devices": "Character devices:\n300 x\n\nBlock devices:\n  7 loop\n  8 sd\n",
        f"/lib/modules/{os.uname().release}/modules.alias": "alias block-major-44-* ftl\n",
    }

    def fake_open(path: str, *args: object, **kwargs: object) -> io.StringIO:
        if path in files:
            return io.StringIO(files[path])
        raise FileNotFoundError(path)

    monkeypatch.setattr("dmctl.check.open", fake_open, raising=False)
    monkeypatch.setattr("os.path.isdir", lambda path: True)
    assert device_facts(name) == (DeviceFacts(0) if known else None)


def test_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    os.symlink("/dev/null", tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    assert device_facts("file") is None
    assert device_facts("link") is None
