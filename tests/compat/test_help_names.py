# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever dmsetup and dmstats name in their help, dmctl has."""

import os
import re

import pytest

from compat.batch import differences, line, of_dmctl, of_dmsetup
from dmctl.cli.getopt import Getopt
from dmctl.cli.spec import COMMANDS, KEY_OF_SHORT, LONG_OPTIONS, OPTIONS, SHORT_OPTIONS

HELPED = ("dmsetup", "dmstats")


def help_of(program):
    """The usage, without the list of fields that dmstats adds."""
    told = of_dmsetup(line("help"), called=program)
    assert told.status == 0
    return os.fsdecode(told.err).partition("\nMapped Device Name Fields")[0]


def commands_of(program):
    found = dict.fromkeys(re.findall(r"^\t(\w[\w-]*)(?= )", help_of(program), re.MULTILINE))
    assert {"dmsetup": "splitname", "dmstats": "ungroup"}[program] in found and len(found) > 10
    return list(found)


def options_of(program):
    """The words with their dashes."""
    found = set(re.findall(r"(?<=[\[| ])(--[a-z]+|-[A-Za-z])(?=[\]| ])", help_of(program)))
    assert {"-o", "--sort"} <= found and len(found) > 20
    return sorted(found)


def test_every_command():
    assert set(commands_of("dmsetup")) == set(COMMANDS)


def test_every_command_is_taken():
    """With as many operands as it does not have, or none: nothing is done."""
    lines = []
    for name in commands_of("dmsetup"):
        command = COMMANDS[name]
        lines.append(line(name, *["x"] * (command.maximum + 1 if command.maximum >= 0 else 0)))
    unknown, *answers = of_dmctl([line("frob"), *lines], programs=("dmsetup",))
    assert unknown[0].err.startswith(b"Unknown command.\n")
    for one, (answer,) in zip(lines, answers, strict=True):
        assert b"Unknown" not in answer.err and b"not available" not in answer.err and answer.status in (0, 1), one


@pytest.mark.parametrize("program", HELPED)
def test_every_option(program):
    named = {name for option in OPTIONS for name in (f"--{option.long}", *(f"-{letter}" for letter in option.short))}
    assert set(options_of(program)) <= named | {"-v"}


@pytest.mark.parametrize("program", HELPED)
def test_every_option_is_taken(program):
    """By the parser, and by dmctl as dmsetup."""
    words = options_of(program)
    for word in words:
        parser = Getopt([word, "1"], SHORT_OPTIONS, LONG_OPTIONS, "dmsetup")
        ((key, _),) = parser
        assert KEY_OF_SHORT.get(key, key) == (word[2:] if word.startswith("--") else KEY_OF_SHORT[word[1]])
    refused, *answers = of_dmctl(
        # --interval alone would be for ever.
        [line("splitname", "x", "--count=1", word, "1") for word in ("--frob", *words)],
        programs=("dmsetup",),
    )
    mistakes = re.compile(rb"unrecognized|invalid option|ambiguous|Unknown command|allow an argument")
    assert mistakes.search(refused[0].err)
    for word, (answer,) in zip(words, answers, strict=True):
        assert not mistakes.search(answer.err), word


def test_help_of_fields():
    """help -c adds the fields that there are to the usage, in dmsetup's sections."""

    def listed(answer):
        assert (answer.status, answer.out) == (0, b"")
        sections = re.findall(
            r"^(Mapped Device .*|Special) Fields\n-+\n((?:  .*\n)+)", answer.err.decode(), re.MULTILINE
        )
        return {
            title: [row.split()[0] for row in rows.splitlines()]
            for title, rows in sections
            if "Statistics" not in title
        }

    for words in (("help", "-c"), ("--help", "--columns"), ("-hC",)):
        ((own,),) = of_dmctl([line(*words)], programs=("dmsetup",))
        expected = listed(of_dmsetup(line(*words)))
        assert len(expected) == 5
        assert listed(own) == expected, words


def test_versions_and_help():
    """Whatever else there is on the line."""
    compared = [("--version",), ("--version", "frob"), ("-h", "frob", "x"), ("--help", "--version"), ("help", "x"), ()]
    told = differences([line(*words) for words in compared], programs=("dmsetup",))
    assert not told, "\n" + told


@pytest.mark.parametrize("command", [(), ("stats",)], ids=["dmstats", "dmsetup stats"])
def test_every_command_of_dmstats(command):
    """There are no devices, so that each that needs one says so, or does nothing."""
    lines = [line(*command, name) for name in commands_of("dmstats")]
    programs = ("dmsetup",) if command else ("dmstats",)
    unknown, *answers = of_dmctl([line(*command, "frob"), *lines], programs=programs)
    assert unknown[0].err.startswith(b"Unknown stats command.\n")
    for one, (answer,) in zip(lines, answers, strict=True):
        assert b"Unknown" not in answer.err and b"not available" not in answer.err and answer.status in (0, 1), one
