# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two hundred devices, their names as odd as the kernel takes them, and none at all: the same answers and changes.

Without udevd, whose rules would start some processes for each of the devices; with it, the other tests are.
"""

import os

import pytest

from compat.batch import differences, line, of_dmctl, of_dmsetup, standing
from compat.world import comparable, first_line

COUNT = 200
LONGEST = 127
ODD = (
    *(" ", " two  blanks", "'", '"', "''", "\\", "\\\\", "\\y20", "ü", "日本", "e\u0301", "\udcff", "\udc80\udcbf"),
    *("a\udcc3", "$(id)", "`id`", "*", "?", "[a]", "{a,b}", "|", "&", ";", ",", "<>", "!", "~", "%s", "%n", "\t", "\n"),
    *("\r", "\x01", "\x7f", "#", "=", "@", ":", "+", "-", "--", "(", ")", "^", ".", ".."),
)
# What --manglename auto takes for a name that is mangled already, well or badly.
MANGLED = ("\\x20", "\\x5c", "\\x5cx20", "\\xff", "\\xzz", "\\x2")
TABLES = ("0 8 zero", "0 8 error", "0 16 linear {l} 32", "0 8 zero,8 8 error", "0 8 linear {l} 0,8 8 zero,16 8 error")


def odd_names(number, texts=ODD):
    """In front of the prefix, or behind it, by turns; never blanks at an end, which create --concise takes away."""
    return [
        f"{text}{{p}}{number}"
        if at % 2 and not text[0].isspace()
        else f"{{p}}{number}{text}{'' if text.strip() else 'x'}"
        for at, text in enumerate(texts)
    ]


AUTO = [
    *odd_names(1),
    *(f"{{p}}vg--{number}-lv-layer" for number in range(10)),
    *(f"{{p}}{number}" for number in range(100)),
]
HEX = odd_names(2)
TWICE = odd_names(4, MANGLED)
RAW = odd_names(3, ODD + MANGLED)


def quoted(text):
    """As create --concise wants it."""
    return "".join("\\" + letter if letter in "\\,;" else letter for letter in text)


def created(mode, names):
    """The command that makes these devices; a few are read-only, a third has a uuid."""
    uuids = [
        "uuid of " + name if at % 3 == 0 and "\\" not in name and len(name) < 100 else ""
        for at, name in enumerate(names)
    ]
    devices = [
        f"{quoted(name)},{quoted(uuids[number])},,{'ro' if number % 7 == 0 else ''},{TABLES[number % len(TABLES)]}"
        for number, name in enumerate(names)
    ]
    return ("--manglename", mode, "create", "--concise", ";".join(devices))


@pytest.fixture
def prefix():
    return f"m{os.getpid()}"


@pytest.fixture
def two_hundred(no_udev, tmp_path, prefix):
    """The names that are there: by --manglename auto, by --manglename hex."""
    longest = prefix.ljust(LONGEST, "n")
    with standing([created("auto", [*AUTO, longest]), created("hex", HEX)], tmp_path, prefix) as expand:
        auto, by_hex = [*map(expand, AUTO), longest], list(map(expand, HEX))
        found = of_dmsetup(line("ls")).out
        assert found.count(b"\t(") == len(auto) + len(by_hex) >= COUNT
        yield auto, by_hex


def compare(lines):
    told = differences(lines)
    assert not told, "\n" + told


def listed():
    return [
        line("ls"),
        line("ls", "--manglename", "hex"),
        line("ls", "--manglename", "none"),
        line("ls", "-o", "blkdevname"),
        line("ls", "-o", "devname", "--manglename", "none"),
        line("ls", "--target", "linear"),
        line("ls", "--tree"),
        line("ls", "--tree", LC_ALL="C.UTF-8", columns=30),
        line("ls", "--tree", "-o", "inverted,compact,notrunc"),
        line("info"),
        line("info", "--manglename", "none"),
        line("info", "-c"),
        line("info", "-c", "--manglename", "none", "-O", "-minor"),
        line("info", "-c", "-o", "name_all,blkdevname", "-O", "name", LC_ALL="C.UTF-8"),
        line("info", "-c", "--nameprefixes", "--noheadings", "--rows", "-o", "name,uuid"),
        line("info", "-c", "-o", "name,devs_used,names_using_dev,blkdevs_used"),
        line("info", "-c", "-o", "name,splitname_all", "-S", "uuid!=x && read_ahead>0"),
    ]


def tables():
    return [
        line("deps"),
        line("deps", "-o", "blkdevname", "--manglename", "none"),
        line("status"),
        line("status", "-v"),
        line("status", "--target", "error", "--manglename", "hex"),
        line("table"),
        line("table", "--manglename", "none"),
        line("table", "--concise"),
        line("table", "--concise", "--manglename", "none"),
        line("table", "--inactive"),
        line("measure"),
        line("table", "-S", 'name=~"[^a-zA-Z0-9.-]"'),
        line("deps", "-S", "segments=3 && readonly=Read-only"),
        line("status", "-S", "uuid=~.", "--target", "zero"),
        line("measure", "-S", "minor<9"),
        line("table", "-S", "name=nothing"),
    ]


def named(auto, by_hex):
    """Each device as an operand: by its name, as it is written in the three ways of mangling, and by its path."""
    odd = [name for name in auto if not name.isalnum()]
    lines = [
        line("info", "--", *auto),
        line("table", "--", *auto),
        line("deps", "--", *odd),
        line("status", "-v", "--", *odd[::3]),
    ]
    lines.append(line("info", "--manglename", "hex", "--", *by_hex))
    lines += [line("info", "-c", "-o", "name,uuid,minor", "--", name) for name in by_hex[::5]]
    raw = of_dmsetup(line("info", "-c", "--noheadings", "--manglename", "none", "-o", "name")).text.splitlines()
    assert len(raw) >= COUNT
    lines.append(line("info", "--manglename", "none", "--", *raw))
    lines.append(line("info", *(f"/dev/mapper/{name}" for name in raw)))
    lines.append(line("table", "--", *(name for name in raw if "\\" not in name), "none of them", raw[0]))
    return lines


def test_two_hundred(two_hundred):
    compare(listed() + tables() + named(*two_hundred))


def test_split(prefix):
    """splitname asks no device."""
    compare([line("splitname", f"vg-{text}-x") for text in (*ODD[::2], *MANGLED)])


def outcomes(setup, folder, prefix, one):
    """What a line does, by dmsetup, by dmctl under its name, by dmctl: the answer, and what is there afterwards."""
    tools = [of_dmsetup] + [
        lambda one, name=name: of_dmctl([one], programs=(name,))[0][0] for name in ("dmsetup", "dmctl")
    ]
    for number, tool in enumerate(tools):
        (folder / str(number)).mkdir()
        with standing(setup, folder / str(number), prefix):
            answer = tool(one)
            left = of_dmsetup(line("info", "-c", "--manglename", "none", "-o", "name,uuid,devno,attr,segments"))
            yield answer, (left, sorted(os.listdir("/dev/mapper")))


def compare_change(setup, folder, prefix, one):
    (expected, state), (as_dmsetup, its_state), (own, own_state) = outcomes(setup, folder, prefix, one)
    assert (as_dmsetup.status, as_dmsetup.out) == (own.status, own.out) == (expected.status, expected.out)
    assert comparable(as_dmsetup.err) == comparable(expected.err)
    assert first_line(own.err) == first_line(expected.err)
    assert its_state == own_state == state
    return expected, state


def test_removed(no_udev, tmp_path, prefix):
    """By as many operands, up to one that is not there."""
    names = [name.replace("{p}", prefix) for name in AUTO] + [f"{prefix}{number}" for number in range(100, 155)]
    assert len(names) > COUNT - 3
    setup = [created("auto", [name.replace(prefix, "{p}") for name in names])]
    words = [*names[:-3], "nothing of this name", *names[-3:]]
    expected, (left, _) = compare_change(setup, tmp_path, prefix, line("remove", "--", *words))
    assert expected.status == 1 and left.out.count(b"\n") == 4


@pytest.mark.parametrize(
    "words",
    [
        ("mangle",),
        ("mangle", "--manglename", "hex"),
        ("mangle", "--manglename", "none"),
        ("remove", "-S", "segments=1"),
        ("remove", "-S", 'name=~" "', "--manglename", "none"),
        ("remove_all",),
    ],
    ids=" ".join,
)
def test_mangled(words, no_udev, tmp_path, prefix):
    """Names as the kernel has them from --manglename none, and one of each other way."""
    setup = [created("none", RAW[::3]), created("auto", AUTO[:2]), created("hex", TWICE[-1:])]
    compare_change(setup, tmp_path, prefix, line(*words))


@pytest.mark.parametrize("made", [created("none", RAW), created("hex", TWICE)], ids=["raw", "mangled twice"])
@pytest.mark.parametrize("mode", ["auto", "hex", "none"])
def test_bad_names_listed(mode, made, no_udev, tmp_path, prefix):
    """Names that udev could not have, and such that look as if they were mangled twice."""
    with standing([made], tmp_path, prefix) as expand:
        lines = [
            line("--manglename", mode, *words)
            for words in (
                *(("ls",), ("ls", "--tree"), ("info",), ("info", "-c"), ("info", "-c", "-o", "name_all"), ("deps",)),
                *(("status",), ("table",), ("table", "--concise"), ("measure",), ("info", "-c", "-S", "segments=1")),
            )
        ]
        lines += [line("--manglename", mode, "info", "--", expand(name)) for name in (*TWICE, *RAW[::7])]
        compare(lines)


TREE = (
    "device",
    "blkdevname",
    "nodevice",
    "active",
    "open",
    "uuid",
    "rw",
    "utf",
    "vt100",
    "inverted",
    "compact",
    "frob",
)


def test_no_devices(tmp_path, prefix):
    with standing([], tmp_path, prefix):
        lines = [line("ls", "--tree", "-o", option, columns=40) for option in TREE]
        for command in ("ls", "info", "deps", "status", "table", "measure", "mangle", "mknodes", "remove", "suspend"):
            lines += [line(command), line(command, "-v"), line(command, "-S", "name=x"), line(command, "-c")]
        for command in ("status", "table", "ls"):
            lines += [line(command, "--target", "zero"), line(command, "--exec", "echo")]
        lines += [line("ls", "--tree"), line("table", "--concise"), line("info", "-c", "-o", "name,devs_used")]
        lines += [line("info", "-c", "--count", "2", "--interval", "1"), line("info", "-c", "--rows", "--nameprefixes")]
        lines += [line("remove_all"), line("remove_all", "-f"), line("udevcookies"), line("targets")]
        compare(lines)
