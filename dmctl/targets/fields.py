# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said of each field of a target's arguments and status: what it means, its unit, its bounds.

Help texts, `dmctl build`'s options, `dmctl explain` and the checks of values are all made of this. The functions here
are used in the place of dataclasses.field().
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from typing import Any

DEVICE, NUMBER, WORD, FLAG, ITEM, ITEMS = "device", "number", "word", "flag", "item", "items"
U64_MAX = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Spec:
    """What a field is.

    kind: DEVICE (a path or major:minor), NUMBER, WORD, FLAG (there or not), ITEM (an object) or ITEMS (a tuple of texts
    or objects).
    unit: "sectors" (of 512 bytes), "bytes", "ms", "s", "blocks", …; "" for a mere count or number.
    minimum, maximum: of a number, both allowed. choices: the words allowed, () for any.
    secret: never to be shown unasked. item: of ITEM and ITEMS, how a command line's word is read; its error is a
    ValueError.
    metavar: how a usage names the value. empty: of a word, whether it may be "".
    option: the name of the option for it, where that is not the field's name without its unit.
    since: no kernel takes it whose version of the target is lower; () where all do from Linux 5.4 on, or it is not
    known. told: whether all kernels of that version and up take it: an option may have come without a new version, or
    depend on how the kernel was configured.
    """

    kind: str
    help: str
    unit: str = ""
    minimum: int = 0
    maximum: int = U64_MAX
    choices: tuple[str, ...] = ()
    secret: bool = False
    item: Callable[[str], Any] = str
    metavar: str = ""
    empty: bool = False
    option: str = ""
    since: tuple[int, ...] = ()
    told: bool = True

    def had_by(self, version: tuple[int, ...]) -> bool:
        """Whether the target's version may take it, and does for certain where `told`."""
        return version >= self.since


def spec_of(field: dataclasses.Field[Any]) -> Spec | None:
    """The field's Spec, None for one without."""
    found: Spec | None = field.metadata.get("spec")
    return found


def _field(spec: Spec, default: Any) -> Any:
    return dataclasses.field(default=default, repr=not spec.secret, metadata={"spec": spec})


def since(version: str, made: Any, *, told: bool = True) -> Any:
    """A field of those below that the kernel takes since a version of the target; told: see Spec."""
    spec = made.metadata["spec"]
    return _field(dataclasses.replace(spec, since=tuple(map(int, version.split("."))), told=told), made.default)


def device(help: str, *, default: Any = MISSING) -> Any:
    """A device by path or major:minor."""
    return _field(Spec(DEVICE, help, metavar="DEVICE"), default)


def number(
    help: str,
    *,
    unit: str = "",
    minimum: int = 0,
    maximum: int = U64_MAX,
    default: Any = MISSING,
    metavar: str = "",
    option: str = "",
) -> Any:
    """An integer; of a unit "sectors" or "bytes" it is a size for the command line."""
    return _field(Spec(NUMBER, help, unit, minimum, maximum, metavar=metavar, option=option), default)


def word(
    help: str, *, choices: tuple[str, ...] = (), secret: bool = False, default: Any = MISSING, metavar: str = ""
) -> Any:
    """One word without blanks."""
    return _field(Spec(WORD, help, choices=choices, secret=secret, metavar=metavar), default)


def flag(help: str, *, default: bool | None = False) -> Any:
    """A word that is there or not; in a status None stands for not known."""
    return _field(Spec(FLAG, help), default)


def key(help: str) -> Any:
    """A key that stands behind a colon in a word of the line: "" for none behind it, None without the colon."""
    return _field(Spec(WORD, help, secret=True, empty=True, metavar="KEY"), None)


def item(help: str, *, item: Callable[[str], Any], default: Any = MISSING, metavar: str = "") -> Any:
    """An object of several values; item reads it from a command line's word."""
    return _field(Spec(ITEM, help, item=item, metavar=metavar), default)


def items(help: str, *, item: Callable[[str], Any] = str, default: Any = MISSING, metavar: str = "") -> Any:
    """A tuple; item reads one of it from a command line's word."""
    return _field(Spec(ITEMS, help, item=item, metavar=metavar), default)
