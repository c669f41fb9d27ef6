# SPDX-License-Identifier: LGPL-2.1-or-later
"""Since which version of a target there is an option, and how options are named."""

import dataclasses

import pytest

from dmctl.cli import available
from dmctl.cli.target_options import TargetParser, explained, option_name
from dmctl.targets import TARGETS, arguments_class
from dmctl.targets.fields import spec_of

# Read in drivers/md of Linux 6.1.192 and 6.12.117: the version, and which of these words its constructor knows.
IN_LINUX_6_1 = {
    "crypt": ((1, 24, 0), "allow-discards no-read-workqueue iv-large-sectors", "high-priority integrity-key-size"),
    "error": ((1, 5, 0), "", "device"),
    "flakey": ((1, 5, 0), "drop-writes error-writes", ""),
    "integrity": ((1, 10, 0), "fix-hmac reset-recalculate legacy-recalculate", "allow-discards-keyed"),
    "raid": ((1, 15, 1), "journal-mode delta-disks", ""),
    "snapshot": ((1, 16, 0), "discard-zeroes-cow discard-passdown-origin", ""),
    "snapshot-merge": ((1, 5, 0), "discard-zeroes-cow discard-passdown-origin", ""),
    "verity": ((1, 9, 0), "try-verify-in-tasklet check-at-most-once", "on-error"),
    "writecache": ((1, 6, 0), "pause-writeback metadata-only cleaner max-age", ""),
}
IN_LINUX_6_12 = {
    "crypt": ((1, 28, 0), "high-priority integrity-key-size", ""),
    "error": ((1, 7, 0), "device", ""),
    "integrity": ((1, 14, 0), "fix-hmac allow-discards-keyed", ""),
    "verity": ((1, 10, 0), "try-verify-in-tasklet on-error", ""),
}
# Patches on the list that added the word and the version: what the version before lacks.
BY_PATCHES = {
    "crypt": ((1, 21, 0), "same-cpu-crypt sector-size", "no-read-workqueue no-write-workqueue"),
    "integrity": ((1, 6, 0), "allow-discards fix-padding", "fix-hmac reset-recalculate"),
    "snapshot": ((1, 15, 0), "", "discard-zeroes-cow discard-passdown-origin"),
    "snapshot-merge": ((1, 4, 0), "", "discard-zeroes-cow discard-passdown-origin"),
    "verity": ((1, 4, 0), "check-at-most-once", "root-hash-sig-key-desc try-verify-in-tasklet"),
    "writecache": ((1, 4, 0), "cleaner max-age", "metadata-only pause-writeback"),
}
# It came without a new version, or is for the kernel's configuration to say.
UNTOLD = {
    "flakey": {"error-reads", "random-read-corrupt", "random-write-corrupt"},
    "integrity": {"allow-discards-keyed"},
    "verity": {"on-error", "fec-device", "fec-size", "fec-start", "fec-roots", "root-hash-sig-key-desc"},
}
# What no name ends with: it is for help and metavar to tell.
UNITS = {"sectors", "bytes", "blocks", "regions", "percent", "seconds", "ms", "us", "s", "kib"}


def options(target):
    """Name: spec, of the optional ones."""
    found = [field for field in dataclasses.fields(arguments_class(target)) if field.default is not dataclasses.MISSING]
    return {option_name(field.name, spec).removeprefix("--"): spec for field in found if (spec := spec_of(field))}


@pytest.mark.parametrize("known", [IN_LINUX_6_1, IN_LINUX_6_12, BY_PATCHES])
def test_versions(known):
    for target, (version, there, lacking) in known.items():
        specs = options(target)
        assert all(specs[name].had_by(version) for name in there.split()), target
        assert not any(specs[name].had_by(version) for name in lacking.split()), target


def test_of_what_no_version_tells():
    untold = {target: {name for name, spec in options(target).items() if not spec.told} for target in TARGETS}
    assert {target: names for target, names in untold.items() if names} == UNTOLD
    assert all(spec.since for target in UNTOLD for spec in options(target).values() if not spec.told)


def test_names_have_no_units():
    for target in TARGETS:
        names = {}
        for field in dataclasses.fields(arguments_class(target)):
            if spec := spec_of(field):
                name = option_name(field.name, spec)
                assert name.rpartition("-")[2] not in (UNITS if spec.unit else ()), (target, name)
                names[field.name] = name
        assert len(set(names.values())) == len(names), target


def test_help_tells_version_and_unit():
    text = " ".join(TargetParser(arguments_class("crypt")).format_help().split())
    assert "high priority (since target version 1.26.0)." in text
    text = " ".join(TargetParser(arguments_class("verity")).format_help().split())
    assert "(one of restart, panic, not before target version 1.10.0)." in text
    text = " ".join(TargetParser(arguments_class("clone")).format_help().split())
    assert "--hydration-threshold REGIONS" in text
    (rate,) = [one for one in dataclasses.fields(arguments_class("raid")) if one.name == "min_recovery_rate_kib_s"]
    assert "(KiB/s," in explained(rate, spec_of(rate))
    assert "--min-recovery-rate KiB/s" in TargetParser(arguments_class("raid")).format_help()


def test_each_snapshot_target_has_its_own_description():
    told = {name: TargetParser(arguments_class(name)).description for name in TARGETS if name.startswith("snapshot")}
    assert len({text.split(" Kernel arguments")[0] for text in told.values()}) == 3
    assert all(text.startswith(f"{name}: a ") and "drivers/md/dm-snap.c" in text for name, text in told.items())


def test_available_shows_what_the_version_has(monkeypatch):
    monkeypatch.setattr(available.control, "has_module_index", lambda: False)
    rows = {
        row["target"]: row for row in available._rows({"crypt": (1, 19, 0), "verity": (1, 10, 0), "new": (1, 0, 0)})
    }
    assert (rows["crypt"]["state"], rows["writecache"]["state"]) == ("registered", "unknown")
    names = [one["name"] for one in rows["crypt"]["features"]]
    assert "sector-size" in names and "no-read-workqueue" not in names and "high-priority" not in names
    assert {"name": "on-error", "since": [1, 10, 0], "certain": False} in rows["verity"]["features"]
    assert {"name": "check-at-most-once", "since": [1, 4, 0], "certain": True} in rows["verity"]["features"]
    # Of one that is not registered: all, and since when.
    assert {"name": "cleaner", "since": [1, 2, 0], "certain": False} in rows["writecache"]["features"]
    assert {"name": "fua", "since": None, "certain": True} in rows["writecache"]["features"]
    assert rows["new"] == {"target": "new", "state": "registered", "version": [1, 0, 0], "features": []}
    shown = available._shown(rows["verity"]["features"]).split()
    assert "on-error?" in shown and "check-at-most-once" in shown
