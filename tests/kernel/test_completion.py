# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of devices completed in bash, zsh and fish; dmsetup judges what was inserted."""

import pytest

from shells import SHELLS, Shell

pytestmark = pytest.mark.kernel

# As dmsetup is given them. The kernel has \x20 for a blank and \x5c for a backslash in the name.
ODD = ("a blank", "both'\"quotes", "colon:equals=", "sharp#at@", "umlaut-\u00e4", "dollar$(x)*", "back\\slash")


@pytest.fixture
def devices(dmsetup, prefix):
    """devices(names): make them; the names of all so far. In sysfs a device is there when it has had a table."""
    made = []

    def make(names):
        for name in names:
            result = dmsetup("create", prefix + name, "--table", "0 1 zero")
            assert result.status == 0, result
            made.append(prefix + name)
        return list(made)

    yield make
    for name in made:
        assert dmsetup("remove", name).status == 0


@pytest.mark.parametrize("name", SHELLS)
def test_names_are_completed(dmsetup, devices, tmp_path, prefix, name):
    made = devices(ODD)
    with Shell(name, tmp_path, insert=True) as shell:
        for device in made:
            # So far as it has only letters, which need no quoting.
            typed = device[: len(prefix) + 2]
            for line in (f"dmctl remove {typed}\t", f"dmsetup info -c {typed}\t", f"dmctl top --device {typed}\t"):
                *_, word = shell.runs(line)
                result = dmsetup("info", "-c", "--noheadings", "-o", "unmangled_name", word)
                assert result.text == f"{device}\n", (line, word)
                assert word == device or "\\" in device


@pytest.mark.parametrize("name", SHELLS)
def test_what_is_typed_may_have_blanks_and_quotes(devices, tmp_path, prefix, name):
    blank, quotes, colon, *_ = devices(ODD)
    others = devices(["colon:plus+"])[-1]
    with Shell(name, tmp_path, insert=True) as shell:
        assert shell.runs(f"dmctl info {prefix}a\\ \t") == ["info", blank]
        assert shell.runs(f'dmctl info "{prefix}a bl\t') == ["info", blank]
        assert shell.runs(f"dmctl info '{prefix}a bl\t") == ["info", blank]
        assert shell.runs(f"dmctl info {prefix}both\\'\t") == ["info", quotes]
        assert shell.runs(f"dmctl info {prefix}colon:p\t") == ["info", others]
        assert shell.runs(f"dmctl info {prefix}colon:equals=\t {others}") == ["info", colon, others]
        assert shell.runs(f"dmctl info {prefix}none\t") == ["info", f"{prefix}none"]


@pytest.mark.parametrize("name", SHELLS)
def test_where_devices_are_offered(devices, tmp_path, prefix, name):
    made = devices(["one", "two"])
    both = {*made}
    with Shell(name, tmp_path) as shell:
        for line in (
            "info",
            "table --target zero",
            "stats report",
            "message",
            "holders",
            "tree",
            "info one",
            "stats -v list",
        ):
            assert {*shell.offers(f"dmctl {line} {prefix}")} == both, line
        assert {*shell.offers("dmctl remove ")} >= both
        assert shell.offers(f"dmsetup info {prefix}t") == [made[1]]
        for line in ("ls", "create", "stats", "info --uuid", "info -c -o", "explain --table", "build"):
            assert not {*shell.offers(f"dmctl {line} {prefix}")} & both, line


@pytest.mark.parametrize("name", SHELLS)
def test_no_devices(tmp_path, name):
    with Shell(name, tmp_path) as shell:
        before = len(shell.said)
        assert shell.offers("dmctl remove ") == []
        assert shell.offers("dmctl remove dmt") == []
        assert b"/sys" not in shell.said[before:]
