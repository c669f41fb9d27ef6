# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows and trees in a pipe, on a terminal of some width, and in a locale without UTF-8."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

SCRIPT = """
from rich.text import Text
from rich.tree import Tree
from dmctl.cli import stream
from dmctl.cli.grid import Column, write, write_rows
columns = (Column("NAME"), Column("SIZE", right=True), Column("ON", cut=True), Column("TEXT", wraps=True))
rows = [("one", "1 KiB", "first device\\nsecond", "some words that are many")]
rows.append(("two", "10 KiB", "", Text("x", style="red")))
write_rows(columns, rows)
tree = Tree("top")
tree.add("below").add("bottom")
write(tree, indent=2)
stream.flush()
"""
IN_PIPE = """\
NAME    SIZE  ON            TEXT
one    1 KiB  first device  some words that are many
              second
two   10 KiB                x
  top
  └── below
      └── bottom
"""


def start(env: dict[str, str], **more: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-c", SCRIPT]
    return subprocess.Popen(command, env={"PATH": os.environ["PATH"], **env}, text=True, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("env", [{"LC_ALL": "C.UTF-8"}, {"LANG": "en_US.utf8", "COLUMNS": "20"}])
def test_pipe(env: dict[str, str]) -> None:
    out = start(env, stdout=subprocess.PIPE).communicate()[0]
    assert out == IN_PIPE


def test_plain_locale() -> None:
    out = start({"LC_ALL": "C"}, stdout=subprocess.PIPE).communicate()[0]
    assert out == IN_PIPE.replace("└──", "`--")


def on_terminal(columns: int, **env: str) -> str:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    process = start({"LC_ALL": "C.UTF-8", "TERM": "xterm", **env}, stdin=slave, stdout=slave)
    os.close(slave)
    out = b""
    try:
        while data := os.read(master, 4096):
            out += data
    except OSError:  # EIO: the other end is closed
        pass
    os.close(master)
    assert process.wait() == 0
    return out.decode().replace("\r\n", "\n")


def test_terminal() -> None:
    shown = on_terminal(40, NO_COLOR="1")
    lines = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in shown.splitlines()]
    assert max(map(len, lines)) <= 40 and "31m" not in shown
    assert lines[1].startswith("one    1 KiB  first")
    # What may be wrapped is, what may be cut is cut.
    assert any("…" in line for line in lines[1:3]) and sum("many" in line for line in lines) == 1
    assert "\x1b[31mx" in on_terminal(80)
