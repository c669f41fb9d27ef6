# SPDX-License-Identifier: LGPL-2.1-or-later
"""Arguments of any target, made up from what its fields say of themselves."""

import dataclasses
from functools import cache
from importlib import import_module
from pathlib import Path

from hypothesis import strategies as st

from dmctl.targets import Arguments, arguments_class
from dmctl.targets.fields import DEVICE, FLAG, ITEM, ITEMS, NUMBER, WORD, spec_of

# Of a table's text: no blank of the kernel's (0xa0 is one), no NUL.
WORDS = st.text(
    st.characters(codec="ascii", min_codepoint=33, max_codepoint=126) | st.sampled_from("éλ\udc81"),
    min_size=1,
    max_size=12,
).filter(lambda text: text != "-")
DEVICES = st.sampled_from(["/dev/sda", "8:0", "254:1048575", "/dev/mapper/a\\x20b"]) | WORDS.map("/dev/".__add__)

# Modules beside this one: PARAMS and STATUS, target: texts; where the fields depend on each other, STRATEGIES, target:
# strategy of its arguments.


@cache
def modules():
    return [import_module(f"unit.targets.{path.stem}") for path in sorted(Path(__file__).parent.glob("vectors_*.py"))]


def vectors(kind: str) -> list[tuple[str, str]]:
    """(target, text) of all vectors: kind "PARAMS" or "STATUS"."""
    found = [
        (target, text) for module in modules() for target, texts in getattr(module, kind).items() for text in texts
    ]
    assert len(found) > 3
    return found


def described(cls):
    """Objects of a class whose fields have a Spec each."""
    chosen = {}
    for field in dataclasses.fields(cls):
        spec = spec_of(field)
        if spec:
            values = value(spec)
            chosen[field.name] = st.none() | values if field.default is None else values
    return st.builds(cls, **chosen)


def value(spec):
    if spec.kind == NUMBER:
        return st.integers(spec.minimum, spec.maximum)
    if spec.kind == FLAG:
        return st.booleans()
    if spec.kind == DEVICE:
        return DEVICES
    if spec.kind == WORD:
        return st.sampled_from(spec.choices) if spec.choices else WORDS
    if spec.kind == ITEM:
        return described(spec.item.__self__)
    assert spec.kind == ITEMS
    made = described(spec.item.__self__) if hasattr(spec.item, "__self__") else WORDS
    return st.lists(made, min_size=1, max_size=5).map(tuple)


def arguments(target: str) -> st.SearchStrategy[Arguments]:
    """Arguments of a target."""
    for module in modules():
        if target in (special := getattr(module, "STRATEGIES", {})):
            return special[target]
    return described(arguments_class(target))
