# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of a target: positional arguments and options made from the fields of its arguments."""

import argparse
import os
import sys
from dataclasses import MISSING, Field, fields
from typing import Any, NoReturn

from dmctl import units
from dmctl.errors import DmctlError, UsageError
from dmctl.targets import Arguments
from dmctl.targets.fields import DEVICE, FLAG, ITEM, ITEMS, NUMBER, Spec, spec_of

# Ends of fields' names that tell a unit; an option goes without.
_UNITS = ("sectors", "bytes", "ms", "us", "s")
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_SIZES = ("sectors", "bytes")
_WITH_UNIT = " unless it has a unit"
U32_MAX = 2**32 - 1


class TargetParser(argparse.ArgumentParser):
    """Reads the words behind a target's name. Mistakes are UsageErrors."""

    def __init__(self, cls: type[Arguments]):
        doc, module = cls.__doc__ or "", sys.modules[cls.__module__].__doc__ or ""
        super().__init__(
            prog=f"dmctl build {cls.target}",
            description=f"{module.strip()} Kernel arguments: {doc.partition(chr(10))[0].rstrip('.') or 'none'}.",
            formatter_class=_Wrapped,
            allow_abbrev=False,
            add_help=False,
        )
        self._cls = cls
        self.add_argument("-h", "--help", action="store_true", help="Show this and end.")
        self.add_argument("--size", metavar="SIZE", help="Length of the line; by default what its devices have.")
        for field in fields(cls):
            spec = spec_of(field)
            if spec:
                self._add(field, spec)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self._cls.target}: {message}.")

    def read(self, words: list[str]) -> tuple[Arguments, int | None]:
        """The arguments of these words, and --size in sectors."""
        given = vars(self.parse_intermixed_args(words))
        values = {field.name: given[field.name] for field in fields(self._cls) if given.get(field.name) is not None}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        size = given["size"]
        return self._cls(**values), None if size is None else _size(size, "sectors")

    def _add(self, field: "Field[Any]", spec: Spec) -> None:
        more: dict[str, Any] = {"help": explained(field, spec)}
        if spec.kind == FLAG:
            self.add_argument(option_name(field.name, spec), dest=field.name, action="store_true", default=None, **more)
            return
        more["type"] = _reader(spec)
        if field.default is MISSING:
            if spec.kind == ITEMS:
                more["nargs"] = "+"
            self.add_argument(field.name, metavar=positional(field.name, spec), **more)
            return
        more["metavar"] = metavar(field.name, spec)
        if spec.kind == ITEMS:
            more["action"] = "append"
        self.add_argument(option_name(field.name, spec), dest=field.name, **more)


class _Wrapped(argparse.HelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=min(100, _columns()))


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


def option_name(name: str, spec: Spec) -> str:
    """The option of a field: its name without the unit."""
    stem, _, unit = name.rpartition("_")
    return "--" + (stem if stem and spec.unit and unit in _UNITS else name).replace("_", "-")


def positional(name: str, spec: Spec) -> str:
    """How a usage names an argument that is no option."""
    return spec.metavar if spec.metavar and spec.kind != DEVICE else option_name(name, spec).lstrip("-").upper()


def metavar(name: str, spec: Spec) -> str:
    """How a usage names the value of an option."""
    if spec.metavar:
        return spec.metavar
    if spec.choices:
        return "|".join(spec.choices)
    if spec.kind == NUMBER:
        return "SIZE" if spec.unit in _SIZES else "NUMBER"
    return name.upper()


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
    if spec.secret:
        told.append("@FILE reads it from a file")
    # argparse formats help texts with %.
    notes = f" ({', '.join(told)})" if told else ""
    return f"{spec.help.rstrip('.')}{notes}.".replace("%", "%%")


def _reader(spec: Spec) -> Any:
    def read(text: str) -> Any:
        try:
            if spec.kind == NUMBER:
                return _size(text, spec.unit) if spec.unit in _SIZES else _number(text)
            if spec.kind in (ITEM, ITEMS):
                return spec.item(text)
        except (ValueError, DmctlError) as error:
            raise argparse.ArgumentTypeError(str(error).rstrip(".")) from None
        return _from_file(text) if spec.secret and text.startswith("@") else text

    return read


def _size(text: str, unit: str) -> int:
    if unit == "bytes":
        return units.parse_size(text, default_unit="b")
    try:
        return units.sectors(units.parse_size(text, default_unit="s"))
    except ValueError as error:
        raise UsageError(str(error)) from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20):
        raise ValueError(f"{text!r} is not a number")
    return int(text)


def _from_file(text: str) -> str:
    path = text[1:]
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The file {path!r} cannot be read: {told}.") from None
