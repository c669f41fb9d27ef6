# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl.cli.getopt against glibc's getopt_long itself, in a small C program compiled here."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dmctl.cli.getopt import (
    IN_ORDER_KEY,
    NO_ARGUMENT,
    OPTIONAL_ARGUMENT,
    REQUIRED_ARGUMENT,
    Getopt,
    GetoptError,
    LongOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# One case in: NUL-terminated POSIXLY_CORRECT flag, program, optstring, number of long options, for each of them name,
# has_arg and val, number of words, words.  Out: for each option "s"+letter or "l"+val, "=" and the value if there is
# one; then for each operand "o"+word; or "e"+what was printed on stderr; then an empty string.
ORACLE_SOURCE = r"""
#define _GNU_SOURCE
#include <features.h>
#ifndef __GLIBC__
#error "the oracle has to be glibc"
#endif
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *field(void)
{
	char *text = NULL;
	size_t size = 0;

	if (getdelim(&text, &size, 0, stdin) < 0)
		exit(0);
	return text;
}

int main(void)
{
	int errors = memfd_create("errors", 0);

	if (errors < 0 || dup2(errors, 2) != 2)
		return 1;
	for (;;) {
		int chosen, c, i, nlong, argc;
		char text[65536];
		ssize_t length;

		if (*field() == '1')
			setenv("POSIXLY_CORRECT", "", 1);
		else
			unsetenv("POSIXLY_CORRECT");
		char *program = field(), *optstring = field();
		nlong = atoi(field());
		struct option *table = calloc(nlong + 1, sizeof *table);
		for (i = 0; i < nlong; i++) {
			table[i].name = field();
			table[i].has_arg = atoi(field());
			table[i].flag = &chosen;
			table[i].val = atoi(field());
		}
		argc = atoi(field()) + 1;
		char **argv = calloc(argc + 1, sizeof *argv);
		argv[0] = program;
		for (i = 1; i < argc; i++)
			argv[i] = field();

		if (ftruncate(errors, 0) || lseek(errors, 0, SEEK_SET))
			return 1;
		optind = 0;
		while ((c = getopt_long(argc, argv, optstring, table, NULL)) != -1 && c != '?') {
			if (c)
				printf("s%c", c);
			else
				printf("l%d", chosen);
			if (optarg)
				printf("=%s", optarg);
			putchar(0);
		}
		if (c == '?') {
			if ((length = pread(errors, text, sizeof text - 1, 0)) < 0)
				return 1;
			text[length] = 0;
			printf("e%s%c", text, 0);
		} else
			for (; optind < argc; optind++)
				printf("o%s%c", argv[optind], 0);
		putchar(0);
		fflush(stdout);
	}
}
"""

# What dmsetup 1.02.185 gives getopt_long, in its order (which an ambiguity message shows); ":" = needs an argument.
DMSETUP_SHORT = "cCfG:hj:m:M:no:O:rS:u:U:vy"
DMSETUP_LONG = """
    readonly alias: alldevices allprograms allregions area areas: areasize: bounds: checks clear columns concise count:
    deferred select: exec: filemap follow: force foreground gid: group groupid: help histogram inactive interval:
    length: manglename: major: minor: mode: nameprefixes nogroup noflush noheadings nolockfs noopencount nosuffix
    notable notimesuffix udevcookie: nomonitor noudevrules noudevsync options: precise programid: raw readahead: region
    regions: regionid: relative retry rows segments separator: setuuid showkeys sort: start: table: target: tree uid:
    units: uuid: unbuffered unquoted userdata: verbose: verifyudev version yes addnodeonresume addnodeoncreate
"""


class Case(NamedTuple):
    """One call of getopt_long; vals are unique per option unless two names mean the same one."""

    words: list[str]
    short: str
    long_options: list[LongOption]
    posix: bool = False
    program: str = "dmsetup"


class Outcome(NamedTuple):
    options: list[tuple[str, str | None]]
    operands: list[str]
    error: str | None


class Oracle:
    """The running C program; keys of long options are the decimal vals."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input = process.stdin
        self._output = process.stdout
        self._buffer = b""

    def run(self, case: Case) -> Outcome:
        fields = ["1" if case.posix else "0", case.program, case.short, str(len(case.long_options))]
        for option in case.long_options:
            fields += [option.name, str(option.has_arg), option.key]
        fields += [str(len(case.words)), *case.words]
        self._input.write(b"".join(os.fsencode(field) + b"\0" for field in fields))
        self._input.flush()
        outcome = Outcome([], [], None)
        while record := self._record():
            kind, text = record[0], record[1:]
            if kind == "e":
                return self._end(outcome._replace(operands=[], error=text))
            if kind == "o":
                outcome.operands.append(text)
                continue
            # A letter may be "=" itself, a val never is.
            split = 1 if kind == "s" else len(text.partition("=")[0])
            outcome.options.append((text[:split], text[split + 1 :] if text[split:] else None))
        return outcome

    def _end(self, outcome: Outcome) -> Outcome:
        assert self._record() == ""
        return outcome

    def _record(self) -> str:
        while b"\0" not in self._buffer:
            chunk = os.read(self._output.fileno(), 65536)
            assert chunk, "the oracle died"
            self._buffer += chunk
        record, _, self._buffer = self._buffer.partition(b"\0")
        return os.fsdecode(record)


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    folder = tmp_path_factory.mktemp("getopt")
    source, program = folder / "oracle.c", folder / "oracle"
    source.write_text(ORACLE_SOURCE)
    subprocess.run(["gcc", "-O1", "-o", program, source], check=True)
    environment = {**os.environ, "LC_ALL": "C"}
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        yield Oracle(process)


def ours(case: Case) -> Outcome:
    """What dmctl makes of it; an error is given the newline that getopt_long prints."""
    parser = Getopt(case.words, case.short, case.long_options, case.program)
    options: list[tuple[str, str | None]] = []
    try:
        options.extend(parser)  # extend keeps what came before the exception
    except GetoptError as error:
        return Outcome(options, [], f"{error}\n")
    return Outcome(options, parser.operands, None)


def check(oracle: Oracle, case: Case) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("POSIXLY_CORRECT", raising=False)
        if case.posix:
            patch.setenv("POSIXLY_CORRECT", "")
        got = ours(case)
    assert got == oracle.run(case)
    return got


def table(*specs: str) -> list[LongOption]:
    """Specs "name", "name:" or "name::", each possibly with "@val"; without it the val is the position."""
    options = []
    for position, spec in enumerate(specs):
        text, _, val = spec.partition("@")
        name = text.rstrip(":")
        options.append(LongOption(name, len(text) - len(name), val or str(position)))
    return options


DMSETUP_TABLE = table(*DMSETUP_LONG.split())
SMALL_SHORT = "ab:c::-=:"
SMALL_TABLE = table("all", "alias:", "also::", "b", "bee:", "colour::@90", "color::@90", "colours::@91", "x-y")

NON_UTF8 = os.fsdecode(b"\xff\xfe")
E_ACUTE = os.fsdecode("é".encode())


# ---- hand-picked lines ----

DMSETUP_LINES = [
    "",
    "info",
    "ls --tree -o device",
    "-c info --noheadings --separator + -o name,uuid",
    "info -c --noheading -o name --mangle none",
    "create x --table=",
    "create x --table",
    "-vvn create x",
    "-vvnofoo create x",
    "-ofoo -o foo -j7 -m 3",
    "info -- -c x --",
    "-- --frob",
    "x - y -v -",
    "--frob",
    "--frob=1 x",
    "info -vZn",
    "-Z",
    "-:",
    "-v;",
    "--no",
    "--no=x",
    "--ver",
    "--=x",
    "--=",
    "---",
    "---v",
    "--major",
    "--maj",
    "x --maj",
    "--readonly=x",
    "--reado=",
    "-j",
    "x y -vj",
    "-j -m",
    "-o -- x",
    "--table -- x",
    "--verbose info x",
    "--regions 3 --region --regionid=4 --area --areas=1",
    "--mode 0x --frob",
    "-v-",
    "-v- --",
    "--addnodeon",
    "--addnodeonr --addnodeonc",
    "--yes=no",
    "--Yes",
    "--table=a=b=c",
]


@pytest.mark.parametrize("posix", [False, True])
@pytest.mark.parametrize("prefix", ["", "+", "-"])
@pytest.mark.parametrize("line", DMSETUP_LINES)
def test_dmsetup_lines(oracle: Oracle, line: str, prefix: str, posix: bool) -> None:
    check(oracle, Case(line.split(), prefix + DMSETUP_SHORT, DMSETUP_TABLE, posix))


@pytest.mark.parametrize("words", [[""], ["-v", "", "-v"], ["--table", ""], ["-o", ""], ["a b", "--table=0 1 error\n"]])
def test_empty_and_blank_words(oracle: Oracle, words: list[str]) -> None:
    check(oracle, Case(words, DMSETUP_SHORT, DMSETUP_TABLE))


@pytest.mark.parametrize("text", [NON_UTF8, E_ACUTE, f"a{NON_UTF8}", f"{E_ACUTE}b", "'", "%s"])
@pytest.mark.parametrize("form", ["{}", "-o{}", "--table={}", "-{}", "-v{}", "--{}", "--no={}", "--t{}", "--raw={}"])
def test_bytes_come_through(oracle: Oracle, form: str, text: str) -> None:
    check(oracle, Case([form.format(text)], DMSETUP_SHORT, DMSETUP_TABLE))


@pytest.mark.parametrize("program", ["dmsetup", "/sbin/dmsetup", "", "a b", NON_UTF8])
def test_program_is_the_prefix(oracle: Oracle, program: str) -> None:
    got = check(oracle, Case(["--frob"], DMSETUP_SHORT, DMSETUP_TABLE, program=program))
    assert got.error == f"{program}: unrecognized option '--frob'\n"


SMALL_LINES = [
    "-c",
    "-cx",
    "-c x",
    "-ac x",
    "-b",
    "-bx",
    "-ab x",
    "--also",
    "--also=",
    "--also=x",
    "--also x",
    "--al",
    "--al=x",
    "--b",
    "--b=x",
    "--bee",
    "--be x",
    "--col",
    "--colo",
    "--color",
    "--colour",
    "--colou=x",
    "--colours",
    "--x",
    "--x-",
    "-a-",
    "-=x",
    "-a=x",
    "-=",
]


@pytest.mark.parametrize("line", SMALL_LINES)
def test_small_table_lines(oracle: Oracle, line: str) -> None:
    check(oracle, Case(line.split(), SMALL_SHORT, SMALL_TABLE))


@pytest.mark.parametrize(
    ("words", "specs"),
    [
        (["--a"], ["ab@1", "ac@1"]),
        (["--a"], ["ab@1", "ac:@1"]),
        (["--a=x"], ["ab:@1", "ac:@1"]),
        (["--a"], ["ab@1", "ac@2"]),
        (["--a"], ["ab@1", "ac@2", "ad@1", "ae@2"]),
        (["--a"], ["ab@1", "ac@1", "ad@2"]),
        (["--a"], ["ab@1", "a@2"]),
        (["--a"], ["a@1", "a:@2"]),
        (["--a"], []),
        (["--"], []),
    ],
)
def test_ambiguity(oracle: Oracle, words: list[str], specs: list[str]) -> None:
    check(oracle, Case(words, "", table(*specs)))


@pytest.mark.parametrize("words", [["-;"], ["-:"], ["-ab"], ["-a;"]])
def test_semicolon_is_never_an_option(oracle: Oracle, words: list[str]) -> None:
    check(oracle, Case(words, "a;b", []))


# The texts themselves, so that this much holds even without the oracle.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--frob", "unrecognized option '--frob'"),
        ("--frob=1", "unrecognized option '--frob=1'"),
        ("-Z", "invalid option -- 'Z'"),
        ("--ver=3", "option '--ver=3' is ambiguous; possibilities: '--verbose' '--verifyudev' '--version'"),
        ("--maj", "option '--major' requires an argument"),
        ("-j", "option requires an argument -- 'j'"),
        ("--reado=1", "option '--readonly' doesn't allow an argument"),
    ],
)
def test_messages(line: str, message: str) -> None:
    with pytest.raises(GetoptError) as caught:
        list(Getopt(line.split(), DMSETUP_SHORT, DMSETUP_TABLE, "prog"))
    assert str(caught.value) == f"prog: {message}"


def test_options_come_before_a_later_error() -> None:
    options = iter(Getopt(["--count", "-1", "x", "--frob"], DMSETUP_SHORT, [LongOption("count", 1, "count")], "p"))
    assert next(options) == ("count", "-1")
    with pytest.raises(GetoptError, match="frob"):
        next(options)


def test_operands_in_order_key() -> None:
    parser = Getopt(["x", "-v", "--", "y"], "-v", [], "p")
    assert list(parser) == [(IN_ORDER_KEY, "x"), ("v", None)]
    assert parser.operands == ["y"]


def test_plain_tuples_are_long_options() -> None:
    parser = Getopt(["a", "--fo=1", "b"], "", (("foo", REQUIRED_ARGUMENT, "f"), ("bar", NO_ARGUMENT, "b")), "p")
    assert list(parser) == [("f", "1")]
    assert parser.operands == ["a", "b"]


def test_long_option_fields() -> None:
    option = LongOption("foo", OPTIONAL_ARGUMENT, "f")
    assert (option.name, option.has_arg, option.key) == option == ("foo", OPTIONAL_ARGUMENT, "f")


def test_iterating_again_starts_over() -> None:
    parser = Getopt(["a", "-v", "b"], "v", [], "p")
    assert list(parser) == list(parser) == [("v", None)]
    assert parser.operands == ["a", "b"]


# ---- generated lines ----

any_word = st.binary(max_size=6).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"-")))
value = st.sampled_from(["", "x", "-", "--", "-v", "=", "a=b", NON_UTF8]) | any_word


def abbreviated(names: list[str]) -> st.SearchStrategy[str]:
    """A name, or a start of one, or slightly more than one."""
    return st.builds(
        lambda name, cut, more: name[: len(name) - cut] + more,
        st.sampled_from(names),
        st.just(0) | st.integers(0, 8),
        st.sampled_from(["", "", "", "", "z"]),
    )


def command_words(short: str, options: list[LongOption]) -> st.SearchStrategy[list[str]]:
    names = abbreviated([option.name for option in options] or ["none"])
    letters = st.text(st.sampled_from(short.replace(":", "") + "Z:;-"), min_size=1, max_size=4)
    word = st.one_of(
        names.map("--{}".format),
        st.builds("--{}={}".format, names, value),
        letters.map("-{}".format),
        st.builds("-{}{}".format, letters, value),
        value,
    )
    # Mostly words that are right, so that a line is not stopped by its first word.
    right = st.one_of(
        *([st.sampled_from([option.name for option in options]).map("--{}".format)] * 2 if options else []),
        st.sampled_from(short.replace(":", "") or "Z").map("-{}".format),
        st.sampled_from(["info", "x", "-"]),
    )
    return st.lists(right | right | right | word, max_size=10)


@given(
    words=command_words(DMSETUP_SHORT, DMSETUP_TABLE), prefix=st.sampled_from(["", "", "+", "-"]), posix=st.booleans()
)
@settings(max_examples=500, deadline=None)
@example(words=["--no", "--frob"], prefix="", posix=False)
def test_generated_dmsetup_lines(oracle: Oracle, words: list[str], prefix: str, posix: bool) -> None:
    check(oracle, Case(words, prefix + DMSETUP_SHORT, DMSETUP_TABLE, posix))


@st.composite
def any_case(draw: st.DrawFn) -> Case:
    """A table of few letters, so that names are prefixes of each other and mean the same often."""
    letters = draw(st.lists(st.sampled_from("abcxyz19-=,"), max_size=6))
    short = "".join(letter + draw(st.sampled_from(["", ":", "::"])) for letter in letters)
    name = st.text("ab-", min_size=1, max_size=4)
    option = st.builds(LongOption, name, st.integers(NO_ARGUMENT, OPTIONAL_ARGUMENT), st.sampled_from("123"))
    options = draw(st.lists(option, max_size=7))
    # An option letter "-" must not be where it is taken for the prefix.
    prefix = draw(st.sampled_from(["+", "-"] if short.startswith("-") else ["", "", "", "+", "-"]))
    return Case(draw(command_words(short, options)), prefix + short, options, draw(st.booleans()))


@given(case=any_case())
@settings(max_examples=1000, deadline=None)
def test_generated_tables(oracle: Oracle, case: Case) -> None:
    check(oracle, case)
