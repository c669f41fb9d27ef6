# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the arguments and the status of every target have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl import units
from dmctl.check import DeviceFacts, Finding, check, device_facts
from dmctl.table import Line, Table
from dmctl.targets import fields
from dmctl.targets.fields import DEVICE, ITEM, ITEMS, NUMBER, WORD, Spec, spec_of
from dmctl.targets.words import Note, ParamsError, StatusError, Words

OK, FAIL, ERROR = "ok", "fail", "error"


class _Described:
    """A dataclass whose fields have a Spec each.

    parts: the classes of what the fields hold, for their own fields.
    """

    parts: ClassVar[tuple[type[Item], ...]] = ()

    @classmethod
    def specs(cls) -> dict[str, Spec]:
        """The Spec of each field, in order."""
        found = ((field.name, spec_of(field)) for field in dataclasses.fields(cls))  # type: ignore[arg-type]
        return {name: spec for name, spec in found if spec}

    @classmethod
    def spec_of_note(cls, note: Note) -> Spec | None:
        """The Spec of the field that a word was read for, None where the word is for none."""
        name = note.name.partition(" ")[0]  # of a pair the first
        for described in (cls, *cls.parts):
            if name in (specs := described.specs()):
                return specs[name]
        return None

    def to_dict(self, *, show_keys: bool = False) -> dict[str, Any]:
        """The fields as JSON has them; of a secret one only zeros, one a byte, unless show_keys."""
        shown = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            spec, value = spec_of(field), getattr(self, field.name)
            if spec and spec.secret and value and not show_keys:
                value = self.without_secret(field.name, value)
            shown[field.name] = _plain(value, show_keys)
        return shown

    def without_secret(self, name: str, value: str) -> str:
        """What stands in the place of a secret value."""
        return "0" * len(value)


def _plain(value: Any, show_keys: bool) -> Any:
    if isinstance(value, _Described):
        return value.to_dict(show_keys=show_keys)
    if isinstance(value, tuple):
        return [_plain(one, show_keys) for one in value]
    return value


@dataclass(frozen=True, slots=True)
class Item(_Described):
    """One of several things of the same kind among a target's arguments or status, such as a leg."""

    def __post_init__(self) -> None:
        check_values(self, type(self).__name__.lower())


@dataclass(frozen=True, slots=True)
class Leg(Item):
    """DEVICE OFFSET: where on a device something begins."""

    device: str = fields.device("The device.")
    offset_sectors: int = fields.number("Where on the device it begins.", unit="sectors", default=0)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "DEVICE[,OFFSET]", the offset a size such as 1M or 2048s. Raises ValueError."""
        device, _, offset = text.partition(",")
        return cls(device, units.sectors(units.parse_size(offset, default_unit="s")) if offset else 0)

    @classmethod
    def read(cls, words: Words) -> Self:
        return cls(words.word("device"), words.number("offset_sectors"))

    def to_params(self) -> str:
        return f"{self.device} {self.offset_sectors}"


@dataclass(frozen=True, slots=True)
class Arguments(_Described):
    """What a table line says to its target.

    Making one checks every value against its field's bounds and choices: ParamsError.
    loadable: whether the kernel takes what to_params() gives. about: what the target does, where the text of its module
    is about several.
    """

    target: ClassVar[str]
    about: ClassVar[str] = ""
    loadable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_values(self, self.target)

    @classmethod
    def form(cls, params: str) -> type[Arguments]:
        """The class to read these parameters with: another one where a target's kernel prints what it does not take."""
        return cls

    @classmethod
    def parse_params(cls, params: str) -> Self:
        """Read a line's parameters, in any form that the kernel accepts. Raises ParamsError."""
        words = cls._cursor(params)
        made = cls._read(words)
        words.end()
        return made

    @classmethod
    def explain_params(cls, params: str) -> list[Note]:
        """The words of a line's parameters, each with what it is. Raises ParamsError."""
        words = cls._cursor(params)
        cls._read(words)
        words.end()
        return words.notes

    @classmethod
    def _cursor(cls, params: str) -> Words:
        secret = any(spec.secret for spec in cls.specs().values())
        return Words(cls.target, params, ParamsError, secret=secret)

    @classmethod
    def _read(cls, words: Words) -> Self:
        raise NotImplementedError

    def to_params(self) -> str:
        """The line's parameters, in the form that the newest kernel prints where that can be loaded."""
        raise NotImplementedError

    def line(self, start_sectors: int, length_sectors: int) -> Line:
        """A table line of these arguments."""
        return Line(start_sectors, length_sectors, self.target, self.to_params())

    def findings(
        self, length_sectors: int, device: Callable[[str], DeviceFacts | None] | None = device_facts
    ) -> list[Finding]:
        """What the kernel would refuse of a line of these arguments, as far as that can be known; see dmctl.check."""
        return check(Table([self.line(0, length_sectors)]), device=device)

    def devices(self) -> tuple[str, ...]:
        """The devices that the arguments name, in their order, by path or major:minor."""
        return tuple(_devices(self))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        """The length that a line of these arguments has where the user gives none; None where one must be given.

        size_sectors: the size of a device; it raises DmctlError for one that is not there.
        """
        return None


@dataclass(frozen=True, slots=True)
class Usage(_Described):
    """How full something is. what: "data", "metadata", "exceptions", …; unit: as of fields.

    progress: being full means being done, as with a mirror that synchronises.
    """

    what: str
    used: int
    total: int
    unit: str = ""
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Status(_Described):
    """What a target's status says.

    state: OK, or FAIL or ERROR, where the target says nothing but that. In those states, and where the target's version
    does not tell it, a field is None. extra: words that nothing here knows, mostly at the end.
    """

    target: ClassVar[str]

    state: str = OK
    extra: tuple[str, ...] = ()

    @classmethod
    def parse_status(cls, text: str) -> Self:
        """Read a status. Raises StatusError, and nothing else, whatever the text."""
        return cls._parse(text)[0]

    @classmethod
    def explain_status(cls, text: str) -> list[Note]:
        """The words of a status, each with what it is. Raises StatusError."""
        return cls._parse(text)[1].notes

    @classmethod
    def _parse(cls, text: str) -> tuple[Self, Words]:
        words = Words(cls.target, text, StatusError)
        state = {"Fail": FAIL, "Error": ERROR}.get(words.peek()) if words.left == 1 else None
        if state:
            words.word("state")
            return cls(state=state), words
        try:
            made = cls._read(words)
        except ParamsError as error:  # of an Item
            raise StatusError(str(error)) from None
        if words.left:
            made = dataclasses.replace(made, extra=(*made.extra, *words.rest("extra")))
        return made, words

    @classmethod
    def _read(cls, words: Words) -> Self:
        raise NotImplementedError

    def usages(self) -> tuple[Usage, ...]:
        """What of the target can be full, and how full it is."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """What a user should know of this state, each in a few words without a full stop."""
        return ("the target has failed",) if self.state == FAIL else ()


def check_values(described: Any, what: str) -> None:
    """Raise ParamsError for a value that its field cannot have."""
    for field in dataclasses.fields(described):
        spec, value = spec_of(field), getattr(described, field.name)
        if spec is None or value is None:
            continue
        message = _mistake(spec, value, quotes=not any(one.secret for one in described.specs().values()))
        if message:
            raise ParamsError(f"{what}: {field.name} {message}.")


def _mistake(spec: Spec, value: Any, *, quotes: bool) -> str:
    """What is wrong with a value. quotes: whether it may be quoted; where there is a key, it may be a misplaced one."""
    shown = repr(value) if quotes else "what is given"
    if spec.kind == NUMBER:
        return "" if spec.minimum <= value <= spec.maximum else f"must be {spec.minimum} to {spec.maximum}, not {shown}"
    if spec.kind in (DEVICE, WORD) and (value or not spec.empty):
        if spec.choices and value not in spec.choices:
            return f"must be one of {', '.join(spec.choices)}, not {shown}"
        return "" if _is_word(value) else f"must be one word without blanks, not {shown}"
    if spec.kind == ITEMS and not isinstance(value, tuple):
        return "must be a tuple"
    if spec.kind == ITEMS and not all(_is_word(one) for one in value if isinstance(one, str)):
        return "must be words without blanks"
    return ""


def _is_word(text: str) -> bool:
    return Words("", text, ParamsError).rest("") == (text,)


def _devices(described: Any) -> Iterator[str]:
    for field in dataclasses.fields(described):
        spec, value = spec_of(field), getattr(described, field.name)
        if spec is None or value is None:
            continue
        if spec.kind == DEVICE and value != "-":
            yield value
        elif spec.kind in (ITEM, ITEMS):
            for one in value if spec.kind == ITEMS else (value,):
                if isinstance(one, Item):
                    yield from _devices(one)
