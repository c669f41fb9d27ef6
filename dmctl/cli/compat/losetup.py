# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of dmlosetup: a loop device by device-mapper's `loop` target, which no mainline kernel has.

It becomes one of dmsetup's, create or remove.
"""

import os

from dmctl.cli import stream
from dmctl.cli.compat.switches import CommandLineError, Request, atoi
from dmctl.cli.getopt import Getopt, GetoptError

_SHORT_OPTIONS = "ade:fo:v"
_UINT64 = 0x10000000000000000


def parse(request: Request, words: list[str], dev_dir: str) -> None:
    """Take the words behind the name. CommandLineError where dmsetup would give up."""
    program = os.path.basename(request.program)
    given: dict[str, list[str]] = {}
    parser = Getopt(words, _SHORT_OPTIONS, (), request.program)
    try:
        for letter, value in parser:
            given.setdefault(letter, []).append(value or "")
    except GetoptError as error:
        raise CommandLineError(str(error)) from None
    operands = list(parser.operands)
    if "v" in given:
        request.counts["verbose"] = 1  # more of them do not ask for libdevmapper's debug lines here
    for letter, what in (("e", "cryptoloop"), ("a", "show all"), ("f", "find")):
        if letter in given:
            message = f"{program}: Sorry, {what} is not yet implemented in this version."
            if letter != "f" or not operands:
                raise CommandLineError(message)
            stream.error(message)
    if not operands:
        raise _wrong(f"{program}: Please specify loop_device.", program)
    name = _device_name(operands[0], dev_dir)
    if name is None:
        raise _wrong(f"{program}: Could not parse loop_device {operands[0]}", program)
    request.operands = [name]
    if "d" in given:
        request.command = "remove"
        return
    if len(operands) != 2:
        raise _wrong(f"{program}: Too few arguments.", program)
    try:
        path = os.path.realpath(operands[0 if "f" in given else 1], strict=True)
    except OSError:
        raise _wrong(f"{program}: Could not parse loop file name {operands[1]}.", program) from None
    offset = atoi(given["o"][-1]) if "o" in given else 0
    request.texts["table"] = _table(request, path, offset, operands[0])
    request.counts["table"] = 1
    request.command = "create"


def _wrong(message: str, program: str) -> CommandLineError:
    stream.error(message)
    stream.error(f"Usage:\n\n{program} [-d] [-o OFFSET] LOOP_DEVICE [FILE]\n")
    return CommandLineError("")


def _device_name(word: str, dev_dir: str) -> str | None:
    """The name of the device: loopN, or the last part of a path below dev_dir."""
    if not word.startswith("/"):
        return word if word.startswith("loop") else None
    try:
        path = os.path.realpath(word, strict=True)
    except OSError:
        return None
    return os.path.basename(path) if path.startswith(dev_dir.rstrip("/") + "/") else None


def _table(request: Request, path: str, offset: int, device: str) -> str:
    """The table line of a file; read-only where it cannot be written."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        request.counts["readonly"] = 1
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            raise CommandLineError(f"Could not build device-mapper table for {device}.") from None
    size = os.fstat(descriptor).st_size
    os.close(descriptor)
    sectors = (size - offset) // 512 % _UINT64
    if request.verbosity:
        stream.error(f"losetup: set loop size to {sectors >> 1}kB ({sectors} sectors).")
    return f"0 {sectors} loop {path} {offset % _UINT64}\n"
