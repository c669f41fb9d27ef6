# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl's parser, with the option table that it really has, against getopt_long of this machine's own C library."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dmctl.cli.getopt import Getopt, GetoptError
from dmctl.cli.spec import LONG_OPTIONS, SHORT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = "dmsetup"
# Above every letter, so that getopt_long's answer for a long option is none of a short one's.
FIRST_LONG = 1000
QUESTION = ord("?")


class LongOptionStruct(ctypes.Structure):
    """struct option of getopt.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("has_arg", ctypes.c_int),
        ("flag", ctypes.c_void_p),
        ("val", ctypes.c_int),
    )


class Outcome(NamedTuple):
    """options: (key, value). What comes before a mistake counts, operands only without one; error: bytes, or none."""

    options: list[tuple[str, str | None]]
    operands: list[str]
    error: bytes


class Glibc:
    """getopt_long of the C library in this process. Its messages go to descriptor 2, so to a file in its place."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version.restype = ctypes.c_char_p
        assert libc.gnu_get_libc_version()  # the judge is glibc, and no other library
        self._getopt_long = libc.getopt_long
        self._getopt_long.argtypes = (
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_char_p,
            ctypes.POINTER(LongOptionStruct),
            ctypes.c_void_p,
        )
        self._optind = ctypes.c_int.in_dll(libc, "optind")
        self._optarg = ctypes.c_char_p.in_dll(libc, "optarg")
        rows = [
            (os.fsencode(name), has_arg, None, FIRST_LONG + number)
            for number, (name, has_arg, _) in enumerate(LONG_OPTIONS)
        ]
        self._table = (LongOptionStruct * (len(rows) + 1))(*rows)
        self._short = SHORT_OPTIONS.encode()
        self._errors = os.memfd_create("getopt")

    def close(self) -> None:
        os.close(self._errors)

    def parse(self, words: list[str]) -> Outcome:
        encoded = [os.fsencode(word) for word in (PROGRAM, *words)]
        argv = (ctypes.c_char_p * (len(encoded) + 1))(*encoded)
        os.ftruncate(self._errors, 0)
        os.lseek(self._errors, 0, os.SEEK_SET)
        stderr = os.dup(2)
        os.dup2(self._errors, 2)
        try:
            options, mistaken = self._options(argv, len(encoded))
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        if mistaken:
            return Outcome(options, [], os.pread(self._errors, 1 << 16, 0))
        # getopt_long has moved them to the end.
        operands = [os.fsdecode(word) for word in argv[self._optind.value : len(encoded)] if word is not None]
        return Outcome(options, operands, os.pread(self._errors, 1 << 16, 0))

    def _options(self, argv: ctypes.Array[ctypes.c_char_p], count: int) -> tuple[list[tuple[str, str | None]], bool]:
        options: list[tuple[str, str | None]] = []
        self._optind.value = 0
        while (answer := self._getopt_long(count, argv, self._short, self._table, None)) not in (-1, QUESTION):
            key = LONG_OPTIONS[answer - FIRST_LONG][2] if answer >= FIRST_LONG else chr(answer)
            value = self._optarg.value
            options.append((key, None if value is None else os.fsdecode(value)))
        return options, answer == QUESTION


@pytest.fixture(scope="module")
def glibc() -> Iterator[Glibc]:
    library = Glibc()
    yield library
    library.close()


def ours(words: list[str]) -> Outcome:
    parser = Getopt(words, SHORT_OPTIONS, LONG_OPTIONS, PROGRAM)
    options: list[tuple[str, str | None]] = []
    try:
        options.extend(parser)  # extend keeps what came before the exception
    except GetoptError as error:
        return Outcome(options, [], os.fsencode(f"{error}\n"))
    return Outcome(options, parser.operands, b"")


def check(glibc: Glibc, words: list[str], *, posix: bool = False) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("POSIXLY_CORRECT", raising=False)
        if posix:
            patch.setenv("POSIXLY_CORRECT", "")
        expected = glibc.parse(words)
        assert ours(words) == expected, words
    return expected


# ---- each option, each beginning of each ----

NAMES = [name for name, _, _ in LONG_OPTIONS]
PREFIXES = sorted({name[:length] for name in NAMES for length in range(1, len(name) + 1)})
LETTERS = SHORT_OPTIONS.replace(":", "")


@pytest.mark.parametrize("posix", [False, True])
@pytest.mark.parametrize("form", [["{}"], ["{}", "x"], ["{}=", "x"], ["{}=x", "y"], ["x", "{}", "-v"], ["x", "{}="]])
def test_beginnings_of_long_options(glibc: Glibc, form: list[str], posix: bool) -> None:
    """Every beginning of every long option, unambiguous or not, and each with a letter too many."""
    outcomes = [
        check(glibc, [word.format(f"--{prefix}{more}") for word in form], posix=posix)
        for prefix in PREFIXES
        for more in ("", "~")
    ]
    assert any(b"ambiguous" in outcome.error for outcome in outcomes) or (posix and form[0] == "x")
    assert any(outcome.options for outcome in outcomes) or (posix and form[0] == "x")


def test_letters(glibc: Glibc) -> None:
    """Every byte as an option, alone, in front of another, behind another, with a word behind it."""
    for number in range(1, 256):
        letter = os.fsdecode(bytes([number]))
        for words in ([f"-{letter}"], [f"-{letter}v", "x"], [f"-v{letter}", "x"], ["x", f"-{letter}", "-n"]):
            check(glibc, words)


def test_pairs_of_letters(glibc: Glibc) -> None:
    for first in LETTERS:
        for second in LETTERS:
            check(glibc, [f"-{first}{second}", "x", f"-{second}{first}"])


# ---- generated lines ----

ODD = ["\xff", "é", "ü=", "\udcff\udcfe", "a\udcc3", "'", "%s", "\n", "\t", " ", "=", "==", ":", ";", "?", "\\x20"]
any_text = st.binary(max_size=5).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"-")))
text = st.sampled_from(["", "x", "-", "--", "-v", "---", "0 8 zero", "name,uuid", *ODD]) | any_text
beginning = st.sampled_from([*NAMES, *PREFIXES, *PREFIXES])
mistaken = st.builds("{}{}".format, st.sampled_from(PREFIXES), st.sampled_from(["~", "z", "-", "é", "\udcff"]))
cluster = st.text(st.sampled_from(LETTERS + "Z:;-=é\udcff"), min_size=1, max_size=5)
word = st.one_of(
    beginning.map("--{}".format),
    st.builds("--{}={}".format, beginning, text),
    mistaken.map("--{}".format),
    st.builds("--{}={}".format, mistaken, text),
    cluster.map("-{}".format),
    st.builds("-{}{}".format, st.sampled_from(LETTERS), text),
    text,
)
# Mostly words that are right, so that a line is not stopped by its first word.
right = st.sampled_from([*(f"--{name}" for name in NAMES), *(f"-{letter}" for letter in LETTERS), "info", "x", "-"])
lines = st.lists(right | right | word, max_size=8)


@given(words=lines, posix=st.booleans())
@settings(max_examples=2000, deadline=None, derandomize=True, database=None)
@example(words=["--no", "--frob"], posix=False)
@example(words=["x", "--", "-v", "--"], posix=False)
@example(words=["x", "-v", "--", "-v"], posix=True)
@example(words=["", "-o", "", "--table="], posix=False)
@example(words=["-\udcc3\udca9", "x"], posix=False)
def test_generated_lines(glibc: Glibc, words: list[str], posix: bool) -> None:
    check(glibc, words, posix=posix)
