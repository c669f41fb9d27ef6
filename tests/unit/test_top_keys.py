# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys of dmctl top as terminals send them, and what they scroll to."""

import pytest

from dmctl.cli.screen import split_keys
from dmctl.cli.top import Scroll


@pytest.mark.parametrize(
    ("typed", "keys", "rest"),
    [
        ("jkq", ["j", "k", "q"], ""),
        ("\x1b[A\x1b[B\x1bOA", ["up", "down", "up"], ""),
        ("\x1b[5~n\x1b[6~", ["page up", "n", "page down"], ""),
        ("\x1b[1~\x1b[4~\x1b[H\x1b[F", ["first", "last", "first", "last"], ""),
        # Others: F5, Shift and up, a mouse wheel, a lone Escape before a key.
        ("\x1b[15~\x1b[1;2A\x1b[<64;1;1Mj", ["j"], ""),
        ("\x1bq", ["q"], ""),
        ("\x1b\x1b[A", ["up"], ""),
        # What has not come whole waits for the rest.
        ("j\x1b", ["j"], "\x1b"),
        ("\x1b[", [], "\x1b["),
        ("\x1b[5", [], "\x1b[5"),
        ("\x1b[" + "1;" * 20, [], ""),
    ],
)
def test_split_keys(typed: str, keys: list[str], rest: str) -> None:
    assert split_keys(typed) == (keys, rest)


def test_a_sequence_in_any_pieces() -> None:
    typed = "j\x1b[5~k\x1b[B\x1bOAq"
    for at in range(len(typed) + 1):
        first, rest = split_keys(typed[:at])
        more, left = split_keys(rest + typed[at:])
        assert (first + more, left) == (["j", "page up", "k", "down", "up", "q"], "")


def shown(scroll: Scroll, count: int, room: int) -> list[str]:
    return scroll.shown([f"line {number}" for number in range(count)], room)


def test_scroll() -> None:
    scroll = Scroll()
    assert shown(scroll, 3, 3) == ["line 0", "line 1", "line 2"]
    told = shown(scroll, 10, 4)
    assert told == ["line 0", "line 1", "line 2", "7 more lines: 0 above, 7 below; j k PageUp PageDown"]
    scroll.move("page down")
    assert shown(scroll, 10, 4)[0] == "line 3"
    scroll.move("last")
    assert shown(scroll, 10, 4)[:3] == ["line 7", "line 8", "line 9"]
    scroll.move("up")
    assert shown(scroll, 10, 4)[0] == "line 6"
    assert shown(scroll, 5, 4)[0] == "line 2"  # devices have gone
    assert shown(scroll, 2, 4) == ["line 0", "line 1"]
    assert shown(scroll, 0, 4) == []
    for room in (1, 0, -3):  # a very small terminal
        assert shown(Scroll(), 5, room) == ["5 more lines: 0 above, 5 below; j k PageUp PageDown"]
