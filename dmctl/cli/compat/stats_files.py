# SPDX-License-Identifier: LGPL-2.1-or-later
"""dmstats create --filemap and update_filemap: a statistics region for each extent of a file."""

import os

from dmctl.cli import stream
from dmctl.cli.compat.run import Failed
from dmctl.cli.compat.stats import attempt, bounds_of, check_driver, group_number
from dmctl.cli.compat.switches import Request
from dmctl.errors import DmctlError
from dmctl.libdm.stats import FOLLOW_INODE, FOLLOW_NONE, FOLLOW_PATH, Stats, follow_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_MONITOR = "dmfilemapd"
_MODE_NAMES = {FOLLOW_INODE: "inode", FOLLOW_PATH: "path"}


class _File:
    """An open file, its regions' device, and how it is to be followed."""

    def __init__(self, request: Request, path: str):
        try:
            self.path = os.path.realpath(path, strict=True)
        except OSError:
            raise Failed(f"Could not canonicalize file name: {path}") from None
        self.mode = _mode(request)
        self.stats = Stats()
        self._descriptor = -1

    def __enter__(self) -> "_File":
        self.stats.__enter__()
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", value: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self.stats.__exit__(kind, value, trace)

    def open(self) -> int:
        """The descriptor, once the statistics are bound to the file's device."""
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            raise Failed(f"Could not open {self.path} for reading") from None
        attempt("", lambda: self.stats.bind_file(self._descriptor))
        return self._descriptor

    def start_monitor(self, request: Request, group: int) -> bool:
        """Have dmfilemapd follow the file; in the foreground this process becomes it."""
        foreground, verbosity = request.counts.get("foreground", 0), request.verbosity
        if foreground > 1:
            stream.error(f"Invalid dmfilemapd foreground argument. Must be 0 or 1: {foreground}.")
            return False
        if verbosity > 3:
            stream.error(f"Invalid dmfilemapd verbose argument. Must be 0..3: {verbosity}.")
            return False
        numbers = (self._descriptor, group, self.path, _MODE_NAMES[self.mode], foreground, verbosity)
        words = [_MONITOR, *map(str, numbers)]
        os.set_inheritable(self._descriptor, True)
        try:
            if foreground:
                stream.flush()
                os.execvp(_MONITOR, words)
            os.posix_spawnp(_MONITOR, words, os.environ)
        except OSError as error:
            stream.error(f"{_MONITOR}: execvp failed: {error.strerror}")
            return not foreground
        return True


def _mode(request: Request) -> int:
    """How the file is followed: FOLLOW_*."""
    if request.has("nomonitor") or request.has("nogroup"):
        mode = FOLLOW_NONE
    elif request.has("follow"):
        mode = follow_mode(request.texts["follow"])
    else:
        mode = FOLLOW_INODE
    if mode == FOLLOW_NONE and not request.has("nomonitor") and (request.as_dmsetup or not request.has("nogroup")):
        raise Failed("")
    return mode


def _refuse_other_options(request: Request) -> None:
    for options, message in (
        (("areas", "areasize"), "--filemap is incompatible with --areas and --area-size."),
        (("start", "length"), "--filemap is incompatible with --start and --length."),
        (("segments",), "--filemap and --segments are incompatible."),
        (("userdata",), "--userdata is not yet supported with --filemap."),
        (("uuid", "major"), "--uuid and --major are incompatible with --filemap."),
        (("alldevices",), "--alldevices is incompatible with --filemap."),
    ):
        if any(request.has(option) for option in options):
            raise Failed(message)


def create_from_file(request: Request, operands: list[str]) -> None:
    """create --filemap FILE"""
    _refuse_other_options(request)
    if not operands:
        raise Failed("--filemap requires a file path argument")
    check_driver(request)
    group = not request.has("nogroup")
    with _File(request, operands[0]) as file:
        bounds = bounds_of(request)
        descriptor = file.open()
        if request.texts.get("programid") == "":
            file.stats.use_no_program()
        alias = request.texts.get("alias", _default_alias(request, file.path) if group else None)
        if request.has("alias") and not group:
            raise Failed("Cannot set alias with --nogroup.")
        # dmsetup 1.02.185 forgets --precise here.
        precise = request.has("precise") and not request.as_dmsetup
        try:
            regions = file.stats.create_file_regions(
                descriptor, group=group, precise=precise, bounds=bounds, alias=alias
            )
        except DmctlError as error:
            raise Failed(f"Could not create regions from file {file.path}.") from error
        if group and not request.has("nomonitor") and not file.start_monitor(request, regions[0]):
            stream.error("Failed to start filemap monitoring daemon.")
    if group:
        stream.write(f"{operands[0]}: Created new group with {len(regions)} region(s) as group ID {regions[0]}.\n")
        return
    for region in regions:
        stream.write(f"{operands[0]}: Created new region with 1 area as region ID {region}.\n")


def _default_alias(request: Request, path: str) -> str:
    """The file's name; in dmctl with an underscore for what an alias cannot have."""
    name = os.path.basename(path)
    if request.as_dmsetup:
        return name
    return "".join("_" if letter.isspace() or letter in ":\\" else letter for letter in name)


def update_from_file(request: Request, operands: list[str]) -> None:
    """update_filemap --groupid GROUP FILE"""
    _refuse_other_options(request)
    if not operands:
        raise Failed("update_filemap requires a file path argument")
    if not request.has("groupid"):
        raise Failed("--groupid is required to update a filemap group.")
    with _File(request, operands[0]) as file:
        descriptor = file.open()
        if request.texts.get("programid") == "" and request.has("force"):
            file.stats.use_no_program()
        if not request.as_dmsetup:
            attempt("", file.stats.refresh)
        group = group_number(request, file.stats)
        if not request.has("nomonitor"):
            if file.start_monitor(request, group):
                return
            stream.error("Failed to start filemap monitoring daemon.")
        try:
            regions = file.stats.update_file_regions(descriptor, group)
        except DmctlError as error:
            raise Failed(f"Could not update regions from file {file.path}") from error
    if regions[0] != group:
        stream.write(f"Group ID changed from {group} to {regions[0]}" + ("" if request.as_dmsetup else "\n"))
    stream.write(f"{operands[0]}: Updated group ID {regions[0]} with {len(regions)} region(s).\n")
