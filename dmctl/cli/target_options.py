# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of a target: positional arguments and options made from the fields of its arguments."""

import argparse
import difflib
import os
import re
import string
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, NoReturn

from dmctl import units
from dmctl.errors import DmctlError, UsageError
from dmctl.targets import Arguments, ParamsError
from dmctl.targets.fields import DEVICE, FLAG, ITEM, ITEMS, NUMBER, Spec, spec_of

_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds"}
_HEX_DIGITS = frozenset(string.hexdigits)
_SIZES = ("sectors", "bytes")
_WITH_UNIT = " unless it has a unit"
U32_MAX = 2**32 - 1
# Of argparse.
_UNKNOWN_WORDS, _VALUE_OF_FLAG = "unrecognized arguments: ", "ignored explicit argument "
_LENGTH = Spec(NUMBER, "The length of a line.", "sectors")


class TargetParser(argparse.ArgumentParser):
    """Reads the words behind a target's name. Mistakes are UsageErrors."""

    def __init__(self, cls: type[Arguments]):
        words = (cls.__doc__ or "").partition("\n")[0].rstrip(".")
        super().__init__(
            prog=f"dmctl build {cls.target}",
            description=f"{description(cls)} Kernel arguments: {words or 'none'}.",
            formatter_class=_Wrapped,
            allow_abbrev=False,
            add_help=False,
        )
        self._cls = cls
        # Where there is a key, any word may be a misplaced one: no message quotes any.
        self._secret = any(spec.secret for spec in cls.specs().values())
        self.add_argument("-h", "--help", action="store_true", help="Show this and end.")
        self.add_argument(
            "--size",
            metavar="SIZE",
            type=self._reader(_LENGTH),
            help="Length of the line; by default what its devices have.",
        )
        for field in fields(cls):
            spec = spec_of(field)
            if spec:
                self._add(field, spec)

    def error(self, message: str) -> NoReturn:
        words = message.partition(_UNKNOWN_WORDS)[2].split()
        if self._secret:
            message = without_words(message)
        # Only our own words are suggested.
        options = [name for action in self._actions for name in action.option_strings]
        near = [found for word in words for found in difflib.get_close_matches(word, options, 1)]
        raise UsageError(f"{self._cls.target}: {message}{f'; did you mean {near[0]}?' if near else '.'}")

    def read(self, words: list[str]) -> tuple[Arguments, int | None]:
        """The arguments of these words, and --size in sectors."""
        given = vars(self.parse_intermixed_args(words))
        values = {field.name: given[field.name] for field in fields(self._cls) if given.get(field.name) is not None}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        try:
            return self._cls(**values), given["size"]
        except ParamsError as error:
            raise UsageError(self._by_options(str(error))) from None

    def _by_options(self, message: str) -> str:
        """A message about fields in the words of the command line."""
        for field in fields(self._cls):
            spec = spec_of(field)
            if spec and ("_" in field.name or message.startswith(f"{self._cls.target}: {field.name} ")):
                shown = positional(field.name, spec) if field.default is MISSING else option_name(field.name, spec)
                message = re.sub(rf"(?<![\w-]){field.name}(?!\w)", shown, message, count=1)
        return message

    def _add(self, field: "Field[Any]", spec: Spec) -> None:
        more: dict[str, Any] = {"help": explained(field, spec)}
        if spec.kind == FLAG:
            self.add_argument(option_name(field.name, spec), dest=field.name, action="store_true", default=None, **more)
            return
        more["type"] = self._reader(spec)
        if field.default is MISSING:
            if spec.kind == ITEMS:
                more["nargs"] = "+"
            self.add_argument(field.name, metavar=positional(field.name, spec), **more)
            return
        more["metavar"] = metavar(field.name, spec)
        if spec.kind == ITEMS:
            more["action"] = "append"
        self.add_argument(option_name(field.name, spec), dest=field.name, **more)

    def _reader(self, spec: Spec) -> Callable[[str], Any]:
        """How the text of a field is read. Each error is one that argparse puts the argument's name before."""

        def read(text: str) -> Any:
            try:
                return _value(text, spec)
            except (ValueError, DmctlError) as error:
                hidden = self._secret and not spec.secret  # what is said of a key holds none
                told = str(error).rstrip(".")
                for prefix in (self._cls.target, getattr(spec.item, "__self__", type).__name__.lower()):
                    told = told.removeprefix(f"{prefix}: ")
                told = f"must be {_shape(spec)}" if hidden else told
                raise argparse.ArgumentTypeError(told) from None

        return read


def without_words(message: str) -> str:
    """A message of argparse's without the words of the command line in it."""
    for known, told in ((_UNKNOWN_WORDS, "there are unknown or surplus arguments"), (_VALUE_OF_FLAG, "takes no value")):
        head, found, _ = message.partition(known)
        if found:
            return head + told
    return message


class _Wrapped(argparse.HelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=min(100, _columns()))

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        # argparse has the name twice, which makes lines of the longest ones too wide.
        if action.nargs == "+":
            return f"{action.metavar} [...]"
        return super()._format_args(action, default_metavar)


def _columns() -> int:
    try:
        return os.get_terminal_size().columns or 80  # a serial console tells 0
    except OSError:
        return 80


def description(cls: type[Arguments]) -> str:
    """What a target does, and where its source is."""
    told = " ".join((sys.modules[cls.__module__].__doc__ or "").split("\n\n")[0].split())
    return f"{cls.target}: {cls.about} ({told.rpartition(' (')[2]}" if cls.about else told


def option_name(name: str, spec: Spec) -> str:
    """The option of a field: its name without the unit, which help and metavar tell."""
    unit = spec.unit.lower().replace("/", "_")  # "KiB/s" ends a field's name as "kib_s"
    return "--" + (spec.option or (name.removesuffix(f"_{unit}") if unit else name)).replace("_", "-")


def positional(name: str, spec: Spec) -> str:
    """How a usage names an argument that is no option."""
    return spec.metavar if spec.metavar and spec.kind != DEVICE else option_name(name, spec).lstrip("-").upper()


def metavar(name: str, spec: Spec) -> str:
    """How a usage names the value of an option."""
    if spec.metavar:
        return spec.metavar
    if spec.choices:
        return "|".join(spec.choices)
    if spec.kind != NUMBER:
        return name.upper()
    name = _UNIT_NAMES.get(spec.unit, spec.unit)
    return "SIZE" if spec.unit in _SIZES else (name.upper() if name.islower() else name) or "NUMBER"


def explained(field: "Field[Any]", spec: Spec) -> str:
    """The help of a field with its unit, bounds and default."""
    told = []
    if spec.unit:
        told.append(f"{_UNIT_NAMES.get(spec.unit, spec.unit)}{_WITH_UNIT if spec.unit in _SIZES else ''}")
    if spec.kind == NUMBER and (spec.minimum or spec.maximum < U32_MAX):
        told.append(f"at least {spec.minimum}" if spec.maximum >= U32_MAX else f"{spec.minimum} to {spec.maximum}")
    if spec.choices:
        told.append(f"one of {', '.join(spec.choices)}")
    if spec.kind != FLAG and field.default not in (MISSING, None, ()):
        told.append(f"default {field.default}")
    if spec.kind == ITEMS and field.default is not MISSING:
        told.append("may be repeated")
    if spec.since:
        told.append(f"{'since' if spec.told else 'not before'} target version {'.'.join(map(str, spec.since))}")
    if spec.secret:
        told.append("@FILE reads it from a file")
    # argparse formats help texts with %.
    notes = f" ({', '.join(told)})" if told else ""
    return f"{spec.help.rstrip('.')}{notes}.".replace("%", "%%")


def _value(text: str, spec: Spec) -> Any:
    """What a text stands for. Raises ValueError or a DmctlError."""
    if spec is _LENGTH:
        if not (length := _size(text, "sectors")):
            raise ValueError("the length must not be 0")
        return length
    if spec.kind == NUMBER:
        return _size(text, spec.unit) if spec.unit in _SIZES else _number(text, signed=spec.minimum < 0)
    if spec.kind in (ITEM, ITEMS):
        return _number(text) if spec.item is int else spec.item(text)
    return _key(text) if spec.secret else text


def _shape(spec: Spec) -> str:
    """How a text must look."""
    if spec.kind == NUMBER:
        return f"a size in whole {spec.unit}, such as 4K" if spec.unit in _SIZES else "a number"
    return f"of the form {spec.metavar}"


def _size(text: str, unit: str) -> int:
    if unit == "bytes":
        return units.parse_size(text, default_unit="b")
    return units.sectors(units.parse_size(text, default_unit="s"))


def _number(text: str, *, signed: bool = False) -> int:
    digits = text.removeprefix("-") if signed else text
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _key(text: str) -> str:
    """A key, from a file where the text is @FILE. No message quotes any of it."""
    key = _from_file(text[1:]) if text.startswith("@") else text
    if not key:
        raise ValueError("the file is empty" if text else "it is empty")
    # Also the kernel's reference and dash, for targets that have them.
    if key != "-" and not key.startswith(":") and not _HEX_DIGITS.issuperset(key):
        raise ValueError("a key must be hexadecimal digits only")
    return key


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file holds more than hexadecimal digits") from None
