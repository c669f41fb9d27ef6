# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which arguments each target takes: what its constructor in drivers/md/dm-*.c refuses, and nothing it might accept.

Only rules that hold for every kernel from 5.4 on are errors. Words beyond those that a constructor reads are mostly
ignored by it, so they are no mistake here either. Lists of optional words grow from kernel to kernel: one that is not
known here is a warning. What a constructor finds in metadata on disk is beyond these checks.

Here are the targets that only map; those with blocks, keys or metadata of their own are in block_shapes.py.
"""

from __future__ import annotations

from collections.abc import Callable

from dmctl.check import block_shapes
from dmctl.check.arguments import SECTOR_BYTES, UINT_MAX, WARNING, Arguments, DeviceFacts, Refused, Word
from dmctl.table import Line

Constructor = Callable[[Arguments], None]

_MAX_DUST_SECTORS = 2**21
_RAID_TYPES = (
    *("raid0", "raid1", "raid10", "raid10_far", "raid10_near", "raid10_offset", "raid4"),
    *("raid5_la", "raid5_ls", "raid5_n", "raid5_ra", "raid5_rs"),
    *("raid6_la_6", "raid6_ls_6", "raid6_n_6", "raid6_nc", "raid6_nr", "raid6_ra_6", "raid6_rs_6", "raid6_zr"),
)


def read_arguments(line: Line, device: Callable[[str], DeviceFacts | None] | None) -> Arguments | None:
    """The line's arguments as far as its target's constructor would have read them; None if the target is not known.

    `device` tells the facts of a device argument, None for one that does not exist; without it none is looked at.
    """
    if line.target not in SHAPES:
        return None
    constructor, usage = SHAPES[line.target]
    args = Arguments(line, usage, device)
    try:
        constructor(args)
    except Refused:
        args.limits_known = False
    return args


def _zero(args: Arguments) -> None:
    args.count(0)


def _error(args: Arguments) -> None:
    # Some kernels take arguments, the others ignore them. Its size is no device's business.
    pass


def _device_and_start(args: Arguments, what: str = "device", length_sectors: int | None = None) -> None:
    device = args.device(what)
    args.maps(device, args.sector(f"offset of the {what}"), length_sectors)


def _linear(args: Arguments) -> None:
    args.count(2)
    _device_and_start(args)


def _striped(args: Arguments) -> None:
    args.at_least(2)
    stripes = args.number("the number of stripes", strict=True, minimum=1)
    chunk = args.number("the chunk size", strict=True, minimum=1)
    args.length_divisible(args.line.length_sectors, stripes, f"the number of stripes, {stripes}")
    width = args.line.length_sectors // stripes
    args.length_divisible(width, chunk, f"{stripes} stripes of {chunk} sectors")
    args.count(2 + 2 * stripes)
    for _ in range(stripes):
        _device_and_start(args, length_sectors=width)


def _unstriped(args: Arguments) -> None:
    args.count(5)
    stripes = args.number("the number of stripes", strict=True, minimum=1)
    chunk = args.number("the chunk size", strict=True, minimum=1)
    # The constructor lets a number one too high through, and any number if there is but one stripe.
    args.number("the stripe", strict=True, maximum=stripes if stripes > 1 else None)
    _device_and_start(args)
    args.length_divisible(args.line.length_sectors, chunk, f"the chunk size, {chunk}")


def _delay(args: Arguments) -> None:
    args.count(3, 6, 9)
    for what in ("device", "write device", "flush device"):
        if args.left:
            _device_and_start(args, what)
            args.number(f"delay of the {what}")


def _flakey(args: Arguments) -> None:
    args.at_least(4)
    _device_and_start(args)
    up = args.number("the up interval")
    word = args.word("the down interval")
    down = args.number_of("the down interval", word)
    if not 0 < up + down <= UINT_MAX:
        raise args.refuse(word, "out-of-range", f"up and down interval must be 1 to {UINT_MAX} together")
    words = args.group("feature arguments", optional=True)
    seen: dict[str, Word] = {}
    while words:
        word = words.pop(0)
        feature = word.text.lower()
        if feature == "corrupt_bio_byte":
            feature += _corrupt_bio_byte(args, word, words)
        elif feature not in ("drop_writes", "error_writes", "error_reads"):
            # Newer features take values, so that the words after an unknown one mean nothing here.
            args.note(word, "unknown-option", f"feature {word.text!r} is not known here", WARNING)
            break
        elif feature in seen:
            raise args.refuse(word, "option-conflict", f"feature {feature} is given twice")
        seen[feature] = word
    for one, other in (
        ("drop_writes", "error_writes"),
        ("drop_writes", "corrupt_bio_byte w"),
        ("error_writes", "corrupt_bio_byte w"),
    ):
        if one in seen and other in seen:
            raise args.refuse(seen[other], "option-conflict", f"features {one} and {other} exclude each other")


def _corrupt_bio_byte(args: Arguments, feature: Word, words: list[Word]) -> str:
    if len(words) < 4:
        message = f"corrupt_bio_byte takes 4 words of its group (BYTE r|w VALUE FLAGS), not {len(words)}"
        raise args.refuse(feature, "argument-count", message)
    byte, direction, value, flags = words[:4]
    del words[:4]
    args.number_of("the byte to corrupt", byte, minimum=1)
    (letter,) = args.options([direction], ("r", "w"), "direction", closed=True)
    args.number_of("the value to write", value, maximum=255)
    args.number_of("the flags", flags)
    return f" {letter}"


def _dust(args: Arguments) -> None:
    args.count(3)
    _device_and_start(args)
    word = args.word("the block size")
    size_bytes = args.number_of("the block size", word, strict=True, minimum=SECTOR_BYTES)
    args.power_of_two("the block size", word, size_bytes)
    limit_sectors = min(args.line.length_sectors, _MAX_DUST_SECTORS)
    if size_bytes // SECTOR_BYTES > limit_sectors:
        message = f"the block size must be at most {limit_sectors} sectors, not {size_bytes} bytes"
        raise args.refuse(word, "block-size", message)


def _log_writes(args: Arguments) -> None:
    args.at_least(2)
    args.maps(args.device("device"))
    args.device("log device", written=True)


def _snapshot(args: Arguments) -> None:
    args.at_least(4)
    origin = args.device("origin device")
    cow = args.device("COW device", written=True)
    args.differ("COW device", cow.word, "origin device", origin.word)
    kind = args.word("the kind of snapshot")
    letters = kind.text.upper()
    # dm-exception-store.c looks at the first letter, and for P at the second one: "NX" and "POX" pass.
    if letters[0] not in "PN" or (letters[0] == "P" and letters[1:2] not in ("", "O")):
        raise args.refuse(kind, "unknown-option", f"the kind of snapshot must be P, PO or N, not {kind.text!r}")
    if letters[0] == "N" and args.target.text == "snapshot-merge":
        # Linux 6.1 accepts it, and panics when the device is resumed.
        raise args.refuse(kind, "unknown-option", f"what is merged must be persistent, P or PO, not {kind.text!r}")
    word = args.word("the chunk size")
    chunk = args.number_of("the chunk size", word, strict=True, maximum=(2**31 - 1) // SECTOR_BYTES)
    if chunk:
        args.power_of_two("the chunk size", word, chunk)
        args.blocks_fit("the chunk size", word, chunk * SECTOR_BYTES, cow, origin)
    elif letters[0] == "N":
        raise args.refuse(word, "block-size", "the chunk size may be 0, for the default, with P and PO only")
    words = args.group("feature arguments", optional=True, maximum=2)
    features = args.options(words, ("discard_zeroes_cow", "discard_passdown_origin"), "feature")
    if "discard_passdown_origin" in features and "discard_zeroes_cow" not in features:
        raise args.refuse(words[0], "option-conflict", "feature discard_passdown_origin needs discard_zeroes_cow")
    args.maps(origin)
    args.maps_whole(cow)


def _snapshot_origin(args: Arguments) -> None:
    args.count(1)
    args.maps(args.device("device"))


def _mirror(args: Arguments) -> None:
    args.at_least(2)
    kind = args.word("the log type")
    words = args.group("log arguments")
    if kind.text in ("core", "disk"):
        _dirty_log(args, kind, words)
    mirrors = args.number("the number of mirrors", minimum=2, maximum=9)
    args.follow(2 * mirrors, f"{mirrors} mirrors")
    for _ in range(mirrors):
        _device_and_start(args, "mirror")
    words = args.group("features", optional=True)
    features = args.options(words, ("handle_errors", "keep_log"), "feature", case=True, closed=True)
    if "keep_log" in features and "handle_errors" not in features:
        raise args.refuse(words[0], "option-conflict", "feature keep_log needs handle_errors")
    args.end("features")


def _dirty_log(args: Arguments, kind: Word, words: list[Word]) -> None:
    """The log arguments of drivers/md/dm-log.c: [DEVICE] REGION_SIZE [sync|nosync]."""
    least = 2 if kind.text == "disk" else 1
    if not least <= len(words) <= least + 1:
        message = f"a {kind.text} log takes {least} or {least + 1} arguments, not {len(words)}"
        raise args.refuse(kind, "argument-count", message)
    if kind.text == "disk":
        args.device_of("log device", words.pop(0), written=True)
    region = args.number_of("the region size", words[0], minimum=2, maximum=max(2, args.line.length_sectors))
    args.power_of_two("the region size", words[0], region)
    args.options(words[1:], ("sync", "nosync"), "log argument", case=True, closed=True)


def _switch(args: Arguments) -> None:
    paths = args.number("the number of paths", minimum=1)
    args.number("the region size", minimum=1)
    args.number("the number of optional arguments", maximum=0)
    args.follow(2 * paths, f"{paths} paths")
    for _ in range(paths):
        device = args.device("path")
        args.maps(device, args.number("offset of the path", bits=64, strict=True))
    args.end("paths")


def _multipath(args: Arguments) -> None:
    args.group("feature arguments")
    args.group("hardware handler arguments")
    groups = args.number("the number of priority groups", maximum=1024)
    word = args.word("the initial priority group")
    initial = args.number_of("the initial priority group", word, maximum=1024)
    # A number over `groups` is taken all the same.
    if bool(groups) != bool(initial):
        message = f"the initial priority group is {initial}, but the number of groups {groups}"
        raise args.refuse(word, "out-of-range", message)
    for _ in range(groups):
        args.word("path selector")
        args.group("path selector arguments", maximum=1024)
        paths = args.number("the number of paths", minimum=1, maximum=1024)
        per_path = args.number("the number of arguments a path", maximum=1024)
        args.follow((1 + per_path) * paths, f"{paths} paths with {per_path} arguments each")
        for _ in range(paths):
            args.maps(args.device("path"))
            for _ in range(per_path):
                args.word("path argument")
    args.end("priority groups")


def _raid(args: Arguments) -> None:
    args.options([args.word("raid type")], _RAID_TYPES, "raid type")
    args.group("raid parameters")
    devices = args.number("the number of raid devices", minimum=1, maximum=253)
    args.follow(2 * devices, f"{devices} raid devices")
    for _ in range(devices):
        words = [args.word("metadata device"), args.word("data device")]
        for what, word in zip(("metadata device", "data device"), words, strict=True):
            if word.text != "-":
                args.device_of(what, word)
        if words[0].text != "-" and words[1].text == "-":
            raise args.refuse(words[1], "no-device", "the data device must not be - if there is a metadata device")
    args.limits_known = False


SHAPES: dict[str, tuple[Constructor, str]] = {
    **block_shapes.SHAPES,
    "delay": (_delay, "DEVICE OFFSET DELAY, once, twice or three times"),
    "dust": (_dust, "DEVICE OFFSET BLOCK_SIZE"),
    "error": (_error, ""),
    "flakey": (_flakey, "DEVICE OFFSET UP DOWN [#FEATURES FEATURE...]"),
    "linear": (_linear, "DEVICE OFFSET"),
    "log-writes": (_log_writes, "DEVICE LOG_DEVICE"),
    "mirror": (_mirror, "LOG #ARGUMENTS ARGUMENT... #MIRRORS DEVICE OFFSET... [#FEATURES FEATURE...]"),
    "multipath": (_multipath, "#FEATURES [FEATURE...] #HANDLER [WORD...] #GROUPS INITIAL [GROUP...]"),
    "raid": (_raid, "TYPE #PARAMETERS PARAMETER... #DEVICES METADATA|- DATA|-..."),
    "snapshot": (_snapshot, "ORIGIN COW P|PO|N CHUNK_SIZE [#FEATURES FEATURE...]"),
    "snapshot-merge": (_snapshot, "ORIGIN COW P|PO|N CHUNK_SIZE [#FEATURES FEATURE...]"),
    "snapshot-origin": (_snapshot_origin, "DEVICE"),
    "striped": (_striped, "#STRIPES CHUNK_SIZE DEVICE OFFSET..."),
    "switch": (_switch, "#PATHS REGION_SIZE 0 DEVICE OFFSET..."),
    "unstriped": (_unstriped, "#STRIPES CHUNK_SIZE STRIPE DEVICE OFFSET"),
    "zero": (_zero, "none"),
}
"""Constructor and usage of every target whose arguments are known here."""
