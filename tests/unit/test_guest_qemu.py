# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the QEMU guest decides before it starts, and which tests it gets."""

import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from guests import plugin, qemu
from guests.qemu import QemuGuest
from guests.uml import UmlGuest

TESTS = Path(__file__).parents[1]


@pytest.mark.skipif(not qemu.BUSYBOX.exists(), reason="no busybox")
def test_initial_ram_disk(tmp_path: Path) -> None:
    files = {"init": b"#!\n", "bin/tool": bytes(range(256)) * 17, "modules/a.ko": b"", "modules/b.ko": b"b"}
    archive = b"".join(qemu._archive(files))
    subprocess.run([qemu.BUSYBOX, "cpio", "-i", "-d"], cwd=tmp_path, input=archive, capture_output=True, check=True)
    found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {tmp_path / name: data for name, data in files.items()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o755 for path in found)
    assert (tmp_path / "dev").is_dir(), "where the kernel mounts devtmpfs or looks for a console"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo '[ 1.0] VFS: Unable to mount root fs on unknown-block(0,0)'", qemu._WITH_KVM),
        # It resets half-way, or cannot set the processor up.
        ("echo 'early console in extract_kernel'", qemu._EMULATED),
        ("echo 'failed to set MSR' >&2; kill -s ABRT $$", qemu._EMULATED),
        ("exec sleep 100", qemu._EMULATED),
    ],
)
def test_probe_of_kvm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, expected: tuple[str, ...]) -> None:
    program, device = tmp_path / "qemu", tmp_path / "kvm"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    device.touch()
    monkeypatch.setattr(qemu, "QEMU", program)
    monkeypatch.setattr(qemu, "KVM", device)
    monkeypatch.setattr(qemu, "_KVM_LIMIT_S", 0.5)
    assert qemu._accelerator.__wrapped__() == expected
    device.unlink()
    assert qemu._accelerator.__wrapped__() == qemu._EMULATED


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(qemu, "_NEEDED", ((TESTS, "these tests"), (tmp_path / "release", "make guest-kernel")))
    assert QemuGuest().unavailable() == f"no QEMU guest: {tmp_path}/release is missing (make guest-kernel)"


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("uml", [(QemuGuest, ["q1", "q2"]), (UmlGuest, ["k1", "c1"])]),
        ("qemu", [(QemuGuest, ["q1", "k1", "c1", "q2"])]),
        ("none", [(None, ["q1", "k1", "c1", "q2"])]),
    ],
)
def test_tests_by_guest(kernel: str, expected: list[Any]) -> None:
    """Of these the one that is in no kernel folder has no mark."""
    paths = {"q1": "qemu/test_a.py", "k1": "kernel/test_a.py", "u1": "unit/test_a.py", "c1": "compat/test_a.py"}
    paths["q2"] = "qemu/test_b.py"
    items: list[Any] = [
        SimpleNamespace(
            nodeid=name, path=TESTS / path, get_closest_marker=lambda _, marked=name != "u1": marked or None
        )
        for name, path in paths.items()
    ]
    config: Any = SimpleNamespace(getoption={"--kernel": kernel}.get)
    work = plugin._work(config, items)
    assert [(guest and type(guest), [item.nodeid for item in some]) for guest, some in work] == expected
