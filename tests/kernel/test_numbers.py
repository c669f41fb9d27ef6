# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers in odd forms, as some of the kernel's readers take them: what dmctl reads is what the kernel has loaded."""

import re
import subprocess

from dmctl.check import ERROR, check
from dmctl.device import Device, Options
from dmctl.errors import DeviceError, UsageError
from dmctl.table import Line, Table
from dmctl.targets import parse_params

KEY = "00112233445566778899aabbccddeeff"
MODULES = (
    *("dm-cache", "dm-clone", "dm-crypt", "dm-delay", "dm-dust", "dm-era", "dm-flakey", "dm-integrity", "dm-mirror"),
    *("dm-raid", "dm-snapshot", "dm-switch", "dm-thin-pool", "dm-unstripe", "dm-verity", "dm-writecache", "aes", "cbc"),
    *("crc32c", "sha256_generic", "dm-ebs"),
)
# Each number in braces is given in all forms, one after the other.
LINES = (
    "linear {a} <8>",
    "striped <2> <8> {a} <8> {a} <16>",
    "unstriped <2> <8> <1> {a} <8>",
    "delay {a} <8> <1>",
    "dust {a} <8> <512>",
    "flakey {a} <8> <5> <1> <5> corrupt_bio_byte <1> r <7> <0>",
    "switch <1> <8> <0> {a} <8>",
    "era {m} {a} <8>",
    "mirror core <1> <8> <2> {a} <8> {b} <16>",
    "clone {n} {a} {b} <8> <0> <2> hydration_threshold <3>",
    "thin-pool {o} {a} <128> <3> <0>",
    "cache {q} {b} {a} <64> <1> writeback default <2> migration_threshold <64>",
    "writecache s {a} {w} <4096> <2> writeback_jobs <7>",
    f"crypt aes-cbc-plain64 {KEY} <8> {{a}} <8> <1> sector_size:<1024>",
    "integrity {i} <0> <4> J <3> internal_hash:crc32c buffer_sectors:<128> block_size:<512>",
    f"verity <1> {{a}} {{b}} <512> <512> <8> <1> sha256 {KEY}{KEY} -",
    "snapshot {a} {s} P <8> <1> discard_zeroes_cow",
    "raid raid1 <3> <0> region_size <1024> <2> - {a} - {b}",
)
# With "+2**N", the number is so much larger: the kernel's sscanf() takes the lowest bits only.
FORMS = ("+{}", "-{}", "+2**32", "+2**70")
SECTORS = 8192
AT_RESUME = ("device-too-small",)
UNCHECKED = ("cache", "integrity", "raid", "writecache")  # values of whose options dmctl check does not read


def variants(template):
    """Each form with the line in which one number, each in turn, has it."""
    parts = re.split(r"<(\d+)>", template)
    yield "", "".join(parts)
    for place in range(1, len(parts), 2):
        for form in (*FORMS, *["+2**16"] * template.startswith("crypt")):  # which reads one of 16 bits
            _, power, bits = form.partition("+2**")
            number = str(int(parts[place]) + 2 ** int(bits)) if power else form.format(parts[place])
            yield form, "".join([*parts[:place], number, *parts[place + 1 :]])


def answer(device, line):
    """What the kernel has loaded, as dmctl would write it; None where it refuses the line."""
    try:
        device.load([line], read_only=line.target == "verity")
    except DeviceError:
        return None
    ((loaded,), _) = Device(device.name, options=Options(inactive=True)).table()
    device.clear()
    # Clone prints the words that it was given.
    return parse_params(line.target, loaded.params).to_params()


def mistakes(device, form, line):
    """What is wrong with how dmctl reads a line, in words."""
    loaded = answer(device, line)
    try:
        read = parse_params(line.target, line.params)
    except UsageError as error:
        read = None
        if loaded is not None:
            yield f"the kernel takes it, dmctl does not: {error}"
    errors = [one for one in check(Table([line])) if one.severity == ERROR and one.code not in AT_RESUME]
    if loaded is not None:
        if read and (again := answer(device, read.line(0, line.length_sectors))) != loaded:
            yield f"the kernel has {loaded}, dmctl read {read}, which is {again}"
        if errors:
            yield f"the kernel takes it, dmctl check finds {errors}"
    elif not form:
        yield "the kernel refuses it"
    elif "2**" not in form:
        # The table of unstriped has negative numbers, and no kernel takes them.
        if read and line.target != "unstriped":
            yield f"the kernel does not take it, dmctl read {read}"
        if not errors and line.target not in UNCHECKED:
            yield "the kernel does not take it, dmctl check finds nothing"


def test_numbers(disk, dmsetup, prefix):
    subprocess.run(["modprobe", "-q", "-a", *MODULES], check=False)
    disks = {letter: disk(8 << 20).devno for letter in "abimnoqsw"}
    assert dmsetup("create", f"{prefix}x", "--notable").status == 0
    device = Device(f"{prefix}x")
    told = []
    try:
        for template in LINES:
            for form, text in variants(template.format(**disks)):
                target, params = text.split(" ", 1)
                line = Line(0, 8 if target == "verity" else SECTORS, target, params)
                told += [f"{text}: {mistake}" for mistake in mistakes(device, form, line)]
    finally:
        assert dmsetup("remove", f"{prefix}x").status == 0
    assert not told, "\n".join(told)
