# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's Python example, run; and that what it says of the commands is so."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dmctl.cli.spec import COMMANDS
from guests.loop import Disk

README = Path(__file__).parents[2] / "README.md"


def test_python_example(disk: Callable[..., Disk], prefix: str) -> None:
    code = README.read_text().partition("```python\n")[2].partition("```")[0]
    promised = re.findall(r"print\(.*\)  # (.*)", code)
    assert len(promised) == code.count("print(")
    code = code.replace("/dev/loop0", str(disk(4 << 20).path))
    code = code.replace('"disk"', f'"{prefix}disk"').replace('"hole"', f'"{prefix}hole"')
    # -P: the installed package, not the one in the working directory.
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Which minor numbers are free is not for the README to say.
    assert _without_numbers(done.stdout.replace(prefix, "").splitlines()) == _without_numbers(promised)


def _without_numbers(lines: list[str]) -> list[str]:
    return [re.sub(r"254([:,] ?)\d+", r"254\1N", line) for line in lines]


def test_commands_are_sorted_right() -> None:
    works, _, missing = README.read_text().partition("## What works")[2].partition("Not there yet")
    missing = missing.partition("##")[0]
    for command in COMMANDS.values():
        assert (f"`{command.name}`" in works) == bool(command.handler), command.name
        assert (f"`{command.name}`" in missing) == (not command.handler), command.name
    with_json = works.partition("| JSON |")[2].partition("\n")[0]
    assert set(re.findall(r"`(.*?)`", with_json)) == {command.name for command in COMMANDS.values() if command.json}
