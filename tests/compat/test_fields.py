# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every field of dmsetup's reports, as dmsetup itself lists them: shown, sorted and selected in every way."""

import os
import re
from typing import NamedTuple

import pytest

from compat.batch import differences, line, lines_of, of_dmsetup, standing

# Of each kind: stacked, shared, suspended, read-only, two tables, no table, LVM's names and uuids, mangled ones.
STACK = [
    ("create", "{p}a", "--readahead", "512", "--table", "0 2048 linear {l} 0"),
    ("create", "{p}b", "-u", "UUID-{p}b", "--table", "0 1024 linear {l} 4096\n1024 8 zero\n1032 8 error"),
    ("create", "{p}c", "--table", "0 1024 striped 2 8 /dev/mapper/{p}a 0 /dev/mapper/{p}b 0"),
    ("create", "{p}d", "-r", "--table", "0 8 linear /dev/mapper/{p}a 0\n8 8 linear /dev/mapper/{p}b 8"),
    ("create", "vg--{p}-lv--x-layer", "-u", "LVM-{p}1234567890", "--table", "0 8 zero"),
    ("create", "{p}n", "--notable", "-u", "CRYPT-LUKS2-{p}"),
    ("create", "{p} with 'odd' \\ bytes", "-u", "odd {p} uuid's", "--table", "0 8 error"),
    ("load", "{p}a", "--table", "0 4096 linear {l} 0"),
    ("load", "{p}n", "--table", "0 8 zero"),
    ("suspend", "{p}d"),
]


# Whose rows need statistics regions; they have tests of their own.
OF_STATISTICS = "Mapped Device Statistics"
ODD_SELECTIONS = """
    name name= =x =~x name=~[ name=~( (name=x name=x) name=x&& &&name=x ((name=x)) !(name=x) !name=x name==x
    name=x#major=254 name=x||major=254 major=254,minor=0 major=x major=-1 major=254x major=254.5 major=0xfe
    major=99999999999999999999 major>=0&&major<=999 selected=1 selected=0 help=1 ?=1 open=1k NAME=x na_me=x name_name=x
    name_uuid!=x info_major=254 deps_devicecount>1 tree_device_ref_count>0 splitname_subsystem=LVM frob=1
    name=[a,b] name={a,b} name=[a devs_used=~. major=~2 name>x uuid<=x events#open read_ahead=512
    read_ahead=256s readahead>256 suspended=Suspended suspended=suspended attr=~s segments!=1&&attr!~r all help
    segmentsince1 eventsbefore1 name="x" name='x major="254" !major=254 !!name=x name=~^dmt&&!(segments=1#segments=2)
    (segments=1#segments=2)&&(minor=0#minor=1) tables_loaded=Both||tables_loaded=None readonly=Writeable,open>0
"""
FIELD_LISTS = """
    name_all info_all deps_all tree_all splitname_all INFOALL name_ _all info_name frob name,frob,uuid
    name,,uuid ,name name, , ,, + +, +,uuid +name ++name +uuid,uuid name,name,name +info_all name,+uuid -name
    name;uuid help ? HELP name,help helpless +help name_help selected name,SELECTED info_selected
"""
SORT_KEYS = """
    name -name +name --name name,-uuid ,name name, -name,name frob name,frob help name,help ? selected all
    info_all +,name NA_ME info_segments -segments,-uuid,+name
"""
MORE_LINES = [
    "info -c -o name -o uuid,attr",
    "info -c -o frob -O frob -S frob=1",
    "info -c -o name -O frob -S frob=1",
    "info -c -oname",
    "info -Coname,uuid",
    "info -o name,uuid",
    "info -o frob",
    "info -O name",
    "info -c --noheadings --rows",
    "info -c --nameprefixes --rows --unquoted --separator|",
    "info -c|--separator|",
    "info -c|--separator|é",
    "info -c|--separator|\udcff",
    "info -c --unquoted",
    "info -c --rows -S name=frob",
    "info -c -o help -S help",
    "info -c -o name -S help -O help",
    "ls -c -o name",
    "deps -c -o devname",
    "version -c -o frob",
    "version -c -S frob",
    "targets -c -O frob",
    "table -c -O name",
    "status -O name",
    "splitname vg-lv -o all",
    "splitname vg-lv -o +subsystem,lv_layer --rows",
    "splitname vg-lv -O -lv_name -o splitname_all",
    "splitname vg-lv -o help",
]


class Field(NamedTuple):
    """One field: its name, its type, what its section's fields may begin with."""

    name: str
    type: str
    prefix: str


def _listed(option):
    """The lists of `info -c OPTION help`: what stands above a list, its lines."""
    told = of_dmsetup(line("info", "-c", option, "help"))
    assert told.status == 0
    paragraphs = re.findall(r"^(.*)\n-+\n((?:.+\n)*?) ?\n", os.fsdecode(told.err), re.MULTILINE)
    return [(title, rows.splitlines()) for title, rows in paragraphs if not title.startswith(OF_STATISTICS)]


@pytest.fixture(scope="module")
def expand(tmp_path_factory):
    with standing(STACK, tmp_path_factory.mktemp("fields"), f"dmt{os.getpid()}f-") as words:
        yield words


@pytest.fixture(scope="module")
def fields(expand):
    """All fields but those of statistics."""
    sections = {title: rows[0].split()[0].removesuffix("all") for title, rows in _listed("-o") if "_all " in rows[0]}
    found = []
    for title, rows in _listed("-S"):
        if title in sections:
            for row in rows:
                name, kind = re.fullmatch(r"  (\S+) +- .* \[(.*)\]", row).groups()
                found.append(Field(name, kind, sections[title]))
    assert {field.prefix for field in found} == {"name_", "info_", "deps_", "splitname_"}
    assert len(found) > 25 and {field.type for field in found} == {"string", "number"}
    return found


@pytest.fixture(scope="module")
def operators(expand):
    """Of each type, what its fields may be compared by."""
    (rows,) = (rows for title, rows in _listed("-S") if title == "Selection operators")
    found = [re.fullmatch(r" +(\S+) +- .*\[(.*)\]", row).groups() for row in rows if row.endswith("]")]
    assert len(found) == 12
    return {
        kind: [operator for operator, kinds in found if kind in kinds.split(", ")]
        for kind in ("string", "number", "regex", "time")
    }


def normal(text):
    """A list of fields without explanations, which are dmctl's own, without its padding, and without statistics."""
    if b" Fields\n---" not in text:
        return text
    paragraphs = [
        re.sub(rb"(?m)^  (\S+) +- .*?( \[[a-z ]+\])?$", rb"\1\2", paragraph)
        if b" Fields\n-" in paragraph
        else paragraph
        for paragraph in text.split(b"\n \n")
    ]
    return b"\n \n".join(part for part in paragraphs if not part.startswith(OF_STATISTICS.encode()))


def compare(lines):
    told = differences(lines, normal=normal)
    assert not told, "\n" + told


FORMS = [
    (),
    ("--noheadings",),
    ("--nameprefixes", "--separator", "<>"),
    ("--nameprefixes", "--unquoted", "--noheadings"),
    ("--rows",),
    ("--rows", "--nameprefixes", "--noheadings"),
]


def test_shown(fields):
    """Each field by itself, in every form that a report has."""
    compare([line("info", "-c", "-o", field.name, *form) for field in fields for form in FORMS])


def test_named(fields):
    """Each by other names: capitals, underscores left out or more of them, the prefix of its section; and added."""
    lines = []
    for name, _, prefix in fields:
        names = (name.upper(), name.replace("_", ""), f"_{name}__", f"{prefix}{name}", f"{prefix.upper()}_{name}")
        lines.append(line("info", "-c", "-o", ",".join(names)))
        lines.append(line("info", "-c", "-o", f"+{name}"))
        lines.append(line("info", "-c", "-o", ("info_" if prefix == "name_" else "name_") + name))
    lines += [line("info", "-c", "-o", name[:-1]) for name, *_ in fields[::5]]
    compare(lines)


def test_sorted(fields):
    lines = []
    for name, *_ in fields:
        lines.append(line("info", "-c", "-o", f"name,{name}", "-O", f"+{name}"))
        lines.append(line("info", "-c", "-o", "name", f"--sort=-{name.upper()},-name", "--noheadings"))
    compare(lines)


def test_selected(fields, operators):
    """Each with every operator: those that its type allows with a value that there is, and one that it does not."""
    lines = []
    for number, (name, kind, _) in enumerate(fields):
        told = of_dmsetup(line("info", "-c", "--noheadings", "-o", name)).text.splitlines()
        value = sorted(told)[len(told) // 2]
        allowed = operators[kind] + (operators["regex"] if kind == "string" else [])
        for operator in allowed:
            given = value if kind == "number" else f'"{re.escape(value) if "~" in operator else value}"'
            lines.append(line("info", "-c", "-o", f"name,{name}", "-S", f"{name}{operator}{given}"))
        refused = sorted({operator for kinds in operators.values() for operator in kinds} - set(allowed))
        lines.append(line("info", "-c", "-S", f"{name} {refused[number % len(refused)]} {value or 1}"))
    compare(lines)


def test_odd_selections(expand):
    texts = [*ODD_SELECTIONS.split(), "", " ", "name = x ", "name=~ [ab]$", "( segments = 1 )", "?"]
    lines = [line("info", "-c", "-o", "name,selected", "-S", text) for text in texts]
    for command in ("deps", "table", "status", "measure"):
        texts = (f"name={expand('{p}')}a", "segments=3", "readonly=Read-only", "major=~x", "frob=1", "all", "")
        lines += [line(command, "-S", text) for text in texts]
    lines.append(line("info", "-c", "-S", "segments=3", "-S", "segments=1"))
    lines += [line("splitname", "vg-lv", "-S", f"vg_name={name}") for name in ("vg", "other")]
    compare(lines)


def test_lists_of_fields(expand):
    lists = [*FIELD_LISTS.split(), "", " ", "name uuid", "name, uuid", " name"]
    keys = [*SORT_KEYS.split(), "", " ", "-", "+", ",", "- name"]
    lines = [line("info", "-c", "-o", text) for text in lists] + [line("info", "-c", "-O", text) for text in keys]
    lines += [line("info", "-c", "-o", "major,uuid", "--sort", key) for key in ("name", "minor,-name", "-uuid", "frob")]
    compare(lines + lines_of(MORE_LINES))


def test_fields_of_no_device(expand):
    """splitname has a name only."""
    # For those of DEPS dmsetup 1.02.185 itself ends in a segmentation fault.
    lists = ("name", "+name", "major", "vg_name,devs_used", "lv_name,name_all")
    compare([line("splitname", "vg-lv", "-o", fields) for fields in lists])


def test_all(expand):
    """Every field there is: without statistics regions, no row."""
    compare([line("info", "-c", "-o", "all"), line("info", "-c", "-o", "ALL", "--noheadings")])


def test_repeated(expand):
    """Twice, a second between."""
    compare(
        [
            line("info", "-c", "-o", "name,segments", "-O", "-name", "--count", "2", "--interval", "1", "--noheadings"),
            line("info", "-c", "--count", "2", "--rows", expand("{p}c"), expand("{p}b")),
            line("info", "-c", "--count", "1", "--interval", "5"),
            line("info", "-c", "--count", "2", "-o", "help"),
            line("info", "-c", "--count", "2", "no such device"),
        ]
    )
