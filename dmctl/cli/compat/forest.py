# SPDX-License-Identifier: LGPL-2.1-or-later
"""ls --tree: the devices as trees, drawn byte for byte as dmsetup 1.02.185 draws them, oddities included."""

import os

# Built into the interpreter; the public module imports re.
from _locale import CODESET, nl_langinfo

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.compat.switches import CommandLineError, Request
from dmctl.libdm.tree import Node, Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dmctl.info import ListEntry

_MOST_DEPTH = 100
_WIDTH = 80
_TERMINAL_MARGIN = 3

# What is drawn before a line: nothing, a branch, a line past it, the last branch; and the joints of compact lines.
_ASCII = ("  ", "|-", "| ", "`-", "---", "-+-")
_UTF = ("  ", "\u251c\u2500", "\u2502 ", "\u2514\u2500", "\u2500\u2500\u2500", "\u2500\u252c\u2500")
_ON, _OFF = "\x1b(0\x0f", "\x1b(B"  # the terminal's own drawing characters
_VT100 = ("  ", f"{_ON}tq{_OFF}", f"{_ON}x{_OFF} ", f"{_ON}mq{_OFF}", f"{_ON}qqq{_OFF}", f"{_ON}qwq{_OFF}")
_SYMBOLS = {"ascii": _ASCII, "utf": _UTF, "vt100": _VT100}

# In dmsetup's order: the first that begins with what is given is meant. "status" and "table" do nothing there either.
_OPTIONS = [
    "device",
    "blkdevname",
    "nodevice",
    "status",
    "table",
    "active",
    "open",
    "uuid",
    "rw",
    "utf",
    "vt100",
    "ascii",
    "inverted",
    "compact",
    "notrunc",
]
_SHOW_MORE = {"active", "rw", "open", "uuid"}


class Style:
    """How the trees are drawn, from -o. CommandLineError for an option that there is not.

    exact: an option is only known by its whole name, as in newer versions of dmsetup.
    """

    def __init__(self, text: str, *, exact: bool):
        self.symbols = _UTF if nl_langinfo(CODESET) == "UTF-8" else _ASCII
        self.shown = {"device", "truncate"}
        while text:
            word = text.partition(",")[0]
            if exact and not word:
                text = text[1:]
                continue
            known = (option for option in _OPTIONS if option == word or (not exact and option.startswith(word)))
            option = next(known, None)
            if option is None:
                raise CommandLineError(f"Tree options not recognised: {text}.")
            self._take(option)
            text = text[len(word) + 1 :]
        self.compact = "compact" in self.shown and not self.shown & (_SHOW_MORE | {"status", "table"})
        self.width = _WIDTH
        if self.symbols is not _VT100:  # truncation does not go well with those
            try:
                columns = os.get_terminal_size(1).columns
            except OSError:
                return
            if columns > _TERMINAL_MARGIN:
                self.width = columns - _TERMINAL_MARGIN

    def _take(self, option: str) -> None:
        if option in _SYMBOLS:
            self.symbols = _SYMBOLS[option]
        elif option == "nodevice":
            self.shown.discard("device")
        elif option == "notrunc":
            self.shown.discard("truncate")
        else:
            self.shown.add(option)


class _Line:
    """The line being drawn: what does not fit ends in dots.

    Drawn byte by byte, as a name may be no UTF-8: each byte counts that does not look like a character's second.
    """

    def __init__(self, width: int, *, truncate: bool):
        self._width = width
        self._truncate = truncate
        self._drawn = bytearray()
        self._held = b""
        self.column = 1

    def write(self, text: str) -> None:
        encoded = os.fsencode(text)
        if text.isascii() and (not self._truncate or self.column + len(encoded) <= self._width):
            self.column += len(encoded)
            self._drawn += encoded
            return
        for byte in encoded:
            self._put(byte)

    def _put(self, byte: int) -> None:
        begins = byte & 0xC0 != 0x80
        self.column += begins
        if not self._truncate or self.column <= self._width:
            self._drawn.append(byte)
        elif begins and self.column == self._width + 1:
            # The first character too many may be the last of the line: then it still has room.
            if self._held or byte > 0x7F:
                self._drawn += b"..."
            else:
                self._held = bytes((byte,))
                self.column -= 1

    def end(self) -> None:
        if self._held and self.column == self._width:
            self._drawn += self._held
        self._held = b""
        self._drawn += b"\n"
        self.flush()
        self.column = 1

    def flush(self) -> None:
        """Print what has been drawn. The last line may have no end."""
        stream.write(os.fsdecode(bytes(self._drawn)))
        self._drawn.clear()


class Forest:
    """Draws the trees of all devices."""

    def __init__(self, style: Style, tree: Tree):
        self._style = style
        self._tree = tree
        self._inverted = "inverted" in style.shown
        self._line = _Line(style.width, truncate="truncate" in style.shown)
        self._more = [False] * (_MOST_DEPTH + 1)
        self._widths = [0] * (_MOST_DEPTH + 1)

    def draw(self) -> None:
        """Draw from the roots on: the devices that nobody uses, or, inverted, those that use nothing."""
        self._walk(self._tree.root(), 0)
        self._line.flush()

    def _walk(self, node: Node, depth: int) -> None:
        children = self._tree.children(node, inverted=self._inverted)
        for number, child in enumerate(children, 1):
            has_children = self._tree.child_count(child, inverted=self._inverted) > 0
            self._draw(child, depth, last=number == len(children), has_children=has_children)
            if has_children:
                self._walk(child, depth + 1)

    def _draw(self, node: Node, depth: int, *, last: bool, has_children: bool) -> None:
        shown, line = self._style.shown, self._line
        if depth + 2 > _MOST_DEPTH or (not node.name and not shown & {"device", "blkdevname"}):
            return
        self._more[depth] = not last
        self._widths[depth] = 0
        first_on_line = line.column == 1
        if not self._style.compact or first_on_line:
            self._draw_prefix(depth)
        begin = line.column
        if self._style.compact and not first_on_line:
            line.write(self._style.symbols[5 if self._more[depth] else 4])
        line.write(self._text(node))
        if self._style.compact:
            self._widths[depth] = line.column - begin
        if not self._style.compact or not has_children:
            line.end()

    def _draw_prefix(self, depth: int) -> None:
        nothing, branch, past, last_branch = self._style.symbols[:4]
        for level in range(depth):
            self._line.write(" " * (self._widths[level] + 1))
            if level == depth - 1:
                self._line.write(branch if self._more[depth] else last_branch)
            else:
                self._line.write(past if self._more[level + 1] else nothing)

    def _text(self, node: Node) -> str:
        shown = self._style.shown
        # A device that is not mapped has no name, which is not the same as an empty one.
        text, gap = ("", "") if node.name is None else (node.name, " ")
        if "blkdevname" in shown:
            name = libdm.device_name(*node.devno, kernel_name=True)
            text += f"{gap}<{name}>" if name else ""
        if "device" in shown:
            text += f"{gap}({node.devno[0]}:{node.devno[1]})"
        if shown & _SHOW_MORE and node.exists:
            words = {
                "active": "SUSPENDED" if node.suspended else "ACTIVE",
                "rw": "RO" if node.read_only else "RW",
                "open": str(node.open_count & 0xFFFFFFFF),
                "uuid": node.uuid,
            }
            text += f" [{', '.join(word for option, word in words.items() if option in shown)}]"
        return text


def draw(request: Request, entries: "list[ListEntry]") -> None:
    """ls --tree"""
    assert request.style is not None
    with Tree(entry.devno for entry in entries) as tree:
        Forest(request.style, tree).draw()
