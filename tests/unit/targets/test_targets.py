# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every target's arguments and status: what is written is read again, and no text raises what it should not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmctl.targets import TARGETS, ParamsError, StatusError, arguments_class, parse_params, parse_status, status_class
from unit.targets.strategies import arguments, vectors

PARAMS, STATUS = vectors("PARAMS"), vectors("STATUS")
NASTY = st.text(max_size=40) | st.lists(
    st.sampled_from(["0", "1", "-1", "/", "1/", "/2", "4/8", "-", "--", "2", "99999999999999999999", "A", "D", "rw"])
).map(" ".join)


def test_every_target_has_vectors():
    assert {target for target, _ in PARAMS} == set(TARGETS) == {target for target, _ in STATUS}


@pytest.mark.parametrize("target", TARGETS)
def test_classes(target):
    for cls, source in ((arguments_class(target), "drivers/md/"), (status_class(target), "")):
        assert cls.target == target and cls.__doc__ and source in __import__(cls.__module__, fromlist="x").__doc__
        assert all(spec.help.endswith(".") for spec in cls.specs().values())


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_arguments_come_back(target, data):
    made = data.draw(arguments(target))
    text = made.to_params()
    assert parse_params(target, text) == made
    notes = type(made).explain_params(text)
    assert [note.text for note in notes] == text.split()
    assert all(device in text for device in made.devices())


@pytest.mark.parametrize(("target", "text"), PARAMS)
def test_params_vector(target, text):
    made = parse_params(target, text)
    assert parse_params(target, made.to_params()) == made
    assert [note.text for note in type(made).explain_params(text)] == text.split()


@pytest.mark.parametrize(("target", "text"), STATUS)
def test_status_vector(target, text):
    made = parse_status(target, text)
    assert made.state == "ok" or text in ("Fail", "Error")
    assert not made.extra
    assert [note.text for note in type(made).explain_status(text)] == text.split()
    later = parse_status(target, f"{text} new 1/2") if made.state == "ok" else None
    assert later is None or later.extra[-2:] == ("new", "1/2")


def mangled(draw, text):
    """The text with some of its words gone, doubled, cut or replaced."""
    words = text.split()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(words)))
        change = draw(st.sampled_from(["drop", "double", "cut", "replace"]))
        old = words[at : at + 1]
        words[at : at + 1] = {
            "drop": [],
            "double": old * 2,
            "cut": [word[: len(word) // 2] for word in old if len(word) > 1],
            "replace": draw(NASTY).split(),
        }[change]
    return " ".join(words)


@pytest.mark.parametrize("target", TARGETS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_mangled_text(target, data):
    for parse, error, texts in ((parse_params, ParamsError, PARAMS), (parse_status, StatusError, STATUS)):
        whole = data.draw(st.sampled_from([text for name, text in texts if name == target]))
        try:
            made = parse(target, data.draw(NASTY) if data.draw(st.booleans()) else mangled(data.draw, whole))
        except error as raised:
            assert str(raised).startswith(target) or parse is parse_params
        else:
            made.to_dict()
            if parse is parse_status:
                assert made.usages() is not None and made.warnings() is not None
