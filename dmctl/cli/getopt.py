# SPDX-License-Identifier: LGPL-2.1-or-later
"""Command-line words split the way glibc's getopt_long splits them.

Every dmsetup command line goes through here, so it must cost microseconds and import nothing but os: importing
collections for a namedtuple alone takes longer than the rest of this module.  Behaviour and messages are those of
glibc 2.36 in the C locale.  Left out, because no dmsetup personality uses them: an optstring that starts with ':',
the 'W;' extension, non-ASCII option names, and translated messages.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

NO_ARGUMENT = 0
REQUIRED_ARGUMENT = 1
OPTIONAL_ARGUMENT = 2

IN_ORDER_KEY = "\x01"
"""The key of an operand when the optstring starts with '-', as getopt returns the number 1 for it."""


class LongOption(tuple[str, int, str]):
    """One long option: its name without the dashes, one of the *_ARGUMENT constants, and the key to yield for it.

    Two options with equal has_arg and key are the same option under two names: an abbreviation of both is not
    ambiguous.
    """

    __slots__ = ()

    def __new__(cls, name: str, has_arg: int, key: str) -> "LongOption":
        return super().__new__(cls, (name, has_arg, key))

    @property
    def name(self) -> str:
        return self[0]

    @property
    def has_arg(self) -> int:
        return self[1]

    @property
    def key(self) -> str:
        return self[2]


class GetoptError(Exception):
    """The words cannot be parsed; the text is the line glibc would print, "program: " included, newline not."""


class Getopt:
    """Iterate over the options of argv (program name not included) as (key, value or None).

    short is an optstring ("ab:c::"); the key of a short option is its letter.  long_options are LongOption or plain
    (name, has_arg, key) tuples, in the order in which an ambiguity has to list them.  program is the prefix of the
    messages.

    Options are yielded one at a time: what the caller does with one happens before the next is looked at, and
    GetoptError for a bad word is raised only when its turn comes.  After the last option `operands` holds the other
    words in the order given; until then it holds those met so far.  Words that are not valid in the file system
    encoding (surrogate escapes) come through unchanged.
    """

    __slots__ = ("_argv", "_exact", "_in_order", "_long", "_program", "_short", "_stop_at_operand", "operands")

    def __init__(
        self, argv: "Iterable[str]", short: str, long_options: "Sequence[tuple[str, int, str]]", program: str
    ) -> None:
        self._argv = argv
        self._in_order = short.startswith("-")
        # Set but empty counts, as with getenv().
        self._stop_at_operand = short.startswith("+") or "POSIXLY_CORRECT" in os.environ
        self._short = short[1:] if short.startswith(("+", "-")) else short
        self._long = long_options
        self._program = program
        self._exact: dict[str, tuple[str, int, str]] | None = None
        self.operands: list[str] = []

    def __iter__(self) -> "Iterator[tuple[str, str | None]]":
        operands = self.operands
        operands.clear()
        words = iter(self._argv)
        for word in words:
            if word == "--":
                operands.extend(words)
            elif word == "-" or not word.startswith("-"):
                if self._in_order:
                    yield IN_ORDER_KEY, word
                    continue
                operands.append(word)
                if self._stop_at_operand:
                    operands.extend(words)
            elif word.startswith("--"):
                yield self._long_option(word[2:], words)
            else:
                yield from self._cluster(word, words)

    def _cluster(self, word: str, words: "Iterator[str]") -> "Iterator[tuple[str, str | None]]":
        """The short options of one word; the first that takes a value swallows the rest of it."""
        short = self._short
        for at, letter in enumerate(word[1:], 2):
            index = -1 if letter in ":;" else short.find(letter)
            if index < 0:
                raise self._error(f"invalid option -- '{_first_byte(letter)}'")
            if not short.startswith(":", index + 1):
                yield letter, None
                continue
            value: str | None = word[at:] or None
            if value is None and not short.startswith("::", index + 1):
                value = next(words, None)
                if value is None:
                    raise self._error(f"option requires an argument -- '{letter}'")
            yield letter, value
            return

    def _long_option(self, text: str, words: "Iterator[str]") -> tuple[str, str | None]:
        """One word without its dashes; a required value may be the next word."""
        given, equals, attached = text.partition("=")
        name, has_arg, key = self._find_long(given, text)
        if equals:
            if has_arg == NO_ARGUMENT:
                raise self._error(f"option '--{name}' doesn't allow an argument")
            return key, attached
        if has_arg != REQUIRED_ARGUMENT:
            return key, None
        value = next(words, None)
        if value is None:
            raise self._error(f"option '--{name}' requires an argument")
        return key, value

    def _find_long(self, given: str, text: str) -> tuple[str, int, str]:
        """The option of that name, or the only one that starts so; text is what a message quotes."""
        if self._exact is None:
            # Backwards: of two entries with one name the first counts.
            self._exact = {option[0]: option for option in reversed(self._long)}
        exact = self._exact.get(given)
        if exact is not None:
            return exact
        candidates = [option for option in self._long if option[0].startswith(given)]
        if not candidates:
            raise self._error(f"unrecognized option '--{text}'")
        first = candidates[0]
        others = [option for option in candidates if option[1:] != first[1:]]
        if others:
            # As in glibc, further names of the first candidate's own option are not listed.
            listed = " ".join(f"'--{option[0]}'" for option in (first, *others))
            raise self._error(f"option '--{text}' is ambiguous; possibilities: {listed}")
        return first

    def _error(self, message: str) -> GetoptError:
        return GetoptError(f"{self._program}: {message}")


def _first_byte(letter: str) -> str:
    """What is left of a character when C prints it as one char."""
    return letter if letter.isascii() else os.fsdecode(os.fsencode(letter)[:1])
