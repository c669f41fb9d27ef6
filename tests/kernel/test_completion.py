# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of devices completed in bash, zsh and fish; dmsetup judges what was inserted."""

import subprocess

import pytest

from dmctl.thin import making
from shells import SHELLS, Shell

pytestmark = pytest.mark.kernel

# As dmsetup is given them. The kernel has \x20 for a blank and \x5c for a backslash in the name.
ODD = ("has blank", "both'\"quotes", "colon:equals=", "sharp#at@", "umlaut-\u00e4", "dollar$(x)*", "back\\slash")


@pytest.fixture
def devices(dmsetup, prefix):
    """devices(names): make them; their names with the prefix. In sysfs a device is there once it has had a table."""
    made = []

    def make(*names):
        for name in names:
            result = dmsetup("create", prefix + name, "--table", "0 1 zero")
            assert result.status == 0, result
            made.append(prefix + name)
        return [prefix + name for name in names]

    yield make
    if made:
        result = dmsetup("remove", *made)
        assert result.status == 0, result


@pytest.mark.parametrize("name", SHELLS)
def test_what_is_inserted(dmsetup, devices, tmp_path, prefix, name):
    blank, quotes, colon, *_ = made = devices(*ODD)
    (other,) = devices("colon:plus+")
    with Shell(name, tmp_path, insert=True) as shell:
        for device, typed in zip(made, ("ha", "bo", "colon:e", "sh", "um", "do", "ba"), strict=True):
            *_, word = shell.runs(f"dmsetup info -c {prefix}{typed}\t")
            result = dmsetup("info", "-c", "--noheadings", "-o", "unmangled_name", word)
            assert result.text == f"{device}\n", word
            assert word == device or "\\" in device
        assert shell.runs(f"dmctl top --device {prefix}ha\t") == ["top", "--device", blank]
        assert shell.runs(f"dmctl info {prefix}has\\ \t") == ["info", blank]
        assert shell.runs(f'dmctl info "{prefix}has b\t') == ["info", blank]
        assert shell.runs(f"dmctl info '{prefix}has b\t") == ["info", blank]
        assert shell.runs(f"dmctl info {prefix}both\\'\t") == ["info", quotes]
        assert shell.runs(f"dmctl info {prefix}colon:p\t") == ["info", other]
        assert shell.runs(f"dmctl info {prefix}colon:equals=\t {other}") == ["info", colon, other]
        assert shell.runs(f"dmctl info {prefix}none\t") == ["info", f"{prefix}none"]


@pytest.mark.parametrize("name", SHELLS)
def test_where_devices_are_offered(devices, dmsetup, tmp_path, prefix, name):
    with Shell(name, tmp_path) as shell:
        before = len(shell.said)
        assert shell.offers(f"dmctl remove {prefix}") == []
        assert b"/sys" not in shell.said[before:]
        made = devices("one", "two")
        for line in ("info", "table --target zero", "stats report", "message", "holders", "info one", "stats -v list"):
            assert shell.offers(f"dmctl {line} {prefix}") == made, line
        assert {*shell.offers("dmctl remove ")} >= {*made}
        assert shell.offers(f"dmsetup info {prefix}t") == made[1:]
        # Also a device that has no table, which sysfs does not have.
        bare = f"{prefix}bare"
        assert dmsetup("create", bare, "--notable").status == 0
        try:
            for line in ("load", "remove", "rename", "info one"):
                assert shell.offers(f"dmctl {line} {prefix}b") == [bare], line
        finally:
            assert dmsetup("remove", bare).status == 0
        for line in ("ls", "create", "stats", "info --uuid", "info -c -o", "explain --table", "build"):
            assert not {*shell.offers(f"dmctl {line} {prefix}")} & {*made}, line


@pytest.mark.parametrize("name", SHELLS)
def test_volumes_of_a_pool(prefix, disk, dmctl, tmp_path, name):
    """Active or not; what was made, renamed and removed last is known."""
    subprocess.run(["modprobe", "-q", "dm-thin-pool"], check=False)
    pool = prefix + "tank"
    making.create(making.plan(pool, str(disk(4 << 20).path), str(disk(32 << 20).path), volumes=20))
    try:
        lines = b"create home 1M\ncreate holiday 1M\ncreate 'has blank' 1M\ncreate other 1M\n"
        assert dmctl("thin", "batch", pool, "-", stdin=lines).status == 0
        assert dmctl("thin", "rename", pool, "other", "hole").status == 0
        with Shell(name, tmp_path) as shell:
            assert shell.offers(f"dmctl thin activate {pool} ho") == ["hole", "holiday", "home"]
            assert shell.offers(f"dmctl thin snapshot {pool} hol") == ["hole", "holiday"]
            assert shell.offers(f"dmctl thin blob get {pool} hom") == ["home"]
        (tmp_path / "other").mkdir()
        with Shell(name, tmp_path / "other", insert=True) as shell:
            assert shell.runs(f"dmctl thin blob get {pool} has\t") == ["thin", "blob", "get", pool, "has blank"]
    finally:
        making.close_pool(pool)
