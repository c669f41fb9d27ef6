# SPDX-License-Identifier: LGPL-2.1-or-later
"""One dmsetup command line from its words to its exit status, in dmsetup's order of checks and with its trailers."""

import gc
import os

from dmctl import libdm
from dmctl.cli import stream
from dmctl.cli.coercion import undo_locale_coercion
from dmctl.cli.compat.switches import CommandLineError, Request, cookie_value
from dmctl.cli.spec import COMMANDS, SELECTABLE, STATS_COMMANDS, Command
from dmctl.errors import DmctlError, UsageError
from dmctl.libdm import udev

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dmctl.cli.compat.columns import Columns

    Handler = Callable[[Request, list[str], bool], None]

_DEV_DIR = "/dev/"
_HEADINGS = {"none": "none", "0": "none", "abbrev": "abbrev", "1": "abbrev", "full": "full", "2": "full"}
_LOSETUP_NAMES = ("losetup", "dmlosetup")


class Failed(DmctlError):
    """A command has failed and has said so itself."""


def run(program: str, words: list[str], *, as_dmsetup: bool) -> int:
    """Carry out a command line; the exit status is 0 or 1, as dmsetup's."""
    request = Request(program, as_dmsetup=as_dmsetup)
    if not as_dmsetup:
        words = _take_own_options(request, words)
    libdm.on_log(_Log(request))
    libdm.want_kernel_reasons(not as_dmsetup)
    undo_locale_coercion()
    libdm.set_locale()
    try:
        failed = not _run(request, words)
    except CommandLineError as error:
        if str(error):
            stream.error(str(error))
        stream.error("Couldn't process command line.")
        failed = True
    finally:
        libdm.release()
    return 0 if request.has("help") or request.has("version") else int(failed)


def _take_own_options(request: Request, words: list[str]) -> list[str]:
    """Remove dmctl's own options. They are no getopt options: those would make abbreviations ambiguous."""
    end = words.index("--") if "--" in words else len(words)
    request.json = "--json" in words[:end]
    request.debug = "--debug" in words[:end]
    rest = [word for word in words[:end] if word not in ("--json", "--debug")]
    for place, word in enumerate(rest):
        if word.partition("=")[0] == "--headings":
            value = rest.pop(place + 1) if word == "--headings" and place + 1 < len(rest) else word.partition("=")[2]
            del rest[place]
            request.headings = _HEADINGS.get(value, "")
            if not request.headings:
                raise UsageError(f'--headings must be none, abbrev or full, not "{value}".')
            break
    return rest + words[end:]


class _Log:
    """Prints libdevmapper's log as its default logger does: see _default_log_line() in libdm-common.c."""

    def __init__(self, request: Request):
        self._request = request
        self._line_numbers = os.environ.get("DM_DEBUG_WITH_LINE_NUMBERS", "0") != "0"
        self._last_try = ""

    def __call__(self, line: libdm.LogRecord) -> None:
        if line.level > libdm.LEVEL_WARNING and self._request.verbosity < 2 and not self._request.debug:
            return
        if self._request.has("retry") and not self._request.as_dmsetup and line.level <= libdm.LEVEL_ERROR:
            if line.text == self._last_try:
                return
            self._last_try = line.text
        more = line.level > libdm.LEVEL_WARNING and self._request.verbosity >= 4 and not self._request.as_dmsetup
        line_numbers = self._line_numbers or (more and bool(line.file))
        text = f"{line.file}:{line.line}     {line.text}" if line_numbers else line.text
        own = self._request.json or (self._request.debug and line.level > libdm.LEVEL_WARNING)
        if line.to_stderr or own:
            stream.error(text)
        else:
            stream.write(text + "\n")


def _run(request: Request, words: list[str]) -> bool:
    dev_dir = os.environ.get("DM_DEV_DIR") or _DEV_DIR
    if dev_dir != _DEV_DIR:
        try:
            libdm.set_dev_dir(dev_dir)
        except DmctlError:
            stream.error("Invalid DM_DEV_DIR environment variable value.")
            return False
    _parse(request, words, dev_dir)
    if request.verbosity < 2 and not request.debug:
        libdm.on_log(_Log(request), libdm.LEVEL_WARNING)
    if request.verbosity > 2:
        libdm.start_timestamps()
    if not request.as_dmsetup and request.has("help") and request.command in COMMANDS:
        from dmctl.cli.usage import command_help

        explained = COMMANDS[request.command]
        if request.command == "stats" and request.operands:
            explained = STATS_COMMANDS.get(request.operands[0], explained)
        stream.write(command_help(request.program, explained))
        return True
    command = _find(request)
    if command is None:
        return False
    handler = _handler(command)
    gc.enable()  # see enter()
    if request.json and not command.json:
        raise UsageError(f"{command.name} has no JSON output.")
    if request.has("help") or request.has("version"):
        return _run_rounds(request, command, command, handler)
    if command.name in ("splitname", "stats"):
        request.counts.setdefault("columns", 1)
    if command.name == "mangle":
        libdm.set_name_mangling(libdm.MANGLING_NONE)
    _set_device_names(request)
    _set_up_udev(request, dev_dir)
    if command.name == "stats":
        request.subcommand = request.operands.pop(0)
    return _run_with_report(request, command, handler)


def _parse(request: Request, words: list[str], dev_dir: str) -> None:
    """Take the words as the program does that dmctl is called as."""
    name = os.path.basename(request.program)
    if not request.as_dmsetup:
        request.parse(words)
    elif name == "devmap_name":
        request.parse_devmap_name(words)
    elif name in _LOSETUP_NAMES:
        from dmctl.cli.compat.losetup import parse

        parse(request, words, dev_dir)
    else:
        request.is_dmstats = name == "dmstats"
        request.parse(words)


def _run_with_report(request: Request, command: Command, handler: "Handler") -> bool:
    """Run a command with the report that -c begins, or for each of the devices that -S chooses from one."""
    if request.has("select") and command.repeat == SELECTABLE:
        request.counts["columns"] = 1
        info = COMMANDS["info"]
        show_info = _handler(info)
        request.columns = _report(request, info, lambda name: handler(request, [name], True))
        if request.columns is None or not _units_are_good(request):
            return False
        return _run_rounds(request, command, info, show_info)
    if request.has("columns"):
        request.columns = _report(request, command)
        if request.columns is None:
            return False
    return _units_are_good(request) and _run_rounds(request, command, command, handler)


def _units_are_good(request: Request) -> bool:
    if request.has("units"):
        from dmctl.libdm.stats import unit_factor

        if not unit_factor(request.texts["units"])[0]:
            stream.error("Invalid --units argument.")
            return False
    return True


def _report(request: Request, command: Command, chosen: "Callable[[str], None] | None" = None) -> "Columns | None":
    from dmctl.cli.compat.columns import Columns

    try:
        return Columns(request, command.name, chosen)
    except DmctlError as error:
        report(request, error)
        return None


def _run_rounds(request: Request, command: Command, carried_out: Command, handler: "Handler") -> bool:
    """Run the command as often as --count and --interval say."""
    rounds = _rounds(request)
    clock = None
    if rounds != 1 and request.columns:
        from dmctl.cli.compat.columns import Clock

        clock = Clock(request)
    while True:
        succeeded = _each_operand(request, carried_out, handler)
        if request.concise_written:
            stream.write("\n")
        if request.json:
            _print_json(request, command)
        elif request.columns:
            request.columns.output()
        rounds -= 1
        if not succeeded or not rounds:
            return succeeded
        if clock:
            stream.write("\n")
            stream.flush()
            clock.wait()
            if request.columns and request.columns.interval:
                request.columns.interval.begin()


def _find(request: Request) -> Command | None:
    """The command to run; None, after the usage, where there is none or its operands are not as many as it takes."""
    from_option = "help" if request.has("help") else "version" if request.has("version") else None
    if from_option and request.command == "stats":
        request.subcommand = from_option
        return COMMANDS["stats"]
    if from_option:
        return COMMANDS[from_option]
    command = COMMANDS.get(request.command or "")
    if command is None:
        if request.command is not None:
            stream.error("Unknown command.")
            if not request.as_dmsetup:
                from dmctl.cli.front import meant

                stream.error(meant(request.command))
                return None
    elif len(request.operands) < command.minimum or 0 <= command.maximum < len(request.operands):
        stream.error("Incorrect number of arguments.")
    else:
        return command
    from dmctl.cli.usage import print_stats_usage, print_usage

    if request.command == "stats" or request.is_dmstats:
        print_stats_usage(request.program, personality=request.is_dmstats)
    else:
        print_usage(request.program)
    return None


def _set_device_names(request: Request) -> None:
    """-o of commands that are no report: how devices are named, or drawn. Prefixes are enough for 1.02.185."""
    if request.has("tree"):
        from dmctl.cli.compat.forest import Style

        request.style = Style(request.texts.get("options", ""), exact=not request.as_dmsetup)
        return
    if request.has("columns") or not request.has("options"):
        return
    rest = request.texts["options"]
    while rest:
        word = rest.partition(",")[0]
        if not word and not request.as_dmsetup:
            rest = rest[1:]
            continue
        for name in ("devno", "blkdevname", "devname"):
            if name == word or (request.as_dmsetup and name.startswith(word)):
                request.device_names = name
                break
        else:
            raise CommandLineError(f"Option not recognised: {rest}.")
        rest = rest[len(word) + 1 :]


def _set_up_udev(request: Request, dev_dir: str) -> None:
    if request.has("noudevsync"):
        udev.set_synchronised(False)
    from_environment = os.environ.get("DM_UDEV_COOKIE")
    if not request.cookie and from_environment:
        request.cookie = cookie_value(from_environment)
    if dev_dir.rstrip("/") != _DEV_DIR.rstrip("/"):
        # udev manages another folder: libdevmapper makes the nodes in ours, and must not expect udev's there.
        request.own_dev_dir = True
        udev.set_checking(False)


def _handler(command: Command) -> "Handler":
    module, _, function = command.handler.partition(":")
    found: Handler = getattr(__import__(f"dmctl.cli.compat.{module}", fromlist=[function]), function)
    return found


def _rounds(request: Request) -> int:
    """How often the command runs; -1 for ever (--count 0, or --interval alone)."""
    if request.has("count") and request.numbers["count"]:
        return request.numbers["count"]
    return -1 if request.has("count") or request.has("interval") else 1


def _each_operand(request: Request, command: Command, handler: "Handler") -> bool:
    """Run the handler once, or once an operand; stop at the first failure."""
    operands = request.operands
    multiple = bool(
        command.repeat and len(operands) != 1 and (operands or not (request.has("uuid") or request.has("major")))
    )
    for first in range(max(1, len(operands)) if command.repeat else 1):
        try:
            handler(request, operands[first:], multiple)
        except (DmctlError, CommandLineError) as error:
            report(request, error)
            stream.error("Command failed.")
            return False
    return True


def report(request: Request, error: Exception) -> None:
    """Print a failure, unless libdevmapper's log has it already; then, called as dmctl, the kernel's reason."""
    if str(error) and not getattr(error, "logged", False):
        stream.error(str(error))
    if not request.as_dmsetup:
        for line in getattr(error, "reason", ()):
            stream.error(f"kernel: {line}")
    if request.debug:
        stream.trace(error)


def _print_json(request: Request, command: Command) -> None:
    from dmctl.cli.output import document

    stream.write(document(command.name, request.gathered))
    request.gathered = []
