# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the targets that keep metadata of their own have in common."""

from __future__ import annotations

from typing import Any

from dmctl.targets.base import ERROR, Status, Usage
from dmctl.targets.words import Words

# DATA_DEV_BLOCK_SIZE_MAX_SECTORS of dm-thin.c and dm-cache-target.c, MAX_REGION_SIZE of dm-clone-target.c: 1 GiB.
MAX_BLOCK_SECTORS = 2**21
U32_MAX = 2**32 - 1
METADATA = ("metadata_used_blocks", "metadata_total_blocks")


def flags(words: Words, known: tuple[str, ...]) -> dict[str, bool]:
    """All words that are left, which are names of flags in upper or lower case."""
    found = {}
    while words.left:
        name = words.word("feature").lower()
        if name not in known:
            words.fail(f"feature {words.show(name)} is not known")
        words.named(name)
        found[name] = True
    return found


def status_flags(words: Words, known: tuple[str, ...]) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Whether each flag is among the words that are left, and those that are none."""
    found, unknown = dict.fromkeys(known, False), []
    while words.left:
        if words.peek() in found:
            name = words.peek()
            words.word(name)
            found[name] = True
        else:
            unknown.append(words.word("extra"))
    return found, tuple(unknown)


def status_numbers(words: Words, names: dict[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """KEY VALUE...: the values of the keys in names by their fields' names, and all words of other keys."""
    found: dict[str, Any] = {}
    unknown = []
    while words.left:
        key = words.peek()
        if key in names:
            words.word("core argument")
            found[names[key]] = words.number(names[key])
        else:
            unknown += [words.word("extra"), words.word("extra")]
    return found, tuple(unknown)


def needs_check(words: Words) -> bool | None:
    """The next word if it tells whether the metadata must be checked, which older kernels do not."""
    if words.peek() not in ("needs_check", "-"):
        return None
    return words.word("needs_check") == "needs_check"


def usage(what: str, used: int | None, total: int | None, unit: str, *, progress: bool = False) -> tuple[Usage, ...]:
    """One usage, none where the numbers are not known."""
    return () if used is None or total is None else (Usage(what, used, total, unit, progress),)


def metadata_full(usages: tuple[Usage, ...]) -> tuple[str, ...]:
    """A warning where no metadata block is free."""
    return tuple("no metadata block is free" for usage in usages if usage.used >= usage.total)


def warnings(status: Status) -> tuple[str, ...]:
    """What the state tells of itself."""
    failed = ("the kernel cannot read the target's metadata",) if status.state == ERROR else ()
    return (*Status.warnings(status), *failed)
