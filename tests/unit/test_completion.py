# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bash completion, asked as bash asks it; the device list comes from a dmctl of the test's own."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "completions/dmctl.bash"
ASK = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dmctl; printf "%s\\n" "${COMPREPLY[@]}"'


@pytest.mark.parametrize(
    ("words", "listing", "expected"),
    [
        (["re"], "", ["remove", "remove_all", "resume", "reload", "rename"]),
        (["-v", "target"], "", ["target-version", "targets"]),
        (["create", "--no"], "", ["--noopencount", "--notable", "--noudevrules", "--noudevsync"]),
        (["--json", "ls", "--j"], "", ["--json"]),
        (["remove", "--j"], "", []),
        (["remove", ""], "one\t(254:0)\ntwo\t(254:1)\n", ["one", "two"]),
        (["remove", "one", "t"], "one\t(254:0)\ntwo\t(254:1)\n", ["two"]),
        (["info", "a"], "a b\t(254:0)\n", ["a\\ b"]),
        (["remove", ""], "No devices found\n", []),
        (["stats", "re"], "", ["report"]),
        (["stats", "report", "t"], "one\t(254:0)\ntwo\t(254:1)\n", ["two"]),
        (["stats", "create", "--area"], "", ["--area", "--areas", "--areasize"]),
        (["create", "o"], "one\t(254:0)\n", []),
    ],
)
def test_bash(tmp_path: Path, words: list[str], listing: str, expected: list[str]) -> None:
    (tmp_path / "listing").write_text(listing)
    fake = tmp_path / "dmctl"
    fake.write_text(f'#!/bin/sh\n[ "$*" = ls ] && cat "{tmp_path}/listing"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", SCRIPT, "dmctl", *words],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split("\n")[:-1], done.stderr) == (expected or [""], "")
