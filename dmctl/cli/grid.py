# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows in columns, drawn by rich: as wide as the terminal, with colours where NO_COLOR is not set; plain in a pipe."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dmctl.cli import stream

_UNLIMITED = 100_000  # columns of a pipe: no line is wrapped or cut for it


@dataclass(frozen=True, slots=True)
class Column:
    """A column. right: its cells are numbers. wraps, cut: what happens to its lines where the terminal is too narrow.
    widest: how wide it may be on a terminal at most; 0 for any."""

    heading: str
    right: bool = False
    wraps: bool = False
    cut: bool = False
    widest: int = 0


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def is_utf8() -> bool:
    """Whether the user's locale has characters to draw lines and bars with."""
    return "utf" in (os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "").lower()


class _Buffer(io.StringIO):
    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What rich goes by where it draws lines."""
        return "utf-8" if is_utf8() else "ascii"


def terminal_columns() -> int:
    """Width of the terminal (COLUMNS, if set, is believed), of a pipe without an end."""
    if not is_terminal():
        return _UNLIMITED
    if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]):
        return int(os.environ["COLUMNS"])
    return os.get_terminal_size(sys.stdout.fileno()).columns or 80


def write_rows(
    columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], *, indent: int = 0, headings: bool = True
) -> None:
    """Print the rows."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=headings, header_style="bold")
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps and not column.cut,
            overflow="ellipsis" if column.cut else "fold",
            min_width=len(column.heading) if headings else None,
            max_width=(column.widest or None) if is_terminal() else None,
        )
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(cell) for cell in row]
        for cell, column in zip(cells, columns, strict=True):
            cell.no_wrap = column.cut
        table.add_row(*cells)
    if table.row_count or headings:
        write(table, indent=indent)


def write(drawn: RenderableType, *, indent: int = 0) -> None:
    """Print something that rich can draw, without blanks at the ends of lines."""
    buffer = _Buffer()
    console = Console(
        file=buffer,
        width=terminal_columns() - indent,
        force_terminal=is_terminal(),
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(drawn)
    margin = " " * indent
    stream.write("".join(f"{margin}{line.rstrip()}\n" for line in buffer.getvalue().splitlines()))
