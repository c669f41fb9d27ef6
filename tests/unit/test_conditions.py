# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conditions of --select."""

import pytest

from dmctl import conditions
from dmctl.errors import UsageError

VALUES = {
    "name": "data",
    "odd": "a b&&c",
    "size": 10 << 30,
    "full": 80.5,
    "target": ("linear", "thin-pool"),
    "none": None,
    "nothing": (),
    "suspended": True,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("name=data", True),
        ("name==dat", False),
        ("name!=data", False),
        ("name!=other", True),
        ("name=~^da", True),
        ("name!~^da", False),
        ("name =~ 't.$'", True),
        ('odd="a b&&c"', True),
        ("odd=~'b&&'", True),
        ("size=10G", True),
        ("size=10737418240", True),
        ("size>=10G", True),
        ("size>10G", False),
        ("size<10.5G", True),
        ("size<=9.5G", False),
        ("full>80", True),
        ("full>80.5", False),
        ("full=80.5", True),
        ("target=linear", True),
        ("target=thin", False),
        ("target!=linear", False),
        ("target!=zero", True),
        ("target=~pool$", True),
        ("none=x", False),
        ("none!=x", True),
        ("none!~x", True),
        ("none>0", False),
        ("nothing=~.", False),
        ("name>0", False),
        ("suspended=yes", True),
        ("suspended=no", False),
        ("name=data && size>1G", True),
        ("name=data,size>20G", False),
        ("name=x || size>1G", True),
        ("name=x||size>20G", False),
        ("!name=x", True),
        ("!(name=data||full<1)", False),
        ("name=x && full>1 || size>1G", True),
        ("name=x && (full>1 || size>1G)", False),
        ("(((name=data)))", True),
    ],
)
def test_condition(text: str, holds: bool) -> None:
    assert conditions.parse(text, VALUES)(VALUES.__getitem__) is holds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lacks a field at its end"),
        ("name", "lacks a comparison such as = at its end"),
        ("name=", "lacks a value at its end"),
        ("name=data &&", "lacks a field at its end"),
        ("name=data name=x", "cannot be understood from 'name' on"),
        ("(name=data", "lacks a ) at its end"),
        ("name=data)", "cannot be understood from ')' on"),
        ("=data", "lacks a field from '=' on"),
        ("name='data", 'lacks a value from "\'data" on'),
        ("name&data", "lacks a comparison such as = from '&data' on"),
        ("size>big", "'big' is not a number that something can be compared with."),
        ("name=~(", "'(' is no regular expression"),
        ("name=~'('", "'(' is no regular expression"),
        ("frob=1", "There is no field 'frob'."),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        conditions.parse(text, VALUES)
    if told == "'(' is no regular expression" and "'" not in text:
        told = "lacks a value from '(' on"  # a parenthesis has to be quoted
    assert told in str(raised.value)


def test_a_field_in_place_of_a_value():
    values = {"used": 3, "total": 3, "name": "used"}
    for text, holds in {
        "used==total": True,
        "used!=total": False,
        "used<total": False,
        "used>=total": True,
        "name=used": False,
        "name='used'": True,
    }.items():
        assert conditions.parse(text, values, between=values)(values.get) is holds, text
    assert conditions.parse("name=used", values)(values.get)
