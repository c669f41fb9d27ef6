# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl.table against Debian's dmsetup: what it reads, what it prints, what it says of mistakes."""

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from dmctl.errors import DmctlError
from dmctl.table import (
    ConciseDevice,
    ConciseFormatError,
    Line,
    Table,
    TableFormatError,
    format_concise,
    parse_concise,
)
from guests.fixtures import Command
from guests.loop import Disk

MIB = 1 << 20
KEY = "00112233445566778899aabbccddeeff"


@pytest.fixture
def remove(dmsetup: Command) -> Iterator[Callable[[str], None]]:
    """Have devices removed at the end, the last first."""
    names: list[str] = []
    yield names.append
    for name in reversed(names):
        dmsetup("remove", "--retry", name)


@pytest.mark.parametrize(
    "text",
    [
        "0 8 zero",
        "  +0\t8zero  ",
        "0 8 zero # comment",
        "# comment\n\n0 8 error\r\n 8 8 zero#no\n",
        "0 8 error with words # comment",
        "0 8 error\n8 8 zero\v\n16 0008 error",
        "0 +8error",
        "0 18446744073709551624error",
        "0 8\n",
        "0 8 zero\n\nx",
        "0x0 8 zero",
    ],
)
def test_tables_are_read_alike(dmsetup: Command, prefix: str, remove: Callable[[str], None], text: str) -> None:
    name = f"{prefix}read"
    created = dmsetup("create", name, stdin=text.encode())
    try:
        table = Table.parse(text, source="on stdin")
    except TableFormatError as error:
        assert created.err.decode().split("\n")[0] == str(error)
        return
    if created.status == 0:
        remove(name)
        shown = dmsetup("table", name).text
        # The error target of this kernel forgets its arguments.
        assert shown == Table(Line(n.start_sectors, n.length_sectors, n.target) for n in table).format()
    else:
        assert created.err.startswith(b"device-mapper: reload ioctl"), created


def test_formatted_table_is_the_kernels(
    disk: Callable[..., Disk], dmsetup: Command, prefix: str, remove: Callable[[str], None]
) -> None:
    one, two = disk(MIB), disk(MIB)
    table = Table(
        [
            Line(0, 64, "linear", f"{one.devno} 8"),
            Line(64, 64, "striped", f"2 8 {one.devno} 128 {two.devno} 128"),
            Line(128, 8, "zero"),
        ]
    )
    name = f"{prefix}format"
    remove(name)
    assert dmsetup("create", name, stdin=table.format().encode()).status == 0
    assert dmsetup("table", name).text == table.format()
    assert Table.parse(dmsetup("table", name).text) == table


def test_hidden_keys(disk: Callable[..., Disk], dmsetup: Command, prefix: str, remove: Callable[[str], None]) -> None:
    subprocess.run(["modprobe", "-q", "-a", "dm-crypt", "aes", "cbc", "hmac", "sha256_generic"], check=False)
    under = disk(16 * MIB)
    tables = {
        "crypt": f"0 64 crypt aes-cbc-plain64 {KEY} 0 {under.devno} 0 1 allow_discards",
        "integrity": f"0 8 integrity {under.devno} 64 - J 1 internal_hash:hmac(sha256):{KEY}",
    }
    for target, text in tables.items():
        name = f"{prefix}{target}"
        created = dmsetup("create", name, "--table", text)
        assert created.status == 0, created
        remove(name)
        hidden, plain = dmsetup("table", name).text, dmsetup("table", "--showkeys", name).text
        assert KEY in plain
        assert Table.parse(plain).hide_keys().format() == hidden
        assert KEY not in hidden


def test_concise(disk: Callable[..., Disk], dmsetup: Command, prefix: str) -> None:
    under = disk(MIB)
    devices = [
        ConciseDevice(f"{prefix}a,b", "U;1,\\", None, False, Table([Line(0, 8, "zero"), Line(8, 8, "error")])),
        ConciseDevice(f"{prefix}c", "", None, True, Table([Line(0, 16, "linear", f"{under.devno} 8")])),
    ]
    # libdevmapper would mangle such a name otherwise.
    unmangled = {"DM_DEFAULT_NAME_MANGLING_MODE": "none"}
    shown = []
    created = dmsetup("create", "--concise", format_concise(devices), env=unmangled)
    assert created.status == 0, created
    for device in devices:
        shown.append(dmsetup("table", "--concise", device.name, env=unmangled).text)
        dmsetup("remove", "--retry", device.name, env=unmangled)
    parsed = list(parse_concise(";".join(text.rstrip("\n") for text in shown)))
    assert [one.table for one in parsed] == [device.table for device in devices]
    assert [(one.name, one.uuid, one.read_only) for one in parsed] == [
        (device.name, device.uuid, device.read_only) for device in devices
    ]
    assert [format_concise([one]) for one in parsed] == [text.rstrip("\n") for text in shown]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a,b",
        "a,b,,,",
        "a;b",
        "a,b,c,d;",
        "a\\",
        "a\\,b,c,\\",
        "a,,,,0 8 zero,",
        "a,,,,0 8 zero\\,",
        " a , b , c , d",
        "a,,,rx,0 8 zero",
        "a,,,RO,0 8 zero",
        "a,,, rw ,0 8 zero",
        "NAME/x,,,ro,0 8 zero",
        "NAME,,,ro,0 8\n",
        "NAME,,,ro,0 8 zero,8;\n",
    ],
)
@pytest.mark.parametrize("from_stdin", [False, True])
def test_concise_mistakes(dmsetup: Command, prefix: str, text: str, from_stdin: bool) -> None:
    text = text.replace("NAME", prefix)
    if from_stdin:
        run = dmsetup("create", "--concise", stdin=os.fsencode(text))
    else:
        run = dmsetup("create", "--concise", text)
    said: list[str] = []
    try:
        for device in parse_concise(text):
            if "/" in device.name:
                said.append(f'Name "{device.name}" invalid. It contains "/".')
                break
            assert len(device.table) == -1, "this text was meant to be wrong"
    except ConciseFormatError as error:
        said += error.messages
    except DmctlError as error:
        said.append(str(error))
    if said:
        said.append("Command failed.")
    assert run.err.decode() == "".join(f"{message}\n" for message in said)
    assert run.status == bool(said)
