# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conditions on named values, as --select takes them: `used>80 && target=thin-pool`.

    FIELD = VALUE    equal (== too)         FIELD =~ REGEX    matches somewhere
    FIELD != VALUE   not equal              FIELD !~ REGEX    does not
    FIELD < VALUE    and <= > >=            A && B, A || B, !A, (A); a comma is && too
A value is a number, perhaps with a unit (64K, 10G, 8s), or text, in quotes where it holds blanks or operators; where
that was asked for, a field's name without quotes stands for what the field holds. A field that holds several values
meets a condition where one of them does, != and !~ where none is as named. A field without a value meets != and !~
only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from dmctl import units
from dmctl.errors import UsageError

Value = str | int | float | bool | None | tuple["Value", ...]
Condition = Callable[[Callable[[str], Value]], bool]
"""Whether it holds, for a function that gives the value of a field."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<join>&&|\|\||,|!(?![=~])|[()])|(?P<operator>==|=~|!~|!=|<=|>=|=|<|>)
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[^\s&|,!()=<>~"']+))""",
    re.VERBOSE,
)
_NEGATED = {"!=": "=", "!~": "=~"}


def parse(text: str, fields: Container[str] | None = None, *, between: Container[str] = ()) -> Condition:
    """The condition that a text states. fields: the names there are, if that is known. between: those of them that may
    stand for a value too. Raises UsageError."""
    parser = _Parser(text, fields, between)
    found = parser.any_of()
    if parser.kind:
        parser.fail("cannot be understood")
    return found


class _Parser:
    def __init__(self, text: str, fields: Container[str] | None, between: Container[str]):
        self._text = text
        self._fields = fields
        self._between = between
        self._at = 0
        self.quoted = False
        self.kind = self.token = ""
        self._next()

    def fail(self, told: str) -> None:
        where = f"from {self.token!r} on" if self.kind else "at its end"
        raise UsageError(f"The condition {self._text!r} {told} {where}.")

    def _next(self) -> None:
        rest = self._text[self._at :]
        if not rest.strip():
            self.kind = self.token = ""
            return
        match = _TOKEN.match(rest)
        if not match:
            self.kind, self.token = "?", rest.strip()
            return
        self._at += match.end()
        self.quoted = match.lastgroup in ("double", "single")
        self.kind = "word" if self.quoted else str(match.lastgroup)
        self.token = match[str(match.lastgroup)]

    def _take(self, *tokens: str) -> bool:
        if self.kind == "join" and self.token in tokens:
            self._next()
            return True
        return False

    def any_of(self) -> Condition:
        parts = [self._all_of()]
        while self._take("||"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else lambda value: any(part(value) for part in parts)

    def _all_of(self) -> Condition:
        parts = [self._one()]
        while self._take("&&", ","):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)

    def _one(self) -> Condition:
        if self._take("!"):
            negated = self._one()
            return lambda value: not negated(value)
        if self._take("("):
            inner = self.any_of()
            if not self._take(")"):
                self.fail("lacks a )")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        if self.kind != "word":
            self.fail("lacks a field")
        field = self.token
        if self._fields is not None and field not in self._fields:
            raise UsageError(f"There is no field {field!r}.")
        self._next()
        if self.kind != "operator":
            self.fail("lacks a comparison such as =")
        operator = self.token
        self._next()
        if self.kind != "word":
            self.fail("lacks a value")
        wanted = self.token
        is_field = not self.quoted and wanted in self._between
        self._next()
        positive = _NEGATED.get(operator, operator)
        fixed = None if is_field else _test(positive, wanted)

        def met(value: Callable[[str], Value]) -> bool:
            tests = [fixed] if fixed else [_test(positive, _text(other)) for other in _each(value(wanted))]
            return any(test(one) for test in tests for one in _each(value(field)))

        return (lambda value: not met(value)) if operator in _NEGATED else met


def _each(value: Value) -> tuple[Value, ...]:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _test(operator: str, wanted: str) -> Callable[[Value], bool]:
    if operator == "=~":
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise UsageError(f"{wanted!r} is no regular expression: {error}.") from None
        return lambda value: pattern.search(_text(value)) is not None
    number = _number(wanted)
    if operator in ("=", "=="):
        return lambda value: _text(value) == wanted or (_is_number(value) and value == number)
    if number is None:
        raise UsageError(f"{wanted!r} is not a number that something can be compared with.")
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda value: value < number,
        "<=": lambda value: value <= number,
        ">": lambda value: value > number,
        ">=": lambda value: value >= number,
    }
    return lambda value: isinstance(value, int | float) and compare[operator](value)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Value) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text) if "." in text and text.replace(".", "", 1).isdecimal() else int(text)
    except ValueError:
        pass
    try:
        return units.parse_size(text, default_unit="b")
    except ValueError:
        return None
