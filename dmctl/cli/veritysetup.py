# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmctl called as veritysetup: its actions, options, labels and exit statuses (cryptsetup 2.6 to 2.8).

The words of a line are taken as popt does: options anywhere, names in full, --name=value or --name value.
"""

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from dmctl import __version__
from dmctl.cli import signals, stream
from dmctl.cli import verity_options as convert
from dmctl.cli.spec import Option
from dmctl.cli.verity import header, made_text
from dmctl.errors import DmctlError, NotFoundError, UsageError
from dmctl.verity.existing import Existing, open_existing, read_superblock
from dmctl.verity.image import Damage
from dmctl.verity.make import Choices, make
from dmctl.verity.places import opened
from dmctl.verity.repair import Parity, repair
from dmctl.verity.tree import Parameters, parse_root_hash

# Name: short letter, whether it takes a value, the actions that it may stand with ("" for all).
_GEOMETRY = "format verify open"
_OPTIONS: dict[str, tuple[str, bool, str]] = {
    "cancel-deferred": ("", False, "close"),
    "check-at-most-once": ("", False, "open"),
    "data-block-size": ("", True, _GEOMETRY),
    "data-blocks": ("", True, _GEOMETRY),
    "debug": ("", False, ""),
    "deferred": ("", False, "close"),
    "error-as-corruption": ("", False, "open"),
    "fec-device": ("", True, _GEOMETRY),
    "fec-offset": ("", True, _GEOMETRY),
    "fec-roots": ("", True, _GEOMETRY),
    "format": ("", True, _GEOMETRY),
    "hash": ("h", True, _GEOMETRY),
    "hash-block-size": ("", True, _GEOMETRY),
    "hash-offset": ("", True, f"{_GEOMETRY} dump"),
    "help": ("?", False, ""),
    "ignore-corruption": ("", False, "open"),
    "ignore-zero-blocks": ("", False, "open"),
    "no-superblock": ("", False, _GEOMETRY),
    "panic-on-corruption": ("", False, "open"),
    "restart-on-corruption": ("", False, "open"),
    "root-hash-signature": ("", True, "open"),
    "root-hash-file": ("", True, _GEOMETRY),
    "salt": ("s", True, _GEOMETRY),
    "shared": ("", False, "open"),
    "usage": ("", False, ""),
    "use-tasklets": ("", False, "open"),
    "uuid": ("", True, "format"),
    "verbose": ("v", False, ""),
    "version": ("V", False, ""),
}
OPERANDS = "ACTION ARGUMENT..."
TEXT = (
    "Do what veritysetup does: its actions, options, labels and exit statuses, for scripts that call it. "
    "A link to dmctl with the name veritysetup does the same. dmctl veritysetup --help lists actions and options."
)
OPTIONS = tuple(
    Option(name, letter, "VALUE" if takes else "", "As veritysetup's") for name, (letter, takes, _) in _OPTIONS.items()
)

_SHORT = {letter: name for name, (letter, _, _) in _OPTIONS.items() if letter}
_SIZES = ("data-block-size", "data-blocks", "fec-offset", "fec-roots", "format", "hash-block-size", "hash-offset")

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
        if line.has("help") or line.has("usage"):
            stream.write(_help())
            return 0
        if line.has("version"):
            stream.write(f"veritysetup 2.6.1 (dmctl {__version__})\n")
            return 0
        act = _action(line)
    except _Refused as refused:
        stream.error(f"{_USAGE}\n{refused}")
        return 1
    status = 0
    try:
        with signals.Raised():
            act(line)
    except _Failed as failed:
        status = failed.args[0]
    except NotFoundError as error:
        stream.error(str(error))
        status = 4
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
            if name not in _OPTIONS or (equals and not _OPTIONS[name][1]):
                raise _Refused(f"{word}: unknown option")
            _take(line, name, value if equals else None, rest)
        elif word.startswith("-") and len(word) > 1:
            for place, letter in enumerate(word[1:], 2):
                if letter not in _SHORT:
                    raise _Refused(f"-{letter}: unknown option")
                attached = word[place:].removeprefix("=") or None
                if _take(line, _SHORT[letter], attached, rest) and attached:
                    break
        else:
            operands.append(word)
    if operands:
        line.action, *line.operands = operands
    return line


def _take(line: _Line, name: str, value: str | None, rest: Iterator[str]) -> bool:
    """Keep an option; whether it has taken a value."""
    takes = _OPTIONS[name][1]
    if takes and value is None:
        value = next(rest, None)
        if value is None:
            raise _Refused(f"--{name}: missing argument")
    if takes and name in _SIZES and not (value or "").isdecimal():
        raise _Refused("veritysetup: invalid numeric value")
    line.options[name] = (value or "") if takes else ""
    return takes


def _action(line: _Line) -> Callable[[_Line], None]:
    if not line.action:
        raise _Refused("veritysetup: Argument <action> missing.")
    if line.action == "create" and len(line.operands) > 1:  # the old order: name first
        line.operands[:2] = line.operands[1::-1]
    line.action = {"create": "open", "remove": "close"}.get(line.action, line.action)
    if line.action not in _ACTIONS:
        raise _Refused("veritysetup: Unknown action.")
    act, wanted = _ACTIONS[line.action]
    if len(line.operands) < len([word for word in wanted.split() if not word.startswith("[")]):
        raise _Refused(f"veritysetup: {line.action}: requires {wanted} as arguments")
    for name in line.options:
        allowed = _OPTIONS[name][2]
        if allowed and line.action not in allowed.split():
            raise _Refused(f"veritysetup: Option --{name} is not allowed with {line.action} action.")
    return act


def _parameters(line: _Line, data: str) -> Parameters | None:
    if not line.has("no-superblock"):
        return None
    block_bytes = line.number("data-block-size", 4096)
    return Parameters(
        line.number("data-blocks", 0) or _blocks(data, block_bytes),
        block_bytes,
        line.number("hash-block-size", 4096),
        line.options.get("hash", "sha256"),
        convert.salt(line.options.get("salt")) or b"",
        line.number("format", 1),
    )


def _blocks(data: str, block_bytes: int) -> int:
    with opened(data) as place:
        return place.size_bytes // max(block_bytes, 1)


def _format(line: _Line) -> None:
    data, hashes = line.operands[:2]
    choices = Choices(
        data_blocks=line.number("data-blocks", 0) or None,
        data_block_bytes=line.number("data-block-size", 4096),
        hash_block_bytes=line.number("hash-block-size", 4096),
        algorithm=line.options.get("hash", "sha256"),
        salt=convert.salt(line.options.get("salt")),
        hash_type=line.number("format", 1),
        hash_offset_bytes=line.number("hash-offset", 0),
        superblock=not line.has("no-superblock"),
        uuid=convert.uuid(line.options.get("uuid")),
        fec_path=line.options.get("fec-device"),
        fec_offset_bytes=line.number("fec-offset", 0),
        fec_roots=line.number("fec-roots", 2),
        cut_data=True,
    )
    made = make(data, hashes, choices)
    stream.write(made_text(hashes, made, choices))
    if line.has("root-hash-file"):
        convert.write_text(line.options["root-hash-file"], made.root_hash.hex())


def _root_hash(line: _Line, operands: int) -> str:
    digits = line.operands[operands] if len(line.operands) > operands else None
    return convert.root_hash(digits, None if digits is not None else line.options.get("root-hash-file"))


def _verify(line: _Line) -> None:
    data, hashes = line.operands[:2]
    digits = _root_hash(line, 2)
    offset_bytes = line.number("hash-offset", 0)
    with open_existing(data, hashes, hash_offset_bytes=offset_bytes, parameters=_parameters(line, data)) as there:
        root_hash = parse_root_hash(digits, there.image.parameters.algorithm)
        first = next(there.image.damages(root_hash), None)
        if first is None:
            return
        _tell(first, there)
        if not line.has("fec-device"):
            raise _Failed(1 if _is_top(first, there) else 2)
        with opened(line.options["fec-device"]) as place:
            parity = Parity(place, line.number("fec-offset", 0), line.number("fec-roots", 2))
            outcomes = list(repair(there, parity, root_hash, dry_run=True))
    if not all(outcome.repaired for outcome in outcomes):
        stream.error("Errors cannot be repaired with FEC device.")
        raise _Failed(2)
    stream.error(f"Found {len(outcomes)} repairable errors with FEC device.")


def _is_top(damage: Damage, there: Existing) -> bool:
    return damage.where == "hash" and not damage.first_block


def _tell(damage: Damage, there: Existing) -> None:
    if _is_top(damage, there):
        stream.error("Verification of root hash failed.")
    elif damage.where == "padding":
        stream.error(f"Spare area is not zeroed at position {damage.offset_bytes}.")
    else:
        stream.error(f"Verification failed at position {damage.offset_bytes}.\nVerification of data area failed.")


def _dump(line: _Line) -> None:
    offset_bytes = line.number("hash-offset", 0)
    superblock, tree_offset_bytes = read_superblock(line.operands[0], offset_bytes)
    stream.write(header(line.operands[0], superblock.parameters, str(superblock.uuid)))
    if not offset_bytes:
        stream.write(f"Hash device size: \t{tree_offset_bytes + superblock.parameters.tree_bytes} [bytes]\n")


def _open(line: _Line) -> None:
    from dmctl.verity import device as verity

    data, name, hashes = line.operands[:3]
    modes = [mode for mode in ("restart", "panic") if line.has(f"{mode}-on-corruption")]
    modes += ["ignore"] * line.has("ignore-corruption")
    if len(modes) > 1:
        raise UsageError("Only one option can say what is done on corruption.")
    signature = line.options.get("root-hash-signature")
    as_error = modes[0] if line.has("error-as-corruption") and modes and modes[0] != "ignore" else None
    verity.open_device(
        name,
        data,
        hashes,
        _root_hash(line, 3),
        hash_offset_bytes=line.number("hash-offset", 0),
        parameters=_parameters(line, data),
        features=verity.Features(
            on_corruption=modes[0] if modes else None,
            on_error=as_error,
            ignore_zero_blocks=line.has("ignore-zero-blocks"),
            check_at_most_once=line.has("check-at-most-once"),
            try_verify_in_tasklet=line.has("use-tasklets"),
            fec_path=line.options.get("fec-device"),
            fec_offset_bytes=line.number("fec-offset", 0),
            fec_roots=line.number("fec-roots", 2),
        ),
        signature=None if signature is None else convert.read(signature),
        shared=line.has("shared"),
    )


def _status(line: _Line) -> None:
    from dmctl.cli.verity_device import text_of
    from dmctl.verity import device as verity

    name = line.operands[0]
    try:
        stream.write(text_of(name, verity.look_at(name), as_veritysetup=True))
    except NotFoundError:
        stream.write(f"/dev/mapper/{name} is inactive.\n")
        raise _Failed(4) from None


def _close(line: _Line) -> None:
    from dmctl.verity import device as verity

    name = line.operands[0]
    try:
        verity.close_device(name, deferred=line.has("deferred"), cancel_deferred=line.has("cancel-deferred"))
    except NotFoundError:
        stream.error(f"Device {name} is not active.")
        raise _Failed(4) from None


_ACTIONS: dict[str, tuple[Callable[[_Line], None], str]] = {
    "format": (_format, "<data_device> <hash_device>"),
    "verify": (_verify, "<data_device> <hash_device> [<root_hash>]"),
    "open": (_open, "<data_device> <name> <hash_device> [<root_hash>]"),
    "close": (_close, "<name>"),
    "status": (_status, "<name>"),
    "dump": (_dump, "<hash_device>"),
}
_USAGE = "Usage: veritysetup [OPTION...] <action> <action-specific>"


def _help() -> str:
    lines = [_USAGE, "", "Options:"]
    for name, (letter, takes, actions) in _OPTIONS.items():
        short = f"-{letter}, " if letter else "    "
        value = "=VALUE" if takes else ""
        lines.append(f"  {short}--{name + value:32}{actions}".rstrip())
    lines += ["", "Actions:", *(f"  {name} {operands}" for name, (_, operands) in _ACTIONS.items())]
    lines += ["", "This is dmctl; dmctl-verity(8) tells more."]
    return "\n".join(lines) + "\n"
