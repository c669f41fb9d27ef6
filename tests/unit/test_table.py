# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables as text, against glibc's sscanf() itself and against what dmsetup is known to print."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmctl.errors import DmctlError
from dmctl.table import (
    ConciseDevice,
    ConciseFormatError,
    Line,
    Table,
    TableFormatError,
    format_concise,
    params_without_secrets,
    parse_concise,
)

ULLONG_MAX = 2**64 - 1

# Reads records that end in NUL and answers, for each, with the four fields or the word for why there are none.
ORACLE = r"""
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char *record = NULL;
    size_t room = 0;

    while (getdelim(&record, &room, 0, stdin) > 0) {
        char *text = record, *type = malloc(strlen(record) + 1);
        size_t length = strlen(text);
        unsigned long long start, size;
        int used = 0;

        while (length && isspace((unsigned char)text[length - 1]))
            text[--length] = 0;
        text += strspn(text, " \t\n\v\f\r");
        if (!*text || *text == '#') {
            fputs("nothing", stdout);
        } else if (sscanf(text, "%llu %llu %s %n", &start, &size, type, &used) < 3) {
            fputs("invalid", stdout);
        } else {
            char *rest = text + used;
            printf("%llu %llu %s %.*s", start, size, type, (int)strcspn(rest, "#"), rest);
        }
        putchar(0);
        free(type);
    }
    return 0;
}
"""


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[str]], list[bytes]]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("oracle")
    source, program = folder / "oracle.c", folder / "oracle"
    source.write_text(ORACLE)
    subprocess.run([compiler, "-o", program, source], check=True)

    def ask(lines: list[str]) -> list[bytes]:
        records = b"".join(os.fsencode(line) + b"\0" for line in lines)
        output = subprocess.run([program], input=records, capture_output=True, check=True).stdout
        return output.split(b"\0")[:-1]

    return ask


def outcome(text: str) -> str:
    try:
        line = Line.parse(text)
    except TableFormatError:
        return "invalid"
    return "nothing" if line is None else line.format()


BYTES = st.binary(max_size=12).map(lambda data: os.fsdecode(data.replace(b"\0", b"").replace(b"\n", b"")))
NUMBERS = st.one_of(
    st.integers(0, 2**70).map(str),
    st.sampled_from(["+8", "-8", "-0", "008", "0x8", "+", "-", "--8", "+-8", "8.", ".8", "1e3", "٣", "8\u00a0"]),
    st.sampled_from([2**63, 2**64 - 1, 2**64, 10**400, 10**5000]).map(
        lambda n: format(n, "d") if n < 10**100 else "9" * 500
    ),
    st.integers(0, 2**65).map(lambda n: f"-{n}"),
)
BLANKS = st.text(" \t\v\f\r", max_size=3)
PIECES = st.one_of(NUMBERS, BLANKS, BYTES, st.text(" 0123456789+-#abc\\\t\r", max_size=8))
LINES = st.one_of(
    st.builds(lambda *parts: "".join(parts), BLANKS, NUMBERS, BLANKS, NUMBERS, BLANKS, BYTES, BLANKS, PIECES, BLANKS),
    st.lists(PIECES, max_size=8).map("".join),
)


class TestLeniency:
    @given(lines=st.lists(LINES, min_size=1, max_size=50))
    def test_as_sscanf(self, oracle: Callable[[list[str]], list[bytes]], lines: list[str]) -> None:
        assert [os.fsencode(outcome(line)) for line in lines] == oracle(lines)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("0 8 zero", "0 8 zero "),
            ("  0\t 8   zero  ", "0 8 zero "),
            ("+0 0008zero", "0 8 zero "),
            ("0-1 zero", f"0 {ULLONG_MAX} zero "),
            ("99999999999999999999 -99999999999999999999 zero", f"{ULLONG_MAX} {ULLONG_MAX} zero "),
            ("0 8 linear /dev/a 0 # the disk", "0 8 linear /dev/a 0 "),
            ("0 8 linear /dev/a#b 0", "0 8 linear /dev/a"),
            ("0 8 zero#x y", "0 8 zero#x y"),
            ("0 8 zero #x", "0 8 zero "),
            ("0 8 linear \\ 0\r\n", "0 8 linear \\ 0"),
            ("0 8 zero\0 nonsense", "0 8 zero "),
            (" # comment", "nothing"),
            (" \t\r\n", "nothing"),
            ("", "nothing"),
            ("0 8", "invalid"),
            ("0x0 8 zero", "invalid"),
            ("x", "invalid"),
        ],
    )
    def test_examples(self, text: str, expected: str) -> None:
        assert outcome(text) == expected

    def test_thousands_of_digits(self) -> None:
        assert outcome(f"{'0' * 9000}7 {'9' * 9000} zero") == f"7 {ULLONG_MAX} zero "


class TestLine:
    def test_spans(self) -> None:
        line = Line.parse("  +0  0x", line_number=7)
        assert line is not None
        assert line.line_number == 7
        assert line.spans == ((3, 5), (7, 8), (8, 9), (9, 9))
        line = Line.parse("\t0 16 linear   /dev/a 0 # x")
        assert line is not None
        assert line.spans == ((2, 3), (4, 6), (7, 13), (16, 25))

    def test_spans_without_source(self) -> None:
        line = Line(0, 16, "linear", "7:0 0")
        assert line.line_number is None
        assert line.spans == ((1, 2), (3, 5), (6, 12), (13, 18))

    def test_equality_ignores_the_place(self) -> None:
        parsed = Line.parse("  0   8 linear 7:0 0", line_number=3)
        assert parsed == Line(0, 8, "linear", "7:0 0")
        assert hash(parsed) == hash(Line(0, 8, "linear", "7:0 0"))
        assert parsed != Line(0, 8, "linear", "7:0 1")
        assert parsed != "0 8 linear 7:0 0"

    def test_immutable(self) -> None:
        line = Line(0, 8, "zero")
        with pytest.raises(AttributeError):
            line.params = "x"
        with pytest.raises(AttributeError):
            del line.params
        assert pickle.loads(pickle.dumps(line)) == line

    def test_arithmetic(self) -> None:
        assert Line(8, 16, "zero").end_sectors == 24
        assert Line(8, 16, "zero", "p").shift(-8) == Line(0, 16, "zero", "p")

    def test_repr_has_no_key(self) -> None:
        line = Line(0, 8, "crypt", "aes-xts-plain64 0011aabb 0 7:0 0")
        assert "0011aabb" not in repr(line) + repr(Table([line]))
        assert "aes-xts-plain64 00000000 0" in repr(line)


class TestTable:
    def test_parse(self) -> None:
        table = Table.parse("# two\n\n0 8 zero\r\n 8 8 error\n")
        assert list(table) == [Line(0, 8, "zero"), Line(8, 8, "error")]
        assert [line.line_number for line in table] == [3, 4]
        assert table.length_sectors == 16
        assert len(table) == 2
        assert table[1].target == "error"
        assert table.format() == "0 8 zero \n8 8 error \n"

    @pytest.mark.parametrize("other_line_end", ["\r", "\v", "\f", "\x1c", "\x85", "\u2028"])
    def test_only_newline_ends_a_line(self, other_line_end: str) -> None:
        assert len(Table.parse(f"0 8 zero{other_line_end}8 8 zero")) == 1

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("on stdin", "Invalid format on line 2 of table on stdin."),
            ("", "Invalid format on line 2 of table ."),
            ("/t", "Invalid format on line 2 of table /t."),
        ],
    )
    def test_error(self, source: str, message: str) -> None:
        with pytest.raises(TableFormatError) as caught:
            Table.parse("0 8 zero\nsecret key\n", source=source)
        assert str(caught.value) == message
        assert isinstance(caught.value, DmctlError)
        assert (caught.value.line_number, caught.value.source) == (2, source)

    def test_concat(self) -> None:
        one, two = Table.parse("0 8 zero"), Table.parse("0 4 error\n4 4 zero")
        assert Table.concat(one, two, one).format() == "0 8 zero \n8 4 error \n12 4 zero \n16 8 zero \n"
        assert Table.concat() == Table()
        assert Table.concat(Table(), one) == one

    def test_immutable(self) -> None:
        table = Table.parse("0 8 zero")
        with pytest.raises(AttributeError):
            table.lines = ()
        assert pickle.loads(pickle.dumps(table)) == table
        assert hash(table) == hash(Table([Line(0, 8, "zero")]))
        assert table != Table()


# What a line can say: the target is one word, parameters have no comment and no blanks around them.
WORDS = st.text(st.characters(blacklist_characters="#\0", blacklist_categories=["Cs"]), min_size=1).filter(
    lambda text: not set(text) & set(" \t\n\v\f\r")
)
PARAMS = st.lists(WORDS, max_size=4).map(" ".join)
SECTORS = st.integers(0, ULLONG_MAX)
TABLES = st.lists(
    st.builds(Line, SECTORS, SECTORS, WORDS.filter(lambda word: word[0] not in "0123456789"), PARAMS)
).map(Table)


class TestRoundTrip:
    @given(TABLES)
    def test_table(self, table: Table) -> None:
        assert Table.parse(table.format()) == table

    @given(
        st.lists(
            st.builds(
                ConciseDevice,
                WORDS,
                st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])).filter(
                    lambda text: text.lstrip(" \t\n\v\f\r") == text
                ),
                st.none() | st.integers(0, 2**20 - 1),
                st.none() | st.booleans(),
                # As in dmsetup, the target's name is not quoted. And a last character that is quoted is refused.
                st.lists(st.builds(Line, SECTORS, SECTORS, st.just("linear"), PARAMS), min_size=1).map(
                    lambda lines: Table([*lines, Line(0, 8, "zero", "")])
                ),
            )
        )
    )
    def test_concise(self, devices: list[ConciseDevice]) -> None:
        text = format_concise(devices)
        parsed = list(parse_concise(text))
        assert [device.table for device in parsed] == [device.table for device in devices]
        assert format_concise(parsed) == text
        heads = [(device.name, device.uuid, device.minor, device.read_only) for device in parsed]
        assert heads == [(device.name, device.uuid, device.minor, device.read_only) for device in devices]


class TestConcise:
    def test_format(self) -> None:
        devices = [
            ConciseDevice("a,b", "u;1", 3, True, Table([Line(0, 8, "linear", "/dev/a\\b 0"), Line(8, 8, "error")])),
            ConciseDevice("c", "", 4, False),
        ]
        assert format_concise(devices) == r"a\,b,u\;1,3,ro,0 8 linear /dev/a\\b 0,8 8 error ;c,,4,rw"
        assert format_concise([]) == ""

    def test_parse(self) -> None:
        text = "  a , u, 5x,\tro,\n 0 8 zero,8 8 error;  b,,,,0 8 linear /dev/a\\,b 0\n"
        one, two = parse_concise(text)
        assert (one.name, one.uuid, one.minor, one.read_only) == ("  a ", "u", 5, True)
        assert one.table == Table([Line(0, 8, "zero"), Line(8, 8, "error")])
        assert (two.name, two.uuid, two.minor, two.read_only) == ("b", "", None, None)
        assert two.table == Table([Line(0, 8, "linear", "/dev/a,b 0")])

    @pytest.mark.parametrize(
        ("minor", "expected"),
        [("7", 7), ("-7", -7), (" +7z", 7), ("z", 0), ("4294967303", 7), ("99999999999999999999", -1),
         ("-99999999999999999999", 0), ("2147483648", -2147483648)],
    )  # fmt: skip
    def test_minor_as_atoi(self, minor: str, expected: int) -> None:
        (device,) = parse_concise(f"a,,{minor},,0 8 zero")
        assert device.minor == expected

    @pytest.mark.parametrize(
        ("text", "first", "second"),
        [
            ("a", "Five comma-separated fields are required for each device",
             "Parsed 1 fields: name: a uuid: (null) minor: (null) flags: (null) table: (null)"),
            ("a,b;c", "Five comma-separated fields are required for each device",
             "Parsed 2 fields: name: a uuid: b minor: (null) flags: (null) table: (null)"),
            ("a,b,", "Incomplete entry: five comma-separated fields are required for each device",
             "Parsed 3 fields: name: a uuid: b minor:  flags: (null) table: (null)"),
            ("a,,,,0 8 zero,", "Incomplete entry: five comma-separated fields are required for each device",
             "Parsed 5 fields: name: a uuid:  minor:  flags:  table: 0 8 zero\n"),
            ("a,,,,0 8 zero\\,", "Incomplete entry: five comma-separated fields are required for each device",
             "Parsed 5 fields: name: a uuid:  minor:  flags:  table: 0 8 zero,"),
            ("a\\", "Backslash must be followed by another character at end of string.",
             "Parsed 1 fields: name: a uuid: (null) minor: (null) flags: (null) table: (null)"),
        ],
    )  # fmt: skip
    def test_errors(self, text: str, first: str, second: str) -> None:
        with pytest.raises(ConciseFormatError) as caught:
            list(parse_concise(text))
        assert caught.value.messages == (first, second)
        assert str(caught.value) == first

    def test_bad_flags(self) -> None:
        with pytest.raises(ConciseFormatError) as caught:
            list(parse_concise("a,,,rx,0 8 zero"))
        assert caught.value.messages == ("Invalid flags parameter 'rx' must be 'ro' or 'rw' or empty.",)

    def test_devices_before_a_mistake_come_first(self) -> None:
        devices = parse_concise("a,,,,0 8 zero;b,")
        assert next(devices).name == "a"
        with pytest.raises(ConciseFormatError):
            next(devices)

    def test_bad_line_shows_with_its_table(self) -> None:
        (device,) = parse_concise("a,,,,0 8 zero,x")
        with pytest.raises(TableFormatError, match=r"^Invalid format on line 2 of table \.$"):
            _ = device.table

    def test_nothing(self) -> None:
        assert list(parse_concise("")) == []
        assert [device.name for device in parse_concise("a,,,,;\n")] == ["a"]


class TestSecrets:
    @pytest.mark.parametrize(
        ("target", "params", "expected"),
        [
            ("crypt", "aes 0123ab 0 7:0 0", "aes 000000 0 7:0 0"),
            ("crypt", "aes - 0 7:0 0", "aes 0 0 7:0 0"),
            ("crypt", "aes :32:logon:a:b 0 7:0 0", "aes :32:logon:a:b 0 7:0 0"),
            ("crypt", "aes  ab 0", "aes  ab 0"),  # two blanks: dmsetup takes the nothing between them
            ("crypt", "aes ké 0", "aes 000 0"),
            ("crypt", "aes \udcff 0", "aes 0 0"),
            ("crypt", "aes", "aes"),
            ("crypt", "", ""),
            ("integrity", "7:0 0 - J 1 internal_hash:hmac(sha256):0aff", "7:0 0 - J 1 internal_hash:hmac(sha256):0000"),
            ("integrity", "7:0 0 - J 1 internal_hash:crc32c", "7:0 0 - J 1 internal_hash:crc32c"),
            ("integrity", "internal_hash:a journal_mac:b:cd journal_crypt:e:f:g h",
             "internal_hash:a journal_mac:b:00 journal_crypt:e:000 h"),
            ("integrity", "internal_hash:a:b internal_hash:c:d", "internal_hash:a:0 internal_hash:c:d"),
            ("verity", "internal_hash:a:b", "internal_hash:a:b"),
            ("linear", "7:0 0", "7:0 0"),
        ],
    )  # fmt: skip
    def test_params(self, target: str, params: str, expected: str) -> None:
        assert params_without_secrets(target, params) == expected
        assert Line(0, 8, target, params).hide_keys() == Line(0, 8, target, expected)
        assert Table([Line(0, 8, target, params)]).hide_keys()[0].params == expected


def test_import_is_cheap() -> None:
    """table.py is on the way of every dmsetup-compatible command."""
    heavy = ["typing", "re", "json", "enum", "functools", "inspect", "dataclasses", "logging", "pathlib", "subprocess"]
    code = f"import sys; had = set(sys.modules); import dmctl.table; print(*(set({heavy}) & (set(sys.modules) - had)))"
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_no_mistake_in_a_concise_format_shows_a_key() -> None:
    """A key that a mistake has put anywhere: in whatever field, cut or broken in two."""
    keys = ["0123456789abcdeffedcba9876543210", "a1b2c3d4e5f60718", "99887766554433221100ffeeddccbbaa"]
    parts = {key[at : at + 8] for key in keys for at in range(len(key) - 7)}
    whole = (
        f"a,,,rw,0 8 crypt aes-cbc-plain64 {keys[0]} 0 /dev/a 0;"
        f"b,,,,0 8 integrity /dev/b 0 - J 2 internal_hash:hmac(sha256):{keys[1]} journal_mac:hmac(x):{keys[2]}"
    )
    texts = [
        f"{whole[:at]}{put}{whole[at + gone :]}"
        for at in range(len(whole))
        for put in (",", ";", "\\", "")
        for gone in (0, 1)
    ]
    texts += [f"{text}{end}" for text in texts[::4] for end in (",", "\\")] + [whole[:at] for at in range(len(whole))]
    raised = 0
    for text in texts:
        try:
            list(parse_concise(text, show_keys=False))
        except ConciseFormatError as error:
            raised += 1
            told = " ".join([str(error), repr(error), *error.messages, *map(str, error.fields), *map(str, error.args)])
            assert not [part for part in parts if part in told], (text, told)
    assert raised > len(texts) // 4
    # What is no key is told as it is.
    with pytest.raises(ConciseFormatError) as caught:
        list(parse_concise("dev,,,0 12345678 linear /dev/a 87654321", show_keys=False))
    assert caught.value.fields[3] == "0 12345678 linear /dev/a 87654321"
