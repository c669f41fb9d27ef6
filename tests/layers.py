# SPDX-License-Identifier: LGPL-2.1-or-later
"""The direction of imports: only ever towards the kernel, in functions and for type checkers too."""

import ast
from collections.abc import Iterator
from pathlib import Path

# From the kernel up. A module below dmctl that is named nowhere has no layer yet: give it one here.
LAYERS = (
    ("", "_libdm", "_hash", "_fec", "_thin", "_section"),
    ("errors", "units", "control", "event_poll", "loop", "lock"),
    ("libdm",),
    ("table", "info", "device", "check", "counters", "names", "holders", "rates", "section", "disk"),
    ("targets", "conditions"),
    ("inventory", "stack", "events", "verity", "thin", "clone"),
    ("cli", "__main__"),
)
RANK = {module: rank for rank, modules in enumerate(LAYERS) for module in modules}


def upward_imports(package: Path) -> list[str]:
    """What is wrong with the imports of the package `dmctl` in this folder, a line each."""
    found = []
    for path in sorted(package.rglob("*.py*")):
        if path.suffix not in (".py", ".pyi"):
            continue
        parts = path.relative_to(package).with_suffix("").parts
        if parts[0] == "_native":  # runs in the build only
            continue
        own = "" if parts[0] == "__init__" else parts[0]
        if own not in RANK:
            found.append(f"{path}: dmctl.{own} has no layer in tests/layers.py")
            continue
        for number, module in sorted(set(_imported(ast.parse(path.read_bytes()), ("dmctl", *parts)))):
            if RANK.get(module, len(LAYERS)) > RANK[own]:
                found.append(f"{path}:{number}: dmctl.{own} must not import dmctl.{module}")
    return found


def _imported(tree: ast.Module, importer: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and top module below dmctl ("" for dmctl itself) of each import."""
    for node in ast.walk(tree):
        names: list[str] = []
        if not isinstance(node, ast.stmt | ast.expr):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # In __init__.py, whose name counts as a part too, this comes to the same.
            start = ".".join(importer[: -node.level]) if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and _is_import_call(node.func):
            names = [str(_start_of(argument)) for argument in node.args[:1]]
        for name in names:
            package, *rest = name.split(".")
            if package == "dmctl":
                # `from dmctl import __version__` names no module.
                yield node.lineno, rest[0] if rest and rest[0] != "__version__" else ""


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("__import__", "import_module")


def _start_of(argument: ast.expr) -> object:
    """A string, or how an f-string begins; that is enough for the top module."""
    if isinstance(argument, ast.JoinedStr) and argument.values:
        argument = argument.values[0]
    return argument.value if isinstance(argument, ast.Constant) else ""
