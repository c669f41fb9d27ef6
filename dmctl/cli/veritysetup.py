# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl called as veritysetup: its actions, options, labels and exit statuses (cryptsetup 2.6 to 2.8).

The words of a line are taken as popt does: options anywhere, names in full, --name=value or --name value.
"""

import errno
import os
import textwrap
import uuid as uuids
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from dmctl import __version__
from dmctl.cli import signals, stream
from dmctl.cli import verity_options as convert
from dmctl.cli import veritysetup_checks as checks
from dmctl.cli.spec import Option
from dmctl.cli.verity import header, made_text
from dmctl.errors import DeviceError, DmctlError, NotFoundError, UsageError
from dmctl.verity.existing import open_existing, read_superblock
from dmctl.verity.make import Choices, make
from dmctl.verity.places import opened
from dmctl.verity.repair import Parity, repair
from dmctl.verity.tree import Parameters

# Name: short letter, what its value is ("" where it takes none), the actions that it may stand with ("" for all).
_OPTIONS: dict[str, tuple[str, str, str]] = {
    "help": ("?", "", ""),
    "usage": ("", "", ""),
    "version": ("V", "", ""),
    "cancel-deferred": ("", "", "close"),
    "check-at-most-once": ("", "", ""),
    "data-block-size": ("", "bytes", ""),
    "data-blocks": ("", "blocks", ""),
    "debug": ("", "", ""),
    "deferred": ("", "", "close"),
    "error-as-corruption": ("", "", "open"),
    "fec-device": ("", "path", ""),
    "fec-offset": ("", "bytes", ""),
    "fec-roots": ("", "bytes", ""),
    "format": ("", "number", ""),
    "hash": ("h", "string", ""),
    "hash-block-size": ("", "bytes", ""),
    "hash-offset": ("", "bytes", ""),
    "ignore-corruption": ("", "", "open"),
    "ignore-zero-blocks": ("", "", "open"),
    "no-superblock": ("", "", ""),
    "panic-on-corruption": ("", "", "open"),
    "restart-on-corruption": ("", "", "open"),
    "root-hash-file": ("", "STRING", "format verify open"),
    "root-hash-signature": ("", "STRING", "open"),
    "salt": ("s", "hex string", ""),
    "shared": ("", "", "open"),
    "use-tasklets": ("", "", "open"),
    "uuid": ("", "STRING", ""),
    "verbose": ("v", "", ""),
}
OPERANDS = "ACTION ARGUMENT..."
TEXT = (
    "Do what veritysetup does: its actions, options, labels and exit statuses, for scripts that call it. "
    "A link to dmctl with the name veritysetup does the same. dmctl veritysetup --help lists actions and options."
)
OPTIONS = tuple(
    Option(name, letter, value.replace(" ", "-").upper(), "As veritysetup's")
    for name, (letter, value, _) in _OPTIONS.items()
)

_SHORT = {letter: name for name, (letter, _, _) in _OPTIONS.items() if letter}
# The largest number of each that is one.
_NUMBERS = dict.fromkeys(("data-block-size", "fec-roots", "format", "hash-block-size"), 2**32 - 1)
_NUMBERS |= dict.fromkeys(("data-blocks", "fec-offset", "hash-offset"), 2**64 - 1)
# What veritysetup refuses to do at once, in its words.
_EXCLUDING = (
    ("ignore-corruption", "restart-on-corruption", "Option --{} and --{} cannot be used together."),
    ("panic-on-corruption", "restart-on-corruption", "Option --{} and --{} cannot be used together."),
    ("cancel-deferred", "deferred", "Options --{} and --{} cannot be used at the same time."),
)

_FOLDER = "/dev/mapper/"
# Of libcryptsetup's errnos; what is missing here is 1.
_STATUS = {errno.EEXIST: 5, errno.EBUSY: 5, errno.ENODEV: 4, errno.ENOTBLK: 4, errno.ENOMEM: 3, errno.EPERM: 2}
_MEANINGS = {
    1: "wrong or missing parameters",
    2: "no permission or bad passphrase",
    3: "out of memory",
    4: "wrong device or file specified",
    5: "device already exists or device is busy",
}


@dataclass
class _Line:
    """A command line taken apart."""

    action: str = ""
    operands: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self.options

    def number(self, name: str, default: int) -> int:
        return int(self.options.get(name, default))


class _Refused(Exception):
    """A line that is none: the message, after the usage."""


class _Failed(Exception):
    """An action that has told already why it failed; args[0] is the exit status."""


def run(words: list[str]) -> int:
    """Carry out a command line of veritysetup; the exit status is 0 to 5."""
    try:
        line = _parse(words)
        if line.has("help"):
            stream.write(_help())
            return 0
        if line.has("usage"):
            stream.error(_usage())
            return 0
        if line.has("version"):
            stream.write(f"veritysetup 2.6.1 (dmctl {__version__})\n")
            return 0
        act = _action(line)
    except _Refused as refused:
        stream.error(f"{_usage()}\n{refused}")
        return 1
    status = 0
    try:
        with signals.Raised():
            act(line)
    except _Failed as failed:
        status = failed.args[0]
    except checks.ToldError as error:
        stream.error(str(error))
        status = error.status
    except DmctlError as error:
        stream.error(str(error))
        status = 5 if error.exit_status == 5 else _STATUS.get(error.errno, 1)
    if line.has("verbose"):
        told = f"Command failed with code -{status} ({_MEANINGS[status]})." if status else "Command successful."
        stream.write(f"{told}\n")
    return status


def _parse(words: list[str]) -> _Line:
    line, rest = _Line(), iter(words)
    operands: list[str] = []
    for word in rest:
        if word == "--":
            operands += rest
        elif word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if name not in _OPTIONS:
                raise _Refused(f"{word}: unknown option")
            if equals and not _OPTIONS[name][1]:
                raise _Refused(f"{word}: option does not take an argument")
            _take(line, name, value if equals else None, rest, word)
        elif word.startswith("-") and len(word) > 1:
            for place, letter in enumerate(word[1:], 2):
                if letter not in _SHORT:
                    raise _Refused(f"{word}: unknown option")
                attached = word[place:].removeprefix("=") or None
                if _take(line, _SHORT[letter], attached, rest, word) and attached:
                    break
        else:
            operands.append(word)
    if operands:
        line.action, *line.operands = operands
    return line


def _take(line: _Line, name: str, value: str | None, rest: Iterator[str], word: str) -> bool:
    """Keep an option; whether it has taken a value."""
    takes = bool(_OPTIONS[name][1])
    if takes and value is None:
        value = next(rest, None)
        if value is None:
            raise _Refused(f"{word}: missing argument")
    if takes and name in _NUMBERS and not ((value or "").isdecimal() and int(value or 0) <= _NUMBERS[name]):
        raise _Refused("veritysetup: invalid numeric value")
    line.options[name] = (value or "") if takes else ""
    return takes


def _action(line: _Line) -> Callable[[_Line], None]:
    if not line.action:
        raise _Refused("veritysetup: Argument <action> missing.")
    if line.action == "create" and len(line.operands) > 1:  # the old order: name first
        line.action = "open"
        line.operands[:2] = line.operands[1::-1]
    line.action = {"remove": "close"}.get(line.action, line.action)
    if line.action not in _ACTIONS:
        raise _Refused("veritysetup: Unknown action.")
    act, wanted = _ACTIONS[line.action]
    if len(line.operands) < len([word for word in wanted.split() if not word.startswith("[")]):
        raise _Refused(f"veritysetup: {line.action}: requires {wanted} as arguments")
    for name, (_, _, allowed) in _OPTIONS.items():
        if line.has(name) and allowed and line.action not in allowed.split():
            raise _Refused(f"veritysetup: Option --{name} is not allowed with {line.action} action.")
    for one, other, message in _EXCLUDING:
        if line.has(one) and line.has(other):
            raise _Refused(f"veritysetup: {message.format(one, other)}")
    return act


def _choices(line: _Line) -> Choices:
    uuid: uuids.UUID | None = None
    with suppress(ValueError):  # which _format() tells
        uuid = uuids.UUID(line.options["uuid"]) if line.has("uuid") else None
    return Choices(
        data_blocks=line.number("data-blocks", 0) or None,
        data_block_bytes=line.number("data-block-size", 4096),
        hash_block_bytes=line.number("hash-block-size", 4096),
        algorithm=line.options.get("hash", "sha256").lower(),
        salt=checks.salt(line.options.get("salt")),
        hash_type=line.number("format", 1),
        hash_offset_bytes=line.number("hash-offset", 0),
        superblock=not line.has("no-superblock"),
        uuid=uuid,
        fec_path=line.options.get("fec-device"),
        fec_offset_bytes=line.number("fec-offset", 0),
        fec_roots=line.number("fec-roots", 2),
        cut_data=True,
    )


def _parameters(choices: Choices, data: str) -> Parameters:
    return Parameters(
        choices.data_blocks or checks.size_bytes_of(data) // choices.data_block_bytes,
        choices.data_block_bytes,
        choices.hash_block_bytes,
        choices.algorithm,
        choices.salt or b"",
        choices.hash_type,
    )


def _format(line: _Line) -> None:
    data, hashes = line.operands[:2]
    root_hash_file = line.options.get("root-hash-file")
    checks.make_missing(hashes, "hash image")
    if line.has("fec-device"):
        checks.make_missing(line.options["fec-device"], "FEC image")
    checks.device(hashes)
    choices = _choices(line)
    checks.geometry(choices, data, hashes)
    wrong_uuid = line.has("uuid") and choices.uuid is None
    tree_bytes = _parameters(choices, data).tree_bytes
    if warning := checks.to_be_made(choices, tree_bytes, data, hashes, wrong_uuid=wrong_uuid):
        stream.error(warning)
    made = make(data, hashes, choices)
    stream.write(made_text(hashes, made, choices))
    if root_hash_file is not None:
        try:
            convert.write_text(root_hash_file, made.root_hash.hex())
        except DmctlError:
            raise checks.ToldError(f"Cannot create root hash file {root_hash_file} for writing.") from None


def _tree(line: _Line, data: str, hashes: str, operand: int) -> tuple[Parameters | None, str]:
    """The parameters of a tree without a superblock, and the root hash, which is an operand or in a file."""
    if len(line.operands) <= operand and not line.has("root-hash-file"):
        raise checks.ToldError("Command requires <root_hash> or --root-hash-file option as argument.")
    checks.device(hashes)
    checks.device(data)
    parameters = None
    if line.has("no-superblock"):
        choices = _choices(line)
        checks.geometry(choices, data, hashes)
        parameters = _parameters(choices, data)
        algorithm = checks.algorithm(choices.algorithm)
    else:
        algorithm = checks.superblock(hashes, line.number("hash-offset", 0), line.options.get("fec-device"))
    digits = line.operands[operand] if len(line.operands) > operand else ""
    return parameters, checks.root_hash(digits, line.options.get("root-hash-file"), algorithm)


def _verify(line: _Line) -> None:
    data, hashes = line.operands[:2]
    parameters, digits = _tree(line, data, hashes, 2)
    offset_bytes = line.number("hash-offset", 0)
    with ExitStack() as stack:
        try:
            there = stack.enter_context(
                open_existing(data, hashes, hash_offset_bytes=offset_bytes, parameters=parameters)
            )
        except UsageError as error:  # one of them is too small for what the superblock says
            raise checks.ToldError(f"Verification of data area failed.\n{error}") from None
        root_hash = bytes.fromhex(digits)
        first = there.image.first_from_below()
        if first is None and there.image.top_is(root_hash):
            return
        if first is None:
            stream.error("Verification of root hash failed.")
            raise _Failed(2 if line.has("fec-device") else 1)
        where = "Spare area is not zeroed" if first.where == "padding" else "Verification failed"
        stream.error(f"{where} at position {first.offset_bytes}.\nVerification of data area failed.")
        if not line.has("fec-device"):
            raise _Failed(2)
        with opened(line.options["fec-device"]) as place:
            parity = Parity(place, line.number("fec-offset", 0), line.number("fec-roots", 2))
            outcomes = []
            with suppress(UsageError):  # the parity cannot be this tree's
                outcomes = list(repair(there, parity, root_hash, dry_run=True))
    if not outcomes or not all(outcome.repaired for outcome in outcomes):
        stream.error("Errors cannot be repaired with FEC device.")
        raise _Failed(2)
    stream.error(f"Found {len(outcomes)} repairable errors with FEC device.")


def _dump(line: _Line) -> None:
    hashes, offset_bytes = line.operands[0], line.number("hash-offset", 0)
    checks.device(hashes)
    checks.superblock(hashes, offset_bytes, line.options.get("fec-device"))
    superblock, tree_offset_bytes = read_superblock(hashes, offset_bytes)
    stream.write(header(hashes, superblock.parameters, str(superblock.uuid)))
    if not offset_bytes:
        stream.write(f"Hash device size: \t{tree_offset_bytes + superblock.parameters.tree_bytes} [bytes]\n")


def _open(line: _Line) -> None:
    from dmctl.verity import device as verity

    data, name, hashes = line.operands[:3]
    parameters, digits = _tree(line, data, hashes, 3)
    if "/" in name:
        raise checks.ToldError(f'Name "{name}" invalid. It contains "/".')
    # The first of them that is said counts.
    modes = (mode for mode in ("panic", "restart") if line.has(f"{mode}-on-corruption"))
    on_corruption = next(modes, "ignore" if line.has("ignore-corruption") else None)
    on_error = on_corruption if line.has("error-as-corruption") and on_corruption != "ignore" else None
    try:
        verity.open_device(
            name,
            data,
            hashes,
            digits,
            hash_offset_bytes=line.number("hash-offset", 0),
            parameters=parameters,
            features=verity.Features(
                on_corruption=on_corruption,
                on_error=on_error,
                ignore_zero_blocks=line.has("ignore-zero-blocks"),
                check_at_most_once=line.has("check-at-most-once"),
                try_verify_in_tasklet=line.has("use-tasklets"),
                fec_path=line.options.get("fec-device"),
                fec_offset_bytes=line.number("fec-offset", 0),
                fec_roots=line.number("fec-roots", 2),
            ),
            signature=checks.signature(line.options.get("root-hash-signature")),
            shared=line.has("shared"),
            any_root_hash=True,
        )
    except DeviceError as error:
        if error.errno == errno.EINVAL:  # the kernel has refused the table
            raise checks.ToldError(str(error), checks.WRONG_DEVICE) from None
        if error.verb == "create" and error.errno == errno.EBUSY:  # another process has made it meanwhile
            raise checks.ToldError(f"Device {name} already exists.", checks.BUSY) from None
        raise
    except DmctlError as error:
        told = {
            errno.EEXIST: f"Device {name} already exists.",
            errno.EBUSY: f"Cannot use device {data} which is in use (already mapped or mounted).",
        }
        if error.errno in told:
            raise checks.ToldError(told[error.errno], checks.BUSY) from None
        raise
    if verity.look_at(name).status.validity == "C":
        stream.error("Verity device detected corruption after activation.")


def _name(word: str) -> str:
    """The name of a device, which may be said as a path. Raises NotFoundError for what libdevmapper would look up."""
    name = word.removeprefix(_FOLDER)
    if "/" in name and not os.path.exists(word):
        raise NotFoundError(f"{word} does not exist.")
    return name


def _status(line: _Line) -> None:
    from dmctl.cli.verity_device import text_of
    from dmctl.verity import device as verity

    word = line.operands[0]
    path = word if "/" in word and os.path.exists(word) else f"{_FOLDER}{word}"
    try:
        name = _name(word)
        told = text_of(name, verity.look_at(name), as_veritysetup=True)
    except NotFoundError:
        stream.write(f"{path} is inactive.\n")
        raise _Failed(checks.WRONG_DEVICE) from None
    stream.write(path + told.removeprefix(f"{_FOLDER}{name}"))


def _close(line: _Line) -> None:
    from dmctl.verity import device as verity

    word = line.operands[0]
    try:
        name = _name(word)
        verity.close_device(name, deferred=line.has("deferred"), cancel_deferred=line.has("cancel-deferred"))
    except NotFoundError:
        raise checks.ToldError(f"Device {word} is not active.", checks.WRONG_DEVICE) from None
    except DmctlError as error:
        if error.errno == errno.EBUSY:
            raise checks.ToldError(f"Device {word} is still in use.", checks.BUSY) from None
        raise
    if line.has("deferred") and os.path.exists(f"{_FOLDER}{name}"):
        stream.write(f"Device {word} is still active and scheduled for deferred removal.\n")


_ACTIONS: dict[str, tuple[Callable[[_Line], None], str]] = {
    "format": (_format, "<data_device> <hash_device>"),
    "verify": (_verify, "<data_device> <hash_device> [<root_hash>]"),
    "open": (_open, "<data_device> <name> <hash_device> [<root_hash>]"),
    "close": (_close, "<name>"),
    "status": (_status, "<name>"),
    "dump": (_dump, "<hash_device>"),
}


def _usage() -> str:
    letters = "".join(letter for letter, value, _ in _OPTIONS.values() if letter and not value)
    words = [f"[-{letters}]"]
    for name, (letter, value, _) in _OPTIONS.items():
        words.append(f"[{f'-{letter}|' if letter else ''}--{name}{f'={value}' if value else ''}]".replace(" ", "\xa0"))
    lines = textwrap.wrap(
        f"Usage: veritysetup {' '.join(words)} [OPTION...] <action> <action-specific>",
        79,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines).replace("\xa0", " ")


def _help() -> str:
    lines = ["Usage: veritysetup [OPTION...] <action> <action-specific>", "", "Options:"]
    for name, (letter, value, actions) in _OPTIONS.items():
        short = f"-{letter}, " if letter else "    "
        lines.append(f"  {short}--{name + (f'={value}' if value else ''):32}{actions}".rstrip())
    lines += ["", "Actions:", *(f"  {name} {operands}" for name, (_, operands) in _ACTIONS.items())]
    lines += ["", "This is dmctl; dmctl-verity(8) tells more."]
    return "\n".join(lines) + "\n"
