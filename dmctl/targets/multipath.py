# SPDX-License-Identifier: LGPL-2.1-or-later
"""multipath: one disk by several paths (drivers/md/dm-mpath.c).

What a path selector takes and tells is in drivers/md/dm-ps-*.c. A status does not name its selectors, so that what they
say of a path stays a tuple of words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dmctl.targets import fields
from dmctl.targets.base import Arguments, Item, Status
from dmctl.targets.words import ParamsError, Words


@dataclass(frozen=True, slots=True)
class Path(Item):
    """DEVICE [ARGUMENT...]"""

    device: str = fields.device("The device.")
    arguments: tuple[str, ...] = fields.items(
        "For the path selector: service-time takes a repeat count and a relative throughput of 0 to 100, io-affinity a "
        "mask of CPUs, others a repeat count.",
        default=(),
    )

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "DEVICE[=ARGUMENT]..."."""
        device, *arguments = text.split("=")
        return cls(device, tuple(arguments))


@dataclass(frozen=True, slots=True)
class PriorityGroup(Item):
    """SELECTOR #ARGUMENTS [ARGUMENT...] #PATHS #PATH_ARGUMENTS [PATH [ARGUMENT...]]..."""

    selector: str = fields.word(
        "How a path is chosen: round-robin, queue-length, service-time, historical-service-time or io-affinity."
    )
    paths: tuple[Path, ...] = fields.items("The paths, each with as many arguments.", item=Path.parse)
    selector_arguments: tuple[str, ...] = fields.items(
        "For historical-service-time a base weight below 1024 and a threshold multiplier.", default=()
    )

    def __post_init__(self) -> None:
        Item.__post_init__(self)
        if len({len(path.arguments) for path in self.paths}) > 1:
            raise ParamsError("multipath: the paths of a group must have the same number of arguments.")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "SELECTOR[=ARGUMENT]...,DEVICE[=ARGUMENT]...,…". Raises ValueError."""
        first, *paths = text.split(",")
        if not paths:
            raise ValueError(f"{text!r} is not of the form SELECTOR,DEVICE[=ARGUMENT]...[,DEVICE...]")
        selector, *arguments = first.split("=")
        return cls(selector, tuple(map(Path.parse, paths)), tuple(arguments))

    @classmethod
    def read(cls, words: Words) -> Self:
        selector = words.word("selector")
        arguments = words.group("selector arguments").rest("selector_arguments")
        paths = words.number("number of paths", bits=32)
        count = words.number("number of path arguments", bits=32)

        def path(words: Words) -> Path:
            return Path(words.word("device"), _several(words, count, "arguments"))

        return cls(selector, words.each(paths, f"{words.about}, path", path), arguments)

    def to_params(self) -> str:
        count = len(self.paths[0].arguments) if self.paths else 0
        words = [self.selector, len(self.selector_arguments), *self.selector_arguments, len(self.paths), count]
        for path in self.paths:
            words += [path.device, *path.arguments]
        return " ".join(map(str, words))


def _several(words: Words, count: int, name: str) -> tuple[str, ...]:
    if count > words.left:
        words.fail(f"for {count} {name} too few words follow")
    return tuple(words.word(name) for _ in range(count))


@dataclass(frozen=True, slots=True)
class MultipathArguments(Arguments):
    """#FEATURES [FEATURE...] #HANDLER [HANDLER [ARGUMENT...]] #GROUPS INITIAL_GROUP [GROUP...]"""

    target: ClassVar[str] = "multipath"
    parts: ClassVar[tuple[type[Item], ...]] = (PriorityGroup, Path)

    groups: tuple[PriorityGroup, ...] = fields.items(
        "Groups of paths, the best first; one is used at a time.",
        item=PriorityGroup.parse,
        metavar="SELECTOR[=ARGUMENT...],DEVICE[=ARGUMENT...],...",
    )
    initial_group: int = fields.number(
        "The group to begin with, the first being 1.", minimum=1, maximum=1024, default=1
    )
    queue_if_no_path: bool = fields.flag("While no path works, requests wait instead of failing.")
    retain_attached_hw_handler: bool = fields.flag("A hardware handler that a path has already is kept.")
    pg_init_retries: int | None = fields.number(
        "How often the hardware handler tries to prepare a group.", minimum=1, maximum=50, default=None
    )
    pg_init_delay_ms: int | None = fields.number(
        "How long it waits before it tries again, by default 2000.", unit="ms", maximum=60000, default=None
    )
    queue_mode: str | None = fields.word(
        "How requests are handled: by the bio, or by the request (rq; mq is the same now). nvme was there up to "
        "Linux 5.12.",
        choices=("bio", "rq", "mq", "nvme"),
        default=None,
    )
    hw_handler: str | None = fields.word("Hardware handler, such as alua, rdac or emc.", default=None)
    hw_handler_arguments: tuple[str, ...] = fields.items("Its arguments.", default=(), metavar="WORD")

    @classmethod
    def _read(cls, words: Words) -> Self:
        found = _read_features(words.group("features"))
        handler = words.group("hardware handler words")
        if handler.left:
            found["hw_handler"] = handler.word("hw_handler")
            found["hw_handler_arguments"] = handler.rest("hw_handler_arguments")
        count, initial = words.number("number of groups", bits=32), words.number("initial_group", bits=32)
        if bool(count) != bool(initial):
            words.fail(f"initial_group must be {'1 or more' if count else '0 without groups'}, not {initial}")
        return cls(words.each(count, "group", PriorityGroup.read), initial or 1, **found)

    def to_params(self) -> str:
        features = [name for name in ("queue_if_no_path", "retain_attached_hw_handler") if getattr(self, name)]
        for name, field in _FEATURES_WITH_VALUE.items():
            value = getattr(self, field)
            features += [name, str(value)] if value is not None else []
        handler = [self.hw_handler, *self.hw_handler_arguments] if self.hw_handler else []
        initial = self.initial_group if self.groups else 0
        groups = map(PriorityGroup.to_params, self.groups)
        words = [len(features), *features, len(handler), *handler, len(self.groups), initial, *groups]
        return " ".join(map(str, words))

    def default_length_sectors(self, size_sectors: Callable[[str], int]) -> int | None:
        return min((size_sectors(device) for device in self.devices()), default=None)


_FEATURES_WITH_VALUE = {
    "pg_init_retries": "pg_init_retries",
    "pg_init_delay_msecs": "pg_init_delay_ms",
    "queue_mode": "queue_mode",
}


def _read_features(words: Words) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while words.left:
        feature = words.word("feature").lower()
        if feature in ("queue_if_no_path", "retain_attached_hw_handler"):
            words.named(feature)
            found[feature] = True
        elif feature == "queue_mode":
            found[feature] = words.word(feature).lower()
        elif feature in _FEATURES_WITH_VALUE:
            field = _FEATURES_WITH_VALUE[feature]
            found[field] = words.number(field, bits=32)
        else:
            words.fail(f"feature {feature!r} is not known")
    return found


@dataclass(frozen=True, slots=True)
class PathStatus(Item):
    """DEVICE A|F FAILURES [WORD...]"""

    device: str = fields.word("The device.")
    path_state: str = fields.word("A for active, F for failed.")
    failures: int = fields.number("How often it has failed.")
    selector_words: tuple[str, ...] = fields.items(
        "What the selector says of it: queue-length its requests; service-time its bytes in flight and relative "
        "throughput; historical-service-time that time, its requests and when it is stale; io-affinity requests of "
        "CPUs without a path.",
        default=(),
    )


@dataclass(frozen=True, slots=True)
class GroupStatus(Item):
    """A|D|E #WORDS [WORD...] #PATHS #PATH_WORDS PATH..."""

    group_state: str = fields.word("A for the one in use, E for enabled, D for disabled.")
    selector_state: tuple[str, ...] = fields.items("What the selector says of the group.")
    paths: tuple[PathStatus, ...] = fields.items("The paths.")

    @classmethod
    def read(cls, words: Words) -> Self:
        state = words.word("group_state")
        selector = words.group("selector words").rest("selector_state")
        paths, count = words.number("number of paths"), words.number("number of words a path")

        def path(words: Words) -> PathStatus:
            device, state, failures = words.word("device"), words.word("path_state"), words.number("failures")
            return PathStatus(device, state, failures, _several(words, count, "selector_words"))

        return cls(state, selector, words.each(paths, f"{words.about}, path", path))


@dataclass(frozen=True, slots=True)
class MultipathStatus(Status):
    """#FEATURES [QUEUEING INITIALISING] #HANDLER [WORD...] #GROUPS GROUP_NUMBER [GROUP...]"""

    target: ClassVar[str] = "multipath"
    parts: ClassVar[tuple[type[Item], ...]] = (GroupStatus, PathStatus)

    queueing: int | None = fields.number("1 while requests wait for a group to be prepared.", default=None)
    pg_init_count: int | None = fields.number("How often the group has been prepared in a row.", default=None)
    feature_words: tuple[str, ...] = fields.items("What else is said before the groups.", default=())
    hw_handler_words: tuple[str, ...] = fields.items("What the hardware handler says.", default=())
    group_number: int | None = fields.number("The group in use or next, 0 without groups.", default=None)
    groups: tuple[GroupStatus, ...] | None = fields.items("The groups of paths.", default=None)

    @classmethod
    def _read(cls, words: Words) -> Self:
        features = words.group("features")
        queueing = features.number("queueing") if features.left else None
        pg_init_count = features.number("pg_init_count") if features.left else None
        feature_words = features.rest("feature_words")
        handler = words.group("hardware handler words").rest("hw_handler_words")
        count, number = words.number("number of groups"), words.number("group_number")
        groups = words.each(count, "group", GroupStatus.read)
        return cls(
            queueing=queueing,
            pg_init_count=pg_init_count,
            feature_words=feature_words,
            hw_handler_words=handler,
            group_number=number,
            groups=groups,
        )

    def warnings(self) -> tuple[str, ...]:
        found = list(Status.warnings(self))
        paths = [path for group in self.groups or () for path in group.paths]
        failed = [path.device for path in paths if path.path_state == "F"]
        found += [f"path {device} has failed" for device in failed]
        if paths and len(failed) == len(paths):
            found.append("no path works")
        disabled = (at for at, group in enumerate(self.groups or (), 1) if group.group_state == "D")
        found += [f"path group {at} is disabled" for at in disabled]
        return tuple(found)
