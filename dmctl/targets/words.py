# SPDX-License-Identifier: LGPL-2.1-or-later
"""The words of a table's parameters or of a status, taken one by one, each noted with the field that it gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from dmctl.check.arguments import split_words
from dmctl.errors import DmctlError, UsageError

T = TypeVar("T")

_DIGITS = frozenset("0123456789")
_MAX_DIGITS = 20  # of 2**64


class ParamsError(UsageError):
    """Arguments that a target does not have, or their text; the message names the argument and holds no key."""


class StatusError(DmctlError):
    """A status text that is none of the target's."""


@dataclass(frozen=True, slots=True)
class Note:
    """One word that was read. name: of the field, or of what the word is for ("number of features"). about: what of
    it, where a field holds several things, such as "leg 2". secret_chars: how many characters at its end are a key, so
    that only `shown` may be shown unasked."""

    text: str
    name: str
    about: str = ""
    secret_chars: int = 0

    @property
    def shown(self) -> str:
        """The word with zeros in the place of a key."""
        return self.text[: len(self.text) - self.secret_chars] + "0" * self.secret_chars

    def __repr__(self) -> str:
        return f"Note({self.shown!r}, {self.name!r}, {self.about!r})"


class Words:
    """A cursor over words. Every reader names the field that it reads, raises the error it was made with, and notes."""

    def __init__(self, target: str, text: str, error: type[ParamsError] | type[StatusError], *, secret: bool = False):
        """secret: some of the words are, so that no message quotes any."""
        self.target = target
        self.notes: list[Note] = []
        self.about = ""
        self._texts = [word.text for word in split_words(text, 1)]
        self._error = error
        self._secret = secret
        self._at = 0

    @property
    def left(self) -> int:
        """Number of words not yet read."""
        return len(self._texts) - self._at

    def peek(self, ahead: int = 0) -> str:
        """The next word, or one further ahead, without reading it; "" where there is none."""
        place = self._at + ahead
        return self._texts[place] if place < len(self._texts) else ""

    def at_number(self) -> bool:
        """Whether the next word is of digits only."""
        return self.left > 0 and _DIGITS.issuperset(self.peek())

    def fail(self, message: str) -> NoReturn:
        """Raise the error; message is one sentence without its end."""
        raise self._error(f"{self.target}: {message}.")

    def show(self, text: str) -> str:
        """A word for a message."""
        return "what is given" if self._secret else repr(text)

    def word(self, name: str, choices: tuple[str, ...] = ()) -> str:
        """The next word, one of the choices if there are any."""
        if not self.left:
            self.fail(f"{name} is missing")
        text = self._texts[self._at]
        if choices and text not in choices:
            self.fail(f"{name} must be {' or '.join(choices)}, not {self.show(text)}")
        self._at += 1
        self.notes.append(Note(text, name, self.about))
        return text

    def named(self, name: str) -> None:
        """Name what the word read last is, where that is known only now."""
        self.notes[-1] = dataclasses.replace(self.notes[-1], name=name)

    def hide(self, secret_chars: int) -> None:
        """Say that so many characters at the end of the word read last are a key."""
        self.notes[-1] = dataclasses.replace(self.notes[-1], secret_chars=secret_chars)

    def number(self, name: str, *, base: int = 10, bits: int = 64) -> int:
        """The next word as a number without a sign: as the kernel's sscanf() reads one, which takes of a number that is
        too large its lowest bits. In a status it must be below 2**64."""
        return self.number_of(name, self.word(name), base=base, bits=bits)

    def plus(self, name: str) -> int:
        """The next word as the kernel's kstrtoull() and its like read a number: a plus may lead, and none is cut."""
        return self.plus_of(name, self.word(name))

    def signed(self, name: str) -> int:
        """The next word as a number that may have a sign, as the kernel's kstrtoint() reads one."""
        text = self.word(name)
        return -self._uncut(name, text, text[1:]) if text[0] == "-" else self.plus_of(name, text)

    def number_of(self, name: str, text: str, *, base: int = 10, bits: int = 64) -> int:
        """number() of a word already read, or of a part of it."""
        if base == 10 and text and _DIGITS.issuperset(text):
            if self._error is StatusError:
                return self._uncut(name, text, text)
            value = 0
            for digit in text:  # int() refuses thousands of digits
                value = (value * 10 + int(digit)) % 2**bits
            return value
        if base == 16 and text.removeprefix("0x").isalnum() and len(text) <= 18:
            try:
                return int(text, 16)
            except ValueError:
                pass
        self.fail(f"{name} must be a number, not {self.show(text)}")

    def plus_of(self, name: str, text: str) -> int:
        """plus() of a word already read, or of a part of it."""
        return self._uncut(name, text, text.removeprefix("+"))

    def _uncut(self, name: str, text: str, digits: str) -> int:
        if not (digits and _DIGITS.issuperset(digits)):
            self.fail(f"{name} must be a number, not {self.show(text)}")
        digits = digits.lstrip("0") or "0"
        if len(digits) > _MAX_DIGITS or int(digits) >= 2**64:
            self.fail(f"{name} must be below 2**64, not {self.show(text)}")
        return int(digits)

    def number_or_dash(self, name: str, *, bits: int = 64) -> int | None:
        """The next word as a number, None for a "-"."""
        text = self.word(name)
        return None if text == "-" else self.number_of(name, text, bits=bits)

    def pair(self, names: tuple[str, str], separator: str = "/") -> tuple[int, int]:
        """The next word as two numbers, such as used/total."""
        name = f"{names[0]} {separator} {names[1]}"
        first, found, second = self.word(name).partition(separator)
        if not found:
            self.fail(f"{name} must be two numbers")
        return self.number_of(names[0], first), self.number_of(names[1], second)

    def group(self, what: str) -> Words:
        """A count and that many words, as a cursor of their own that notes into this one."""
        count = self.number(f"number of {what}", bits=32)
        if count > self.left:
            announced = "more" if self._secret else f"{count}"
            self.fail(f"{announced} {what} are announced, but {self.left} words follow")
        inner = Words(self.target, "", ParamsError, secret=self._secret)
        inner._error = self._error
        inner._texts = self._texts[self._at : self._at + count]
        inner.notes = self.notes
        inner.about = self.about
        self._at += count
        return inner

    def each(self, count: int, about: str, read: Callable[[Words], T]) -> tuple[T, ...]:
        """What `read` reads, count times."""
        if count > self.left:
            self.fail(f"for the number {count} of {about}s too few words follow")
        made, outer = [], self.about
        for number in range(1, count + 1):
            self.about = f"{about} {number}"
            made.append(read(self))
        self.about = outer
        return tuple(made)

    def rest(self, name: str) -> tuple[str, ...]:
        """All words that are left."""
        words = []
        while self.left:
            words.append(self.word(name))
        return tuple(words)

    def end(self) -> None:
        """No word may be left."""
        if self.left:
            self.fail(f"{self.left} words too many, from {self.show(self.peek())} on")
