# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl tree: what stands on what, from the top to the disks."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from dmctl.cli import native_options, stream
from dmctl.cli.grid import write
from dmctl.cli.show import entry_object
from dmctl.errors import UsageError
from dmctl.inventory import inventory, percent
from dmctl.names import Devno
from dmctl.stack import Node, Stack
from dmctl.units import SECTOR_BYTES, format_devno, format_size


def tree(
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="[DEVICE...]", help="What stands under these; without any, all.")
    ] = None,
    *,
    dot: Annotated[bool, typer.Option("--dot", help="Print a graph for graphviz.")] = False,
    as_json: native_options.AsJson = False,
) -> None:
    """Show what stands on what: sizes, targets, mounts, how full, what is wrong.

    What was shown once is not shown again: the device is named, followed by "(above)".
    """
    if dot and as_json:
        raise UsageError("--dot and --json exclude each other.")
    stack = Stack(inventory())
    tops = [entry.info.devno for entry in inventory(devices)] if devices else list(stack.tops)
    if as_json:
        _print_json(stack, tops)
    elif dot:
        _print_dot(stack, tops)
    elif not tops:
        stream.write("No devices found\n")
    else:
        shown: set[Devno] = set()
        for top in tops:
            write(_drawn(stack, top, shown))


def _drawn(stack: Stack, devno: Devno, shown: set[Devno], under: Tree | None = None) -> Tree:
    node = stack.nodes[devno]
    label = _label(node)
    again = devno in shown and bool(node.below)
    if again:
        label.append(" (above)", style="not bold dim")
    branch = under.add(label) if under else Tree(label)
    shown.add(devno)
    if not again:
        for below in node.below:
            _drawn(stack, below, shown, branch)
    return branch


def _facts(node: Node) -> list[str]:
    """Size, targets, state, fullness and mounts, each where there is something to say."""
    facts = [] if node.size_sectors is None else [format_size(node.size_sectors * SECTOR_BYTES)]
    if node.entry:
        facts.append(", ".join(node.entry.targets))
        facts.append("" if node.entry.state == "active" else node.entry.state)
        facts.append(", ".join(f"{usage.what} {percent(usage)}" for usage in node.entry.usages))
        facts += [f"on {mount}" for mount in node.entry.mounts]
        facts += ["swap"] * node.entry.swap
    return [fact for fact in facts if fact]


def _label(node: Node) -> Text:
    label = Text(node.name, style="bold" if node.entry else "none")
    label.append("".join(f"  {fact}" for fact in _facts(node)), style="not bold")
    for warning in node.entry.warnings if node.entry else ():
        label.append(f"  {warning}", style="not bold red")
    return label


def _reached(stack: Stack, tops: list[Devno]) -> list[Node]:
    """The nodes under some, each once."""
    found: dict[Devno, Node] = {}
    waiting = list(reversed(tops))
    while waiting:
        devno = waiting.pop()
        if devno not in found:
            found[devno] = stack.nodes[devno]
            waiting += reversed(stack.nodes[devno].below)
    return list(found.values())


def _print_dot(stack: Stack, tops: list[Devno]) -> None:
    lines = ["digraph devices {", "  node [shape=box];"]
    for node in _reached(stack, tops):
        text = "\n".join([node.name, *_facts(node), *(node.entry.warnings if node.entry else ())])
        colour = ", color=red" if node.entry and node.entry.warnings else ""
        lines.append(f"  {_quoted(format_devno(*node.devno))} [label={_quoted(text)}{colour}];")
        lines += [f"  {_quoted(format_devno(*node.devno))} -> {_quoted(format_devno(*below))};" for below in node.below]
    stream.write("\n".join([*lines, "}"]) + "\n")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _print_json(stack: Stack, tops: list[Devno]) -> None:
    nodes: list[dict[str, Any]] = [
        {
            "devno": format_devno(*node.devno),
            "name": node.name,
            "size_bytes": None if node.size_sectors is None else node.size_sectors * SECTOR_BYTES,
            "below": [format_devno(*below) for below in node.below],
            "device": entry_object(node.entry) if node.entry else None,
        }
        for node in _reached(stack, tops)
    ]
    facts = {"tops": [format_devno(*devno) for devno in tops], "nodes": nodes}
    stream.write(native_options.as_json("tree", facts))
