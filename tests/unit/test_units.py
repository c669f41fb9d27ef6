# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl.units against arithmetic of its own: fractions for sizes, the kernel's bit layout for device numbers."""

from __future__ import annotations

import os
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dmctl import units
from dmctl.units import (
    MAX_MAJOR,
    MAX_MINOR,
    MAX_SIZE_BYTES,
    SECTOR_BYTES,
    dev_t_to_devno,
    devno_to_dev_t,
    format_devno,
    format_size,
    parse_devno,
    parse_size,
    sectors,
)

# Written out, not computed the way the module computes them.
FACTORS = {
    "b": 1,
    "s": 512,
    "k": 1024,
    "m": 1048576,
    "g": 1073741824,
    "t": 1099511627776,
    "p": 1125899906842624,
    "e": 1152921504606846976,
    "kib": 1024,
    "mib": 1048576,
    "gib": 1073741824,
    "tib": 1099511627776,
    "pib": 1125899906842624,
    "eib": 1152921504606846976,
    "kb": 1000,
    "mb": 1000000,
    "gb": 1000000000,
    "tb": 1000000000000,
    "pb": 1000000000000000,
    "eb": 1000000000000000000,
}

sizes = st.integers(0, MAX_SIZE_BYTES)
# Near the powers, where units change and rounding carries.
edges = st.builds(
    lambda power, times, off: max(0, 1024**power * times + off),
    st.integers(0, 6),
    st.integers(1, 15),
    st.integers(-6000, 6000),
)
spelled = st.sampled_from(sorted(FACTORS)).flatmap(
    lambda unit: st.tuples(*(st.sampled_from([c, c.upper()]) for c in unit)).map("".join)
)


# ---- sizes in ----


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("8", 4096),
        ("8s", 4096),
        ("8S", 4096),
        ("4096b", 4096),
        ("4096B", 4096),
        ("64k", 65536),
        ("64K", 65536),
        ("64KiB", 65536),
        ("64kB", 64000),
        ("64KB", 64000),
        ("10G", 10737418240),
        ("10 GB", 10000000000),
        (" 1.5\tGiB\n", 1610612736),
        ("1.50g", 1610612736),
        ("0.5s", 256),
        ("1.5", 768),
        ("000001", 512),
        ("1.0b", 1),
        ("0.001kB", 1),
        ("16777215.9990234375k", 17179869183),
        ("18446744073709551615b", 2**64 - 1),
        ("0" * 9000 + "1s", 512),
        ("1." + "0" * 9000 + "k", 1024),
        # The longest fraction there is: 2**-60 EiB.
        ("0.000000000000000000867361737988403547205962240695953369140625E", 1),
    ],
)
def test_parse_size(text: str, size_bytes: int) -> None:
    assert parse_size(text, default_unit="s") == size_bytes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "A size is empty."),
        (" \n", "A size is empty."),
        ("-1", "Size '-1' is negative."),
        ("-0G", "Size '-0G' is negative."),
        ("+1", "Size '+1' does not start with a number such as 8 or 1.5."),
        ("G", "Size 'G' does not start with a number such as 8 or 1.5."),
        (".5G", "Size '.5G' does not start with a number such as 8 or 1.5."),
        ("5.G", "Size '5.G' does not start with a number such as 8 or 1.5."),
        ("1.2.3G", "Size '1.2.3G' does not start with a number such as 8 or 1.5."),
        ("\u0663", "Size '\u0663' does not start with a number such as 8 or 1.5."),
        ("1\u0663", "Size '1\u0663' has the unknown unit '\u0663' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("64\u212a", "Size '64\u212a' has the unknown unit '\u212a' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("12q", "Size '12q' has the unknown unit 'q' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("1_0", "Size '1_0' has the unknown unit '_0' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("0x10", "Size '0x10' has the unknown unit 'x10' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("1e3", "Size '1e3' has the unknown unit 'e3' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("1 K iB", "Size '1 K iB' has the unknown unit 'K iB' instead of b, s, K, M, G, T, P, E, KiB or kB."),
        ("0.5b", "Size '0.5b' is not a whole number of bytes."),
        ("0.3G", "Size '0.3G' is not a whole number of bytes."),
        ("18446744073709551616b", "Size '18446744073709551616b' is over 18446744073709551615 bytes."),
        ("36028797018963968", "Size '36028797018963968' is over 18446744073709551615 bytes."),
        ("16E", "Size '16E' is over 18446744073709551615 bytes."),
    ],
)
def test_parse_size_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size(text, default_unit="s")
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["9" * 9000, "1." + "3" * 9000])
def test_parse_size_refuses_thousands_of_digits(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Size '.*' is (over|not a whole)"):
        parse_size(text, default_unit="s")


@given(number=st.integers(0, 10**22), places=st.integers(0, 20), unit=spelled, blank=st.sampled_from(["", " "]))
def test_parse_size_is_exact(number: int, places: int, unit: str, blank: str) -> None:
    digits = str(number).zfill(places + 1)
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    expected = Fraction(text) * FACTORS[unit.lower()]
    reasons = []
    if expected.denominator != 1:
        reasons.append("is not a whole number of bytes")
    if expected >= 1 << 64:
        reasons.append("is over 18446744073709551615 bytes")
    for given_text, default_unit in (f"{text}{blank}{unit}", "s"), (text, unit):
        if reasons:
            with pytest.raises(ValueError, match="|".join(reasons)):
                parse_size(given_text, default_unit=default_unit)
        else:
            assert parse_size(given_text, default_unit=default_unit) == expected


@given(sizes, st.sampled_from(sorted(FACTORS)))
def test_every_size_in_every_unit(size_bytes: int, unit: str) -> None:
    """Sixty decimals are enough to write any size in any unit."""
    whole, rest = divmod(Fraction(size_bytes, FACTORS[unit]), 1)
    decimals = rest * 10**60
    assert decimals.denominator == 1
    assert parse_size(f"{whole}.{decimals.numerator:060}{unit}", default_unit="b") == size_bytes


@given(st.text(max_size=12) | st.text("0123456789. -kKiBs", max_size=8))
def test_parse_size_raises_nothing_else(text: str) -> None:
    try:
        size_bytes = parse_size(text, default_unit="b")
    except ValueError as error:
        assert str(error).endswith(".")
        assert "\n" not in str(error)
    else:
        assert 0 <= size_bytes <= MAX_SIZE_BYTES


def test_unknown_default_unit() -> None:
    with pytest.raises(ValueError, match="unknown unit 'sectors'"):
        parse_size("1", default_unit="sectors")


# ---- sizes out ----


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1025, "~1.00 KiB"),
        (1536, "1.5 KiB"),
        (10240, "10 KiB"),
        (102400, "100 KiB"),
        (65536, "64 KiB"),
        (1044480, "1020 KiB"),
        (1048575, "~1.00 MiB"),
        (1048576 - 6, "~1023.99 KiB"),
        (1048576 - 5, "~1.00 MiB"),
        (1610612736, "1.5 GiB"),
        (1000000000, "~953.67 MiB"),
        (2**60, "1 EiB"),
        (2**64 - 1, "~16.00 EiB"),
        (2**70 - 1, "~1024.00 EiB"),
        (2**70, "1024 EiB"),
        (1280, "1.25 KiB"),
        (1152, "~1.13 KiB"),  # 1.125: a tie goes up
    ],
)
def test_format_size(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@given(sizes | edges)
def test_format_size_says_whether_it_is_exact(size_bytes: int) -> None:
    text = format_size(size_bytes)
    approximate = text.startswith("~")
    number, unit = text.removeprefix("~").split(" ")
    factor = FACTORS[unit.lower()]
    shown = Fraction(number) * factor
    assert (shown != size_bytes) == approximate
    assert abs(shown - size_bytes) <= Fraction(factor, 200)
    assert unit in {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
    assert Fraction(number) < 1024
    assert size_bytes == 0 or Fraction(number) >= 1
    if approximate:
        assert len(number.partition(".")[2]) == 2
    else:
        assert len(number.partition(".")[2]) <= 2
        assert not (("." in number) and number.endswith(("0", ".")))
        assert parse_size(text, default_unit="s") == size_bytes


@pytest.mark.parametrize("function", [format_size, sectors])
def test_negative_sizes(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match=r"^A size of -1 bytes is negative\.$"):
        function(-1)


# ---- sectors ----


@given(st.integers(0, 2**55 - 1))
def test_sectors(count: int) -> None:
    assert sectors(count * 512) == count
    assert sectors(parse_size(f"{count}s", default_unit="b")) == count


@given(sizes)
def test_sectors_refuses_parts(size_bytes: int) -> None:
    assume(size_bytes & 511)
    with pytest.raises(ValueError, match=f"^A size of {size_bytes} bytes is not a whole number of 512-byte sectors"):
        sectors(size_bytes)


# ---- device numbers ----

majors, minors = st.integers(0, 4095), st.integers(0, 1048575)


def kernel_dev_t(major: int, minor: int) -> int:
    """new_encode_dev() of the kernel's kdev_t.h: the layout of st_rdev for numbers in bounds."""
    return minor % 256 + major * 256 + (minor // 256) * 256 * 4096


@given(majors, minors)
@example(4095, 1048575)
def test_devno_round_trips(major: int, minor: int) -> None:
    text = f"{major}:{minor}"
    assert format_devno(major, minor) == text
    assert parse_devno(text) == (major, minor)
    assert parse_devno(f"{major:015}:{minor:015}\n") == (major, minor)
    assert devno_to_dev_t(major, minor) == kernel_dev_t(major, minor)
    assert dev_t_to_devno(kernel_dev_t(major, minor)) == (major, minor)


def test_devno_of_a_real_node() -> None:
    rdev = os.stat("/dev/null").st_rdev
    assert dev_t_to_devno(rdev) == (1, 3)
    assert devno_to_dev_t(1, 3) == rdev


@pytest.mark.parametrize(
    "text",
    ["", ":", "254", "254:", ":3", "254:3:1", "254 3", "254: 3", "-1:3", "4:+3", "0xfe:3", "\u0662:3", "a:b", "1_0:3"],
)
def test_parse_devno_refuses(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_devno(text)
    assert str(caught.value) == f"Device number {text!r} is not of the form MAJOR:MINOR."


BAD_MAJOR, BAD_MINOR = "has a major number outside 0 to 4095", "has a minor number outside 0 to 1048575"


@pytest.mark.parametrize(
    ("major", "minor", "message"),
    [(4096, 0, BAD_MAJOR), (0, 1048576, BAD_MINOR), (4294967295, 0, BAD_MAJOR), (0, 10**30, BAD_MINOR)],
)
def test_devno_bounds(major: int, minor: int, message: str) -> None:
    expected = f"^Device number '{major}:{minor}' {message}.$"
    with pytest.raises(ValueError, match=expected):
        parse_devno(f"{major}:{minor}")
    with pytest.raises(ValueError, match=expected):
        format_devno(major, minor)
    with pytest.raises(ValueError, match=expected):
        devno_to_dev_t(major, minor)
    assert (MAX_MAJOR, MAX_MINOR) == (4095, 1048575)


@pytest.mark.parametrize(("major", "minor", "message"), [(-1, 0, BAD_MAJOR), (0, -1, BAD_MINOR)])
def test_negative_devno(major: int, minor: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        format_devno(major, minor)
    with pytest.raises(ValueError, match=message):
        devno_to_dev_t(major, minor)


def test_parse_devno_of_thousands_of_digits() -> None:
    with pytest.raises(ValueError, match=BAD_MINOR):
        parse_devno("1:" + "9" * 9000)


@pytest.mark.parametrize("dev", [-1, 2**64, 2**64 - 1, os.makedev(4096, 0), os.makedev(0, 2**20)])
def test_dev_t_bounds(dev: int) -> None:
    with pytest.raises(ValueError, match=rf"^Device number '?{dev}'? "):
        dev_t_to_devno(dev)


def test_constants() -> None:
    assert (SECTOR_BYTES, MAX_SIZE_BYTES) == (512, 18446744073709551615)
    assert {name: units._FACTORS[name] for name in FACTORS} == units._FACTORS == FACTORS
