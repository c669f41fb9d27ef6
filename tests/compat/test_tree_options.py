# SPDX-License-Identifier: LGPL-2.1-or-later
"""ls --tree: each option and each two of them, in files and on terminals of several widths, in two locales."""

import itertools
import os

import pytest

from compat.batch import differences, line, lines_of, of_dmsetup, standing

OPTIONS = (
    *("device", "blkdevname", "nodevice", "status", "table", "active", "open", "uuid", "rw"),
    *("utf", "vt100", "ascii", "inverted", "compact", "notrunc"),
)
# The last one counts, or both do: their order matters.
RIVALS = [("ascii", "utf"), ("utf", "vt100"), ("vt100", "ascii"), ("ascii", "vt100"), ("nodevice", "device")]

# Several roots, shared children, four levels, a chain, one without a table, and names of every kind.
BELOW = "/dev/mapper/{p}"
STACK = [
    ("create", "{p}base", "-u", "BASE-{p}-uuid", "--table", "0 2048 linear {l} 0"),
    ("create", "{p}zero", "--table", "0 2048 zero"),
    ("create", "{p}n", "--notable"),
    ("create", "{p}mid", "-r", "--table", f"0 1024 striped 2 8 {BELOW}base 0 {BELOW}zero 0"),
    ("create", "{p}with two blanks", "--table", f"0 8 linear {BELOW}base 0\n8 8 linear {{l}} 8"),
    ("create", "{p}schön-größe-ü-ä-ö", "-u", "ü ID", "--table", f"0 8 linear {BELOW}mid 0\n8 8 linear {BELOW}zero 0"),
    ("create", "{p}" + "long" * 20, "--table", f"0 8 linear {BELOW}sch\\xc3\\xb6n-gr\\xc3\\xb6\\xc3\\x9fe-"
     "\\xc3\\xbc-\\xc3\\xa4-\\xc3\\xb6 0\n8 8 linear " + BELOW + "mid 0"),
    ("create", "{p}\udc80\udcbf\udcff\udcc3", "--table", f"0 8 linear {BELOW}" + "long" * 20 + " 0"),
    ("create", "{p}other", "--table", f"0 8 linear {BELOW}mid 0"),
    ("create", "{p}top", "--table", f"0 8 linear {BELOW}other 0"),
    ("create", "{p}'$(x)\\\"", "--table", f"0 8 linear {BELOW}base 0"),
    ("create", "alone", "--table", "0 8 error"),
    ("suspend", "{p}top"),
]  # fmt: skip


@pytest.fixture(scope="module")
def expand(tmp_path_factory):
    with standing(STACK, tmp_path_factory.mktemp("tree"), f"dmt{os.getpid()}t-") as words:
        told = of_dmsetup(line("ls", "--tree")).text
        assert len(told.splitlines()) > 25 and "\ufffd" not in told
        yield words


def tree(options, **circumstances):
    return line("ls", "--tree", *(["-o", options] if options is not None else []), **circumstances)


def compare(lines, programs=("dmsetup", "dmctl")):
    told = differences(lines, programs=programs)
    assert not told, "\n" + told


PAIRS = [",".join(pair) for pair in [*itertools.combinations(OPTIONS, 2), *RIVALS]]


def test_pairs_in_a_file(expand):
    compare([tree(pair) for pair in PAIRS])


def test_pairs_on_a_terminal(expand):
    """A narrow one, of Unicode."""
    compare([tree(pair, columns=40, LC_ALL="C.UTF-8") for pair in PAIRS])


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("columns", [0, 40, 80])
def test_options(expand, columns, locale):
    compare([tree(option, columns=columns, LC_ALL=locale) for option in (None, *OPTIONS)])


def test_widths(expand):
    """Where a line ends exactly, is one too long, or has no room at all."""
    several = (None, "compact", "inverted,utf")
    widths = (1, 2, 3, 4, 5, 6, 7, 20, 30, 32, 34, 35, 81, 300)
    lines = [tree(options, columns=columns, LC_ALL="C.UTF-8") for columns in widths for options in several]
    compare([*lines, tree("vt100", columns=30), tree("vt100,compact", columns=120), tree(None, LC_ALL="xx_YY.UTF-8")])


def test_every_width_of_one_name(expand):
    """A terminal that ends anywhere in a name of several bytes a character."""
    compare([tree("compact,nodevice", columns=columns, LC_ALL="C.UTF-8") for columns in range(9, 72, 3)])


def test_beginnings(expand):
    """dmsetup takes the first option that begins so, ambiguous or not; dmctl by its own name wants whole names."""
    beginnings = sorted({option[:length] for option in OPTIONS for length in range(1, len(option))})
    compare([tree(beginning) for beginning in beginnings], programs=("dmsetup",))


def test_odd_lists(expand):
    compare(
        lines_of(
            [
                "ls|--tree|-o|",
                "ls|--tree|-o|,",
                "ls --tree -o active,,rw",
                "ls --tree -o ,active",
                "ls --tree -o active,",
                "ls|--tree|-o|active, rw",
                "ls --tree -o Active",
                "ls --tree -o activex",
                "ls --tree -o +active",
                "ls --tree -o active,frob,rw",
                "ls --tree -o all",
                "ls --tree -o help",
                "ls --tree -o active -o rw",
                "ls --tree -o active,open,rw,uuid,blkdevname",
                "ls --tree -o uuid,rw,open,active,nodevice,compact,inverted,notrunc",
                "ls --tree -o open --noopencount",
                "ls --tree --inactive",
                "ls --tree --manglename hex",
                "ls --tree --manglename none",
                "ls --tree -v",
                "ls --tree --checks -o devname",
                "ls --tree x",
                "ls --tree --target linear -o compact",
                "ls --tree --exec echo",
                "ls --tree -S name=x",
                "ls --tree -c",
                "ls --tree --count 2",
                "info --tree -o compact",
                "info --tree -o name",
                "deps --tree -o devname",
                "--tree",
                "version --tree -o frob",
            ]
        )
    )
