# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers on dmsetup's command line, against the C library's own conversions."""

import ctypes
import errno

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmctl.cli.compat.switches import CommandLineError, Request, atoi, cookie_value, parse_sector, scan_numbers

libc = ctypes.CDLL(None, use_errno=True)
libc.strtoull.restype = ctypes.c_ulonglong
libc.strtoul.restype = libc.strtol.restype = ctypes.c_ulong

numbers = st.one_of(
    st.from_regex(r"\A[ \t\n\v\f\r]{0,2}[+-]{0,2}(0[xX]?)?[0-9a-gA-G]{0,22}[ x]?\Z"),
    st.integers(-(2**66), 2**66).map(str),
    st.sampled_from([str(2**k + d) for k in (31, 32, 63, 64) for d in (-1, 0, 1)]),
)


def convert(function, text, base):
    """(value, errno, what is left) of a strto…() call."""
    end = ctypes.c_char_p()
    ctypes.set_errno(0)
    value = function(text.encode(), ctypes.byref(end), base)
    return value, ctypes.get_errno(), end.value


@given(numbers)
@example("0x10")
@example("-")
@example(str(2**31))
def test_atoi(text):
    assert atoi(text) == libc.atoi(text.encode())


@given(numbers)
@example("-1")
@example("")
@example("0x")
def test_sector(text):
    value, error, rest = convert(libc.strtoull, text, 10)
    refused = error or rest or not any(character.isdigit() for character in text)
    if refused:
        with pytest.raises(CommandLineError, match="Invalid sector"):
            parse_sector(text)
    else:
        assert parse_sector(text) == value


@given(numbers)
@example("0x0D4D1234")
@example("0x")
@example("0")
@example("08")
@example(str(-(2**64) + 2))
@example(str(-(2**65) + 2))
@example("0xD4D1234 ")
def test_cookie(text):
    value, error, rest = convert(libc.strtoul, text, 0)
    refused = error or not value or rest or value > 0xFFFFFFFF
    assert cookie_value(text) == (0 if refused else value)


@given(numbers)
@example("0640")
@example("8")
@example("")
@example("-1")
def test_mode(text):
    value, error, rest = convert(libc.strtol, text, 8)
    value = ctypes.c_int(value).value
    request = Request("dmctl", as_dmsetup=False)
    words = ["create", "x", f"--mode={text}"]
    if error or rest or not value:
        with pytest.raises(CommandLineError) as refused:
            request.parse(words)
        why = "Numerical result out of range" if error == errno.ERANGE else ""
        assert str(refused.value) == f"Invalid argument for --mode: {text}. {why}"
    else:
        request.parse(words)
        assert request.numbers["mode"] == value


@given(numbers, st.sampled_from([":", "", " :", ": "]), numbers)
@example("254", ":", "3x")
@example("0x", ":", "3")
@example("0xfe", ":", "010")
def test_major_and_minor(first, between, second):
    text = f"{first}{between}{second}"
    found = (ctypes.c_int * 2)()
    count = libc.sscanf(text.encode(), b"%i:%i", ctypes.byref(found, 0), ctypes.byref(found, 4))
    if "0x" not in text.lower():  # glibc takes "0x" without a digit for a 0 here, and the x with it
        assert scan_numbers(text) == (tuple(found) if count == 2 else None)
